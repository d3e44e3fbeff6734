package sim

import (
	"github.com/starling-rules/starling/engine/payload"
)

// told is the app as payloads name it.
func (w *World) told() payload.App {
	a := payload.App{ID: w.app.ID, BotUser: w.app.UserID, Team: w.team.ID, Domain: w.team.Domain}
	if w.enterprise != nil {
		a.Enterprise, a.Wide = w.enterprise()
	}
	return a
}

// enqueueEvent wraps an inner event and queues it. World calls it with its
// lock held.
func (s *Server) enqueueEvent(c *Channel, inner Block) {
	s.enqueue(c, inner, s.world.told())
}

// enqueue queues an event of the app as it is told.
func (s *Server) enqueue(c *Channel, inner Block, told payload.App) {
	if !s.connected(s.opt.EventsURL) {
		return
	}
	w := s.world
	ok, tell := s.subscribed.admit(w.now(), s.Faults().EventsPerHour)
	if tell {
		s.deliver(w.team.ID, "", "app_rate_limited", Block{
			"type": "app_rate_limited", "token": "", "team_id": w.team.ID, "api_app_id": w.app.ID,
			"minute_rate_limited": minuteOf(w.now()) * 60,
		})
	}
	if !ok {
		return
	}
	id := w.newID("Ev")
	typ, _ := inner["type"].(string)
	if sub, ok := inner["subtype"].(string); ok {
		typ += "." + sub
	}
	key := w.team.ID
	if c != nil {
		key = c.ID
	}
	s.deliver(key, id, typ, told.Callback(id, w.now(), inner))
}

// deliver queues what Slack posts to the app's address for events, behind what
// has the same key.
func (s *Server) deliver(key, id, typ string, body Block) {
	p := payload.JSON(body)
	s.out.add(key, &envelope{
		id: or(id, typ), kind: "events_api", typ: typ, url: s.opt.EventsURL,
		contentType: p.ContentType, body: p.Body, shown: p.JSON,
	})
}

// interaction begins a payload: who did it, and where the app may answer.
func (s *Server) interaction(typ string, u *User) (Block, string) {
	w := s.world
	trigger := w.newTrigger(u.ID)
	return w.told().Interaction(typ, payload.Person{ID: u.ID, Name: u.Name}, trigger), trigger
}

// responseURL makes a new response_url.
func (s *Server) responseURL(h hook) string {
	return s.URL() + "/response/" + s.world.newHook(h)
}

// formEnvelope is an interaction ready to send.
func (s *Server) formEnvelope(p Block, trigger, to string) *envelope {
	typ, _ := p["type"].(string)
	kind := "interactive"
	if typ == "block_suggestion" || typ == "dialog_suggestion" {
		kind = "options"
	}
	f := payload.Form(p)
	return &envelope{id: "tr-" + trigger, kind: kind, typ: typ, url: to, contentType: f.ContentType, body: f.Body, shown: f.JSON}
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
	if t := s.world.triggers[text(p["trigger_id"])]; t != nil {
		t.channel = c.ID
	}
	p["channel"] = Block{"id": c.ID, "name": c.commandName()}
	p["message"] = m.wire(true)
}
