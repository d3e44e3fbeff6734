package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// An answered run goes on as an event of its own, the continuation: stored,
// delivered and journaled as any, to one process at a time. Its id names the
// run and the wait, so that however often it is put, it is one. The steps
// before are in the row of the run, and those after in the journal of the
// continuation, until the run parks again, or has ended: then the row is
// replaced, and a continuation that is delivered again finds nothing to do.

// viaWait is event.Event.Via of continuations: nothing from outside has it.
const viaWait = "wait"

const continuationID = "wait:"

// goOn puts the continuation of an answered run into the queue.
func (d *Dispatcher) goOn(ctx context.Context, row *wait.Row) error {
	return PutContinuation(ctx, d.Store, row)
}

// parseContinuation reads the id of a continuation.
func parseContinuation(id string) (run string, at wait.Point, ok bool) {
	text, ok := strings.CutPrefix(id, continuationID)
	if !ok {
		return "", at, false
	}
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 {
		return "", at, false
	}
	at, ok = wait.ParsePoint(text[dot+1:])
	return text[:dot], at, ok
}

// PutContinuation stores the event by which an answered run goes on, once.
func PutContinuation(ctx context.Context, store queue.Store, row *wait.Row) error {
	e := &event.Event{
		ID: ContinuationID(row), Kind: event.Other, Type: "starling.continue", Via: viaWait,
		Received: row.Answer.At, Encoding: event.None,
	}
	err := store.Put(ctx, queue.Record{ID: e.ID, Key: row.Key, Body: e.Encode(nil), Local: e})
	if err != nil && !errors.Is(err, queue.ErrDuplicate) {
		return fmt.Errorf("have run %s go on: %w", row.Run, err)
	}
	return nil
}

// continued takes up a continuation.
func (d *Dispatcher) continued(del queue.Delivery, e *event.Event) {
	defer d.recovered(del)
	run, at, ok := parseContinuation(e.ID)
	if !ok {
		d.bury(del, "a continuation without a run: "+e.ID)
		return
	}
	row, err := d.row(run)
	if err != nil {
		return // the server stops, and the event stays
	}
	again := del.Attempt() > 1 || len(del.History()) > 0
	// live: the row is still the base of this continuation. One that was given
	// up goes on when somebody has it tried again.
	here := row != nil && row.Wait.Point() == at
	live := here && (row.State == wait.Answered || row.Outcome == string(Dead) && del.ID() != e.ID)
	if here && row.Outcome == string(Dead) && !live {
		d.bury(del, row.Why) // it was given up, and cut off before that
		return
	}
	if !live && row != nil { // who parked it again may not have come to its timer
		if err := persist(d.runCtx, func() error { return d.waiting.Ensure(d.runCtx, row) }); err != nil {
			return
		}
	}
	if !live && len(del.History()) == 0 {
		del.Settle() // it went on before
		return
	}
	rec, b, err := continuationRecord(row, live, del.History())
	switch {
	case err != nil:
		d.giveUp(del, row, live, "decode parked run: "+err.Error())
		return
	case rec.Attempts >= d.MaxAttempts:
		d.giveUp(del, row, live, "interrupted too often: every attempt ended with the server")
		return
	case len(rec.Runs) == 0:
		del.Settle()
		return
	}
	act, err := d.continuation(del, e, row, b)
	if err != nil {
		d.giveUp(del, row, live, err.Error())
		return
	}
	if again && len(del.History()) > 0 && rec.opened {
		if !act.takenUp(rec) {
			return
		}
	} else if again {
		act.resumed, act.counted = true, true
		del.AppendLater(attemptEntry(d.Now()))
	}
	act.planContinued(rec, row, b, at, live)
	act.start()
}

// row reads a row; nil if there is none. The error is that of a server that stops.
func (d *Dispatcher) row(run string) (row *wait.Row, err error) {
	err = persist(d.runCtx, func() error {
		row, err = d.waiting.Get(d.runCtx, run)
		if errors.Is(err, queue.ErrNotFound) {
			row, err = nil, nil
		}
		return err
	})
	return row, err
}

// continuationRecord is the journal of a continuation behind that of its row. A
// row that has been replaced since is no base any more: then only what the
// journal says of the other runs (rules of on.error) is of use.
func continuationRecord(row *wait.Row, live bool, history []queue.Entry) (*record, *base, error) {
	var b *base
	var err error
	if row != nil {
		if b, err = decodeBase(row.Base); err != nil {
			return nil, nil, err
		}
	}
	rec := newRecord()
	if live {
		if rec, err = b.record(); err != nil {
			return nil, nil, err
		}
		rec.Ends, rec.Attempts = map[int]ended{}, 0 // of one that was given up
	}
	for _, en := range history {
		rec.opened = rec.opened || en.Type == entryOpen
		if err := rec.apply(en); err != nil {
			return nil, nil, err
		}
	}
	return rec, b, nil
}

// continuation is the activity of a continuation: about the event that the run
// began with.
func (d *Dispatcher) continuation(del queue.Delivery, e *event.Event, row *wait.Row, b *base) (*activity, error) {
	if b == nil { // the row is gone, and with it the event: what is left has ended
		act := newActivity(d, del, e)
		act.key = del.ID()
		return act, nil
	}
	origin, err := b.origin()
	if err != nil {
		return nil, fmt.Errorf("decode the event of run %s: %w", row.Run, err)
	}
	if origin.Reply != "" {
		alone := *origin // whoever waited for an answer has had one
		alone.Reply = ""
		origin = &alone
	}
	act := newActivity(d, del, origin)
	act.key, act.origin = del.ID(), b.event
	return act, nil
}

// planContinued plans the run, and what the journal tells of others.
func (a *activity) planContinued(rec *record, row *wait.Row, b *base, at wait.Point, live bool) {
	r := a.place(rec.Runs[0])
	r.row, r.last, r.ended = row, rec.Last[0], rec.Ends[0]
	r.permitted = true
	switch {
	case r.ended.Outcome != "":
	case live:
		r.goOnFrom(rec, b)
	default:
		r.known = endOf(row, b, at)
	}
	for i := 1; i < len(rec.Runs); i++ {
		a.addRecorded(rec.Runs[i], rec.Steps[i], rec.Last[i], rec.Ends[i])
	}
}

// endOf is how a run got away from the continuation of a wait that does not
// know: it has ended, or parked again. What became of it then, also that it
// failed, is the business of the continuation of that later wait.
func endOf(row *wait.Row, b *base, at wait.Point) *ended {
	if row == nil {
		return &ended{Outcome: Done}
	}
	if row.State == wait.Ended && row.Wait.Point() == at {
		if rec, err := b.record(); err == nil && rec.Ends[0].Outcome != "" {
			end := rec.Ends[0]
			return &end
		}
		return &ended{Outcome: Outcome(row.Outcome), Why: row.Why, At: row.Ended}
	}
	return &ended{Outcome: Waiting, At: row.Wait.Since}
}

func (r *run) goOnFrom(rec *record, b *base) {
	c := &r.call
	c.Now, c.Extra, c.SkipLogs = b.now, b.extra, b.logs
	if !b.alone {
		c.Input = event.AppendInput(make([]byte, 0, len(b.event)+64), b.event, r.Match)
	}
	r.spent, r.script, r.passes, r.steps = b.spent, b.script, b.passes, b.steps
	if n := rec.Notes[0]; n != nil {
		r.notes = *n
	}
	steps := rec.Steps[0]
	if at := r.row.Wait.Step; at > 0 && at <= len(steps) {
		r.a.base = at - 1
		if s := &steps[at-1]; !s.Done {
			if s.Wait != nil && r.row.Wait.Point().Before(s.Wait.Point()) {
				r.waiting = s // it did all but park
			} else {
				r.answered = s
			}
			steps = steps[:at-1]
		}
	} else {
		r.a.base = len(b.doneSteps())
	}
	r.takeUp(steps)
	r.traceBefore(steps)
	if _, ok := r.d.Rules.Bundle(r.Digest); ok {
		r.acquire()
	}
}

// doneSteps are the steps of the base itself.
func (b *base) doneSteps() []step {
	rec, err := b.record()
	if err != nil {
		return nil
	}
	return rec.Steps[0]
}

// traceBefore tells the inspector, with what the run does from here, what it
// did before.
func (r *run) traceBefore(steps []step) {
	if r.d.Inspector == nil {
		return
	}
	for i := range steps {
		r.traceStep(i+1, &steps[i])
	}
	for _, l := range r.notes.Logs {
		r.trace.Logs = append(r.trace.Logs, l.Level.String()+" "+logText(runtime.LogLine{Text: l.Text, Attrs: l.Attrs}))
	}
}

// traceStep tells the inspector what a step gave: the result, or what is waited for.
func (r *run) traceStep(n int, s *step) {
	if r.d.Inspector == nil {
		return
	}
	t := EffectTrace{Step: n, Kind: s.Kind, Args: show(s.Args), Result: show(s.Value), At: s.Pos.String()}
	switch {
	case s.Err != "":
		t.Result = s.Err
	case !s.Done:
		t.Result = show(s.Asked)
	}
	r.trace.Effects = append(r.trace.Effects, t)
}

// resumeWait makes the result of the wait that was answered, once it is the
// turn of the run. cancelled: the answer is that it should end.
func (r *run) resumeWait(ctx context.Context) (cancelled bool, fail *runtime.Error, err error) {
	if r.row == nil || r.known != nil || r.ended.Outcome != "" || r.row.Answer == nil {
		return false, nil, nil
	}
	a, s := r.row.Answer, r.answered
	if r.cancelled() {
		if s != nil {
			_, _ = r.resumed(ctx, r.effectOf(s), a)
		}
		return true, nil, ctx.Err()
	}
	if r.waiting != nil {
		r.traceStep(r.waiting.Wait.Step, r.waiting)
		return false, nil, errParked
	}
	if s == nil {
		return false, nil, nil
	}
	e := r.effectOf(s)
	value, err := r.resumed(ctx, e, a)
	if ctx.Err() != nil && door.Outcome(value, err) != "ok" {
		return false, nil, errors.Join(errAbandoned, context.Cause(ctx))
	}
	if again, ok := errors.AsType[*door.WaitAgain](err); ok {
		fail, err := r.waitAgain(ctx, e, s, again.Wait)
		return false, fail, err
	}
	done := *s
	done.Done, done.At, done.Value = true, r.d.Now(), value
	if err != nil {
		done.Err = err.Error()
	}
	r.a.later(resultEntry(r.index, e, s.Hash, false, done.At, value, done.Err))
	r.done = append(r.done, done)
	r.call.Results = append(r.call.Results, runtime.StepResult{Hash: s.Hash, Kind: s.Kind, Value: value, Err: done.Err})
	r.answered = nil
	r.traceStep(e.Step, &done)
	return false, nil, nil
}

func (r *run) effectOf(s *step) runtime.Effect {
	return runtime.Effect{Step: r.row.Wait.Step, Kind: s.Kind, Args: s.Args, Pos: s.Pos}
}

// resumed has the handler make the result. One that panics has failed, as far
// as this run is concerned.
func (r *run) resumed(ctx context.Context, e runtime.Effect, a *wait.Answer) (v runtime.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.d.Logger.Error("panic", "run", r.ID, "rule", r.Rule, "effect", e.Kind, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			v, err = nil, fmt.Errorf("%s: fault of the server: see its log", e.Kind)
		}
	}()
	if r.live == nil {
		r.openDoor()
	}
	if h := r.d.Live[e.Kind]; h.Resume != nil {
		return h.Resume(ctx, &r.asker, e, r.row.Wait, a)
	}
	if a.By == wait.ByOperator {
		v, _ = a.Value.Get("answer")
		return v, nil
	}
	if a.Value == nil {
		return nil, nil
	}
	return a.Value, nil
}

// cancelled reports whether somebody wants the run to end where it waits.
func (r *run) cancelled() bool {
	return r.row != nil && r.row.Answer != nil && r.row.Answer.By == wait.ByCancel
}

// whyCancelled says who did it.
func (r *run) whyCancelled() string {
	if who := r.row.Answer.Who; who != "" {
		return "cancelled by " + who
	}
	return "cancelled"
}

// trigger is door.Run.Trigger: the newest that came with a trigger_id. A message
// or a reaction brings none, and does not take away what a click before it did.
func (r *run) trigger() door.Trigger {
	var newest door.Trigger
	for _, a := range r.answers() {
		if t := triggerOf(a.Event); t.ID != "" {
			return t
		} else if newest.User == "" {
			newest = t
		}
	}
	if t := triggerOf(wait.OriginOf(r.e)); t.ID != "" || newest.User == "" {
		return t
	}
	return newest
}

// answers are those that events gave the run, the newest first.
func (r *run) answers() []*wait.Answer {
	if r.row == nil {
		return nil
	}
	all := []*wait.Answer{r.row.Answer}
	for i := len(r.row.Past) - 1; i >= 0; i-- {
		all = append(all, r.row.Past[i].Answer)
	}
	return slices.DeleteFunc(all, func(a *wait.Answer) bool { return a == nil || a.By != wait.ByEvent })
}

func triggerOf(o wait.Origin) door.Trigger {
	return door.Trigger{ID: o.TriggerID, ResponseURL: o.ResponseURL, User: o.User, At: o.Received}
}

// giveUp makes a continuation a dead letter, and its run dead.
func (d *Dispatcher) giveUp(del queue.Delivery, row *wait.Row, live bool, reason string) {
	if live {
		dead := *row
		dead.Outcome, dead.Why = string(Dead), reason
		if err := persist(d.runCtx, func() error { return d.waiting.Finish(d.runCtx, &dead) }); err != nil {
			return
		}
	}
	d.bury(del, reason)
}
