package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine"
)

const parityResults = `default_to_help: false
handlers:
  message_handlers:
    - {match: act, match_type: command, match_mention: true, match_reply: true, bots: {acme: [helper, second]}, callbacks: %act%}
    - {match: chain, match_type: command, bots: {acme: [helper]}, callbacks: [{module: "own.mod:none"}, {module: "own.mod:boom"}, {module: "own.mod:say", kwargs: {text: third, n: 1, deep: {list: [1.5, true, null]}}}]}
    - {match: ^chain, match_type: regex, bots: {acme: [helper]}, callbacks: [{module: "own.mod:say", kwargs: {text: regex}}]}
  slash_command_handlers:
    - {command: /act, bots: {acme: [helper]}, callbacks: %slash%}
  interactive_component_handlers:
    - {callback_id: act, bots: {acme: [helper]}, callbacks: %press%}
`

const parityModule = `"""Callbacks of our own."""

def none(container):
    return None

def boom(container):
    fail("boom")

def say(container, text = "", n = 0, deep = None):
    return {"actions": [{"action": "chat.postMessage", "kwargs": {"text": "%s for %s in %s" % (text, container.bot.name, container.team.name)}}]}
`

func newParityResults(t *testing.T, change func(*engine.Options)) *parity {
	t.Helper()
	yaml := strings.NewReplacer("%act%", hook("act"), "%slash%", hook("slash"), "%press%", hook("press")).Replace(parityResults)
	return newParity(t, yaml, map[string]string{"own/mod.star": parityModule}, change)
}

// done makes the calls that came of an answer of the service, for a message.
func (p *parity) done(id, answer string, fields ...any) []request {
	p.t.Helper()
	p.slack.take()
	p.service.says("/act", answer)
	p.says(id, "<@UA11> act", fields...)
	return p.slack.take()
}

// TestParityThreadsAndChannels holds where a message goes that does not say so.
func TestParityThreadsAndChannels(t *testing.T) {
	t.Parallel()
	p := newParityResults(t, nil)
	const thread = "1699999999.000100"
	say := func(kwargs string) string {
		return `{"actions":[{"action":"chat.postMessage","kwargs":{"text":"hi"` + kwargs + `}}],"responses":[{"text":"ignored"}]}`
	}
	for i, tc := range []struct {
		what, kwargs    string
		fields          []any
		channel, thread any
	}{
		{"in a thread on the message", ``, nil, "C1", "self"},
		{"in the thread that it is in", ``, []any{"thread_ts", thread}, "C1", thread},
		{"no thread in a direct message", ``, []any{"channel", "D1", "channel_type", "im"}, "D1", nil},
		{"null: no thread", `,"thread_ts":null`, nil, "C1", nil},
		{"another thread", `,"thread_ts":"1.5"`, nil, "C1", "1.5"},
		{"another channel: no thread of this one", `,"channel":"C2"`, nil, "C2", nil},
		{"the same channel by its id", `,"channel":"C1"`, nil, "C1", "self"},
		{"null for the channel", `,"channel":null`, nil, "C1", "self"},
	} {
		id := fmt.Sprint("t", i)
		want := tc.thread
		if want == "self" {
			want = "1700000000." + pad(id)
		}
		calls := p.done(id, say(tc.kwargs), tc.fields...)
		if len(calls) != 1 || calls[0].args["channel"] != tc.channel || calls[0].args["thread_ts"] != want || calls[0].token != "xoxb-A11" {
			t.Errorf("%s: got %v, want channel %v, thread %v", tc.what, calls, tc.channel, want)
		}
	}
	// The answer of a component without a thread: omnibot failed.
	p.service.says("/press", say(""))
	p.interacts("block_actions", "press", map[string]any{"actions": []any{map[string]any{"action_id": "a", "block_id": "act", "type": "button"}}, "message": map[string]any{"ts": "1700000000.000700", "text": "x"}})
	if calls := p.slack.take("chat.postMessage"); len(calls) != 1 || calls[0].text("channel") != "C1" || calls[0].text("thread_ts") != "1700000000.000700" {
		t.Errorf("of a component: got %v", calls)
	}
	// That of a command goes where it says: the manual promised the rest.
	p.service.says("/slash", say(""))
	p.slash("/act", "", "slash")
	if calls := p.slack.take("chat.postMessage"); len(calls) != 1 || calls[0].text("channel") != "C1" || calls[0].args["thread_ts"] != nil {
		t.Errorf("of a command: got %v", calls)
	}
}

// TestParityActionsAndResponses holds how results are executed: in order,
// responses first, each on its own.
func TestParityActionsAndResponses(t *testing.T) {
	t.Parallel()
	p := newParityResults(t, nil)
	names := func(calls []request) string {
		var out []string
		for _, c := range calls {
			out = append(out, c.method)
		}
		return strings.Join(out, " ")
	}
	if calls := p.done("n1", `{}`); len(calls) != 0 {
		t.Errorf("{}: got %v", calls)
	}
	calls := p.done("n2", `{"actions":["text",{"kwargs":{}},{"action":"pins.add","kwargs":{"timestamp":"1.1"}},{"action":"reactions.add","kwargs":{"name":"eyes"}},{"action":"chat.postMessage","kwargs":{"text":"last"}}]}`)
	if got := names(calls); got != "pins.add reactions.add chat.postMessage" {
		t.Errorf("in order, without what is no action: got %v", calls)
	} else if calls[1].text("channel") != "C1" || calls[1].text("timestamp") != "1700000000."+pad("n2") {
		t.Errorf("what the manual says is filled in: got %v", calls[1])
	}
	p.service.says("/slash", `{"responses":[{"text":"one","response_type":"in_channel"},{"blocks":[{"type":"divider"}],"replace_original":true},{"delete_original":true}],"actions":[{"action":"chat.postMessage","kwargs":{"channel":"C2","text":"two"}}]}`)
	p.slash("/act", "", "r1")
	calls = p.slack.take()
	if got := names(calls); got != "response response response chat.postMessage" {
		t.Fatalf("responses first: got %v", calls)
	}
	if calls[0].text("text") != "one" || calls[0].text("response_type") != "in_channel" || calls[1].args["replace_original"] != true || calls[2].args["delete_original"] != true {
		t.Errorf("responses: got %v", calls[:3])
	}
	// A token of the caller's is not taken, a time-out is none of Slack's arguments.
	calls = p.done("n3", `{"actions":[{"action":"chat.postMessage","kwargs":{"text":"x","token":"xoxb-mine","timeout":3}}]}`)
	if len(calls) != 1 || calls[0].token != "xoxb-A11" || calls[0].args["token"] != nil || calls[0].args["timeout"] != nil {
		t.Errorf("token and timeout: got %v", calls)
	}
	// The first callback returns nothing, the second fails: the third runs, and the regex.
	p.says("chain", "<@UA11> chain")
	var texts []string
	for _, c := range p.slack.take("chat.postMessage") {
		texts = append(texts, c.text("text"))
	}
	if len(texts) != 1 || texts[0] != "third for helper in acme" {
		t.Errorf("callbacks of the rules directory, with failures before: got %q", texts)
	}
	if log := p.log.String(); !strings.Contains(log, "own.mod:boom") || !strings.Contains(log, "own.mod:none") {
		t.Error("the log does not name the callbacks that failed")
	}
}

// TestParityFallbackToTheUserToken holds where the user's token is tried.
func TestParityFallbackToTheUserToken(t *testing.T) {
	t.Parallel()
	p := newParityResults(t, func(o *engine.Options) {
		app := o.Config.Apps["A12"]
		app.BotToken = ""
		o.Config.Apps["A12"] = app
	})
	tokens := func(calls []request) string {
		var out []string
		for _, c := range calls {
			out = append(out, c.token)
		}
		return strings.Join(out, " ")
	}
	const pin, post = `{"actions":[{"action":"pins.add","kwargs":{"channel":"C1","timestamp":"1.1"}}]}`, `{"actions":[{"action":"chat.postMessage","kwargs":{"text":"x"}}]}`
	for i, tc := range []struct{ method, code, answer, want string }{
		{"pins.add", "missing_scope", pin, "xoxb-A11 xoxp-A11"},
		{"pins.add", "not_in_channel", pin, "xoxb-A11 xoxp-A11"},
		{"pins.add", "invalid_name", pin, "xoxb-A11"},
		{"chat.postMessage", "missing_scope", post, "xoxb-A11"},
	} {
		p.slack.set(tc.method+" xoxb-A11", `{"ok":false,"error":"`+tc.code+`"}`)
		if got := tokens(p.done(fmt.Sprint("f", i), tc.answer)); got != tc.want {
			t.Errorf("%s %s: called as %q, want %q", tc.method, tc.code, got, tc.want)
		}
	}
	// A bot that has nothing but a user token acts with that.
	p.event("A12", "user", spoken("user", "<@UA12> act"))
	if got := tokens(p.slack.take("chat.postMessage")); got != "xoxp-A12" {
		t.Errorf("a bot without a bot token: called as %q", got)
	}
}

// TestParityOmnibotParse holds what is made of names in texts that go out.
func TestParityOmnibotParse(t *testing.T) {
	t.Parallel()
	p := newParityResults(t, nil)
	for i, tc := range []struct{ text, kinds, want string }{
		{"@here and @channel", `["specials"]`, "<!here> and <!channel>"},
		{"x@here.com @hereabouts", `["specials"]`, "x@here.com @hereabouts"},
		{"#general #general-x #nowhere", `["channels"]`, "<#C1> <#C2> #nowhere"},
		{"#secret", `["channels"]`, "<#C3>"},
		{"@ali @alice @alicex", `["users"]`, "<@U2> <@U3> @alicex"},
		{"@wide is @wide.one", `["users"]`, "<@W4> is <@W4>"},
		{"@ann is U1 by the handle that was parsed", `["users"]`, "<@U1> is U1 by the handle that was parsed"},
		{"@oncall", `["subteams"]`, "<!subteam^S1>"},
		{"@here #general @ali", `["specials","channels","users"]`, "<!here> <#C1> <@U2>"},
		{"@here #general", `[]`, "@here #general"},
		{"general", `["channels"]`, "general"},
	} {
		calls := p.done(fmt.Sprint("o", i), `{"actions":[{"action":"chat.postMessage","kwargs":{"text":"`+tc.text+`","omnibot_parse":{"text":`+tc.kinds+`,"absent":["users"]}}}]}`)
		if len(calls) != 1 || calls[0].text("text") != tc.want {
			t.Errorf("%s %s: got %v, want %q", tc.text, tc.kinds, calls, tc.want)
		} else if calls[0].args["omnibot_parse"] != nil {
			t.Errorf("omnibot_parse went to Slack: %v", calls[0])
		}
	}
	p.service.says("/slash", `{"responses":[{"text":"ask @ali","omnibot_parse":{"text":["users"]}}]}`)
	p.slash("/act", "", "p1")
	if calls := p.slack.take("response"); len(calls) != 1 || calls[0].text("text") != "ask <@U2>" {
		t.Errorf("of a response: got %v", calls)
	}
	// Round trip: what was read of a text can be written again.
	p.service.take("/act")
	p.says("round", "<@UA11> act <@U1> <@U2> <#C1> <!subteam^S1>")
	args := fmt.Sprint(p.service.one(t, "/act")["args"])
	calls := p.done("back", `{"actions":[{"action":"chat.postMessage","kwargs":{"text":"`+args+`","omnibot_parse":{"text":["users","channels","subteams"]}}}]}`)
	if len(calls) != 1 || calls[0].text("text") != "<@U1> <@U2> <#C1> <!subteam^S1>" {
		t.Errorf("%q came back as %v", args, calls)
	}
}
