package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
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
	skipped   Outcome = "skipped" // its `when` said no: kept out of the metrics of runs
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
	cause    *runtime.Error // for on.error rules: the failure
	door     runtime.Door
	asker    *door.Run
	wait     func() (*runtime.Reply, error)
	over     chan struct{} // closed when the run has ended, or is left
	started  time.Time
	passes   int
	steps    uint64
	trace    RunTrace
}

// errAbandoned ends a run without an outcome: the event stays in the store.
var errAbandoned = errors.New("run goes on at the next start")

// queue takes the run's place in line for its first pass: runs start in the
// order in which their events arrived.
func (r *run) queue() {
	r.started = r.d.Now()
	if r.ErrorOf >= 0 {
		r.call.Extra = []runtime.Value{failureValue(r)}
	} else {
		r.call.Input = event.AppendInput(make([]byte, 0, len(r.a.del.Body())+64), r.a.del.Body(), r.Match)
	}
	if q, ok := r.d.Pool.(runtime.Queuer); ok && !r.a.resumed && r.After < 0 {
		r.wait = q.Queue(r.d.runCtx, &r.call)
	}
}

// work takes the run to its outcome.
func (r *run) work() {
	ctx, cancel := context.WithTimeoutCause(r.d.runCtx, r.Limit, errRunLimit)
	defer cancel()
	value, fail, err := r.turn(ctx)
	if err != nil && context.Cause(ctx) == errRunLimit {
		fail, err = &runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitRun, Pos: runtime.Position{Path: r.Script},
			Msg: "the run took longer than " + r.Limit.String(),
		}, nil
	}
	if err != nil {
		if !errors.Is(err, errAbandoned) && context.Cause(r.d.runCtx) != errDrained {
			r.d.Logger.Error("run is left for the next start", "run", r.ID, "rule", r.Rule, "err", err)
		}
		r.a.abandon(r)
		return
	}
	end := ended{Outcome: Done, Error: fail, Steps: r.steps, Passes: r.passes}
	switch {
	case fail != nil:
		end.Outcome = Failed
		r.failed(r.d.runCtx, fail)
	case value == skippedValue{}:
		end.Outcome = skipped
		r.answerEmpty()
	default:
		r.answer(r.d.runCtx, value)
	}
	end.At = r.d.Now()
	end.Took = end.At.Sub(r.started)
	r.report(end)
	if fail != nil {
		r.a.tellErrorRules(r, fail)
	}
	r.a.end(r, end)
}

var errRunLimit = errors.New("limits.run")

// skippedValue is what passesUntilDone returns when `when` said no.
type skippedValue struct{}

// turn waits for the run that this one comes after, if any, and works.
func (r *run) turn(ctx context.Context) (runtime.Value, *runtime.Error, error) {
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
	return r.passesUntilDone(ctx)
}

// passesUntilDone makes passes and performs effects until the handler has
// returned. The error means that the run cannot go on in this process.
func (r *run) passesUntilDone(ctx context.Context) (runtime.Value, *runtime.Error, error) {
	if r.a.resumed {
		if err := r.d.restore(ctx, r.Digest); err != nil {
			return nil, &runtime.Error{
				Kind: runtime.InternalError, Pos: runtime.Position{Path: r.Script},
				Msg: "the version of the script that the run began with is gone: " + err.Error(),
			}, nil
		}
	}
	for {
		reply, err := r.pass(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, e := range reply.Effects {
			if fail, err := r.perform(ctx, e); fail != nil || err != nil {
				return nil, fail, err
			}
		}
		switch reply.Status {
		case runtime.Suspended:
			continue
		case runtime.Failed:
			return nil, reply.Err, nil
		case runtime.Skipped:
			return skippedValue{}, nil, nil
		}
		if reply.FromEffect {
			return nil, nil, nil
		}
		return reply.Return, nil, nil
	}
}

// pass makes one pass and emits its log lines.
func (r *run) pass(ctx context.Context) (*runtime.Reply, error) {
	var reply *runtime.Reply
	var err error
	if r.wait != nil {
		reply, err = r.wait()
		r.wait = nil
	} else {
		reply, err = r.d.Pool.Run(ctx, &r.call)
	}
	if err != nil {
		return nil, err
	}
	r.passes++
	r.steps += reply.Steps
	r.call.SkipLogs += len(reply.Logs)
	for _, l := range reply.Logs {
		r.log(l)
	}
	return reply, nil
}

func (r *run) log(l runtime.LogLine) {
	attrs := []slog.Attr{slog.String("event_id", r.e.ID), slog.String("rule", r.Rule), slog.String("run", r.ID), slog.String("at", l.Pos.String())}
	if l.Attrs != nil {
		for _, f := range l.Attrs.Fields {
			if text, err := runtime.AppendJSON(nil, f.Value); err == nil {
				attrs = append(attrs, slog.String(f.Key, string(text)))
			}
		}
	}
	r.d.Logger.LogAttrs(context.Background(), l.Level, l.Text, attrs...)
	r.trace.Logs = append(r.trace.Logs, l.Level.String()+" "+l.Text)
}

// report counts and logs the outcome of a run.
func (r *run) report(end ended) {
	if end.Outcome == skipped {
		return
	}
	m := r.d.Metrics
	m.Runs.WithLabelValues(r.Rule, string(end.Outcome)).Inc()
	m.RunTime.WithLabelValues(r.Rule).Observe(end.Took.Seconds())
	m.Steps.WithLabelValues(r.Rule).Add(float64(end.Steps))
	level := slog.LevelDebug
	attrs := []slog.Attr{
		slog.String("event_id", r.e.ID), slog.String("event_type", r.e.Type), slog.String("team", r.e.Team),
		slog.String("rule", r.Rule), slog.String("run", r.ID), slog.Float64("dur_ms", float64(end.Took.Microseconds())/1000),
		slog.String("outcome", string(end.Outcome)),
	}
	if end.Error != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.String("err", end.Error.Error()))
		if end.Error.Limit != "" {
			attrs = append(attrs, slog.String("limit", end.Error.Limit))
			m.Limits.WithLabelValues(r.Rule, end.Error.Limit).Inc()
		}
	}
	r.d.Logger.LogAttrs(context.Background(), level, "run ended", attrs...)
	r.traceEnd(end)
}
