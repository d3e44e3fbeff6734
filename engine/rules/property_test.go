package rules_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// words are what random texts and patterns are made of: they overlap, differ
// in case, and hold the runes whose case forms are odd.
var words = []string{
	"deploy", "Deploy", "DEPLOY", "ploy", "de", "api", "to", "prod", "x", "k", "\u212a", "s", "\u017f", "grün", "GRÜN", " ", "  ", "7", "42",
	"-", "über", "Ö", "\xff", "", "e", "dep", "oyap", "kiss", "\u212ai\u017fs",
}

// pieces are parts of patterns; %s stands for a word.
var pieces = []string{
	"%s", "(?i:%s)", "(%s)?", "(%s)+", "(?:%s|%s)", "(?i:%s|%s)", "[a-f]", "[^x]", ".", ".*", `\d+`, `\b`, "^", "$", "(?P<n>%s)", "(?:%s){2}", "[sk]", "(?i:[sk])",
	"(?:%s){0,2}", "(?:%s|)", "(?s:.)", "(?:%s%s|%s.)", "",
}

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(8) {
		b.WriteString(words[r.IntN(len(words))])
	}
	return b.String()
}

func randomPattern(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		p := pieces[r.IntN(len(pieces))]
		for strings.Contains(p, "%s") {
			p = strings.Replace(p, "%s", regexp.QuoteMeta(strings.ToValidUTF8(words[r.IntN(len(words))], "")), 1)
		}
		b.WriteString(p)
	}
	if _, err := regexp.Compile(b.String()); err != nil {
		return "deploy"
	}
	return b.String()
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomRule makes a line for one of the kinds, with random options.
func randomRule(r *rand.Rand, n int) string {
	pairs := []any{"name", fmt.Sprint("r", n)}
	opt := func(odds int, key string, v ...any) {
		if r.IntN(odds) == 0 {
			pairs = append(pairs, key, v[r.IntN(len(v))])
		}
	}
	opt(4, "channels", "C1", "#ops", []string{"C2", "#team-*"}, []string{"C1", "ops"})
	opt(5, "users", "U1", "@ann", []string{"U2", "B9"})
	opt(6, "teams", "acme", "T9")
	opt(6, "bots", "helper", "A2")
	opt(4, "priority", -1, 1, 2)
	opt(8, "stop", true)
	opt(8, "when", "p")
	opt(10, "enabled", false)
	opt(4, "from_bots", true)
	kind := pick(r, "message", "message", "message", "mention", "mention", "action", "reaction", "event", "view", "options", "webhook", "command")
	switch kind {
	case "message", "mention":
		opt(3, "threads", true)
		opt(3, "edits", true)
		pattern := randomPattern(r)
		pairs = append(pairs, "regex", pattern)
		if pattern != "" {
			opt(6, "absent", true)
		}
	case "action":
		pairs = append(pairs, "id", fmt.Sprintf("%s%d", pick(r, "ok", "no", "ok|no", "o.*", "[a-z]+"), n))
		opt(3, "block", "b1")
	case "options":
		pairs = append(pairs, "action_id", pick[any](r, fmt.Sprint("ok", n), re(fmt.Sprint("ok|no", n))))
	case "view":
		pairs = append(pairs, "callback_id", pick[any](r, fmt.Sprint("ok", n), re(fmt.Sprintf("(ok|no)%d?", n))))
	case "reaction":
		pairs = append(pairs, "emoji", pick(r, "eyes", "+1", "eyes|tada", "(?i)TADA", ".*"))
		opt(3, "removed", true)
	case "event":
		pairs = append(pairs, "type", pick(r, "*", "message", "app_mention", "team_join", "message.channel_join", "block_actions"))
	case "webhook":
		pairs = append(pairs, "route", fmt.Sprintf("%s /h/%s/r%d", pick(r, "POST", "GET"), pick(r, "{a}", "{n:int}", "x"), n), "open", true)
	case "command":
		pairs = append(pairs, "command", fmt.Sprint("/c", n))
		opt(2, "args", "<a> [b:int]")
	}
	return on(kind, pairs...)
}

func randomEvent(r *rand.Rand, rulesCount int) *event.Event {
	n := r.IntN(rulesCount)
	e := &event.Event{
		Kind: pick(r, event.Message, event.Message, event.Message, event.Mention, event.Action, event.Reaction, event.Submit, event.Options, event.Webhook, event.Command, event.Other),
		Team: pick(r, "TACME", "T9"), App: pick(r, "A1", "A2"), Bot: pick(r, "helper", "other"), BotUser: pick(r, "UBOT", ""),
		User: pick(r, "U1", "U2", "UANN", "UBOT", "USLACKBOT", ""), BotID: pick(r, "", "", "", "B9"), Channel: pick(r, "C1", "C2", "COPS", "CTEAM", ""),
		Subtype: pick(r, "", "", "", "channel_join", "thread_broadcast", "bot_message"),
		Text:    pick(r, "", "", "<@UBOT> ", "<@UBOT>: ") + randomText(r), ThreadMsg: r.IntN(4) == 0, Edited: r.IntN(5) == 0, Unchanged: r.IntN(3) == 0,
		IM: r.IntN(5) == 0, Removed: r.IntN(3) == 0, Reaction: pick(r, "eyes", "tada", "TADA", "+1", "+1::skin-tone-2"),
		CallbackID: fmt.Sprint(pick(r, "ok", "no"), n), Command: fmt.Sprint("/c", n),
	}
	for range r.IntN(3) + 1 {
		e.Actions = append(e.Actions, event.ActionRef{ActionID: fmt.Sprint(pick(r, "ok", "no", "oooh"), n), BlockID: pick(r, "b1", "b2")})
	}
	switch e.Kind {
	case event.Message:
		e.Type = "message"
	case event.Mention:
		e.Type = "app_mention"
	case event.Action:
		e.Type = pick(r, "block_actions", "interactive_message")
	case event.Other:
		e.Type = "team_join"
	case event.Webhook:
		e.Request = &event.Request{Method: pick(r, "POST", "GET"), Path: fmt.Sprintf("/h/%s/r%d", pick(r, "17", "x", "y"), n)}
	}
	return e
}

// agreement builds a Set of random rules and compares what Match finds through
// the index with what Explain finds by trying every rule.
func agreement(t *testing.T, seed uint64, rulesCount, events int) {
	r := rand.New(rand.NewPCG(seed, 7))
	lines := make([]string, rulesCount)
	for i := range lines {
		lines[i] = randomRule(r, i)
	}
	dir := t.TempDir()
	write(t, dir, "a.fake", strings.Join(lines, "\n"))
	s, report := load(t, newLoader(t, dir))
	if report.Errors > 0 {
		t.Fatalf("seed %d: %v", seed, report.Files[0].Errors.Detail())
	}
	for range events {
		e := randomEvent(r, rulesCount)
		var want, got []string
		for _, v := range s.Explain(e) {
			if v.Matched {
				want = append(want, describe(v.Rule, v.Groups, v.Usage))
			}
		}
		for _, m := range s.Match(e, nil) {
			got = append(got, describe(m.Rule, m.Groups, m.Usage))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("seed %d: event %+v: Explain (-) and Match (+) disagree:\n%s", seed, e, d)
		}
	}
}

func describe(r *rules.Rule, m *event.Match, usage string) string {
	if m == nil {
		return r.ID + " " + r.String() + usage
	}
	return fmt.Sprint(r.ID, r, m.Groups, m.Present, usage)
}

func TestMatchAgreesWithExplain(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		agreement(t, seed, 60, 150)
	}
}

func FuzzMatchAgreesWithExplain(f *testing.F) {
	for _, p := range []string{"deploy|release", "(?i)k+iss", "(a|)b", "^x{2,}y?z$", "[sk]top", "(?i)grün.*ss"} {
		f.Add(p, "please DEPLOY k\u212aiss GRÜN ss xxyz stop")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if _, err := runtime.CheckPattern(pattern); err != nil || len(pattern) > rules.MaxPattern || !validText(pattern) {
			t.Skip()
		}
		s := set(t, on("message", "regex", pattern), on("mention", "regex", pattern), on("message", "regex", "decoy deploy"))
		for _, e := range []*event.Event{message(text), message("<@UBOT> " + text)} {
			var want []string
			for _, v := range s.Explain(e) {
				if v.Matched {
					want = append(want, describe(v.Rule, v.Groups, v.Usage))
				}
			}
			var got []string
			for _, m := range s.Match(e, nil) {
				got = append(got, describe(m.Rule, m.Groups, m.Usage))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%q on %q: %s", pattern, text, d)
			}
		}
	})
}

// validText reports whether JSON can carry the text as it is.
func validText(s string) bool { return strings.ToValidUTF8(s, "") == s && !strings.ContainsRune(s, 0) }
