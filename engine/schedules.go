package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/schedule"
)

// ScheduleReport is a rule of on.schedule as operators see it.
type ScheduleReport struct {
	Rule     string `json:"rule"`
	Name     string `json:"name,omitempty"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Owner    string `json:"owner,omitempty"`
	Schedule string `json:"schedule"`
	Zone     string `json:"zone"`
	Jitter   string `json:"jitter,omitempty"`
	Overlap  string `json:"overlap"`
	CatchUp  string `json:"catch_up"`
	// State is on, off or disabled as for any rule, running while the run of a
	// firing goes on or waits, or over if nothing is due any more.
	State string `json:"state"`
	// Next is when it fires next, jitter included; nil: not, or not while it is
	// off. Last is the newest time that was due, and Outcome what became of it:
	// fired, skipped, missed, off, or "by hand" for RunSchedule.
	Next    *time.Time `json:"next,omitempty"`
	Last    *time.Time `json:"last,omitempty"`
	Outcome string     `json:"outcome,omitempty"`
	// Fired is the newest time that was fired, Event its event.
	Fired   *time.Time `json:"fired,omitempty"`
	Event   string     `json:"event,omitempty"`
	Firings int        `json:"firings"`
	Skipped int        `json:"skipped"`
	Missed  int        `json:"missed"`
}

// Errors of RunSchedule that callers branch on.
var (
	// ErrNoSchedule: the rule is none of on.schedule.
	ErrNoSchedule = errors.New("not a rule of on.schedule")
	// ErrRunning: the run of the firing before goes on, and the rule's overlap is skip.
	ErrRunning = errors.New("the run of the firing before goes on")
	// ErrSwitchedOff: the rule is off or disabled.
	ErrSwitchedOff = errors.New("the rule is switched off")
)

// Schedules lists the rules of on.schedule, in the order in which they stand.
// Of those that no server has had yet, Next is what it will be.
func (o *Operator) Schedules(ctx context.Context) ([]ScheduleReport, error) {
	set, err := o.Set(ctx)
	if err != nil {
		return nil, err
	}
	out := []ScheduleReport{}
	for _, r := range set.Rules() {
		if r.Kind != event.Schedule || r.Schedule == nil {
			continue
		}
		rep, err := o.scheduleOf(ctx, r)
		if err != nil {
			return nil, err
		}
		out = append(out, rep)
	}
	return out, nil
}

func (o *Operator) scheduleOf(ctx context.Context, r *rules.Rule) (ScheduleReport, error) {
	s := r.Schedule
	rep := ScheduleReport{
		Rule: r.ID, Name: r.Name, File: r.Pos.Path, Line: r.Pos.Line, Owner: r.Owner,
		Schedule: s.String(), Zone: s.Location().String(), Overlap: "skip", CatchUp: string(s.CatchUp), State: string(breaker.On),
	}
	if s.Overlap {
		rep.Overlap = "allow"
	}
	if s.Jitter > 0 {
		rep.Jitter = schedule.Short(s.Jitter)
	}
	_, rec, err := readSchedule(ctx, o.Store, r.ID)
	due := rec.Due
	switch {
	case err != nil && !errors.Is(err, queue.ErrNotFound):
		return rep, err
	case err != nil || rec.Digest != s.Digest():
		due = s.Next(o.Now())
	}
	rep.Next, rep.Last, rep.Fired = someTime(s.Fires(r.ID, due)), someTime(rec.Last), someTime(rec.Fired)
	rep.Outcome, rep.Event = rec.Outcome, rec.Event
	rep.Firings, rep.Skipped, rep.Missed = rec.Firings, rec.Skipped, rec.Missed
	switch sw, off := o.Breaker.Off(r.ID, r.Digest); {
	case off:
		rep.State = string(sw.State)
	case !r.Enabled:
		rep.State, rep.Next = string(breaker.Disabled), nil
	case running(ctx, o.Store, rec.Event):
		rep.State = "running"
	case rep.Next == nil:
		rep.State = "over"
	}
	return rep, nil
}

func someTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// RunSchedule fires a rule of on.schedule now, whatever its schedule says: its
// event takes the ordinary way. It returns the event's id; queue.ErrNotFound if
// there is no such rule, ErrNoSchedule, ErrRunning or ErrSwitchedOff. It needs
// Accept.
func (o *Operator) RunSchedule(ctx context.Context, id string) (string, error) {
	set, err := o.Set(ctx)
	if err != nil {
		return "", err
	}
	r := set.Rule(id)
	switch {
	case r == nil:
		return "", fmt.Errorf("rule %s: %w", id, queue.ErrNotFound)
	case r.Schedule == nil:
		return "", fmt.Errorf("rule %s: %w", id, ErrNoSchedule)
	case !r.Enabled:
		return "", fmt.Errorf("rule %s: %w", id, ErrSwitchedOff)
	}
	if sw, off := o.Breaker.Off(id, r.Digest); off {
		return "", fmt.Errorf("rule %s: %w: %s", id, ErrSwitchedOff, sw.Why)
	}
	now := o.Now()
	t, rec, missing := readSchedule(ctx, o.Store, id)
	if missing == nil && !r.Schedule.Overlap && running(ctx, o.Store, rec.Event) {
		return rec.Event, fmt.Errorf("rule %s: %w: event %s", id, ErrRunning, rec.Event)
	}
	ev := r.Firing(now, now)
	ev.ID += "-" + strconv.FormatInt(now.UnixNano()%1e9, 36) // not the id of a due time
	if err := o.Accept(ctx, ev); err != nil {
		return "", fmt.Errorf("store the event: %w", err)
	}
	if missing != nil {
		return ev.ID, nil // no server has set its timer yet
	}
	rec.Fired, rec.Event = now, ev.ID
	rec.Last, rec.Outcome = now, scheduleByHand
	rec.Firings++
	// If the schedule fires at this very moment, that one is the newest.
	if err := setRecord(ctx, o.Store, t, rec); err != nil && !errors.Is(err, queue.ErrChanged) {
		return ev.ID, fmt.Errorf("note that it was fired: %w", err)
	}
	return ev.ID, nil
}

// mountSchedules adds the endpoints of starling schedule.
func (e *Engine) mountSchedules(op *Operator) {
	e.admin.Handle(http.MethodGet, "/schedules", func(ctx context.Context, _ *ingress.AdminRequest) ingress.AdminResponse {
		return reply(op.Schedules(ctx))
	})
	e.admin.Handle(http.MethodPost, "/schedules/run/{id}", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		id, err := op.RunSchedule(ctx, r.Params["id"])
		switch {
		case errors.Is(err, ErrNoSchedule):
			return ingress.Problem(http.StatusBadRequest, err.Error())
		case errors.Is(err, ErrRunning), errors.Is(err, ErrSwitchedOff):
			return ingress.Problem(http.StatusConflict, err.Error())
		}
		return reply(map[string]string{"event": id}, err)
	})
}
