package engine

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// Between two collections the heap may grow to heapAim, and by leastGrowth
// percent if as much is alive. What the process holds of the system's memory is
// kept below memoryAim, or below twice what is alive.
const (
	heapAim     = 192 << 20
	leastGrowth = 50
	memoryAim   = 256 << 20
)

// A process that allocates less than quietBytes in quietTime has fallen quiet.
const (
	quietTime  = 20 * time.Second
	quietBytes = 32 << 20
)

var tuneOnce sync.Once

// TuneMemory trades memory for CPU time where there is some to spare: if little
// is alive, the collector would run many times a second under load. It lets the
// heap grow to 192 MiB before the next collection, where Go stops at twice what
// is alive; of a large heap it makes one and a half times what is alive. What is
// free is given back to the system when the process has fallen quiet, and sooner
// if it holds more than 256 MiB and twice what is alive. A memory limit that is
// set (GOMEMLIMIT) holds instead. It is about the process, not an engine, and
// therefore not done by New: call it unless the user has set GOGC. It starts a
// goroutine that does not end. Calls after the first do nothing.
func TuneMemory() {
	tuneOnce.Do(func() {
		tune(debug.SetMemoryLimit(-1) == math.MaxInt64)
		go giveBack()
	})
}

// tune sets the bounds for what is alive now, and comes back at the end of the
// next collection, when its sentinel is found to be garbage.
func tune(bound bool) {
	alive := max(1<<20, read("/gc/heap/live:bytes"))
	debug.SetGCPercent(int(max(leastGrowth, 100*(heapAim-min(heapAim, alive))/alive)))
	if bound {
		debug.SetMemoryLimit(int64(max(memoryAim, 2*alive)))
	}
	runtime.SetFinalizer(&sentinel{}, func(*sentinel) { tune(bound) })
}

// sentinel has a pointer, or it would share its memory with other small things.
type sentinel struct{ _ *sentinel }

// giveBack returns what is free to the system, once whenever the process falls
// quiet: the runtime keeps as much as the heap may grow to.
func giveBack() {
	last, busy := uint64(0), false
	for range time.Tick(quietTime) {
		now := read("/gc/heap/allocs:bytes")
		quiet := now-last < quietBytes
		if quiet && busy {
			debug.FreeOSMemory()
			now = read("/gc/heap/allocs:bytes")
		}
		last, busy = now, !quiet
	}
}

func read(metric string) uint64 {
	s := []metrics.Sample{{Name: metric}}
	if metrics.Read(s); s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}
