package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const spinRule = `
def spin(e):
    for i in range(1 << 40):
        pass
on.message("^spin", spin, name = "spinner", owner = "C0OWNER")
`

type ruleState struct {
	ID, Name, File, Kind, Pattern, Owner, State, Why, Since, Run string
	Line                                                         int
}

// rulesOf lists the rules as starling rules --json does, by id.
func rulesOf(t *testing.T, where ...string) map[string]ruleState {
	t.Helper()
	out := map[string]ruleState{}
	for _, r := range fromJSON[[]ruleState](t, good(t, append([]string{"rules", "--json"}, where...)...)) {
		out[r.ID] = r
	}
	return out
}

func TestARuleThatIsSwitchedOffAndOn(t *testing.T) {
	slow(t)
	slack, rules, data := newFakeSlack(t), t.TempDir(), t.TempDir()
	spinFile := filepath.Join(rules, "spin.star")
	writeFile(t, spinFile, spinRule)
	writeFile(t, filepath.Join(rules, "job.star"), echoRule)
	c := serve(t, slack, rules, data).ready()
	server := []string{"--admin", c.admin}
	n := 0
	spin := func(c *child, times int) {
		for range times {
			n++
			c.message(n, "spin")
		}
	}
	idle := func(c *child) {
		c.until("all is done", func() bool {
			_, body := c.ask("/queue")
			return fromJSON[struct{ Pending int }](t, body).Pending == 0
		})
	}
	told := func() (n int) {
		for text, times := range slack.texts() {
			if strings.HasPrefix(text, "Your rule `spin.star:spinner` is switched off") {
				n += times
			}
		}
		return n
	}

	// Three breaches switch it off: log, metric, owner, listings.
	spin(c, 3)
	c.prints("rule is switched off")
	c.until("the owner is told", func() bool { return told() == 1 })
	spin(c, 20)
	n++
	c.message(n, "job after")
	c.until("the other rule works", func() bool { return slack.times("did job after") == 1 })
	idle(c)
	r := rulesOf(t, server...)["spin.star:spinner"]
	if r.State != "off" || r.File != "spin.star" || r.Line != 5 || r.Kind != "message" || r.Pattern != "^spin" || r.Owner != "C0OWNER" ||
		!strings.HasPrefix(r.Why, "switched off after 3 breaches of limits in a row (steps), the last at spin.star:") || r.Since == "" || r.Run == "" {
		t.Errorf("rule %+v", r)
	}
	_, metrics := c.ask("/metrics")
	for _, want := range []string{"\nstarling_rules_off 1\n", `starling_rule_switched_off_total{rule="spin.star:spinner"} 1`, `starling_limit_breaches_total{limit="steps",rule="spin.star:spinner"} 3`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	out := good(t, append([]string{"runs"}, server...)...)
	if !strings.HasPrefix(out, "spin.star:spinner is off since 20") || strings.Count(out, "skipped") != 20 || strings.Count(out, "failed") != 3 {
		t.Errorf("runs:\n%s", out)
	}
	if out := good(t, append([]string{"runs", r.Run}, server...)...); !strings.Contains(out, "exceeded the limit of 2000000 steps") {
		t.Errorf("the run that the notice names:\n%s", out)
	}
	if out := good(t, append([]string{"rules"}, server...)...); !strings.HasPrefix(out, "RULE ") || !strings.Contains(out, "job.star:message:^job   on ") || !strings.Contains(out, "spin.star:5") {
		t.Errorf("rules:\n%s", out)
	}

	// It stays off over a crash, and nobody is told again.
	c.signal(syscall.SIGKILL)
	_ = c.cmd.Wait()
	c = serve(t, slack, rules, data).ready()
	server = []string{"--admin", c.admin}
	spin(c, 1)
	idle(c)
	if got := rulesOf(t, server...)["spin.star:spinner"]; got != r {
		t.Errorf("after a restart %+v, want %+v", got, r)
	}

	// An operator switches it on; three more, and it is off; the file changes.
	if out := good(t, append([]string{"rules", "enable", "spinner"}, server...)...); out != "spin.star:spinner is on\n" {
		t.Errorf("enable: %q", out)
	}
	if out := good(t, append([]string{"rules", "enable", "spin.star"}, server...)...); out != "spin.star:spinner is on already\n" {
		t.Errorf("enable again: %q", out)
	}
	spin(c, 3)
	c.until("the owner is told again", func() bool { return told() == 2 })
	writeFile(t, spinFile, strings.Replace(spinRule, "1 << 40", "3", 1))
	c.until("the rule is on", func() bool { return rulesOf(t, server...)["spin.star:spinner"].State == "on" })

	// A rule that is disabled stays so, whatever becomes of its file.
	if out := good(t, append([]string{"rules", "disable", "job.star:mess", "--reason", "see #ops & ask"}, server...)...); out != "job.star:message:^job  is disabled\n" {
		t.Errorf("disable: %q", out)
	}
	writeFile(t, filepath.Join(rules, "job.star"), "# changed\n"+echoRule)
	c.until("the new version is loaded", func() bool { return rulesOf(t, server...)["job.star:message:^job "].Line == 2 })
	n++
	c.message(n, "job refused")
	idle(c)
	if got := rulesOf(t, server...)["job.star:message:^job "]; got.State != "disabled" || got.Why != "disabled by an operator: see #ops & ask" || slack.times("did job refused") != 0 {
		t.Errorf("disabled rule %+v, ran %d times", got, slack.times("did job refused"))
	}
	bad(t, 1, `no rule "nope"`, append([]string{"rules", "enable", "nope"}, server...)...)
	bad(t, 2, "want rules, rules enable ID", append([]string{"rules", "enable"}, server...)...)
	bad(t, 2, "want rules, rules enable ID", append([]string{"rules", "explode", "x"}, server...)...)
	bad(t, 2, "--reason goes with disable", append([]string{"rules", "--reason", "x"}, server...)...)

	// Without a server, the same from the data directory and the rules on disk.
	c.signal(syscall.SIGTERM)
	c.exits(0)
	where := []string{"--admin", c.admin, "--data", data, "--rules", rules}
	if got := rulesOf(t, where...); got["job.star:message:^job "].State != "disabled" || got["spin.star:spinner"].State != "on" {
		t.Errorf("from the data directory: %+v", got)
	}
	if out := good(t, append([]string{"runs"}, where...)...); !strings.HasPrefix(out, "job.star:message:^job  is disabled since 20") {
		t.Errorf("runs:\n%s", out)
	}
	good(t, append([]string{"rules", "enable", "job.star:"}, where...)...)
	good(t, append([]string{"rules", "disable", "spinner"}, where...)...)
	if got := rulesOf(t, where...); got["job.star:message:^job "].State != "on" || got["spin.star:spinner"].State != "disabled" {
		t.Errorf("changed without a server: %+v", got)
	}
	if err := os.Remove(spinFile); err != nil {
		t.Fatal(err)
	}
	if got := rulesOf(t, where...)["spin.star:spinner"]; got.State != "disabled" || got.File != "" {
		t.Errorf("a rule that is off and gone: %+v", got)
	}
	good(t, append([]string{"rules", "enable", "spin.star:spinner"}, where...)...)
}

func TestRulesWithOddNamesCanBeSwitched(t *testing.T) {
	slow(t)
	rules := t.TempDir()
	text := ""
	ids := []string{"a/b%2F?#c", "ümlaut & ..", `"quoted" \d+ %`, "one", "one two"}
	for i, name := range ids {
		text += fmt.Sprintf("on.message(\"x%d\", lambda e: None, name = %q)\n", i, name)
	}
	writeFile(t, filepath.Join(rules, "sub", "o'dd name.star"), text)
	c := serve(t, newFakeSlack(t), rules, t.TempDir()).ready()
	server := []string{"--admin", c.admin}
	for _, name := range ids {
		id := "sub/o'dd name.star:" + name
		good(t, append([]string{"rules", "disable", name}, server...)...)
		if got := rulesOf(t, server...)[id]; got.State != "disabled" {
			t.Errorf("%s: %+v", id, got)
		}
		good(t, append([]string{"rules", "enable", id}, server...)...)
		if got := rulesOf(t, server...)[id]; got.State != "on" {
			t.Errorf("%s: %+v", id, got)
		}
	}
	bad(t, 1, `"on" is the beginning of 2 rules: sub/o'dd name.star:one, sub/o'dd name.star:one two`, append([]string{"rules", "disable", "on"}, server...)...)
}
