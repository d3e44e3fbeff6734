package door

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// quota bounds what each script keeps: keys, and bytes of keys and values. What
// has expired does not count. The keys of a script are listed once and then
// followed, one write of a script at a time, so that the count is exact.
//
// Other processes of a cluster are not followed: their writes are seen when the
// keys are listed again, which is every few seconds, and near the bound before
// each write. What they write at the same moment is seen a moment later.
type quota struct {
	maxKeys  int
	maxBytes int64
	shared   bool
	now      func() time.Time
	state    queue.State
	metrics  *metric.Set
	others   *Elsewhere

	mu      sync.Mutex
	scripts map[string]*usage
}

// Elsewhere tells the door that what scripts keep was changed past it, by an
// operator: it is counted again. Safe for concurrent use.
type Elsewhere struct{ n atomic.Int64 }

// Changed is called after the change.
func (e *Elsewhere) Changed() { e.n.Add(1) }

func (e *Elsewhere) changes() int64 {
	if e == nil {
		return 0
	}
	return e.n.Load()
}

// usage is what one script keeps.
type usage struct {
	turn  chan struct{} // holds one token: whose turn it is to write
	known bool
	at    time.Time // when the keys were listed
	seen  int64     // changes elsewhere until then
	keys  map[string]keep
	bytes int64
	// next is no later than the first moment at which a key expires.
	next time.Time
}

type keep struct {
	bytes   int64
	expires time.Time
}

// recount is how old a listing may be where other processes write, too.
const recount = 5 * time.Second

func newQuota(d Deps) *quota {
	return &quota{
		maxKeys: d.MaxKeys, maxBytes: d.MaxBytes, shared: d.SharedStore, now: d.Now, state: d.State, metrics: d.Metrics, others: d.Elsewhere,
		scripts: map[string]*usage{},
	}
}

func (q *quota) of(script string) *usage {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.scripts[script]
	if u == nil {
		u = &usage{turn: make(chan struct{}, 1)}
		q.scripts[script] = u
	}
	return u
}

// store applies a change to a key, once per run and step, unless the script
// would keep too much.
func (l *live) store(ctx context.Context, r *Run, e runtime.Effect, key string, change func(old []byte, ok bool) (queue.Change, error)) ([]byte, error) {
	q, script := l.quota, r.Script
	if flag(e.Args, "shared", false) {
		script = ""
	}
	u := q.of(script)
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := q.count(ctx, u, script); err != nil {
		return nil, err
	}
	last := queue.Change{Keep: true}
	b, err := l.State.Update(ctx, key, r.Key(e), r.Resumed, func(old []byte, ok bool) (queue.Change, error) {
		last = queue.Change{Keep: true}
		c, err := change(old, ok)
		if err == nil {
			err = q.admit(u, script, key, c)
		}
		if err == nil {
			last = c
		}
		return c, err
	})
	if err != nil {
		u.known = u.known && last.Keep // whether it was stored is not known
		return nil, err
	}
	q.follow(u, script, key, last)
	return b, nil
}

// count lists what the script keeps, unless that is known, and forgets what
// has expired.
func (q *quota) count(ctx context.Context, u *usage, script string) error {
	now := q.now()
	near := len(u.keys) > q.maxKeys*9/10 || u.bytes > q.maxBytes*9/10
	changes := q.others.changes()
	if u.known && u.seen == changes && !(q.shared && (near || now.Sub(u.at) > recount)) {
		if !u.next.IsZero() && !now.Before(u.next) {
			u.expire(now)
		}
		return nil
	}
	u.seen = changes
	u.known, u.at, u.keys, u.bytes, u.next = false, now, map[string]keep{}, 0, time.Time{}
	for _, space := range KVSpaces(script) {
		keys, err := q.state.Keys(ctx, space)
		if err != nil {
			return fmt.Errorf("count what the script keeps: %w", err)
		}
		for _, k := range keys {
			u.put(k.Key, keep{int64(len(k.Key) - len(space) + k.Bytes), k.Expires})
		}
	}
	u.known = true
	return nil
}

func (u *usage) put(key string, k keep) {
	u.bytes += k.bytes - u.keys[key].bytes
	u.keys[key] = k
	if !k.expires.IsZero() && (u.next.IsZero() || k.expires.Before(u.next)) {
		u.next = k.expires
	}
}

func (u *usage) drop(key string) {
	u.bytes -= u.keys[key].bytes
	delete(u.keys, key)
}

func (u *usage) expire(now time.Time) {
	u.next = time.Time{}
	for key, k := range u.keys {
		switch {
		case k.expires.IsZero():
		case !now.Before(k.expires):
			u.drop(key)
		case u.next.IsZero() || k.expires.Before(u.next):
			u.next = k.expires
		}
	}
}

// size is what a key and its value count for.
func (q *quota) size(script, key string, value []byte) int64 {
	for _, space := range KVSpaces(script) {
		if len(key) >= len(space) && key[:len(space)] == space {
			return int64(len(key) - len(space) + len(value))
		}
	}
	return int64(len(key) + len(value))
}

// admit refuses a change with which the script would keep too much. What makes
// less of it is always let through, also when the bounds have become tighter.
func (q *quota) admit(u *usage, script, key string, c queue.Change) error {
	if c.Keep || c.Delete {
		return nil
	}
	old, there := u.keys[key]
	keys, bytes := len(u.keys), u.bytes+q.size(script, key, c.Value)-old.bytes
	if !there {
		keys++
	}
	whose := "the script keeps"
	if script == "" {
		whose = "all scripts together share"
	}
	switch {
	case keys > q.maxKeys && !there:
		q.refused(script, "kv_keys")
		return fmt.Errorf("%s %d keys, and limits.kv_keys is %d: delete some, or give them a ttl", whose, len(u.keys), q.maxKeys)
	case bytes > q.maxBytes && bytes > u.bytes:
		q.refused(script, "kv_bytes")
		return fmt.Errorf("%s %d bytes, with this it would be %d, and limits.kv_bytes is %d: delete keys, or give them a ttl", whose, u.bytes, bytes, q.maxBytes)
	}
	return nil
}

func (q *quota) refused(script, limit string) {
	if q.metrics != nil {
		q.metrics.KVRefused.WithLabelValues(labelOf(script), limit).Inc()
	}
}

func labelOf(script string) string {
	if script == "" {
		return "shared"
	}
	return script
}

// follow takes note of a change that was made.
func (q *quota) follow(u *usage, script, key string, c queue.Change) {
	switch {
	case c.Keep:
	case c.Delete:
		u.drop(key)
	default:
		k := keep{bytes: q.size(script, key, c.Value)}
		if c.TTL > 0 {
			k.expires = q.now().Add(c.TTL)
		}
		u.put(key, k)
	}
	if q.metrics != nil {
		q.metrics.KVKeys.WithLabelValues(labelOf(script)).Set(float64(len(u.keys)))
		q.metrics.KVBytes.WithLabelValues(labelOf(script)).Set(float64(u.bytes))
	}
}
