package dispatch

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// activity is one event under way. It is settled when its last run has ended.
type activity struct {
	d   *Dispatcher
	del queue.Delivery
	e   *event.Event
	// resumed: an earlier delivery may have performed effects of which the
	// journal knows nothing.
	resumed bool

	mu        sync.Mutex
	runs      []*run
	opened    bool // the first record is written, or on its way
	onDisk    bool // it is written
	left      int  // runs that have not ended
	abandoned bool // a run was cut off: the event stays in the store
	responses int  // uses of the response_url
}

func newActivity(d *Dispatcher, del queue.Delivery, e *event.Event) *activity {
	return &activity{d: d, del: del, e: e, runs: make([]*run, 0, 1)}
}

// runID derives the id of a run from the event and the rule, so that a copy
// of the event gives the same run.
func runID(e *event.Event, rule string) string {
	h := sha256.New()
	h.Write([]byte(e.RunKey()))
	h.Write([]byte{0})
	h.Write([]byte(rule))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// add plans a run.
func (a *activity) add(open openRun) *run {
	r := &run{a: a, d: a.d, e: a.e, index: len(a.runs), openRun: open, over: make(chan struct{})}
	r.call = runtime.Call{
		Script: open.Digest, Func: open.Func, When: open.When, RunID: open.ID,
		Now: a.e.Received, Seed: seedOf(open.ID), Limits: a.d.Limits,
	}
	a.runs = append(a.runs, r)
	a.d.Rules.Acquire(open.Digest)
	return r
}

// addRecorded plans a run of which the journal holds a part.
func (a *activity) addRecorded(open openRun, steps []step, end ended) {
	r := a.add(open)
	r.ended = end
	for i := range steps {
		if !steps[i].Done {
			r.inFlight = &steps[i]
			break
		}
		r.call.Results = append(r.call.Results, runtime.StepResult{Hash: steps[i].Hash, Kind: steps[i].Kind, Value: steps[i].Value, Err: steps[i].Err})
		a.countResponse(steps[i].Kind)
	}
	if open.ErrorOf >= 0 && open.ErrorOf < len(a.runs) {
		r.cause = a.runs[open.ErrorOf].ended.Error
	}
}

// seedOf derives the randomness of a run from its id: every pass, also after
// a crash before anything was recorded, sees the same.
func seedOf(id string) uint64 {
	sum := sha256.Sum256([]byte("seed/" + id))
	return binary.LittleEndian.Uint64(sum[:])
}

// start runs what has not ended.
func (a *activity) start() {
	for _, r := range a.runs {
		if r.ended.Outcome == "" {
			a.left++
		}
	}
	if a.left == 0 {
		a.del.Settle()
		a.release()
		return
	}
	for _, r := range a.runs {
		if r.ended.Outcome == "" {
			r.queue()
			a.d.running.Go(r.work)
		} else {
			close(r.over)
		}
	}
}

// open puts the first record of the event into the journal, ahead of
// anything else, once.
func (a *activity) open() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.opened {
		return
	}
	a.opened = true
	runs := make([]openRun, len(a.runs))
	for i, r := range a.runs {
		runs[i] = r.openRun
	}
	a.del.AppendLater(appendOpen(runs))
}

// durable writes entries, behind the first record, and waits for the disk.
func (a *activity) durable(ctx context.Context, entries ...queue.Entry) error {
	for _, r := range a.all() {
		if err := a.d.ensureSource(ctx, r.Digest); err != nil && !errors.Is(err, runtime.ErrUnknownScript) {
			a.d.Logger.Warn("keep the sources of a version", "script", r.Script, "err", err)
		}
	}
	a.open()
	err := appendRetry(ctx, a.del, entries...)
	if err == nil {
		a.mu.Lock()
		a.onDisk = true
		a.mu.Unlock()
	}
	return err
}

// end records the outcome of a run, and settles the event after the last.
func (a *activity) end(r *run, end ended) {
	a.open()
	a.mu.Lock()
	r.ended = end
	a.left--
	last, abandoned := a.left == 0, a.abandoned
	a.mu.Unlock()
	close(r.over)
	entry := endEntry(r.index, end)
	switch {
	case !last:
		a.del.AppendLater(entry)
	case abandoned:
		a.del.AppendLater(entry)
		a.putBack()
	default:
		a.del.Settle(entry)
		a.release()
	}
}

// abandon leaves a run for the next start.
func (a *activity) abandon(r *run) {
	close(r.over)
	a.mu.Lock()
	a.left--
	a.abandoned = true
	last := a.left == 0
	a.mu.Unlock()
	if last {
		a.putBack()
	}
}

// putBack leaves the event in the store; if the server stops in good order,
// the attempt does not count.
func (a *activity) putBack() {
	if context.Cause(a.d.runCtx) == errDrained && a.resumed {
		a.del.AppendLater(queue.Entry{Type: entryRelease})
	}
	a.release()
}

func (a *activity) release() {
	for _, r := range a.all() {
		a.d.Rules.Release(r.Digest)
	}
}

// tellErrorRules starts the on.error rules for a failed run. It is called
// before the failed run is recorded as ended, so that the event stays open.
func (a *activity) tellErrorRules(failed *run, cause *runtime.Error) {
	if failed.ErrorOf >= 0 {
		return // the failure of an error rule is told to nobody
	}
	for _, rule := range a.d.Rules.Current().ErrorRules() {
		open := openRun{
			ID:   runID(a.e, failed.Rule+"\x00"+rule.ID),
			Rule: rule.ID, Script: rule.Script, Digest: rule.Digest, Func: rule.Func, When: -1, Hosts: rule.Hosts,
			DryRun: rule.DryRun, Limit: a.d.RunLimit, ErrorOf: failed.index, After: -1,
		}
		a.open()
		a.mu.Lock()
		r := a.add(open)
		a.left++
		a.mu.Unlock()
		r.cause = cause
		a.del.AppendLater(appendOpen([]openRun{open}))
		r.queue()
		a.d.running.Go(r.work)
	}
}

func (a *activity) countResponse(kind string) {
	if kind == "respond" {
		a.mu.Lock()
		a.responses++
		a.mu.Unlock()
	}
}

// used returns how often the event's response_url has been used.
func (a *activity) used() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.responses
}

// all returns the runs planned so far.
func (a *activity) all() []*run {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.runs[:len(a.runs):len(a.runs)]
}
