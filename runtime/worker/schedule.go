package worker

import (
	"fmt"
	"syscall"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// flight is one request that was written to a worker and not answered yet.
type flight struct {
	t *task
	// preload: the bundle that goes before the run of t.
	preload bool
}

// batch is what is to be written to a worker, once Pool.mu is released.
type batch struct {
	w       *worker
	forget  []runtime.Digest
	preload *task
	tasks   []*task
}

// send writes the batches. A write that fails needs no care: the worker is
// gone, and its reader knows.
func send(batches []batch) {
	for _, b := range batches {
		if len(b.tasks) == 1 && b.preload == nil && b.forget == nil {
			b.w.write(b.tasks[0].frame)
			continue
		}
		var buf []byte
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
	}
}

// write does not block: it may be called by the reader of another worker,
// which must not wait until this one is killed for not reading. What the
// socket does not take at once is left to a goroutine that ends with w.
func (w *worker) write(b []byte) {
	n := 0
	err := w.raw.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), b)
		return true
	})
	if n = max(n, 0); err == nil && n < len(b) {
		go func() { _, _ = w.conn.Write(b[n:]) }()
	}
}

// enqueue appends a task to what waits. p.mu is held.
func (p *Pool) enqueue(t *task) {
	if t.load {
		p.loads.pushBack(t)
		return
	}
	p.runs.pushBack(t)
}

func (p *Pool) waiting() int { return p.runs.len + p.loads.len + p.retries.len }

// schedule gives waiting tasks to idle workers, in order. p.mu is held; the
// caller sends the batches after releasing it.
func (p *Pool) schedule() []batch {
	var out []batch
	for p.retries.len > 0 {
		w := p.takeFresh()
		if w == nil {
			break
		}
		out = append(out, p.assign(w, p.retries.pop()))
	}
	for len(p.idle) > 0 {
		t := p.nextTask()
		if t == nil {
			break
		}
		w := p.takeIdle(func(w *worker) bool { return !t.load && w.modules.has(t.script.bundle.Digest) })
		if w == nil {
			w = p.takeIdle(func(*worker) bool { return true })
		}
		out = append(out, p.assign(w, t))
	}
	if p.waiting() > 0 && !p.stallSet && !p.closed {
		p.stallSet = true
		p.stall.Reset(stallAfter)
	}
	return out
}

// takeFresh takes a worker in which no script has run, if need be beyond the
// number that there should be: it leaves after the pass.
func (p *Pool) takeFresh() *worker {
	if w := p.takeIdle((*worker).fresh); w != nil {
		return w
	}
	if len(p.spares) == 0 {
		return nil
	}
	p.promote()
	return p.takeIdle((*worker).fresh)
}

// nextTask takes from runs and loads in turn, and from either in order.
func (p *Pool) nextTask() *task {
	first, second := &p.runs, &p.loads
	if p.loadsNext {
		first, second = second, first
	}
	t := first.pop()
	if t == nil {
		t = second.pop()
	}
	if t != nil {
		p.loadsNext = !t.load
	}
	return t
}

// takeIdle takes the worker that became idle last among those that suit.
func (p *Pool) takeIdle(suits func(*worker) bool) *worker {
	for i := len(p.idle) - 1; i >= 0; i-- {
		if w := p.idle[i]; suits(w) {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			return w
		}
	}
	return nil
}

// assign makes w busy with t; with a load go further loads, up to w's share
// of those that wait.
func (p *Pool) assign(w *worker, t *task) batch {
	b := batch{w: w, forget: w.forget, tasks: []*task{t}}
	w.state, w.forget = busy, nil
	w.flights = w.flights[:0]
	digest := t.script.bundle.Digest
	switch {
	case t.load:
		size := len(t.frame)
		for share := p.loads.len / p.live; share > 0 && len(b.tasks) < loadsAhead; share-- {
			if size += len(p.loads.head.frame); size > bytesAhead {
				break
			}
			b.tasks = append(b.tasks, p.loads.pop())
		}
	case w.modules.has(digest):
		w.modules.touch(digest)
	default:
		b.preload = t
		w.flights = append(w.flights, flight{t, true})
	}
	for _, t := range b.tasks {
		t.worker = w
		w.flights = append(w.flights, flight{t, false})
	}
	w.arm(time.Now())
	return b
}

// answered takes the answer of w's oldest request, and gives w its next work.
// It reports false if w is at its end.
func (p *Pool) answered(w *worker, typ byte, payload []byte) bool {
	a, err := decodeAnswer(typ, payload)
	p.mu.Lock()
	if w.end != endNone {
		p.mu.Unlock()
		return false
	}
	if err == nil && len(w.flights) == 0 {
		err = fmt.Errorf("%w: type %q without a request", errFrame, typ)
	}
	if err == nil {
		err = w.flights[0].check(typ, &a)
	}
	if err != nil {
		w.fault = err
		p.condemn(w, endBadFrame)
	} else {
		p.settleFlight(w, a)
	}
	p.replenish()
	batches := p.schedule()
	ok := w.end == endNone
	p.mu.Unlock()
	send(batches)
	return ok
}

// settleFlight gives w's oldest request its answer; after the last one w is
// idle, or replaced. p.mu is held.
func (p *Pool) settleFlight(w *worker, a answer) {
	f := w.flights[0]
	w.flights = w.flights[1:]
	w.heap = a.heap
	p.idleDeaths = 0
	p.deliver(w, f, a)
	if len(w.flights) > 0 {
		w.arm(time.Now())
		return
	}
	w.timer.Stop()
	switch {
	case p.closed, p.live > p.target():
		p.condemn(w, endRetired)
	case w.served >= p.opt.Recycle.Events, w.heap > p.opt.Recycle.Heap:
		p.condemn(w, endRecycled)
	default:
		w.state = idle
		p.idle = append(p.idle, w)
	}
}

// deliver puts an answer where it belongs. p.mu is held.
func (p *Pool) deliver(w *worker, f flight, a answer) {
	t := f.t
	if !f.preload {
		w.served++
	}
	switch {
	case f.preload && a.errs != nil:
		t.loadErrs = a.errs
	case f.preload && a.refused != "":
		t.loadErrs = runtime.Errors{t.scriptError(runtime.InternalError, "", "load again: "+a.refused, "")}
	case f.preload:
		w.forget = append(w.forget, w.modules.add(t.script.bundle)...)
	case a.manifest != nil:
		t.manifest = a.manifest
		if len(a.manifest.Missing) == 0 && !p.closed {
			b := t.script.bundle
			w.forget = append(w.forget, w.modules.add(b)...)
			if p.scripts[b.Digest] == nil {
				p.scripts[b.Digest] = newScript(b, a.manifest)
			}
		}
		t.settle()
	case a.errs != nil:
		t.fail(a.errs)
	case a.reply != nil:
		t.reply = a.reply
		t.reply.Heap = a.heap
		t.settle()
	case t.loadErrs != nil:
		t.blame(t.loadErrs[0], 0)
	case t.load:
		t.fail(fmt.Errorf("load %s: %s", t.script.bundle.Main, a.refused))
	default:
		t.fail(fmt.Errorf("run %s: %s", t.script.bundle.Main, a.refused))
	}
}

// check refuses an answer that does not fit its request.
func (f flight) check(typ byte, a *answer) error {
	ok := typ == frameRefused
	switch {
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

// abandon lets go of a task whose caller has gone. If it is what its worker
// does just now, it has a moment left. p.mu is held.
func (p *Pool) abandon(t *task) {
	t.dropped = true
	t.settle()
	if t.list != nil {
		t.list.remove(t)
		return
	}
	w := t.worker
	if w == nil || w.end != endNone || len(w.flights) == 0 || w.flights[0].t != t {
		return
	}
	if end := time.Now().Add(cancelGrace); end.Before(w.headEnds) {
		w.headEnds = end
		w.timer.Reset(cancelGrace)
	}
}

// target is the number of workers there should be, spares aside.
func (p *Pool) target() int { return p.opt.Workers + p.extra }

// onStall lets further workers stand in for those held up by long passes.
func (p *Pool) onStall() {
	p.mu.Lock()
	p.stallSet = false
	if p.closed || p.waiting() == 0 {
		p.mu.Unlock()
		return
	}
	if want := min(p.heldUp(), p.opt.Burst); want > p.extra {
		p.extra = want
		if !p.shrinkSet {
			p.shrinkSet = true
			p.shrink.Reset(shrinkAfter)
		}
	}
	p.replenish()
	batches := p.schedule()
	p.mu.Unlock()
	send(batches)
}

// heldUp counts the workers whose pass takes long.
func (p *Pool) heldUp() int {
	n, since := 0, time.Now().Add(-stallAfter)
	for w := range p.all {
		if w.state == busy && w.headSince.Before(since) {
			n++
		}
	}
	return n
}

// onShrink sends stand-ins away when they are not needed any more.
func (p *Pool) onShrink() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shrinkSet = false
	if p.closed {
		return
	}
	if held := p.heldUp(); held < p.extra {
		p.extra = max(held, p.extra/2)
	}
	for p.live > p.target() && len(p.idle) > 0 {
		p.condemn(p.idle[0], endRetired)
	}
	if p.extra > 0 || p.live > p.target() {
		p.shrinkSet = true
		p.shrink.Reset(shrinkAfter)
	}
}
