package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// tend looks after the store until ctx ends: disk, embedded server, groups
// without an answer, what is past its keeping.
func (s *JetStream) tend(ctx context.Context) {
	tick := time.NewTicker(s.o.Poll)
	defer tick.Stop()
	for round := 0; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.look(ctx)
		case <-s.wake:
			s.mend(ctx)
		}
		s.core.recheck()
		if round%10 == 0 {
			s.measure(ctx)
		}
	}
}

// look refuses events while the disk is nearly full.
func (s *JetStream) look(ctx context.Context) {
	if s.o.Dir == "" {
		return
	}
	if err := s.disk(); err != nil {
		s.core.setHealth(err)
		return
	}
	if s.core.refuse.Load() != nil {
		// It was refused before: the server may have been hurt meanwhile.
		s.mend(ctx)
	}
}

// disk is an error while less is free than MinFreeDisk.
func (s *JetStream) disk() error {
	if s.o.MinFreeDisk < 0 {
		return nil
	}
	free, total, err := freeDisk(s.o.Dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	least := uint64(s.o.MinFreeDisk)
	if least == 0 {
		least = max(total/20, 500_000_000)
	}
	if free < least {
		return fmt.Errorf("%w: disk nearly full: %d MB free of at least %d MB", ErrUnavailable, free/1_000_000, least/1_000_000)
	}
	return nil
}

// mend starts the embedded server again after a write that had no answer: a
// stream that has met a full disk takes nothing any more, even when there is
// space again.
func (s *JetStream) mend(ctx context.Context) {
	if s.o.Dir == "" {
		return
	}
	probe := s.probe(ctx)
	if probe == nil {
		s.core.setHealth(s.disk())
		return
	}
	s.core.setHealth(probe)
	if s.disk() != nil || s.full() {
		return // look comes back when there is space
	}
	s.o.Logger.Warn("embedded store is started again", "reason", probe)
	s.link.stop()
	if err := s.link.start(); err != nil {
		s.o.Logger.Error("embedded store did not start again", "error", err)
		s.core.setHealth(fmt.Errorf("%w: %w", ErrUnavailable, err))
		return
	}
	if err := s.subscribe(); err != nil {
		s.o.Logger.Error("answers cannot be received", "error", err)
	}
	if err := s.probe(ctx); err != nil {
		s.core.setHealth(err)
		return
	}
	s.o.Logger.Info("embedded store accepts events again")
	s.core.setHealth(nil)
}

// full says that there is no room at all, whatever MinFreeDisk is.
func (s *JetStream) full() bool {
	free, _, err := freeDisk(s.o.Dir)
	return err == nil && free < 1<<20
}

// probe writes nothing: it asks the server, and each stream's own state.
func (s *JetStream) probe(ctx context.Context) error {
	if err := s.link.health(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tendTimeout)
	defer cancel()
	have, err := s.streams(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	exists := make(map[string]bool, len(have))
	for _, name := range have {
		exists[name] = true
	}
	for _, cfg := range s.configs() {
		if !exists[cfg.Name] {
			return fmt.Errorf("%w: stream %s is gone", ErrUnavailable, cfg.Name)
		}
	}
	return nil
}

// measure notes how many bytes are stored.
func (s *JetStream) measure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tendTimeout)
	defer cancel()
	info, err := s.link.jet().AccountInfo(ctx)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			s.o.Logger.Debug("store size unknown", "error", err)
		}
		return
	}
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	s.bytes = int64(info.Store)
}

// recheck wakes the writers for what no event or entry wakes them for.
func (c *core) recheck() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	oldest := c.now().Add(-c.retain).UnixNano()
	for _, sh := range c.shards {
		if sh.marks.len() > 0 && sh.marks.front().at < oldest && sh.settled.len() > 0 && sh.settled.front().settled < oldest {
			sh.aged = true
		}
		sh.kickTrim()
	}
	for _, l := range c.lanes {
		if !l.doubt || l.running || c.shared || c.refuse.Load() != nil {
			continue
		}
		l.running = true
		c.writers.Add(1)
		go l.write()
	}
}

// settleDoubt indexes what unanswered writes have left in the stream after all.
// Only the lane's writer calls it.
func (l *lane) settleDoubt() {
	c := l.core
	ctx, cancel := c.writeContext(tendTimeout)
	defer cancel()
	_, last, _, err := l.log.bounds(ctx)
	if err != nil {
		return // still in doubt
	}
	l.catchUp(last + 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	l.doubt = false
}
