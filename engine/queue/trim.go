package queue

import (
	"context"
	"errors"
	"slices"
)

// carryMost bounds the events that one trim carries forward.
const carryMost = 2000

// wantsTrim is a cheap guess whether trim has work. Called with mu held.
func (sh *shard) wantsTrim() bool {
	c, l := sh.core, sh.core.lanes[sh.k]
	if sh.trimming || !sh.owned && c.shared {
		return false
	}
	if l.pressed || sh.aged {
		return true
	}
	if sh.total >= sh.trimAt && sh.marks.len() > 0 &&
		(sh.total-sh.marks.front().total > c.retainPage || sh.settled.len() > c.dedupeMax+c.dedupeMax/4) {
		return true
	}
	return l.total >= l.trimAt && l.held.len() > 0 && l.total-l.held.front().total > c.retainLane
}

// trim purges what is settled and past its keeping from the shard's journal and
// its lane. Unsettled events that stand in the way are carried forward: written
// again, whole, at the end of the journal. Only the shard's writer calls it.
func (sh *shard) trim() {
	c, l := sh.core, sh.core.lanes[sh.k]
	c.mu.Lock()
	if sh.trimming { // store met a full journal within trim
		c.mu.Unlock()
		return
	}
	sh.trimming = true
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		sh.trimming = false
	}()
	sh.trimAt = sh.total + max(c.retainPage/4, 1)
	l.trimAt = l.total + max(c.retainLane/4, 1)
	pressed := l.pressed
	l.pressed, sh.aged = false, false
	cut := sh.cut()
	carry, cut := sh.toCarry(cut)
	carry = append(carry, sh.inTheWay(pressed)...)
	c.mu.Unlock()

	if err := sh.writeCarries(carry); err != nil {
		c.log.Warn("waiting events could not be carried forward; nothing is trimmed now", "shard", sh.k, "error", err)
		return
	}
	if !sh.writeLow() {
		return
	}
	c.mu.Lock()
	cut = sh.evict(cut)
	laneCut := l.cut(pressed)
	c.mu.Unlock()
	ctx, cancel := c.writeContext(4 * c.putTimeout)
	defer cancel()
	if err := errors.Join(sh.log.purge(ctx, cut), l.log.purge(ctx, laneCut)); err != nil {
		c.log.Warn("settled events could not be purged now", "shard", sh.k, "error", err)
	}
}

// cut is the page below which everything is past its keeping. Called with mu held.
func (sh *shard) cut() uint64 {
	c := sh.core
	var cut uint64
	oldest := c.now().Add(-c.retain).UnixNano()
	for _, m := range sh.marks.all() {
		if sh.total-m.total <= c.retainPage && m.at >= oldest {
			break
		}
		cut = m.seq
	}
	if over := sh.settled.len() - c.dedupeMax; over > 0 {
		e := sh.settled.all()[over]
		cut = max(cut, e.journal[len(e.journal)-1])
	}
	return min(cut, sh.head)
}

// toCarry is the unsettled events with pages below cut; cut is lowered if there
// are too many or if one is just being settled. Called with mu held.
func (sh *shard) toCarry(cut uint64) ([]*event, uint64) {
	var es []*event
	for e := range sh.live {
		if len(e.journal) == 0 || e.journal[0] >= cut {
			continue
		}
		if e.state == evSettling {
			cut = e.journal[0]
			continue
		}
		es = append(es, e)
	}
	slices.SortFunc(es, func(a, b *event) int { return int(min(max(int64(a.journal[0])-int64(b.journal[0]), -1), 1)) })
	if len(es) > carryMost {
		cut = min(cut, es[carryMost].journal[0])
		es = es[:carryMost]
	}
	for len(es) > 0 && es[len(es)-1].journal[0] >= cut {
		es = es[:len(es)-1]
	}
	return es, cut
}

// inTheWay is this shard's delivered events that alone keep a long stretch of
// some lane from being purged. Called with mu held.
func (sh *shard) inTheWay(pressed bool) []*event {
	c := sh.core
	var es []*event
	for _, l := range c.lanes {
		l.settleLow()
		behind := l.live
		for _, s := range l.slots.all() {
			behind -= s.bytes
			if !pressed && behind < c.retainLane || len(es) >= carryMost {
				break
			}
			waiting := slices.ContainsFunc(s.events, func(e *event) bool { return e.slot == s && e.state != evOut })
			if waiting {
				break // a backlog, not a few that wait
			}
			for _, e := range s.events {
				if e.slot == s && e.home == sh && !slices.Contains(es, e) {
					es = append(es, e)
				}
			}
		}
	}
	return es
}

// carrier writes snapshots of events, page by page.
type carrier struct {
	shard  *shard
	page   *page
	starts map[*event]*page
}

// writeCarries writes the events whole. It does so before the pages that wait,
// so that what is appended to them meanwhile comes after the snapshot.
func (sh *shard) writeCarries(es []*event) error {
	if len(es) == 0 {
		return nil
	}
	w := &carrier{shard: sh, page: newPage(), starts: make(map[*event]*page)}
	for _, e := range es {
		if err := w.write(e); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	c := sh.core
	c.mu.Lock()
	defer c.mu.Unlock()
	for e, start := range w.starts {
		for len(e.journal) > 0 && e.journal[0] < start.seq {
			e.journal = e.journal[1:]
		}
		e.carry, e.opened = start.seq, true
		sh.live[e] = struct{}{}
		sh.carry(e)
		sh.release(e)
	}
	return nil
}

func (w *carrier) write(e *event) error {
	c := w.shard.core
	body, entries, err := c.read(context.Background(), e, true)
	if err != nil {
		return err
	}
	c.mu.Lock()
	claims := slices.Clone(e.claims)
	head := item{kind: itemCarry, place: e.place, id: e.id, stored: e.stored, attempt: int(e.attempt), body: body}
	c.mu.Unlock()
	if err := w.put(e, head); err != nil {
		return err
	}
	w.starts[e] = w.page
	for _, name := range claims {
		if err := w.put(e, item{kind: itemClaim, place: e.place, id: name}); err != nil {
			return err
		}
	}
	for _, en := range entries {
		if err := w.put(e, item{kind: itemCopy, place: e.place, typ: en.Type, body: en.Body}); err != nil {
			return err
		}
	}
	return w.put(e, item{kind: itemCarried, place: e.place})
}

func (w *carrier) put(e *event, it item) error {
	if n := itemSize(len(it.body) + len(it.id)); len(w.page.buf) > 1 && len(w.page.buf)+n > w.shard.core.pageBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	p := w.page
	p.buf = appendItem(p.buf, &it)
	if n := len(p.marks); n == 0 || p.marks[n-1].event != e {
		p.marks = append(p.marks, mark{event: e})
	}
	return nil
}

func (w *carrier) flush() error {
	if len(w.page.buf) == 1 {
		return nil
	}
	seq, err := w.shard.store(w.page.buf)
	if err != nil {
		return err
	}
	c := w.shard.core
	c.mu.Lock()
	defer c.mu.Unlock()
	w.shard.finish(w.page, seq)
	w.page = newPage()
	return nil
}

// writeLow makes durable up to where the lane is settled; before that nothing
// may be forgotten that says so of single events.
func (sh *shard) writeLow() bool {
	c, l := sh.core, sh.core.lanes[sh.k]
	c.mu.Lock()
	l.settleLow()
	low := l.low
	c.mu.Unlock()
	p := newPage()
	p.buf = appendItem(p.buf, &item{kind: itemLow, place: place{lane: uint32(l.k), seq: low}})
	seq, err := sh.store(p.buf)
	if err != nil {
		c.log.Warn("journal could not be trimmed now", "shard", sh.k, "error", err)
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	sh.finish(p, seq)
	l.lowKept = low
	return true
}

// evict forgets settled events below cut and returns the page up to which the
// journal may go: the end of an event whose lane still holds it must stay.
// Called with mu held.
func (sh *shard) evict(cut uint64) uint64 {
	c := sh.core
	for sh.settled.len() > 0 {
		e := sh.settled.front()
		last := e.journal[len(e.journal)-1]
		if last >= cut {
			break
		}
		if e.place.seq >= c.lanes[e.place.lane].lowKept {
			cut = last
			break
		}
		c.drop(sh.settled.pop())
	}
	for sh.marks.len() > 0 && sh.marks.front().seq < cut {
		sh.marks.pop()
	}
	return cut
}

// cut is the sequence below which the lane's groups are past their keeping.
// Called with mu held.
func (l *lane) cut(pressed bool) uint64 {
	c := l.core
	oldest := c.now().Add(-c.retain).UnixNano()
	var cut uint64
	for l.held.len() > 0 {
		m := l.held.front()
		if m.seq >= l.lowKept || !pressed && l.total-m.total <= c.retainLane && m.at >= oldest {
			break
		}
		cut = m.seq + 1
		l.held.pop()
	}
	return cut
}
