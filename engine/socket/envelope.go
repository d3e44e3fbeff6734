package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/slack-go/slack/socketmode"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
)

// envelope takes up an envelope: its event is stored, then it is acked. Events
// of one conversation are stored in the order in which they came.
func (l *link) envelope(req *socketmode.Request, frame []byte) {
	c := l.c
	if !l.begin() {
		return
	}
	select {
	case c.busy <- struct{}{}:
	default:
		l.end()
		c.o.Logger.Warn("socket: too much under way: an envelope is not taken, Slack sends it again", "in_flight", cap(c.busy))
		return
	}
	c.taking.Add(1)
	finish := func() { <-c.busy; l.end(); c.taking.Done() }
	e := l.parse(req, frame)
	if e == nil { // about the transport itself
		go func() { defer finish(); l.ack(req, nil) }()
		return
	}
	if e.Answered() {
		go func() { defer finish(); l.answered(req, e) }()
		return
	}
	c.lanes.do(e.Conversation(), func() { defer finish(); l.stored(req, e) })
}

// parse reads the event of an envelope. What cannot be read is an event too: it
// has to be acked, and a rule may want to see it.
func (l *link) parse(req *socketmode.Request, frame []byte) *event.Event {
	c := l.c
	m := event.Meta{Received: c.o.Now(), Via: "socket", Bot: c.o.Bot, Retry: max(0, req.RetryAttempt), RetryReason: event.Word(req.RetryReason)}
	var e *event.Event
	var err error
	switch req.Type {
	case socketmode.RequestTypeEventsAPI:
		var control event.Control
		e, control, err = event.ParseEvents(req.Payload, m)
		if control.RateLimited {
			c.o.Logger.Warn("slack drops deliveries: app_rate_limited", "bot", c.o.Bot)
		}
	case socketmode.RequestTypeInteractive:
		e, err = event.ParseInteraction(req.Payload, m)
	case socketmode.RequestTypeSlashCommands:
		e, err = event.ParseCommand(req.Payload, m)
	default:
		err = fmt.Errorf("type %q", event.Word(req.Type))
	}
	if err != nil {
		l.bad(frame, err)
		// Sent again, the frame is another one: it counts attempts.
		e = event.Malformed(frame, m)
		e.ID = event.Malformed([]byte(req.EnvelopeID), m).ID
	}
	return e
}

// stored acks what the store has taken, or has had before.
func (l *link) stored(req *socketmode.Request, e *event.Event) {
	if err := l.c.o.Sink.Accept(l.c.ctx, e); l.accepted(e, err) {
		l.ack(req, nil)
		l.acked(e)
	}
}

// answered acks with the answer of a rule. An envelope that comes again, because
// its link was lost or its ack, gets the answer that was given the first time.
func (l *link) answered(req *socketmode.Request, e *event.Event) {
	c := l.c
	ctx, cancel := context.WithTimeout(c.ctx, c.o.AnswerLimit)
	defer cancel()
	given, first := c.said.begin(e.ID, c.o.Now())
	answer, err := c.o.Sink.AcceptAnswered(ctx, e)
	payload := l.payload(e, answer)
	again := errors.Is(err, queue.ErrDuplicate)
	switch {
	case first:
		if err != nil && !again {
			c.said.forget(e.ID) // the next copy is the first
		}
		given.settle(payload)
	case again:
		payload = given.wait(ctx)
	case err == nil: // the first was not stored, this one is
		c.said.keep(e.ID, payload, c.o.Now())
	}
	if !l.accepted(e, err) {
		return
	}
	if len(payload) > 0 && !req.AcceptsResponsePayload {
		c.o.Logger.Warn("socket: Slack takes no answer to this envelope: it is dropped", "event_id", e.ID, "event_type", e.Type)
		payload = nil
	}
	l.ack(req, payload)
	l.acked(e)
}

// payload is an answer as an ack carries it; empty if there is nothing to say, or
// more than an ack can hold.
func (l *link) payload(e *event.Event, a *event.Answer) json.RawMessage {
	p := a.SocketPayload()
	if len(p) > event.MaxSocketPayload {
		l.c.o.Logger.Error("socket: answer is too long for Slack and is dropped", "event_id", e.ID, "event_type", e.Type, "bytes", len(p), "limit", event.MaxSocketPayload)
		return nil
	}
	return p
}

// accepted reports whether an envelope may be acked: its event is stored.
func (l *link) accepted(e *event.Event, err error) bool {
	switch {
	case err == nil, errors.Is(err, queue.ErrDuplicate):
		return true
	case errors.Is(err, queue.ErrTooLarge):
		l.c.o.Logger.Error("socket: event is too large to store and is dropped", "event_id", e.ID, "event_type", e.Type, "bytes", len(e.Raw))
		return true // sent again it would be no smaller
	}
	l.c.o.Logger.Warn("event not accepted; Slack sends it again", "event_id", e.ID, "event_type", e.Type, "err", err)
	return false
}

func (l *link) acked(e *event.Event) {
	if o := &l.c.o; o.OnAck != nil {
		o.OnAck(e, o.Now().Sub(e.Received))
	}
}

// ack tells Slack that an envelope need not be sent again. If it cannot be told,
// Slack does send it again.
func (l *link) ack(req *socketmode.Request, payload json.RawMessage) {
	frame, err := ackFrame(req.EnvelopeID, payload)
	if err == nil {
		err = l.write(frame)
	}
	if err != nil {
		l.s.tell(Life{Type: string(socketmode.EventTypeErrorWriteFailed), Envelope: event.Word(req.EnvelopeID), Error: l.c.clean(err.Error())})
	}
}

// ackFrame is the ack of an envelope. Nothing in it is escaped that need not be:
// a payload that is short enough stays so.
func ackFrame(id string, payload json.RawMessage) ([]byte, error) {
	res := socketmode.Response{EnvelopeID: id}
	if len(payload) > 0 {
		res.Payload = payload
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(res); err != nil {
		return nil, err
	}
	frame := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(frame) > MaxFrame {
		return nil, fmt.Errorf("the ack has %d bytes, Slack takes %d", len(frame), MaxFrame)
	}
	return frame, nil
}
