package queue

import (
	"context"
	"sync"
	"time"
)

// memLog is a log in memory.
type memLog struct {
	now func() time.Time
	max int64

	mu    sync.Mutex
	msgs  []message
	first uint64 // sequence of msgs[0]
	bytes int64
}

func newMemLog(maxBytes int64, now func() time.Time) *memLog {
	return &memLog{now: now, max: maxBytes, first: 1}
}

func (l *memLog) append(_ context.Context, data []byte, fence bool, expect uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.first + uint64(len(l.msgs)) - 1
	if fence && expect != last {
		return 0, errConflict
	}
	if l.max > 0 && l.bytes+int64(len(data)) > l.max {
		return 0, ErrFull
	}
	l.msgs = append(l.msgs, message{seq: last + 1, at: l.now(), data: data})
	l.bytes += int64(len(data))
	return last + 1, nil
}

func (l *memLog) get(_ context.Context, seq uint64) (message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq < l.first || seq-l.first >= uint64(len(l.msgs)) {
		return message{}, ErrNotFound
	}
	return l.msgs[seq-l.first], nil
}

func (l *memLog) scan(_ context.Context, from, to uint64, f func(message) error) error {
	l.mu.Lock()
	var part []message
	if last := l.first + uint64(len(l.msgs)) - 1; from <= last && to >= l.first {
		part = l.msgs[max(from, l.first)-l.first : min(to, last)-l.first+1]
	}
	l.mu.Unlock()
	for _, m := range part {
		if err := f(m); err != nil {
			return err
		}
	}
	return nil
}

func (l *memLog) bounds(context.Context) (first, last uint64, bytes int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first, l.first + uint64(len(l.msgs)) - 1, l.bytes, nil
}

func (l *memLog) purge(_ context.Context, seq uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq <= l.first {
		return nil
	}
	n := min(seq-l.first, uint64(len(l.msgs)))
	for _, m := range l.msgs[:n] {
		l.bytes -= int64(len(m.data))
	}
	// A fresh slice lets go of the purged ones.
	l.msgs = append([]message(nil), l.msgs[n:]...)
	l.first += n
	return nil
}

// watch is for stores that other processes write to; a memLog has none.
func (l *memLog) watch(ctx context.Context, _ uint64, _ func(message)) error {
	<-ctx.Done()
	return ctx.Err()
}

// memTable is a table in memory. Rows with a time to live are dropped on the way.
type memTable struct {
	now func() time.Time

	mu   sync.Mutex
	rev  uint64
	rows map[string]memRow
}

type memRow struct {
	row
	until time.Time
}

func newMemTable(now func() time.Time) *memTable { return &memTable{now: now} }

func (t *memTable) get(_ context.Context, key string) (row, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.live(key)
	if !ok {
		return row{}, ErrNotFound
	}
	return r.row, nil
}

func (t *memTable) live(key string) (memRow, bool) {
	r, ok := t.rows[key]
	if ok && !r.until.IsZero() && !t.now().Before(r.until) {
		delete(t.rows, key)
		return memRow{}, false
	}
	return r, ok
}

func (t *memTable) put(_ context.Context, key string, data []byte, mark string, rev uint64, ttl time.Duration) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, _ := t.live(key)
	if rev != anyRev && r.rev != rev {
		return 0, errConflict
	}
	t.rev++
	if t.rev%1024 == 0 { // nobody may ever ask for what has expired
		for k := range t.rows {
			t.live(k)
		}
	}
	n := memRow{row: row{key: key, data: data, mark: mark, rev: t.rev, at: t.now()}}
	if ttl > 0 {
		n.until = n.at.Add(ttl)
	}
	if t.rows == nil {
		t.rows = make(map[string]memRow)
	}
	t.rows[key] = n
	return n.rev, nil
}

func (t *memTable) drop(_ context.Context, key string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.rows, key)
	return nil
}

func (t *memTable) dropAt(_ context.Context, key string, rev uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows[key].rev == rev {
		delete(t.rows, key)
	}
	return nil
}

// watch is for stores that other processes write to; a memTable has none.
func (t *memTable) watch(ctx context.Context, prefix string, f func(row), all func()) error {
	if err := t.list(ctx, prefix, f); err != nil {
		return err
	}
	all()
	<-ctx.Done()
	return ctx.Err()
}

func (t *memTable) list(_ context.Context, _ string, f func(row)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key := range t.rows {
		if r, ok := t.live(key); ok {
			f(r.row)
		}
	}
	return nil
}
