package rules_test

import (
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// costly is a pattern of about 100 instructions that is never found in text
// without an exclamation mark, and takes 15 ms or more to be not found in 8 KB.
func costly(i int) string { return fmt.Sprintf("(?:.?){47}[^a-z%d]", i%10) }

var longText = strings.Repeat("ab", runtime.MaxMatchText/2)

func TestAScriptSpendsItsTimeOnAnEventAndNoMore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var evil []string
	for i := range 1500 {
		evil = append(evil, on("message", "regex", costly(i), "name", fmt.Sprint("evil", i)))
	}
	write(t, dir, "evil.fake", strings.Join(evil, "\n")+"\n"+on("message", "regex", `^abab`, "name", "last"))
	write(t, dir, "good.fake", on("message", "regex", `ab$`, "name", "good"))
	s, report := load(t, newLoader(t, dir))
	if report.Errors > 0 {
		t.Fatal(report.Files[0].Errors.Detail())
	}
	e := message(longText)
	matches, over := s.MatchWithin(e, nil, nil)
	if len(matches) != 1 || matches[0].Rule.Name != "good" {
		t.Errorf("matched %v, want the rule of the other script alone", matches)
	}
	if len(over) != 1500 {
		t.Errorf("%d rules took too long, want all of the costly ones and not the last", len(over))
	}
	tried := 0
	for _, o := range over {
		if o.Took > 0 {
			tried++
		}
		if o.Script <= rules.MaxScriptTime || o.Script > rules.MaxScriptTime+5*time.Second {
			t.Fatalf("the script's time is %s", o.Script)
		}
		if p := o.Problem(); p.Limit != runtime.LimitMatch || p.Pos.Path != "evil.fake" || p.Pos.Line == 0 {
			t.Fatalf("the problem is %+v", p)
		}
	}
	if tried == 0 || tried > 20 {
		t.Errorf("%d patterns were tried", tried)
	}
	why := map[string]string{}
	for _, v := range s.Explain(e) {
		why[v.Rule.Name] = v.Why
	}
	if !strings.Contains(why["evil1400"], "was not tried") || !strings.Contains(why["last"], "was not tried") || why["good"] != "" {
		t.Errorf("explained %q, %q, %q", why["evil1400"], why["last"], why["good"])
	}

	off := func(r *rules.Rule) bool { return strings.HasPrefix(r.Name, "evil") }
	matches, over = s.MatchWithin(e, nil, off)
	if len(matches) != 2 || len(over) != 0 {
		t.Errorf("with the costly ones off %d match, %d take too long", len(matches), len(over))
	}
	for _, v := range s.ExplainWithin(e, off) {
		if v.Rule.Name == "evil1400" && !v.Off || v.Rule.Name == "good" && !v.Matched {
			t.Fatalf("%s: %+v", v.Rule.Name, v)
		}
	}
}

func TestOnePatternThatTakesLongIsToBlameAloneAndOrdinaryOnesNever(t *testing.T) {
	t.Parallel()
	s := set(t,
		on("message", "regex", `(.*){1,40}[^a-z]`, "name", "slow"),
		on("message", "regex", `ab$`, "name", "quick"),
		on("message", "regex", `(?i)\bdeploy\s+(?P<app>[\w-]{1,40})`, "name", "ordinary"),
	)
	_, over := s.MatchWithin(message(longText), nil, nil)
	if len(over) != 1 || over[0].Rule.Name != "slow" || over[0].Took <= rules.MaxMatchTime {
		t.Errorf("took too long: %+v", over)
	}
	for range 50 {
		if _, over := s.MatchWithin(message("please deploy api now, ab"), nil, nil); len(over) > 0 {
			t.Fatalf("on a short text: %+v", over)
		}
	}
}

func TestIDsAreOnTheAccountToo(t *testing.T) {
	t.Parallel()
	s := set(t, on("action", "id", "(.*){1,40}[^a-z]", "name", "a"), on("action", "id", "ok", "block", map[string]any{"re": "(.*){1,40}[^a-z]"}, "name", "b"))
	e := &event.Event{Kind: event.Action, Type: "block_actions", Team: "TACME"}
	for range 64 {
		e.Actions = append(e.Actions, event.ActionRef{ActionID: longText}, event.ActionRef{ActionID: "ok", BlockID: longText})
	}
	_, over := s.MatchWithin(e, nil, nil)
	if len(over) == 0 {
		t.Error("nothing took too long")
	}
}

func TestLargePatternsLookAtLessOfATextAndSmallOnesAtAllOfIt(t *testing.T) {
	t.Parallel()
	large := "(?:" + strings.Repeat("x?", 230) + ")END"
	for pattern, last := range map[string]int{large: 2000, "E(N)D": runtime.MaxMatchText - 3} {
		s := set(t, on("message", "regex", pattern, "name", "r"))
		if got := fired(s, message(strings.Repeat("y", last)+"END")); got != "r" {
			t.Errorf("%.20s at %d bytes: %q", pattern, last, got)
		}
		if got := fired(s, message(strings.Repeat("y", last+300)+"END")); got != "" {
			t.Errorf("%.20s behind %d bytes: %q", pattern, last, got)
		}
	}
}

// One letter that is the literal of thousands of rules stands in the text
// thousands of times.
func TestOneLetterThatManyRulesLookForCostsLittle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for f := range 10 {
		var lines []string
		for i := range 1000 {
			lines = append(lines, on("message", "regex", fmt.Sprintf("a.%d", i), "users", []string{"@nobody"}))
		}
		write(t, dir, fmt.Sprintf("f%d.fake", f), strings.Join(lines, "\n"))
	}
	s, _ := load(t, newLoader(t, dir))
	e := message(strings.Repeat("a", 40_000))
	best := time.Hour
	for range 5 {
		began := time.Now()
		s.Match(e, nil)
		best = min(best, time.Since(began))
	}
	if best > 30*time.Millisecond { // 400 million postings without care: half a second
		t.Errorf("the event took %s to match", best)
	}
}

func TestWhatAScriptMayRegisterIsBounded(t *testing.T) {
	t.Parallel()
	many := func(n int, line func(i int) string) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = line(i)
		}
		return out
	}
	texts := func(n int, format string) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf(format, i))
		}
		return out
	}
	for name, c := range map[string]struct {
		lines []string
		want  string
		line  int
	}{
		"instructions": {many(rules.MaxInstructions/400+1, func(i int) string {
			return on("message", "regex", strings.Repeat("a", 396)+fmt.Sprintf("%02d", i%100))
		}), "the patterns of the script come to 200400 instructions, at most 200000", rules.MaxInstructions/400 + 1},
		"entries of a list":  {[]string{on("message", "regex", "x", "channels", texts(rules.MaxList+1, "C%d"))}, "channels has 1001 entries", 1},
		"entries of teams":   {[]string{on("message", "regex", "x", "teams", texts(rules.MaxTeams+1, "T%d"))}, "teams has 101 entries", 1},
		"entries in all":     {many(21, func(int) string { return on("message", "regex", "x", "users", texts(rules.MaxList, "U%d")) }), "come to 21000 entries", 21},
		"globs":              {[]string{on("message", "regex", "x", "channels", texts(rules.MaxGlobs+1, "#a*%d"))}, "with * come to 501", 1},
		"length of an entry": {[]string{on("message", "regex", "x", "hosts", []string{strings.Repeat("h", 257)})}, "an entry of hosts has 257 bytes", 1},
		"webhooks": {many(rules.MaxHooks+1, func(i int) string {
			return on("webhook", "route", fmt.Sprintf("/h%d", i), "open", true)
		}), "the webhooks of the script come to 501", rules.MaxHooks + 1},
		"a route":   {[]string{on("webhook", "route", "/"+strings.Repeat("{a}", 200), "open", true)}, "the route has 601 bytes", 1},
		"its parts": {[]string{on("webhook", "route", strings.Repeat("/a", 65), "open", true)}, "65 parts", 1},
		"a grammar": {[]string{on("command", "command", "/x", "args", strings.Repeat("a ", 501))}, "1002 bytes", 1},
		"its words": {[]string{on("command", "command", "/x", "args", strings.Repeat("a ", 65))}, "more than 64 words", 1},
		"a cron":    {[]string{on("schedule", "schedule", "0 9 * * "+strings.Repeat("1,", 100)+"1")}, "the schedule has", 1},
		"schedules": {many(rules.MaxSchedules+1, func(i int) string {
			return on("schedule", "schedule", fmt.Sprintf("every %dm", i+1))
		}), "come to 201 rules", rules.MaxSchedules + 1},
		"years": {many(rules.MaxYears+1, func(i int) string {
			return on("schedule", "schedule", fmt.Sprintf("0 0 %d 29 2 * 2024-2027", i))
		}), "with a year come to 11 rules", rules.MaxYears + 1},
		"what never comes": {many(rules.MaxSchedules, func(i int) string {
			return on("schedule", "schedule", fmt.Sprintf("%d 0 31 2 *", i%60))
		}), "it never comes", 1},
		"those that answer the same": {many(rules.MaxSame+1, func(i int) string {
			return on("command", "command", "/x", "teams", []string{fmt.Sprintf("T%d", i)})
		}), "is answered already", rules.MaxSame + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "a.fake", strings.Join(c.lines, "\n"))
			began := time.Now()
			_, report := load(t, newLoader(t, dir))
			took := time.Since(began)
			if report.Errors == 0 {
				t.Fatal("loaded")
			}
			errs := report.Files[0].Errors
			at := slices.IndexFunc(errs, func(e *runtime.Error) bool { return strings.Contains(e.Msg, c.want) })
			if at < 0 || errs[at].Pos.Line != c.line {
				t.Errorf("errors: %s\nwant one of line %d: %s", errs.Detail(), c.line, c.want)
			}
			if took > 5*time.Second {
				t.Errorf("loading took %s", took)
			}
		})
	}
}

func TestAScheduleThatIsOverIsLookedForOnce(t *testing.T) {
	t.Parallel()
	s, err := rules.ParseSchedule("0 0 0 29 2 * 2024-2027", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	began := time.Now()
	for i := range 1000 { // 100 s, each time anew
		if next := s.Next(at.Add(time.Duration(i) * time.Hour)); !next.IsZero() {
			t.Fatalf("due at %s", next)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	s, err = rules.ParseSchedule("30 9 * * *", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"2026-01-02T09:00:00Z", "2026-01-02T09:30:00Z"},
		{"2026-01-02T09:29:59Z", "2026-01-02T09:30:00Z"},
		{"2026-01-02T09:30:00Z", "2026-01-03T09:30:00Z"},
		{"2026-01-01T00:00:00Z", "2026-01-01T09:30:00Z"}, // the clock was set back
	} {
		from, _ := time.Parse(time.RFC3339, c[0])
		if got := s.Next(from).Format(time.RFC3339); got != c[1] {
			t.Errorf("after %s: %s, want %s", c[0], got, c[1])
		}
	}
}

func TestLongListsAndManyStopsAreComparedInLittleTime(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 700 {
		lines = append(lines,
			on("message", "regex", fmt.Sprintf("(?i)%s%d", strings.Repeat("é", 20), i), "stop", true, "priority", 5, "users", []string{"U1", "U2"}),
			on("message", "regex", fmt.Sprintf("(?i)%s%dx", strings.Repeat("é", 20), i), "users", []string{"U1", "U2"}))
	}
	s := set(t, lines...)
	began := time.Now()
	rules.Unreachable(s.Rules())
	if took := time.Since(began); took > 8*time.Second { // minutes, if each pair is parsed
		t.Errorf("it took %s", took)
	}
}

// The texts of one script's patterns are cut before they fill the memory.
func TestTheIndexOfAScriptIsBounded(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 1200 {
		lines = append(lines, on("message", "regex", fmt.Sprintf("[a-p]%c%c%s%03d", 0x100+i, 0x4e00+i, strings.Repeat(string(rune(0xc0+i%64)), 20), i), "name", fmt.Sprint("r", i)))
	}
	var before, after goruntime.MemStats
	goruntime.GC()
	goruntime.ReadMemStats(&before)
	s := set(t, lines...)
	goruntime.GC()
	goruntime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 150<<20 { // of 1.2 million bytes of text
		t.Errorf("the rules take %d MiB", grown>>20)
	}
	for _, i := range []int{0, 7, 1199} {
		text := fmt.Sprintf("xc%c%c%s%03dx", 0x100+i, 0x4e00+i, strings.Repeat(string(rune(0xc0+i%64)), 20), i)
		if got := fired(s, message(text)); got != fmt.Sprint("r", i) {
			t.Errorf("%q: %q", text, got)
		}
	}
	goruntime.KeepAlive(s)
}
