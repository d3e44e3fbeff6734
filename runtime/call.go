package runtime

import (
	"context"
	"log/slog"
	"time"
)

// Limits bound one pass of a script. Zero fields take the value of DefaultLimits.
type Limits struct {
	Steps    uint64        // abstract steps of the interpreter
	Deadline time.Duration // wall time of the script's own work in one pass
	Memory   int64         // bytes a worker may grow by
	Effects  int           // effects of a whole run
	Output   int           // bytes of log output of a pass
	Source   int           // bytes of one source file
}

// DefaultLimits are those of SPEC: limits in starling.yaml change them.
var DefaultLimits = Limits{
	Steps:    2_000_000,
	Deadline: 250 * time.Millisecond,
	Memory:   256 << 20,
	Effects:  100,
	Output:   64 << 10,
	Source:   256 << 10,
}

// OrDefault returns l with zero fields replaced.
func (l Limits) OrDefault() Limits {
	d := DefaultLimits
	if l.Steps == 0 {
		l.Steps = d.Steps
	}
	if l.Deadline == 0 {
		l.Deadline = d.Deadline
	}
	if l.Memory == 0 {
		l.Memory = d.Memory
	}
	if l.Effects == 0 {
		l.Effects = d.Effects
	}
	if l.Output == 0 {
		l.Output = d.Output
	}
	if l.Source == 0 {
		l.Source = d.Source
	}
	return l
}

// Registration is one call of a built-in of kind Register (on.message, …)
// made while a script was loaded.
type Registration struct {
	// Name is the dotted name of the built-in: "on.message".
	Name string
	// Args holds the arguments by parameter name, defaults left out.
	Args *Dict
	// Pos is the place of the call, and ArgPos of its arguments where known.
	Pos    Position
	ArgPos map[string]Position
}

// Manifest is what loading a bundle yields.
type Manifest struct {
	Digest        Digest
	Registrations []Registration
	// Logs are the lines that the script printed while it was loaded.
	Logs []LogLine
	// Missing names modules that the bundle lacks, as written in load or
	// require, with the place of the first use. If it is not empty, nothing
	// was run: the caller adds the files and loads again.
	Missing []Missing
	Steps   uint64
}

// Missing is a module that a bundle lacks.
type Missing struct {
	Name string // as written: "lib/x.star"
	Path string // the bundle path that would satisfy it
	Pos  Position
}

// Call asks for one pass over one function of a loaded script.
type Call struct {
	Script Digest
	// Func is the index of the function (Func.Index).
	Func int
	// When, if not negative, is the index of a predicate that is asked first;
	// if it is falsy the pass ends as Skipped.
	When int
	// Input is the handler's argument in a form that Host.Input understands.
	Input []byte
	// Extra are further positional arguments, such as the data of after().
	Extra []Value
	// RunID names the run, for log lines and idempotency keys.
	RunID string
	// Lane, if not empty, names what the call belongs to, such as a
	// conversation: calls of one lane start in the order of Pool.Run and
	// Queuer.Queue, also in a pool that takes up others out of order.
	Lane string
	// Now is the start of the run, Seed its randomness; both are recorded with
	// the run so that each pass sees the same.
	Now  time.Time
	Seed uint64
	// Results are the recorded results of effects 1..n, in order.
	Results []StepResult
	// SkipLogs is the number of log lines that an earlier pass already gave.
	SkipLogs int
	Limits   Limits
}

// StepResult is the recorded result of one effect.
type StepResult struct {
	// Hash is Effect.Hash of the effect it belongs to: a replay that asks for
	// something else has diverged.
	Hash uint64
	// Kind is the kind of that effect, for the message about a divergence; it may be empty.
	Kind  string
	Value Value
	// Err, if not empty, is raised in the script at the position of the effect.
	Err string
}

// Status tells how a pass ended.
type Status uint8

// The ways a pass can end.
const (
	Done      Status = iota + 1 // the function returned
	Suspended                   // it looked at the result of an effect that is not performed yet
	Skipped                     // its `when` predicate was falsy
	Failed                      // see Reply.Err
)

// String returns the status in lower case.
func (s Status) String() string {
	return [...]string{"unknown", "done", "suspended", "skipped", "failed"}[min(int(s), 4)]
}

// Reply is how a pass ended.
type Reply struct {
	Status Status
	// Return is what the function returned, if Done. If it returned the
	// result of an effect, Return is a Pending or recorded result and
	// FromEffect is set: it is no answer.
	Return     Value
	FromEffect bool
	// Effects are those asked for beyond Call.Results, in order.
	Effects []Effect
	// Logs are the lines beyond Call.SkipLogs.
	Logs []LogLine
	Err  *Error
	// Steps and Took measure the pass, Heap the bytes in use after it.
	Steps uint64
	Took  time.Duration
	Heap  int64
}

// LogLine is one line that a script logged or printed.
type LogLine struct {
	Level slog.Level
	Text  string
	Attrs *Dict
	Pos   Position
}

// Pool runs passes. Implementations are safe for concurrent use.
type Pool interface {
	// Load compiles a bundle, runs its top level and keeps it for Run until
	// Forget. A script's own faults come back as Errors.
	Load(ctx context.Context, b *Bundle) (*Manifest, error)
	// Run makes one pass. A script's own faults are in Reply.Err; the error
	// is for what is no fault of the script (ErrClosed, ErrUnknownScript, ctx).
	// Passes of one Call.Lane are started in the order of the calls.
	Run(ctx context.Context, c *Call) (*Reply, error)
	// Forget drops a version; passes under way finish.
	Forget(d Digest)
	// Stats is a snapshot for metrics.
	Stats() PoolStats
	// Close ends the pool, waiting for passes under way until ctx ends.
	Close(ctx context.Context) error
}

// Queuer is a Pool that can take a place in line without waiting, so that one
// goroutine can start passes in order and others wait for them.
type Queuer interface {
	// Queue takes the place at once; wait blocks as Run does, and is called once.
	Queue(ctx context.Context, c *Call) (wait func() (*Reply, error))
}

// PoolStats is a snapshot of a Pool.
type PoolStats struct {
	Workers  int    // places to run
	Busy     int    // of them running a pass
	Waiting  int    // passes that wait for a place
	Scripts  int    // versions loaded
	Started  uint64 // worker processes started so far
	Killed   uint64 // of them killed for a limit
	Died     uint64 // of them died by themselves
	Recycled uint64 // of them retired for their age or memory
	// Ahead counts passes that were given to a worker behind others; TakenBack
	// those of them that it gave back because what was before them took long.
	Ahead, TakenBack uint64
	// Excused counts quick passes and loads that were tried again because they had
	// missed their deadline while the machine stood still, or a host had taken it away.
	Excused uint64
	// Slowed is the number of scripts that run at low priority for now.
	Slowed int
}

// Language compiles bundles of one language. Safe for concurrent use.
type Language interface {
	// Name is "starlark" or "lua"; Ext its file name ending with the dot.
	Name() string
	Ext() string
	// Load compiles the bundle and runs its top level.
	// A script's own faults come back as Errors.
	Load(ctx context.Context, b *Bundle, lim Limits) (Module, *Manifest, error)
}

// Module is a compiled, frozen script. Safe for concurrent use.
type Module interface {
	// Run makes one pass in the calling goroutine. It returns soon after ctx
	// ends, unless a single built-in is what takes the time: only a worker
	// process can end that.
	Run(ctx context.Context, c *Call) *Reply
}

// Host is what the surroundings lend to a Language.
type Host struct {
	Library *Library
	// Input turns Call.Input into the handler's argument.
	Input func([]byte) (Object, error)
	// Cover, if not nil, is told of every line that is run. What is compiled
	// for it is slower, and takes other steps than what is compiled without.
	Cover *Coverage
}
