package lua_test

import (
	"context"
	"errors"
	goruntime "runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest/hostile"
)

// hostileInput is the event of the corpus.
const hostileInput = hostile.Input

// heapPeak watches the heap until stop is called, which returns its maximum.
func heapPeak() (stop func() uint64) {
	var peak atomic.Uint64
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for {
			metrics.Read(sample)
			peak.Store(max(peak.Load(), sample[0].Value.Uint64()))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-gone
		return peak.Load()
	}
}

// The bounds of the corpus are wide, because tests share their machine.
const (
	stopWithin = 2 * time.Second
	stopLate   = time.Second
	heapWithin = 256 << 20
)

func TestHostileScriptsEndWithinBounds(t *testing.T) { // not parallel: it measures the process
	before := goruntime.NumGoroutine()
	var slowest time.Duration
	var largest uint64
	for i, h := range hostile.Lua() {
		if h.Load {
			continue
		}
		t.Run(h.Name, func(t *testing.T) {
			if underRace && i%12 != 0 {
				t.Skip("the race detector is on: every twelfth script runs")
			}
			debug.FreeOSMemory()
			m, man := load(t, h.Source)
			call := callOf(man, hostile.Input)
			call.Limits.Deadline = stopWithin // steps must end it
			stop := heapPeak()
			start := time.Now()
			r := m.Run(context.Background(), call)
			took, heap := time.Since(start), stop()
			slowest, largest = max(slowest, took), max(largest, heap)
			if took > stopWithin+stopLate && !underRace {
				t.Errorf("took %v", took)
			}
			if heap > heapWithin {
				t.Errorf("heap grew to %d MB", heap>>20)
			}
			tooSlow := underRace && r.Err != nil && r.Err.Limit == runtime.LimitDeadline
			limit, msg := "", ""
			if r.Err != nil {
				limit, msg = r.Err.Limit, r.Err.Msg
			}
			if !tooSlow && !h.EndsLike(limit, msg) {
				t.Errorf("ended as %s with %v, want %q", r.Status, r.Err, h.Ends)
			}
			if r.Err != nil {
				if r.Err.Kind == runtime.InternalError {
					t.Errorf("an internal error: %v", r.Err)
				}
				if r.Err.Pos.Line == 0 && !strings.Contains(r.Err.Msg, "overflow") {
					t.Errorf("an error without a place: %v", r.Err)
				}
				if strings.Contains(r.Err.Msg, "0x") || len(r.Err.Msg) > 1100 {
					t.Errorf("a bad message: %.200s", r.Err.Msg)
				}
			}
			// The module serves the next event as if nothing had been.
			again := m.Run(context.Background(), call)
			late := func(r *runtime.Reply) bool { return r.Err != nil && r.Err.Limit == runtime.LimitDeadline }
			byTheClock := late(r) || late(again)
			if again.Status != r.Status || again.Steps != r.Steps && !byTheClock {
				t.Errorf("the second run: %s after %d steps, the first: %s after %d", again.Status, again.Steps, r.Status, r.Steps)
			}
		})
	}
	t.Logf("%d scripts; the slowest took %v, the largest heap was %d MB", len(hostile.Lua()), slowest, largest>>20)
	for deadline := time.Now().Add(5 * time.Second); goruntime.NumGoroutine() > before+2; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", goruntime.NumGoroutine(), before)
		}
		goruntime.Gosched()
	}
}

func TestHostileSourcesAreRefusedOrLoadedWithinBounds(t *testing.T) {
	lang := newLanguage(t)
	for _, h := range hostile.Lua() {
		if !h.Load {
			continue
		}
		t.Run(h.Name, func(t *testing.T) {
			stop := heapPeak()
			start := time.Now()
			_, _, err := lang.Load(t.Context(), bundle(h.Source), runtime.Limits{})
			took, heap := time.Since(start), stop()
			if took > stopWithin+stopLate && !underRace || heap > heapWithin {
				t.Errorf("took %v and %d MB", took, heap>>20)
			}
			var es runtime.Errors
			if err != nil && !errors.As(err, &es) {
				t.Errorf("an error of another kind: %v", err)
			}
			for _, e := range es {
				if e.Kind == runtime.InternalError || strings.Contains(e.Msg, "leak") {
					t.Errorf("%v", e)
				}
			}
		})
	}
}
