package scripttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/starling-rules/starling/engine/queue"
)

// store is the store of a world. It outlives the engine that works on it, tells
// when nothing is under way, and leaves it to the test when timers ring: one
// after another, in the order of time.
type store struct {
	queue.Store

	mu    sync.Mutex
	open  map[string]bool // events that are not settled, by id
	quiet []chan struct{} // to be closed when there are none
	fire  func(context.Context, queue.Timer) error
}

func newStore(s queue.Store) *store { return &store{Store: s, open: map[string]bool{}} }

// settled is closed as soon as every event is settled: what one event leads to
// is stored before that event is over.
func (s *store) settled() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := make(chan struct{})
	if len(s.open) == 0 {
		close(ch)
		return ch
	}
	s.quiet = append(s.quiet, ch)
	return ch
}

// enter notes an event, and reports whether it is new.
func (s *store) enter(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.open[id]
	s.open[id] = true
	return !known
}

func (s *store) leave(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
	if len(s.open) == 0 {
		for _, ch := range s.quiet {
			close(ch)
		}
		s.quiet = nil
	}
}

// Put implements queue.Store.
func (s *store) Put(ctx context.Context, r queue.Record) error {
	fresh := s.enter(r.ID)
	err := s.Store.Put(ctx, r)
	if err != nil && fresh {
		s.leave(r.ID)
	}
	return err
}

// Consume implements queue.Store.
func (s *store) Consume(ctx context.Context, most int, handle func(queue.Delivery)) error {
	return s.Store.Consume(ctx, most, func(d queue.Delivery) {
		s.enter(d.ID())
		handle(&delivery{d, s})
	})
}

type delivery struct {
	queue.Delivery
	s *store
}

// Settle implements queue.Delivery.
func (d *delivery) Settle(entries ...queue.Entry) {
	d.Delivery.Settle(entries...)
	d.s.leave(d.ID())
}

// Dead implements queue.Delivery.
func (d *delivery) Dead(ctx context.Context, reason string) error {
	err := d.Delivery.Dead(ctx, reason)
	d.s.leave(d.ID())
	return err
}

// OnTimer implements queue.Store: the memory below never rings by itself.
func (s *store) OnTimer(fire func(context.Context, queue.Timer) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fire = fire
}

// soonest is the timer that rings next; of several at the same time the first
// by its id.
func (s *store) soonest(ctx context.Context) (t queue.Timer, ok bool, err error) {
	all, err := s.Timers().All(ctx)
	if err != nil || len(all) == 0 {
		return t, false, err
	}
	return slices.MinFunc(all, func(a, b queue.Timer) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	}), true, nil
}

// ring hands a timer over as the store would, and removes it unless it was set
// anew meanwhile.
func (s *store) ring(ctx context.Context, t queue.Timer) error {
	s.mu.Lock()
	fire := s.fire
	s.mu.Unlock()
	if fire == nil {
		return fmt.Errorf("timer %s: nothing here knows what it is for", t.ID)
	}
	if err := fire(ctx, t); err != nil {
		return fmt.Errorf("timer %s: %w", t.ID, err)
	}
	left, err := s.Timers().Get(ctx, t.Key, t.ID)
	if errors.Is(err, queue.ErrNotFound) || err == nil && left.Rev != t.Rev {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Timers().Cancel(ctx, t.Key, t.ID)
}
