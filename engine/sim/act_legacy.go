package sim

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/starling-rules/starling/engine/payload"
)

// legacyAction finds an action of an attachment, as messages had them before
// Block Kit: by its name, and if buttons share one by the value.
func (m *Message) legacyAction(name, value string) (attachment, action Block) {
	for _, at := range m.Attachments {
		for _, el := range payload.Objects(at["actions"]) {
			if text(el["name"]) != name {
				continue
			}
			if action == nil || text(el["type"]) == "button" && text(el["value"]) == value {
				attachment, action = at, el
			}
		}
	}
	return attachment, action
}

// legacyEnvelope is the interactive_message of a click on an action of an
// attachment; nil if the message has no such action. The world is locked.
func (s *Server) legacyEnvelope(in Click) *envelope {
	w := s.world
	u, c, m, err := w.target(Target{in.User, in.Channel, in.TS})
	if err != nil {
		return nil
	}
	at, el := m.legacyAction(in.ActionID, text(in.Value))
	if el == nil {
		return nil
	}
	used := Block{"name": in.ActionID, "type": text(el["type"])}
	if used["type"] == "select" {
		used["selected_options"] = []Block{{"value": text(in.Value)}}
	} else {
		used["value"] = el["value"]
	}
	p, trigger := s.interaction("interactive_message", u)
	w.triggers[trigger].channel = c.ID
	p["actions"], p["callback_id"], p["attachment_id"] = []Block{used}, text(at["callback_id"]), fmt.Sprint(at["id"])
	p["channel"] = Block{"id": c.ID, "name": c.commandName()}
	p["action_ts"], p["message_ts"], p["is_app_unfurl"] = w.nextTS(), m.TS, false
	if m.Viewer == "" { // Slack shows no ephemeral message
		p["original_message"] = m.wire(true)
	}
	p["response_url"] = s.responseURL(hook{channel: c.ID, user: u.ID, source: m.TS, thread: m.ThreadTS})
	return s.formEnvelope(p, trigger, s.opt.InteractiveURL)
}

// legacyAnswer does what an app answered to a legacy action: a message takes
// the place of the one acted on unless it says otherwise. It returns what is
// wrong with the answer.
func (s *Server) legacyAnswer(in Click, a answer) string {
	body := strings.TrimSpace(string(a.body))
	if a.reason != "" || a.status != http.StatusOK {
		return "The app did not acknowledge the action (" + or(a.reason, http.StatusText(a.status)) + ")."
	}
	if body == "" {
		return ""
	}
	reply := Block{"text": body}
	if strings.HasPrefix(a.contentType, "application/json") {
		reply = nil
		if decode([]byte(body), &reply) != nil || reply == nil {
			return "The app's answer is no message."
		}
	}
	if _, said := reply["replace_original"]; !said {
		reply["replace_original"] = true
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channel(in.Channel)
	if c == nil {
		c = w.address(in.Channel, in.User)
	}
	if c == nil {
		return ""
	}
	h := hook{channel: c.ID, user: in.User, source: in.TS}
	if err := w.respond(&h, args{values: reply}); err != nil {
		return "The app's answer is no message: " + err.Error()
	}
	return ""
}
