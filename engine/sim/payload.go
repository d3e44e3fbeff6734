package sim

import (
	"encoding/json"
	"net/url"
)

// verificationToken is the deprecated field `token`; it proves nothing.
const verificationToken = "local-development"

// mustJSON encodes a payload without escaping <, > and &, as Slack does not.
func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("sim: encode payload: " + err.Error()) // our own types only
	}
	return raw
}

// enqueueEvent wraps an inner event and queues it. World calls it with its
// lock held.
func (s *Server) enqueueEvent(c *Channel, inner Block) {
	if s.opt.EventsURL == "" {
		return
	}
	w := s.world
	id := w.newID("Ev")
	typ, _ := inner["type"].(string)
	if sub, ok := inner["subtype"].(string); ok {
		typ += "." + sub
	}
	body := mustJSON(Block{
		"token": verificationToken, "team_id": w.team.ID, "context_team_id": w.team.ID, "context_enterprise_id": nil,
		"api_app_id": w.app.ID, "event": inner, "type": "event_callback", "event_id": id, "event_time": w.now().Unix(),
		"authorizations": []Block{{
			"enterprise_id": nil, "team_id": w.team.ID, "user_id": w.app.UserID, "is_bot": true, "is_enterprise_install": false,
		}},
		"is_ext_shared_channel": false, "event_context": "4-" + id,
	})
	key := w.team.ID
	if c != nil {
		key = c.ID
	}
	s.out.add(key, &envelope{
		id: id, kind: "events_api", typ: typ, url: s.opt.EventsURL,
		contentType: "application/json", body: body, shown: body,
	})
}

// interaction begins a payload: who did it, and where the app may answer.
func (s *Server) interaction(typ string, u *User) (Block, string) {
	w := s.world
	trigger := w.newTrigger(u.ID)
	return Block{
		"type": typ, "token": verificationToken, "api_app_id": w.app.ID, "trigger_id": trigger,
		"team": Block{"id": w.team.ID, "domain": w.team.Domain}, "enterprise": nil, "is_enterprise_install": false,
		"user": Block{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": w.team.ID},
	}, trigger
}

// responseURL makes a new response_url.
func (s *Server) responseURL(h hook) string {
	return s.URL() + "/response/" + s.world.newHook(h)
}

// formEnvelope is an interaction ready to send.
func (s *Server) formEnvelope(p Block, trigger, to string) *envelope {
	raw := mustJSON(p)
	typ, _ := p["type"].(string)
	kind := "interactive"
	if typ == "block_suggestion" {
		kind = "options"
	}
	return &envelope{
		id: "tr-" + trigger, kind: kind, typ: typ, url: to, contentType: "application/x-www-form-urlencoded",
		body: []byte(url.Values{"payload": {string(raw)}}.Encode()), shown: raw,
	}
}

// place is the `container` of something in a message, and the fields beside it.
func (s *Server) place(p Block, c *Channel, m *Message) {
	box := Block{
		"type": "message", "message_ts": m.TS, "channel_id": c.ID, "is_ephemeral": m.Viewer != "",
	}
	if m.ThreadTS != "" {
		box["thread_ts"] = m.ThreadTS
	}
	p["container"] = box
	p["channel"] = Block{"id": c.ID, "name": c.commandName()}
	p["message"] = m.wire(true)
}
