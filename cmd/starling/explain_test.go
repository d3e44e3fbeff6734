package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/sim"
)

// TestExplainAsksTheServer: what trigger sends arrives, the latest events are
// listed with what matched, and each can be explained: by the rules in force,
// by rules on disk, and after the server has gone from its data.
func TestExplainAsksTheServer(t *testing.T) {
	slow(t)
	slack, rules, data := newFakeSlack(t), t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "job.star"), "on.message(\"^job\", lambda e: \"on it\", name = \"job\")\n")
	c := serve(t, slack, rules, data).ready()
	with := func(args ...string) []string {
		return append(args, "--url", "http://"+c.listen, "--secret", signingSecret)
	}
	out := good(t, with("trigger", "message", "job", "1", "--event-id", "EvJOB", "--channel", "C1")...)
	if !strings.Contains(out, "200 OK") {
		t.Errorf("trigger printed %s", out)
	}
	good(t, with("trigger", "reaction", "eyes", "--event-id", "EvEYES")...)
	bad(t, 1, "does not take the signature", "trigger", "message", "x", "--url", "http://"+c.listen, "--secret", "other")
	c.until("both have come", func() bool {
		_, body := c.ask("/events")
		return strings.Contains(body, "EvJOB") && strings.Contains(body, "EvEYES")
	})
	out = good(t, "explain", "--admin", c.admin)
	for _, want := range []string{"EvJOB", "job.star:job", "EvEYES", ":eyes:"} {
		if !strings.Contains(out, want) {
			t.Errorf("the list lacks %q:\n%s", want, out)
		}
	}
	if out = good(t, "explain", "EvJOB", "--admin", c.admin); !strings.Contains(out, "matched  job.star:job") || !strings.Contains(out, `"text":"on it"`) {
		t.Errorf("explain EvJOB:\n%s", out)
	}
	if out = good(t, "explain", "EvEYES", "--admin", c.admin, "--lang", "lua"); !strings.Contains(out, `on.reaction("eyes", on_eyes)`) {
		t.Errorf("explain EvEYES:\n%s", out)
	}
	other := t.TempDir()
	writeFile(t, filepath.Join(other, "eyes.star"), "on.reaction(\"eyes\", lambda e: reply(\"I see\"))\n")
	if out = good(t, "explain", "EvEYES", "--admin", c.admin, "--rules", other); !strings.Contains(out, "matched  eyes.star") {
		t.Errorf("explain EvEYES by rules on disk:\n%s", out)
	}
	bad(t, 1, "no file and no event or run", "explain", "EvNONE", "--admin", c.admin)
	file := filepath.Join(t.TempDir(), "event.json")
	writeFile(t, file, good(t, "explain", "--save", "EvJOB", "--admin", c.admin))
	if out = good(t, "explain", file, "--server", "--admin", c.admin); !strings.Contains(out, "matched  job.star:job") {
		t.Errorf("explain a file on the server:\n%s", out)
	}
	writeFile(t, file, `{"type": }`)
	bad(t, 1, "payload:1:10: not JSON", "explain", file, "--server", "--admin", c.admin)
	c.until("the answer is posted", func() bool { return slack.times("on it") > 0 })
	if n := slack.times("on it"); n != 1 {
		t.Errorf("the answer was posted %d times: explaining sends nothing", n)
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)
	if out = good(t, "explain", "EvJOB", "--admin", c.admin, "--data", data, "--rules", rules); !strings.Contains(out, "matched  job.star:job") {
		t.Errorf("explain EvJOB from the data directory:\n%s", out)
	}
}

// TestDoctorAsksSlack: the token's scopes are compared with what the rules
// need, and the clock with Slack's.
func TestDoctorAsksSlack(t *testing.T) {
	slow(t)
	rules := t.TempDir()
	writeFile(t, filepath.Join(rules, "a.star"), "on.command(\"/x\", lambda e: post(\"C1\", \"hi\"))\non.reaction(\"eyes\", lambda e: None)\n")
	slack := localSlack(t, []string{"commands", "chat:write"})
	doctor := func(api, token string) (string, int) {
		out, _, code := commandWith(t, []string{
			"SLACK_API_URL=" + api, "SLACK_BOT_TOKEN=" + token, "SLACK_SIGNING_SECRET=0123456789abcdef0123456789abcdef",
		}, "doctor", "--rules", rules, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
		return out, code
	}
	wants := func(out string, code, wantCode int, wants ...string) {
		t.Helper()
		if code != wantCode {
			t.Errorf("exit %d, want %d", code, wantCode)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	}
	out, code := doctor(slack, sim.DevBotToken)
	wants(out, code, 1, "ok    bot token", "starling in Local Workspace", "missing: reactions:read for event reaction_added", "ok    clock")
	out, code = doctor(slack, "xoxb-wrong")
	wants(out, code, 1, "Slack refuses it: invalid_auth", "copy it again")
	if strings.Contains(out, "xoxb-wrong") {
		t.Errorf("the token is shown:\n%s", out)
	}
	full := localSlack(t, []string{
		"commands", "chat:write", "reactions:read", "channels:history", "groups:history", "im:history", "mpim:history", "metadata.message:read",
	})
	out, code = doctor(full, sim.DevBotToken)
	wants(out, code, 0, "8 granted, 3 needed by the rules", "0 failures")
	out, code = doctor(behind(t, full, 10*time.Minute), sim.DevBotToken)
	wants(out, code, 1, "fail  clock", "ahead of Slack's", "set the clock")
}

// commandWith runs the program to its end, in an environment of its own.
func commandWith(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	cmd.Dir, cmd.Env = t.TempDir(), env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// localSlack serves a local Slack whose bot token has scopes, and returns the
// address of its Web API.
func localSlack(t *testing.T, scopes []string) string {
	t.Helper()
	s, err := sim.New(sim.Options{Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	s.SetURL(h.URL)
	t.Cleanup(s.Close)
	return s.APIURL()
}

// behind passes requests on to a Slack whose clock is behind.
func behind(t *testing.T, api string, by time.Duration) string {
	t.Helper()
	u, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: u.Scheme, Host: u.Host}) },
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("Date", time.Now().Add(-by).UTC().Format(http.TimeFormat))
			return nil
		},
	}
	h := httptest.NewServer(proxy)
	t.Cleanup(h.Close)
	return h.URL + "/api/"
}
