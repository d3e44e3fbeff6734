package dispatch

import (
	"context"
	"net/http"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Runs under way when their rule is switched off finish, also after a restart.
// A run that has done nothing yet has not begun: it is skipped, wherever it
// waits.

// offValue is what passesUntilDone returns for a rule that is switched off.
type offValue struct{ why string }

// off reports whether the run is to be skipped because its rule is off.
func (r *run) off() (breaker.Switch, bool) {
	if !r.unbegun() {
		return breaker.Switch{}, false
	}
	return r.d.Breaker.Off(r.Rule, r.Digest)
}

// unbegun reports whether neither this process nor an earlier one has done
// anything for the run.
func (r *run) unbegun() bool {
	return r.passes == 0 && len(r.call.Results) == 0 && r.inFlight == nil && r.last == nil
}

// line is the context for the run's place in line.
func (r *run) line() context.Context {
	if !r.unbegun() {
		return r.d.runCtx
	}
	return r.d.Breaker.Line(r.d.runCtx, r.Rule)
}

// refuse tells whoever asked for something that the rule is switched off. Why
// it is, is for those who look after it.
func (r *run) refuse(ctx context.Context) {
	r.apologise(ctx, "This is switched off for now. Whoever looks after it can find out why as run "+r.ID+".", http.StatusServiceUnavailable)
}

// breached is the name of the limit that a run went beyond by its own doing,
// "crash" if its worker did not survive it, or empty.
func breached(err *runtime.Error) string {
	if limit := limitOf(err); limit != runtime.LimitBacklog {
		return limit
	}
	return "" // others may have been in its way
}

// limitOf is the name of the limit that ended a run, "crash" if its worker did
// not survive it, or empty.
func limitOf(err *runtime.Error) string {
	switch {
	case err == nil:
		return ""
	case err.Kind == runtime.LimitError:
		return err.Limit
	case err.Crashed:
		return "crash"
	}
	return ""
}

// judge tells the breaker how a run ended. A failure that is no breach, and a
// run that was skipped, say nothing about limits: they neither count nor make
// up for anything.
func (r *run) judge(end ended) {
	limit := breached(end.Error)
	if limit == "" {
		if end.Outcome == Done {
			r.d.Breaker.Good(r.Rule)
		}
		return
	}
	rule := r.d.Rules.Current().Rule(r.Rule)
	if rule == nil || rule.Digest != r.Digest {
		return // of a version that is not in force any more
	}
	s, tripped := r.d.Breaker.Breach(breaker.Breach{
		Rule: r.Rule, Digest: r.Digest, Run: r.ID, Limit: limit, Err: end.Error, Owner: rule.Owner,
		Team: r.e.Team, Enterprise: r.e.Enterprise, Bot: r.e.Bot,
	})
	if tripped {
		r.trace.Logs = append(r.trace.Logs, "WARN the rule is "+s.Why)
	}
}

// overran tells the breaker of the rules whose patterns took too long on an
// event. A rule that goes off by that is skipped on this event already; one
// whose pattern takes long is not even tried while it is off.
func (d *Dispatcher) overran(e *event.Event, overruns []rules.Overrun) {
	breaches := make([]breaker.Breach, len(overruns))
	for i, o := range overruns {
		breaches[i] = breaker.Breach{
			Rule: o.Rule.ID, Digest: o.Rule.Digest, Run: runID(e.RunKey(), o.Rule.ID), Limit: runtime.LimitMatch, Err: o.Problem(),
			Owner: o.Rule.Owner, Team: e.Team, Enterprise: e.Enterprise, Bot: e.Bot,
		}
		d.Metrics.Limits.WithLabelValues(o.Rule.ID, runtime.LimitMatch).Inc()
	}
	o := overruns[0]
	d.Logger.Warn("patterns of rules take long to match", "event_id", e.ID, "script", o.Rule.Script, "rule", o.Rule.ID,
		"took_ms", o.Took.Milliseconds(), "script_ms", o.Script.Milliseconds(), "rules", len(overruns))
	d.Breaker.Breaches(breaches)
}

// Explain says of every rule in force whether an event is for it, and which
// are switched off.
func (d *Dispatcher) Explain(e *event.Event) []rules.Verdict { return d.explain(d.Rules.Current(), e) }

func (d *Dispatcher) explain(set *rules.Set, e *event.Event) []rules.Verdict {
	verdicts := set.ExplainWithin(e, d.isOff)
	for i := range verdicts {
		v := &verdicts[i]
		d.explainPermit(e, v)
		if s, off := d.Breaker.Off(v.Rule.ID, v.Rule.Digest); off && (v.Matched || v.Off) {
			v.Matched, v.Why = false, s.Why
		}
	}
	return verdicts
}
