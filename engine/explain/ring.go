package explain

import (
	"slices"
	"sync"

	"github.com/starling-rules/starling/engine/event"
)

// Ring keeps the latest events, so that one can ask what the rules make of
// them now: nothing is worked out when an event comes. Safe for concurrent use.
type Ring struct {
	mu     sync.Mutex
	events []*event.Event // oldest at next, once it is full
	next   int
	bytes  int
	limit  int
}

// NewRing returns a ring of at most n events whose payloads have at most
// maxBytes together.
func NewRing(n, maxBytes int) *Ring {
	return &Ring{events: make([]*event.Event, max(n, 1)), limit: maxBytes}
}

// Add keeps an event, which must not change any more.
func (r *Ring) Add(e *event.Event) {
	if len(e.Raw) > r.limit {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.events[r.next]; old != nil {
		r.bytes -= len(old.Raw)
	}
	r.events[r.next] = e
	r.bytes += len(e.Raw)
	r.next = (r.next + 1) % len(r.events)
	for i := r.next; r.bytes > r.limit; i = (i + 1) % len(r.events) { // the oldest first
		if old := r.events[i]; old != nil {
			r.bytes -= len(old.Raw)
			r.events[i] = nil
		}
	}
}

// Latest lists events, newest first, at most n.
func (r *Ring) Latest(n int) []*event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*event.Event
	for i := range r.events {
		if len(out) >= n {
			break
		}
		if e := r.events[(r.next-1-i+2*len(r.events))%len(r.events)]; e != nil {
			out = append(out, e)
		}
	}
	return out
}

// Get returns the event of that id, or nil.
func (r *Ring) Get(id string) *event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.IndexFunc(r.events, func(e *event.Event) bool { return e != nil && e.ID == id }); i >= 0 {
		return r.events[i]
	}
	return nil
}
