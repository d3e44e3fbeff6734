package queue

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of the memory for operations of one key. An operation may be repeated
// until the caller has noted its result. A process does that soon: what it did
// itself, it forgets after opsOwn. What other processes did may be in doubt for
// as long as it takes to take up what they left: opsOthers, from when this one
// met it first, or a tenth of it where they may all be alive. If there are more
// than opsKept meanwhile, a repeat of one that fell out, or that never was, is
// ErrForgotten for opsRemember.
const (
	opsKept      = 512
	opBytesKept  = 16 << 10
	opsOwn       = 30 * time.Second
	opsOthers    = time.Hour
	maxKey       = 1024
	opsRemember  = 25 * time.Hour // longer than any value that expires or is deleted
	updateTries  = 1000
	markDeleted  = "d"
	presentFlag  = 1
	timedFlag    = 4 // rows of before have no times
	operationSum = 16
)

// state implements State on a table. The row of a key holds its value and the
// newest operations with their results, so that one read answers both
// questions and the newest row of a key is all that has to be kept.
type state struct {
	table    table
	now      func() time.Time
	maxValue int
	// epoch is this process, as far as operations are concerned; shared tells
	// that others are at work as well.
	epoch  uint64
	shared bool
}

// cell is the row of one key.
type cell struct {
	present bool
	expires int64 // Unix nanoseconds, 0 never
	value   []byte
	epoch   uint64      // of the process that wrote it
	ops     []operation // oldest first
	forgot  int64       // when the newest operation that was dropped too early was applied
}

type operation struct {
	sum    [operationSum]byte
	at     int64 // when it was applied, or taken over from another process
	others bool  // done by another process
	result []byte
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("empty key")
	case len(key) > maxKey:
		return fmt.Errorf("key of %d bytes: %w", len(key), ErrTooLarge)
	case !utf8.ValidString(key):
		return errors.New("key is not UTF-8")
	}
	return nil
}

func (s *state) Get(ctx context.Context, key string) ([]byte, error) {
	b, _, err := s.Look(ctx, key)
	return b, err
}

// Look implements State.
func (s *state) Look(ctx context.Context, key string) (b []byte, expires time.Time, err error) {
	if err := checkKey(key); err != nil {
		return nil, expires, fmt.Errorf("get state: %w", err)
	}
	c, _, err := s.read(ctx, key)
	if err != nil {
		return nil, expires, fmt.Errorf("get state %q: %w", key, err)
	}
	if !c.present {
		return nil, expires, fmt.Errorf("get state %q: %w", key, ErrNotFound)
	}
	if c.expires != 0 {
		expires = time.Unix(0, c.expires)
	}
	return c.value, expires, nil
}

// read returns the cell of key, empty if there is none, with its revision.
func (s *state) read(ctx context.Context, key string) (cell, uint64, error) {
	r, err := s.table.get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return cell{}, 0, nil
	}
	if err != nil {
		return cell{}, 0, err
	}
	c, err := decodeCell(r.data)
	if err != nil {
		return cell{}, 0, err
	}
	if c.expires != 0 && s.now().UnixNano() >= c.expires {
		c.present, c.value, c.expires = false, nil, 0
	}
	return c, r.rev, nil
}

func (s *state) Update(ctx context.Context, key, op string, repeat bool, change func(old []byte, ok bool) (Change, error)) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("update state: %w", err)
	}
	for range updateTries {
		result, err := s.tryUpdate(ctx, key, op, repeat, change)
		if !errors.Is(err, errConflict) {
			return result, err
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("update state %q: %w", key, context.Cause(ctx))
		}
	}
	return nil, fmt.Errorf("update state %q: changed by others %d times in a row: %w", key, updateTries, ErrUnavailable)
}

func (s *state) tryUpdate(ctx context.Context, key, op string, repeat bool, change func(old []byte, ok bool) (Change, error)) ([]byte, error) {
	c, rev, err := s.read(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("update state %q: %w", key, err)
	}
	sum := sumOf(op)
	if repeat {
		for _, o := range c.ops {
			if o.sum == sum {
				return o.result, nil
			}
		}
		if c.forgot != 0 && s.now().Sub(time.Unix(0, c.forgot)) < opsRemember {
			return nil, fmt.Errorf("update state %q: %w", key, ErrForgotten)
		}
	}
	var old []byte
	if c.present {
		old = slices.Clone(c.value)
	}
	ch, err := change(old, c.present)
	if err != nil {
		return nil, err
	}
	if ch.Keep {
		return ch.Result, nil
	}
	if len(ch.Value)+len(ch.Result)+opBytesKept+maxKey > s.maxValue {
		return nil, fmt.Errorf("update state %q with %d bytes: %w", key, len(ch.Value), ErrTooLarge)
	}
	c.apply(ch, s.now())
	c.note(operation{sum: sum, at: s.now().UnixNano(), result: ch.Result}, s.epoch, s.shared)
	mark, ttl := c.keeping(ch)
	data := c.encode()
	if _, err := s.table.put(ctx, key, data, mark, rev, ttl); err != nil {
		if errors.Is(err, ErrUnavailable) && s.wrote(ctx, key, sum) {
			return ch.Result, nil
		}
		return nil, fmt.Errorf("update state %q: %w", key, err)
	}
	return ch.Result, nil
}

// wrote looks whether an unanswered write of the operation is there after all.
func (s *state) wrote(ctx context.Context, key string, sum [operationSum]byte) bool {
	c, _, err := s.read(ctx, key)
	return err == nil && slices.ContainsFunc(c.ops, func(o operation) bool { return o.sum == sum })
}

func sumOf(op string) (sum [operationSum]byte) {
	full := sha256.Sum256([]byte(op))
	copy(sum[:], full[:])
	return sum
}

func (c *cell) apply(ch Change, now time.Time) {
	c.present, c.value, c.expires = !ch.Delete, nil, 0
	if c.present {
		c.value = ch.Value
		if ch.TTL > 0 {
			c.expires = now.Add(ch.TTL).UnixNano()
		}
	}
}

// note remembers an operation of the process of that epoch, and forgets those
// that nobody will repeat.
func (c *cell) note(op operation, epoch uint64, shared bool) {
	others := opsOthers
	if shared {
		others /= 10
	}
	kept := c.ops[:0]
	for _, o := range c.ops {
		if c.epoch != epoch && !o.others {
			o.others = true
			if !shared {
				o.at = op.at // however long no process was there
			}
		}
		age := time.Duration(op.at - o.at)
		if age < opsOwn || o.others && age < others {
			kept = append(kept, o)
		}
	}
	c.ops, c.epoch = append(kept, op), epoch
	size := 0
	for i := len(c.ops) - 1; i >= 0; i-- {
		size += len(c.ops[i].result) + operationSum + 12
		// The newest one stays whatever its size.
		if i < len(c.ops)-1 && (size > opBytesKept || len(c.ops)-i > opsKept) {
			c.forgot = max(c.forgot, op.at)
			c.ops = c.ops[i+1:]
			return
		}
	}
}

// keeping says how long the row has to stay, and how list is to show it. A row
// outlives its value so that operations on it are remembered.
func (c *cell) keeping(ch Change) (mark string, ttl time.Duration) {
	if !c.present {
		return markDeleted, opsRemember
	}
	mark = strconv.FormatInt(c.expires, 10) + "," + strconv.Itoa(len(c.value))
	if c.expires != 0 {
		ttl = ch.TTL + opsRemember
	}
	return mark, ttl
}

// readMark is what the mark of a row says: whether it shows a value, until when
// (0: for ever), and of how many bytes; -1 in rows of before sizes were marked.
func readMark(mark string) (expires int64, size int, present bool) {
	if mark == markDeleted {
		return 0, 0, false
	}
	at, bytes, sized := strings.Cut(mark, ",")
	expires, _ = strconv.ParseInt(at, 10, 64)
	if size = -1; sized {
		size, _ = strconv.Atoi(bytes)
	}
	return expires, size, true
}

// List implements State.
func (s *state) List(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	now := s.now().UnixNano()
	var keys []string
	err := s.table.list(ctx, prefix, func(r row) {
		if !strings.HasPrefix(r.key, prefix) || r.key <= after {
			return
		}
		if expires, _, present := readMark(r.mark); present && (expires == 0 || now < expires) {
			keys = append(keys, r.key)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list state: %w", err)
	}
	slices.Sort(keys)
	if limit > 0 && len(keys) > limit {
		keys = keys[:limit]
	}
	return keys, nil
}

// Keys implements State.
func (s *state) Keys(ctx context.Context, prefix string) ([]KeyInfo, error) {
	now := s.now().UnixNano()
	var keys []KeyInfo
	err := s.table.list(ctx, prefix, func(r row) {
		expires, size, present := readMark(r.mark)
		if !present || !strings.HasPrefix(r.key, prefix) || expires != 0 && now >= expires {
			return
		}
		k := KeyInfo{Key: r.key, Bytes: size}
		if expires != 0 {
			k.Expires = time.Unix(0, expires)
		}
		keys = append(keys, k)
	})
	if err != nil {
		return nil, fmt.Errorf("list state: %w", err)
	}
	slices.SortFunc(keys, func(a, b KeyInfo) int { return strings.Compare(a.Key, b.Key) })
	for i := range keys {
		if keys[i].Bytes >= 0 {
			continue
		}
		c, _, err := s.read(ctx, keys[i].Key)
		if err != nil {
			return nil, fmt.Errorf("list state: %w", err)
		}
		keys[i].Bytes = len(c.value)
	}
	return keys, nil
}

func (c *cell) encode() []byte {
	b := make([]byte, 0, 64+len(c.value)+len(c.ops)*(operationSum+16))
	flags := byte(timedFlag)
	if c.present {
		flags |= presentFlag
	}
	b = append(b, formatVersion, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(c.expires))
	b = appendBytes(b, c.value)
	b = binary.BigEndian.AppendUint64(b, c.epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(c.forgot))
	for _, o := range c.ops {
		b = append(b, o.sum[:]...)
		at := uint64(o.at) << 1
		if o.others {
			at |= 1
		}
		b = binary.BigEndian.AppendUint64(b, at)
		b = appendBytes(b, o.result)
	}
	return b
}

func decodeCell(b []byte) (cell, error) {
	r, err := openMessage(b)
	if err != nil {
		return cell{}, err
	}
	flags := r.byte()
	c := cell{present: flags&presentFlag != 0}
	c.expires = int64(r.fixed64())
	c.value = r.bytes()
	timed := flags&timedFlag != 0
	if timed {
		c.epoch, c.forgot = r.fixed64(), int64(r.fixed64())
	}
	for len(r.b) > 0 && r.err == nil {
		var o operation
		if len(r.b) < operationSum {
			r.err = errCorrupt
			break
		}
		r.b = r.b[copy(o.sum[:], r.b):]
		if timed {
			at := r.fixed64()
			o.at, o.others = int64(at>>1), at&1 != 0
		}
		o.result = r.bytes()
		c.ops = append(c.ops, o)
	}
	if r.err != nil {
		return cell{}, fmt.Errorf("decode state: %w", r.err)
	}
	return c, nil
}
