package engine_test

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
)

// The percentage follows what is alive: high while it is little, half of Go's
// own when it is much.
func TestTuneMemory(t *testing.T) {
	defer debug.SetGCPercent(100)
	engine.TuneMemory()
	percent := func() uint64 {
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	little := percent()
	if little < 200 {
		t.Errorf("%d %% with little alive", little)
	}
	large := make([][]byte, 300)
	for i := range large {
		large[i] = make([]byte, 1<<20)
	}
	deadline := time.Now().Add(10 * time.Second)
	for percent() != 50 && time.Now().Before(deadline) {
		runtime.GC() // the next one follows from the sentinel of the last
		time.Sleep(time.Millisecond)
	}
	if p := percent(); p != 50 {
		t.Errorf("%d %% with 300 MiB alive, want 50", p)
	}
	runtime.KeepAlive(large)
}
