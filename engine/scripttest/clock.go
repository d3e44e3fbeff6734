package scripttest

import (
	"context"
	"sync"
	"time"
)

// epoch is when every test begins: a Monday morning.
var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// clock is the virtual clock of a world: it moves when a test says so, and when
// something under test would wait.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	alarms map[int]alarm
	next   int
}

type alarm struct {
	at time.Time
	f  func()
}

func newClock() *clock { return &clock{now: epoch, alarms: map[int]alarm{}} }

// Now is the time in the world.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// set moves the clock forward and sets off what was due by then.
func (c *clock) set(t time.Time) {
	c.mu.Lock()
	if t.After(c.now) {
		c.now = t
	}
	var due []func()
	for id, a := range c.alarms {
		if !a.at.After(c.now) {
			due = append(due, a.f)
			delete(c.alarms, id)
		}
	}
	c.mu.Unlock()
	for _, f := range due {
		f()
	}
}

func (c *clock) advance(d time.Duration) { c.set(c.Now().Add(d)) }

// alarm calls f when the clock comes to t; the result calls it off.
func (c *clock) alarm(t time.Time, f func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	id := c.next
	c.alarms[id] = alarm{t, f}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.alarms, id)
	}
}

// sleep passes the time at once: nobody waits in a test.
func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.advance(d)
	return ctx.Err()
}

// after is time.AfterFunc on this clock, which passes the time at once.
func (c *clock) after(d time.Duration, f func()) (stop func() bool) {
	go func() {
		c.advance(d)
		f()
	}()
	return func() bool { return false }
}
