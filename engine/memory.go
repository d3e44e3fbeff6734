package engine

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// gcSlack is how many bytes may be allocated between two collections, at least.
const gcSlack = 128 << 20

var tuneOnce sync.Once

// TuneMemory trades some memory for CPU time: where little is alive, the
// collector would run many times a second under load. It lets at least 128 MiB
// be allocated between two collections; once as much is alive nothing changes,
// and a memory limit (GOMEMLIMIT) goes on to hold. It is about the process, not
// an engine, and therefore not done by New: call it unless the user has set
// GOGC. Calls after the first do nothing.
func TuneMemory() { tuneOnce.Do(tune) }

// tune sets the percentage for what is alive now, and comes back at the end of
// the next collection, when its sentinel is found to be garbage.
func tune() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	alive := uint64(1 << 20)
	if live[0].Value.Kind() == metrics.KindUint64 {
		alive = max(alive, live[0].Value.Uint64())
	}
	debug.SetGCPercent(int(max(100, 100*gcSlack/alive)))
	runtime.SetFinalizer(&sentinel{}, func(*sentinel) { tune() })
}

// sentinel has a pointer, or it would share its memory with other small things.
type sentinel struct{ _ *sentinel }
