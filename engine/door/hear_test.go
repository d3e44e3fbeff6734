package door_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

func TestTellingFindsAWay(t *testing.T) {
	t.Parallel()
	tell := func(w *workspace, ev *event.Event) string {
		w.calls = nil
		w.live.Tell(t.Context(), run(message), ev, "not yours")
		return strings.Join(w.calls, "\n")
	}
	w := newWorkspace(t)
	if got := tell(w, button); !strings.HasPrefix(got, "response_url ") || !strings.Contains(got, `"response_type":"ephemeral"`) {
		t.Error(got)
	}
	w.answers["response_url"] = "404 used_url"
	has(t, tell(w, button), "response_url", `chat.postEphemeral {"channel":"C1","user":"U1","text":"not yours"}`)
	w.answers["chat.postEphemeral"] = `{"ok":false,"error":"user_not_in_channel"}`
	has(t, tell(w, button), "chat.postEphemeral", "conversations.open", `chat.postMessage {"channel":"D1","text":"not yours"}`)
	if got := tell(w, timer); got != "" {
		t.Errorf("nobody is told: %s", got)
	}
}

func TestSleepingAndBeginningLater(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	if p := w.park(t, run(message), "sleep", "duration", 90.0); !p.wait.Until.Equal(base.Add(90*time.Second)) || p.wait.Kind != wait.Sleep {
		t.Errorf("%+v", p.wait)
	}
	again := run(message)
	again.Intended = base.Add(-time.Minute)
	if p := w.park(t, again, "sleep", "duration", 90.0); !p.wait.Until.Equal(base.Add(30 * time.Second)) {
		t.Errorf("a crash prolongs the sleep: %+v", p.wait)
	}
	if p := w.park(t, run(message), "sleep", "duration", 0.0); p.wait != nil {
		t.Errorf("%+v", p.wait)
	}
	r := run(message)
	if got, _, _ := w.do(t, r, "after", "delay", 60.0, "fn", runtime.Func{Name: "f"}); !strings.Contains(got, "not possible here") {
		t.Error(got)
	}
	var at time.Time
	r.Later = func(_ context.Context, e runtime.Effect, when time.Time, fn runtime.Func, data runtime.Value) (string, error) {
		at = when
		return fmt.Sprintf("%s-%d-%v", fn.Name, e.Step, data), nil
	}
	r.Cancel = func(_ context.Context, id string) (bool, error) { return id == "x", nil }
	if got, _, _ := w.do(t, r, "after", "delay", 60.0, "fn", runtime.Func{Name: "f"}, "data", "d"); got != `"f-2-d"` || !at.Equal(base.Add(time.Minute)) {
		t.Error(got, at)
	}
	for id, want := range map[string]string{"x": "true", "y": "false"} {
		if got, _, _ := w.do(t, r, "cancel", "id", id); got != want {
			t.Error(id, got)
		}
	}
}

func TestModalsAreOpenedWithTheNewestTrigger(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	r := run(button)
	newest := door.Trigger{ID: "tr9", User: "U2", At: base.Add(time.Hour), ResponseURL: "https://hooks.slack.com/actions/9"}
	r.Trigger = func() door.Trigger { return newest }
	r.Later = func(context.Context, runtime.Effect, time.Time, runtime.Func, runtime.Value) (string, error) {
		return "", nil
	}
	w.now = newest.At.Add(2 * time.Second)
	view := form()
	if got, calls, _ := w.do(t, r, "open_modal", "view", view); !strings.Contains(calls, `"trigger_id":"tr9"`) || !strings.HasPrefix(got, `{"ok":true`) {
		t.Error(got, calls)
	}
	if _, calls, _ := w.do(t, r, "slack_action", "method", "views.open", "args", runtime.NewDict("view", view)); !strings.Contains(calls, `"trigger_id":"tr9"`) {
		t.Error(calls)
	}
	// Too old, or used: the person is asked for another one.
	for name, age := range map[string]time.Duration{"too old": 2600 * time.Millisecond, "used": time.Second} {
		w := newWorkspace(t)
		w.now = newest.At.Add(age)
		if name == "used" {
			w.answers["views.open"] = `{"ok":false,"error":"exchanged_trigger_id"}`
		}
		p := w.park(t, r, "open_modal", "view", view)
		has(t, w.calls[len(w.calls)-1], "response_url", `"action_id":"starling.ask:r1.2/continue"`, `"response_type":"ephemeral"`)
		if p.wait == nil || p.wait.Kind != wait.Trigger || p.wait.Until.IsZero() {
			t.Fatalf("%s: %+v", name, p.wait)
		}
		p.kind = p.wait.Kind // under which the dispatcher asks
		if h := p.hear(p.click("U1", "continue", "")); h.Verdict != wait.Refuse {
			t.Errorf("%+v", h)
		}
		h := p.hear(p.click("U2", "continue", ""))
		if h.Verdict != wait.Match {
			t.Fatalf("%+v", h)
		}
		delete(w.answers, "views.open")
		p.kind = "open_modal"
		got, calls := p.resume(wait.Answer{By: wait.ByEvent, Value: h.Answer, Event: wait.Origin{TriggerID: "tr10", Received: w.now}})
		if !strings.HasPrefix(got, `{"ok":true`) || !strings.Contains(calls, `"trigger_id":"tr10"`) {
			t.Error(got, calls)
		}
		if got, _ := p.resume(wait.Answer{By: wait.ByTimeout}); !strings.Contains(got, `"error":"expired_trigger_id"`) {
			t.Error(got)
		}
	}
	// Where nothing can wait it is an error as before.
	r.Later = nil
	w.now = newest.At.Add(4 * time.Second)
	if got, calls, _ := w.do(t, r, "open_modal", "view", view); !strings.Contains(got, "expired_trigger_id") || calls != "" {
		t.Error(got, calls)
	}
}

func TestEventsThatAreWaitedFor(t *testing.T) {
	t.Parallel()
	said := func(f func(*event.Event)) *event.Event {
		e := *inside
		e.Text, e.TS, e.Received = "done: ship it", "2.2", base.Add(time.Second)
		if f != nil {
			f(&e)
		}
		return &e
	}
	hook := &event.Event{Kind: event.Webhook, Type: "webhook", Encoding: event.HTTP, Raw: []byte(`{"green":true}`), Request: &event.Request{Method: "POST", Path: "/hooks/ci/42"}}
	emoji := func(f func(*event.Event)) *event.Event {
		e := &event.Event{Kind: event.Reaction, Type: "reaction_added", Team: "T1", Channel: "C1", TS: "1.1", User: "U2", Reaction: "+1::skin-tone-3"}
		if f != nil {
			f(e)
		}
		return e
	}
	thread := runtime.NewDict("channel", "#general", "ts", "1.1")
	for name, tc := range map[string]struct {
		kind string
		args []any
		ev   *event.Event
		want bool
	}{
		"reply":                 {"wait_reply", []any{"thread", thread}, said(nil), true},
		"reply, own thread":     {"wait_reply", nil, said(nil), true},
		"reply of another":      {"wait_reply", []any{"who", runtime.List{"U2"}}, said(nil), false},
		"reply of one":          {"wait_reply", []any{"who", runtime.List{"@ann"}}, said(nil), true},
		"other thread":          {"wait_reply", []any{"thread", thread}, said(func(e *event.Event) { e.ThreadTS = "1.2" }), false},
		"other channel":         {"wait_reply", []any{"thread", thread}, said(func(e *event.Event) { e.Channel = "C2" }), false},
		"other workspace":       {"wait_reply", []any{"thread", thread}, said(func(e *event.Event) { e.Team = "T2" }), false},
		"a bot":                 {"wait_reply", []any{"thread", thread}, said(func(e *event.Event) { e.BotID = "B1" }), false},
		"an edit":               {"wait_reply", []any{"thread", thread}, said(func(e *event.Event) { e.Edited = true }), false},
		"somebody joins":        {"wait_reply", []any{"thread", thread}, said(func(e *event.Event) { e.Subtype = "channel_join" }), false},
		"reaction":              {"wait_reaction", []any{"message", thread, "emoji", runtime.List{"+1"}}, emoji(nil), true},
		"any reaction":          {"wait_reaction", []any{"message", thread}, emoji(nil), true},
		"other emoji":           {"wait_reaction", []any{"message", thread, "emoji", runtime.List{"eyes"}}, emoji(nil), false},
		"taken away":            {"wait_reaction", []any{"message", thread}, emoji(func(e *event.Event) { e.Removed = true }), false},
		"waits for less":        {"wait_reaction", []any{"message", thread, "removed", true}, emoji(func(e *event.Event) { e.Removed = true }), true},
		"other message":         {"wait_reaction", []any{"message", thread}, emoji(func(e *event.Event) { e.TS = "5.5" }), false},
		"own reaction":          {"wait_reaction", []any{"message", thread}, emoji(func(e *event.Event) { e.BotUser = "U2" }), false},
		"webhook":               {"wait_event", []any{"kind", "webhook", "match", runtime.NewDict("path", "/hooks/ci/42")}, hook, true},
		"other webhook":         {"wait_event", []any{"kind", "webhook", "match", runtime.NewDict("path", "/hooks/ci/43")}, hook, false},
		"message":               {"wait_event", []any{"kind", "message"}, said(nil), true},
		"message that fits":     {"wait_event", []any{"kind", "message", "match", runtime.NewDict("channel", runtime.List{"#ops", "#general"}, "user", "@ann", "text", runtime.Regexp{Pattern: "^done"})}, said(nil), true},
		"in the thread":         {"wait_event", []any{"kind", "message", "match", runtime.NewDict("channel", "C1", "thread_ts", "1.1")}, said(nil), true},
		"message that does not": {"wait_event", []any{"kind", "message", "match", runtime.NewDict("text", runtime.Regexp{Pattern: "^Done"})}, said(nil), false},
		"other kind":            {"wait_event", []any{"kind", "action"}, said(nil), false},
		"not to the bot":        {"wait_event", []any{"kind", "mention"}, said(nil), false},
		"to the bot":            {"wait_event", []any{"kind", "mention"}, said(func(e *event.Event) { e.IM = true }), true},
		"element":               {"wait_event", []any{"kind", "action", "match", runtime.NewDict("action_id", "go", "value", "1")}, &event.Event{Kind: event.Action, Team: "T1", Actions: []event.ActionRef{{ActionID: "go", Value: "1"}}}, true},
		"other value":           {"wait_event", []any{"kind", "action", "match", runtime.NewDict("action_id", "go", "value", "2")}, &event.Event{Kind: event.Action, Team: "T1", Actions: []event.ActionRef{{ActionID: "go", Value: "1"}}}, false},
		"type":                  {"wait_event", []any{"kind", "event", "match", runtime.NewDict("type", "team_join")}, &event.Event{Kind: event.Other, Type: "team_join", Team: "T1", User: "U9"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkspace(t)
			from := *inside
			p := w.park(t, run(&from), tc.kind, tc.args...)
			h := p.hear(tc.ev)
			if (h.Verdict == wait.Match) != tc.want {
				t.Fatalf("%+v", h)
			}
			shared := slices.ContainsFunc(wait.KeysOf(tc.ev), func(k string) bool { return slices.Contains(p.wait.Keys, k) })
			if tc.want && !shared {
				t.Errorf("it would not be asked about the event: %q, %q", p.wait.Keys, wait.KeysOf(tc.ev))
			}
			if h.Tell != "" {
				t.Errorf("who says something else is told %q", h.Tell)
			}
			if tc.want {
				got, _ := p.resume(wait.Answer{By: wait.ByEvent, Value: h.Answer})
				has(t, got, `"kind":"`+string(tc.ev.Kind)+`"`, `"at":`)
			}
			if got, _ := p.resume(wait.Answer{By: wait.ByTimeout}); got != "null" {
				t.Errorf("timeout gives %s", got)
			}
		})
	}
}

func TestWhatCannotBeFoundCannotBeWaitedFor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		e    *event.Event
		kind string
		args []any
		want string
	}{
		"channel":    {message, "wait_event", []any{"kind", "message", "match", runtime.NewDict("channel", "#nope")}, `wait_event: match.channel: "#nope" cannot be looked up`},
		"person":     {message, "wait_reply", []any{"who", runtime.List{"@nobody"}}, `wait_reply: who: "@nobody" cannot be looked up`},
		"no thread":  {timer, "wait_reply", nil, "wait_reply: the event belongs to no message"},
		"no message": {timer, "wait_reaction", nil, "wait_reaction: the event belongs to no message"},
	} {
		if got, _, _ := newWorkspace(t).do(t, run(tc.e), tc.kind, tc.args...); !strings.HasPrefix(got, "error: "+tc.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
