package dispatch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
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
	// key is what the ids of its runs derive from.
	key string
	// resumed: an earlier delivery may have performed effects of which the
	// journal knows nothing. counted: this delivery was counted as an attempt.
	// suspect: it holds one of the places for events that may end the server.
	resumed, counted, suspect bool

	mu    sync.Mutex
	runs  []*run
	first [1]*run // the room of most
	// origin is the event that the continued run began with, encoded, and base
	// how many of its steps are in its row; nil and 0 of an ordinary event.
	origin []byte
	base   int
	// hears are the runs that may wait for this event; nil if there are none.
	hears     *hearing
	opened    bool // the first record is written, or on its way
	onDisk    bool // it is written
	left      int  // runs that have not ended
	abandoned bool // a run was cut off: the event stays in the store
	responses int  // uses of the response_url

	// What was appended without waiting, and not confirmed by a later Append
	// that succeeded: the store may have refused it. dropped is how many have
	// been confirmed.
	unsaved []queue.Entry
	dropped int
	// writing is held over an Append, so that whoever sees the store refuse
	// something is the one to repeat it.
	writing sync.Mutex
}

func newActivity(d *Dispatcher, del queue.Delivery, e *event.Event) *activity {
	a := &activity{d: d, del: del, e: e, key: e.RunKey()}
	if del.ID() != e.ID {
		// A dead letter that is tried again: a run of its own, whatever was
		// claimed for the first.
		a.key = del.ID()
	}
	a.runs = a.first[:0]
	return a
}

// body is the event that the runs are about, encoded.
func (a *activity) body() []byte {
	if a.origin != nil {
		return a.origin
	}
	return a.del.Body()
}

// runID derives the id of a run from the event's key and the rule, so that a
// copy of the event gives the same run.
func runID(key, rule string) string {
	var room [256]byte
	sum := sha256.Sum256(append(append(append(room[:0], key...), 0), rule...))
	var text [16]byte
	hex.Encode(text[:], sum[:8])
	return string(text[:])
}

// add plans a run of a version that is loaded.
func (a *activity) add(open openRun) *run {
	r := a.place(open)
	r.acquire()
	return r
}

func (a *activity) place(open openRun) *run {
	r := &run{a: a, d: a.d, e: a.e, index: len(a.runs), openRun: open}
	r.call = runtime.Call{
		Script: open.Digest, Func: open.Func, When: open.When, RunID: open.ID,
		Now: a.e.Received, Seed: seedOf(cmp.Or(open.Seed, open.ID)), Limits: a.d.Limits,
	}
	if open.After >= 0 && open.After < r.index {
		if first := a.runs[open.After]; first.over == nil {
			first.over = make(chan struct{})
		}
	}
	a.runs = append(a.runs, r)
	return r
}

// addRecorded plans a run of which the journal holds a part.
func (a *activity) addRecorded(open openRun, steps []step, last *step, end ended) {
	r := a.place(open)
	r.ended, r.last = end, last
	r.takeUp(steps)
	if open.ErrorOf >= 0 && open.ErrorOf < len(a.runs) {
		failed := a.runs[open.ErrorOf]
		r.cause, r.held = failed.ended.Error, failed.ended.Outcome == ""
	}
}

// takeUp has the run go on behind the steps that are recorded.
func (r *run) takeUp(steps []step) {
	if r.last != nil && r.last.Done {
		r.a.countResponse(r.last.Kind)
	}
	for i := range steps {
		s := &steps[i]
		if !s.Done {
			r.inFlight = s
			break
		}
		r.done = append(r.done, *s)
		r.call.Results = append(r.call.Results, runtime.StepResult{Hash: s.Hash, Kind: s.Kind, Value: s.Value, Err: s.Err})
		r.a.countResponse(s.Kind)
	}
}

// seedOf derives the randomness of a run from its id: every pass, also after
// a crash before anything was recorded, sees the same.
func seedOf(id string) uint64 {
	var room [64]byte
	sum := sha256.Sum256(append(append(room[:0], "seed/"...), id...))
	return binary.LittleEndian.Uint64(sum[:])
}

// start runs what has not ended. Which that is, is decided before the first
// run can change it.
func (a *activity) start() {
	var room [4]*run
	begin := room[:0]
	for _, r := range a.runs {
		switch {
		case r.held:
		case r.ended.Outcome == "":
			begin = append(begin, r)
		case r.over != nil:
			close(r.over)
		}
	}
	a.left = len(begin) + a.hears.parts()
	if a.left == 0 {
		a.del.Settle()
		a.release()
		return
	}
	if a.hears != nil {
		a.d.listen(a.e, a.hears, a.heard)
	}
	for _, r := range begin {
		r.start()
	}
}

// heard says that the runs that wait for the event were told of it, or that
// this was cut off.
func (a *activity) heard(err error) {
	a.mu.Lock()
	a.left--
	a.abandoned = a.abandoned || err != nil
	last, abandoned := a.left == 0, a.abandoned
	a.mu.Unlock()
	switch {
	case last && abandoned:
		a.putBack()
	case last:
		a.del.Settle()
		a.release()
	}
}

// later appends entries without waiting, behind the first record of the event.
func (a *activity) later(entries ...queue.Entry) {
	a.keepSources()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open()
	a.write(entries)
}

// open puts the first record of the event into the journal, ahead of anything
// else, once. Called with mu held, as is write.
func (a *activity) open() {
	if !a.opened {
		a.opened = true
		a.write(a.opening())
	}
}

func (a *activity) opening() []queue.Entry {
	runs := make([]openRun, len(a.runs))
	for i, r := range a.runs {
		runs[i] = r.openRun
	}
	if a.base > 0 {
		return []queue.Entry{appendOpen(runs), baseEntry(0, a.base)}
	}
	return []queue.Entry{appendOpen(runs)}
}

func (a *activity) write(entries []queue.Entry) {
	a.unsaved = append(a.unsaved, entries...)
	a.del.AppendLater(entries...)
}

// keepSources stores the sources of the versions that the event refers to. It
// is tried again with each entry until the store has taken them.
func (a *activity) keepSources() bool {
	kept := true
	for _, r := range a.all() {
		err := a.d.ensureSource(a.d.runCtx, r.Digest)
		if err != nil && !errors.Is(err, runtime.ErrUnknownScript) && !errors.Is(err, queue.ErrTooLarge) {
			a.d.Logger.Warn("keep the sources of a version", "script", r.Script, "err", err)
			kept = false
		}
	}
	return kept
}

// durable writes entries, behind the first record, and waits for the disk: an
// effect whose intent is not there must not happen.
func (a *activity) durable(ctx context.Context, entries ...queue.Entry) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	again := false
	return persist(ctx, func() error {
		if !a.keepSources() {
			return queue.ErrUnavailable
		}
		a.mu.Lock()
		a.open()
		end, batch := a.dropped+len(a.unsaved), entries
		if again { // the store may have refused what nobody waited for
			batch = append(slices.Clone(a.unsaved), entries...)
		}
		a.mu.Unlock()
		if err := a.del.Append(ctx, batch...); err != nil {
			again = true
			return err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.unsaved = a.unsaved[end-a.dropped:]
		a.dropped, a.onDisk = end, true
		return nil
	})
}

// isOnDisk reports whether the first record is written.
func (a *activity) isOnDisk() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.onDisk
}

// end records the outcome of a run, and settles the event after the last. In
// one go with a failure are recorded the on.error rules that are told of it.
func (a *activity) end(r *run, end ended) {
	a.mu.Lock()
	if len(a.runs) > 1 { // the others may go on after a crash
		a.mu.Unlock()
		a.keepSources()
		a.mu.Lock()
	}
	r.ended = end
	var told []*run
	var entries []queue.Entry
	if end.Outcome == Failed && r.ErrorOf < 0 { // the failure of an error rule is told to nobody
		told, entries = a.errorRuns(r)
	}
	a.left += len(told) - 1
	last, abandoned := a.left == 0, a.abandoned
	entries = append(append(entries, r.notes.entry(r.index)...), endEntry(r.index, end))
	switch {
	case !last || abandoned: // before the last one can settle the event
		a.open()
		a.write(entries)
	case !a.opened:
		a.opened = true
		entries = append(a.opening(), entries...)
	}
	a.mu.Unlock()
	if r.over != nil {
		close(r.over)
	}
	switch {
	case last && abandoned:
		a.putBack()
	case last:
		a.del.Settle(entries...)
		a.release()
	}
	for _, x := range told {
		x.start()
	}
}

// errorRuns plans the runs of on.error rules for a failed run. Called with mu
// held. Those that were recorded, but the failure was not, are taken up.
func (a *activity) errorRuns(failed *run) (told []*run, entries []queue.Entry) {
	for _, rule := range a.d.Rules.Current().ErrorRules() {
		id := runID(a.key, failed.Rule+"\x00"+rule.ID)
		at := slices.IndexFunc(a.runs, func(r *run) bool { return r.ID == id })
		if at >= 0 && !a.runs[at].held {
			continue
		}
		var r *run
		if at >= 0 {
			r = a.runs[at]
			r.held = false
		} else {
			limit := a.d.RunLimit
			if rule.Timeout > 0 {
				limit = rule.Timeout
			}
			r = a.add(openRun{
				ID: id, Rule: rule.ID, Script: rule.Script, Digest: rule.Digest, Func: rule.Func, When: rule.When, Hosts: rule.Hosts,
				DryRun: rule.DryRun, Limit: limit, ErrorOf: failed.index, After: -1,
			})
			if a.opened {
				entries = append(entries, appendOpen([]openRun{r.openRun}))
			}
		}
		r.cause = failed.ended.Error
		told = append(told, r)
	}
	return told, entries
}

// abandon leaves a run for the next start.
func (a *activity) abandon(r *run) {
	if r.over != nil {
		close(r.over)
	}
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
	if a.counted && context.Cause(a.d.runCtx) == errDrained {
		a.del.AppendLater(queue.Entry{Type: entryRelease})
	}
	a.release()
}

func (a *activity) release() {
	if a.suspect {
		<-a.d.suspects
	}
	for _, r := range a.all() {
		if r.acquired {
			a.d.Rules.Release(r.Digest)
		}
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
