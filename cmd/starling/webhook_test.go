package main

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine"
)

// errbotTest is the line of Errbot's manual that tests a webhook, without its
// "!webhook".
func errbotTest(t *testing.T) []string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		b, err := os.ReadFile(filepath.Join(dir, "shared", "documents", "S2.txt"))
		if err != nil {
			continue
		}
		m := regexp.MustCompile(`(?m)^!webhook (test) (/github) (payload=\S+)$`).FindStringSubmatch(string(b))
		if m == nil {
			t.Fatal("the manual has no such line")
		}
		return m[1:]
	}
	t.Skip("shared/documents is not there")
	return nil
}

const errbotRule = `
def notification(e):
    post("#general", "Commit on %s!" % e.form["repository"]["name"])
    return "noted " + e.form["head_commit"]["id"]

on.webhook("/github/", notification, form_param = "payload", open = True)
`

// Errbot's own example works as it is written: on disk and by a running server,
// dry and live, and says what the request itself is answered.
func TestWebhookTestOfErrbotsManual(t *testing.T) {
	t.Parallel()
	args := append([]string{"webhook"}, errbotTest(t)...)
	rules, slack := t.TempDir(), newFakeSlack(t)
	writeFile(t, filepath.Join(rules, "github.star"), errbotRule)
	const answer = "noted b3cd9e66e52e4783c1a0b98fbaaad6258669275f"
	check := func(out, how string) {
		t.Helper()
		for _, want := range []string{"type      application/x-www-form-urlencoded  (guessed)", "rule      github.star:notification", "status    200 OK", answer, `"text":"Commit on test!"`} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", how, want, out)
			}
		}
	}
	check(good(t, append(args, "--rules", rules)...), "on disk")

	c := serve(t, slack, rules, t.TempDir()).ready()
	here := append(args, "--admin", c.admin)
	check(good(t, here...), "dry")
	if n := len(slack.texts()); n != 0 {
		t.Errorf("a dry test has posted %d messages", n)
	}
	if runs := good(t, "runs", "--admin", c.admin, "--json"); strings.Contains(runs, "notification") {
		t.Errorf("a dry test is among the runs: %s", runs)
	}
	check(good(t, append(here, "--live")...), "live")
	if got := slack.times("Commit on test!"); got != 1 {
		t.Errorf("the live test has posted %d messages", got)
	}
	dry := fromJSON[engine.HookTest](t, good(t, append(here, "--json")...))

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.listen+"/github", strings.NewReader(args[3]))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", dry.ContentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != dry.Status || res.Header.Get("Content-Type") != dry.Headers["content-type"] || dry.Body != answer {
		t.Errorf("the request itself is answered %d %s, the test said %d %v", res.StatusCode, res.Header.Get("Content-Type"), dry.Status, dry.Headers)
	}
}

// A test passes by the secret of a hook and its limits, not by what decodes it.
func TestWebhookTestAsksForNoSecret(t *testing.T) {
	t.Parallel()
	rules := t.TempDir()
	writeFile(t, filepath.Join(rules, "a.star"), `on.webhook("/in", lambda e: "got %s" % e.json, name = "in", bearer = "s3cret-token", rate = "1/h", allow = ["192.0.2.1"])`)
	c := serve(t, newFakeSlack(t), rules, t.TempDir()).ready()
	for range 3 {
		if out := good(t, "webhook", "test", "/in", "[1]", "--admin", c.admin); !strings.Contains(out, "got [1]") || strings.Contains(out, "s3cret") {
			t.Error(out)
		}
	}
	if out, _, code := command(t, "webhook", "test", "/in", "[1", "-H", "content-type: application/json", "--admin", c.admin); code != 1 || !strings.Contains(out, "400 Bad Request") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestWebstatusCountsAndFollowsTheRules(t *testing.T) {
	t.Parallel()
	rules := t.TempDir()
	file := filepath.Join(rules, "a.star")
	writeFile(t, file, `
on.webhook("GET,POST /one", lambda e: abort(418, "no"), name = "one", open = True)
on.webhook("/two/{n:int}", lambda e: "two", name = "two", secret = "x", signature = "github")
`)
	c := serve(t, newFakeSlack(t), rules, t.TempDir()).ready()
	list := func() map[string]engine.HookReport {
		out := map[string]engine.HookReport{}
		for _, h := range fromJSON[[]engine.HookReport](t, good(t, "webstatus", "--json", "--admin", c.admin)) {
			out[h.Path] = h
		}
		return out
	}
	for range 2 {
		get("http://" + c.listen + "/one")
	}
	if status, _ := getWith(t, "http://"+c.listen+"/two/1", nil); status != http.StatusMethodNotAllowed {
		t.Errorf("status %d", status)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.listen+"/two/1", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := do(t, req); status != http.StatusUnauthorized {
		t.Errorf("status %d", status)
	}
	got := list()
	if one := got["/one"]; one.Hits != 2 || one.LastStatus != 418 || one.LastAt == nil || one.Auth != "open" || one.File != "a.star" || one.Line != 2 || strings.Join(one.Methods, " ") != "GET POST" {
		t.Errorf("/one: %+v", one)
	}
	if two := got["/two/{n:int}"]; two.Hits != 1 || two.LastStatus != 401 || two.Auth != "github" {
		t.Errorf("/two: %+v", two)
	}
	out := good(t, "webstatus", "--admin", c.admin)
	for _, want := range []string{`/one +GET,POST +a.star:one +a.star:2 +open +on +2 +418 at `, `/two/\{n:int\} +POST +a.star:two +a.star:3 +github +on +1 +401 at `} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}

	// A change of the file changes the list; what stays keeps its count.
	writeFile(t, file, `
on.webhook("GET,POST /one", lambda e: "yes", name = "one", open = True)
on.webhook("/three", lambda e: "three", name = "three", open = True)
`)
	c.until("lists the new rules", func() bool { return list()["/three"].Rule != "" })
	got = list()
	if _, there := got["/two/{n:int}"]; there || len(got) != 2 {
		t.Errorf("after the change: %v", maps.Keys(got))
	}
	if status, _ := get("http://" + c.listen + "/one"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if one := list()["/one"]; one.Hits != 3 || one.LastStatus != 200 {
		t.Errorf("/one: %+v", one)
	}
	good(t, "rules", "disable", "a.star:three", "--admin", c.admin)
	if three := list()["/three"]; three.State != "disabled" {
		t.Errorf("/three: %+v", three)
	}
}
