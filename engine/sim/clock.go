package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// maxClockRate bounds how many times faster than ours the workspace's time may
// run, maxAdvance how far it may be moved at once.
const (
	maxClockRate = 100_000
	maxAdvance   = 10 * 365 * 24 * time.Hour
)

// Clock is the time of the workspace: timestamps, the lives of trigger_ids,
// response URLs and tickets, and the schedule of retries go by it. It runs with
// the machine's unless it is moved ahead or made to run faster, by MoveClock or
// from the page. What the app is given to answer, and the timestamps that
// deliveries are signed with, stay on the machine's time: the app lives there.
type Clock struct {
	Now   time.Time     `json:"now"`
	Ahead time.Duration `json:"ahead_ns"` // of the machine's clock
	Rate  float64       `json:"rate"`     // 1 is the machine's own pace
}

// movable is a clock that can be moved, and that wakes those who wait by it.
type movable struct {
	real func() time.Time

	mu    sync.Mutex // guards these
	since time.Time  // of the machine's: when base was true
	base  time.Time
	rate  float64
	moved chan struct{} // closed, and made anew, when the clock is touched
}

func newMovable(real func() time.Time) *movable {
	now := real()
	return &movable{real: real, since: now, base: now, rate: 1, moved: make(chan struct{})}
}

func (m *movable) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nowLocked()
}

func (m *movable) nowLocked() time.Time {
	passed := m.real().Sub(m.since)
	if m.rate != 1 {
		passed = time.Duration(float64(passed) * m.rate)
	}
	return m.base.Add(passed)
}

// move takes the clock ahead and sets its pace; a rate of 0 leaves that as it is.
func (m *movable) move(ahead time.Duration, rate float64) error {
	switch {
	case ahead < 0:
		return errors.New("advance: the clock cannot be moved back, what happened has happened")
	case ahead > maxAdvance:
		return fmt.Errorf("advance: at most ten years at once (got %s)", ahead)
	case math.IsNaN(rate) || rate != 0 && rate < 1 || rate > maxClockRate:
		return fmt.Errorf("rate: want 1 to %d (got %v)", maxClockRate, rate)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.nowLocked()
	m.since, m.base = m.real(), now.Add(ahead)
	if rate != 0 {
		m.rate = rate
	}
	close(m.moved)
	m.moved = make(chan struct{})
	return nil
}

// sleep waits until d has passed since a time of this clock, or ctx ends.
func (m *movable) sleep(ctx context.Context, since time.Time, d time.Duration) error {
	until := since.Add(d)
	for {
		m.mu.Lock()
		left := until.Sub(m.nowLocked())
		left = time.Duration(math.Ceil(float64(left) / m.rate))
		moved := m.moved
		m.mu.Unlock()
		if left <= 0 {
			return ctx.Err()
		}
		t := time.NewTimer(left)
		select {
		case <-t.C:
		case <-moved:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Clock reads the workspace's clock.
func (s *Server) Clock() Clock {
	m := s.clock
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.nowLocked()
	return Clock{Now: now, Ahead: now.Sub(m.real()), Rate: m.rate}
}

// MoveClock moves the workspace's clock ahead, and with a rate that is not 0
// makes it run so many times faster than the machine's: what is due is done.
func (s *Server) MoveClock(ahead time.Duration, rate float64) error {
	if err := s.clock.move(ahead, rate); err != nil {
		return err
	}
	s.world.log.add("clock", s.Clock())
	return nil
}

// clockMove is the body of /sim/clock: {"advance": "31m", "rate": 60}.
type clockMove struct {
	Advance string      `json:"advance"`
	Rate    json.Number `json:"rate"`
}

func (s *Server) moveClock(in clockMove) (Block, error) {
	ahead := time.Duration(0)
	if in.Advance != "" {
		var err error
		if ahead, err = time.ParseDuration(in.Advance); err != nil {
			return nil, fmt.Errorf("advance: want a length of time as in \"90s\" or \"1h30m\" (got %q)", in.Advance)
		}
	}
	rate := 0.0
	if in.Rate != "" {
		var err error
		if rate, err = in.Rate.Float64(); err != nil {
			return nil, fmt.Errorf("rate: want a number (got %q)", in.Rate)
		}
	}
	if err := s.MoveClock(ahead, rate); err != nil {
		return nil, err
	}
	return Block{"clock": s.Clock()}, nil
}
