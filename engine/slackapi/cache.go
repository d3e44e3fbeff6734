package slackapi

import (
	"context"
	"errors"
	"sync"
	"time"
)

// negativeTTL is how long a failed look-up is remembered: long enough to
// spare Slack a loop of a rule, short enough that a new channel appears soon.
const negativeTTL = 30 * time.Second

// loadTimeout bounds a look-up that callers wait for together, its waits for
// rate limits included.
const loadTimeout = 2 * time.Minute

// cache keeps look-ups for a time. Callers that ask for the same key at once
// share one load. Safe for concurrent use.
type cache[V any] struct {
	now func() time.Time
	ttl time.Duration
	max int

	mu sync.Mutex
	m  map[string]*entry[V]
}

type entry[V any] struct {
	done    chan struct{} // closed when loaded
	v       V
	err     error
	at      time.Time
	expires time.Time
}

func newCache[V any](now func() time.Time, ttl time.Duration, size int) *cache[V] {
	return &cache[V]{now: now, ttl: ttl, max: size, m: map[string]*entry[V]{}}
}

// get returns the value of key, loading it if it is absent, expired, or older
// than since. The load outlives a caller that gives up.
func (c *cache[V]) get(ctx context.Context, key string, since time.Time, load func(context.Context) (V, error)) (V, error) {
	c.mu.Lock()
	e := c.m[key]
	if e == nil || e.stale(c.now(), since) {
		e = &entry[V]{done: make(chan struct{})}
		c.room()
		c.m[key] = e
		go c.fill(context.WithoutCancel(ctx), key, e, load)
	}
	c.mu.Unlock()
	select {
	case <-e.done:
		return e.v, e.err
	case <-ctx.Done():
		var zero V
		return zero, context.Cause(ctx)
	}
}

func (e *entry[V]) stale(now, since time.Time) bool {
	select {
	case <-e.done:
		return !now.Before(e.expires) || e.at.Before(since)
	default:
		return false
	}
}

func (c *cache[V]) fill(ctx context.Context, key string, e *entry[V], load func(context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	v, err := load(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	e.v, e.err, e.at = v, err, c.now()
	var refused *Error
	switch {
	case err == nil:
		e.expires = e.at.Add(c.ttl)
	case errors.As(err, &refused) && !refused.Passing:
		e.expires = e.at.Add(negativeTTL)
	default:
		// What failed on the way says nothing about the next time.
		if c.m[key] == e {
			delete(c.m, key)
		}
	}
	close(e.done)
}

// put stores a value that came along with something else.
func (c *cache[V]) put(key string, v V) {
	done := make(chan struct{})
	close(done)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room()
	c.m[key] = &entry[V]{done: done, v: v, at: c.now(), expires: c.now().Add(c.ttl)}
}

// room makes room for one more entry: expired ones go first, then any. c.mu is held.
func (c *cache[V]) room() {
	if len(c.m) < c.max {
		return
	}
	now := c.now()
	for k, e := range c.m {
		if e.stale(now, time.Time{}) {
			delete(c.m, k)
		}
	}
	for k := range c.m {
		if len(c.m) < c.max {
			return
		}
		delete(c.m, k)
	}
}

// forgetIf drops the keys that match.
func (c *cache[V]) forgetIf(match func(key string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.m {
		if match(k) {
			delete(c.m, k)
		}
	}
}
