package queue

import (
	"context"
	"fmt"
	"math"
	"sync"
)

// rebuild fills the index from what is stored: the journals first, because they
// say which events of the lanes are settled, carried or under way.
func (c *core) rebuild(ctx context.Context) error {
	err := each(len(c.shards), func(k int) error { return c.shards[k].readJournal(ctx) })
	if err != nil {
		return err
	}
	for _, sh := range c.shards {
		sh.enterJournal()
	}
	if err := each(len(c.lanes), func(k int) error { return c.lanes[k].read(ctx) }); err != nil {
		return err
	}
	for _, sh := range c.shards {
		sh.endRebuild()
	}
	return nil
}

// each runs f(0..n-1) side by side and returns the first error.
func each(n int, f func(int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() { errs[k] = f(k) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// readJournal fills byPlace, settled, head and marks from the shard's journal.
// Nobody else uses the shard meanwhile.
func (sh *shard) readJournal(ctx context.Context) error {
	first, last, _, err := sh.log.bounds(ctx)
	if err != nil {
		return fmt.Errorf("open journal of shard %d: %w", sh.k, err)
	}
	sh.byPlace = make(map[place]*event)
	sh.head = last
	began := make(map[place]uint64) // carries without an end so far
	at := int64(0)                  // newest time the journal itself speaks of
	err = sh.log.scan(ctx, first, last, func(m message) error {
		sh.total += int64(len(m.data))
		if n := sh.marks.len(); n == 0 || sh.total-sh.marks.all()[n-1].total >= 1<<16 {
			sh.marks.push(pageMark{seq: m.seq, total: sh.total, at: at})
		}
		return decodePage(m.data, func(it *item) {
			at = max(at, it.stored, it.settled)
			sh.readItem(m.seq, it, began)
		})
	})
	if err != nil {
		return fmt.Errorf("read journal of shard %d: %w", sh.k, err)
	}
	return nil
}

func (sh *shard) readItem(seq uint64, it *item, began map[place]uint64) {
	switch it.kind {
	case itemLow:
		if l := sh.core.lanes[int(it.place.lane)%len(sh.core.lanes)]; l.k == sh.k {
			l.lowKept = max(l.lowKept, it.place.seq)
		}
		return
	case itemEpoch:
		return
	}
	e := sh.byPlace[it.place]
	if e == nil {
		e = &event{home: sh, place: it.place, resumed: true}
		sh.byPlace[it.place] = e
	}
	e.addPage(seq)
	switch it.kind {
	case itemOpen, itemCarry:
		e.id, e.stored, e.attempt, e.opened = it.id, it.stored, int32(it.attempt), true
		if it.kind == itemCarry {
			began[it.place] = seq
		}
	case itemCarried:
		from := began[it.place]
		for len(e.journal) > 0 && e.journal[0] < from {
			e.journal = e.journal[1:]
		}
		e.carry = from
	case itemClaim:
		e.claims = append(e.claims, it.id)
	case itemAttempt:
		e.attempt = int32(it.attempt)
	case itemSettle:
		e.id, e.stored, e.settled = it.id, it.stored, it.settled
		e.state = evSettled
		sh.settled.push(e)
	}
}

// enterJournal puts what readJournal found into the common index.
func (sh *shard) enterJournal() {
	c := sh.core
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, e := range sh.byPlace {
		if e.id == "" {
			// The first page of a settled event has been trimmed and its end was
			// not written: cannot be, trim carries such an event first.
			c.log.Error("journal entries without an event", "shard", sh.k, "lane", p.lane, "seq", p.seq)
			delete(sh.byPlace, p)
			continue
		}
		if old := c.byID[e.id]; old == nil || old.stored <= e.stored {
			c.byID[e.id] = e
		}
		claims := e.claims
		e.claims = nil
		for _, name := range claims {
			c.claim(e, name)
		}
		if e.state != evSettled {
			sh.live[e] = struct{}{}
		}
	}
}

// read enters the lane's events that are not known to be settled.
func (l *lane) read(ctx context.Context) error {
	first, last, bytes, err := l.log.bounds(ctx)
	if err != nil {
		return fmt.Errorf("open lane %d: %w", l.k, err)
	}
	from := max(first, l.lowKept)
	l.low, l.last = from, from-1
	l.total = bytes
	if from > first {
		l.held.push(laneMark{seq: from - 1, total: max(bytes-l.core.retainLane, 0), at: math.MaxInt64})
	}
	l.total = bytes
	if err := l.log.scan(ctx, from, last, l.take); err != nil {
		return fmt.Errorf("read lane %d: %w", l.k, err)
	}
	l.core.mu.Lock()
	defer l.core.mu.Unlock()
	l.last = max(l.last, last)
	l.settleLow()
	return nil
}

// resume binds a stored record to what the journal knows of its event.
// Called with mu held.
func (c *core) resume(e *event, s *slot, r *record) {
	if e.state == evSettled || e.carry != 0 || e.slot != nil {
		s.left--
		return
	}
	e.slot, e.body = s, r.body
	s.events = append(s.events, e)
	c.pending++
	c.enqueue(e)
}

// endRebuild queues what was carried, and lets go of the rebuild's own index.
func (sh *shard) endRebuild() {
	c := sh.core
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := range sh.live {
		if e.state == evPending {
			continue
		}
		// Carried, or its group is damaged: then load says so.
		if e.carry != 0 {
			sh.carry(e)
		}
		c.pending++
		c.enqueue(e)
	}
	sortByAge(sh.queue.all())
	sh.byPlace = nil
	sh.trimAt = 0
}

func (sh *shard) carry(e *event) {
	if sh.carried == nil {
		sh.carried = make(map[*event]struct{})
	}
	sh.carried[e] = struct{}{}
}
