package worker

import (
	"fmt"
	"slices"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// ending is why a worker ends.
type ending uint8

const (
	endNone      ending = iota
	endDeadline         // its pass took too long: killed
	endMemory           // it died for want of memory
	endDied             // it died otherwise, by itself
	endBadFrame         // it broke the protocol: killed
	endAbandoned        // the caller of its pass has gone: killed
	endRecycled         // it was old or full
	endRetired          // it was one too many
	endClosed           // the pool was closed
	endNotReady         // it did not start in time: killed
	endShot             // somebody else killed it
)

// String returns the reason for a log.
func (e ending) String() string {
	return [...]string{
		"none", "deadline", "out of memory", "crash", "bad frame", "caller gone", "recycled", "not needed", "pool closed", "not ready in time",
		"killed from outside",
	}[e]
}

// condemn takes a worker out of the pool, kills its process and settles what
// it leaves: the flight it was at is to blame or is tried again, the others go
// back to the head of their queues. The worker's reader reaps it. p.mu is held.
func (p *Pool) condemn(w *worker, why ending) {
	if w.end != endNone {
		return
	}
	w.end = why
	w.timer.Stop()
	p.asides.reckon(w)
	delete(p.all, w)
	self := func(x *worker) bool { return x == w }
	switch w.state {
	case spare:
		p.spares = slices.DeleteFunc(p.spares, self)
	case idle:
		w.crew.idle = slices.DeleteFunc(w.crew.idle, self)
	case busy:
		w.crew.free(w)
	}
	switch why {
	case endDeadline:
		p.stats.Killed++
	case endMemory, endDied, endBadFrame, endShot:
		p.stats.Died++
	case endRecycled, endAbandoned:
		p.stats.Recycled++
	}
	at := 0
	if len(w.flights) > 0 {
		at, w.headSince = w.current()
	}
	_ = w.cmd.Process.Kill()
	flights := w.flights
	w.flights = nil
	if len(flights) > 0 {
		head := flights[at].t
		for i := len(flights) - 1; i >= 0; i-- {
			p.land(flights[i])
			if t := flights[i].t; t != head {
				p.requeue(t)
			}
		}
		w.culprit = head
		p.judge(w, flights[at], why)
	}
	p.checkDrained()
}

// requeue puts an innocent task back where it came from.
func (p *Pool) requeue(t *task) {
	t.worker = nil
	switch {
	case t.settled:
	case p.closed:
		t.fail(runtime.ErrClosed)
	case t.load:
		p.loads.pushFront(t)
	default:
		p.crewOf(t).lines[quick].pushFront(t) // it was before all others of its lane
	}
}

// maxKills is how many workers may be killed from outside under one pass.
const maxKills = 5

// judge decides on the flight that a worker was working on when it ended.
//
// A deadline is the pass's own doing, unless the machine was away: see excuse. So
// is memory, if the pass found the worker empty. Any other death may have been
// prepared by an earlier pass: this one is innocent until a fresh worker has died
// under it as well. Who is killed from outside is innocent anyhow, but for ever it
// is not tried again.
func (p *Pool) judge(w *worker, f flight, why ending) {
	t := f.t
	took := time.Since(w.headSince)
	what := "the pass"
	if t.load || f.preload {
		what = "the top level of the script"
	}
	switch {
	case t.settled:
	case why == endClosed, why == endAbandoned:
		t.fail(runtime.ErrClosed)
	case why == endDeadline && p.excuse(t, w.headSince):
	case why == endDeadline:
		p.account(t, took, took, true)
		t.blame(t.scriptError(runtime.LimitError, runtime.LimitDeadline,
			fmt.Sprintf("%s took longer than %v and was stopped", what, t.limits.Deadline),
			"the time is for the script's own work: look for a loop or a built-in on very large data"), took)
	case why == endBadFrame:
		t.blame(t.crash("the worker process sent nonsense and was stopped"), took)
	case why == endMemory && (t.deaths > 0 || p.roomy(w)):
		p.account(t, took, took, true)
		t.blame(t.scriptError(runtime.LimitError, runtime.LimitMemory,
			fmt.Sprintf("%s needed more memory than %d MB and was stopped", what, p.memoryOf(t)>>20), ""), took)
	case why == endShot && t.kills >= maxKills:
		t.blame(t.scriptError(runtime.InternalError, "", fmt.Sprintf("the worker process was killed from outside, %d times in a row", t.kills+1),
			"by the kernel, if the machine has too little memory, or by somebody"), took)
	case why != endShot && t.deaths > 0:
		t.blame(t.crash("the worker process crashed, and so did a second one"), took)
	case p.closed:
		t.fail(runtime.ErrClosed)
	default:
		if why == endShot {
			t.kills++
		} else {
			t.deaths++
		}
		t.worker = nil
		p.retries.pushBack(t)
	}
}

// roomy reports whether next to nothing of the worker's memory was in use
// when it began.
func (p *Pool) roomy(w *worker) bool { return w.fresh() || w.heap <= p.opt.Memory/16 }

func (p *Pool) memoryOf(t *task) int64 { return min(t.limits.Memory, p.opt.Memory) }
