package hook

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Rate is at most N requests in any Per; the zero Rate is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// The bounds of a Rate.
const (
	MaxRate = 1_000_000
	MaxPer  = 24 * time.Hour
)

var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// ParseRate reads "60/m", "5/s", "1000/h" or "10/30s".
func ParseRate(text string) (Rate, error) {
	count, per, ok := strings.Cut(strings.TrimSpace(text), "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil {
		return Rate{}, fmt.Errorf("want a number and a time such as \"60/m\" (got %q)", text)
	}
	r := Rate{N: n, Per: units[strings.TrimSpace(per)]}
	if r.Per == 0 {
		if r.Per, err = runtime.ToDuration(strings.TrimSpace(per)); err != nil {
			return Rate{}, fmt.Errorf("want s, m, h, d or a duration after the slash (got %q)", text)
		}
	}
	switch {
	case n < 1 || n > MaxRate:
		return Rate{}, fmt.Errorf("want 1 to %d requests (got %d)", MaxRate, n)
	case r.Per < time.Second || r.Per > MaxPer:
		return Rate{}, fmt.Errorf("want a time from 1s to 24h (got %s)", r.Per)
	}
	return r, nil
}

// String is how a Rate is written.
func (r Rate) String() string {
	for _, u := range []string{"s", "m", "h", "d"} {
		if units[u] == r.Per {
			return strconv.Itoa(r.N) + "/" + u
		}
	}
	return strconv.Itoa(r.N) + "/" + r.Per.String()
}

// Limiter keeps to a Rate: N at once are let through, then one every Per/N.
// A nil Limiter lets everything through. Safe for concurrent use.
type Limiter struct {
	rate Rate
	mu   sync.Mutex
	// next is when the limiter will be as if it had never been used.
	next time.Time
}

// NewLimiter returns a limiter, or nil for the zero Rate.
func NewLimiter(r Rate) *Limiter {
	if r.N == 0 {
		return nil
	}
	return &Limiter{rate: r}
}

// Rate is what it keeps to.
func (l *Limiter) Rate() Rate {
	if l == nil {
		return Rate{}
	}
	return l.rate
}

// Take lets a request through, or says how long until the next one may come.
func (l *Limiter) Take(now time.Time) (ok bool, retry time.Duration) {
	if l == nil {
		return true, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	step := l.rate.Per / time.Duration(l.rate.N)
	next := l.next
	if next.Before(now) {
		next = now
	}
	next = next.Add(step)
	if wait := next.Sub(now) - l.rate.Per; wait > 0 {
		return false, wait
	}
	l.next = next
	return true, 0
}
