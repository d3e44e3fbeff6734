package rules_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

func TestLintFindsWhatRulesCanNeverDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, want string }{
		"every text":             {on("message", "regex", "a*"), `on.message: "a*" is found in every text`},
		"every text from start":  {on("message", "regex", "^(deploy)?"), "is found in every text"},
		"every text to the end":  {on("message", "regex", "(now)?$"), "is found in every text"},
		"any but a line break":   {on("message", "regex", ".+"), ""},
		"one line":               {on("message", "regex", "^.*$"), ""},
		"the empty text":         {on("message", "regex", "^$"), ""},
		"a branch for all":       {on("message", "regex", "deploy|"), "is found in every text"},
		"never, start":           {on("message", "regex", "deploy^"), `"deploy^" can match no text at all`},
		"never, end":             {on("mention", "regex", "a$b"), "can match no text"},
		"never, id":              {on("action", "id", "x$y"), "can match no text"},
		"lines":                  {on("message", "regex", "(?m)a$\n^b"), ""},
		"always absent":          {on("message", "regex", "x*", "absent", true), "with absent the rule never fires"},
		"own mention":            {on("mention", "regex", "^<@U[A-Z0-9]+> help"), "the mention of the bot is cut off"},
		"a channel without hash": {on("message", "regex", "x", "channels", []string{"ops"}), `"ops" is a name without its #`},
		"a channel":              {on("message", "regex", "x", "channels", []string{"#ops", "C012AB"}), ""},
		"a view in a channel":    {on("view", "callback_id", "x", "channels", []string{"#ops"}), "channels: submissions of views come from no channel, so the rule never matches"},
		"a user of a webhook":    {on("webhook", "route", "/x", "open", true, "users", []string{"U1A"}), "users: webhooks come from no user"},
		"bots only":              {on("message", "regex", "x", "users", []string{"B01AB"}), "add from_bots=True"},
		"bots admitted":          {on("message", "regex", "x", "users", []string{"B01AB"}, "from_bots", true), ""},
		"ambiguous args":         {on("command", "command", "/x", "args", "[env=staging|prod] [note...]"), "is ambiguous: what is meant for [note...] is taken for [env=staging|prod]"},
		"clear args":             {on("command", "command", "/x", "args", "<app> [env=staging|prod] [--dry-run]"), ""},
		"disabled":               {on("message", "regex", "a*", "enabled", false), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range rules.Lint(set(t, c.line).Rules()) {
				got = append(got, f.Msg+" ("+f.Hint+")")
			}
			text := strings.Join(got, "\n")
			if c.want == "" && text != "" || !strings.Contains(text, c.want) {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

func TestUnreachableRulesAreThoseAStopSurelyCovers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second string
		want          bool
	}{
		"all":                  {on("message", "stop", true), on("message", "regex", "x"), true},
		"no stop":              {on("message"), on("message", "regex", "x"), false},
		"the same":             {on("message", "regex", "x+", "stop", true), on("message", "regex", "x+"), true},
		"a part":               {on("message", "regex", "deploy", "stop", true), on("message", "regex", "deploy api"), true},
		"a part in any case":   {on("message", "regex", "(?i)DEPLOY", "stop", true), on("message", "regex", "deploy api"), true},
		"another case":         {on("message", "regex", "deploy", "stop", true), on("message", "regex", "(?i)deploy api"), false},
		"from the start":       {on("message", "regex", "^deploy", "stop", true), on("message", "regex", "^deploy api"), true},
		"not from the start":   {on("message", "regex", "^deploy", "stop", true), on("message", "regex", "deploy api"), false},
		"another part":         {on("message", "regex", "roll", "stop", true), on("message", "regex", "deploy api"), false},
		"a narrower channel":   {on("message", "stop", true, "channels", []string{"#ops"}), on("message", "regex", "x"), false},
		"the same channel":     {on("message", "stop", true, "channels", []string{"#ops", "#dev"}), on("message", "regex", "x", "channels", []string{"#ops"}), true},
		"threads":              {on("message", "stop", true), on("message", "regex", "x", "threads", true), false},
		"a predicate":          {on("message", "stop", true, "when", "w"), on("message", "regex", "x"), false},
		"another kind":         {on("message", "stop", true), on("mention", "regex", "x"), false},
		"a higher priority":    {on("message", "stop", true), on("message", "regex", "x", "priority", 1), false},
		"everything is seen":   {on("event", "type", "team_join", "stop", true), on("event", "type", "*"), false},
		"schedules are apart":  {on("schedule", "schedule", "every 1m", "stop", true), on("schedule", "schedule", "every 1m"), false},
		"a reaction, removed":  {on("reaction", "emoji", "eyes", "stop", true), on("reaction", "emoji", "eyes", "removed", true), false},
		"a reaction, the same": {on("reaction", "emoji", "eyes", "stop", true), on("reaction", "emoji", ":eyes:"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := rules.Unreachable(set(t, c.first, c.second).Rules())
			if (len(found) == 1) != c.want || len(found) > 1 {
				t.Errorf("got %+v, want %v", found, c.want)
			}
		})
	}
}

// What covers is held against what matches: no message reaches a rule that is
// said to be unreachable.
func TestAnUnreachableRuleMatchesNoMessage(t *testing.T) {
	t.Parallel()
	patterns := []string{"", "a", "(?i)A", "^a", "ab", "(?i)ab", "^ab", "b+", "b"}
	texts := []string{"", "a", "A", "ab", "AB", "xab", "b", "bb", "xb"}
	found := 0
	for _, p := range patterns {
		for _, q := range patterns {
			s := set(t, on("message", "regex", p, "stop", true), on("message", "regex", q))
			for _, f := range rules.Unreachable(s.Rules()) {
				found++
				for _, text := range texts {
					for _, m := range s.Match(message(text), nil) {
						if m.Rule == f.Rule {
							t.Errorf("%q stops, %q is said to be unreachable, and runs on %q", p, q, text)
						}
					}
				}
			}
		}
	}
	if found < len(patterns) {
		t.Errorf("found %d unreachable rules, want at least those of equal patterns", found)
	}
}

func TestWarningsFollowTheSwapAndAreToldOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.fake", on("message", "regex", "a*")+"\n"+on("message", "stop", true)+"\n"+on("message", "regex", "never"))
	write(t, dir, "b.fake", on("message", "regex", "fine"))
	var told atomic.Int64
	log := slog.New(counting{slog.DiscardHandler, &told})
	l := rules.NewLoader(rules.LoaderOptions{
		Dirs: []string{dir}, Pool: newPool(t), Languages: map[string]string{".fake": "fake"}, Logger: log, Poll: 20 * time.Millisecond,
		Lint: func(v *rules.Version) (out []*runtime.Error) {
			for _, f := range rules.Lint(v.Rules) {
				out = append(out, f.Problem(v.Bundle))
			}
			return out
		},
	})
	if _, rep := load(t, l); rep.Warnings != 0 {
		t.Errorf("%d warnings before anybody looked", rep.Warnings)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Watch(ctx) }()
	wait(t, "the warnings", func() bool { return l.Report().Warnings == 3 })
	if f := l.Report().Files[0]; len(f.Warnings) != 2 || f.Warnings[0].Kind != runtime.LintError || f.Warnings[0].Line == "" || len(f.Errors) != 0 {
		t.Errorf("got %+v", f)
	}
	if n := told.Load(); n != 3 {
		t.Errorf("%d log lines, want 3", n)
	}
	write(t, dir, "a.fake", on("message", "regex", "aa*"))
	wait(t, "no warnings", func() bool { return l.Report().Warnings == 0 })
	if n := told.Load(); n != 3 {
		t.Errorf("%d log lines, want still 3", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// counting counts the warnings of a log.
type counting struct {
	slog.Handler
	n *atomic.Int64
}

func (c counting) Enabled(context.Context, slog.Level) bool { return true }

func (c counting) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "rule file is questionable" {
		c.n.Add(1)
	}
	return nil
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestTryChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.fake", on("command", "command", "/x"))
	l := newLoader(t, dir)
	load(t, l)
	if _, errs, err := l.Try(t.Context(), "b.fake", []byte(on("command", "command", "/x"))); err != nil || !strings.Contains(errs.Error(), "is answered already by the rule at a.fake:1:1") {
		t.Errorf("got %v, %v", errs, err)
	}
	if v, errs, err := l.Try(t.Context(), "a.fake", []byte(on("command", "command", "/y"))); err != nil || errs != nil || v.Rules[0].Pattern != "/y" {
		t.Errorf("got %v, %v", errs, err)
	}
	if got := l.Current().OfKind(event.Command); len(got) != 1 || got[0].Pattern != "/x" {
		t.Errorf("after trying, %v is in force", got)
	}
}

func TestDeclaredLeavesAloneWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	pos := runtime.Position{Path: "a.star", Line: 1, Col: 1}
	reg := func(name string, pairs ...any) runtime.Registration {
		return runtime.Registration{Name: name, Pos: pos, Args: runtime.NewDict(pairs...)}
	}
	b := runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte("x")}, nil)
	u := runtime.Unknown{}
	for name, c := range map[string]struct {
		reg    runtime.Registration
		spread bool
		want   string
	}{
		"a bad regex":                {reg("on.message", "regex", "(", "fn", u), false, "bad regex"},
		"an unknown regex":           {reg("on.message", "regex", u, "fn", u, "absent", true), false, ""},
		"an unknown secret":          {reg("on.webhook", "route", "/x", "fn", u, "secret", u), false, ""},
		"no secret":                  {reg("on.webhook", "route", "/x", "fn", u), false, "nothing says who may call /x"},
		"perhaps a secret":           {reg("on.webhook", "route", "/x", "fn", u), true, ""},
		"an unknown route":           {reg("on.webhook", "route", u, "fn", u, "open", true), false, ""},
		"a bad channel among others": {reg("on.message", "regex", "x", "fn", u, "channels", runtime.List{"#ok", u}), false, ""},
		"a bad zone":                 {reg("on.schedule", "schedule", "0 0 * * *", "fn", u, "tz", "Mars"), false, "unknown time zone"},
		"a cron that never comes":    {reg("on.schedule", "schedule", "0 0 30 2 *", "fn", u), false, "it never comes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, errs := rules.Declared(b, []runtime.Registration{c.reg}, []bool{c.spread}, nil)
			got := errs.Error()
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
