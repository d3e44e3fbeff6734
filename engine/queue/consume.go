package queue

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// consumer is one call of Consume.
type consumer struct {
	core   *core
	max    int
	handle func(Delivery)
	out    int // deliveries not settled; guarded by core.mu
	full   bool
}

// Consume implements Store.
func (c *core) Consume(ctx context.Context, maxUnsettled int, handle func(Delivery)) error {
	con, err := c.beginConsume(ctx, maxUnsettled, handle)
	if err != nil {
		return err
	}
	c.mu.Lock()
	for _, sh := range c.shards {
		sh.owned = sh.fenced == nil
	}
	c.mu.Unlock()
	return con.run(ctx)
}

// beginConsume puts what an earlier consumer had not settled back in front.
func (c *core) beginConsume(ctx context.Context, maxUnsettled int, handle func(Delivery)) (*consumer, error) {
	if maxUnsettled < 1 {
		return nil, errors.New("consume: maxUnsettled below 1")
	}
	if err := c.Flush(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if c.consumer != nil {
		return nil, errors.New("consume: there is a consumer already")
	}
	c.consumer = &consumer{core: c, max: maxUnsettled, handle: handle}
	for _, sh := range c.shards {
		sh.requeue()
	}
	return c.consumer, nil
}

// requeue makes delivered, unsettled events pending again, before the others.
// Called with mu held.
func (sh *shard) requeue() {
	var back []*event
	for _, e := range sh.core.byID {
		if e.home == sh && e.state == evOut {
			e.state = evPending
			e.gen++
			e.body = nil
			back = append(back, e)
		}
	}
	if len(back) == 0 {
		return
	}
	sortByAge(back)
	sh.queue = fifo[*event]{items: append(back, sh.queue.all()...)}
}

func sortByAge(es []*event) {
	slices.SortStableFunc(es, func(a, b *event) int {
		switch {
		case a.stored != b.stored:
			return int(min(max(a.stored-b.stored, -1), 1))
		case a.place.seq != b.place.seq && a.place.lane == b.place.lane:
			return int(min(max(int64(a.place.seq)-int64(b.place.seq), -1), 1))
		}
		return int(a.place.idx) - int(b.place.idx)
	})
}

// run delivers until ctx ends.
func (con *consumer) run(ctx context.Context) error {
	c := con.core
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, sh := range c.shards {
			sh.cond.Broadcast()
		}
	})
	defer stop()
	var wg sync.WaitGroup
	for _, sh := range c.shards {
		wg.Go(func() { sh.deliver(ctx, con) })
		if !c.shared { // else who takes a shard over keeps its time (own)
			wg.Go(func() { sh.keepTime(ctx) })
		}
	}
	wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.consumer = nil
	if c.closed && ctx.Err() == nil {
		return ErrClosed
	}
	for _, sh := range c.shards {
		if sh.fenced != nil && !c.shared {
			return sh.fenced
		}
	}
	return nil
}

// release makes room for one more delivery. Called with mu held.
func (con *consumer) release() {
	con.out--
	if con.full {
		con.full = false
		for _, sh := range con.core.shards {
			sh.cond.Broadcast()
		}
	}
}

// deliver hands the shard's events to the handler, in order.
func (sh *shard) deliver(ctx context.Context, con *consumer) {
	c := sh.core
	read := &recall{core: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for ctx.Err() == nil && !c.closed && (!sh.owned || sh.queue.len() == 0 || con.out >= con.max) {
			read.forget()
			if sh.fenced != nil && !c.shared {
				return
			}
			con.full = con.full || con.out >= con.max
			sh.cond.Wait()
		}
		if ctx.Err() != nil || c.closed {
			return
		}
		e := sh.queue.pop()
		if e.state != evPending {
			continue
		}
		sh.hand(ctx, con, read, e)
	}
}

// hand delivers one event. Called with mu held, which it gives up meanwhile.
func (sh *shard) hand(ctx context.Context, con *consumer, read *recall, e *event) {
	c := sh.core
	e.state = evOut
	e.gen++
	e.attempt++
	con.out++
	body, local := e.body, e.local
	if body != nil {
		c.unread -= e.held()
	}
	e.body, e.local = nil, nil
	d := &delivery{
		shard: sh, event: e, gen: e.gen, id: e.id, body: body, local: local,
		stored: time.Unix(0, e.stored), attempt: int(e.attempt),
	}
	if e.resumed || e.attempt > 1 {
		// Counted before anything is run, or a run that kills the process is
		// tried for ever. The first delivery is counted by its first entry.
		if e.opened {
			sh.put(sh.room(64), e, &item{kind: itemAttempt, place: e.place, attempt: int(e.attempt)})
		} else {
			sh.open(e)
		}
		sh.kick()
	}
	load := body == nil || len(e.journal) > 0
	c.mu.Unlock()
	defer c.mu.Lock()
	if load && !sh.load(ctx, read, d) {
		return
	}
	con.handle(d)
}

// load reads body and history of a delivery. False: the event is not to be
// delivered now.
func (sh *shard) load(ctx context.Context, read *recall, d *delivery) bool {
	c := sh.core
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		body, history, err := read.event(ctx, d.event, d.body == nil)
		switch {
		case err == nil:
			if d.body == nil {
				d.body = body
			}
			d.history = history
			return true
		case errors.Is(err, ErrNotFound) || errors.Is(err, errCorrupt):
			c.log.Error("stored event cannot be read, it is put to the dead letters", "event", d.id, "error", err)
			if err := d.Dead(ctx, "stored event cannot be read: "+err.Error()); err == nil {
				return false
			}
		}
		select {
		case <-ctx.Done():
		case <-c.stopped:
		case <-time.After(pause):
			continue
		}
		return false
	}
}

// delivery implements Delivery.
type delivery struct {
	shard   *shard
	event   *event
	gen     uint32
	id      string
	body    []byte
	local   any
	stored  time.Time
	attempt int
	history []Entry
}

func (d *delivery) ID() string        { return d.id }
func (d *delivery) Body() []byte      { return d.body }
func (d *delivery) Stored() time.Time { return d.stored }
func (d *delivery) Shard() int        { return d.shard.k }
func (d *delivery) Attempt() int      { return d.attempt }
func (d *delivery) History() []Entry  { return d.history }

func (d *delivery) Claim(names []string) []bool {
	sh, e := d.shard, d.event
	c := sh.core
	c.mu.Lock()
	defer c.mu.Unlock()
	got := make([]bool, len(names))
	if sh.may(e, d.gen) != nil {
		return got
	}
	for i, name := range names {
		fresh := c.claims[name] == nil
		got[i] = c.claim(e, name)
		if fresh {
			sh.open(e)
			sh.put(sh.room(itemSize(len(name))), e, &item{kind: itemClaim, place: e.place, id: name})
		}
	}
	return got
}

func (d *delivery) Append(ctx context.Context, entries ...Entry) error {
	p, err := d.shard.append(d.event, d.gen, entries)
	if err != nil || p == nil {
		return err
	}
	return p.wait(ctx)
}

func (d *delivery) AppendLater(entries ...Entry) {
	if _, err := d.shard.append(d.event, d.gen, entries); err != nil {
		c := d.shard.core
		c.mu.Lock()
		defer c.mu.Unlock()
		if d.event.gen == d.gen {
			d.event.err = err
		}
	}
}

func (d *delivery) Settle(entries ...Entry) {
	c := d.shard.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.shard.may(d.event, d.gen) == nil {
		d.shard.end(d.event, entries)
	}
}
