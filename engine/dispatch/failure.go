package dispatch

import (
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// Failure is a run that has failed, for whoever looks after its rule.
type Failure struct {
	Rule, Owner, Run string
	Err              *runtime.Error
	Event            *event.Event
}

// tellFailure tells of a run that failed, if its rule is in force and somebody
// looks after it.
func (r *run) tellFailure(end ended) {
	// Of limits the breaker tells, once they are breached too often.
	if r.d.Failed == nil || end.Outcome != Failed || end.Error == nil || r.DryRun || limitOf(end.Error) != "" {
		return
	}
	rule := r.d.Rules.Current().Rule(r.Rule)
	if rule == nil || rule.Owner == "" {
		return
	}
	r.d.Failed(Failure{Rule: r.Rule, Owner: rule.Owner, Run: r.ID, Err: end.Error, Event: r.e})
}
