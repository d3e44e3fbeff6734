package scripttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
)

// deliver hands an event to the dispatcher as the way in does, and adds what
// comes of it to r. It returns when everything has ended that it set off: its
// runs, and those that waited for it, or when they wait.
func (w *world) deliver(r *run, e *event.Event) error {
	if err := w.start(); err != nil {
		return err
	}
	w.mu.Lock()
	r.events = append(r.events, e)
	if w.runs[e.ID] == nil {
		w.runs[e.ID] = r
	}
	w.mu.Unlock()
	err := w.accept(r, e)
	if errors.Is(err, queue.ErrDuplicate) {
		r.duplicate = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("store the event: %w", err)
	}
	return w.settle()
}

// settle waits until nothing is under way any more, and lets ring what has
// fallen due meanwhile: something under test may have let time pass.
func (w *world) settle() error {
	for range maxFirings {
		if err := w.calm(); err != nil {
			return err
		}
		t, ok, err := w.store.soonest(context.Background())
		if err != nil || !ok || t.At.After(w.clock.Now()) {
			return err
		}
		if err := w.store.ring(context.Background(), t); err != nil {
			return err
		}
	}
	return fmt.Errorf("more than %d timers fall due at %s", maxFirings, w.clock.Now().Format(time.RFC3339))
}

// calm waits until every event is settled, and starts the engine again where
// the test cuts it off.
func (w *world) calm() error {
	timer := time.NewTimer(settleIn)
	defer timer.Stop()
	for {
		select {
		case <-w.store.settled():
			return nil
		case <-w.severed():
			if err := w.restart(); err != nil {
				return err
			}
		case <-timer.C:
			return fmt.Errorf("the rules did not end within %s", settleIn)
		}
	}
}

// resubmit takes an event that a rule repeats: what comes of it belongs to the
// run that the test waits for.
func (w *world) resubmit(ctx context.Context, e *event.Event) error {
	a := askerOf(ctx)
	w.mu.Lock()
	if a != nil && w.runs[e.ID] == nil {
		if r := w.runs[a.run.Event.ID]; r != nil {
			r.events = append(r.events, e)
			w.runs[e.ID] = r
		}
	}
	w.mu.Unlock()
	return w.disp.Accept(ctx, e)
}

// accept stores the event, and waits for the answer if there is one to wait
// for: as long as the configuration says, by the clock of the world.
func (w *world) accept(r *run, e *event.Event) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !e.Answered() {
		return w.disp.Accept(ctx, e)
	}
	// Whoever moves the clock past the limit goes on when nobody waits for the
	// answer any more: what comes later is surely late.
	gone := make(chan struct{})
	stop := w.clock.alarm(e.Received.Add(w.s.cfg.Limits.Answer), func() {
		cancel()
		<-gone
	})
	// Who waits while the server is cut off has no connection any more.
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-w.severed():
			cancel()
		case <-over:
		}
	}()
	a, err := w.disp.AcceptAnswered(ctx, e)
	close(gone)
	stop()
	if err == nil {
		r.answer, r.late = a, ctx.Err() != nil
	}
	return err
}

// inspector takes what the dispatcher tells of an event and its runs.
type inspector struct{ w *world }

// Event implements dispatch.Inspector.
func (i inspector) Event(t dispatch.EventTrace) {
	i.w.mu.Lock()
	defer i.w.mu.Unlock()
	if r := i.w.runs[t.Event.ID]; r != nil {
		r.verdicts = append(r.verdicts, t.Verdicts...)
	}
}

// Run implements dispatch.Inspector. A run belongs to the event that it began
// with; and what goes on after a wait, to what the test has just done as well.
func (i inspector) Run(t dispatch.RunTrace) {
	w := i.w
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.from[t.ID]
	if r == nil {
		if r = w.runs[t.EventID]; r == nil {
			r = w.now
		}
		w.from[t.ID] = r
	}
	if r != nil {
		r.take(t)
	}
	if w.now != nil && w.now != r {
		w.now.take(t)
	}
}

// take adds what a run did, behind what it had done before it waited or was cut
// off. The caller holds mu.
func (r *run) take(t dispatch.RunTrace) {
	at := slices.IndexFunc(r.traces, func(x dispatch.RunTrace) bool { return x.ID == t.ID })
	if at < 0 {
		r.traces = append(r.traces, t)
		return
	}
	before, done := r.traces[at], 0
	for _, e := range before.Effects {
		done = max(done, e.Step) // that of an answer is 0
	}
	if len(t.Effects) == 0 || t.Effects[0].Step == 0 || t.Effects[0].Step > done {
		t.Effects = slices.Concat(before.Effects, t.Effects)
		t.Logs = slices.Concat(before.Logs, t.Logs)
	}
	r.traces[at] = t
}
