package ingress

import (
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Hits counts the requests for one webhook. Its zero value is ready; its
// methods are safe for concurrent use, and for nil.
type Hits struct {
	n    atomic.Uint64
	last atomic.Uint64 // seconds since 1970 times 1000, plus the status
}

// Seen is what a Hits has counted.
type Seen struct {
	// Hits are the requests that found the route with its method, also those
	// that were refused.
	Hits uint64
	// Status is how the latest was answered, At when, to the second; zero
	// before the first.
	Status int
	At     time.Time
}

// Seen tells what was counted so far.
func (h *Hits) Seen() Seen {
	if h == nil {
		return Seen{}
	}
	s := Seen{Hits: h.n.Load()}
	if last := h.last.Load(); last != 0 {
		s.Status, s.At = int(last%1000), time.Unix(int64(last/1000), 0)
	}
	return s
}

// count notes how a request was answered.
func (h *Hits) count(ctx *fasthttp.RequestCtx, now func() time.Time) {
	if h == nil {
		return
	}
	h.n.Add(1)
	h.last.Store(uint64(now().Unix())*1000 + uint64(ctx.Response.StatusCode()%1000))
}
