package engine_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/repo"
)

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

func (r *rig) adminGet(path string, out any) {
	r.t.Helper()
	res, err := http.Get("http://" + r.AdminAddr().String() + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %d %s %v", path, res.StatusCode, body, err)
	}
	if err := json.Unmarshal(body, out); err != nil {
		r.t.Fatalf("%s: %v: %s", path, err, body)
	}
}

// ruleNamed finds a rule among those that operators see.
func (r *rig) ruleNamed(id string) engine.RuleReport {
	r.t.Helper()
	list, err := r.Operator().Rules(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, rule := range list {
		if rule.ID == id {
			return rule
		}
	}
	r.t.Fatalf("no rule %s in %+v", id, list)
	return engine.RuleReport{}
}

func TestOwnersAreToldOfFailuresAndNotOverAndOver(t *testing.T) {
	t.Parallel()
	r, s := newSlackRig(t, map[string]string{
		"a.star": `
on.message("x", lambda e: fail("secret detail"), name = "bad", owner = "U0ADA")
on.message("x", lambda e: fail("other"), name = "lost")
on.message("x", lambda e: None, name = "good", owner = "U0ADA")
`,
	}, nil)
	for i := range 5 {
		r.send("/slack/events", jsonBody, message(fmt.Sprint(i), "x"))
	}
	told := func() (out []string) {
		for _, c := range s.wait(t, 1) {
			if c.method == "chat.postMessage" {
				out = append(out, fmt.Sprint(c.args["channel"], " ", c.args["text"]))
			}
		}
		return out
	}
	eventually(t, "a notice", func() bool { return len(told()) > 0 })
	eventually(t, "the other runs", func() bool { return strings.Count(r.log.String(), "outcome=failed") == 10 })
	r.stop() // waits for notices that are on their way
	got := told()
	if len(got) != 1 || !strings.Contains(got[0], "D-U0ADA Your rule `a.star:bad` failed at `a.star:2:27` in run `") || strings.Contains(got[0], "secret") {
		t.Errorf("told: %q", got)
	}
}

func TestADisabledRuleStaysOffOverARestartAndAChangeOfItsFile(t *testing.T) {
	t.Parallel()
	store := queue.NewMemory(queue.MemoryOptions{})
	t.Cleanup(func() { _ = store.Close(context.Background()) })
	files := map[string]string{"a.star": `on.message("hi", lambda e: probe.see(n = "ran") and None, name = "greet")`}
	keep := func(o *engine.Options) { o.Store = kept{store} }
	first := newRig(t, files, keep)
	if err := first.Operator().DisableRule(t.Context(), "a.star:greet", "too loud"); err != nil {
		t.Fatal(err)
	}
	first.stop()

	files["a.star"] = `on.message("hi", lambda e: probe.see(n = "ran anew") and None, name = "greet")`
	second := newRig(t, files, keep)
	if rule := second.ruleNamed("a.star:greet"); rule.State != "disabled" || !strings.Contains(rule.Why, "too loud") {
		t.Errorf("after a restart: %+v", rule)
	}
	second.send("/slack/events", jsonBody, message("1", "hi"))
	eventually(t, "the event", func() bool { return strings.Contains(second.log.String(), "run is skipped") })
	if len(second.all()) != 0 {
		t.Error("the disabled rule ran")
	}
	if err := second.Operator().EnableRule(t.Context(), "a.star:greet"); err != nil {
		t.Fatal(err)
	}
	second.send("/slack/events", jsonBody, message("2", "hi"))
	second.wait(1)
}

// kept is a store that outlives its engine.
type kept struct{ queue.Store }

func (kept) Close(context.Context) error { return nil }

func TestABrokenFileShowsItsErrorAndTheVersionThatStillRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"a.star": `on.message("hi", lambda e: probe.see(n = "one") and None, name = "greet")
on.message("bad", lambda e: fail("no good"), name = "bad")`}, nil)
	before := r.ruleNamed("a.star:greet")
	if before.Version == "" || before.LastFire != nil {
		t.Errorf("before: %+v", before)
	}
	r.send("/slack/events", jsonBody, message("1", "hi"))
	r.send("/slack/events", jsonBody, message("2", "bad"))
	r.wait(1)
	r.write("a.star", "on.message(\"hi\", lambda e: ")
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	var s engine.Status
	r.adminGet("/status", &s)
	if len(s.Files) != 1 || s.Files[0].Path != "a.star" || !s.Files[0].Previous || s.Files[0].Version != before.Version || !strings.Contains(s.Files[0].Errors, "a.star:1:") {
		t.Errorf("status: %+v", s)
	}
	eventually(t, "the runs to be recorded", func() bool {
		after, bad := r.ruleNamed("a.star:greet"), r.ruleNamed("a.star:bad")
		return after.LastFire != nil && after.LastOutcome == "done" && after.Version == before.Version &&
			strings.Contains(bad.LastError, "no good") && bad.LastErrorRun != ""
	})
	r.send("/slack/events", jsonBody, message("3", "hi"))
	r.wait(2)
}

func TestAdminEffectsAreRefusedToAllButAdmins(t *testing.T) {
	t.Parallel()
	const tries = `
def go(e):
    value, err = catch(lambda: admin.disable("x.star:victim").ok)
    probe.see(rule = NAME, ok = err == None and value, error = str(err))
`
	file := func(name, rule string) string { return strings.Replace(tries, "NAME", strconv.Quote(name), 1) + rule }
	files := map[string]string{
		"x.star":      `on.message("victim", lambda e: None, name = "victim")`,
		"plain.star":  file("plain", `on.message("go", go)`),
		"admins.star": file("admins", `on.message("go", go, admin = True)`),
		"error.star":  file("error", "on.error(go, admin = True)\non.message(\"go\", lambda e: fail(\"x\"), name = \"fails\")"),
	}
	for _, c := range []struct {
		name   string
		admins []string
		want   string
	}{
		{"nobody is one", nil, "error false plain false"},
		{"the user is one", []string{"U1"}, "admins true error false plain false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, files, func(o *engine.Options) { o.Config.Admins = c.admins })
			r.send("/slack/events", jsonBody, message("1", "go"))
			n := (strings.Count(c.want, " ") + 1) / 2
			got := map[string]string{}
			for _, d := range r.wait(n) {
				ok, _ := d.Get("ok")
				got[d.Text("rule")] = fmt.Sprint(ok)
				if ok == false && !strings.Contains(d.Text("error"), "only a rule with admin=True may, run by an admin") {
					t.Errorf("refused with %q", d.Text("error"))
				}
			}
			var text []string
			for _, rule := range []string{"admins", "error", "plain"} {
				if v, ok := got[rule]; ok {
					text = append(text, rule, v)
				}
			}
			if strings.Join(text, " ") != c.want {
				t.Errorf("got %v, want %s", text, c.want)
			}
			if off := r.ruleNamed("x.star:victim").State == "disabled"; off != (c.admins != nil) {
				t.Errorf("the victim is off: %v", off)
			}
			if c.admins != nil && !strings.Contains(r.log.String(), `msg=admin do=admin.disable what=x.star:victim`) {
				t.Error("there is no audit line")
			}
		})
	}
}

// gitRig is an engine whose rules come from a repository on this machine.
func gitRig(t *testing.T, upstream string, change func(*config.Config)) (*rig, func(text string), *slack) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git here")
	}
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		cmd.Dir = upstream
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v: %s", args, err, out)
		}
	}
	git("init", "--quiet", "--initial-branch=main", ".")
	commit := func(text string) {
		if err := os.MkdirAll(filepath.Join(upstream, "rules"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(upstream, "rules", "g.star"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		git("add", "-A")
		git("commit", "--quiet", "--no-verify", "-m", "change")
	}
	commit(`on.message("hi", lambda e: probe.see(n = "one") and None, name = "greet")`)
	data := t.TempDir()
	r, s := newSlackRig(t, map[string]string{"own.star": `on.message("own", lambda e: probe.see(n = "own") and None)`}, func(o *engine.Options) {
		o.Store = queue.NewMemory(queue.MemoryOptions{})
		o.Config.Data = data
		o.Config.RulesGit = config.RulesGit{URL: upstream, Path: "rules", Keep: 2, Webhook: "/hooks/rules", Secret: "hush", Tell: "C0OPS"}
		if change != nil {
			change(o.Config)
		}
	})
	return r, commit, s
}

func TestRulesOfARepositoryAreTakenUpWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	r, commit, s := gitRig(t, t.TempDir(), nil)
	say := func(id, text string, n int, want string) {
		t.Helper()
		r.send("/slack/events", jsonBody, message(id, text))
		all := r.wait(n)
		if got := all[len(all)-1].Text("n"); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	res, err := http.Get("http://" + r.AdminAddr().String() + "/readyz")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("not ready: %v %v", res, err)
	}
	res.Body.Close()
	say("1", "hi", 1, "one")
	say("2", "own", 2, "own")

	commit("on.message(\"hi\", lambda e: probe.see(n = \"bad\") and None, nme = \"greet\")")
	err = r.Reload(t.Context()) // what SIGHUP does
	if !errors.Is(err, repo.ErrRefused) || !strings.Contains(err.Error(), "g.star:1:") {
		t.Errorf("got %v", err)
	}
	say("3", "hi", 3, "one")
	var told string
	for _, c := range s.wait(t, 1) {
		if c.method == "chat.postMessage" {
			told += fmt.Sprint(c.args["channel"], " ", c.args["text"], "\n")
		}
	}
	if strings.Count(told, "C0OPS The newest revision of the rules has errors and is not taken up. The first of 1 problems is at `g.star:1:") != 1 {
		t.Errorf("told: %q", told)
	}

	commit(`on.message("hi", lambda e: probe.see(n = "three") and None, name = "greet")`)
	post := func(secret string) int {
		t.Helper()
		body := []byte(`{"ref":"refs/heads/main"}`)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		req, err := http.NewRequest(http.MethodPost, "http://"+r.Addr().String()+"/hooks/rules", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := post("wrong"); got != http.StatusUnauthorized {
		t.Errorf("a wrong secret: %d", got)
	}
	say("4", "hi", 4, "one")
	if got := post("hush"); got != http.StatusAccepted {
		t.Errorf("the webhook: %d", got)
	}
	eventually(t, "the new revision", func() bool { return strings.Count(r.log.String(), "rules are at another revision") == 2 })
	eventually(t, "the rules", func() bool {
		b, _ := os.ReadFile(filepath.Join(r.rules, "own.star"))
		return len(b) > 0 && strings.Count(r.log.String(), `msg="rules loaded"`) >= 2
	})
	say("5", "hi", 5, "three")
	if st := r.Status(); len(st.Revision) != 40 {
		t.Errorf("status: %+v", st)
	}
}
