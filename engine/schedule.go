package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/schedule"
	"github.com/starling-rules/starling/engine/wait"
)

// scheduler keeps the schedules of the rules: each has a timer in the store,
// for the next time that is due, with what happened so far in its body.
//
//	rules change ─► settle: set, change, cancel timers
//	timer is due ─► fire: store the event, then set the timer for the next time
//
// The owner of the timer's shard is handed it, so one process of several fires.
// A crash between storing the event and setting the timer fires the same time
// again, whose event has the same id and is stored once. (The store remembers
// ids for a day: a server that dies just there and is not started for longer
// runs that firing again.)
type scheduler struct {
	e *Engine

	mu      sync.Mutex
	removed []string      // rules that went away, to be settled
	changed chan struct{} // with room for one word
}

// scheduleTimer begins the ids of the timers of schedules.
const scheduleTimer = "schedule/"

// scheduleKey is the key of the events of schedules, and so of their timers:
// who has the timer has the event of the firing before, and knows if it ended.
var scheduleKey = (&event.Event{Kind: event.Schedule}).Conversation()

// Outcomes of a time that was due.
const (
	scheduleFired   = "fired"
	scheduleSkipped = "skipped" // the run of the firing before went on
	scheduleMissed  = "missed"  // no server ran, and it is not made up for
	scheduleOff     = "off"     // the rule was switched off
	scheduleByHand  = "by hand" // an operator fired it
)

// scheduleRecord is the body of a schedule's timer.
type scheduleRecord struct {
	// Digest tells whether the schedule is still the one that Due was found with.
	Digest string `json:"digest"`
	// Due is what the timer waits for; zero: nothing is due any more.
	Due time.Time `json:"due,omitzero"`
	// Last is the newest due time that was dealt with, and how; Fired the newest
	// that was fired, or the moment of a firing by hand, and Event its event.
	Last    time.Time `json:"last,omitzero"`
	Outcome string    `json:"outcome,omitempty"`
	Fired   time.Time `json:"fired,omitzero"`
	Event   string    `json:"event,omitempty"`
	// How often so far.
	Firings int `json:"firings,omitempty"`
	Skipped int `json:"skipped,omitempty"`
	Missed  int `json:"missed,omitempty"`
}

// Pauses of the scheduler.
const (
	settleAgain = time.Second         // after a failure of the store
	behindFor   = time.Second         // a firing that is made up for waits for the one before
	orphanFor   = 10 * time.Minute    // a rule that is not there may come: its file may be broken
	overFor     = 30 * 24 * time.Hour // a schedule that is over is looked at again
)

func newScheduler(e *Engine) *scheduler {
	return &scheduler{e: e, changed: make(chan struct{}, 1)}
}

// run settles the timers now and whenever the rules change, until ctx ends.
func (s *scheduler) run(ctx context.Context) error {
	s.e.loader.OnSwap(s.swapped)
	for {
		pause := time.Duration(0)
		if err := s.settle(ctx); err != nil && ctx.Err() == nil {
			s.e.log.Warn("set the timers of schedules", "err", err)
			pause = settleAgain
		}
		var again <-chan time.Time
		if pause > 0 {
			again = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
		case <-again:
		}
	}
}

// swapped notes which schedules went away.
func (s *scheduler) swapped(old, now *rules.Set) {
	s.mu.Lock()
	if old != nil {
		for _, r := range old.OfKind(event.Schedule) {
			if now.Rule(r.ID) == nil {
				s.removed = append(s.removed, r.ID)
			}
		}
	}
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// settle brings the timers in step with the rules in force.
func (s *scheduler) settle(ctx context.Context) error {
	s.mu.Lock()
	removed := s.removed
	s.removed = nil
	s.mu.Unlock()
	set := s.e.loader.Current()
	for i, id := range removed {
		if set.Rule(id) != nil {
			continue
		}
		if err := s.e.store.Timers().Cancel(ctx, scheduleKey, scheduleTimer+id); err != nil {
			s.mu.Lock()
			s.removed = append(removed[i:], s.removed...)
			s.mu.Unlock()
			return err
		}
	}
	for _, r := range set.OfKind(event.Schedule) {
		if err := s.ensure(ctx, r); err != nil && !errors.Is(err, queue.ErrChanged) {
			return err // ErrChanged: another process was faster
		}
	}
	return nil
}

// ensure sets the timer of a rule, if it has none or one for another schedule.
func (s *scheduler) ensure(ctx context.Context, r *rules.Rule) error {
	now := s.e.o.Now()
	t, rec, err := readSchedule(ctx, s.e.store, r.ID)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		rec = scheduleRecord{Due: r.Schedule.Next(now)}
	case err != nil:
		return err
	case rec.Digest != r.Schedule.Digest():
		rec.Due = r.Schedule.Next(now)
	case t.At.After(now):
		return nil
	}
	// What is overdue may wait for this rule to be there: it is handed over again.
	return s.save(ctx, r, t, rec)
}

// save sets the timer of a rule, if it is still what it was when t was read.
func (s *scheduler) save(ctx context.Context, r *rules.Rule, t queue.Timer, rec scheduleRecord) error {
	rec.Digest = r.Schedule.Digest()
	t.ID, t.Key, t.At = scheduleTimer+r.ID, scheduleKey, r.Schedule.Fires(r.ID, rec.Due)
	if rec.Due.IsZero() {
		t.At = s.e.o.Now().Add(overFor)
	}
	return setRecord(ctx, s.e.store, t, rec)
}

// setRecord sets a timer with another body, if it is still what it was when t
// was read.
func setRecord(ctx context.Context, store queue.Store, t queue.Timer, rec scheduleRecord) (err error) {
	if t.Body, err = json.Marshal(rec); err != nil {
		return fmt.Errorf("write schedule: %w", err)
	}
	return store.Timers().Replace(ctx, t)
}

// readSchedule returns the timer of a rule's schedule and what its body says.
func readSchedule(ctx context.Context, store queue.Store, rule string) (t queue.Timer, rec scheduleRecord, err error) {
	if t, err = store.Timers().Get(ctx, scheduleKey, scheduleTimer+rule); err != nil {
		return t, rec, err
	}
	if err := json.Unmarshal(t.Body, &rec); err != nil {
		return t, rec, fmt.Errorf("read schedule of %s: %w", rule, err)
	}
	return t, rec, nil
}

// fire is handed the timer of a schedule.
func (s *scheduler) fire(ctx context.Context, t queue.Timer) error {
	now := s.e.o.Now()
	id := strings.TrimPrefix(t.ID, scheduleTimer)
	var rec scheduleRecord
	if err := json.Unmarshal(t.Body, &rec); err != nil {
		s.e.log.Error("the record of a schedule is dropped", "rule", id, "err", err)
		rec = scheduleRecord{}
	}
	r := s.e.loader.Current().Rule(id)
	switch {
	case r == nil && now.Sub(t.At) < schedule.Memory:
		return queue.Later(orphanFor)
	case r == nil || !r.Enabled || r.Schedule == nil:
		return nil // the timer goes
	case rec.Digest != r.Schedule.Digest() || rec.Due.IsZero():
		rec.Due = r.Schedule.Next(now)
		return changedIsFine(s.save(ctx, r, t, rec))
	}
	if err := s.firing(ctx, r, &rec, now); err != nil {
		return err
	}
	return changedIsFine(s.save(ctx, r, t, rec))
}

// changedIsFine takes a timer that was changed meanwhile for one that will be
// handed over as it is now.
func changedIsFine(err error) error {
	if errors.Is(err, queue.ErrChanged) {
		return nil
	}
	return err
}

// firing deals with what is owed at now, and notes it in rec.
func (s *scheduler) firing(ctx context.Context, r *rules.Rule, rec *scheduleRecord, now time.Time) error {
	owed := r.Schedule.Owed(r.ID, rec.Due, now)
	outcome := ""
	if !owed.Fire.IsZero() {
		outcome = scheduleFired
		if _, off := s.e.breaker.Off(r.ID, r.Digest); off {
			outcome = scheduleOff
		} else if !r.Schedule.Overlap && running(ctx, s.e.store, rec.Event) {
			if owed.Behind {
				return queue.Later(behindFor)
			}
			outcome = scheduleSkipped
		}
	}
	if outcome == scheduleFired {
		ev := r.Firing(owed.Fire, now)
		if err := s.store(ctx, ev); err != nil {
			return err
		}
		rec.Fired, rec.Event = owed.Fire, ev.ID
	}
	s.note(r, rec, owed, outcome)
	return nil
}

// note records, counts and logs what became of the times that were due.
func (s *scheduler) note(r *rules.Rule, rec *scheduleRecord, owed schedule.Owed, outcome string) {
	count := s.e.metrics.Firings
	if owed.Missed > 0 {
		s.e.log.Warn("times of a schedule were missed", "rule", r.ID, "missed", owed.Missed, "since", rec.Due, "catch_up", string(r.Schedule.CatchUp))
		count.WithLabelValues(r.ID, scheduleMissed).Add(float64(owed.Missed))
		rec.Last, rec.Outcome = rec.Due, scheduleMissed
		rec.Missed += owed.Missed
	}
	rec.Due = owed.Next
	switch outcome {
	case "":
		return
	case scheduleFired:
		rec.Firings++
	case scheduleSkipped:
		rec.Skipped++
		s.e.log.Warn("a schedule is skipped: the run before goes on", "rule", r.ID, "due", owed.Fire, "running", rec.Event)
	}
	count.WithLabelValues(r.ID, outcome).Inc()
	rec.Last, rec.Outcome = owed.Fire, outcome
}

// store stores a firing; it is fine that it was stored before.
func (s *scheduler) store(ctx context.Context, ev *event.Event) error {
	err := s.e.disp.Accept(ctx, ev)
	if err != nil && !errors.Is(err, queue.ErrDuplicate) {
		return fmt.Errorf("store a scheduled event: %w", err)
	}
	return nil
}

// running reports whether an event is there and not settled: its runs go on,
// wait, or have yet to begin.
func running(ctx context.Context, store queue.Store, id string) bool {
	if id == "" {
		return false
	}
	info, err := store.Event(ctx, id)
	return err == nil && info.Settled.IsZero()
}

// timer is handed every timer of the store that is due.
func (e *Engine) timer(ctx context.Context, t queue.Timer) error {
	switch {
	case strings.HasPrefix(t.ID, scheduleTimer):
		return e.schedules.fire(ctx, t)
	case strings.HasPrefix(t.ID, wait.TimerPrefix):
		return e.disp.Timer(ctx, t)
	}
	return fmt.Errorf("timer %s: nothing here knows what it is for", t.ID)
}
