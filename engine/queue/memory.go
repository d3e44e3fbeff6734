package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// MemoryOptions are the options of NewMemory. The zero value is usable.
type MemoryOptions struct {
	// Shards is the number of shards, default 1.
	Shards int
	// MaxBytes bounds the stored events and, apart from them, the journal;
	// default 256 MiB each.
	MaxBytes int64
	// DedupeWindow is how long ids are remembered, default 25 hours.
	DedupeWindow time.Duration
	// Now is the clock, default time.Now.
	Now func() time.Time
	// Logger takes what the store has to say, default none.
	Logger *slog.Logger
}

// Memory is a Store without a disk: nothing survives the process. It is the
// same code as JetStream on logs in memory, cheap to make, and has no goroutine
// while nothing is being stored or consumed.
type Memory struct {
	*core
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory(o MemoryOptions) *Memory {
	if o.Shards < 1 {
		o.Shards = 1
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	if o.DedupeWindow <= 0 {
		o.DedupeWindow = 25 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := settings{
		maxEvent: 8 << 20, group: 256, groupBytes: 1 << 20, pageBytes: 1 << 20,
		dedupe: o.DedupeWindow, dedupeMax: 200_000, retain: 14 * 24 * time.Hour,
		memory: o.MaxBytes, backlog: o.MaxBytes, now: o.Now, log: o.Logger,
	}
	n := int64(o.Shards)
	s.retainPage, s.retainLane = o.MaxBytes/4/n, o.MaxBytes/4/n
	var lanes, journals []log
	for range o.Shards {
		lanes = append(lanes, newMemLog(o.MaxBytes/n, o.Now))
		journals = append(journals, newMemLog(o.MaxBytes/n, o.Now))
	}
	c := newCore(s, lanes, journals, tables{
		state: newMemTable(o.Now), source: newMemTable(o.Now), dead: newMemTable(o.Now), timer: newMemTable(o.Now), wait: newMemTable(o.Now),
	})
	c.stats.MaxBytes = o.MaxBytes
	return &Memory{core: c}
}

// Stats implements Store.
func (m *Memory) Stats() Stats {
	s := m.core.Stats()
	for k := range m.lanes {
		_, _, a, _ := m.lanes[k].log.bounds(context.Background())
		_, _, b, _ := m.shards[k].log.bounds(context.Background())
		s.Bytes += a + b
	}
	return s
}

// Address implements Store.
func (m *Memory) Address() string { return "memory" }

// SendAnswer implements Store: the only process there is, is this one.
func (m *Memory) SendAnswer(_ context.Context, address, id string, body []byte) error {
	if address != m.Address() {
		return fmt.Errorf("send answer to %q: %w", address, ErrNotFound)
	}
	m.receiveAnswer(id, body)
	return nil
}

// Close implements Store.
func (m *Memory) Close(ctx context.Context) error {
	_, err := m.shut(ctx)
	return err
}

// PutSource implements Store.
func (c *core) PutSource(ctx context.Context, name string, b []byte) error {
	if err := checkKey(name); err != nil {
		return fmt.Errorf("put source: %w", err)
	}
	if len(b)+maxKey > c.maxEvent {
		return fmt.Errorf("put source of %d bytes: %w", len(b), ErrTooLarge)
	}
	if _, err := c.table.source.get(ctx, name); err == nil {
		return nil
	}
	_, err := c.table.source.put(ctx, name, append([]byte{formatVersion}, b...), "", 0, 0)
	if err != nil && !errors.Is(err, errConflict) {
		return fmt.Errorf("put source %s: %w", name, err)
	}
	return nil
}

// KeepSource implements Store.
func (c *core) KeepSource(ctx context.Context, name string) error {
	if err := checkKey(name); err != nil {
		return fmt.Errorf("keep source: %w", err)
	}
	r, err := c.table.source.get(ctx, name)
	if err == nil {
		_, err = c.table.source.put(ctx, name, r.data, "", r.rev, 0)
	}
	if err != nil && !errors.Is(err, errConflict) && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("keep source %s: %w", name, err)
	}
	return nil
}

// Source implements Store.
func (c *core) Source(ctx context.Context, name string) ([]byte, error) {
	if err := checkKey(name); err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	r, err := c.table.source.get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read source %s: %w", name, err)
	}
	m, err := openMessage(r.data)
	if err != nil {
		return nil, fmt.Errorf("read source %s: %w", name, err)
	}
	return m.b, nil
}
