package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const parityComponents = `handlers:
  slash_command_handlers:
    - {command: /plain, bots: {acme: [helper]}, callbacks: %plain%}
    - {command: /loud, response_type: in_channel, bots: {acme: [helper]}, callbacks: %loud%}
    - {command: /canned, canned_response: one moment, bots: {acme: [helper]}, callbacks: %canned%}
    - {command: /cannedloud, canned_response: one moment, response_type: in_channel, bots: {acme: [helper]}}
    - {command: /dialog, dialog: {title: Echo, callback_id: echo, submit_label: Say, elements: [{type: text, label: What, name: echo_element}]}, bots: {acme: [helper]}}
    - {command: /nobody, callbacks: %nobody%, bots: {acme: [second]}}
  interactive_component_handlers:
    - {callback_id: plain, bots: {acme: [helper]}, callbacks: %iplain%}
    - {callback_id: loud, response_type: in_channel, bots: {acme: [helper]}, callbacks: %iloud%}
    - {callback_id: canned, canned_response: one moment, bots: {acme: [helper]}, callbacks: %icanned%}
    - {callback_id: silent, no_message_response: true, canned_response: never, bots: {acme: [helper]}, callbacks: %isilent%}
    - {callback_id: twice, bots: {acme: [helper]}, callbacks: %first%}
    - {callback_id: twice, bots: {acme: [helper]}, callbacks: %second%}
    - {callback_id: opens, dialog: {title: Next, callback_id: plain, elements: []}, bots: {acme: [helper]}}
    - {callback_id: waits, bots: {acme: [helper]}, callbacks: [{module: "omnibot.callbacks.network_callbacks:http_callback", synchronous: true, kwargs: {request_kwargs: {url: "BACK/waits"}}}]}
`

func newParityComponents(t *testing.T) *parity {
	t.Helper()
	yaml := parityComponents
	for strings.Contains(yaml, "%") {
		before, rest, _ := strings.Cut(yaml, "%")
		name, after, _ := strings.Cut(rest, "%")
		yaml = before + hook(name) + after
	}
	return newParity(t, yaml, nil, nil)
}

// TestParityPayloadOfASlashCommand holds the payload of commands to omnibot's.
func TestParityPayloadOfASlashCommand(t *testing.T) {
	t.Parallel()
	p := newParityComponents(t)
	p.slash("/plain", "tell <@U2> of <#C1|general> &amp; <!subteam^S1>", "s1")
	got := p.service.one(t, "/plain")
	if d := diff(got, map[string]any{
		"omnibot_payload_type": "slash_command", "command": "/plain", "text": "tell <@U2> of <#C1|general> &amp; <!subteam^S1>", "enterprise_id": "E1", "enterprise_name": "Org",
		"trigger_id": "s1", "user_id": "U1", "channel_id": "C1", "response_url": p.slack.URL + "/response/s1", "users": map[string]any{"<@U2>": "ali"},
		"channels": map[string]any{"<#C1|general>": "general"}, "subteams": map[string]any{"<!subteam^S1>": "oncall"}, "specials": map[string]any{}, "emojis": map[string]any{},
		"emails": map[string]any{}, "urls": map[string]any{}, "bot": map[string]any{"name": "helper", "bot_id": "A11"}, "team": map[string]any{"name": "acme", "team_id": "T1"},
	}); d != "" {
		t.Error(d)
	}
	if s := strings.ReplaceAll(fmt.Sprint(got["parsed_text"]), "&amp;", "&"); s != "tell @ali of #general & @oncall" {
		t.Errorf("parsed_text: %q", s)
	}
	for _, object := range []string{"parsed_user", "channel"} {
		if o, _ := got[object].(map[string]any); o["name"] == nil {
			t.Errorf("%s: got %v", object, got[object])
		}
	}
	if _, there := got["token"]; there {
		t.Error("the verification token is in the payload")
	}
}

// TestParityPayloadOfAnInteractiveComponent holds the payload of components,
// and which callback_id each type has.
func TestParityPayloadOfAnInteractiveComponent(t *testing.T) {
	t.Parallel()
	p := newParityComponents(t)
	message := map[string]any{"ts": "1700000000.000100", "user": "U2", "text": "hello <@U3> :tada:"}
	view := map[string]any{"id": "V1", "type": "modal", "callback_id": "plain", "blocks": []any{}, "state": map[string]any{"values": map[string]any{}}}
	action := map[string]any{"action_id": "a", "block_id": "plain", "type": "button", "value": "1", "action_ts": "1.1"}
	for i, tc := range []struct {
		kind   string
		fields map[string]any
		want   map[string]any
	}{
		{"block_actions", map[string]any{"actions": []any{action}, "message": message, "state": map[string]any{"values": map[string]any{}}}, map[string]any{"actions": []any{action}}},
		{"view_submission", map[string]any{"view": view, "channel": nil}, map[string]any{"view": view}},
		{"interactive_message", map[string]any{"callback_id": "plain", "action_ts": "1.2", "message_ts": "1.1", "original_message": message, "actions": []any{map[string]any{"name": "yes", "type": "button", "value": "1"}}}, map[string]any{"original_message": message, "message_ts": "1.1", "action_ts": "1.2"}},
		{"dialog_submission", map[string]any{"callback_id": "plain", "submission": map[string]any{"what": "x"}, "state": "s"}, map[string]any{"submission": map[string]any{"what": "x"}, "state": "s"}},
		{"message_action", map[string]any{"callback_id": "plain", "message": message, "message_ts": "1700000000.000100"}, map[string]any{"message_ts": "1700000000.000100"}},
	} {
		id := fmt.Sprint("i", i)
		if got := p.interacts(tc.kind, id, tc.fields); got.status != 200 || got.body != "" {
			t.Errorf("%s: got %d %q, want an empty 200", tc.kind, got.status, got.body)
		}
		got := p.service.one(t, "/iplain")
		want := map[string]any{
			"omnibot_payload_type": "interactive_component", "type": tc.kind, "callback_id": "plain", "trigger_id": id,
			"user": map[string]any{"id": "U1", "name": "ann"}, "bot": map[string]any{"name": "helper", "bot_id": "A11"}, "team": map[string]any{"name": "acme", "team_id": "T1"},
		}
		for k, v := range tc.want {
			want[k] = v
		}
		if d := diff(got, want); d != "" {
			t.Errorf("%s:\n%s", tc.kind, d)
		}
		if user, _ := got["parsed_user"].(map[string]any); user["real_name"] != "Ann Lee" {
			t.Errorf("%s: parsed_user %v", tc.kind, got["parsed_user"])
		}
		if c, _ := got["parsed_channel"].(map[string]any); tc.fields["channel"] == nil && tc.kind != "view_submission" && c["num_members"] != 7.0 {
			t.Errorf("%s: parsed_channel %v", tc.kind, got["parsed_channel"])
		}
		for _, key := range []string{"action_ts", "message_ts", "trigger_id", "response_url", "original_message", "view", "state", "user", "channel", "message", "submission", "actions"} {
			if _, there := got[key]; !there {
				t.Errorf("%s: no key %s", tc.kind, key)
			}
		}
		if _, there := got["token"]; there {
			t.Errorf("%s: the verification token is in the payload", tc.kind)
		}
		if m, _ := got["message"].(map[string]any); tc.fields["message"] != nil {
			author, _ := m["parsed_user"].(map[string]any)
			if m["parsed_text"] != "hello @alice :tada:" || author["name"] != "ali" || m["ts"] != "1700000000.000100" {
				t.Errorf("%s: message %v", tc.kind, m)
			}
		}
	}
	for i, kind := range []string{"shortcut", "view_closed", "block_suggestion", "made_up"} {
		fields := map[string]any{"callback_id": "plain", "channel": nil, "view": view, "action_id": "x", "block_id": "plain", "value": ""}
		if got := p.interacts(kind, fmt.Sprint("other", i), fields); got.status >= 500 {
			t.Errorf("%s: got %d %s", kind, got.status, got.body)
		}
	}
}

// TestParityAnswersOfCommandsAndComponents holds what Slack is told at once,
// and what runs afterwards.
func TestParityAnswersOfCommandsAndComponents(t *testing.T) {
	t.Parallel()
	p := newParityComponents(t)
	for i, tc := range []struct{ command, answer, ran string }{
		{"/plain", ``, "plain"},
		{"/loud", `{"response_type":"in_channel"}`, "loud"},
		{"/canned", `{"response_type":"ephemeral","text":"one moment"}`, "canned"},
		{"/cannedloud", `{"response_type":"in_channel","text":"one moment"}`, ""},
		{"/dialog", ``, ""},
	} {
		got := p.slash(tc.command, "", fmt.Sprint("c", i))
		if got.status != 200 || !sameJSON(got.body, tc.answer) {
			t.Errorf("%s: got %d %s, want %s", tc.command, got.status, got.body, tc.answer)
		}
		if got := ran(p.service.paths()); got != tc.ran {
			t.Errorf("%s: ran %q, want %q", tc.command, got, tc.ran)
		}
	}
	if got := p.slash("/nobody", "", "c-nobody"); got.status != 200 || !strings.Contains(got.body, "/nobody") || strings.Contains(got.body, "in_channel") {
		t.Errorf("a command without a handler: got %d %s, want a notice for its user", got.status, got.body)
	}
	for i, tc := range []struct{ kind, id, answer, ran string }{
		{"interactive_message", "plain", ``, "iplain"},
		{"interactive_message", "loud", `{"response_type":"in_channel"}`, "iloud"},
		{"interactive_message", "canned", `{"response_type":"ephemeral","text":"one moment"}`, "icanned"},
		{"interactive_message", "silent", ``, "isilent"},
		{"interactive_message", "twice", ``, "first second"},
		{"interactive_message", "opens", ``, ""},
		{"dialog_submission", "loud", ``, "iloud"},
	} {
		got := p.interacts(tc.kind, fmt.Sprint("a", i), map[string]any{"callback_id": tc.id, "actions": []any{map[string]any{"name": "b", "type": "button", "value": "1"}}, "submission": map[string]any{}})
		if got.status != 200 || !sameJSON(got.body, tc.answer) {
			t.Errorf("%s %s: got %d %s, want %s", tc.kind, tc.id, got.status, got.body, tc.answer)
		}
		if got := ran(p.service.paths()); got != tc.ran {
			t.Errorf("%s: ran %q, want %q", tc.id, got, tc.ran)
		}
	}
	opened := p.slack.take("dialog.open")
	if len(opened) != 2 || opened[0].text("trigger_id") != "c4" || opened[0].token != "xoxb-A11" {
		t.Errorf("dialogs: got %v", opened)
	} else if d, _ := opened[0].args["dialog"].(map[string]any); d["callback_id"] != "echo" || d["submit_label"] != "Say" {
		t.Errorf("the dialog: got %v", opened[0].args["dialog"])
	}
	if got := p.interacts("interactive_message", "unknown", map[string]any{"callback_id": "nobody", "actions": []any{map[string]any{"name": "b", "type": "button"}}}); got.status != 200 {
		t.Errorf("a component without a handler: got %d %s", got.status, got.body)
	}
	// What a synchronous callback returns is the answer, word for word.
	view := map[string]any{"id": "V1", "type": "modal", "callback_id": "waits", "blocks": []any{}, "state": map[string]any{"values": map[string]any{}}}
	for i, says := range []string{`{"response_action":"errors","errors":{"b":"no"}}`, `{"response_action":"clear"}`, `{}`} {
		p.service.says("/waits", says)
		want := says
		if says == `{}` {
			want = ""
		}
		if got := p.interacts("view_submission", fmt.Sprint("w", i), map[string]any{"view": view, "channel": nil}); got.status != 200 || !sameJSON(got.body, want) {
			t.Errorf("%s: got %d %s", says, got.status, got.body)
		}
	}
}

// TestParityInteractivesOfAnOrganisation holds where the team of a payload
// comes from if Slack leaves it out.
func TestParityInteractivesOfAnOrganisation(t *testing.T) {
	t.Parallel()
	p := newParityComponents(t)
	for i, fields := range []map[string]any{
		{"team": nil, "is_enterprise_install": true, "enterprise": map[string]any{"id": "E1"}, "user": map[string]any{"id": "U1", "team_id": "T1"}},
		{"team": nil, "original_message": map[string]any{"team": "T1", "ts": "1.1"}},
	} {
		fields["callback_id"], fields["actions"] = "plain", []any{map[string]any{"name": "b", "type": "button", "value": "1"}}
		got := p.interacts("interactive_message", fmt.Sprint("e", i), fields)
		if ran := ran(p.service.paths()); got.status != 200 || ran != "iplain" {
			t.Errorf("%v: got %d %s, ran %q", fields, got.status, got.body, ran)
		}
	}
}

// sameJSON compares two texts, as JSON if they are.
func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	var x, y map[string]any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}
