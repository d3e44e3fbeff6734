package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// lane takes events and writes them in groups to one stream.
type lane struct {
	core *core
	k    int
	log  log

	// Guarded by core.mu.
	groups   fifo[*group] // to be written; the last one is open
	bytes    int64        // in them
	current  *group       // being written
	running  bool
	company  int           // how many events the writer expects together
	want     int           // how many the waiting writer wants to be told of, else 0
	gathered chan struct{} // tells it, with room for one word
	patience *time.Timer
	last     uint64      // newest sequence in the index
	slots    fifo[*slot] // groups not yet purgeable, oldest first
	low      uint64      // everything below is settled
	lowKept  uint64      // what the journal says low is
	live     int64       // bytes in slots
	doubt    bool        // a write had no answer: the stream may hold more
	held     fifo[laneMark]
	total    int64 // bytes appended since open, for retention
	trimAt   int64 // the total at which to look for something to purge
	pressed  bool  // the stream was full: keep nothing that is settled
}

// groupPinned is the largest group that the body of a waiting event may keep in
// memory as a whole; bodies of larger ones are copied out.
const groupPinned = 64 << 10

// laneMark says how many bytes the lane had seen when seq was stored.
type laneMark struct {
	seq   uint64
	total int64
	at    int64
}

// group is events that are stored by one write.
type group struct {
	buf    []byte
	events []*event
	ends   []uint32 // where in buf the body of each event ends, and
	sizes  []uint32 // how long it is
	at     int64
	moved  bool // this is the second lane that tries
	done   chan struct{}
	err    error
}

// Put implements Store.
func (c *core) Put(ctx context.Context, r Record) error {
	if r.ID == "" {
		return errors.New("put event: empty id")
	}
	if len(r.ID)+len(r.Body)+64 > c.maxEvent {
		return fmt.Errorf("put event of %d bytes: %w", len(r.Body), ErrTooLarge)
	}
	if p := c.refuse.Load(); p != nil {
		return *p
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("put event: %w", err)
	}
	return c.put(ctx, r.ID, c.home(r.Key), r.Body, r.Local)
}

func (c *core) put(ctx context.Context, id string, home int, body []byte, local any) error {
	now := c.now()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	if e := c.known(id, now.UnixNano()); e != nil {
		c.stats.Duplicate++
		g := e.flight
		c.mu.Unlock()
		if g == nil {
			return ErrDuplicate
		}
		if err := g.wait(ctx); err != nil {
			return err
		}
		return ErrDuplicate
	}
	l := c.lanes[home]
	if l.bytes+int64(len(body)) > c.backlog {
		c.mu.Unlock()
		return fmt.Errorf("put event: %d bytes wait to be written: %w", c.backlog, ErrUnavailable)
	}
	// The id outlives the event by far, and may be a part of a larger text.
	id = strings.Clone(id)
	e := &event{id: id, home: c.shards[home], state: evFlight}
	if !c.shared { // else the event comes back through the lane
		e.local = local
	}
	g := l.add(e, body, now.UnixNano())
	c.byID[id] = e
	c.mu.Unlock()
	return g.wait(ctx)
}

func (g *group) wait(ctx context.Context) error {
	if ctx.Done() == nil {
		<-g.done
		return g.err
	}
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return fmt.Errorf("put event: %w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// add encodes the event into the lane's open group: the caller's body is not
// used after this. Called with mu held.
func (l *lane) add(e *event, body []byte, now int64) *group {
	c := l.core
	g := l.lastOpen()
	if g == nil || len(g.events) >= c.group || len(g.buf)+len(body) > c.groupBytes {
		expect := max(1, min(l.company, c.group))
		spans := make([]uint32, 2*expect)
		g = &group{
			at: now, done: make(chan struct{}), events: make([]*event, 0, expect),
			ends: spans[:0:expect], sizes: spans[expect:expect],
		}
		g.buf = appendGroupHeader(make([]byte, 0, 64+expect*(len(body)+len(e.id)+24)), now)
		l.groups.push(g)
	}
	before := len(g.buf)
	g.buf = appendRecord(g.buf, e.id, e.home.k, body)
	e.flight, e.stored = g, g.at
	g.events = append(g.events, e)
	g.ends, g.sizes = append(g.ends, uint32(len(g.buf))), append(g.sizes, uint32(len(body)))
	l.bytes += int64(len(g.buf) - before)
	if !l.running {
		l.running = true
		c.writers.Add(1)
		go l.write()
	}
	if l.want > 0 && (len(g.events) >= l.want || l.groups.len() > 1) {
		l.want = 0
		l.gathered <- struct{}{}
	}
	return g
}

func (l *lane) lastOpen() *group {
	if l.groups.len() == 0 {
		return nil
	}
	g := l.groups.all()[l.groups.len()-1]
	if g.moved {
		return nil
	}
	return g
}

func (l *lane) lastGroup() *group {
	if g := l.groups.len(); g > 0 {
		return l.groups.all()[g-1]
	}
	return l.current
}

// write stores groups until there are none.
func (l *lane) write() {
	c := l.core
	defer c.writers.Done()
	patience := c.putTimeout
	if len(c.lanes) == 1 {
		patience *= 2 // there is no other lane to try
	}
	c.mu.Lock()
	for {
		if l.doubt && !c.shared && c.refuse.Load() == nil && l.groups.len() == 0 {
			c.mu.Unlock()
			l.settleDoubt()
			c.mu.Lock()
		}
		l.gather()
		if l.groups.len() == 0 {
			l.running, l.company = false, 0
			c.mu.Unlock()
			return
		}
		g := l.groups.pop()
		l.current = g
		l.bytes -= int64(len(g.buf))
		c.mu.Unlock()

		ctx, cancel := c.writeContext(patience)
		seq, err := l.log.append(ctx, g.buf, false, 0)
		cancel()
		if err == nil && !c.shared {
			l.catchUp(seq)
		}

		c.mu.Lock()
		l.current = nil
		l.finish(g, seq, err)
		// Who was just answered comes back soon: expect about as many again.
		n := len(g.events)
		if q := l.groups.len(); q > 0 {
			n += len(l.groups.all()[0].events)
		}
		l.company = max(n, l.company*3/4)
	}
}

// gather waits a moment for company when there was company just before: who was
// answered together comes back together, and what is written one by one costs
// a flush each. It ends when as many have come, or the window is over; a lone
// event never waits, and one after many waits once or twice. Called with mu
// held, which it gives up meanwhile.
func (l *lane) gather() {
	c := l.core
	want := min(l.company, c.group)
	if c.window <= 0 || want < 3 || l.groups.len() > 1 || c.closed {
		return
	}
	if l.groups.len() == 1 && len(l.groups.front().events) >= want {
		return
	}
	if l.gathered == nil {
		l.gathered, l.patience = make(chan struct{}, 1), time.NewTimer(c.window)
	} else {
		l.patience.Reset(c.window)
	}
	seen := 0
	for windows := 1; ; windows++ {
		l.want = want
		c.mu.Unlock()
		select {
		case <-l.gathered:
		case <-l.patience.C:
		case <-c.stopped:
			windows = maxWindows
		}
		c.mu.Lock()
		if l.want == 0 { // complete
			select {
			case <-l.gathered:
			default:
			}
			l.patience.Stop()
			return
		}
		l.want = 0
		n := 0
		if l.groups.len() > 0 {
			n = len(l.groups.front().events)
		}
		if n == seen || windows >= maxWindows || c.closed {
			return
		}
		seen = n // they are still coming
		l.patience.Reset(c.window)
	}
}

// maxWindows bounds the wait for company as long as some comes in each window.
const maxWindows = 4

// finish ends a write: it indexes the events, moves the group to the next lane
// or fails it. Called with mu held.
func (l *lane) finish(g *group, seq uint64, err error) {
	c := l.core
	if err != nil {
		l.doubt = l.doubt || errors.Is(err, ErrUnavailable)
		if !g.moved && len(c.lanes) > 1 && errors.Is(err, ErrUnavailable) && !c.closed {
			g.moved = true
			next := c.lanes[(l.k+1)%len(c.lanes)]
			next.groups.push(g)
			next.bytes += int64(len(g.buf))
			if !next.running {
				next.running = true
				c.writers.Add(1)
				go next.write()
			}
			return
		}
		for _, e := range g.events {
			e.flight = nil
			if c.byID[e.id] == e {
				delete(c.byID, e.id)
			}
		}
		g.err = err
		close(g.done)
		if errors.Is(err, ErrFull) && !c.shared {
			l.pressed = true
			c.shards[l.k].kickTrim()
		}
		if c.trouble != nil {
			go c.trouble(err)
		}
		return
	}
	c.stats.Groups++
	c.stats.Events += uint64(len(g.events))
	if c.shared {
		for _, e := range g.events {
			e.flight = nil
			// The watch may have seen it before its own answer.
			if e.state == evFlight {
				e.state = evSent
				c.sent.push(e)
			}
		}
		c.forgetSent(c.now())
		close(g.done)
		return
	}
	l.index(g, seq)
	close(g.done)
}

// index enters a group that this process has stored. Called with mu held.
func (l *lane) index(g *group, seq uint64) {
	c := l.core
	s := l.addSlot(seq, g.at, int64(len(g.buf)))
	s.left, s.events = len(g.events), g.events
	for i, e := range g.events {
		e.flight = nil
		e.place = place{seq: seq, lane: uint32(l.k), idx: uint32(i)}
		e.slot = s
		if e.state == evSettled { // see admit: a copy was faster
			s.left--
			continue
		}
		e.body = g.buf[g.ends[i]-g.sizes[i] : g.ends[i] : g.ends[i]]
		if len(g.buf) > groupPinned {
			e.body = slices.Clone(e.body)
		}
		c.admit(e)
	}
	l.settleLow()
}

func (l *lane) addSlot(seq uint64, at, bytes int64) *slot {
	s := &slot{seq: seq, at: at, bytes: bytes}
	l.slots.push(s)
	l.live += bytes
	l.total += bytes
	l.held.push(laneMark{seq: seq, total: l.total, at: at})
	l.last = max(l.last, seq)
	return s
}

// front is the oldest group that is not settled. Called with mu held.
func (l *lane) front() *slot {
	l.settleLow()
	if l.slots.len() == 0 {
		return nil
	}
	return l.slots.front()
}

// settleLow advances low over settled groups. Called with mu held.
func (l *lane) settleLow() {
	for l.slots.len() > 0 && l.slots.front().left == 0 {
		s := l.slots.pop()
		l.live -= s.bytes
		l.low = s.seq + 1
	}
	if l.slots.len() == 0 {
		l.low = max(l.low, l.last+1)
	}
}

// catchUp indexes what the stream holds between the newest indexed sequence and
// seq: groups whose write had no answer. Only the lane's writer calls it.
func (l *lane) catchUp(seq uint64) {
	l.core.mu.Lock()
	from := l.last + 1
	l.core.mu.Unlock()
	if from >= seq {
		return
	}
	err := l.log.scan(context.Background(), from, seq-1, func(m message) error {
		return l.take(m)
	})
	if err != nil {
		l.core.log.Error("events of an unanswered write could not be read; they are found at the next start",
			"lane", l.k, "error", err)
	}
}

// take indexes one stored group that this process did not index at its write.
func (l *lane) take(m message) error {
	at, recs, err := decodeGroup(m.data)
	if err != nil {
		return err
	}
	c := l.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.seq <= l.last {
		return nil
	}
	s := l.addSlot(m.seq, at, int64(len(m.data)))
	for i := range recs {
		c.takeRecord(l, s, at, &recs[i], uint32(i))
	}
	l.settleLow()
	return nil
}

func (c *core) takeRecord(l *lane, s *slot, at int64, r *record, idx uint32) {
	home := c.shards[r.home%len(c.shards)]
	p := place{seq: s.seq, lane: uint32(l.k), idx: idx}
	s.left++
	if home.byPlace != nil {
		if e := home.byPlace[p]; e != nil {
			c.resume(e, s, r)
			return
		}
	}
	if c.shared && home.k != l.k {
		go l.forward(s, *r)
		return
	}
	e := &event{id: r.id, home: home, place: p, slot: s, stored: at, body: r.body, resumed: home.byPlace != nil}
	s.events = append(s.events, e)
	c.admit(e)
}

// forward moves an event that went to this lane because its own had failed to
// its home lane, whose owner alone may journal it. A second copy after a crash
// is a duplicate there.
func (l *lane) forward(s *slot, r record) {
	c := l.core
	buf := appendRecord(appendGroupHeader(nil, s.at), r.id, r.home, r.body)
	home := c.lanes[r.home%len(c.lanes)]
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		ctx, cancel := c.writeContext(4 * c.putTimeout)
		_, err := home.log.append(ctx, buf, false, 0)
		cancel()
		if err == nil {
			break
		}
		select {
		case <-c.stopped:
			return
		case <-time.After(pause):
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.left--
	l.settleLow()
}
