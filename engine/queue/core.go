package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// settings are what core needs to know, filled in by its two owners.
type settings struct {
	maxEvent   int // bytes of id, body and framing of one event or entry
	group      int // events in one stored message
	groupBytes int
	pageBytes  int // of one page of the journal, unless an entry is larger
	window     time.Duration
	putTimeout time.Duration
	settleIn   time.Duration // how long a Settle may wait for company
	dedupe     time.Duration
	dedupeMax  int
	retain     time.Duration
	retainPage int64 // bytes of settled history kept per shard journal
	retainLane int64 // bytes of settled events kept per lane
	memory     int64 // bytes of bodies kept for a consumer that is behind
	backlog    int64 // bytes of accepted, not yet written data per writer
	room       int64 // bytes that parked runs may take; 0: no bound
	shared     bool  // other processes write to the same streams
	now        func() time.Time
	log        *slog.Logger
}

// core is what Memory and JetStream have in common: the intake of events, the
// index over them, the journal, the hand-over to the consumer. It sees storage
// only as logs and tables.
//
// One mutex guards the index and the open groups and pages; it is never held
// over I/O. Each lane and each shard has a writer goroutine that exists only
// while there is something to write, so an idle core costs nothing.
type core struct {
	settings
	lanes  []*lane
	shards []*shard
	state  *state
	table  tables

	mu       sync.Mutex
	byID     map[string]*event
	claims   map[string]*event
	sent     fifo[*event] // shared: stored by this process, owned by nobody here
	closed   bool
	writers  sync.WaitGroup
	consumer *consumer
	unread   int64 // bytes of bodies held for events that wait for the consumer
	pending  int
	stats    Stats

	refuse  atomic.Pointer[error] // why no event is accepted now
	dead    atomic.Int64
	answer  atomic.Pointer[func(id string, body []byte)]
	fire    atomic.Pointer[func(context.Context, Timer) error]
	stopped chan struct{} // closed by shut
	// trouble is told of a write that did not succeed; may be nil.
	trouble func(error)
}

type tables struct{ state, source, dead, timer, wait table }

func newCore(s settings, lanes, journals []log, t tables) *core {
	c := &core{
		settings: s, table: t,
		byID: make(map[string]*event), claims: make(map[string]*event),
		stopped: make(chan struct{}),
	}
	for k := range lanes {
		c.lanes = append(c.lanes, &lane{core: c, k: k, log: lanes[k]})
		sh := &shard{core: c, k: k, log: journals[k], live: make(map[*event]struct{})}
		sh.cond.L = &c.mu
		c.shards = append(c.shards, sh)
	}
	c.state = &state{table: t.state, now: s.now, maxValue: s.maxEvent, shared: s.shared, epoch: rand.Uint64()}
	return c
}

// State implements Store.
func (c *core) State() State { return c.state }

// home is the shard that journals events of a key.
func (c *core) home(key string) int {
	if len(c.shards) == 1 {
		return 0
	}
	h := uint32(2166136261) // FNV-1a: the same in every process
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return int(h % uint32(len(c.shards)))
}

// Health implements Store.
func (c *core) Health() error {
	if p := c.refuse.Load(); p != nil {
		return *p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	return nil
}

// setHealth makes Put fail with err from now on, or accept again if it is nil.
func (c *core) setHealth(err error) {
	if err == nil {
		c.refuse.Store(nil)
		return
	}
	c.refuse.Store(&err)
}

// Stats implements Store. Bytes is what the owner last measured.
func (c *core) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Pending = c.pending
	s.Dead = int(c.dead.Load())
	oldest := int64(math.MaxInt64)
	for _, l := range c.lanes {
		if sl := l.front(); sl != nil {
			oldest = min(oldest, sl.at)
		}
	}
	for _, sh := range c.shards {
		for e := range sh.carried {
			oldest = min(oldest, e.stored)
		}
	}
	if oldest != math.MaxInt64 && s.Pending > 0 {
		s.Oldest = time.Unix(0, oldest)
	}
	return s
}

// Flush implements Store.
func (c *core) Flush(ctx context.Context) error {
	c.mu.Lock()
	var wait []chan struct{}
	var pages []*page
	for _, sh := range c.shards {
		if p := sh.lastPage(); p != nil {
			pages = append(pages, p)
			wait = append(wait, p.done)
			sh.kick()
		}
	}
	for _, l := range c.lanes {
		if g := l.lastGroup(); g != nil {
			wait = append(wait, g.done)
		}
	}
	c.mu.Unlock()
	for _, done := range wait {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("flush store: %w", context.Cause(ctx))
		}
	}
	for _, p := range pages {
		if p.err != nil && !errors.Is(p.err, ErrFenced) {
			return fmt.Errorf("flush store: %w", p.err)
		}
	}
	return nil
}

// shut refuses new work, flushes, and waits for the writers. False if it had
// been shut before.
func (c *core) shut(ctx context.Context) (bool, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false, nil
	}
	c.closed = true
	c.mu.Unlock()
	err := c.Flush(ctx)
	close(c.stopped)
	c.mu.Lock()
	for _, sh := range c.shards {
		sh.cond.Broadcast()
		if sh.timer != nil {
			sh.timer.Stop()
		}
	}
	c.mu.Unlock()
	c.writers.Wait()
	return true, err
}

// writeContext bounds one write; it ends early when the store is shut.
func (c *core) writeContext(d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), d)
}

// OnAnswer implements Store.
func (c *core) OnAnswer(receive func(id string, body []byte)) { c.answer.Store(&receive) }

func (c *core) receiveAnswer(id string, body []byte) {
	if f := c.answer.Load(); f != nil {
		(*f)(id, body)
	}
}

// fifo is a queue that reuses its space.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }
func (q *fifo[T]) push(v T) { q.items = append(q.items, v) }
func (q *fifo[T]) front() T { return q.items[q.head] }
func (q *fifo[T]) all() []T { return q.items[q.head:] }

func (q *fifo[T]) pop() T {
	var zero T
	v := q.items[q.head]
	q.items[q.head] = zero
	q.head++
	if q.head > 64 && q.head*2 > len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return v
}
