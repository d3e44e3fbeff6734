package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// A hook is a function around the rules: on.guard, on.outgoing. It works within
// the limits of a pass, in the pool, and may read. What changes anything is
// refused, so that asking it again after a crash is harmless.

// hookReads is how long the look-ups of one hook may take in all.
const hookReads = time.Second

// errGone says that the version of a hook is not loaded any more: the set has
// changed meanwhile.
var errGone = errors.New("the version of the hook is gone")

// hooked is a hook that is asked about something.
type hooked struct {
	rule *rules.Rule
	// id is what its logs and breaches are known by.
	id string
	e  *event.Event
	// input or extra is what its function is given.
	input []byte
	extra []runtime.Value
}

// ask returns what the function of a hook returned, or why it failed. An error
// means that it cannot be asked in this process, or errGone.
func (d *Dispatcher) ask(ctx context.Context, h hooked) (runtime.Value, *runtime.Error, error) {
	r := h.rule
	d.Rules.Acquire(r.Digest)
	defer d.Rules.Release(r.Digest)
	began := d.Now()
	call := runtime.Call{
		Script: r.Digest, Func: r.Func, When: -1, Input: h.input, Extra: h.extra, RunID: h.id,
		Now: h.e.Received, Seed: seedOf(h.id), Limits: d.Limits,
	}
	v, fail, steps, err := d.passes(ctx, h, &call)
	if err != nil {
		return nil, nil, err
	}
	outcome := Done
	if fail != nil {
		outcome = Failed
	}
	if fail == nil { // a failure is counted by whoever records it
		d.Metrics.Runs.WithLabelValues(r.ID, string(outcome)).Inc()
		d.Breaker.Good(r.ID)
	}
	d.Metrics.RunTime.WithLabelValues(r.ID).Observe(d.Now().Sub(began).Seconds())
	d.Metrics.Steps.WithLabelValues(r.ID).Add(float64(steps))
	return v, fail, nil
}

// passes makes passes until the function has returned.
func (d *Dispatcher) passes(ctx context.Context, h hooked, call *runtime.Call) (v runtime.Value, fail *runtime.Error, steps uint64, err error) {
	limit := hookReads
	if h.rule.Timeout > 0 {
		limit = h.rule.Timeout
	}
	asker := &door.Run{ID: h.id, Event: h.e, Script: h.rule.Script, Rule: h.rule.ID}
	out := door.Audit(d.Live.Door(asker), asker, d.Logger, d.Metrics, d.Now)
	for {
		reply, err := d.hookPass(ctx, call)
		if err != nil {
			return nil, nil, steps, err
		}
		steps += reply.Steps
		call.SkipLogs += len(reply.Logs)
		for _, l := range reply.Logs {
			d.Logger.LogAttrs(ctx, l.Level, l.Text, slog.String("event_id", h.e.ID), slog.String("rule", h.rule.ID), slog.String("at", l.Pos.String()))
		}
		raised := false
		for _, e := range reply.Effects {
			began := d.Now()
			res, fail := d.read(ctx, out, e, len(call.Results)+1, limit)
			if ctx.Err() != nil {
				return nil, nil, steps, errors.Join(errAbandoned, context.Cause(ctx))
			}
			if fail != nil {
				return nil, fail, steps, nil
			}
			limit -= d.Now().Sub(began)
			call.Results = append(call.Results, res)
			if raised = res.Err != ""; raised {
				break
			}
		}
		switch {
		case raised || reply.Status == runtime.Suspended:
		case reply.Status == runtime.Failed:
			return nil, reply.Err, steps, nil
		case reply.FromEffect: // what a look-up found is no verdict
			return nil, nil, steps, nil
		default:
			return plain(reply.Return), nil, steps, nil
		}
	}
}

// hookPass makes one pass, waiting for a pool that cannot just now.
func (d *Dispatcher) hookPass(ctx context.Context, call *runtime.Call) (*runtime.Reply, error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		reply, err := d.Pool.Run(ctx, call)
		switch {
		case err == nil:
			return reply, nil
		case ctx.Err() != nil:
			return nil, errors.Join(errAbandoned, context.Cause(ctx))
		case errors.Is(err, runtime.ErrUnknownScript):
			return nil, errGone
		case errors.Is(err, runtime.ErrClosed):
			return nil, errors.Join(errAbandoned, err)
		}
		d.Logger.Warn("hook cannot start a pass, it tries again", "run", call.RunID, "err", err)
		if !pause(ctx, wait) {
			return nil, errors.Join(errAbandoned, context.Cause(ctx))
		}
	}
}

// read performs an effect of a hook within what is left of its time.
func (d *Dispatcher) read(ctx context.Context, out runtime.Door, e runtime.Effect, step int, left time.Duration) (res runtime.StepResult, fail *runtime.Error) {
	e.Step = step
	switch h := d.Live[e.Kind]; {
	case !h.Read || h.Wait != nil:
		return res, &runtime.Error{
			Kind: runtime.RunError, Pos: e.Pos, Msg: e.Kind + " is nothing that a hook may do: it may read, and judge",
			Hint: "a rule of on.event(\"*\") can do it beside the hook",
		}
	case step > d.Limits.Effects:
		return res, &runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitEffects, Pos: e.Pos,
			Msg: fmt.Sprintf("%s would be effect %d, and the limit is %d", e.Kind, step, d.Limits.Effects),
		}
	case left <= 0:
		return res, lateRead(e)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, left, errHookReads)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			d.Logger.Error("panic", "effect", e.Kind, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			fail = &runtime.Error{Kind: runtime.InternalError, Pos: e.Pos, Msg: e.Kind + ": fault of the server: see its log"}
		}
	}()
	v, err := out.Do(ctx, e)
	if context.Cause(ctx) == errHookReads && door.Outcome(v, err) != "ok" {
		return res, lateRead(e)
	}
	res = runtime.StepResult{Hash: e.Hash(), Kind: e.Kind, Value: v}
	if err != nil {
		res.Err = err.Error()
	}
	return res, nil
}

var errHookReads = errors.New("the look-ups of the hook took too long")

func lateRead(e runtime.Effect) *runtime.Error {
	return &runtime.Error{Kind: runtime.LimitError, Limit: runtime.LimitRun, Pos: e.Pos, Msg: e.Kind + ": " + errHookReads.Error()}
}

// hookOff reports whether a hook is not to be asked: an operator has disabled
// it, or the breaker has switched it off. The latter opens no door: what it
// would have judged is refused.
func (d *Dispatcher) hookOff(r *rules.Rule) (skip bool, why string) {
	s, off := d.Breaker.Off(r.ID, r.Digest)
	switch {
	case !off:
		return false, ""
	case s.State == breaker.Disabled:
		return true, ""
	}
	return false, s.Why
}

// judgeHook tells the breaker of a hook that failed.
func (d *Dispatcher) judgeHook(h hooked, fail *runtime.Error) {
	limit := breached(fail)
	if limit == "" {
		return
	}
	d.Metrics.Limits.WithLabelValues(h.rule.ID, limit).Inc()
	_, tripped := d.Breaker.Breach(breaker.Breach{
		Rule: h.rule.ID, Digest: h.rule.Digest, Run: h.id, Limit: limit, Err: fail, Owner: h.rule.Owner,
		Team: h.e.Team, Enterprise: h.e.Enterprise, Bot: h.e.Bot,
	})
	if tripped {
		d.Logger.Error("a hook is switched off: what it would have judged is refused until its file changes, or starling rules enable or disable",
			"rule", h.rule.ID)
	}
}
