package worker

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// flight is one request that was written to a worker and not answered yet.
type flight struct {
	t *task
	// number is that of the request in the life of its worker, from 1.
	number uint64
	// preload: the bundle that goes before the run of t.
	preload bool
	// follows: it was written behind another run, and waits in the worker.
	follows bool
	// cancel: it takes others back. Its task is nobody's.
	cancel bool
}

// batch is what is to be written to a worker, once Pool.mu is released.
type batch struct {
	w       *worker
	slow    bool // give way to other processes from now on
	cancel  span
	forget  []runtime.Digest
	preload *task
	tasks   []*task
}

// send writes the batches. A write that fails needs no care: the worker is
// gone, and its reader knows.
func send(batches []batch) {
	for i := range batches {
		b := &batches[i]
		if len(b.tasks) == 1 && b.preload == nil && b.forget == nil && b.cancel.to == 0 && !b.slow {
			b.w.write(b.tasks[0].frame)
			b.w.unwritten.Add(-1)
			continue
		}
		room := batchBuffers.Get().(*[]byte)
		buf := (*room)[:0]
		if b.slow {
			buf = appendSlow(buf)
		}
		if b.cancel.to > 0 {
			buf = appendCancel(buf, b.cancel)
		}
		for _, d := range b.forget {
			buf = appendForget(buf, d)
		}
		if t := b.preload; t != nil {
			buf = appendLoad(buf, framePreload, t.script.bundle, t.limits)
		}
		for _, t := range b.tasks {
			buf = append(buf, t.frame...)
		}
		b.w.write(buf)
		b.w.unwritten.Add(-1)
		if cap(buf) <= 2*bytesAhead {
			*room = buf
			batchBuffers.Put(room)
		}
	}
}

// batchBuffers are kept from one batch to the next: write keeps none.
var batchBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 32<<10); return &b }}

// write does not block: it may be called by the reader of another worker,
// which must not wait until this one is killed for not reading. What the
// socket does not take at once is left to a goroutine that ends with w; what
// comes after waits behind it.
func (w *worker) write(b []byte) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.spilling {
		w.rest = append(w.rest, b...)
		return
	}
	n := 0
	err := w.raw.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), b)
		return true
	})
	if n = max(n, 0); err == nil && n < len(b) {
		w.spilling, w.rest = true, slices.Clone(b[n:])
		go w.spill()
	}
}

// spill writes what the socket did not take at once.
func (w *worker) spill() {
	for {
		w.writing.Lock()
		b := w.rest
		w.rest = nil
		if len(b) == 0 {
			w.spilling = false
			w.writing.Unlock()
			return
		}
		w.writing.Unlock()
		if _, err := w.conn.Write(b); err != nil {
			return // w is gone
		}
	}
}

// launchFlight notes the next request to w. p.mu is held.
func (w *worker) launchFlight(t *task, preload, follows bool) {
	w.requests++
	t.worker = w
	w.flights = append(w.flights, flight{t: t, number: w.requests, preload: preload, follows: follows})
	if follows && t.call.Lane != "" {
		w.pool.lanes[t.call.Lane]++
	}
}

// land takes a flight off its lane: it was answered, or goes back to its queue.
func (p *Pool) land(f flight) {
	if !f.follows || f.t.call.Lane == "" {
		return
	}
	lane := f.t.call.Lane
	if p.lanes[lane]--; p.lanes[lane] <= 0 {
		delete(p.lanes, lane)
	}
}

// current returns which flight w is at, and since when. Replies wait in a
// worker until it has nothing else to do, so that the oldest unanswered flight
// need not be the one: the worker's track tells. What it says is believed
// within bounds only. p.mu is held.
func (w *worker) current() (at int, since time.Time) {
	number, began := w.track.read()
	for i, f := range w.flights {
		if f.number != number {
			continue
		}
		now := time.Now()
		if began.Before(w.headSince) {
			began = w.headSince
		}
		if began.After(now) {
			began = now
		}
		return i, began
	}
	return 0, w.headSince
}

// takeBack takes the flights from index i on away from w: they go to the head
// of their queue. Passes have no effects of their own, so it does no harm if w
// has begun one of them; its answer is dropped. But w gets nothing else before
// it has confirmed, so that nobody waits behind, or is blamed for, a pass that
// was taken back. p.mu is held.
func (p *Pool) takeBack(w *worker, i int) batch {
	for j := len(w.flights) - 1; j >= i; j-- {
		p.land(w.flights[j])
		p.requeue(w.flights[j].t)
		p.stats.TakenBack++
	}
	from := w.flights[i].number - 1
	w.flights = w.flights[:i]
	w.cancelled = w.requests
	w.requests++
	nobody := &task{script: w.flights[0].t.script, settled: true, limits: runtime.Limits{Deadline: confirmWithin}, call: &runtime.Call{}}
	w.flights = append(w.flights, flight{t: nobody, number: w.requests, cancel: true})
	w.unwritten.Add(1)
	return batch{w: w, cancel: span{from, w.cancelled}}
}

// heard is an answer as it came, decoded.
type heard struct {
	typ byte
	a   answer
	err error
}

// answered takes answers of w, and gives w its next work. It reports false if
// w is at its end.
func (p *Pool) answered(w *worker, answers []heard) bool {
	p.mu.Lock()
	if w.end != endNone {
		p.mu.Unlock()
		return false
	}
	before := len(w.flights)
	for i := range answers {
		if err := p.take(w, &answers[i]); err != nil {
			w.fault = err
			p.condemn(w, endBadFrame)
			break
		}
	}
	switch {
	case w.end != endNone, len(w.flights) == before: // late answers only
	case len(w.flights) > 0:
		w.arm(time.Now())
	default:
		p.retireOrRest(w)
	}
	p.replenish()
	batches := p.schedule()
	ok := w.end == endNone
	p.mu.Unlock()
	send(batches)
	return ok
}

// take settles the flight that an answer belongs to. p.mu is held.
func (p *Pool) take(w *worker, h *heard) error {
	number := h.a.number
	switch {
	case h.err != nil:
		return h.err
	case number <= w.answers || number > w.requests:
		return fmt.Errorf("%w: type %q without a request", errFrame, h.typ)
	}
	w.answers = number
	if len(w.flights) == 0 || w.flights[0].number != number {
		if number <= w.cancelled {
			return nil // it was taken back too late
		}
		return fmt.Errorf("%w: type %q out of turn", errFrame, h.typ)
	}
	f := w.flights[0]
	if err := f.check(h.typ, &h.a); err != nil {
		return err
	}
	w.flights = w.flights[1:]
	w.heap = h.a.heap
	p.idleDeaths = 0
	p.land(f)
	p.deliver(w, f, h.a)
	return nil
}

// retireOrRest decides what becomes of a worker that has answered everything.
func (p *Pool) retireOrRest(w *worker) {
	switch {
	case p.closed, p.tooMany(w.crew):
		p.condemn(w, endRetired)
	case w.served >= p.opt.Recycle.Events, w.heap > p.opt.Recycle.Heap:
		p.condemn(w, endRecycled)
	default:
		w.crew.free(w)
		w.state = idle
		w.crew.idle = append(w.crew.idle, w)
		if w.crew == &p.slow {
			p.shrinkLater()
		}
	}
}

// deliver puts an answer where it belongs. p.mu is held.
func (p *Pool) deliver(w *worker, f flight, a answer) {
	t := f.t
	if !f.preload && !f.cancel {
		w.served++
	}
	switch {
	case f.cancel:
	case f.preload && a.errs != nil:
		t.loadErrs = a.errs
	case f.preload && a.refused != "":
		t.loadErrs = runtime.Errors{t.scriptError(runtime.InternalError, "", "load again: "+a.refused, "")}
	case f.preload:
		t.script.loading = w.patience.spent(time.Since(w.headSince))
		w.forget = append(w.forget, w.modules.add(t.script.bundle)...)
	case a.manifest != nil:
		t.manifest = a.manifest
		p.keep(w, t, a.manifest)
		t.settle()
	case a.errs != nil && missed(a.errs[0]) && p.excuse(t, w.headSince):
	case a.errs != nil:
		t.fail(a.errs)
	case a.reply != nil && missed(a.reply.Err) && p.excuse(t, time.Now().Add(-a.reply.Took)):
	case a.reply != nil:
		t.reply = a.reply
		t.reply.Heap = a.heap
		p.account(t, a.reply.Took, w.patience.spent(a.reply.Took), breaches(a.reply.Err))
		t.settle()
	case t.loadErrs != nil:
		t.blame(t.loadErrs[0], 0)
	case t.load:
		t.fail(fmt.Errorf("load %s: %s", t.script.bundle.Main, a.refused))
	default:
		t.fail(fmt.Errorf("run %s: %s", t.script.bundle.Main, a.refused))
	}
}

// keep makes a version that was loaded in w known to the pool.
func (p *Pool) keep(w *worker, t *task, m *runtime.Manifest) {
	if len(m.Missing) > 0 || p.closed {
		return
	}
	b := t.script.bundle
	w.forget = append(w.forget, w.modules.add(b)...)
	if p.scripts[b.Digest] == nil {
		p.scripts[b.Digest] = newScript(b, m)
		p.pardon(b.Main) // a changed script begins afresh
	}
}

// check refuses an answer that does not fit its request.
func (f flight) check(typ byte, a *answer) error {
	ok := typ == frameRefused
	switch {
	case f.cancel:
		ok = typ == frameLoaded
	case f.preload:
		ok = ok || typ == frameLoaded || typ == frameErrors
	case f.t.load:
		ok = ok || typ == frameErrors || typ == frameManifest && a.manifest.Digest == f.t.script.bundle.Digest
	case typ == frameReply:
		return f.t.checkReply(a.reply)
	}
	if !ok {
		return fmt.Errorf("%w: type %q does not answer the request", errFrame, typ)
	}
	return nil
}

// checkReply holds a reply against what its call allows: effects are numbered
// on from the recorded ones and not more than the limit, and a pass that
// waits has asked for something. The engine relies on it.
func (t *task) checkReply(r *runtime.Reply) error {
	done := len(t.call.Results)
	for i, e := range r.Effects {
		if e.Step != done+i+1 {
			return fmt.Errorf("%w: effect %d has step %d", errFrame, done+i+1, e.Step)
		}
	}
	switch {
	case len(r.Effects) > 0 && done+len(r.Effects) > t.limits.Effects:
		return fmt.Errorf("%w: %d effects, at most %d are allowed", errFrame, done+len(r.Effects), t.limits.Effects)
	case r.Status == runtime.Suspended && len(r.Effects) == 0:
		return fmt.Errorf("%w: suspended without an effect", errFrame)
	case (r.Status == runtime.Failed) != (r.Err != nil):
		return fmt.Errorf("%w: status %s and error %v", errFrame, r.Status, r.Err != nil)
	case r.Took < 0:
		return fmt.Errorf("%w: negative time", errFrame)
	}
	return nil
}
