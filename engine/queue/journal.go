package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// shard journals the events of its keys and hands them to the consumer.
type shard struct {
	alarms alarms // has a lock of its own
	core   *core
	k      int
	log    log

	// Guarded by core.mu.
	cond    sync.Cond // the consumer's goroutine of this shard waits here
	queue   fifo[*event]
	owned   bool
	fenced  error       // why the shard was lost, until it is owned again
	pages   fifo[*page] // to be written; the last one is open
	bytes   int64       // in them
	current *page       // being written
	running bool
	timer   *time.Timer         // of kickSoon
	timerAt time.Time           // when it will fire, zero if it is not running
	live    map[*event]struct{} // journaled and not settled
	carried map[*event]struct{} // those of them whose lane slot is free
	settled fifo[*event]        // in the order their ends were written
	marks   fifo[pageMark]
	total   int64            // bytes of the journal, as far as marks reach
	trimAt  int64            // the total at which to look for something to trim
	aged    bool             // something is past Retain
	byPlace map[place]*event // while the index is being rebuilt

	trimming bool

	// Owned by the writer goroutine, and by whoever opens the shard before it.
	head uint64 // sequence of the newest page
}

// pageMark says how many bytes the journal had when page seq was written.
type pageMark struct {
	seq   uint64
	total int64
	at    int64
}

// page is journal items that are stored by one write.
type page struct {
	buf   []byte
	marks []mark
	count uint64 // entries in it
	seq   uint64 // once stored
	done  chan struct{}
	err   error
	now   bool // somebody waits: do not hold it back for company
}

// mark is what is to be done about an event once its page is stored.
type mark struct {
	event  *event
	settle bool
}

// append implements Delivery.Append and AppendLater.
func (sh *shard) append(e *event, gen uint32, entries []Entry) (*page, error) {
	c := sh.core
	size := 0
	for i := range entries {
		if n := itemSize(len(entries[i].Body)); n > c.maxEvent {
			return nil, fmt.Errorf("append entry of %d bytes: %w", len(entries[i].Body), ErrTooLarge)
		}
		size += itemSize(len(entries[i].Body))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := sh.may(e, gen); err != nil {
		return nil, err
	}
	if e.err != nil {
		err := e.err
		e.err = nil
		return nil, err
	}
	if sh.bytes+int64(size) > c.backlog {
		return nil, fmt.Errorf("append: %d bytes wait to be written: %w", sh.bytes, ErrUnavailable)
	}
	sh.writeEntries(e, entries)
	p := sh.lastPage()
	sh.kick()
	return p, nil
}

// may says whether a delivery still has its event. Called with mu held.
func (sh *shard) may(e *event, gen uint32) error {
	switch {
	case sh.core.closed:
		return ErrClosed
	case sh.fenced != nil:
		return sh.fenced
	case e.gen != gen:
		return fmt.Errorf("event was delivered again: %w", ErrFenced)
	case e.state != evOut:
		return fmt.Errorf("event %s is settled", e.id)
	}
	return nil
}

// writeEntries encodes entries in order; all of one call reach the disk before
// any that come later. Called with mu held.
func (sh *shard) writeEntries(e *event, entries []Entry) {
	if len(entries) == 0 {
		return
	}
	sh.open(e)
	for i := range entries {
		p := sh.room(itemSize(len(entries[i].Body)))
		sh.put(p, e, &item{kind: itemEntry, place: e.place, typ: entries[i].Type, body: entries[i].Body})
		p.count++
	}
}

// open makes the journal name the event. Called with mu held.
func (sh *shard) open(e *event) {
	if e.opened {
		return
	}
	e.opened = true
	sh.live[e] = struct{}{}
	sh.put(sh.room(itemSize(len(e.id))), e, &item{kind: itemOpen, place: e.place, id: e.id, stored: e.stored, attempt: int(e.attempt)})
}

// end writes the entries and the end of an event. Called with mu held.
func (sh *shard) end(e *event, entries []Entry) {
	c := sh.core
	fit := entries[:0:0]
	for _, en := range entries {
		if itemSize(len(en.Body)) > c.maxEvent {
			c.log.Error("entry left out of the journal: too large", "event", e.id, "bytes", len(en.Body))
			continue
		}
		fit = append(fit, en)
	}
	sh.writeEntries(e, fit)
	delay := c.settleIn
	if !e.opened {
		// Nothing was run: a crash before the write does no more than match the
		// event again.
		delay *= idleFactor
	}
	p := sh.room(itemSize(len(e.id)))
	e.settled = c.now().UnixNano()
	sh.put(p, nil, &item{kind: itemSettle, place: e.place, id: e.id, stored: e.stored, settled: e.settled})
	p.marks = append(p.marks, mark{event: e, settle: true})
	e.state = evSettling
	c.pending--
	if c.consumer != nil {
		c.consumer.release()
	}
	sh.kickSoon(delay)
}

// idleFactor is how many times longer the end of an event that no run has
// touched may wait than that of another.
const idleFactor = 20

// room is the open page, or a new one if n bytes do not fit. Called with mu held.
func (sh *shard) room(n int) *page {
	if q := sh.pages.len(); q > 0 {
		if p := sh.pages.all()[q-1]; len(p.buf) == 1 || len(p.buf)+n <= sh.core.pageBytes {
			return p
		}
	}
	p := newPage()
	sh.pages.push(p)
	return p
}

func newPage() *page {
	return &page{buf: append(make([]byte, 0, 512), formatVersion), done: make(chan struct{})}
}

func (sh *shard) put(p *page, e *event, it *item) {
	before := len(p.buf)
	p.buf = appendItem(p.buf, it)
	sh.bytes += int64(len(p.buf) - before)
	if e == nil {
		return
	}
	if n := len(p.marks); n == 0 || p.marks[n-1].event != e || p.marks[n-1].settle {
		p.marks = append(p.marks, mark{event: e})
	}
}

func (sh *shard) lastPage() *page {
	if q := sh.pages.len(); q > 0 {
		return sh.pages.all()[q-1]
	}
	return sh.current
}

// kick has all that waits written now. Called with mu held.
func (sh *shard) kick() {
	if n := sh.pages.len(); n > 0 && sh.fenced == nil {
		sh.pages.all()[n-1].now = true
		sh.startWriter()
	}
}

// startWriter starts the writer, if there is none. Called with mu held.
func (sh *shard) startWriter() {
	if sh.running {
		return
	}
	sh.running = true
	sh.core.writers.Add(1)
	go sh.write()
}

// kickTrim starts the writer if there is something to trim. Called with mu held.
func (sh *shard) kickTrim() {
	if sh.fenced == nil && !sh.core.closed && sh.wantsTrim() {
		sh.startWriter()
	}
}

// kickSoon is kick after a delay, so that ends share a write with what comes
// next; a full page does not wait. Called with mu held.
func (sh *shard) kickSoon(delay time.Duration) {
	switch {
	case delay <= 0:
		sh.kick()
		return
	case sh.pages.len() > 1 && sh.fenced == nil:
		sh.startWriter()
	}
	at := time.Now().Add(delay)
	if !sh.timerAt.IsZero() && !at.Before(sh.timerAt) {
		return
	}
	sh.timerAt = at
	if sh.timer != nil {
		sh.timer.Reset(delay)
		return
	}
	c := sh.core
	sh.timer = time.AfterFunc(delay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		sh.timerAt = time.Time{}
		if !c.closed {
			sh.kick()
		}
	})
}

// write stores pages until there are none, but for the last if it can wait.
func (sh *shard) write() {
	c := sh.core
	defer c.writers.Done()
	c.mu.Lock()
	for sh.fenced == nil {
		if sh.wantsTrim() {
			c.mu.Unlock()
			sh.trim()
			c.mu.Lock()
		}
		if n := sh.pages.len(); n == 0 || n == 1 && !sh.pages.front().now || sh.fenced != nil {
			break
		}
		p := sh.pages.pop()
		sh.current = p
		sh.bytes -= int64(len(p.buf) - 1)
		c.mu.Unlock()
		seq, err := sh.store(p.buf)
		c.mu.Lock()
		sh.current = nil
		if err == nil && sh.fenced != nil {
			err = sh.fenced // written, but for an owner that is none any more
		}
		if err != nil {
			p.fail(err)
			if sh.fenced == nil {
				sh.lose(err)
			}
			break
		}
		sh.finish(p, seq)
	}
	sh.running = false
	c.mu.Unlock()
}

// store writes one page behind the newest, and does not give up before it is
// known to be there, the shard is known to be lost, or the store is shut.
func (sh *shard) store(buf []byte) (uint64, error) {
	c := sh.core
	for pause := 10 * time.Millisecond; ; pause = min(pause*2, 500*time.Millisecond) {
		ctx, cancel := c.writeContext(4 * c.putTimeout)
		seq, err := sh.log.append(ctx, buf, true, sh.head)
		cancel()
		if errors.Is(err, errConflict) {
			seq, err = sh.ours(buf)
		}
		if err == nil {
			sh.head = seq
			return seq, nil
		}
		if errors.Is(err, ErrFenced) {
			return 0, err
		}
		if err := sh.lost(); err != nil {
			return 0, err
		}
		if c.trouble != nil {
			c.trouble(err)
		}
		if errors.Is(err, ErrFull) {
			sh.trim()
		}
		select {
		case <-c.stopped:
			return 0, fmt.Errorf("write journal: %w: %w", ErrClosed, err)
		case <-time.After(pause):
		}
	}
}

func (sh *shard) lost() error {
	sh.core.mu.Lock()
	defer sh.core.mu.Unlock()
	return sh.fenced
}

// ours decides a conflict: the page may be there from a write without an answer.
func (sh *shard) ours(buf []byte) (uint64, error) {
	ctx, cancel := sh.core.writeContext(4 * sh.core.putTimeout)
	defer cancel()
	m, err := sh.log.get(ctx, sh.head+1)
	switch {
	case errors.Is(err, ErrNotFound):
		return 0, fmt.Errorf("journal of shard %d ends elsewhere: %w", sh.k, ErrFenced)
	case err != nil:
		return 0, err
	case string(m.data) != string(buf):
		return 0, fmt.Errorf("journal of shard %d has another writer: %w", sh.k, ErrFenced)
	}
	return m.seq, nil
}

// finish does what was to be done once p is stored. Called with mu held.
func (sh *shard) finish(p *page, seq uint64) {
	c := sh.core
	p.seq = seq
	sh.total += int64(len(p.buf))
	c.stats.Entries += p.count
	for _, m := range p.marks {
		if !m.settle {
			m.event.addPage(seq)
			continue
		}
		m.event.addPage(seq)
		sh.ended(m.event)
	}
	sh.mark(seq)
	close(p.done)
}

func (e *event) addPage(seq uint64) {
	if n := len(e.journal); n == 0 || e.journal[n-1] != seq {
		e.journal = append(e.journal, seq)
	}
}

// mark notes the size of the journal about every 64 KiB. Called with mu held.
func (sh *shard) mark(seq uint64) {
	if n := sh.marks.len(); n > 0 && sh.total-sh.marks.all()[n-1].total < 1<<16 {
		return
	}
	sh.marks.push(pageMark{seq: seq, total: sh.total, at: sh.core.now().UnixNano()})
}

// ended makes e a settled event of the index. Called with mu held.
func (sh *shard) ended(e *event) {
	e.state, e.body, e.local, e.err = evSettled, nil, nil, nil
	delete(sh.live, e)
	delete(sh.carried, e)
	sh.release(e)
	sh.settled.push(e)
}

// release frees e's share in its lane's group. Called with mu held.
func (sh *shard) release(e *event) {
	if e.slot != nil {
		e.slot.left--
		e.slot = nil
		sh.core.lanes[e.place.lane].settleLow()
	}
}

// lose stops the shard: its deliveries are fenced, what was not written fails.
// Called with mu held.
func (sh *shard) lose(err error) {
	c := sh.core
	sh.fenced, sh.owned = err, false
	for sh.pages.len() > 0 {
		sh.pages.pop().fail(err)
	}
	sh.bytes = 0
	if !errors.Is(err, ErrClosed) {
		c.log.Error("shard lost", "shard", sh.k, "error", err)
	}
	if c.shared {
		sh.reset()
	}
	sh.cond.Broadcast()
}

func (p *page) fail(err error) {
	p.err = err
	close(p.done)
}

func (p *page) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("append to journal: %w: %w", ErrUnavailable, context.Cause(ctx))
	}
}
