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
// percent if as much is alive. What it holds of the system's memory is kept below
// memoryAim, or below twice what is alive.
const (
	heapAim     = 192 << 20
	leastGrowth = 50
	memoryAim   = 240 << 20
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
// if the heap holds more than 240 MiB and twice what is alive. A memory limit that
// is set (GOMEMLIMIT) holds instead. It is about the process, not an engine, and
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
	m := readMetrics()
	// The percentage is of all that is looked through, stacks and globals too, the
	// limit of all that is held but for what was given back.
	growth := 100 * (heapAim - min(heapAim, m.live)) / (m.live + m.stacks + m.globals)
	debug.SetGCPercent(int(max(leastGrowth, growth)))
	if bound {
		debug.SetMemoryLimit(int64(max(memoryAim, 2*m.live) + m.beside))
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
		now := readMetrics().allocated
		quiet := now-last < quietBytes
		if quiet && busy {
			debug.FreeOSMemory()
			now = readMetrics().allocated
		}
		last, busy = now, !quiet
	}
}

// memory is what the runtime says of its own, in bytes.
type memory struct {
	live, stacks, globals uint64 // what the last collection has looked through
	allocated             uint64 // since the start
	beside                uint64 // held, and not of the heap
}

func readMetrics() memory {
	s := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/scan/stack:bytes"},
		{Name: "/gc/scan/globals:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(s)
	value := func(i int) uint64 {
		if s[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return s[i].Value.Uint64()
	}
	return memory{
		live: max(1<<20, value(0)), stacks: value(1), globals: value(2), allocated: value(3),
		beside: value(4) - value(5) - value(6) - value(7) - value(8),
	}
}
