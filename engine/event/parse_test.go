package event_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/event"
)

// envelope wraps an inner event.
func envelope(inner string) string {
	return `{"type":"event_callback","team_id":"T1","enterprise_id":"E1","api_app_id":"A1","event_id":"Ev1","event_time":1700000000,` +
		`"authorizations":[{"enterprise_id":"E1","team_id":"T1","user_id":"UBOT","is_bot":true}],"event":` + inner + `}`
}

// parse fails the test if the payload is refused. What every event has is cleared.
func parse(t *testing.T, body string) event.Event {
	t.Helper()
	var e *event.Event
	var err error
	if strings.HasPrefix(body, "{") {
		e, _, err = event.Parse([]byte(body), meta)
	} else {
		e, _, err = event.ParseForm([]byte(body), meta)
	}
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if !e.Received.Equal(meta.Received) || e.Via != "http" || e.Bot != "helper" || len(e.Raw) == 0 {
		t.Fatalf("what the transport knows is lost: %+v", e)
	}
	out := *e
	out.Received, out.Via, out.Bot, out.Raw = time.Time{}, "", "", nil
	return out
}

func TestEventsAPI(t *testing.T) {
	t.Parallel()
	base := func(change func(*event.Event)) event.Event {
		e := event.Event{ID: "Ev1", Team: "T1", Enterprise: "E1", App: "A1", BotUser: "UBOT"}
		change(&e)
		return e
	}
	for name, c := range map[string]struct {
		inner string
		want  func(*event.Event)
	}{
		"message": {
			`{"type":"message","channel":"C1","user":"U1","text":"a \u00e9 <\/b>","ts":"1.2","event_ts":"1.2","channel_type":"channel"}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.Channel, e.User, e.Text, e.TS, e.EventTS = event.Message, "message", "C1", "U1", "a é </b>", "1.2", "1.2"
			},
		},
		"mention": {
			`{"type":"app_mention","channel":"C1","user":"U1","text":"<@UBOT> hi","ts":"1.2","thread_ts":"1.1"}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.Channel, e.User, e.Text, e.TS = event.Mention, "app_mention", "C1", "U1", "<@UBOT> hi", "1.2"
				e.EventTS, e.ThreadTS, e.ThreadMsg = "1.2", "1.1", true
			},
		},
		"thread parent": {
			`{"type":"message","channel":"C1","user":"U1","text":"","ts":"1.2","thread_ts":"1.2"}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.Channel, e.User, e.TS, e.EventTS, e.ThreadTS = event.Message, "message", "C1", "U1", "1.2", "1.2", "1.2"
			},
		},
		"direct message": {
			`{"type":"message","channel":"D1","user":"U1","text":"x","ts":"1.2"}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.Channel, e.User, e.Text, e.TS, e.EventTS, e.IM = event.Message, "message", "D1", "U1", "x", "1.2", "1.2", true
			},
		},
		"group message": {
			`{"type":"message","channel":"D1","channel_type":"mpim","user":"U1","ts":"1.2"}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.Channel, e.User, e.TS, e.EventTS = event.Message, "message", "D1", "U1", "1.2", "1.2"
			},
		},
		"bot message": {
			`{"type":"message","subtype":"bot_message","channel":"C1","bot_id":"B1","app_id":"A2","text":"x","ts":"1.2"}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.Subtype, e.Channel, e.BotID, e.AuthorApp = event.Message, "message", "bot_message", "C1", "B1", "A2"
				e.Text, e.TS, e.EventTS = "x", "1.2", "1.2"
			},
		},
		"edit": {
			`{"type":"message","subtype":"message_changed","channel":"C1","ts":"9.1","event_ts":"9.1","hidden":true,` +
				`"message":{"type":"message","user":"U1","text":"new","ts":"1.2","thread_ts":"1.1","bot_id":"B1"},"previous_message":{"text":"old","ts":"1.2"}}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.Subtype, e.Channel, e.User, e.Text = event.Message, "message", "message_changed", "C1", "U1", "new"
				e.TS, e.ThreadTS, e.EventTS, e.Edited, e.ThreadMsg, e.BotID = "1.2", "1.1", "9.1", true, true, "B1"
			},
		},
		"edit that changes no text": {
			`{"type":"message","subtype":"message_changed","channel":"C1","event_ts":"9.1","message":{"user":"U1","text":"old"},"previous_message":{"text":"old","ts":"1.2"}}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.Subtype, e.Channel, e.User, e.Text = event.Message, "message", "message_changed", "C1", "U1", "old"
				e.TS, e.EventTS, e.Edited, e.Unchanged = "1.2", "9.1", true, true
			},
		},
		"deletion": {
			`{"type":"message","subtype":"message_deleted","channel":"C1","ts":"9.1","deleted_ts":"1.2","previous_message":{"user":"U1","text":"old","ts":"1.2"}}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.Subtype, e.Channel, e.User, e.Text = event.Message, "message", "message_deleted", "C1", "U1", "old"
				e.TS, e.EventTS = "1.2", "9.1"
			},
		},
		"reaction": {
			`{"type":"reaction_added","user":"U1","reaction":"+1","item":{"type":"message","channel":"C1","ts":"1.2"},"event_ts":"2.1"}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.User, e.Reaction, e.Channel, e.TS, e.EventTS = event.Reaction, "reaction_added", "U1", "+1", "C1", "1.2", "2.1"
			},
		},
		"reaction removed": {
			`{"type":"reaction_removed","user":"U1","reaction":"eyes","item":{"type":"file","file":"F1"}}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.User, e.Reaction, e.Removed = event.Reaction, "reaction_removed", "U1", "eyes", true
			},
		},
		"home": {
			`{"type":"app_home_opened","user":"U1","channel":"D1","tab":"home"}`,
			func(e *event.Event) { e.Kind, e.Type, e.User, e.Channel = event.Home, "app_home_opened", "U1", "D1" },
		},
		"channel and user as objects": {
			`{"type":"channel_created","channel":{"id":"C7","creator":"U1"},"user":{"id":"U7"}}`,
			func(e *event.Event) { e.Kind, e.Type, e.Channel, e.User = event.Other, "channel_created", "C7", "U7" },
		},
		"channel_id and user_id": {
			`{"type":"file_shared","channel_id":"C7","user_id":"U7"}`,
			func(e *event.Event) { e.Kind, e.Type, e.Channel, e.User = event.Other, "file_shared", "C7", "U7" },
		},
		"untyped": {`{"x":1}`, func(e *event.Event) { e.Kind = event.Other }},
		"unknown": {
			`{"type":"brand_new","x":{"user":"U3"}}`,
			func(e *event.Event) { e.Kind, e.Type = event.Other, "brand_new" },
		},
	} {
		if d := cmp.Diff(base(c.want), parse(t, envelope(c.inner))); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestOuterTypes(t *testing.T) {
	t.Parallel()
	e, c, err := event.Parse([]byte(`{"type":"app_rate_limited","team_id":"T1","api_app_id":"A1","minute_rate_limited":1}`), meta)
	if err != nil || !c.RateLimited || e.Kind != event.Other || e.Type != "app_rate_limited" || e.Team != "T1" || !strings.HasPrefix(e.ID, "h-") {
		t.Errorf("%+v %+v %v", e, c, err)
	}
	e, _, err = event.Parse([]byte(`{"type":"brand_new_outer","team_id":null,"context_team_id":"T2"}`), meta)
	if err != nil || e.Kind != event.Other || e.Type != "brand_new_outer" || e.Team != "T2" {
		t.Errorf("%+v %v", e, err)
	}
	e, c, err = event.Parse([]byte(`{"type":"url_verification","challenge":"<é>"}`), meta)
	if err != nil || e != nil || !c.Verify || c.Challenge != "<é>" {
		t.Errorf("%+v %+v %v", e, c, err)
	}
}

func form(payload string) string { return "payload=" + url.QueryEscape(payload) }

func TestInteractions(t *testing.T) {
	t.Parallel()
	who := `"api_app_id":"A1","team":{"id":"T1"},"user":{"id":"U1","team_id":"T1"},"trigger_id":"1.2.x"`
	base := event.Event{ID: "tr-1.2.x", App: "A1", Team: "T1", User: "U1", TriggerID: "1.2.x"}
	for name, c := range map[string]struct {
		body string
		want func(*event.Event)
	}{
		"block_actions": {
			`{"type":"block_actions",` + who + `,"response_url":"https://hooks.slack.com/a","channel":{"id":"C1"},"message":{"ts":"1.2","thread_ts":"1.1"},"container":{"message_ts":"9.9"},` +
				`"actions":[{"action_id":"a","block_id":"b","type":"button","value":"v"},{"action_id":"s","block_id":"b","type":"static_select","selected_option":{"value":"o"}},{"action_id":"m","type":"multi_users_select","selected_users":["U1"]}]}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.ResponseURL, e.Channel, e.TS, e.ThreadTS = event.Action, "block_actions", "https://hooks.slack.com/a", "C1", "1.2", "1.1"
				e.Actions = []event.ActionRef{{"a", "b", "button", "v"}, {"s", "b", "static_select", "o"}, {"m", "", "multi_users_select", ""}}
			},
		},
		"block_actions in a view": {
			`{"type":"block_actions",` + who + `,"view":{"callback_id":"cb"},"container":{"type":"view"},"actions":[{"action_id":"a"}]}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.CallbackID, e.Actions = event.Action, "block_actions", "cb", []event.ActionRef{{ActionID: "a"}}
			},
		},
		"view_submission": {
			`{"type":"view_submission",` + who + `,"view":{"callback_id":"cb","state":{"values":{}}}}`,
			func(e *event.Event) { e.Kind, e.Type, e.CallbackID = event.Submit, "view_submission", "cb" },
		},
		"view_closed": {
			`{"type":"view_closed",` + who + `,"view":{"callback_id":"cb"}}`,
			func(e *event.Event) { e.Kind, e.Type, e.CallbackID = event.ViewClosed, "view_closed", "cb" },
		},
		"shortcut": {
			`{"type":"shortcut",` + who + `,"callback_id":"cb"}`,
			func(e *event.Event) { e.Kind, e.Type, e.CallbackID = event.Shortcut, "shortcut", "cb" },
		},
		"message_action": {
			`{"type":"message_action",` + who + `,"callback_id":"cb","channel":{"id":"C1"},"message":{"ts":"1.2","text":"hey","user":"U2"}}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.CallbackID, e.Channel, e.TS, e.Text = event.Shortcut, "message_action", "cb", "C1", "1.2", "hey"
			},
		},
		"block_suggestion": {
			`{"type":"block_suggestion",` + who + `,"action_id":"a","block_id":"b","value":"ty","container":{"channel_id":"C1","message_ts":"1.2"}}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.Query, e.Channel, e.TS = event.Options, "block_suggestion", "ty", "C1", "1.2"
				e.Actions = []event.ActionRef{{"a", "b", "block_suggestion", "ty"}}
			},
		},
		"interactive_message": {
			`{"type":"interactive_message",` + who + `,"callback_id":"cb","message_ts":"1.2","actions":[{"name":"n","type":"select","selected_options":[{"value":"C111"}]}]}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.CallbackID, e.TS = event.Action, "interactive_message", "cb", "1.2"
				e.Actions = []event.ActionRef{{"n", "cb", "select", "C111"}}
			},
		},
		"dialog_submission": {
			`{"type":"dialog_submission",` + who + `,"callback_id":"cb","submission":{"a":"1"}}`,
			func(e *event.Event) {
				e.Kind, e.Type, e.CallbackID = event.Action, "dialog_submission", "cb"
				e.Actions = []event.ActionRef{{"cb", "cb", "dialog_submission", ""}}
			},
		},
		"workflow_step_edit": {
			`{"type":"workflow_step_edit",` + who + `,"callback_id":"cb"}`,
			func(e *event.Event) { e.Kind, e.Type, e.CallbackID = event.Other, "workflow_step_edit", "cb" },
		},
		"unknown": {
			`{"type":"brand_new",` + who + `}`,
			func(e *event.Event) { e.Kind, e.Type = event.Other, "brand_new" },
		},
	} {
		want := base
		c.want(&want)
		if d := cmp.Diff(want, parse(t, form(c.body))); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	org := parse(t, form(`{"type":"shortcut","team":null,"enterprise":{"id":"E1"},"user":{"id":"U1","team_id":"T5"},"callback_id":"x"}`))
	if org.Team != "T5" || org.Enterprise != "E1" || !org.OrgWide {
		t.Errorf("org-wide: %+v", org)
	}
}

func TestCommandsAreTheSameOverHTTPAndSocket(t *testing.T) {
	t.Parallel()
	want := event.Event{
		ID: "tr-1.2.x", Kind: event.Command, Type: "slash_commands", Team: "T1", App: "A1", User: "U1", Channel: "C1",
		Command: "/déploy", Text: "a+b & c", TriggerID: "1.2.x", ResponseURL: "https://x/y", Encoding: event.Form,
	}
	if d := cmp.Diff(want, parse(t, "command=%2Fd%C3%A9ploy&text=a%2Bb+%26%20c&team_id=T1&api_app_id=A1&user_id=U1&channel_id=C1&trigger_id=1.2.x&response_url=https%3A%2F%2Fx%2Fy&is_enterprise_install=false&new=1")); d != "" {
		t.Error(d)
	}
	want.Encoding = event.JSON
	if d := cmp.Diff(want, parse(t, `{"command":"/déploy","text":"a+b & c","team_id":"T1","api_app_id":"A1","user_id":"U1","channel_id":"C1","trigger_id":"1.2.x","response_url":"https:\/\/x\/y","is_enterprise_install":false}`)); d != "" {
		t.Error(d)
	}
}

func TestUnusablePayloadsSayWhy(t *testing.T) {
	t.Parallel()
	deep := func(n int) string {
		return `{"type":"x","a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	if e := parse(t, deep(event.MaxNesting-1)); e.Type != "x" {
		t.Error("the permitted depth is refused")
	}
	var many strings.Builder
	for i := range event.MaxFormFields + 1 {
		fmt.Fprintf(&many, "a%d=1&", i)
	}
	for body, want := range map[string]string{
		"{":                                   "want a key",
		`{"a":1}}`:                            "follows",
		`{"a":01}`:                            "want a comma",
		`{"a":.5}`:                            "unexpected character",
		`{"a":1e999}`:                         "out of range",
		`{"a":-}`:                             "bad number",
		`{"a":NaN}`:                           "unexpected character",
		`{"a":tru}`:                           "unexpected character",
		`{"a":"\x"}`:                          "bad escape",
		`{"a":"\u12g4"}`:                      "bad escape",
		`{"a":"\ud800"}`:                      "surrogate",
		`{"a":"\udc00"}`:                      "surrogate",
		`{"a":"\ud800\u0041"}`:                "surrogate",
		`{"a":"\u0000"}`:                      "NUL",
		"{\"a\":\"\n\"}":                      "control character",
		"{\"a\":\"\xff\"}":                    "UTF-8",
		`{"a":1,}`:                            "want a key",
		`{"a" 1}`:                             "colon",
		`{a:1}`:                               "want a key",
		deep(event.MaxNesting + 1):            "nested deeper",
		`{"type":1}`:                          "type is not a string",
		`{"type":"a","ty\u0070e":"b"}`:        "twice in one object: type",
		`{"type":"event_callback"}`:           "event is missing",
		envelope(`[]`):                        "event is missing",
		envelope(`{"type":1}`):                "event.type",
		envelope(`{"type":"message","ts":1}`): "event.ts",
		envelope(`{"type":"message","user":"U1","user":"U2"}`): "twice in one object: user",
		`{"type":"event_callback","event_id":7,"event":{}}`:    "event_id",
		`{"type":"url_verification"}`:                          "challenge",
		`{"type":"url_verification","challenge":5}`:            "challenge",
		"":                             "neither payload nor command",
		"payload=":                     "payload is empty",
		"payload=x":                    "not JSON",
		"payload=[]":                   "not a JSON object",
		"payload=%7":                   "percent",
		"command=":                     "command is empty",
		"command=%2Fa&text=%ff":        "UTF-8",
		"command=%2Fa&text=%00":        "NUL",
		"command=%2Fa&command=%2Fb":    "twice: command",
		"command=%2Fa&text=1&t%65xt=2": "twice: text",
		many.String():                  "more than",
	} {
		var err error
		if strings.HasPrefix(body, "{") {
			_, _, err = event.Parse([]byte(body), meta)
		} else {
			_, _, err = event.ParseForm([]byte(body), meta)
		}
		if !event.IsUnusable(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", body, err, want)
		}
	}
}

func TestIDsAreStableAndApart(t *testing.T) {
	t.Parallel()
	id := func(body string) string { e := parse(t, body); return e.ID }
	// Without an id of Slack's: the same content, however it is written.
	if a, b := id(form(`{"type":"view_closed","x":"a\/b"}`)), id(`{ "type" : "view_closed", "x" : "a/b" }`); a != b || !strings.HasPrefix(a, "h-") {
		t.Errorf("%s %s", a, b)
	}
	if id(`{"type":"view_closed","x":1}`) == id(`{"type":"view_closed","x":2}`) {
		t.Error("two payloads have one id")
	}
	if long := id(`{"type":"x","event_id":"` + strings.Repeat("a", 300) + `"}`); !strings.HasPrefix(long, "h-") {
		t.Error(long)
	}
	// The same question, asked twice, is two questions.
	later := meta
	later.Received = meta.Received.Add(time.Second)
	q := []byte(`{"type":"block_suggestion","action_id":"a","value":"x"}`)
	a, _, _ := event.Parse(q, meta)
	b, _, _ := event.Parse(q, later)
	if a.ID == b.ID {
		t.Error("a question is answered once only")
	}
}

func TestBotUserOfTheTransportIsTheDefault(t *testing.T) {
	t.Parallel()
	m := meta
	m.BotUser = "UCONF"
	for body, want := range map[string]string{
		envelope(`{"type":"message"}`):                   "UBOT",
		`{"type":"event_callback","event":{"type":"x"}}`: "UCONF",
	} {
		if e, _, err := event.Parse([]byte(body), m); err != nil || e.BotUser != want {
			t.Errorf("%s: %+v %v", body, e, err)
		}
	}
}

func TestParsedEventsOwnTheirMemory(t *testing.T) {
	t.Parallel()
	for _, body := range []string{envelope(`{"type":"message","channel":"C1","text":"hello","ts":"1.2"}`), "command=%2Fx&text=hello&trigger_id=1", form(`{"type":"block_actions","actions":[{"action_id":"hello"}]}`)} {
		b := []byte(body)
		var e *event.Event
		if body[0] == '{' {
			e, _, _ = event.Parse(b, meta)
		} else {
			e, _, _ = event.ParseForm(b, meta)
		}
		before := asJSON(t, e)
		for i := range b {
			b[i] = 'X'
		}
		for range 5 { // the pooled buffers too
			parse(t, envelope(`{"type":"app_mention","channel":"ZZZZ","text":"ZZZZZZZZZZ","ts":"9.9"}`))
			parse(t, "command=ZZZZZZZZ&text=ZZZZZZZZZZ")
		}
		if after := asJSON(t, e); after != before {
			t.Errorf("changed:\n%s\n%s", before, after)
		}
	}
}

func TestMalformedPayloadsCanStillBecomeEvents(t *testing.T) {
	t.Parallel()
	e := event.Malformed([]byte("{oops"), meta)
	if e.Kind != event.Other || e.Type != "malformed" || string(e.Raw) != "{oops" || e.ID == "" {
		t.Errorf("%+v", e)
	}
	v := event.NewView(e, nil)
	if raw, _ := v.Field("raw"); raw != "{oops" {
		t.Errorf("%v", raw)
	}
}

func TestSSLCheckProbes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		"ssl_check=1": true, "a=1&ssl_check=1": true, "ssl_check=1\n": true, "ssl_check=1&command=%2Fx": true,
		"": false, "ssl_check": false, "ssl_check=": false, "ssl_check=0": false, "ssl_check=1&ssl_check=1": false,
		"ssl_check=1&ssl_check=": false, "xssl_check=1": false, "text=ssl_check=1": false, "ssl%5Fcheck=1": false,
	} {
		if got := event.IsSSLCheck([]byte(body)); got != want {
			t.Errorf("%q: %t", body, got)
		}
	}
	if _, c, err := event.ParseForm([]byte("ssl_check=true&token=x"), meta); err != nil || !c.SSLCheck {
		t.Errorf("a probe with another value: %+v %v", c, err)
	}
}

func TestTheTeamIsTheOneThatHasInstalledTheApp(t *testing.T) {
	t.Parallel()
	inner := `"event":{"type":"app_mention","user":"U1","channel":"C1","ts":"1.2"}`
	for name, c := range map[string]struct {
		body             string
		team, enterprise string
		orgWide, shared  bool
	}{
		"a workspace":                 {`{"type":"event_callback","team_id":"T1",` + inner + `,"authorizations":[{"team_id":"T1","enterprise_id":null,"is_enterprise_install":false}]}`, "T1", "", false, false},
		"a workspace of a grid":       {`{"type":"event_callback","team_id":"T1","enterprise_id":"E1",` + inner + `,"authorizations":[{"team_id":"T1","enterprise_id":"E1"}]}`, "T1", "E1", false, false},
		"the other side of a channel": {`{"type":"event_callback","team_id":"T2","enterprise_id":"E2",` + inner + `,"authorizations":[{"team_id":"T1","enterprise_id":"E1"}],"is_ext_shared_channel":true}`, "T1", "E1", false, true},
		"the other side, no grid":     {`{"type":"event_callback","team_id":"T2","enterprise_id":"E2",` + inner + `,"authorizations":[{"team_id":"T1","enterprise_id":null}],"is_ext_shared_channel":true}`, "T1", "", false, true},
		"an organisation":             {`{"type":"event_callback","team_id":"T1","enterprise_id":"E1",` + inner + `,"authorizations":[{"team_id":null,"enterprise_id":"E1","is_enterprise_install":true}]}`, "T1", "E1", true, false},
		"the other side of an organisation's channel": {`{"type":"event_callback","team_id":"T2","enterprise_id":"E2","context_team_id":"T1","context_enterprise_id":"E1",` + inner +
			`,"authorizations":[{"team_id":null,"enterprise_id":"E1","is_enterprise_install":true}],"is_ext_shared_channel":true}`, "T1", "E1", true, true},
		"nobody says":            {`{"type":"event_callback","team_id":"T1","enterprise_id":"E1",` + inner + `}`, "T1", "E1", false, false},
		"only the authorization": {`{"type":"event_callback",` + inner + `,"authorizations":[{"team_id":"T1","enterprise_id":"E1"}]}`, "T1", "E1", false, false},
		"an organisation alone":  {`{"type":"event_callback","enterprise_id":"E1","event":{"type":"app_uninstalled"}}`, "", "E1", false, false},

		"a view of another team":    {`{"type":"view_submission","team":{"id":"T2"},"user":{"id":"U1","team_id":"T2"},"view":{"callback_id":"x","app_installed_team_id":"T1"}}`, "T1", "", false, false},
		"a view of an organisation": {`{"type":"view_submission","team":null,"enterprise":{"id":"E1"},"user":{"id":"U1","team_id":"T2"},"view":{"callback_id":"x","app_installed_team_id":"E1"}}`, "T2", "E1", true, false},
		"a button, org-wide":        {`{"type":"block_actions","team":{"id":"T1"},"enterprise":{"id":"E1"},"is_enterprise_install":true,"user":{"id":"U1"},"actions":[]}`, "T1", "E1", true, false},
		"a button, not org-wide":    {`{"type":"block_actions","team":{"id":"T1"},"enterprise":{"id":"E1"},"is_enterprise_install":false,"user":{"id":"U1"},"actions":[]}`, "T1", "E1", false, false},
		"a command, org-wide":       {"command=%2Fd&team_id=T1&enterprise_id=E1&is_enterprise_install=true", "T1", "E1", true, false},
		"a command, not org-wide":   {"command=%2Fd&team_id=T1&enterprise_id=E1&is_enterprise_install=false", "T1", "E1", false, false},
		"a command over a socket":   {`{"command":"/d","team_id":"T1","enterprise_id":"E1","is_enterprise_install":"true"}`, "T1", "E1", true, false},
		"a command with a boolean":  {`{"command":"/d","team_id":"T1","enterprise_id":"E1","is_enterprise_install":true}`, "T1", "E1", true, false},
	} {
		e := parse(t, c.body)
		if e.Team != c.team || e.Enterprise != c.enterprise || e.OrgWide != c.orgWide || e.Shared != c.shared {
			t.Errorf("%s: team %q, enterprise %q, org-wide %v, shared %v", name, e.Team, e.Enterprise, e.OrgWide, e.Shared)
		}
		back, err := event.Decode(e.Encode(nil))
		if err != nil || back.OrgWide != c.orgWide || back.Shared != c.shared {
			t.Errorf("%s: stored and read again: %+v %v", name, back, err)
		}
	}
}
