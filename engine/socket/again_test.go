package socket_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/socket"
)

// slowRule is a sink whose rule answers when it is told to.
type slowRule struct {
	sink
	asked chan string
	say   chan string
}

func (s *slowRule) AcceptAnswered(ctx context.Context, e *event.Event) (*event.Answer, error) {
	if err := s.Accept(ctx, e); err != nil {
		return nil, err
	}
	s.asked <- e.ID
	select {
	case text := <-s.say:
		return &event.Answer{ContentType: "text/plain", Body: []byte(text)}, nil
	case <-ctx.Done():
		return nil, nil
	}
}

// Slack sends a command again whose connection is lost: whoever waits for the
// answer gets it, on the connection that there is.
func TestACommandThatComesAgainGetsTheAnswerOfTheFirst(t *testing.T) {
	t.Parallel()
	s := &slowRule{asked: make(chan string, 10), say: make(chan string)}
	r := connect(t, newFakeSlack(t), socket.Options{Sink: s})
	p := next(t, r.hello, "hello")
	p.command("tr1", true)
	next(t, s.asked, "run")
	_ = p.UnderlyingConn().Close()
	fresh := next(t, r.hello, "second hello")
	fresh.command("tr1", true) // while the rule is at work
	fresh.wasRead()
	s.say <- "done"
	if a := next(t, r.acks, "ack"); string(a.Payload) != `{"text":"done"}` || a.peer != fresh {
		t.Errorf("got %s on connection %d", a.Payload, a.peer.n)
	}
	fresh.command("tr1", true) // and after: the ack may have been lost
	if a := next(t, r.acks, "ack"); string(a.Payload) != `{"text":"done"}` {
		t.Errorf("got %s", a.Payload)
	}
	if len(s.asked) != 0 {
		t.Error("the rule ran again")
	}
}

// A first copy that is not stored answers nothing; the next ones do.
func TestACommandThatWasNotStoredIsAnsweredTheNextTime(t *testing.T) {
	t.Parallel()
	refused := make(chan struct{})
	s := &refusesOnce{refused: refused, sink: sink{answer: func(*event.Event) *event.Answer {
		return &event.Answer{ContentType: "text/plain", Body: []byte("done")}
	}}}
	r := connect(t, newFakeSlack(t), socket.Options{Sink: s})
	p := next(t, r.hello, "hello")
	p.command("tr1", true)
	<-refused
	for range 2 {
		p.command("tr1", true)
		for len(r.acks) == 0 { // a copy may come before the first is forgotten, and is not stored either
			p.wasRead()
		}
		if a := next(t, r.acks, "ack"); string(a.Payload) != `{"text":"done"}` {
			t.Errorf("got %s", a.Payload)
		}
	}
}

// refusesOnce is a store that fails the first time.
type refusesOnce struct {
	sink
	once    sync.Once
	refused chan struct{}
}

func (s *refusesOnce) AcceptAnswered(ctx context.Context, e *event.Event) (a *event.Answer, err error) {
	s.once.Do(func() { err = errFull; close(s.refused) })
	if err != nil {
		return nil, err
	}
	return s.sink.AcceptAnswered(ctx, e)
}

// Only a few answers are kept, and not for long.
func TestManyAnswersAreForgotten(t *testing.T) {
	t.Parallel()
	r := connect(t, newFakeSlack(t), socket.Options{Sink: &sink{answer: func(e *event.Event) *event.Answer {
		return &event.Answer{ContentType: "text/plain", Body: []byte(e.ID)}
	}}})
	p := next(t, r.hello, "hello")
	const n = 600
	for i := range n {
		p.command(fmt.Sprint("tr", i), true)
		next(t, r.acks, "ack")
	}
	kept := 0
	for i := range n {
		p.command(fmt.Sprint("tr", i), true)
		if a := next(t, r.acks, "ack"); len(a.Payload) > 0 {
			kept++
		}
	}
	if kept == 0 || kept > 300 {
		t.Errorf("%d of %d answers are kept", kept, n)
	}
}

// What cannot be read is known when it comes again, though the frame counts
// attempts.
func TestMalformedEnvelopesAreStoredOnce(t *testing.T) {
	t.Parallel()
	r := connect(t, newFakeSlack(t), socket.Options{})
	p := next(t, r.hello, "hello")
	for i := range 3 {
		p.send(`{"envelope_id":"e1","type":"events_api","payload":[],"retry_attempt":%d}`, i)
		next(t, r.acks, "ack")
	}
	p.send(`{"envelope_id":"e2","type":"events_api","payload":[]}`)
	next(t, r.acks, "ack")
	if n := len(r.sink.stored()); n != 2 {
		t.Errorf("%d events are stored, want one for each envelope", n)
	}
}

func TestRetriesAreToldInTheEvent(t *testing.T) {
	t.Parallel()
	r := connect(t, newFakeSlack(t), socket.Options{})
	p := next(t, r.hello, "hello")
	p.send(`{"envelope_id":"e1","type":"events_api","retry_attempt":2,"retry_reason":"timeout","payload":` +
		`{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":{"type":"message","channel":"C1","text":"hi","ts":"1.1"}}}`)
	next(t, r.acks, "ack")
	if e := r.sink.stored()[0]; e.Retry != 2 || e.RetryReason != "timeout" {
		t.Errorf("got %+v", e)
	}
}

func TestWhatIsAboutTheTransportIsAckedAndNotStored(t *testing.T) {
	t.Parallel()
	r := connect(t, newFakeSlack(t), socket.Options{})
	p := next(t, r.hello, "hello")
	p.send(`{"envelope_id":"e1","type":"events_api","payload":{"type":"url_verification","challenge":"x"}}`)
	if a := next(t, r.acks, "ack"); a.EnvelopeID != "e1" || a.Payload != nil || len(r.sink.stored()) != 0 {
		t.Errorf("got %+v, stored %d", a, len(r.sink.stored()))
	}
}

func TestWhatIsTooLargeToStoreIsAcked(t *testing.T) {
	t.Parallel()
	r := connect(t, newFakeSlack(t), socket.Options{Sink: &sink{fail: fmt.Errorf("put: %w", queue.ErrTooLarge)}})
	p := next(t, r.hello, "hello")
	p.message("Ev1", "hi")
	if a := next(t, r.acks, "ack"); a.EnvelopeID != "env-Ev1" {
		t.Errorf("got %+v", a)
	}
}

// A store that hangs holds up neither reading nor the end; what is beyond
// InFlight is left to Slack.
func TestAStoreThatHangsHoldsUpNothing(t *testing.T) {
	t.Parallel()
	s := &sink{hold: make(chan struct{})}
	acked := make(chan time.Duration, 10)
	r := connect(t, newFakeSlack(t), socket.Options{
		Sink: s, InFlight: 5, Drain: 50 * time.Millisecond, OnAck: func(_ *event.Event, took time.Duration) { acked <- took },
	})
	p := next(t, r.hello, "hello")
	for i := range 8 {
		p.message(fmt.Sprint("Ev", i), "hi")
	}
	p.send("x")
	r.life(t, "error_bad_message") // it reads on
	r.stop()
	if err := next(t, r.ended, "end"); err != nil {
		t.Error(err)
	}
	r.ended <- nil
	if len(r.acks)+len(acked)+len(s.stored()) != 0 {
		t.Error("something is stored, or acked")
	}
}

func TestOnAckIsToldHowLongAcksTake(t *testing.T) {
	t.Parallel()
	acked := make(chan *event.Event, 10)
	r := connect(t, newFakeSlack(t), socket.Options{OnAck: func(e *event.Event, took time.Duration) {
		if took <= 0 {
			t.Errorf("an ack has taken %v", took)
		}
		acked <- e
	}})
	p := next(t, r.hello, "hello")
	p.message("Ev1", "hi")
	p.command("tr1", true)
	for range 2 {
		next(t, acked, "ack")
	}
}

func TestClientsNeedATokenAndASink(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]socket.Options{"token": {Sink: &sink{}}, "sink": {Token: token}} {
		if _, err := socket.New(o); err == nil {
			t.Errorf("no %s: no error", name)
		}
	}
	var fatal error = &socket.Fatal{Reason: "link_disabled"}
	if _, ok := errors.AsType[*socket.Fatal](fmt.Errorf("run: %w", fatal)); !ok {
		t.Error("Fatal cannot be told")
	}
}
