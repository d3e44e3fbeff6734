package queue

import (
	"time"
)

// States of an event in the index.
//
//	flight ──stored──► pending ──delivered──► out ──Settle──► settling ──written──► settled
//	   │ failed           ▲                    │
//	   ▼                  └── Consume again ───┘
//	 (gone)        shared: flight ──► sent (dedupe only) until the owner's watch sees it
const (
	evFlight = iota
	evSent
	evPending
	evOut
	evSettling
	evSettled
)

// event is one accepted event. All fields are guarded by core.mu.
type event struct {
	id      string
	body    []byte // nil when only the store has it
	local   any    // Record.Local, as long as body is kept
	place   place
	slot    *slot  // its share in a lane's message; nil once that may go
	flight  *group // while it is being stored
	home    *shard
	stored  int64    // Unix nanoseconds
	settled int64    // likewise, 0 until then
	journal []uint64 // pages of the home journal with something about it
	claims  []string
	err     error  // of an AppendLater
	carry   uint64 // page that holds the body since it was carried forward, else 0
	gen     uint32 // of the newest delivery
	attempt int32
	state   uint8
	opened  bool // the journal names it
	resumed bool // found at a start or take-over
}

// slot counts what a stored group still holds back.
type slot struct {
	seq    uint64
	at     int64
	bytes  int64
	left   int
	events []*event
}

func (e *event) unsettled() bool { return e.state >= evPending && e.state < evSettling }

// known says whether id was accepted within the window; it forgets the older
// one of two settled generations. Called with mu held.
func (c *core) known(id string, now int64) *event {
	e := c.byID[id]
	if e == nil {
		return nil
	}
	if (e.state == evSettled || e.state == evSent) && now-e.stored > int64(c.dedupe) {
		delete(c.byID, id)
		return nil
	}
	return e
}

// admit enters a stored event into the index and hands it to the consumer, or
// frees its slot if it is a duplicate. Called with mu held.
func (c *core) admit(e *event) {
	old := c.known(e.id, e.stored)
	if old != nil && old != e {
		if old.state != evSent && old.state != evFlight {
			e.slot.left--
			c.stats.Duplicate++
			return
		}
		if old.state == evFlight && !c.shared {
			// A copy of an earlier, ambiguous write turned up while the id is
			// being stored again: the copy is the event, the other the duplicate.
			old.state = evSettled
		}
	}
	c.byID[e.id] = e
	c.pending++
	c.enqueue(e)
}

// enqueue hands e to its home shard's consumer. Called with mu held.
func (c *core) enqueue(e *event) {
	e.state = evPending
	if e.body != nil {
		if c.unread+e.held() > c.memory {
			e.body, e.local = nil, nil // the consumer is behind: it reads the lane later
		} else {
			c.unread += e.held()
		}
	}
	e.home.queue.push(e)
	e.home.cond.Signal()
}

// held is about how much memory an event takes that waits for the consumer.
func (e *event) held() int64 {
	n := int64(len(e.body))
	if e.local != nil {
		n *= 2
	}
	return n
}

// drop removes a settled event from the index. Called with mu held.
func (c *core) drop(e *event) {
	if c.byID[e.id] == e {
		delete(c.byID, e.id)
	}
	for _, name := range e.claims {
		if c.claims[name] == e {
			delete(c.claims, name)
		}
	}
	e.claims = nil
}

// claim reserves name for e. Called with mu held.
func (c *core) claim(e *event, name string) bool {
	if holder := c.claims[name]; holder != nil && holder != e {
		return false
	}
	if c.claims[name] == nil {
		c.claims[name] = e
		e.claims = append(e.claims, name)
	}
	return true
}

// forgetSent bounds what a process remembers of events that others run.
// Called with mu held.
func (c *core) forgetSent(now time.Time) {
	for c.sent.len() > 0 {
		e := c.sent.front()
		if c.sent.len() <= c.dedupeMax && now.UnixNano()-e.stored < int64(c.dedupe) {
			return
		}
		c.sent.pop()
		if e.state == evSent && c.byID[e.id] == e {
			delete(c.byID, e.id)
		}
	}
}
