package sim

import (
	"context"
	"net/url"
	"strings"

	"github.com/starling-rules/starling/engine/payload"
)

// VerifyURL asks the app's address for events to prove that it is the app's, as
// Slack does when the address is entered in the app's settings.
func (s *Server) VerifyURL(ctx context.Context) error {
	if s.opt.EventsURL == "" {
		return Code("no_app")
	}
	w := s.world
	w.mu.Lock()
	challenge := w.random(52)
	w.mu.Unlock()
	p := payload.JSON(Block{"type": "url_verification", "token": "", "challenge": challenge})
	a := s.send(ctx, &envelope{
		id: "url_verification", kind: "url_verification", typ: "url_verification", url: s.opt.EventsURL,
		contentType: p.ContentType, body: p.Body, shown: p.JSON,
	}, 0, "")
	if a.reason != "" {
		return Code(a.reason)
	}
	said := strings.TrimSpace(string(a.body))
	if strings.HasPrefix(a.contentType, "application/json") {
		var in Block
		if decode(a.body, &in) != nil {
			return Code("challenge_failed")
		}
		said = text(in["challenge"])
	}
	if said != challenge {
		return Code("challenge_failed")
	}
	return nil
}

// CheckSSL asks the app's address for commands whether it answers, as Slack
// does now and then. Slack's request is not to be told from a stranger's, so
// this one is not signed either.
func (s *Server) CheckSSL(ctx context.Context) error {
	if s.opt.CommandsURL == "" {
		return Code("no_app")
	}
	p := payload.Fields(url.Values{"ssl_check": {"1"}, "token": {""}})
	a := s.send(ctx, &envelope{
		id: "ssl_check", kind: "ssl_check", typ: "ssl_check", url: s.opt.CommandsURL,
		contentType: p.ContentType, body: p.Body, shown: p.JSON,
	}, 0, "")
	if a.reason != "" {
		return Code(a.reason)
	}
	return nil
}

// Event tells the app of something that no act of a person brings about: inner
// is the event as Slack's documentation has it, with its type. It goes to the
// queue of the channel it names, if it names one.
func (s *Server) Event(inner Block) error {
	typ, _ := inner["type"].(string)
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case typ == "":
		return Code("invalid_event_type")
	case !s.connected(s.opt.EventsURL):
		return Code("no_app")
	}
	inner = clone(inner)
	if inner["event_ts"] == nil {
		inner["event_ts"] = w.nextTS()
	}
	channel, _ := inner["channel"].(string)
	s.enqueueEvent(w.channel(channel), inner)
	return nil
}
