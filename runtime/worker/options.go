package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	goruntime "runtime"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Arg is the argument that makes a program a worker: see IsChild.
const Arg = "worker"

// IsChild reports whether args (os.Args) ask for a worker. A program that
// uses New without Options.Command calls it first of all in main, and if it is
// true exits with what Main returns.
func IsChild(args []string) bool { return len(args) == 2 && args[1] == Arg }

// Options of a Pool. The zero value is ready for use.
type Options struct {
	// Command is the argv of a worker. Empty: this program with the argument Arg.
	Command []string
	// Env is the worker's environment; nothing else is passed on.
	Env []string
	// Workers is the number of passes that run at the same time.
	// 0 means GOMAXPROCS.
	Workers int
	// Burst is the number of further workers that may stand in for workers held
	// up by a long pass (over 10 ms) while others wait. 0 means four times
	// Workers, at most 16; negative means none.
	Burst int
	// Ahead is the number of passes that are written to one worker at once when
	// more wait than workers are free, if they are short. 0 means 16; negative
	// or 1 means one at a time.
	Ahead int
	// Slow is the number of further workers, of low priority (nice 10), that
	// make the passes of scripts which have broken a limit or burn processor
	// time. 0 means half of Workers, at least one; negative means that such
	// scripts are treated as all others.
	Slow int
	// Own gives each script (a path, whatever its version) workers of its own.
	// Limits.Deadline and Memory then bound what a Call may ask for.
	Own bool
	// Bound is the number of workers that scripts are left with while they do
	// nothing, if Own is set; the least recently used goes first. 0 means 32.
	Bound int
	// Namespaces starts workers in namespaces of their own (user, mount, pid,
	// net, ipc, uts, cgroup), in an empty root, without any capability. It
	// needs Linux and user namespaces: where they are forbidden, New fails.
	Namespaces bool
	// Spare is the number of workers kept ready to replace one that ends.
	// 0 means one; negative means none.
	Spare int
	// Limits apply to loading, and to passes whose Call leaves them zero.
	Limits runtime.Limits
	// Memory is the bytes that a worker may grow by after its start.
	// 0 means Limits.Memory. Below 128 MB ordinary scripts begin to die.
	Memory int64
	// Grace is the time beyond the deadline that a worker has to end a pass
	// with an error of its own before it is killed. 0 means 25 ms.
	Grace time.Duration
	// Recycle tells when a worker is replaced though nothing is wrong.
	Recycle Recycle
	// Modules is the number of compiled scripts that a worker keeps.
	// 0 means 1,024.
	Modules int
	// Logger gets kills, crashes and failed starts. nil means none.
	Logger *slog.Logger
}

// The limits of Strict, where the options leave them zero.
const (
	StrictDeadline = 100 * time.Millisecond
	StrictMemory   = 128 << 20
	// StrictEvents is how many passes a worker makes in its life.
	StrictEvents = 500
)

// Strict returns o with everything that sandbox: strict stands for: workers in
// namespaces of their own that no two scripts share and that are replaced
// often, and tighter limits unless o sets them.
func Strict(o Options) Options {
	o.Own, o.Namespaces = true, true
	if o.Limits.Deadline == 0 {
		o.Limits.Deadline = StrictDeadline
	}
	if o.Memory == 0 {
		o.Memory = orInt64(o.Limits.Memory, StrictMemory)
	}
	o.Limits.Memory = o.Memory
	o.Recycle.Events = orInt(o.Recycle.Events, StrictEvents)
	return o
}

// Recycle bounds the life of a worker.
type Recycle struct {
	// Events is the number of passes and loads. 0 means 20,000.
	Events int
	// Heap is the bytes in use after a pass. 0 means a quarter of the memory.
	Heap int64
}

const (
	// stallAfter is how long a pass holds its worker before another worker
	// may stand in. A usual pass takes under a millisecond.
	stallAfter = 10 * time.Millisecond
	// quickPass is how long passes of a function take at most that are known to
	// be quick. They do not wait behind others, but for those of their lane, and
	// one worker is kept for them if any was asked for quickRecently. When one of
	// the others has waited for restWaits, they take turns.
	quickPass     = 5 * time.Millisecond
	quickRecently = time.Second
	restWaits     = 50 * time.Millisecond
	// slowNice is the priority of workers for slow scripts: beside others they
	// get a tenth of a processor.
	slowNice = 10
	// startNice is the priority at which workers are started while there are
	// others: that takes tens of milliseconds of a processor, and a script that
	// ends its workers would take them from everybody.
	startNice = 5
	// usualSlice and longSlice are for how long workers want the processor at a
	// time, the latter once a pass is longer than longAfter: more than the few
	// milliseconds of the server and everybody else, who come first then and
	// are not held up by a worker that computes. The share of the worker is the same.
	usualSlice = 5 * time.Millisecond
	longSlice  = 50 * time.Millisecond
	// longAfter is when a worker stands back: some passes of a usual rule.
	longAfter = 5 * time.Millisecond
	// Workers that stand back and are left less than half of a processor between
	// them for so long are among the others again, for as long: other programs must
	// not have a script miss its deadline. If that does not help it is for longer,
	// each time in a row, up to asideNot: see asides.
	asideAtMost = 50 * time.Millisecond
	asideShare  = 2
	asideNot    = 8 * asideAtMost
	// One of them that has not had a quarter of a processor in the first asideAlone
	// of its pass, or since, is among the others until it has: it may be the only
	// one on a processor that is never free.
	asideAlone = 100 * time.Millisecond
	asideLeast = 4
	// shrinkAfter is how long a stand-in is kept without work.
	shrinkAfter = time.Second
	// readyWithin is how long a worker may take from its start until it is
	// ready: usually 25 ms, but the machine may be loaded.
	readyWithin = 10 * time.Second
	// hopeless is how many starts in a row must fail, in about 100 ms, until
	// passes are refused that have no worker: one that somebody kills as it
	// starts is no reason to fail them.
	hopeless = 3
	// maxIdleDeaths is how many workers may die unused, one after the other,
	// before starting them is put off like starts that fail.
	maxIdleDeaths = 5
	// confirmWithin is how long a worker may take, after a long pass, to confirm
	// that runs were taken back.
	confirmWithin = 50 * time.Millisecond
	// cancelGrace is what is left to a pass whose caller has gone.
	cancelGrace = 10 * time.Millisecond
	// loadsAhead and bytesAhead bound the loads written to one worker at once.
	// Within bytesAhead the write fits the socket's buffer and cannot block.
	loadsAhead = 32
	bytesAhead = 64 << 10
)

// withDefaults fills what is left zero.
func (o Options) withDefaults() (Options, error) {
	if len(o.Command) == 0 {
		exe, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("find own executable: %w", err)
		}
		o.Command = []string{exe, Arg}
		// Unlike the path, this link still means the running program after the
		// file was replaced by another version.
		if _, err := os.Stat(selfExe); err == nil {
			o.Command[0] = selfExe
		}
	}
	if o.Workers < 0 || o.Memory < 0 || o.Grace < 0 || o.Modules < 0 || o.Recycle.Events < 0 || o.Recycle.Heap < 0 {
		return o, errors.New("workers, memory, grace, modules and recycle must not be negative")
	}
	o.Limits = o.Limits.OrDefault()
	o.Workers = orInt(o.Workers, goruntime.GOMAXPROCS(0))
	o.Burst = max(0, orInt(o.Burst, min(4*o.Workers, 16)))
	o.Spare = max(0, orInt(o.Spare, 1))
	o.Ahead = max(1, orInt(o.Ahead, 16))
	o.Slow = max(0, orInt(o.Slow, max(1, o.Workers/2)))
	o.Bound = max(1, orInt(o.Bound, 32))
	o.Modules = orInt(o.Modules, 1024)
	o.Recycle.Events = orInt(o.Recycle.Events, 20_000)
	if o.Memory == 0 {
		o.Memory = o.Limits.Memory
	}
	if o.Recycle.Heap == 0 {
		o.Recycle.Heap = o.Memory / 4
	}
	if o.Grace == 0 {
		o.Grace = 25 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func orInt64(n, def int64) int64 {
	if n == 0 {
		return def
	}
	return n
}

func orInt(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}

// fill replaces the zero fields of a call's limits by those of the pool.
func fill(l, def runtime.Limits) runtime.Limits {
	if l.Steps == 0 {
		l.Steps = def.Steps
	}
	if l.Deadline == 0 {
		l.Deadline = def.Deadline
	}
	if l.Memory == 0 {
		l.Memory = def.Memory
	}
	if l.Effects == 0 {
		l.Effects = def.Effects
	}
	if l.Output == 0 {
		l.Output = def.Output
	}
	if l.Source == 0 {
		l.Source = def.Source
	}
	return l
}
