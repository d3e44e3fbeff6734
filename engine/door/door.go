// Package door performs the effects of scripts. Every effect passes
//
//	run ► [policy] ► [journal] ► [audit, metrics] ► live handler
//
// A live handler exists per effect kind, which is the name of the built-in
// that asks for it. Secrets are expanded here and nowhere else.
//
//	Run      what a handler may know of the run that asks
//	Handler  performs one kind of effect, and says what may be repeated
//	Live     the handlers by kind
//
// The package knows no HTTP server and no interpreter.
package door

import (
	"context"
	"strconv"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// Run is what a handler may know of the run that asks.
type Run struct {
	ID     string
	Event  *event.Event
	Script string // path
	Rule   string // id of the rule
	// Resumed is set when this effect may have been performed before a crash.
	Resumed bool
	// Intended is when the journal first recorded the intent; zero if never.
	Intended time.Time
	// Responses counts the uses of the event's response_url.
	Responses func() int
	// Follow says that what the run posts follows edits of the event's message;
	// Posts counts the messages that the run has posted before this effect.
	Follow bool
	Posts  func() int
	// DryRun makes effects return ok with empty data.
	DryRun bool
	// Admin tells that the rule is for admins alone, and that one asks.
	Admin bool
	// Hosts are those that the rule may reach by HTTP; empty: no restriction.
	Hosts []string
	// Trigger is the newest trigger_id that the run has: of the newest wait that
	// somebody answered with one, or of the event it began with. Without any, it
	// says who answered last.
	Trigger func() Trigger
	// Later begins another run of the same version at a time: fn, with data. It
	// returns its id, which derives from this run and the step of e. Cancel ends
	// a run that waits, of the same script, and reports whether there was one.
	// Nil where nothing can wait (hooks, dry runs).
	Later  func(ctx context.Context, e runtime.Effect, at time.Time, fn runtime.Func, data runtime.Value) (id string, err error)
	Cancel func(ctx context.Context, id string) (bool, error)
}

// Trigger is what an interaction lets an app do for a short while.
type Trigger struct {
	ID          string // trigger_id, good for three seconds, or empty
	ResponseURL string // good for 30 minutes, or empty
	User        string
	At          time.Time // when it arrived
}

// Key is the idempotency key of an effect: run and step.
func (r *Run) Key(e runtime.Effect) string {
	return r.ID + "." + strconv.Itoa(e.Step)
}

// Repeat says what to do with an effect that was in flight at a crash.
type Repeat uint8

// The ways to deal with an effect whose outcome is unknown.
const (
	// Never: return .ok = False, .error = "interrupted" and go on.
	Never Repeat = iota
	// Again: perform it again; it is idempotent, or keyed by run and step.
	Again
	// Lookup: ask Handler.Find whether it happened.
	Lookup
)

// Handler performs one kind of effect. Safe for concurrent use.
type Handler struct {
	// Do performs the effect. Its error is raised in the script.
	Do func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error)
	// Read: the effect changes nothing anywhere. It may then be performed
	// before anything is on disk.
	Read bool
	// Repeat classifies; nil means Never.
	Repeat func(e runtime.Effect) Repeat
	// Find looks for the trace of an earlier attempt: found with its result;
	// or not found (known is true: it surely did not happen); or not known.
	Find func(ctx context.Context, r *Run, e runtime.Effect) (v runtime.Value, found, known bool)

	// Wait says, after Do returned v, what the run waits for; nil: v is the
	// result at once. Kinds that never wait have none. Step, Kind and Since of
	// the wait are filled in. It must not perform anything.
	Wait func(ctx context.Context, r *Run, e runtime.Effect, v runtime.Value) (*wait.Wait, error)
	// Hear says what an event, which shares a key with a wait or names it, is
	// to it. It is asked about every such event, also twice, and must be quick:
	// no network. Nil: no event answers a wait of this kind.
	Hear func(ctx context.Context, r *Run, w *wait.Wait, ev *event.Event) wait.Heard
	// Resume makes the result of the effect from the answer. What it performs
	// must be idempotent: it is called again after a crash. Nil: the result is
	// the answer's value. With wait.ByCancel the result is not looked at, and e
	// may be of a version that is gone. A *WaitAgain as the error has the run
	// wait once more.
	Resume func(ctx context.Context, r *Run, e runtime.Effect, w *wait.Wait, a *wait.Answer) (runtime.Value, error)
	// Lost tells whoever sent an event that names a wait which is over that
	// somebody else, or the time, was first: a is the answer it had, nil if it is
	// not known. Nil: they are told so in general.
	Lost func(ctx context.Context, r *Run, w *wait.Wait, a *wait.Answer, ev *event.Event)
}

// WaitAgain is what Handler.Resume returns as its error if what came leads
// nowhere: the run waits again, at the same step, in the next round. Step, Round,
// Kind and Since are filled in. Who returns it bounds the rounds (Wait.Round).
type WaitAgain struct{ Wait *wait.Wait }

// Error is what a run is told that cannot wait again.
func (w *WaitAgain) Error() string { return "what came leads nowhere: " + w.Wait.Title }

// Live holds the handlers by effect kind.
type Live map[string]Handler

// Always classifies every effect of a kind alike.
func Always(r Repeat) func(runtime.Effect) Repeat { return func(runtime.Effect) Repeat { return r } }
