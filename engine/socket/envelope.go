package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

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
	finish := func() { <-c.busy; l.end() }
	e := l.parse(req, frame)
	if e == nil { // about the transport itself
		go func() { defer finish(); l.ack(req, nil, "") }()
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
		e = event.Malformed(frame, m)
	}
	return e
}

// stored acks what the store has taken, or has had before.
func (l *link) stored(req *socketmode.Request, e *event.Event) {
	if err := l.c.o.Sink.Accept(context.Background(), e); l.accepted(e, err) {
		l.ack(req, nil, e.ID)
	}
}

// answered acks with the answer of a rule.
func (l *link) answered(req *socketmode.Request, e *event.Event) {
	c := l.c
	ctx, cancel := context.WithTimeout(context.Background(), c.o.AnswerLimit)
	answer, err := c.o.Sink.AcceptAnswered(ctx, e)
	cancel()
	if !l.accepted(e, err) {
		return
	}
	payload := answer.SocketPayload()
	if errors.Is(err, queue.ErrDuplicate) {
		payload = c.unsent.take(e.ID) // the answer went out on a link that was gone
	}
	switch {
	case len(payload) == 0:
	case !req.AcceptsResponsePayload:
		c.o.Logger.Warn("socket: Slack takes no answer to this envelope: it is dropped", "event_id", e.ID, "event_type", e.Type)
		payload = nil
	case len(payload) > event.MaxSocketPayload:
		c.o.Logger.Error("socket: answer is too long for Slack and is dropped", "event_id", e.ID, "event_type", e.Type, "bytes", len(payload), "limit", event.MaxSocketPayload)
		payload = nil
	}
	l.ack(req, payload, e.ID)
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

// ack tells Slack that an envelope need not be sent again. If it cannot be told,
// Slack does send it again, and the answer is kept for then.
func (l *link) ack(req *socketmode.Request, payload json.RawMessage, eventID string) {
	res := socketmode.Response{EnvelopeID: req.EnvelopeID}
	if payload != nil {
		res.Payload = payload
	}
	frame, err := json.Marshal(res)
	if err == nil && len(frame) > MaxFrame {
		err = fmt.Errorf("the ack has %d bytes, Slack takes %d", len(frame), MaxFrame)
	}
	if err == nil {
		err = l.write(frame)
	}
	if err != nil {
		if payload != nil {
			l.c.unsent.put(eventID, payload, l.c.o.Now())
		}
		l.s.tell(Life{Type: string(socketmode.EventTypeErrorWriteFailed), Error: l.c.clean(err.Error())})
	}
}

// unsent keeps the latest answers that could not be sent. Safe for concurrent use.
type unsent struct {
	mu   sync.Mutex
	byID map[string]kept
}

type kept struct {
	payload json.RawMessage
	at      time.Time
}

// Slack sends an envelope again within seconds; nobody waits for the answer to
// a command longer.
const (
	maxUnsent    = 256
	unsentWithin = time.Minute
)

func (u *unsent) put(id string, payload json.RawMessage, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byID == nil {
		u.byID = map[string]kept{}
	}
	for id, k := range u.byID {
		if now.Sub(k.at) > unsentWithin || len(u.byID) >= maxUnsent {
			delete(u.byID, id)
		}
	}
	u.byID[id] = kept{payload, now}
}

func (u *unsent) take(id string) json.RawMessage {
	u.mu.Lock()
	defer u.mu.Unlock()
	k := u.byID[id]
	delete(u.byID, id)
	return k.payload
}

// lanes runs functions in the order of the calls, lane by lane. Safe for
// concurrent use.
type lanes struct {
	mu     sync.Mutex
	byName map[string][]func() // what waits behind what runs
}

// do runs f in a goroutine, behind those that came before it in its lane; a
// lane without a name is no lane.
func (l *lanes) do(lane string, f func()) {
	if lane == "" {
		go f()
		return
	}
	l.mu.Lock()
	if l.byName == nil {
		l.byName = map[string][]func(){}
	}
	waiting, running := l.byName[lane]
	if running {
		l.byName[lane] = append(waiting, f)
		l.mu.Unlock()
		return
	}
	l.byName[lane] = nil
	l.mu.Unlock()
	go l.run(lane, f)
}

func (l *lanes) run(lane string, f func()) {
	for f != nil {
		f()
		l.mu.Lock()
		if waiting := l.byName[lane]; len(waiting) > 0 {
			f, l.byName[lane] = waiting[0], waiting[1:]
		} else {
			f = nil
			delete(l.byName, lane)
		}
		l.mu.Unlock()
	}
}
