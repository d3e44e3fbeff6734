package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const proxyExample = "../../examples/proxy/"

// The paths that each sample lets through, a prefix with * behind it.
func proxyPaths(t *testing.T) map[string][]string {
	t.Helper()
	read := func(name string) string {
		b, err := os.ReadFile(proxyExample + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	out := map[string][]string{}
	location := regexp.MustCompile(`(?m)^\s*location (= )?(\S+)\s*\{ proxy_pass http://starling; \}$`)
	for _, m := range location.FindAllStringSubmatch(read("nginx.conf"), -1) {
		if m[1] == "" {
			m[2] += "*"
		}
		out["nginx.conf"] = append(out["nginx.conf"], m[2])
	}
	matcher := regexp.MustCompile(`(?m)^\s*@starling path (.+)$`).FindStringSubmatch(read("Caddyfile"))
	if matcher == nil {
		t.Fatal("Caddyfile: no matcher @starling")
	}
	out["Caddyfile"] = strings.Fields(matcher[1])
	return out
}

// What the samples let through is what the server answers, and everything that
// Slack sends to is among it.
func TestProxySamplesKnowTheRoutesOfTheServer(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Abs(proxyExample + "rules")
	if err != nil {
		t.Fatal(err)
	}
	c := serve(t, newFakeSlack(t), rules, t.TempDir()).ready()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	status := func(path string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+c.listen+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	slack := []string{"/slack", "/slack/events", "/slack/commands", "/slack/interactive", "/slack/options"}
	example := map[string]string{"/slack/*": "/slack/events", "/hooks/*": "/hooks/whoami"}
	for sample, paths := range proxyPaths(t) {
		for _, p := range paths {
			ask := p
			if strings.HasSuffix(p, "*") {
				if ask = example[p]; ask == "" {
					t.Errorf("%s: nothing is known of %s", sample, p)
				}
			}
			// A route that is there refuses the method, one that is not says 404.
			if got := status(ask); got != http.StatusMethodNotAllowed {
				t.Errorf("%s lets %s through, and the server has no such route (%d)", sample, p, got)
			}
		}
		for _, p := range slack {
			if got := status(p); got != http.StatusMethodNotAllowed {
				t.Errorf("the server does not know %s (%d)", p, got)
			}
			if !slices.ContainsFunc(paths, func(pattern string) bool {
				prefix, wide := strings.CutSuffix(pattern, "*")
				return p == pattern || wide && strings.HasPrefix(p, prefix)
			}) {
				t.Errorf("%s does not let %s through", sample, p)
			}
		}
	}
}

// The samples are well formed: by the programs themselves where they are
// installed, else as far as braces and semicolons go.
func TestProxySamplesParse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nginx.conf", "Caddyfile"} {
		b, err := os.ReadFile(proxyExample + name)
		if err != nil {
			t.Fatal(err)
		}
		depth := 0
		for i, line := range strings.Split(string(b), "\n") {
			line, _, _ = strings.Cut(line, "#")
			line = strings.TrimSpace(line)
			depth += strings.Count(line, "{") - strings.Count(line, "}")
			if depth < 0 {
				t.Errorf("%s:%d: a brace too many", name, i+1)
			}
			if name == "nginx.conf" && line != "" && !strings.ContainsAny(line[len(line)-1:], ";{}") {
				t.Errorf("%s:%d: no semicolon: %s", name, i+1, line)
			}
		}
		if depth != 0 {
			t.Errorf("%s: %d braces are not closed", name, depth)
		}
	}
	if caddy, err := exec.LookPath("caddy"); err == nil {
		if out, err := exec.Command(caddy, "adapt", "--validate", "--config", proxyExample+"Caddyfile", "--adapter", "caddyfile").CombinedOutput(); err != nil {
			t.Errorf("caddy: %v\n%s", err, out)
		}
	}
	if nginx, err := exec.LookPath("nginx"); err == nil {
		checkWithNginx(t, nginx)
	}
}

// checkWithNginx has nginx read the sample, with a certificate that is there.
func checkWithNginx(t *testing.T, nginx string) {
	t.Helper()
	dir := t.TempDir()
	c, k := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	good(t, "cert", "--cert", c, "--key", k, "bot.example.com")
	b, err := os.ReadFile(proxyExample + "nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^(\s*ssl_certificate\s+).*$`).ReplaceAllString(string(b), "${1}"+c+";")
	text = regexp.MustCompile(`(?m)^(\s*ssl_certificate_key\s+).*$`).ReplaceAllString(text, "${1}"+k+";")
	conf := filepath.Join(dir, "nginx.conf")
	writeFile(t, conf, "error_log stderr;\npid "+dir+"/pid;\nevents {}\nhttp {\n"+text+"\n}\n")
	if out, err := exec.Command(nginx, "-t", "-c", conf, "-p", dir).CombinedOutput(); err != nil {
		t.Errorf("nginx: %v\n%s", err, out)
	}
}

// Who calls is who the trusted proxy says, and nobody else is believed.
func TestClientBehindATrustedProxy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "hook.star"), `
on.webhook("GET /whoami", lambda e: e.remote, name = "who", open = True)
on.webhook("GET /allowed", lambda e: "in", name = "allowed", allow = ["203.0.113.0/24"])
`)
	for name, config := range map[string]string{"trusted": "trusted_proxies: [127.0.0.1, 10.0.0.0/8]\n", "strange": "{}\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "starling.yaml")
			writeFile(t, file, config)
			c := serve(t, newFakeSlack(t), dir, t.TempDir(), "--config", file, "--log-level", "debug").ready()
			trusted := name == "trusted"
			for forwarded, client := range map[string]string{
				"":                                    "127.0.0.1",
				"203.0.113.7":                         "203.0.113.7",
				"203.0.113.7, 198.51.100.1":           "198.51.100.1", // the left one is only claimed
				"198.51.100.1, 203.0.113.9, 10.1.1.1": "203.0.113.9",  // behind two proxies
				"203.0.113.8:4711":                    "203.0.113.8",
				"203.0.113.7, nonsense":               "127.0.0.1",
			} {
				if !trusted {
					client = "127.0.0.1"
				}
				headers := map[string]string{"X-Forwarded-Proto": "https"}
				if forwarded != "" {
					headers["X-Forwarded-For"] = forwarded
				}
				if status, body := getWith(t, "http://"+c.listen+"/whoami", headers); status != 200 || body != client {
					t.Errorf("x-forwarded-for %q: seen as %s (%d), want %s", forwarded, body, status, client)
				}
				want := http.StatusUnauthorized
				if strings.HasPrefix(client, "203.0.113.") {
					want = http.StatusOK
				}
				if status, _ := getWith(t, "http://"+c.listen+"/allowed", headers); status != want {
					t.Errorf("x-forwarded-for %q: status %d, want %d", forwarded, status, want)
				}
			}
			if https := strings.Contains(c.out.String(), "https=true"); https != trusted {
				t.Errorf("x-forwarded-proto is believed: %v, want %v", https, trusted)
			}
		})
	}
}

func getWith(t *testing.T, url string, headers map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b strings.Builder
	if _, err := io.Copy(&b, res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b.String()
}
