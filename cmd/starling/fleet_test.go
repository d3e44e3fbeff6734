package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// said waits for a message that begins with a text, and returns it.
func (f *fakeSlack) said(c *child, begins string) string {
	c.t.Helper()
	found := ""
	c.until("somebody is told "+begins, func() bool {
		for text := range f.texts() {
			if strings.HasPrefix(text, begins) {
				found = text
			}
		}
		return found != ""
	})
	return found
}

// An admin looks after the rules of a repository from a chat; what was decided
// stands after the server was killed, and a revision with an error changes
// nothing.
func TestAFleetIsLookedAfterFromAChatAndARepository(t *testing.T) {
	slow(t)
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git here")
	}
	slack, rules, data, upstream := newFakeSlack(t), t.TempDir(), t.TempDir(), t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Dir, cmd.Env = upstream, []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v: %s", args, err, out)
		}
	}
	commit := func(text string) {
		t.Helper()
		writeFile(t, filepath.Join(upstream, "team.star"), text)
		git("add", "-A")
		git("commit", "--quiet", "--no-verify", "-m", "change")
	}
	git("init", "--quiet", "--initial-branch=main", ".")
	commit(`on.message("^ping", lambda e: "pong one", name = "ping")`)
	writeFile(t, filepath.Join(rules, "admin.star"), "load(\"@starling//admin.star\", \"admin_commands\")\nadmin_commands()\n"+
		"on.webhook(\"POST /in\", lambda e: post(\"#x\", \"hooked\") and \"thanks\", open = True, name = \"inbound\")\n")
	conf := filepath.Join(t.TempDir(), "starling.yaml")
	writeFile(t, conf, "admins: [U1]\nrules_git: {url: "+upstream+", tell: C0OPS}\n")

	c := serve(t, slack, rules, data, "--config", conf).ready()
	c.message(1, "ping")
	slack.said(c, "pong one")
	c.message(2, "<@U0BOT> disable ping")
	slack.said(c, "`team.star:ping` is disabled until `enable`.")
	c.message(3, "<@U0BOT> webhook test /in {\"a\":1}")
	if got := slack.said(c, "POST `/in` as application/json (guessed)"); !strings.Contains(got, "status 200") || !strings.Contains(got, "thanks") || !strings.Contains(got, "• would `post`") {
		t.Errorf("webhook test: %s", got)
	}
	if n := slack.texts()["hooked"]; n != 0 {
		t.Error("the test of a webhook has posted")
	}
	c.message(4, "<@U0BOT> generate certificate bot.example")
	if got := slack.said(c, "`"+filepath.Join(data, "tls", "cert.pem")+"`"); !strings.Contains(got, "bot.example") || strings.Contains(got, "PRIVATE") {
		t.Errorf("generate certificate: %s", got)
	}
	if info, err := os.Stat(filepath.Join(data, "tls", "key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v %v", info, err)
	}

	// Killed, it comes up with the rule off, though its file has changed.
	c.signal(syscall.SIGKILL)
	_ = c.cmd.Wait()
	commit(`on.message("^ping", lambda e: "pong two", name = "ping")`)
	c = serve(t, slack, rules, data, "--config", conf).ready()
	server := []string{"--admin", c.admin}
	if r := rulesOf(t, server...)["team.star:ping"]; r.State != "disabled" || !strings.Contains(r.Why, "by <@U1>") {
		t.Errorf("after a restart: %+v", r)
	}
	c.message(5, "<@U0BOT> enable ping")
	slack.said(c, "`team.star:ping` is on.")
	c.message(6, "ping")
	slack.said(c, "pong two")

	// A bad revision is refused on SIGHUP, and told; a good one is taken up.
	commit(`on.message("^ping", lambda e: "pong three", nme = "ping")`)
	c.signal(syscall.SIGHUP)
	slack.said(c, "The newest revision of the rules has errors and is not taken up. The first of 1 problems is at `team.star:1:")
	bad(t, 1, "team.star:1:", append([]string{"rules", "reload"}, server...)...)
	c.message(7, "ping again")
	c.until("the rule before answers", func() bool { return slack.texts()["pong two"] == 2 })
	commit(`on.message("^ping", lambda e: "pong four", name = "ping")`)
	out := good(t, append([]string{"rules", "reload"}, server...)...)
	if !strings.Contains(out, "revision   ") || !strings.Contains(out, "0 of them off") {
		t.Errorf("rules reload: %s", out)
	}
	c.message(8, "ping")
	slack.said(c, "pong four")

	// A broken file in the directory itself: its error, and what goes on running.
	writeFile(t, filepath.Join(rules, "admin.star"), "load(\"@starling//admin.star\", \"admin_commands\")\nadmin_commands(\n")
	c.until("the error is seen", func() bool { _, page := c.ask("/status"); return strings.Contains(page, "admin.star:") })
	stdout, _, code := command(t, append([]string{"rules", "status"}, server...)...)
	if code != 1 || !strings.Contains(stdout, "admin.star has errors, version ") || !strings.Contains(stdout, " goes on running") {
		t.Errorf("rules status: exit %d\n%s", code, stdout)
	}
	c.message(9, "<@U0BOT> rules ping")
	if got := slack.said(c, "• `team.star:ping` *on*, version `"); !strings.Contains(got, "`admin.star` has errors, version `") || !strings.Contains(got, ", ran 20") {
		t.Errorf("rules: %s", got)
	}
	// Another user is told in private that it is not for them.
	if !strings.Contains(c.out.String(), "do=admin.enable what=ping") {
		t.Error("there is no audit line for what an admin did")
	}
}
