package dispatch

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/runtime"
)

// openDoor stacks the layers that the effects of this run pass:
//
//	perform ► [policy] ► [journal] ► [audit, metrics, trace] ► live handler
func (r *run) openDoor() {
	r.asker = &door.Run{
		ID: r.ID, Event: r.e, Script: r.Script, Rule: r.Rule,
		Resumed: r.a.resumed, Responses: r.a.used, DryRun: r.DryRun,
	}
	live := r.traced(door.Audit(r.d.Live.Door(r.asker), r.asker, r.d.Logger, r.d.Metrics, r.d.Now))
	r.door = r.policy(r.journal(live))
}

// perform takes one effect through the door and keeps its result for the next
// pass. A *runtime.Error ends the run as failed; an error leaves the run for
// the next start.
func (r *run) perform(ctx context.Context, e runtime.Effect) (*runtime.Error, error) {
	if r.door == nil {
		r.openDoor()
	}
	e.Step = len(r.call.Results) + 1
	value, err := r.door.Do(ctx, e)
	if err != nil {
		if fail, ok := errors.AsType[*runtime.Error](err); ok {
			if fail.Pos.IsZero() {
				fail.Pos = e.Pos
			}
			return fail, nil
		}
		if ctx.Err() != nil || errors.Is(err, errAbandoned) {
			return nil, err
		}
	}
	res := runtime.StepResult{Hash: e.Hash(), Kind: e.Kind, Value: value}
	if err != nil {
		res.Err = err.Error()
	}
	r.a.countResponse(e.Kind)
	r.call.Results = append(r.call.Results, res)
	return nil, nil
}

// policy refuses what limits and the rule's own options forbid, before it
// leaves a trace.
func (r *run) policy(next runtime.Door) runtime.Door {
	return runtime.DoorFunc(func(ctx context.Context, e runtime.Effect) (runtime.Value, error) {
		if most := r.d.Limits.Effects; e.Step > most {
			return nil, &runtime.Error{
				Kind: runtime.LimitError, Limit: runtime.LimitEffects,
				Msg: fmt.Sprintf("%s would be effect %d of the run, and the limit is %d", e.Kind, e.Step, most),
			}
		}
		if len(r.Hosts) > 0 && strings.HasPrefix(e.Kind, "http_") && !r.hostAllowed(hostOf(e.Args)) {
			return nil, fmt.Errorf("%w: %s: host %s is not among the rule's hosts", door.ErrRefused, e.Kind, strconv.Quote(hostOf(e.Args)))
		}
		return next.Do(ctx, e)
	})
}

func (r *run) hostAllowed(host string) bool {
	for _, glob := range r.Hosts {
		if ok, _ := path.Match(glob, host); ok {
			return true
		}
	}
	return false
}

// journal writes down the intent before an effect that must not happen twice,
// and the result after every effect. After a crash it decides about the
// effect that was in flight.
func (r *run) journal(next runtime.Door) runtime.Door {
	return runtime.DoorFunc(func(ctx context.Context, e runtime.Effect) (runtime.Value, error) {
		flight := r.inFlight
		r.inFlight = nil
		hash := e.Hash()
		if flight != nil && flight.Hash != hash {
			return nil, &runtime.Error{
				Kind: runtime.DivergedError,
				Msg:  fmt.Sprintf("replay diverged at step %d: the script asks for %s, the journal holds %s", e.Step, e.Kind, flight.Kind),
			}
		}
		intended := flight != nil
		value, done, err := r.recover(ctx, e, flight)
		if !done && err == nil {
			if intended, err = r.intend(ctx, e, intended); err == nil {
				value, err = next.Do(ctx, e)
			}
		}
		if err != nil && (ctx.Err() != nil || errors.Is(err, errAbandoned)) {
			return nil, err // nothing is known of its outcome: none is recorded
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		r.a.open()
		r.a.del.AppendLater(resultEntry(r.index, e, hash, !intended, r.d.Now(), value, text))
		return value, err
	})
}

// intend makes sure that enough is on disk for the effect to be performed:
// nothing for a read, the runs of the event for what can be done again, the
// intent itself for everything else.
func (r *run) intend(ctx context.Context, e runtime.Effect, already bool) (intended bool, err error) {
	h := r.d.Live[e.Kind]
	again := h.Repeat != nil && h.Repeat(e) == door.Again
	switch {
	case already || r.DryRun || h.Do == nil:
		return already, nil
	case !again:
		if err := r.a.durable(ctx, intentEntry(r.index, e, r.d.Now())); err != nil {
			return false, errors.Join(errAbandoned, err)
		}
		return true, nil
	case !h.Read && !r.a.isOnDisk():
		if err := r.a.durable(ctx); err != nil {
			return false, errors.Join(errAbandoned, err)
		}
	}
	return false, nil
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
		v, found, known := h.Find(ctx, r.asker, e)
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
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

// isOnDisk reports whether the first record is written.
func (a *activity) isOnDisk() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.onDisk
}
