package worker

import (
	"context"
	"time"
)

// patience tells a pass that takes its time from one that is given none. On a
// machine where many processes spin, an innocent pass may wait for a
// processor longer than its deadline; it is not to blame for that. So when
// the deadline comes, a pass that has hardly run gets the same time again, a
// few times. Whoever spins has run: its deadline is wall time. Both sides
// judge by it, the worker for the script's own error, the server for the kill.
type patience struct {
	pid     int // 0: this process
	used    time.Duration
	known   bool
	renewed int
}

const (
	// hardlyRun is the part of its deadline below which a pass has hardly run.
	// Up to 8 spinning processes a processor still pass for spinning: more than
	// a pool of usual size has, stand-ins included.
	hardlyRun = 8
	// maxRenewals bounds the wait for a pass that neither ends nor runs.
	maxRenewals = 3
)

// begin starts the account of a pass.
func (p *patience) begin() {
	p.used, p.known = processorTime(p.pid)
	p.renewed = 0
}

// renew reports whether a pass whose deadline has come may go on.
func (p *patience) renew(deadline time.Duration) bool {
	if !p.known || p.renewed == maxRenewals {
		return false
	}
	now, ok := processorTime(p.pid)
	if !ok || now-p.used > deadline/hardlyRun {
		return false
	}
	p.renewed++
	return true
}

// withDeadline returns a context that ends with DeadlineExceeded as its cause;
// unless it is patient, when the time has passed, whatever the pass has had of it.
func withDeadline(d time.Duration, patient bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &patience{}
	if patient {
		p.begin()
	}
	var t *time.Timer
	t = stopped(func() {
		if p.renew(d) {
			t.Reset(d)
			return
		}
		cancel(context.DeadlineExceeded)
	})
	t.Reset(d)
	return ctx, func() {
		t.Stop()
		cancel(nil)
	}
}
