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
}

// Live holds the handlers by effect kind.
type Live map[string]Handler

// Always classifies every effect of a kind alike.
func Always(r Repeat) func(runtime.Effect) Repeat { return func(runtime.Effect) Repeat { return r } }
