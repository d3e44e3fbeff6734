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
// rate limits included: a hundred pages at the rate of tier 2 take five minutes.
const loadTimeout = 10 * time.Minute

// key names one look-up: what was looked up, and with whose eyes.
type key struct{ team, who, id string }

func keyOf(o CallOptions, id string) key { return key{o.Team, o.who(), id} }

// cache keeps look-ups for a time. Callers that ask for the same key at once
// share one load. Behind it may stand a shelf, which outlives the process.
// Safe for concurrent use.
type cache[V any] struct {
	kind string
	now  func() time.Time
	ttl  time.Duration
	max  int

	// shelf may be nil; then so are encode and decode.
	shelf  Shelf
	encode func(V) []byte
	decode func([]byte) (V, error)

	mu    sync.Mutex
	m     map[key]*entry[V]
	count counts
	// gone says of what was dropped since when a shelf may be believed again:
	// dropping it there takes a moment.
	gone map[key]time.Time
}

// counts are what a cache has done.
type counts struct{ hits, loads, shelved uint64 }

type entry[V any] struct {
	done    chan struct{} // closed when loaded
	v       V
	err     error
	at      time.Time
	expires time.Time
}

func newCache[V any](kind string, now func() time.Time, ttl time.Duration, size int) *cache[V] {
	return &cache[V]{kind: kind, now: now, ttl: ttl, max: size, m: map[key]*entry[V]{}, gone: map[key]time.Time{}}
}

// on puts a shelf behind the cache. Not safe once the cache is used.
func (c *cache[V]) on(s Shelf, encode func(V) []byte, decode func([]byte) (V, error)) *cache[V] {
	if s != nil {
		c.shelf, c.encode, c.decode = s, encode, decode
	}
	return c
}

// get returns the value of k, loading it if it is absent, expired, or older
// than since. The load outlives a caller that gives up.
func (c *cache[V]) get(ctx context.Context, k key, since time.Time, load func(context.Context) (V, error)) (V, error) {
	c.mu.Lock()
	e := c.m[k]
	if e == nil || e.stale(c.now(), since) {
		e = &entry[V]{done: make(chan struct{})}
		c.room()
		c.m[k] = e
		go c.fill(context.WithoutCancel(ctx), k, e, since, load)
	} else {
		c.count.hits++
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

func (c *cache[V]) fill(ctx context.Context, k key, e *entry[V], since time.Time, load func(context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	if v, at, ok := c.shelved(ctx, k, since); ok {
		c.mu.Lock()
		c.count.shelved++
		e.v, e.at, e.expires = v, at, at.Add(c.ttl)
		close(e.done)
		c.mu.Unlock()
		return
	}
	started := c.now()
	v, err := load(ctx)
	c.mu.Lock()
	c.count.loads++
	e.v, e.err, e.at = v, err, c.now()
	var refused *Error
	switch {
	case err == nil:
		e.expires = e.at.Add(c.ttl)
	case errors.As(err, &refused) && !refused.Passing:
		e.expires = e.at.Add(negativeTTL)
	default:
		// What failed on the way says nothing about the next time.
		if c.m[k] == e {
			delete(c.m, k)
		}
	}
	wanted := err == nil && c.m[k] == e && c.shelf != nil
	close(e.done)
	c.mu.Unlock()
	if wanted {
		c.shelf.Put(ctx, c.shelfKey(k), c.encode(v), started, c.ttl)
	}
}

func (c *cache[V]) shelfKey(k key) ShelfKey { return ShelfKey{c.kind, k.team, k.id, k.who} }

// shelved takes a value off the shelf, if one is there that can be believed.
func (c *cache[V]) shelved(ctx context.Context, k key, since time.Time) (v V, at time.Time, ok bool) {
	if c.shelf == nil {
		return v, at, false
	}
	b, at, ok := c.shelf.Get(ctx, c.shelfKey(k))
	if !ok || at.Before(since) || !c.now().Before(at.Add(c.ttl)) {
		return v, at, false
	}
	c.mu.Lock()
	for _, g := range [...]key{{team: k.team, id: k.id}, {id: k.id}} {
		if dropped, is := c.gone[g]; is && !at.After(dropped) {
			ok = false
		}
	}
	c.mu.Unlock()
	if !ok {
		return v, at, false
	}
	v, err := c.decode(b)
	return v, at, err == nil
}

// put stores a value that came along with something else.
func (c *cache[V]) put(k key, v V) {
	done := make(chan struct{})
	close(done)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room()
	c.m[k] = &entry[V]{done: done, v: v, at: c.now(), expires: c.now().Add(c.ttl)}
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

// forget drops what every bot of a team (of any team, if it is empty) has
// looked up under an id.
func (c *cache[V]) forget(team, id string) {
	if id == "" {
		return
	}
	c.forgetHere(team, id)
	c.outdate(team, id)
}

// forgetHere is forget for this process alone.
func (c *cache[V]) forgetHere(team, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.m {
		if k.id == id && (team == "" || k.team == team) {
			delete(c.m, k)
		}
	}
}

// outdate is forget for the shelf alone.
func (c *cache[V]) outdate(team, id string) {
	if c.shelf == nil {
		return
	}
	c.mu.Lock()
	now := c.now()
	for k, at := range c.gone {
		if now.Sub(at) > c.ttl {
			delete(c.gone, k)
		}
	}
	c.gone[key{team: team, id: id}] = now
	c.mu.Unlock()
	c.shelf.Drop(c.kind, team, id)
}

// forgetTeam drops everything of a team, of all teams if it is empty, from
// this process; it returns how many entries that were.
func (c *cache[V]) forgetTeam(team string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.m {
		if team == "" || k.team == team {
			delete(c.m, k)
			n++
		}
	}
	return n
}

// each calls f with the values of a team that are there.
func (c *cache[V]) each(team string, f func(V)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.m {
		if team != "" && k.team != team {
			continue
		}
		select {
		case <-e.done:
			if e.err == nil {
				f(e.v)
			}
		default:
		}
	}
}

// stats counts the entries that are good now.
func (c *cache[V]) stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := CacheStats{Kind: c.kind, Hits: c.count.hits, Loads: c.count.loads, FromStore: c.count.shelved}
	now := c.now()
	for _, e := range c.m {
		if !e.stale(now, time.Time{}) {
			s.Entries++
		}
	}
	return s
}
