package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// openDoor stacks the layers between the journal and the handlers:
//
//	perform ► policy ► journal ► [trace] ► [audit, metrics] ► live handler
func (r *run) openDoor() {
	r.asker = door.Run{
		ID: r.ID, Event: r.e, Script: r.Script, Rule: r.Rule,
		Resumed: r.a.resumed, Responses: r.a.used, DryRun: r.DryRun, Hosts: r.Hosts, Admin: r.Admin,
		Trigger: r.trigger, Later: r.later, Cancel: r.cancel,
	}
	if set := r.d.Rules.Current(); set != nil {
		if rule := set.Rule(r.Rule); rule != nil {
			r.asker.Follow, r.asker.Posts = rule.FollowEdits, r.posted
		}
	}
	r.live = r.traced(door.Audit(r.d.Live.Door(&r.asker), &r.asker, r.d.Logger, r.d.Metrics, r.d.Now))
}

// posted counts the messages that the script has posted so far.
func (r *run) posted() int {
	n := 0
	for _, res := range r.call.Results {
		switch res.Kind {
		case "post", "reply", "respond", "dm":
			n++
		}
	}
	return n
}

// perform takes one effect of the script through the door and keeps its result
// for the next pass. A *runtime.Error ends the run as failed; an error leaves
// the run for the next start.
func (r *run) perform(ctx context.Context, e runtime.Effect) (*runtime.Error, error) {
	e.Step = len(r.call.Results) + 1
	if most := r.d.Limits.Effects; e.Step > most {
		return &runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitEffects, Pos: e.Pos,
			Msg: fmt.Sprintf("%s would be effect %d of the run, and the limit is %d", e.Kind, e.Step, most),
		}, nil
	}
	flight := r.inFlight
	r.inFlight = nil
	hash := e.Hash()
	if flight != nil && flight.Hash != hash {
		what := fmt.Sprintf("the script asks for %s, the journal holds %s", e.Kind, flight.Kind)
		if e.Kind == flight.Kind {
			what = fmt.Sprintf("the script asks for %s with other arguments than before", e.Kind)
		}
		return diverged(e.Step, e.Pos, what), nil
	}
	began := r.d.Now()
	value, err := r.journal(ctx, e, hash, flight, r.refusal(e))
	if fail, ok := errors.AsType[stopped](err); ok {
		fail.cause.Pos = e.Pos
		return fail.cause, nil
	}
	if errors.Is(err, errAbandoned) || errors.Is(err, errParked) {
		return nil, err
	}
	res := runtime.StepResult{Hash: hash, Kind: e.Kind, Value: value}
	if err != nil {
		res.Err = err.Error()
	}
	r.note(step{Hash: hash, Kind: e.Kind, Args: e.Args, Pos: e.Pos, Intended: began, At: r.d.Now(), Value: value, Err: res.Err}, flight)
	r.call.Results = append(r.call.Results, res)
	return nil, nil
}

// note keeps what the run did, for the row in which it may be parked.
func (r *run) note(s step, flight *step) {
	if flight != nil && !flight.Intended.IsZero() {
		s.Intended = flight.Intended
	}
	s.Done = true
	r.done = append(r.done, s)
}

// diverged is the failure of a run that does not do again what its journal
// says it did. Divergence from finished steps is for the languages to find;
// that from the effect that was in flight shows here.
func diverged(step int, pos runtime.Position, what string) *runtime.Error {
	return &runtime.Error{
		Kind: runtime.DivergedError, Pos: pos, Hint: "the run cannot go on from its journal",
		Msg: fmt.Sprintf("replay diverged at step %d: %s", step, what),
	}
}

// refusal is what the rule's own options forbid, or nil.
func (r *run) refusal(e runtime.Effect) error {
	if len(r.Hosts) == 0 || !strings.HasPrefix(e.Kind, "http_") {
		return nil
	}
	u, err := url.Parse(urlOf(e.Args))
	if err != nil || !door.HostAllowed(r.Hosts, u) {
		return fmt.Errorf("%w: %s: the host of the URL is not among the rule's hosts", door.ErrRefused, e.Kind)
	}
	return nil
}

// urlOf is the URL that an http_* effect asks for, as far as it is no secret.
// A secret may follow the host, not be a part of it: then "" is returned.
func urlOf(args *runtime.Dict) string {
	v, _ := args.Get("url")
	secret, ok := v.(runtime.Secret)
	if !ok {
		return args.Text("url")
	}
	var text strings.Builder
	for _, p := range secret.Parts {
		if p.Name != "" {
			break
		}
		text.WriteString(p.Text)
	}
	_, rest, _ := strings.Cut(text.String(), "://")
	if !strings.ContainsAny(rest, "/?#") {
		return ""
	}
	return text.String()
}

// journal writes down the intent before an effect that must not happen twice,
// and the result after every effect. After a crash it decides about the
// effect that was in flight.
func (r *run) journal(ctx context.Context, e runtime.Effect, hash uint64, flight *step, refusal error) (runtime.Value, error) {
	if r.live == nil {
		r.openDoor()
	}
	if flight != nil && flight.Wait != nil { // it did all but park
		r.waiting = flight
		return nil, errParked
	}
	r.asker.Intended = time.Time{}
	intended, changed, began := flight != nil, false, r.d.Now()
	if flight != nil && flight.Args != nil { // as the hooks had it
		e.Args = flight.Args
	}
	value, done, err := r.recover(ctx, e, flight)
	if !done && err == nil {
		if err = refusal; err == nil && flight == nil {
			var refused *refusedBy
			if e, changed, refused, err = r.outgoing(ctx, e); refused != nil {
				return r.unsaid(e, hash, refused)
			}
		}
		if err == nil {
			intended, err = r.intend(ctx, e, hash, intended, changed)
		}
		if err == nil {
			value, err = r.do(ctx, e)
		}
	}
	if errors.Is(err, errAbandoned) || errors.As(err, new(stopped)) {
		return nil, err
	}
	if ctx.Err() != nil && door.Outcome(value, err) != "ok" {
		// Cut off, and nothing is known of its outcome: none is recorded.
		return nil, errors.Join(errAbandoned, context.Cause(ctx))
	}
	if flight != nil && !flight.Intended.IsZero() {
		began = flight.Intended
	}
	if err == nil && e.Step > 0 {
		r.asker.Intended = began // so that a time-out counts from there, also after a crash
		if err = r.waits(ctx, e, hash, began, value); errors.Is(err, errParked) || errors.Is(err, errAbandoned) || errors.As(err, new(stopped)) {
			return nil, err
		}
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	r.a.countResponse(e.Kind)
	r.a.later(resultEntry(r.index, e, hash, !intended, r.d.Now(), value, text))
	return value, err
}

// unsaid records that a message was refused.
func (r *run) unsaid(e runtime.Effect, hash uint64, refused *refusedBy) (runtime.Value, error) {
	v := refused.result()
	r.d.Metrics.Effects.WithLabelValues(e.Kind, "refused").Inc()
	if check, _ := e.Args.Get("check"); check == true && e.Kind == "slack_action" {
		err := fmt.Errorf("slack_action: %s: %w: %s", e.Args.Text("method"), door.ErrRefused, refused.why)
		r.a.later(resultEntry(r.index, e, hash, true, r.d.Now(), nil, err.Error()))
		return nil, err
	}
	r.a.later(resultEntry(r.index, e, hash, true, r.d.Now(), v, ""))
	return v, nil
}

// do performs the effect. A handler that panics has failed, as far as this run
// is concerned.
func (r *run) do(ctx context.Context, e runtime.Effect) (v runtime.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.d.Logger.Error("panic", "run", r.ID, "rule", r.Rule, "effect", e.Kind, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			v, err = nil, fmt.Errorf("%s: fault of the server: see its log", e.Kind)
		}
	}()
	return r.live.Do(ctx, e)
}

// intend makes sure that enough is on disk for the effect to be performed:
// nothing for a read, the runs of the event for what can be done again, the
// intent itself for everything else, and for what the hooks have changed.
func (r *run) intend(ctx context.Context, e runtime.Effect, hash uint64, already, changed bool) (intended bool, err error) {
	h := r.d.Live[e.Kind]
	again := h.Repeat != nil && h.Repeat(e) == door.Again && !changed
	switch {
	case already || r.DryRun || h.Do == nil:
		return already, nil
	case !again:
		err = r.a.durable(ctx, intentEntry(r.index, e, hash, r.d.Now()))
		intended = true
	case !h.Read && !r.a.isOnDisk():
		err = r.a.durable(ctx)
	}
	switch {
	case err == nil:
		return intended, nil
	case errors.Is(err, queue.ErrTooLarge):
		return false, stopped{tooLarge(e)}
	}
	return false, errors.Join(errAbandoned, err)
}

// recover decides about an effect that was in flight at a crash (SPEC §10).
// done says that value is its result.
func (r *run) recover(ctx context.Context, e runtime.Effect, flight *step) (value runtime.Value, done bool, err error) {
	if flight == nil {
		return nil, false, nil
	}
	r.asker.Intended = flight.Intended
	h := r.d.Live[e.Kind]
	repeat := door.Never
	if h.Repeat != nil {
		repeat = h.Repeat(e)
	}
	switch {
	case repeat == door.Again:
		return nil, false, nil
	case repeat == door.Lookup && h.Find != nil:
		v, found, known := h.Find(ctx, &r.asker, e)
		if ctx.Err() != nil {
			return nil, false, errors.Join(errAbandoned, context.Cause(ctx))
		}
		if found || known {
			return v, found, nil
		}
	}
	r.d.Logger.Warn("effect was in flight at a restart and is not repeated", "run", r.ID, "rule", r.Rule, "effect", e.Kind, "step", e.Step)
	return runtime.NewDict("ok", false, "error", "interrupted"), true, nil
}

// traced keeps each effect for the inspector, if there is one.
func (r *run) traced(next runtime.Door) runtime.Door {
	if r.d.Inspector == nil {
		return next
	}
	return runtime.DoorFunc(func(ctx context.Context, e runtime.Effect) (runtime.Value, error) {
		began := r.d.Now()
		v, err := next.Do(ctx, e)
		t := EffectTrace{Step: e.Step, Kind: e.Kind, Args: show(e.Args), Result: show(v), At: e.Pos.String(), Took: r.d.Now().Sub(began)}
		if err != nil {
			t.Result = err.Error()
		}
		r.trace.Effects = append(r.trace.Effects, t)
		return v, err
	})
}
