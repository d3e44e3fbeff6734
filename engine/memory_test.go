package engine_test

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
)

func metric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// The percentage follows what is alive: high while it is little, half of Go's
// own when it is much. Stacks take nothing of what the heap may have.
func TestTuneMemory(t *testing.T) {
	defer debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetGCPercent(100)
	engine.TuneMemory()
	collected := func(until func() bool) {
		for deadline := time.Now().Add(10 * time.Second); !until() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			runtime.GC() // the next one follows from the sentinel of the last
		}
	}
	goal := func() uint64 { return metric("/gc/heap/goal:bytes") }
	limit := func() uint64 { return uint64(debug.SetMemoryLimit(-1)) }
	near := func() bool { return goal() > 150<<20 && goal() < 240<<20 }
	collected(near)
	if !near() {
		t.Errorf("the heap may grow to %d MiB with little alive", goal()>>20)
	}
	before := limit()

	stop := make(chan struct{})
	var deep sync.WaitGroup
	for range 400 {
		deep.Go(func() { wait(make([]byte, 1), 2000, stop) })
	}
	stacks := func() bool { return metric("/memory/classes/heap/stacks:bytes") > 80<<20 && limit() > before+64<<20 }
	collected(func() bool { return stacks() && near() })
	if !stacks() || !near() {
		t.Errorf("with %d MiB of stacks the heap may grow to %d MiB, and all to %d MiB", metric("/memory/classes/heap/stacks:bytes")>>20, goal()>>20, limit()>>20)
	}
	close(stop)
	deep.Wait()

	large := make([][]byte, 300)
	for i := range large {
		large[i] = make([]byte, 1<<20)
	}
	percent := func() uint64 { return metric("/gc/gogc:percent") }
	collected(func() bool { return percent() == 50 && limit() > 600<<20 })
	if p := percent(); p != 50 || limit() < 600<<20 {
		t.Errorf("%d %% and %d MiB with 300 MiB alive, want 50 and twice that", p, limit()>>20)
	}
	runtime.KeepAlive(large)
}

// wait takes a stack of a hundred bytes and more for each n.
func wait(b []byte, n int, stop <-chan struct{}) int {
	if n == 0 {
		<-stop
		return 0
	}
	var frame [64]byte
	copy(frame[:], b)
	return wait(frame[:1:1], n-1, stop) + int(frame[0])
}
