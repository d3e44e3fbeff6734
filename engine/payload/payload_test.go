package payload_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/payload"
)

// TestEachKindIsReadBack: the server takes every payload for what it is, and
// finds in it what the act said.
func TestEachKindIsReadBack(t *testing.T) {
	t.Parallel()
	act := payload.Act{
		User: "U1ADA", Channel: "C1OPS", Text: "deploy & <go>", TS: "1700000000.000100", Command: "/deploy", CallbackID: "cb", ActionID: "ok",
		BlockID: "b", Value: "api", Emoji: ":tada:", Values: payload.Object{"what": "text", "who": []any{"a", "b"}}, Type: "team_join",
		ResponseURL: "https://hooks.slack.com/x", Now: time.Unix(1700000001, 0),
	}
	for kind, want := range map[string]event.Event{
		"message":          {Kind: event.Message, Type: "message", Text: "deploy & <go>", TS: act.TS},
		"mention":          {Kind: event.Mention, Type: "app_mention", Text: "<@U0000000BOT> deploy & <go>", TS: act.TS},
		"command":          {Kind: event.Command, Type: "slash_commands", Command: "/deploy", Text: "deploy & <go>"},
		"action":           {Kind: event.Action, Type: "block_actions", TS: act.TS},
		"options":          {Kind: event.Options, Type: "block_suggestion", Query: "api", TS: act.TS},
		"view":             {Kind: event.Submit, Type: "view_submission", CallbackID: "cb"},
		"view_closed":      {Kind: event.ViewClosed, Type: "view_closed", CallbackID: "cb"},
		"shortcut":         {Kind: event.Shortcut, Type: "shortcut", CallbackID: "cb"},
		"message_shortcut": {Kind: event.Shortcut, Type: "message_action", CallbackID: "cb", Text: "deploy & <go>", TS: act.TS},
		"reaction":         {Kind: event.Reaction, Type: "reaction_added", Reaction: "tada", TS: act.TS},
		"reaction_removed": {Kind: event.Reaction, Type: "reaction_removed", Reaction: "tada", TS: act.TS},
		"home":             {Kind: event.Home, Type: "app_home_opened"},
		"event":            {Kind: event.Other, Type: "team_join", Text: "deploy & <go>", TS: act.TS},
	} {
		p, err := act.Build(kind)
		if err != nil {
			t.Fatal(err)
		}
		e := read(t, kind, p)
		got := event.Event{
			Kind: e.Kind, Type: e.Type, Text: e.Text, TS: e.TS, Command: e.Command, Query: e.Query, CallbackID: e.CallbackID, Reaction: e.Reaction,
		}
		if got.Kind == event.Command {
			got.CallbackID = ""
		}
		if gotJSON, wantJSON := asJSON(got), asJSON(want); gotJSON != wantJSON {
			t.Errorf("%s:\n got %s\nwant %s", kind, gotJSON, wantJSON)
		}
		if e.User != "U1ADA" || e.Team == "" || e.App == "" {
			t.Errorf("%s: user %q, team %q, app %q", kind, e.User, e.Team, e.App)
		}
	}
	if got := len(payload.Kinds()); got != 13 {
		t.Errorf("%d kinds, the table above has 13", got)
	}
}

func asJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func read(t *testing.T, kind string, p payload.Payload) *event.Event {
	t.Helper()
	var e *event.Event
	var err error
	if p.ContentType == payload.FormType {
		e, _, err = event.ParseForm(p.Body, event.Meta{})
	} else {
		e, _, err = event.Parse(p.Body, event.Meta{})
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", kind, err, p.Body)
	}
	return e
}

// TestClientsReadThem: slack-go, which other apps use, reads the same.
func TestClientsReadThem(t *testing.T) {
	t.Parallel()
	act := payload.Act{Text: "hello", ActionID: "ok", BlockID: "b", Value: "v", CallbackID: "cb", Values: payload.Object{"what": "text"}}
	for _, kind := range []string{"message", "mention", "reaction", "home"} {
		p, _ := act.Build(kind)
		if _, err := slackevents.ParseEvent(p.Body, slackevents.OptionNoVerifyToken()); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, p.Body)
		}
	}
	for kind, typ := range map[string]slack.InteractionType{
		"action": slack.InteractionTypeBlockActions, "view": slack.InteractionTypeViewSubmission, "view_closed": slack.InteractionTypeViewClosed,
		"shortcut": slack.InteractionTypeShortcut, "message_shortcut": slack.InteractionTypeMessageAction, "options": slack.InteractionTypeBlockSuggestion,
	} {
		p, _ := act.Build(kind)
		f, err := url.ParseQuery(string(p.Body))
		if err != nil {
			t.Fatal(err)
		}
		var in slack.InteractionCallback
		if err := json.Unmarshal([]byte(f.Get("payload")), &in); err != nil || in.Type != typ || in.User.ID == "" {
			t.Errorf("%s: %v, type %q\n%s", kind, err, in.Type, p.JSON)
		}
		switch kind {
		case "action":
			if a := in.ActionCallback.BlockActions; len(a) != 1 || a[0].ActionID != "ok" || a[0].Value != "v" || a[0].BlockID != "b" {
				t.Errorf("actions %+v", a)
			}
		case "view":
			if v := in.View.State.Values["what"]["what"].Value; v != "text" {
				t.Errorf("state %+v", in.View.State)
			}
		}
	}
}

// TestUsesWhatTheAppSent: an element that is in the message is used as it is
// there, with the values of the other inputs beside it.
func TestUsesWhatTheAppSent(t *testing.T) {
	t.Parallel()
	option := func(v string) any {
		return payload.Object{"text": payload.Object{"type": "plain_text", "text": strings.ToUpper(v)}, "value": v}
	}
	sent := payload.Object{"ts": "1.000001", "text": "Which?", "blocks": []any{
		payload.Object{"type": "actions", "block_id": "row", "elements": []any{
			payload.Object{"type": "static_select", "action_id": "env", "options": []any{option("prod"), option("test")}},
			payload.Object{"type": "datepicker", "action_id": "day", "initial_date": "2026-01-02"},
			payload.Object{"type": "button", "action_id": "go", "value": "own"},
		}},
	}}
	p := payload.Act{Message: sent, ActionID: "env", Value: "prod"}.ToAction()
	var got struct {
		Actions []struct {
			BlockID  string `json:"block_id"`
			Selected struct {
				Value string
				Text  struct{ Text string }
			} `json:"selected_option"`
		}
		State struct {
			Values map[string]map[string]payload.Object
		}
		Message struct{ TS, Text string }
	}
	if err := json.Unmarshal(p.JSON, &got); err != nil {
		t.Fatal(err)
	}
	if a := got.Actions[0]; a.BlockID != "row" || a.Selected.Value != "prod" || a.Selected.Text.Text != "PROD" {
		t.Errorf("actions %+v", got.Actions)
	}
	if got.State.Values["row"]["day"]["selected_date"] != "2026-01-02" || got.Message.Text != "Which?" || got.Message.TS != "1.000001" {
		t.Errorf("%s", p.JSON)
	}
	p = payload.Act{Message: sent, ActionID: "go"}.ToAction()
	if e := read(t, "action", p); e.Actions[0].Value != "own" {
		t.Errorf("button %+v", e.Actions)
	}
}

func TestUnknownKindIsSaid(t *testing.T) {
	t.Parallel()
	_, err := payload.Act{}.Build("comand")
	if err == nil || !strings.Contains(err.Error(), "did you mean command?") {
		t.Errorf("%v", err)
	}
}
