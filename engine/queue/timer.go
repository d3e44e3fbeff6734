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

// Timer is a record that falls due at a time. Timers survive restarts; each is
// handed over at least once at or after its time, never before.
type Timer struct {
	// ID names the timer; setting a timer of the same Key and ID replaces it.
	ID string
	// Key selects the shard as Record.Key does: the process that has the events
	// of a key has its timers too.
	Key string
	At  time.Time
	// Body is opaque; List leaves it out.
	Body []byte
	// Rev is the revision of a timer that was read, see Timers.Replace.
	Rev uint64
}

// Timers are the durable timers of a store. All methods are safe for concurrent
// use, and work in every process: a timer that one sets, another may be handed.
type Timers interface {
	// Set stores a timer, in the place of one of the same key and id.
	Set(ctx context.Context, t Timer) error
	// Replace is Set, if the timer is still as it was when t.Rev was read
	// (0: there is none), else ErrChanged.
	Replace(ctx context.Context, t Timer) error
	// Cancel removes a timer; there need be none. One that is being handed over
	// at this moment still is.
	Cancel(ctx context.Context, key, id string) error
	// Get returns a waiting timer, or ErrNotFound.
	Get(ctx context.Context, key, id string) (Timer, error)
	// List returns waiting timers whose id begins with prefix, soonest first,
	// at most limit (0: all), without Key and Body.
	List(ctx context.Context, prefix string, limit int) ([]Timer, error)
	// All returns all waiting timers whole, in no order.
	All(ctx context.Context) ([]Timer, error)
}

// ErrChanged says that a timer, or a parked run, is not any more what it was
// when it was read.
var ErrChanged = errors.New("changed meanwhile")

// maxTimer is how far in the future a timer can be: nanoseconds end in 2262.
var maxTimer = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)

// Later is what the function given to Store.OnTimer returns to be handed the
// timer again after a while, which is no failure.
func Later(after time.Duration) error { return &later{after} }

type later struct{ after time.Duration }

// Error implements error.
func (l *later) Error() string { return "again in " + l.after.String() }

// timers implements Timers on a table: a row per timer, whose key is the shard
// and the id, and whose mark is the time. What waits is indexed in memory by
// whoever owns the shard (alarm.go), so that the store itself is asked about a
// timer only when it is set, cancelled or due.
//
// The message schedules of the server (NATS 2.12) would do most of this. They
// are not used because they fire up to a second early, by the clock of the
// server, take 1.5 KB of memory each, and would leave Memory, tests on a clock
// of their own and older servers to another implementation.
type timers struct {
	core  *core
	table table
}

// Timers implements Store.
func (c *core) Timers() Timers { return &timers{c, c.table.timer} }

// OnTimer implements Store.
func (c *core) OnTimer(fire func(context.Context, Timer) error) { c.fire.Store(&fire) }

func (t *timers) Set(ctx context.Context, v Timer) error {
	return t.put(ctx, "set timer", v, anyRev)
}

func (t *timers) Replace(ctx context.Context, v Timer) error {
	err := t.put(ctx, "replace timer", v, v.Rev)
	if errors.Is(err, errConflict) {
		return fmt.Errorf("replace timer %s: %w", v.ID, ErrChanged)
	}
	return err
}

func (t *timers) put(ctx context.Context, verb string, v Timer, rev uint64) error {
	key, err := t.key(v.Key, v.ID)
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if len(v.Body)+2*maxKey > t.core.maxEvent {
		return fmt.Errorf("%s %s of %d bytes: %w", verb, v.ID, len(v.Body), ErrTooLarge)
	}
	if v.At.After(maxTimer) {
		return fmt.Errorf("%s %s: no time after the year 2261 (got %s)", verb, v.ID, v.At)
	}
	at := v.At.UnixNano()
	rev, err = t.table.put(ctx, key, encodeTimer(v), strconv.FormatInt(at, 10), rev, 0)
	if err != nil {
		return fmt.Errorf("%s %s: %w", verb, v.ID, err)
	}
	if !t.core.shared { // else the owner of the shard follows the table
		t.core.shards[t.core.home(v.Key)].alarms.set(key, at, rev)
	}
	return nil
}

func (t *timers) Cancel(ctx context.Context, key, id string) error {
	k, err := t.key(key, id)
	if err == nil {
		err = t.table.drop(ctx, k)
	}
	if err != nil {
		return fmt.Errorf("cancel timer: %w", err)
	}
	t.core.shards[t.core.home(key)].alarms.drop(k)
	return nil
}

func (t *timers) Get(ctx context.Context, key, id string) (Timer, error) {
	k, err := t.key(key, id)
	if err != nil {
		return Timer{}, fmt.Errorf("read timer: %w", err)
	}
	v, err := t.read(ctx, k)
	if err != nil {
		return Timer{}, fmt.Errorf("read timer %s: %w", id, err)
	}
	return v, nil
}

// read returns the timer of a row.
func (t *timers) read(ctx context.Context, rowKey string) (Timer, error) {
	r, err := t.table.get(ctx, rowKey)
	if err != nil {
		return Timer{}, err
	}
	v, err := decodeTimer(r.data)
	_, v.ID, _ = strings.Cut(rowKey, "/")
	v.Rev = r.rev
	return v, err
}

func (t *timers) List(ctx context.Context, prefix string, limit int) ([]Timer, error) {
	var out []Timer
	err := t.table.list(ctx, "", func(r row) {
		_, id, _ := strings.Cut(r.key, "/")
		if at, err := strconv.ParseInt(r.mark, 10, 64); err == nil && strings.HasPrefix(id, prefix) {
			out = append(out, Timer{ID: id, At: time.Unix(0, at), Rev: r.rev})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list timers: %w", err)
	}
	slices.SortFunc(out, func(a, b Timer) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}

func (t *timers) All(ctx context.Context) ([]Timer, error) {
	var keys []string
	if err := t.table.list(ctx, "", func(r row) { keys = append(keys, r.key) }); err != nil {
		return nil, fmt.Errorf("list timers: %w", err)
	}
	out := make([]Timer, 0, len(keys))
	for _, k := range keys {
		v, err := t.read(ctx, k)
		if errors.Is(err, ErrNotFound) {
			continue // it was due just now
		}
		if err != nil {
			return nil, fmt.Errorf("read timer %s: %w", k, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// key is the row of a timer: its shard, so that an owner finds its own, and its id.
func (t *timers) key(key, id string) (string, error) {
	if err := checkKey(id); err != nil {
		return "", fmt.Errorf("id: %w", err)
	}
	if len(key) > maxKey {
		return "", fmt.Errorf("key of %d bytes: %w", len(key), ErrTooLarge)
	}
	return shardRow(t.core.home(key)) + id, nil
}

// shardRow begins the rows of a shard.
func shardRow(k int) string { return strconv.Itoa(k) + "/" }

func encodeTimer(t Timer) []byte {
	b := make([]byte, 0, 24+len(t.Key)+len(t.Body))
	b = append(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(t.At.UnixNano()))
	b = appendString(b, t.Key)
	return appendBytes(b, t.Body)
}

func decodeTimer(b []byte) (Timer, error) {
	r, err := openMessage(b)
	if err != nil {
		return Timer{}, err
	}
	t := Timer{At: time.Unix(0, int64(r.fixed64())), Key: string(r.bytes()), Body: r.bytes()}
	if r.err != nil {
		return Timer{}, fmt.Errorf("decode timer: %w", r.err)
	}
	return t, nil
}
