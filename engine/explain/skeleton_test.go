package explain_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/payload"
)

// check loads the skeletons of many events at once and reports what does not
// load, does not match, or fails when it runs.
func check(t *testing.T, events map[string]*event.Event) {
	t.Helper()
	for _, lang := range []string{"star", "lua"} {
		for name, e := range events {
			s := explain.Skeletons(e)[lang]
			if !strings.HasSuffix(s.File, "."+lang) {
				t.Errorf("%s: file %q", name, s.File)
			}
			o := open(t, map[string]string{s.File: s.Text})
			if rep := o.Report(); rep.Errors > 0 {
				t.Errorf("%s does not load: %v\n%s", name, rep.Files, s.Text)
				continue
			}
			rep := explained(t, o, e)
			if rep.Matched != 1 {
				t.Errorf("%s is not matched: %+v\n%s", name, rep.Rules, s.Text)
				continue
			}
			if runs := rep.Rules[0].Runs; len(runs) != 1 || runs[0].Outcome != "done" {
				t.Errorf("%s: %+v\n%s", name, runs, s.Text)
			}
		}
	}
}

// TestSkeletonsMatchEveryKind: what explain offers for an event that nothing
// matched is a rule that loads, matches it and runs.
func TestSkeletonsMatchEveryKind(t *testing.T) {
	t.Parallel()
	bot := payload.Act{}.App
	events := map[string]*event.Event{}
	for _, kind := range payload.Kinds() {
		events[kind] = act(t, kind, payload.Act{Text: "deploy api to prod", CallbackID: "new_ticket", ActionID: "ok", Value: "v", Emoji: "tada"})
	}
	message := func(a payload.Act) *event.Event { return act(t, "message", a) }
	for name, e := range map[string]*event.Event{
		"direct message":    message(payload.Act{Text: "help me", Channel: "D1"}),
		"in a thread":       message(payload.Act{Text: "in a thread", Thread: "1.000001"}),
		"markup":            message(payload.Act{Text: "<@U123> &lt;see&gt; <https://x.y/?a=1|this> (now) [a|b]*"}),
		"nothing but links": message(payload.Act{Text: "<https://x.y>"}),
		"empty":             message(payload.Act{Text: " ", Fields: payload.Object{"text": ""}}),
		"other letters":     message(payload.Act{Text: "Größe  ΣΑΣ 日本語 \"quoted\" \\back"}),
		"a bot":             message(payload.Act{Text: "build 12 is red", Fields: payload.Object{"bot_id": "B1", "subtype": "bot_message"}}),
		"slackbot":          message(payload.Act{Text: "hello", User: "USLACKBOT"}),
		"own":               message(payload.Act{Text: "mine", User: "U0000000BOT", App: bot}),
		"topic":             message(payload.Act{Text: "set the topic", Fields: payload.Object{"subtype": "channel_topic"}}),
		"edit": message(payload.Act{Fields: payload.Object{
			"subtype": "message_changed", "message": payload.Object{"user": "U1", "text": "new text", "ts": "1.000001"}, "previous_message": payload.Object{"text": "old", "ts": "1.000001"},
		}}),
		"unchanged": message(payload.Act{Fields: payload.Object{
			"subtype": "message_changed", "message": payload.Object{"user": "U1", "text": "same", "ts": "1.000001"}, "previous_message": payload.Object{"text": "same", "ts": "1.000001"},
		}}),
		"mentioned later":  act(t, "mention", payload.Act{Text: "hey <@U0000000BOT>, deploy"}),
		"mention only":     act(t, "mention", payload.Act{}),
		"odd action id":    act(t, "action", payload.Act{ActionID: "vote[1]|a.b \"x\" \\", Value: "1"}),
		"odd callback":     act(t, "view", payload.Act{CallbackID: "form.v2?+"}),
		"no callback":      act(t, "shortcut", payload.Act{}),
		"reaction +1":      act(t, "reaction", payload.Act{Emoji: "+1"}),
		"skin tone":        act(t, "reaction", payload.Act{Emoji: "wave::skin-tone-3"}),
		"typeless":         {ID: "x", Kind: event.Other, Encoding: event.JSON, Raw: []byte(`{}`)},
		"a command":        act(t, "command", payload.Act{Command: "/deploy", Text: "api \"prod\""}),
		"webhook":          stored(t, `{"kind": "webhook", "request": {"method": "GET", "path": "/hooks/gh/42"}, "raw": "{}"}`),
		"webhook odd":      stored(t, `{"kind": "webhook", "request": {"method": "POST", "path": "/hooks/a%20b/{c}/"}, "raw": "x"}`),
		"webhook holes":    stored(t, `{"kind": "webhook", "request": {"method": "POST", "path": "/hooks//b"}, "raw": "x"}`),
		"schedule by name": stored(t, `{"kind": "schedule", "rule": "new_rule.star:tick", "scheduled_at": "2026-01-02T03:04:05Z"}`),
	} {
		events[name] = e
	}
	delete(events, "schedule by name")
	check(t, events)
	for _, lang := range []string{"star", "lua"} { // the id names the file, and with it the language
		e := stored(t, fmt.Sprintf(`{"kind": "schedule", "rule": "jobs/night.%s:schedule:0 9 * * MON-FRI"}`, lang))
		s := explain.Skeletons(e)[lang]
		if rep := explained(t, open(t, map[string]string{s.File: s.Text}), e); rep.Matched != 1 {
			t.Errorf("schedule: %+v\n%s in %s", rep.Rules, s.Text, s.File)
		}
	}
}

func stored(t *testing.T, text string) *event.Event {
	t.Helper()
	e, _, err := explain.Read("event", []byte(text), event.Meta{Received: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestSkeletonsMatchRecordedPayloads does the same for payloads that other
// projects have recorded.
func TestSkeletonsMatchRecordedPayloads(t *testing.T) {
	t.Parallel()
	dir := samples(t)
	events := map[string]*event.Event{}
	for _, sub := range []string{"events/envelopes", "interactive/payloads", "commands"} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "neg-") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if e, _, err := explain.Read(d.Name(), text, event.Meta{}); err == nil {
				events[d.Name()] = e
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(events) < 80 {
		t.Fatalf("%d payloads were read", len(events))
	}
	check(t, events)
}

// samples finds the recorded payloads beside this checkout.
func samples(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		dir = filepath.Dir(dir)
		if p := filepath.Join(dir, "shared", "slack-samples"); isDir(p) {
			return p
		}
	}
	t.Skip("../shared/slack-samples is not beside this checkout: recorded payloads are not tried")
	return ""
}

func isDir(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.IsDir()
}
