package dispatch

import (
	"context"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/permit"
	"github.com/starling-rules/starling/engine/rules"
)

// Whether a run may go ahead is decided before its first pass, once: what has
// begun goes on after a crash. A rule that may not run has still matched, so
// that one with stop keeps those behind it from running.

func askerOf(e *event.Event) permit.Asker {
	return permit.Asker{
		Team: e.Team, Enterprise: e.Enterprise, Bot: e.Bot, User: e.User, Channel: e.Channel, Own: e.Kind == event.Schedule,
	}
}

// argsOf returns the arguments that a pattern or grammar found, by name.
func argsOf(m *event.Match) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if m == nil {
			return "", false
		}
		if v, ok := m.Args.Get(name); ok && v != nil {
			return textOf(v), true
		}
		for i, n := range m.Names {
			if n == name && i < len(m.Groups) && (i >= len(m.Present) || m.Present[i]) {
				return m.Groups[i], true
			}
		}
		return "", false
	}
}

// askPermit decides whether the run may go ahead. Without wait it leaves open
// what takes a look-up.
func (r *run) askPermit(ctx context.Context, wait bool) {
	if r.permitted || r.denied != nil {
		return
	}
	rule := permit.Rule{ID: r.Rule, Groups: r.Groups, Admin: r.Admin}
	if r.ErrorOf >= 0 || r.Verdict != nil || !r.d.Permit.Restricts(rule) || !r.unbegun() {
		r.permitted = true
		return
	}
	args := argsOf(r.Match)
	if r.Func == usageFunc { // how to use it is for all who may use it somehow
		args = nil
	}
	v, known := r.d.Permit.Decide(ctx, rule, askerOf(r.e), args, wait)
	switch {
	case ctx.Err() != nil: // the run ends without an outcome
	case v.Allowed:
		r.permitted = true
	case known:
		r.denied = &v
	}
}

// tellDenied tells who asked that the rule is not for them, if it was the
// answer that they asked for.
func (r *run) tellDenied(ctx context.Context) {
	if r.e.Answered() && !r.Answer {
		return
	}
	r.tellVerdict(ctx, &verdict{Text: r.denied.Text})
}

// explainPermit says of a rule that matches whether who asked may run it.
func (d *Dispatcher) explainPermit(e *event.Event, v *rules.Verdict) {
	rule := permit.Rule{ID: v.Rule.ID, Groups: v.Rule.Groups, Admin: v.Rule.Admin}
	if !v.Matched || !d.Permit.Restricts(rule) {
		return
	}
	p, known := d.Permit.Decide(d.runCtx, rule, askerOf(e), argsOf(v.Groups), false)
	switch {
	case p.Allowed:
	case known:
		v.Matched, v.Why = false, "not permitted: "+p.Why
	default:
		v.Why = "if it is permitted: " + p.Why
	}
}
