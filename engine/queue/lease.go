package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Where processes share servers, each shard has one owner: the process that
// holds the row of the shard in the LEASE table, which goes away by itself when
// it is not renewed. The lease only keeps the peace; what makes a wrong owner
// harmless is the journal: taking over writes a page behind the last one, so
// that the next page of the old owner, who expects another last one, is refused.

const (
	shardKey  = "shard/"
	memberKey = "member/"
)

// keeper keeps the leases of this process while it consumes.
type keeper struct {
	store *JetStream
	table table
	held  map[int]*holding
}

// holding is one shard that this process owns.
type holding struct {
	rev     uint64
	renewed time.Time
	cancel  context.CancelFunc // ends the watch of the lane
}

// openServers opens the store on external servers.
func (s *JetStream) openServers(ctx context.Context) error {
	s.link = &link{url: s.o.URL, logger: s.o.Logger}
	if err := s.link.start(); err != nil {
		return err
	}
	have, err := s.streams(ctx)
	if err != nil {
		return err
	}
	// An existing store keeps its number of shards.
	lanes := 0
	for _, name := range have {
		if strings.HasPrefix(name, s.o.Prefix+"-EV-") {
			lanes++
		}
	}
	if lanes > 0 {
		s.o.Shards = lanes
	}
	if _, err := s.createStreams(ctx, have, 1); err != nil {
		return err
	}
	s.attach(s.link.conn().MaxPayload())
	if _, err := s.DeadLetters(ctx, 1); err != nil {
		return err
	}
	return s.subscribe()
}

// Consume implements Store. On external servers it delivers the shards that
// fall to this process, and gives them up at the end.
func (s *JetStream) Consume(ctx context.Context, maxUnsettled int, handle func(Delivery)) error {
	if !s.shared {
		return s.core.Consume(ctx, maxUnsettled, handle)
	}
	con, err := s.beginConsume(ctx, maxUnsettled, handle)
	if err != nil {
		return err
	}
	k := &keeper{
		store: s, held: make(map[int]*holding),
		table: &streamTable{s.link, s.o.Prefix + "-LEASE", s.o.Prefix + ".lease.", s.o.Replicas > 1},
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.run(run)
	}()
	err = con.run(ctx)
	stop()
	<-done
	return err
}

func (k *keeper) run(ctx context.Context) {
	defer k.giveUp()
	every := time.NewTicker(k.store.o.Lease / 4)
	defer every.Stop()
	for {
		if !k.store.stalls() {
			k.round(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-k.store.stopped:
			return
		case <-every.C:
		}
	}
}

func (s *JetStream) stalls() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalled
}

// round renews what is held, and takes or gives shards towards an even share.
func (k *keeper) round(ctx context.Context) {
	s := k.store
	k.renew(ctx)
	if _, err := k.table.put(ctx, memberKey+s.self, nil, s.self, anyRev, s.o.Lease); err != nil {
		k.warn(ctx, "process could not be announced", err)
		return
	}
	owner := make(map[int]string)
	members := 0
	err := k.table.list(ctx, "", func(r row) {
		var shard int
		if n, err := fmt.Sscanf(r.key, shardKey+"%d", &shard); n == 1 && err == nil {
			owner[shard] = r.mark
		} else if strings.HasPrefix(r.key, memberKey) {
			members++
		}
	})
	if err != nil {
		k.warn(ctx, "leases could not be listed", err)
		return
	}
	share := (s.o.Shards + max(members, 1) - 1) / max(members, 1)
	for shard := range s.o.Shards {
		switch {
		case k.held[shard] != nil && len(k.held) > share:
			k.release(ctx, shard, "another process has come")
		case k.held[shard] == nil && owner[shard] == "" && len(k.held) < share:
			k.take(ctx, shard)
		}
	}
}

func (k *keeper) warn(ctx context.Context, text string, err error) {
	if ctx.Err() == nil {
		k.store.o.Logger.Warn(text, "error", err)
	}
}

func (k *keeper) key(shard int) string { return fmt.Sprint(shardKey, shard) }

func (k *keeper) renew(ctx context.Context) {
	s := k.store
	for shard, h := range k.held {
		sh := s.shards[shard]
		s.mu.Lock()
		gone := sh.fenced
		s.mu.Unlock()
		if gone == nil {
			began := time.Now()
			rev, err := k.table.put(ctx, k.key(shard), nil, s.self, h.rev, s.o.Lease)
			switch {
			case err == nil:
				h.rev, h.renewed = rev, began
				continue
			case errors.Is(err, errConflict):
				gone = fmt.Errorf("lease of shard %d was taken: %w", shard, ErrFenced)
			case time.Since(h.renewed) > s.o.Lease*3/4:
				// Others may already think so.
				gone = fmt.Errorf("lease of shard %d could not be renewed: %w", shard, ErrFenced)
			default:
				k.warn(ctx, "lease could not be renewed yet", err)
				continue
			}
		}
		k.drop(shard, gone)
	}
}

// drop stops delivering a shard that is no longer held.
func (k *keeper) drop(shard int, reason error) {
	s := k.store
	k.held[shard].cancel()
	delete(k.held, shard)
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh := s.shards[shard]; sh.fenced == nil {
		sh.lose(reason)
	}
}

// release gives a shard to whoever takes it next.
func (k *keeper) release(ctx context.Context, shard int, why string) {
	s := k.store
	if err := s.flushShard(ctx, s.shards[shard]); err != nil {
		k.warn(ctx, "shard is given up unflushed", err)
	}
	k.drop(shard, fmt.Errorf("shard %d is given up, %s: %w", shard, why, ErrFenced))
	if err := k.table.drop(ctx, k.key(shard)); err != nil {
		k.warn(ctx, "lease could not be given up; it runs out", err)
	}
}

// giveUp releases everything at the end of Consume.
func (k *keeper) giveUp() {
	ctx, cancel := context.WithTimeout(context.Background(), tendTimeout)
	defer cancel()
	for shard := range k.held {
		k.release(ctx, shard, "its process stops")
	}
	_ = k.table.drop(ctx, memberKey+k.store.self)
}

// take takes over a shard that nobody holds.
func (k *keeper) take(ctx context.Context, shard int) {
	s := k.store
	began := time.Now()
	rev, err := k.table.put(ctx, k.key(shard), nil, s.self, 0, s.o.Lease)
	if errors.Is(err, errConflict) {
		return // somebody was faster
	}
	if err != nil {
		k.warn(ctx, "lease could not be taken", err)
		return
	}
	watch, cancel := context.WithCancel(ctx)
	k.held[shard] = &holding{rev: rev, renewed: began, cancel: cancel}
	if err := s.own(watch, s.shards[shard]); err != nil {
		k.warn(ctx, "shard could not be taken over", err)
		k.release(ctx, shard, "it could not be read")
	}
}

// own makes this process the owner of a shard whose lease it holds: fence the
// old one, read journal and lane, follow the lane.
func (c *core) own(ctx context.Context, sh *shard) error {
	l := c.lanes[sh.k]
	if err := c.idle(ctx, sh); err != nil {
		return err
	}
	if err := sh.fence(ctx); err != nil {
		return err
	}
	if err := sh.readJournal(ctx); err != nil {
		return err
	}
	sh.enterJournal()
	if err := l.read(ctx); err != nil {
		return err
	}
	sh.endRebuild()
	c.mu.Lock()
	sh.owned, sh.fenced = true, nil
	sh.cond.Broadcast()
	c.mu.Unlock()
	c.writers.Go(func() { l.follow(ctx) })
	c.writers.Go(func() { sh.keepTime(ctx) })
	return nil
}

// idle waits for the writer of an earlier ownership, and clears what it left.
func (c *core) idle(ctx context.Context, sh *shard) error {
	for {
		c.mu.Lock()
		if !sh.running {
			sh.reset()
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// fence writes a page behind the newest one.
func (sh *shard) fence(ctx context.Context) error {
	p := newPage()
	p.buf = appendItem(p.buf, &item{kind: itemEpoch, place: place{lane: uint32(sh.k)}})
	for {
		_, last, _, err := sh.log.bounds(ctx)
		if err != nil {
			return err
		}
		_, err = sh.log.append(ctx, p.buf, true, last)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errConflict) {
			return fmt.Errorf("fence shard %d: %w", sh.k, err)
		}
		// The old owner wrote in between; once more.
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// follow indexes what others store in the lane while ctx lasts.
func (l *lane) follow(ctx context.Context) {
	c := l.core
	for {
		c.mu.Lock()
		from := l.last + 1
		c.mu.Unlock()
		err := l.log.watch(ctx, from, func(m message) {
			if err := l.take(m); err != nil {
				c.log.Error("stored group cannot be read", "lane", l.k, "seq", m.seq, "error", err)
			}
		})
		select {
		case <-ctx.Done():
			return
		case <-c.stopped:
			return
		case <-time.After(200 * time.Millisecond):
		}
		c.log.Warn("lane is watched anew", "lane", l.k, "error", err)
	}
}

// reset forgets everything about a shard and its lane that is not owned any
// more. Its deliveries are invalid from now on. Called with mu held.
func (sh *shard) reset() {
	c, l := sh.core, sh.core.lanes[sh.k]
	for _, e := range c.byID {
		if e.home != sh || e.state == evFlight || e.state == evSent {
			continue
		}
		switch e.state {
		case evOut:
			c.pending--
			if c.consumer != nil {
				c.consumer.release()
			}
		case evPending:
			c.unread -= int64(len(e.body))
			c.pending--
		}
		e.gen++
		c.drop(e)
	}
	sh.queue, sh.settled, sh.marks = fifo[*event]{}, fifo[*event]{}, fifo[pageMark]{}
	sh.live, sh.carried, sh.byPlace = make(map[*event]struct{}), nil, nil
	sh.total, sh.trimAt = 0, 0
	l.slots, l.held = fifo[*slot]{}, fifo[laneMark]{}
	l.last, l.low, l.lowKept, l.live, l.total, l.trimAt = 0, 0, 0, 0, 0, 0
}
