package star_test

import (
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest/hostile"
)

// runHostile returns how a script of the corpus ended.
func runHostile(t *testing.T, lang runtime.Language, h hostile.Script) (limit, msg string) {
	b := runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte(h.Source)}, nil)
	m, _, err := lang.Load(t.Context(), b, runtime.Limits{})
	if err != nil {
		es, ok := err.(runtime.Errors)
		if !ok {
			return "", err.Error()
		}
		return es[0].Limit, es[0].Msg
	}
	if h.Load {
		return "", ""
	}
	r := m.Run(t.Context(), &runtime.Call{When: -1, Input: []byte(hostile.Input)})
	if r.Err != nil {
		return r.Err.Limit, r.Err.Msg
	}
	return "", ""
}

// Bounds of the test: far above what is seen, so that a busy machine passes.
const (
	hostileTime = 5 * time.Second
	hostileHeap = 400 << 20
)

// TestHostileScriptsEnd runs alone, because it looks at the heap.
func TestHostileScriptsEnd(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("takes some seconds, and far more with the race detector: make test runs it without")
	}
	scripts := hostile.Star()
	lang := newLanguage(t)
	peak, stop := watchHeap()
	defer stop()
	var slowest time.Duration
	var most uint64
	late := 0
	for _, h := range scripts {
		peak.Store(0)
		start := time.Now()
		limit, msg := runHostile(t, lang, h)
		took, heap := time.Since(start), peak.Load()
		if !h.EndsLike(limit, msg) {
			t.Errorf("%s: ended with %s %.200q, want %q", h.Name, limit, msg, h.Ends)
		}
		if took > hostileTime || heap > hostileHeap {
			t.Errorf("%s: took %v and %d MB", h.Name, took, heap>>20)
		}
		if testing.Verbose() && (took > 150*time.Millisecond || heap > 100<<20) {
			t.Logf("%s: %v, %d MB", h.Name, took, heap>>20)
		}
		if limit == runtime.LimitDeadline {
			late++
		}
		slowest, most = max(slowest, took), max(most, heap)
	}
	t.Logf("%d scripts; the slowest took %v, the largest heap was %d MB; %d were stopped by the deadline", len(scripts), slowest, most>>20, late)
}

// watchHeap keeps the largest heap that is seen.
func watchHeap() (peak *atomic.Uint64, stop func()) {
	peak = &atomic.Uint64{}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				metrics.Read(sample)
				if n := sample[0].Value.Uint64(); n > peak.Load() {
					peak.Store(n)
				}
			}
		}
	}()
	return peak, func() { close(done); <-ended }
}
