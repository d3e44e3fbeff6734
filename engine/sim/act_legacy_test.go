package sim

import (
	"net/http"
	"strings"
	"testing"
)

// legacyMessage posts a message with buttons and a menu from before Block Kit.
func (s *localSlack) legacyMessage() string {
	s.t.Helper()
	ts, _ := s.ok("chat.postMessage", Block{"channel": "C0OPS", "text": "Coffee?", "attachments": []Block{{
		"callback_id": "coffee", "text": "How?", "actions": []Block{
			{"name": "order", "type": "button", "text": "Black", "value": "black"},
			{"name": "order", "type": "button", "text": "White", "value": "white"},
			{"name": "size", "type": "select", "text": "Size", "options": []Block{{"text": "Big", "value": "big"}}},
		},
	}}})["ts"].(string)
	s.app.next()
	return ts
}

func TestLegacyActionsAreToldOfAndTheirAnswersShown(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	ts := s.legacyMessage()
	click := func(name, value string) Block {
		t.Helper()
		if err := s.Click(t.Context(), Click{User: "U0ADA", Channel: "C0OPS", TS: ts, ActionID: name, Value: value}); err != nil {
			t.Fatal(err)
		}
		return s.app.next().json
	}
	p := click("order", "white")
	used, _ := p["actions"].([]any)[0].(Block)
	if p["type"] != "interactive_message" || p["callback_id"] != "coffee" || p["attachment_id"] != "1" || p["message_ts"] != ts || used["value"] != "white" || used["type"] != "button" {
		t.Errorf("told %v", p)
	}
	if original, _ := p["original_message"].(Block); original["text"] != "Coffee?" || p["trigger_id"] == nil {
		t.Errorf("told %v", p)
	}
	if status, code := s.respondAt(strings.TrimPrefix(text(p["response_url"]), s.URL()), `{"text":"beside"}`); status != http.StatusOK {
		t.Error(code)
	}
	p = click("size", "big")
	used, _ = p["actions"].([]any)[0].(Block)
	if chosen, _ := used["selected_options"].([]any); len(chosen) != 1 || chosen[0].(Block)["value"] != "big" {
		t.Errorf("told %v", p)
	}
	if got := s.messages("C0OPS")[0]; got.Text != "Coffee?" {
		t.Errorf("an empty answer changes %+v", got)
	}
	for _, c := range []struct{ name, contentType, body, want, notice string }{
		{"a new message", "application/json", `{"text":"Another.","replace_original":false}`, "Coffee?", ""},
		{"no JSON", "application/json", `{`, "Coffee?", "no message"},
		{"null", "application/json", `null`, "Coffee?", "no message"},
		{"nothing in it", "application/json", `{}`, "Coffee?", "no_text"},
		{"the original", "application/json", `{"text":"White it is."}`, "White it is.", ""},
	} {
		seq := s.world.log.last()
		s.app.says(c.contentType, c.body)
		click("order", "white")
		if got := s.messages("C0OPS")[0].Text; got != c.want {
			t.Errorf("%s: the message is %q, want %q", c.name, got, c.want)
		}
		notice := ""
		changes, _, _ := s.world.log.since(seq)
		for _, ch := range changes {
			if ch.Kind == "notice" {
				notice = string(ch.Data)
			}
		}
		if (notice != "") != (c.notice != "") || !strings.Contains(notice, c.notice) {
			t.Errorf("%s: noticed %q, want %q", c.name, notice, c.notice)
		}
	}
	if err := s.Click(t.Context(), Click{User: "U0ADA", Channel: "C0OPS", TS: ts, ActionID: "order", Value: "white"}); err != Code("action_not_found") {
		t.Errorf("a button that is gone: %v", err)
	}
}
