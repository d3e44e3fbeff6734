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
	"github.com/starling-rules/starling/engine/permit"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// Outcome is how a run ended: SPEC §1.
type Outcome string

// The outcomes of a run.
const (
	Done      Outcome = "done"
	Failed    Outcome = "failed"
	Waiting   Outcome = "waiting"
	Cancelled Outcome = "cancelled"
	Dead      Outcome = "dead"
	skipped   Outcome = "skipped" // its `when` said no (kept out of the metrics of runs), or its rule is off
)

// run is one rule on one event.
type run struct {
	openRun
	a     *activity
	d     *Dispatcher
	e     *event.Event
	index int

	call     runtime.Call
	ended    ended
	inFlight *step          // an effect whose outcome a crash has hidden
	last     *step          // what an earlier start did for the returned value
	cutOff   bool           // the server stopped before the returned value was dealt with
	held     bool           // an on.error rule whose failure is not recorded: see errorRuns
	cause    *runtime.Error // for on.error rules: the failure
	acquired bool           // its version is kept loaded
	live     runtime.Door
	asker    door.Run
	wait     func() (*runtime.Reply, error)
	over     chan struct{} // if a run comes after this one: closed when it has ended, or is left
	started  time.Time
	passes   int
	steps    uint64
	script   time.Duration // that its passes took
	trace    RunTrace
	notes    notes
	// What it did, for its row; the row that it goes on from, which is nil if it
	// has not parked; the wait whose answer is its next result; the wait at which
	// it parks; how long it was under way before; and an end that is known before
	// it begins (park.go, continue.go).
	done     []step
	row      *wait.Row
	answered *step
	waiting  *step
	spent    time.Duration
	known    *ended
	expected func() // ends that events find the run though it is not parked yet
	// effectAfterwards is what this process did for the returned value.
	effectAfterwards *step
	// notice is set while the server speaks for itself, answering while the
	// hooks are asked about an answer, of which said is the result.
	notice, answering bool
	// permitted tells that the run may go ahead, denied why it may not; until
	// it is known, neither is set.
	permitted bool
	denied    *permit.Verdict
	said      *said
}

// errAbandoned ends a run without an outcome: the event stays in the store.
var errAbandoned = errors.New("run goes on at the next start")

// stopped ends a run as failed; nothing in the script can catch it.
type stopped struct{ cause *runtime.Error }

// Error is that of the cause.
func (s stopped) Error() string { return s.cause.Error() }

// acquire keeps the version loaded until the event is over.
func (r *run) acquire() {
	r.d.Rules.Acquire(r.Digest)
	r.acquired = true
}

// start takes the run's place in line for its first pass, so that runs start
// in the order in which their events arrived, and lets it work.
func (r *run) start() {
	r.started = r.d.Now()
	switch {
	case r.row != nil: // it has its arguments
	case r.ErrorOf >= 0:
		r.call.Extra = []runtime.Value{failureValue(r)}
	default:
		body := r.a.body()
		r.call.Input = event.AppendInput(make([]byte, 0, len(body)+64), body, r.Match)
	}
	r.askPermit(r.d.runCtx, false)
	if q, ok := r.d.Pool.(runtime.Queuer); ok && r.acquired && r.After < 0 && r.permitted && r.Func != usageFunc && r.straight() {
		// Off is asked after Line: a rule that is switched off between the two
		// ends the line.
		line := r.line()
		if _, off := r.off(); !off {
			r.call.Lane = r.e.Conversation() // its first pass alone is in line
			r.wait = q.Queue(line, &r.call)
			r.call.Lane = ""
		}
	}
	r.d.running.Add(1)
	go r.work()
}

// straight reports whether the run begins with a pass: it may be found to have
// parked, or to have ended, and a place in line that is taken has to be used.
func (r *run) straight() bool {
	return r.known == nil && r.answered == nil && r.waiting == nil && !r.cancelled() && (r.inFlight == nil || r.inFlight.Wait == nil)
}

// work takes the run to its outcome.
func (r *run) work() {
	defer r.d.running.Done()
	r.d.active.Store(r.ID, struct{}{})
	defer r.d.active.Delete(r.ID)
	defer r.expectNoMore()
	known, err := r.already(r.d.runCtx)
	if known != nil {
		r.a.end(r, *known)
		return
	}
	var (
		value runtime.Value
		fail  *runtime.Error
	)
	if err == nil {
		value, fail, err = r.outcome()
	}
	if errors.Is(err, errParked) {
		if fail, err = r.parkRun(r.d.runCtx); fail == nil && err == nil {
			r.parked()
			return
		}
	}
	if err != nil {
		r.leave(err)
		return
	}
	end := ended{Outcome: Done, Error: fail}
	off, isOff := value.(offValue)
	usage, isUsage := value.(usageValue)
	r.guard(&end.Error, func() {
		switch {
		case fail != nil && r.aborted(fail):
			end.Error = nil
		case fail != nil:
			r.failed(r.d.runCtx)
		case isOff:
			end.Outcome, end.Why = skipped, off.why
			r.refuse(r.d.runCtx)
		case value == skippedValue{}:
			end.Outcome = skipped
			r.answerEmpty()
		case value == cancelledValue{}:
			end.Outcome, end.Why = Cancelled, r.whyCancelled()
		case isUsage:
			r.tellUsage(r.d.runCtx, usage.text)
		case value == refusedValue{}:
			end.Outcome, end.Why = Cancelled, r.Verdict.Why
			r.tellRefused(r.d.runCtx)
		case r.denied != nil:
			end.Outcome, end.Why = Cancelled, "not permitted: "+r.denied.Why
			r.tellDenied(r.d.runCtx)
		default:
			r.answer(r.d.runCtx, value)
		}
	})
	if end.Error != nil {
		end.Outcome = Failed
	}
	if r.cutOff {
		r.a.abandon(r)
		return
	}
	end = r.measured(end)
	if (end.Outcome == skipped || end.Outcome == Cancelled) && r.cooldown {
		r.d.cooldowns.cancel(cooldownKey(r.Rule, r.e), r.ID)
	}
	if err := r.finish(r.d.runCtx, end); err != nil {
		r.leave(err)
		return
	}
	r.judge(end)
	r.report(end)
	r.tellFailure(end)
	r.a.end(r, end)
}

func (r *run) measured(end ended) ended {
	end.At, end.Steps, end.Passes, end.Took, end.Script = r.d.Now(), r.steps, r.passes, r.underWay(), r.script
	return end
}

// parked ends the run as far as its event is concerned. Nobody waits for the
// answer of a run that waits.
func (r *run) parked() {
	if r.Answer {
		r.d.deliver(r.e, waitingAnswer(r.e))
	}
	end := r.measured(ended{Outcome: Waiting})
	r.trace.Wait = r.waiting.Wait
	r.traceEnd(end)
	r.d.Logger.Debug("run waits", "event_id", r.e.ID, "rule", r.Rule, "run", r.ID, "for", r.waiting.Wait.Kind, "until", r.waiting.Wait.Until)
	r.a.end(r, end)
}

// leave leaves the run for the next start.
func (r *run) leave(err error) {
	if context.Cause(r.d.runCtx) != errDrained {
		r.d.Logger.Error("run is left for the next start", "run", r.ID, "rule", r.Rule, "err", err)
	}
	r.a.abandon(r)
}

// outcome is what the handler returned, or why it failed. An error means that
// the run cannot go on in this process.
func (r *run) outcome() (value runtime.Value, fail *runtime.Error, err error) {
	if v := r.Verdict; v != nil {
		return refusedValue{}, v.Err, nil
	}
	ctx, cancel := context.WithTimeoutCause(r.d.runCtx, max(r.Limit-r.spent, minSegment), errRunLimit)
	defer cancel()
	r.guard(&fail, func() { value, fail, err = r.turn(ctx) })
	if err != nil && !errors.Is(err, errParked) && context.Cause(ctx) == errRunLimit {
		return nil, &runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitRun, Pos: runtime.Position{Path: r.Script},
			Msg: "the run took longer than " + r.Limit.String(),
		}, nil
	}
	return value, fail, err
}

var errRunLimit = errors.New("limits.run")

// minSegment is what a run that is continued has at least, to say how it ends.
const minSegment = time.Second

// guard calls f; a panic of this program becomes the failure of this run alone.
func (r *run) guard(fail **runtime.Error, f func()) {
	defer func() {
		if p := recover(); p != nil {
			r.d.Logger.Error("panic", "run", r.ID, "rule", r.Rule, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			*fail = &runtime.Error{
				Kind: runtime.InternalError, Pos: runtime.Position{Path: r.Script},
				Msg: fmt.Sprintf("panic: %v", p),
			}
		}
	}()
	f()
}

// skippedValue is what passesUntilDone returns when `when` said no,
// cancelledValue of a run that somebody has cancelled.
type (
	skippedValue   struct{}
	cancelledValue struct{}
)

// turn waits for the run that this one comes after, if any, and works.
// A panic below is a fault of this program; it ends this run alone.
func (r *run) turn(ctx context.Context) (value runtime.Value, fail *runtime.Error, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.d.Logger.Error("panic in a run", "run", r.ID, "rule", r.Rule, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			fail = &runtime.Error{Kind: runtime.InternalError, Pos: runtime.Position{Path: r.Script}, Msg: "internal error: see the server's log"}
			value, err = nil, nil
		}
	}()
	if done, fail, err := r.resumeWait(ctx); done || fail != nil || err != nil {
		if done {
			return cancelledValue{}, fail, err
		}
		return nil, fail, err
	}
	if r.After >= 0 && r.After < r.index {
		first := r.a.all()[r.After]
		select {
		case <-first.over:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
		switch first.ended.Outcome {
		case skipped:
		case "":
			return nil, nil, errAbandoned
		default:
			return skippedValue{}, nil, nil
		}
	}
	switch r.askPermit(ctx, true); {
	case r.denied != nil:
		return nil, nil, nil
	case !r.permitted:
		return nil, nil, context.Cause(ctx)
	}
	return r.passesUntilDone(ctx)
}

// passesUntilDone makes passes and performs effects until the handler has
// returned. The error means that the run cannot go on in this process.
func (r *run) passesUntilDone(ctx context.Context) (runtime.Value, *runtime.Error, error) {
	// Who has a place in line has to ask for it: the pool keeps it for him.
	if s, off := r.off(); off && r.wait == nil {
		return offValue{s.Why}, nil, nil
	}
	if text, ok := r.usage(); ok {
		return usageValue{text}, nil, nil
	}
	if !r.acquired {
		if err := r.d.restore(ctx, r.Digest); err != nil {
			if ctx.Err() != nil {
				return nil, nil, context.Cause(ctx)
			}
			return nil, r.gone(err), nil
		}
		r.acquire()
	}
	for {
		reply, err := r.pass(ctx)
		if errors.Is(err, breaker.ErrOff) && ctx.Err() == nil {
			if s, off := r.off(); off {
				return offValue{s.Why}, nil, nil
			}
			continue // it is on again, or another version is off
		}
		if err != nil {
			return nil, nil, err
		}
		raised, fail, err := r.performAll(ctx, reply.Effects)
		if fail != nil || err != nil {
			return nil, fail, err
		}
		if raised {
			continue
		}
		switch reply.Status {
		case runtime.Suspended:
			continue
		case runtime.Failed:
			return nil, reply.Err, nil
		case runtime.Skipped:
			return skippedValue{}, nil, nil
		}
		if flight := r.inFlight; flight != nil {
			return nil, diverged(len(r.call.Results)+1, runtime.Position{Path: r.Script},
				"the script ended, but the journal holds "+flight.Kind+" at "+flight.Pos.String()), nil
		}
		if reply.FromEffect {
			return nil, nil, nil
		}
		return reply.Return, nil, nil
	}
}

// performAll performs the effects of a pass in order. An effect that is to
// raise an error in the script is the last of them: the pass went on as if it
// were well, the next one is told, and may do something else from there.
func (r *run) performAll(ctx context.Context, effects []runtime.Effect) (raised bool, fail *runtime.Error, err error) {
	for _, e := range effects {
		if fail, err := r.perform(ctx, e); fail != nil || err != nil {
			return false, fail, err
		}
		if r.call.Results[len(r.call.Results)-1].Err != "" {
			return true, nil, nil
		}
	}
	return false, nil, nil
}

// gone is the failure of a run whose version cannot be run any more.
func (r *run) gone(err error) *runtime.Error {
	return &runtime.Error{
		Kind: runtime.InternalError, Pos: runtime.Position{Path: r.Script},
		Msg: "the version of the script that the run began with is gone: " + err.Error(),
	}
}

// pass makes one pass and emits its log lines. A pool that cannot run anything
// just now is asked again: nothing else may be wrong with the run.
func (r *run) pass(ctx context.Context) (*runtime.Reply, error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		began := r.d.Now()
		reply, err := r.tryPass(ctx)
		switch {
		case err == nil:
			r.passes++
			r.steps += reply.Steps
			r.script += reply.Took
			r.notes.pass(r.passes, began, len(r.call.Results), reply)
			r.call.SkipLogs += len(reply.Logs)
			for _, l := range reply.Logs {
				r.log(l)
			}
			return reply, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, runtime.ErrUnknownScript):
			return &runtime.Reply{Status: runtime.Failed, Err: r.gone(err)}, nil
		case errors.Is(err, runtime.ErrClosed), errors.Is(err, breaker.ErrOff):
			return nil, err
		}
		r.d.Logger.Warn("run cannot start a pass, it tries again", "run", r.ID, "rule", r.Rule, "err", err)
		if !pause(ctx, wait) {
			return nil, context.Cause(ctx)
		}
	}
}

func (r *run) tryPass(ctx context.Context) (*runtime.Reply, error) {
	if wait := r.wait; wait != nil {
		r.wait = nil
		return wait()
	}
	return r.d.Pool.Run(ctx, &r.call)
}

func (r *run) log(l runtime.LogLine) {
	r.notes.log(r.passes, l)
	if r.d.Inspector != nil {
		r.trace.Logs = append(r.trace.Logs, l.Level.String()+" "+logText(l))
	}
	if !r.d.Logger.Enabled(context.Background(), l.Level) {
		return
	}
	attrs := []slog.Attr{slog.String("event_id", r.e.ID), slog.String("rule", r.Rule), slog.String("run", r.ID), slog.String("at", l.Pos.String())}
	if l.Attrs != nil {
		for _, f := range l.Attrs.Fields {
			if text, err := runtime.AppendJSON(nil, f.Value); err == nil {
				attrs = append(attrs, slog.String(f.Key, string(text)))
			}
		}
	}
	r.d.Logger.LogAttrs(context.Background(), l.Level, l.Text, attrs...)
}

// report counts and logs the outcome of a run.
func (r *run) report(end ended) {
	m := r.d.Metrics
	switch {
	case end.Outcome == Cancelled && r.row != nil:
		m.Runs.WithLabelValues(r.Rule, string(Cancelled)).Inc()
		r.traceEnd(end)
		r.d.Logger.Info("run is cancelled", "event_id", r.e.ID, "event_type", r.e.Type, "team", r.e.Team, "rule", r.Rule, "run", r.ID, "why", end.Why)
		return
	case end.Outcome == Cancelled:
		m.Runs.WithLabelValues(r.Rule, string(Cancelled)).Inc()
		r.traceEnd(end)
		r.d.Logger.Info("refused", "event_id", r.e.ID, "event_type", r.e.Type, "team", r.e.Team, "rule", r.Rule, "run", r.ID, "why", end.Why)
		return
	case end.Why != "":
		m.Runs.WithLabelValues(r.Rule, string(skipped)).Inc()
		r.traceEnd(end)
		r.d.Logger.Debug("run is skipped", "event_id", r.e.ID, "rule", r.Rule, "run", r.ID, "why", end.Why)
		return
	case end.Outcome == skipped:
		return
	}
	m.Runs.WithLabelValues(r.Rule, string(end.Outcome)).Inc()
	m.RunTime.WithLabelValues(r.Rule).Observe(end.Took.Seconds())
	m.Steps.WithLabelValues(r.Rule).Add(float64(end.Steps))
	r.traceEnd(end)
	if limit := limitOf(end.Error); limit != "" {
		m.Limits.WithLabelValues(r.Rule, limit).Inc()
	}
	level := slog.LevelDebug
	if end.Error != nil {
		level = slog.LevelError
	}
	if !r.d.Logger.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("event_id", r.e.ID), slog.String("event_type", r.e.Type), slog.String("team", r.e.Team),
		slog.String("rule", r.Rule), slog.String("run", r.ID), slog.Float64("dur_ms", float64(end.Took.Microseconds())/1000),
		slog.String("outcome", string(end.Outcome)),
	}
	if end.Error != nil {
		attrs = append(attrs, slog.String("err", end.Error.Error()))
		if end.Error.Limit != "" {
			attrs = append(attrs, slog.String("limit", end.Error.Limit))
		}
	}
	r.d.Logger.LogAttrs(context.Background(), level, "run ended", attrs...)
}
