package rules_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestLoadErrors shows what the author of a bad registration is told:
// testdata/errors.golden holds it.
func TestLoadErrors(t *testing.T) {
	var got strings.Builder
	for _, c := range []struct{ name, line string }{
		{"regex", on("message", "regex", "deploy (x")},
		{"regex part", on("message", "regex", "ok [z-a]")},
		{"look-ahead", on("message", "regex", "a(?=b)")},
		{"repeat", on("message", "regex", "a{1001}")},
		{"regex of a wrong type", on("message", "regex", 5)},
		{"unknown option", on("message", "regex", "x", "chanels", "#a")},
		{"unknown registration", on("mesage", "regex", "x")},
		{"channel", on("message", "regex", "x", "channels", "Ops")},
		{"user", on("message", "regex", "x", "users", "ann")},
		{"team", on("message", "regex", "x", "teams", "acmee")},
		{"empty list", on("message", "regex", "x", "users", []string{})},
		{"option type", on("message", "regex", "x", "stop", "yes")},
		{"duration", on("message", "regex", "x", "cooldown", "10 minutes")},
		{"priority", on("message", "regex", "x", "priority", 1.5)},
		{"absent on a command", on("command", "command", "/x", "absent", true)},
		{"no handler", on("message", "regex", "x", "fn", "none")},
		{"command without slash", on("command", "command", "deploy")},
		{"grammar", on("command", "command", "/x", "args", "[a] <b>")},
		{"cron", on("schedule", "schedule", "61 * * * *")},
		{"cron fields", on("schedule", "schedule", "* * *")},
		{"cron that never comes", on("schedule", "schedule", "0 0 30 2 *")},
		{"time zone", on("schedule", "schedule", "@daily", "tz", "Mars/Base")},
		{"unguarded webhook", on("webhook", "route", "POST /h")},
		{"route", on("webhook", "route", "POST /h/{n:number}", "open", true)},
		{"route of Starling", on("webhook", "route", "POST /slack/events", "open", true)},
		{"route of the API", on("webhook", "route", "POST /api/mine", "open", true)},
		{"signature", on("webhook", "route", "/h", "signature", "gitub", "secret", map[string]string{"secret": "S"})},
		{"route of Flask", on("webhook", "route", "/h/<int:n>/", "open", true)},
		{"any of nothing", on("webhook", "route", "/h/{n:any()}", "open", true)},
		{"two paths", on("webhook", "route", "/{a:path}/{b:path}", "open", true)},
		{"method", on("webhook", "route", "post /h", "open", true)},
		{"no route and no name", on("webhook", "open", true)},
		{"open and guarded", on("webhook", "route", "/h", "open", true, "allow", "10.0.0.0/8")},
		{"signature without secret", on("webhook", "route", "/h", "signature", "stripe")},
		{"token as a signature", on("webhook", "route", "/h", "secret", "s", "signature", "bearer")},
		{"option of another scheme", on("webhook", "route", "/h", "secret", "s", "signature", "github", "encoding", "base64")},
		{"algorithm", on("webhook", "route", "/h", "secret", "s", "signature", "hmac", "algorithm", "sha-256")},
		{"header", on("webhook", "route", "/h", "secret", "s", "header", "X Mine")},
		{"empty secret", on("webhook", "route", "/h", "secret", "")},
		{"password without user", on("webhook", "route", "/h", "basic", "secret")},
		{"two authorizations", on("webhook", "route", "/h", "basic", "a:b", "bearer", "c")},
		{"address", on("webhook", "route", "/h", "allow", []string{"10.0.0.0/8", "home"})},
		{"rate", on("webhook", "route", "/h", "open", true, "rate", "60 per minute")},
		{"rate of nothing", on("webhook", "route", "/h", "open", true, "rate", "0/m")},
		{"max_body", on("webhook", "route", "/h", "open", true, "max_body", "a lot")},
		{"dedupe", on("webhook", "route", "/h", "open", true, "dedupe", 5)},
		{"raw form_param", on("webhook", "route", "/h", "open", true, "raw", true, "form_param", "p")},
		{"two routes", on("webhook", "route", "POST /h/{a}", "open", true) + "\n" + on("webhook", "route", "GET,POST /h/{b}/", "open", true)},
		{"two routes of any", on("webhook", "route", "/h/{a:any(x,y)}", "open", true) + "\n" + on("webhook", "route", "/h/{b:any(y,z)}", "open", true)},
		{"two answers", on("command", "command", "/x") + "\n" + on("command", "command", "/x", "users", "U1")},
		{"two names", on("message", "regex", "x", "name", "n") + "\n" + on("message", "regex", "y", "name", "n")},
		{"several at once", on("message", "regex", "(", "stop", 1) + "\n" + on("home", "priority", "high")},
	} {
		dir := t.TempDir()
		write(t, dir, "a.fake", c.line)
		s, report := load(t, newLoader(t, dir))
		if s.Len() != 0 || report.Errors != 1 {
			t.Errorf("%s: %d rules, %d errors, want 0 and 1", c.name, s.Len(), report.Errors)
		}
		got.WriteString("# " + c.name + "\n" + report.Files[0].Errors.Detail() + "\n")
	}
	const golden = "testdata/errors.golden"
	if *update {
		write(t, ".", golden, got.String())
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s (-update writes it anew)", d)
	}
}

func TestSeveralAnswersThatNeverMeet(t *testing.T) {
	t.Parallel()
	for _, lines := range [][2]string{
		{on("command", "command", "/x", "teams", "acme"), on("command", "command", "/x", "teams", "T9")},
		{on("command", "command", "/x", "bots", "one"), on("command", "command", "/x", "bots", "two")},
		{on("command", "command", "/x"), on("command", "command", "/x", "enabled", false)},
		{on("action", "id", "a", "block", "x"), on("action", "id", "a", "block", "y")},
		{on("webhook", "route", "GET /x/{a}", "open", true), on("webhook", "route", "POST /x/{b}", "open", true)},
		{on("webhook", "route", "GET /x/{a}", "open", true), on("webhook", "route", "GET /x/{a:int}", "open", true)},
		{on("view", "callback_id", "a"), on("view_closed", "callback_id", "a")},
		{on("message", "regex", "a"), on("message", "regex", "a")},
	} {
		if s := set(t, lines[0], lines[1]); s.Len() != 2 {
			t.Errorf("%v: %d rules", lines, s.Len())
		}
	}
}
