package engine

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
)

// schedule stores an event for each due time of each on.schedule rule. The
// event's id is made of the rule and the time, so that of several processes,
// and of a restart within the same second, one firing comes.
func (e *Engine) schedule(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	e.loader.OnSwap(func(_, _ *rules.Set) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	last := e.o.Now()
	for {
		due, at := dueNext(e.loader.Current().OfKind(event.Schedule), last)
		wait := time.Hour
		if len(due) > 0 {
			wait = at.Sub(e.o.Now())
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
			timer.Stop()
			continue
		case <-timer.C:
		}
		if len(due) == 0 {
			continue
		}
		for _, r := range due {
			e.fire(ctx, r, at)
		}
		last = at
	}
}

// dueNext finds the rules that are due next after t, and when.
func dueNext(scheduled []*rules.Rule, t time.Time) (due []*rules.Rule, at time.Time) {
	for _, r := range scheduled {
		next := r.Schedule.Next(t)
		switch {
		case next.IsZero():
		case len(due) == 0 || next.Before(at):
			due, at = []*rules.Rule{r}, next
		case next.Equal(at):
			due = append(due, r)
		}
	}
	return due, at
}

// fire stores one firing; it tries again while the store is not available.
func (e *Engine) fire(ctx context.Context, r *rules.Rule, at time.Time) {
	ev := &event.Event{
		ID:   "sch-" + r.ID + "-" + strconv.FormatInt(at.Unix(), 10),
		Kind: event.Schedule, Type: "schedule", CallbackID: r.ID, Via: "local",
		Received: e.o.Now(), ScheduledAt: at, Encoding: event.None,
	}
	for {
		err := e.disp.Accept(ctx, ev)
		if err == nil || errors.Is(err, queue.ErrDuplicate) || ctx.Err() != nil {
			return
		}
		e.log.Error("store a scheduled event", "rule", r.ID, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}
