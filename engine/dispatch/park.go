package dispatch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// A run whose effect waits is parked. What it did goes into a row of the store,
// from which it is continued (continue.go), and the event that it belongs to is
// settled when its other runs have ended. Three writes, in this order, each
// harmless if the next is missing:
//
//	journal   the effect waits, and for what: after a crash it is not performed again
//	row       the run is found by its events, and by its timer
//	end       the event is settled, as far as this run is concerned
//
// Whoever finds the first without the last asks the row whether the second was
// done, and does what is left.

// errParked ends the passes of a run that waits; run.waiting says for what.
var errParked = errors.New("run waits")

// waitEntry says that the effect of a step has been performed, with s.Value,
// and that its result is yet to come.
func waitEntry(run int, e runtime.Effect, s *step) queue.Entry {
	b := binary.AppendUvarint(make([]byte, 0, 256), uint64(run))
	b = binary.AppendUvarint(b, uint64(e.Step))
	b = binary.LittleEndian.AppendUint64(b, s.Hash)
	b = binary.AppendVarint(b, s.Intended.UnixNano())
	b = runtime.AppendString(b, e.Kind)
	b = runtime.AppendPosition(b, e.Pos)
	b = runtime.Encode(b, e.Args)
	return queue.Entry{Type: entryWait, Body: wait.AppendWait(runtime.Encode(b, s.Asked), s.Wait)}
}

func (s *step) readWait(d *runtime.Decoder) {
	s.Hash = d.Uint64()
	s.Intended = time.Unix(0, d.Varint())
	s.Kind, s.Pos, s.Args = d.String(), d.Position(), d.DictValue()
	s.Asked = d.Value()
	s.Wait = wait.DecodeWait(d)
}

// baseEntry says that the first n steps of a run are not in this journal: they
// were done before it parked.
func baseEntry(run, n int) queue.Entry {
	return queue.Entry{Type: entryBase, Body: binary.AppendUvarint(binary.AppendUvarint(nil, uint64(run)), uint64(n))}
}

// pad makes room for steps that another journal holds.
func (rec *record) pad(run, n int) {
	for len(rec.Steps[run]) < n {
		rec.Steps[run] = append(rec.Steps[run], step{Done: true})
	}
}

// waits asks the handler whether the effect, performed with value, is one to
// wait for, and if so writes that down.
func (r *run) waits(ctx context.Context, e runtime.Effect, hash uint64, began time.Time, value runtime.Value) error {
	h := r.d.Live[e.Kind]
	if h.Wait == nil || r.DryRun {
		return nil
	}
	w, err := h.Wait(ctx, &r.asker, e, value)
	if err != nil || w == nil {
		return err
	}
	return r.waitFor(ctx, e, &step{Hash: hash, Kind: e.Kind, Args: e.Args, Pos: e.Pos, Intended: began, Asked: value}, w, 0)
}

// waitAgain has the run park where it was woken, as the handler asks for: what
// came leads nowhere. Its row keeps the wait before.
func (r *run) waitAgain(ctx context.Context, e runtime.Effect, woken *step, w *wait.Wait) (*runtime.Error, error) {
	s := *woken
	err := r.waitFor(ctx, e, &s, w, r.row.Wait.Round+1)
	if fail, ok := errors.AsType[stopped](err); ok {
		fail.cause.Pos = e.Pos
		return fail.cause, nil
	}
	if errors.Is(err, errParked) {
		r.traceStep(e.Step, &s)
	}
	return nil, err
}

// waitFor writes down that a step waits for w, and has the run park.
func (r *run) waitFor(ctx context.Context, e runtime.Effect, s *step, w *wait.Wait, round int) error {
	next := *w
	next.Step, next.Round = e.Step, round
	if next.Kind == "" {
		next.Kind = e.Kind
	}
	if next.Since.IsZero() {
		next.Since = r.d.Now()
	}
	// From here on events are for the run, though its row is yet to be written.
	r.expect(&next)
	s.Wait = &next
	if err := r.a.durable(ctx, waitEntry(r.index, e, s)); err != nil {
		if errors.Is(err, queue.ErrTooLarge) {
			return stopped{tooLarge(e)}
		}
		return errors.Join(errAbandoned, err)
	}
	r.waiting = s
	return errParked
}

// expect has events find the run by what it is about to wait for, until it is
// parked or has ended: work sees to that.
func (r *run) expect(w *wait.Wait) {
	if r.expected == nil {
		r.expected = r.d.waiting.Expect(r.ID, w)
	}
}

func (r *run) expectNoMore() {
	if over := r.expected; over != nil {
		r.expected = nil
		over()
	}
}

// tooLarge is the failure of a run that has to remember more than the store takes.
func tooLarge(e runtime.Effect) *runtime.Error {
	return &runtime.Error{
		Kind: runtime.RunError, Pos: e.Pos,
		Msg: e.Kind + ": what the run has to remember of this effect, or of one before, is larger than the store takes",
	}
}

// parkRun puts the run into its row. The error means that it is left for the
// next start.
func (r *run) parkRun(ctx context.Context) (*runtime.Error, error) {
	w := r.waiting.Wait
	r.expect(w)
	defer r.expectNoMore()
	row := r.rowOf()
	row.Wait = w
	row.Base = r.base(append(slices.Clone(r.done), *r.waiting), nil).encode()
	err := persist(ctx, func() error {
		if !r.a.keepSources() {
			return queue.ErrUnavailable
		}
		return r.d.waiting.Park(ctx, row)
	})
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, queue.ErrTooLarge):
		return tooLarge(runtime.Effect{Kind: r.waiting.Kind, Pos: r.waiting.Pos}), nil
	case errors.Is(err, wait.ErrTooMany):
		return &runtime.Error{
			Kind: runtime.RunError, Pos: r.waiting.Pos, Msg: r.waiting.Kind + ": " + wait.ErrTooMany.Error(),
			Hint: "queue.max_bytes bounds them",
		}, nil
	case errors.Is(err, wait.ErrCrowded):
		return &runtime.Error{
			Kind: runtime.RunError, Pos: r.waiting.Pos, Msg: fmt.Sprintf("%s: %v (%d)", r.waiting.Kind, wait.ErrCrowded, wait.MaxPerKey),
			Hint: "say more of the event that it waits for: its channel, user or thread",
		}, nil
	}
	return nil, errors.Join(errAbandoned, err)
}

// rowOf is the next row of the run, without its wait and base.
func (r *run) rowOf() *wait.Row {
	if r.row == nil {
		return &wait.Row{
			Run: r.ID, Event: r.e.ID, Key: r.e.Conversation(), Rule: r.Rule, Script: r.Script, Digest: r.Digest, Began: r.started,
		}
	}
	row := *r.row
	if row.Wait != nil && row.Answer != nil {
		row.Past = append(slices.Clone(row.Past), wait.Past{Wait: row.Wait, Answer: row.Answer})
	}
	row.Wait, row.Answer, row.Heard = nil, nil, nil
	row.Outcome, row.Why = "", "" // of one that was given up before
	return &row
}

// base is what the run did so far, with its end if it has one.
func (r *run) base(steps []step, end *ended) *base {
	open := r.openRun
	open.After = -1 // that was decided
	b := &base{
		event: r.a.body(), now: r.call.Now, spent: r.underWay(), passes: r.passes, steps: r.steps, script: r.script, logs: r.call.SkipLogs,
		extra: r.call.Extra, alone: r.call.Input == nil,
	}
	b.entries = append(b.entries, appendOpen([]openRun{open}))
	for i := range steps {
		b.entries = append(b.entries, stepEntries(0, i+1, &steps[i])...)
	}
	if last := r.lastStep(); last != nil {
		b.entries = append(b.entries, stepEntries(0, 0, last)...)
	}
	b.entries = append(b.entries, r.notes.entry(0)...)
	if end != nil {
		b.entries = append(b.entries, endEntry(0, *end))
	}
	return b
}

// lastStep is what the server did for the returned value.
func (r *run) lastStep() *step {
	if r.effectAfterwards != nil {
		return r.effectAfterwards
	}
	return r.last
}

// underWay is how long the run was not waiting.
func (r *run) underWay() time.Duration { return r.spent + max(0, r.d.Now().Sub(r.started)) }

// finish keeps a run that has parked before as one that has ended.
func (r *run) finish(ctx context.Context, end ended) error {
	if r.row == nil {
		return nil
	}
	row := r.rowOf()
	if n := len(row.Past); n > 0 { // the newest wait stays in its place
		row.Wait, row.Answer, row.Past = row.Past[n-1].Wait, row.Past[n-1].Answer, row.Past[:n-1]
	}
	row.Outcome, row.Why = string(end.Outcome), end.Why
	if end.Error != nil {
		row.Why = end.Error.Msg
	}
	steps := r.done
	switch {
	case r.waiting != nil: // it could not be parked
		steps = append(slices.Clone(steps), *r.waiting)
	case r.answered != nil: // it was cancelled: there is no result
		steps = append(slices.Clone(steps), *r.answered)
	}
	row.Base = r.base(steps, &end).encode()
	keep := func() error { return r.d.waiting.Finish(ctx, row) }
	err := persist(ctx, keep)
	if errors.Is(err, queue.ErrTooLarge) { // what it did last is left out
		row.Base = r.row.Base
		err = persist(ctx, keep)
	}
	if errors.Is(err, queue.ErrTooLarge) {
		r.d.Logger.Error("an ended run is not kept", "run", r.ID, "rule", r.Rule, "err", err)
		return nil
	}
	return err
}

// already is the end that the run has for this event, if its row tells that an
// earlier process brought it further than the journal of the event says.
func (r *run) already(ctx context.Context) (*ended, error) {
	if r.known != nil {
		return r.known, nil
	}
	if r.inFlight == nil || r.inFlight.Wait == nil {
		return nil, nil
	}
	var row *wait.Row
	err := persist(ctx, func() (err error) {
		if row, err = r.d.waiting.Get(ctx, r.ID); err == nil && wait.Reached(row, r.inFlight.Wait.Point()) {
			return r.d.waiting.Ensure(ctx, row)
		}
		if errors.Is(err, queue.ErrNotFound) {
			row, err = nil, nil
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(errAbandoned, err)
	}
	if row == nil || !wait.Reached(row, r.inFlight.Wait.Point()) {
		return nil, nil
	}
	return &ended{Outcome: Waiting, At: r.d.Now()}, nil
}
