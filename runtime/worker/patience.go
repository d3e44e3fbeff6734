package worker

import (
	"context"
	"sync"
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
	at      time.Time // of the sample, where it is kept for several passes
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

// worked reports whether the pass has used that much processor time; where
// that is not known, it has.
func (p *patience) worked(least time.Duration) bool {
	now, ok := processorTime(p.pid)
	return !ok || !p.known || now-p.used >= least
}

// spent returns the processor time of a pass that took so long: that of the
// process since the account began, if it is less.
func (p *patience) spent(took time.Duration) time.Duration {
	if took <= shortPass || !p.known {
		return took
	}
	if now, ok := processorTime(p.pid); ok {
		return min(took, now-p.used)
	}
	return took
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

// passClock is the context of a pass: it ends at the deadline, with patience
// unless the script is slow. Interpreters ask it now and then, so it looks at
// the time when it is asked and needs no timer, which would cost each pass more
// than all the rest of its context. Who waits for its end gets one.
type passClock struct {
	mu       sync.Mutex
	began    time.Time
	left     time.Duration // from began
	limit    time.Duration
	patience *patience // nil: none
	err      error
	done     chan struct{} // made when it is asked for
	timer    *time.Timer
}

// resample is how old the account of a pass may be when it begins: others have
// been made since, so it may seem to have used that much more than it has.
const resample = 5 * time.Millisecond

// startClock begins a pass that may take d; stop ends it.
func startClock(d time.Duration, p *patience, now time.Time) *passClock {
	if p != nil {
		if p.renewed = 0; now.Sub(p.at) > resample {
			p.begin()
			p.at = now
		}
	}
	return &passClock{began: now, left: d, limit: d, patience: p}
}

// Deadline implements context.Context: patience may put it off.
func (*passClock) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context.
func (*passClock) Value(any) any { return nil }

// Err implements context.Context: context.DeadlineExceeded after the deadline.
func (c *passClock) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && time.Since(c.began) >= c.left {
		if c.patience != nil && c.patience.renew(c.limit) {
			c.left += c.limit
			continue
		}
		c.end(context.DeadlineExceeded)
	}
	return c.err
}

// Done implements context.Context.
func (c *passClock) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
			return c.done
		}
		c.timer = time.AfterFunc(time.Until(c.began.Add(c.left)), c.onTime)
	}
	return c.done
}

func (c *passClock) onTime() {
	if c.Err() == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.timer.Reset(time.Until(c.began.Add(c.left)))
	}
}

// stop ends the pass, as cancelled if it has not ended.
func (c *passClock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(context.Canceled)
}

func (c *passClock) end(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
		c.timer.Stop()
	}
}
