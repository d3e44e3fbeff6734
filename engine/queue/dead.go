package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// letter is a dead event as its table holds it.
type letter struct {
	id      string
	home    int
	stored  int64
	at      int64
	attempt int
	reason  string
	body    []byte
	entries []Entry
}

// Dead implements Delivery. The letter is written first: a crash before the
// event's end is written delivers it once more, and it dies again.
func (d *delivery) Dead(ctx context.Context, reason string) error {
	sh, e := d.shard, d.event
	c := sh.core
	if err := c.flushShard(ctx, sh); err != nil {
		return fmt.Errorf("bury event %s: %w", d.id, err)
	}
	c.mu.Lock()
	err := sh.may(e, d.gen)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	body, entries, err := c.read(ctx, e, d.body == nil)
	switch {
	case d.body != nil:
		body = d.body
	case err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, errCorrupt):
		return fmt.Errorf("bury event %s: %w", d.id, err)
	}
	l := letter{
		id: d.id, home: sh.k, stored: e.stored, at: c.now().UnixNano(), attempt: d.attempt,
		reason: reason, body: body, entries: entries,
	}
	if _, err := c.table.dead.get(ctx, d.id); errors.Is(err, ErrNotFound) {
		c.dead.Add(1)
	}
	if _, err := c.table.dead.put(ctx, d.id, l.encode(c.maxEvent), "", anyRev, 0); err != nil {
		c.dead.Add(-1)
		return fmt.Errorf("bury event %s: %w", d.id, err)
	}
	d.Settle()
	return nil
}

func (c *core) flushShard(ctx context.Context, sh *shard) error {
	c.mu.Lock()
	p := sh.lastPage()
	sh.kick()
	c.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.wait(ctx)
}

// encode fits the letter into room bytes; the newest entries are left out first.
func (l *letter) encode(room int) []byte {
	b := []byte{formatVersion}
	b = appendString(b, l.id)
	b = binary.AppendUvarint(b, uint64(l.home))
	b = binary.BigEndian.AppendUint64(b, uint64(l.stored))
	b = binary.BigEndian.AppendUint64(b, uint64(l.at))
	b = binary.AppendUvarint(b, uint64(l.attempt))
	b = appendString(b, l.reason[:min(len(l.reason), 4096)])
	b = appendBytes(b, l.body)
	for _, en := range l.entries {
		if len(b)+itemSize(len(en.Body)) > room {
			break
		}
		b = append(b, en.Type)
		b = appendBytes(b, en.Body)
	}
	return b
}

func decodeLetter(b []byte) (letter, error) {
	r, err := openMessage(b)
	if err != nil {
		return letter{}, err
	}
	l := letter{
		id: string(r.bytes()), home: r.count(), stored: int64(r.fixed64()), at: int64(r.fixed64()),
		attempt: r.count(), reason: string(r.bytes()), body: r.bytes(),
	}
	for len(r.b) > 0 && r.err == nil {
		l.entries = append(l.entries, Entry{Type: r.byte(), Body: r.bytes()})
	}
	if r.err != nil {
		return letter{}, fmt.Errorf("decode dead letter: %w", r.err)
	}
	return l, nil
}

func (l *letter) info() EventInfo {
	return EventInfo{
		ID: l.id, Stored: time.Unix(0, l.stored), Settled: time.Unix(0, l.at), Attempt: l.attempt,
		Body: l.body, Entries: l.entries, Reason: l.reason,
	}
}

func (c *core) letter(ctx context.Context, id string) (letter, error) {
	if id == "" {
		return letter{}, fmt.Errorf("read dead letter: %w", ErrNotFound)
	}
	r, err := c.table.dead.get(ctx, id)
	if err != nil {
		return letter{}, fmt.Errorf("read dead letter %s: %w", id, err)
	}
	return decodeLetter(r.data)
}

// DeadLetters implements Store.
func (c *core) DeadLetters(ctx context.Context, limit int) ([]EventInfo, error) {
	var rows []row
	if err := c.table.dead.list(ctx, "", func(r row) { rows = append(rows, r) }); err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	c.dead.Store(int64(len(rows)))
	slices.SortFunc(rows, func(a, b row) int { return int(min(max(int64(b.rev)-int64(a.rev), -1), 1)) })
	if limit > 0 && len(rows) > limit {
		rows = rows[:limit]
	}
	infos := make([]EventInfo, 0, len(rows))
	for _, r := range rows {
		l, err := c.letter(ctx, r.key)
		if errors.Is(err, ErrNotFound) {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, l.info())
	}
	return infos, nil
}

// RetryDead implements Store.
func (c *core) RetryDead(ctx context.Context, id string) error {
	l, err := c.letter(ctx, id)
	if err != nil {
		return err
	}
	err = c.put(ctx, retryID(id), l.home%len(c.shards), l.body, nil)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return fmt.Errorf("retry dead letter %s: %w", id, err)
	}
	return c.DropDead(ctx, id)
}

// retryID is id with its count of retries raised: "x", "x~1", "x~2".
func retryID(id string) string {
	if i := strings.LastIndexByte(id, '~'); i >= 0 {
		if n, err := strconv.Atoi(id[i+1:]); err == nil && n > 0 {
			return id[:i+1] + strconv.Itoa(n+1)
		}
	}
	return id + "~1"
}

// DropDead implements Store.
func (c *core) DropDead(ctx context.Context, id string) error {
	if _, err := c.letter(ctx, id); err != nil && !errors.Is(err, errCorrupt) {
		return err
	}
	if err := c.table.dead.drop(ctx, id); err != nil {
		return fmt.Errorf("drop dead letter %s: %w", id, err)
	}
	c.dead.Add(-1)
	return nil
}
