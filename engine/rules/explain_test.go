package rules_test

import (
	"testing"

	"github.com/starling-rules/starling/engine/event"
)

// TestExplainNamesTheFirstCondition shows what the page and the command say.
func TestExplainNamesTheFirstCondition(t *testing.T) {
	t.Parallel()
	thread := func(e *event.Event) { e.ThreadMsg = true }
	in := func(ch string) func(*event.Event) { return func(e *event.Event) { e.Channel = ch } }
	for _, c := range []struct {
		rule string
		e    *event.Event
		want string
	}{
		{on("message", "regex", "deploy"), message("wait"), `the regex "deploy" is not found in "wait"`},
		{on("message", "regex", "x", "absent", true), message("x"), `the regex "x" is found in "x", and the rule is for its absence`},
		{on("message", "regex", "x"), message("x", thread), "the message is in a thread (threads=True would admit it)"},
		{on("message", "regex", "x", "channels", "#ops"), message("x"), `channel C1, whose name is not known, is not among "#ops"`},
		{on("message", "regex", "x", "channels", "#ops"), message("x", in("CTEAM")), `channel #team-blue (CTEAM) is not among "#ops"`},
		{on("message", "regex", "x", "channels", "C2"), message("x"), `channel C1 is not among "C2"`},
		{on("message", "regex", "x", "users", []string{"U2", "@ann"}), message("x"), `user "U1" is not among "U2", "@ann"`},
		{on("message", "regex", "x", "teams", "T2"), message("x"), `team "TACME" is not among "T2"`},
		{on("message", "regex", "x", "bots", "b"), message("x"), `bot "helper" (app "A1") is not among "b"`},
		{on("message", "regex", "x", "enabled", false), message("x"), "the rule is not enabled"},
		{on("message", "regex", "x"), &event.Event{Kind: event.Home}, "the event is of kind home, the rule is for message"},
		{on("mention", "regex", "x"), message("x"), "the message neither begins with the bot's mention nor is a direct message"},
		{on("message", "regex", "x"), message("x", func(e *event.Event) { e.Subtype = "channel_topic" }), `a message of subtype "channel_topic" is none that somebody wrote`},
		{on("command", "command", "/x"), &event.Event{Kind: event.Command, Command: "/y"}, `the command "/y" is not "/x"`},
		{on("action", "id", "ok"), &event.Event{Kind: event.Action, Actions: acts("no", "b")}, `the action_id "no" is not "ok"`},
		{on("action", "id", "ok", "block", "a"), &event.Event{Kind: event.Action, Actions: acts("ok", "b")}, `the action is in another block than "a"`},
		{on("view", "callback_id", "v"), &event.Event{Kind: event.Submit, CallbackID: "w"}, `the callback_id "w" is not "v"`},
		{on("reaction", "emoji", "eyes"), reaction("tada", false), `the emoji "tada" is not "eyes"`},
		{on("reaction", "emoji", "eyes"), reaction("eyes", true), "the reaction was removed (removed=True would see it)"},
		{on("event", "type", "team_join"), message("x"), `the event's type is "message", not "team_join"`},
		{on("webhook", "route", "POST /a", "open", true), hook("GET", "/a"), "the method is GET, not POST"},
		{on("webhook", "route", "POST /a", "open", true), hook("POST", "/b"), `the path "/b" is not "POST /a"`},
	} {
		v := set(t, c.rule).Explain(c.e)[0]
		if v.Matched || v.Why != c.want {
			t.Errorf("%s: %v %q, want %q", c.rule, v.Matched, v.Why, c.want)
		}
	}
	s := set(t, on("action", "id", "ok.*"), on("action", "id", "ok"), on("message", "regex", "x", "when", "p"))
	if got := s.Explain(&event.Event{Kind: event.Action, Actions: acts("ok", "b")})[0].Why; got != `answered by on.action("ok") at a.fake:2:1` {
		t.Errorf("shadowed: %q", got)
	}
	if v := s.Explain(message("x"))[2]; !v.Matched || v.Why != "if its predicate (when) agrees" {
		t.Errorf("predicate: %+v", v)
	}
}

func hook(method, path string) *event.Event {
	return &event.Event{Kind: event.Webhook, Request: &event.Request{Method: method, Path: path}}
}
