package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// hearing is what an event may be for: runs that share a key with it, and the
// wait that it names. It is looked into beside the rules that the event matches.
type hearing struct {
	runs []string
	ref  string     // the run that the event names
	at   wait.Point // and its wait
	late bool       // the index is yet to be read, and runs with it
}

// hears returns the runs that may wait for an event, or nil.
func (d *Dispatcher) hears(e *event.Event) *hearing {
	h := &hearing{}
	var named bool
	h.ref, h.at, named = wait.RefOf(e)
	select {
	case <-d.waiting.Loaded():
		h.runs = d.waiting.Find(e)
	default:
		h.late = true
	}
	if !named && !h.late && len(h.runs) == 0 {
		return nil
	}
	return h
}

// parts is in how many parts an event is heard: by the run that it names, and by
// those that share a key with it.
func (h *hearing) parts() (n int) {
	if h != nil && h.ref != "" {
		n++
	}
	if h != nil && (h.late || len(h.runs) > 0) {
		n++
	}
	return n
}

// unsure reports whether nothing is known of a run that the event may be for.
func (h *hearing) unsure() bool { return h == nil || h.late && h.ref == "" }

// listen tells the runs of an event, in other goroutines, and calls done behind
// each part. What names one run, and what belongs to one conversation, is told
// in the order of the calls, which in a conversation is that of the acks: whoever
// was told that his answer is taken is not overtaken by who comes later. It can
// be repeated: an event counts once for each run. An error means that it has to
// be, at the next start.
func (d *Dispatcher) listen(e *event.Event, h *hearing, done func(error)) {
	if h.ref != "" {
		d.clicks.behind(h.ref, d.running.Go, func() { done(d.hearSafely(e, h.ref, &h.at, h)) })
	}
	if h.late || len(h.runs) > 0 {
		d.clicks.behind("in "+e.Conversation(), d.running.Go, func() { done(d.hearOthers(e, h)) })
	}
}

func (d *Dispatcher) hearOthers(e *event.Event, h *hearing) error {
	if h.late {
		select {
		case <-d.waiting.Loaded():
			h.runs = d.waiting.Find(e)
		case <-d.following.Done(): // it is not going to be loaded any more
			return errAbandoned
		}
	}
	for _, run := range h.runs {
		if run == h.ref {
			continue
		}
		if err := d.hearSafely(e, run, nil, h); err != nil {
			return err
		}
	}
	return nil
}

// hearSafely is hearRun; a panic is a fault of this program, and ends this alone.
func (d *Dispatcher) hearSafely(e *event.Event, run string, at *wait.Point, h *hearing) (err error) {
	defer func() {
		if p := recover(); p != nil {
			d.Logger.Error("panic", "event_id", e.ID, "run", run, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = nil
		}
	}()
	if at == nil && len(h.runs) > company && d.notFor(d.runCtx, e, run, h.late) {
		return nil
	}
	return d.hearRun(d.runCtx, e, run, at, h.late)
}

// Pauses between looks for a run that is not parked yet.
const (
	parkLook   = 2 * time.Millisecond
	parkSeldom = 200 * time.Millisecond
)

// hearRun tells one run of an event. At is the wait that the event names; nil:
// it shares a key with the run. Late: it came some time ago.
func (d *Dispatcher) hearRun(ctx context.Context, e *event.Event, run string, at *wait.Point, late bool) error {
	var waited time.Duration
	for {
		expected := d.waiting.Expected(run) // before the row is read: see there
		row, err := d.row(run)
		if err != nil {
			return err
		}
		var again bool
		switch {
		case row != nil && row.Counted(e.RunKey()):
			return d.heardBefore(ctx, row, e)
		case at != nil && (row == nil || !wait.Reached(row, *at)):
			// The button is there before the run is parked.
			again, err = d.awaitPark(ctx, run, &waited)
			if !again && err == nil {
				d.closed(ctx, row, *at, e)
			}
		case at == nil && expected && (row == nil || row.State != wait.Waiting):
			// It is found by its event before it is parked.
			again, err = d.awaitPark(ctx, run, &waited)
		case row == nil:
			return nil
		case at != nil && (row.State != wait.Waiting || row.Wait.Point() != *at):
			d.closed(ctx, row, *at, e)
		case row.State == wait.Waiting:
			again, err = d.judgeEvent(ctx, row, e, at != nil, late)
		}
		if err != nil || !again {
			return err
		}
	}
}

// heardBefore is told an event that has had its effect on a run: if it answered
// it, the run may not have been told to go on.
func (d *Dispatcher) heardBefore(ctx context.Context, row *wait.Row, e *event.Event) error {
	if row.State != wait.Answered || row.Answer.Event.ID != e.ID {
		return nil
	}
	return persist(ctx, func() error { return d.waiting.Continue(ctx, row) })
}

// awaitPark waits for a run to be parked, as long as that is to be expected.
func (d *Dispatcher) awaitPark(ctx context.Context, run string, waited *time.Duration) (again bool, err error) {
	if _, here := d.active.Load(run); !here && *waited >= d.ParkGrace {
		return false, nil
	}
	look := min(max(*waited, parkLook), parkSeldom)
	if !pause(ctx, look) {
		return false, context.Cause(ctx)
	}
	*waited += look
	return true, nil
}

// skew is how much the clocks of processes may differ.
const skew = 2 * time.Second

// beside reports whether an event that shares a key with a wait was before it,
// or is what the run began with.
func beside(asker *door.Run, row *wait.Row, e *event.Event, late bool) bool {
	if late && e.Received.Before(asker.Event.Received) { // the run has begun since
		return true
	}
	return e.Received.Before(row.Wait.Since.Add(-skew)) || e.RunKey() == asker.Event.RunKey()
}

// judgeEvent asks the handler of a wait what the event is to it, and does what
// follows. again: somebody else was faster.
func (d *Dispatcher) judgeEvent(ctx context.Context, row *wait.Row, e *event.Event, named, late bool) (again bool, err error) {
	h := d.Live[row.Wait.Kind]
	if h.Hear == nil {
		return false, nil
	}
	asker, err := d.asker(row)
	if err != nil {
		d.Logger.Error("a parked run cannot be read", "run", row.Run, "err", err)
		return false, nil
	}
	if !named && beside(asker, row, e, late) {
		return false, nil
	}
	heard := h.Hear(ctx, asker, row.Wait, e)
	switch heard.Verdict {
	case wait.Match:
		a := &wait.Answer{By: wait.ByEvent, At: d.Now(), Value: heard.Answer, Event: wait.OriginOf(e)}
		err = d.waiting.Take(ctx, row, a, heard.State)
		if err == nil {
			err = persist(ctx, func() error { return d.waiting.Continue(ctx, row) })
		}
	case wait.Partial:
		err = d.waiting.Count(ctx, row, heard.State, e.RunKey())
	case wait.Refuse:
	default:
		return false, nil
	}
	if err != nil {
		return d.tryAgain(ctx, err)
	}
	d.Live.Tell(ctx, asker, e, heard.Tell)
	if heard.Then != nil {
		d.running.Go(func() { heard.Then(ctx) })
	}
	return false, nil
}

// tryAgain reports whether what failed is to be looked at again: the row was
// changed meanwhile, or whether it was written is not known.
func (d *Dispatcher) tryAgain(ctx context.Context, err error) (again bool, stop error) {
	switch {
	case errors.Is(err, queue.ErrChanged):
		return true, nil
	case errors.Is(err, queue.ErrClosed), ctx.Err() != nil:
		return false, errors.Join(errAbandoned, err)
	case errors.Is(err, queue.ErrTooLarge):
		d.Logger.Error("an answer is too large to be kept", "err", err)
		return false, nil
	}
	if !pause(ctx, 100*time.Millisecond) {
		return false, context.Cause(ctx)
	}
	return true, nil
}

// closed tells whoever answers too late that somebody else, or the time, was first.
func (d *Dispatcher) closed(ctx context.Context, row *wait.Row, at wait.Point, e *event.Event) {
	asker := &door.Run{Event: e}
	if row != nil {
		w, a := row.At(at)
		if r, err := d.asker(row); err == nil {
			asker = r
		}
		if w != nil {
			if h := d.Live[w.Kind]; h.Lost != nil {
				h.Lost(ctx, asker, w, a, e)
				return
			}
		}
	}
	d.Live.Tell(ctx, asker, e, "This question is closed.")
}

// asker is what handlers may know of a run that waits.
func (d *Dispatcher) asker(row *wait.Row) (*door.Run, error) {
	b, err := decodeBase(row.Base)
	if err != nil {
		return nil, err
	}
	e, err := b.origin()
	if err != nil {
		return nil, err
	}
	rec, err := b.record()
	if err != nil {
		return nil, err
	}
	r := &door.Run{
		ID: row.Run, Event: e, Script: row.Script, Rule: row.Rule, Resumed: true,
		Trigger: func() door.Trigger { return triggerOf(wait.OriginOf(e)) },
	}
	if len(rec.Runs) > 0 {
		r.DryRun, r.Hosts, r.Admin = rec.Runs[0].DryRun, rec.Runs[0].Hosts, rec.Runs[0].Admin
	}
	return r, nil
}

// Timer is handed a timer of a wait that is due: queue.Store.OnTimer, for ids
// that begin with wait.TimerPrefix.
func (d *Dispatcher) Timer(ctx context.Context, t queue.Timer) error {
	run, at, ok := wait.ParseTimer(t.ID)
	if !ok {
		return fmt.Errorf("timer %s: no run to wake", t.ID)
	}
	row, won, err := d.waiting.Claim(ctx, run, at, &wait.Answer{By: wait.ByTimeout, At: d.Now()})
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("wake run %s: %w", run, err)
	case !won:
		return nil
	}
	return d.waiting.Continue(ctx, row)
}

// Waiting are the runs that wait, and those that waited and have ended.
func (d *Dispatcher) Waiting() *wait.Registry { return d.waiting }

// laterRun is the id of a run that another one begins at a step.
func laterRun(run string, step int) string { return runID(run+"."+fmt.Sprint(step), "after") }

// later is door.Run.Later.
func (r *run) later(ctx context.Context, e runtime.Effect, at time.Time, fn runtime.Func, data runtime.Value) (string, error) {
	open := r.openRun
	open.ID, open.Func, open.When = laterRun(r.ID, e.Step), fn.Index, -1
	open.Answer, open.Verdict, open.ErrorOf, open.After = false, nil, -1, -1
	b := &base{event: r.a.body(), now: at, entries: []queue.Entry{appendOpen([]openRun{open})}}
	_, given := e.Args.Get("data")
	switch {
	case fn.Arity == 0:
		b.alone = true
	case fn.Arity == 1 && !given: // the event alone
	case fn.Arity == 1:
		b.alone, b.extra = true, []runtime.Value{data}
	default:
		b.extra = []runtime.Value{data}
	}
	row := &wait.Row{
		Run: open.ID, Event: r.e.ID, Key: r.e.Conversation(), Rule: r.Rule, Script: r.Script, Digest: r.Digest, Began: r.d.Now(),
		Wait: &wait.Wait{Kind: wait.After, Since: r.d.Now(), Until: at, Title: "begin " + fn.Name}, Base: b.encode(),
	}
	if err := r.d.ensureSource(ctx, r.Digest); err != nil && !errors.Is(err, runtime.ErrUnknownScript) {
		return "", err
	}
	if err := r.d.waiting.Begin(ctx, row); err != nil {
		return "", err
	}
	return open.ID, nil
}

// cancel is door.Run.Cancel.
func (r *run) cancel(ctx context.Context, id string) (bool, error) {
	row, err := r.d.waiting.Get(ctx, id)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case row.Script != r.Script:
		return false, fmt.Errorf("cancel: run %s is of another script", id)
	}
	who := "run " + r.ID
	if row.Answer != nil && row.Answer.By == wait.ByCancel && row.Answer.Who == who {
		return true, nil // before a crash
	}
	if row.State != wait.Waiting {
		return false, nil
	}
	row, won, err := r.d.waiting.Claim(ctx, id, row.Wait.Point(), &wait.Answer{By: wait.ByCancel, At: r.d.Now(), Who: who})
	if err != nil || !won {
		return false, err
	}
	return true, r.d.waiting.Continue(ctx, row)
}
