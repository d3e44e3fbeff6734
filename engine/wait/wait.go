// Package wait keeps the runs that wait: a run that does is no event under way,
// it is a row of the store, found again by its id, by what it waits for, or by
// its timer.
//
//	Wait      what a run waits for
//	Point     where: the wait of a step, or a further one there
//	Answer    what it was given: by an event, a time, or an operator
//	Row       a run as the store keeps it: waiting, answered, or ended
//	Registry  the rows: park, claim, finish; who is first wins
//	Index     in memory: from what an event bears to the runs that wait for it
//	KeysOf    what an event bears; Ref: the one run that it names
//
// The states of a row:
//
//	          ┌──────────────── parks again ─────────────────┐
//	          ▼                                              │
//	park ► waiting ── event | timeout | operator (claim) ► answered ► ended
//	          └───── partial answer: waiting ──┘
//
// Each change is a compare-and-set on the row. The claim that succeeds is the
// one continuation; whoever comes second reads who was first. What the run
// itself did is opaque here (Row.Base): the package knows no dispatcher, no
// journal and no Slack.
package wait

import (
	"context"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// The kinds of waits: the names of the built-ins that wait.
const (
	Ask      = "ask"
	AskForm  = "ask_form"
	Event    = "wait_event"
	Reply    = "wait_reply"
	Reaction = "wait_reaction"
	Sleep    = "sleep"
	// After is a run that has yet to begin, at a time.
	After = "after"
	// Trigger is the wait for somebody to press a button, for its trigger_id.
	Trigger = "trigger"
	// Again is a run that an operator had begun anew.
	Again = "again"
)

// Wait is what a run waits for. It is immutable once it is parked.
type Wait struct {
	Kind string
	// Step is the step of the run whose result it will be; 0: the run has yet
	// to begin. Round is how often the run has waited there before: see Point.
	Step, Round int
	// Since is when it began; at Until it is over without an answer. Zero: never.
	Since, Until time.Time
	// Keys are what an event must bear one of to be tested: see Key and KeysOf.
	// A wait that is only named by its Ref has none.
	Keys []string
	// Match is what the handler needs to test an event, State what it keeps:
	// the message posted, the answers so far. Both are the handler's own.
	Match, State *runtime.Dict
	// Title says in one line what is waited for: Deploy *api* to *prod*?
	Title string
}

// Who answered a wait.
const (
	ByEvent    = "event"
	ByTimeout  = "timeout"
	ByOperator = "operator"
	// ByCancel: the run is to end. The result is not looked at.
	ByCancel = "cancel"
)

// Answer is what a wait ended with.
type Answer struct {
	By string
	At time.Time
	// Value is what the handler said, or the operator gave; nil on a timeout.
	Value *runtime.Dict
	// Event is what answered it; zero unless By is ByEvent. Who is the operator.
	Event Origin
	Who   string
}

// Origin is what is kept of the event that answered a wait.
type Origin struct {
	// ID is the event's, Key its RunKey: the same for copies of it.
	ID, Key                       string
	Kind, Team, User, Channel, TS string
	TriggerID, ResponseURL        string
	Received                      time.Time
}

// OriginOf is what is kept of an event.
func OriginOf(e *event.Event) Origin {
	return Origin{
		ID: e.ID, Key: e.RunKey(), Kind: string(e.Kind), Team: e.Team, User: e.User, Channel: e.Channel, TS: e.TS,
		TriggerID: e.TriggerID, ResponseURL: e.ResponseURL, Received: e.Received,
	}
}

// Verdict is what a handler makes of an event.
type Verdict uint8

// The verdicts.
const (
	// Ignore: the event is not for this wait.
	Ignore Verdict = iota
	// Match: the event answers the wait.
	Match
	// Partial: it counts, and more is needed. State is the new state.
	Partial
	// Refuse: it was meant for this wait, from somebody who may not answer.
	Refuse
)

// Heard is what a handler makes of an event that shares a key with a wait.
type Heard struct {
	Verdict Verdict
	// Answer is the value of the answer, with Match.
	Answer *runtime.Dict
	// State replaces Wait.State, with Partial and, if not nil, with Match.
	State *runtime.Dict
	// Tell is told to the user of the event alone, if not empty.
	Tell string
	// Then, if not nil, is called once after the verdict, with Partial (its state
	// is stored) and Refuse; nothing waits for it, and it may ask Slack: show how
	// far a question is, or open the form whose button was pressed. Of a Match,
	// Resume does such things.
	Then func(ctx context.Context)
}

// refPrefix begins action ids, callback ids and private metadata that name a run.
const refPrefix = "starling.ask:"

// Ref names the wait of a run in what Slack brings back: an action id, a
// callback id, or private metadata. Behind it may follow "/" and anything.
func Ref(run string, at Point) string { return refPrefix + run + "." + at.String() }

// ParseRef reads what Ref wrote; rest is what follows the "/".
func ParseRef(s string) (run string, at Point, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, refPrefix)
	if !ok {
		return "", Point{}, "", false
	}
	s, rest, _ = strings.Cut(s, "/")
	run, number, _ := strings.Cut(s, ".")
	at, ok = ParsePoint(number)
	if !ok || run == "" {
		return "", Point{}, "", false
	}
	return run, at, rest, true
}
