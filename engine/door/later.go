package door

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// laterHandlers are of what waits for time alone, or happens at a time.
func (l *live) laterHandlers(all Live) {
	all["sleep"] = Handler{
		Do:   func(context.Context, *Run, runtime.Effect) (runtime.Value, error) { return nil, nil },
		Read: true, Repeat: Always(Again), Wait: l.waitSleep,
		Resume: func(context.Context, *Run, runtime.Effect, *wait.Wait, *wait.Answer) (runtime.Value, error) {
			return nil, nil
		},
	}
	all["after"] = Handler{Do: l.after, Repeat: Always(Again)}
	all["cancel"] = Handler{Do: l.cancel, Repeat: Always(Again)}
}

// guardWait spares the functions of a handler that waits what all have in
// common: dry runs wait for nothing, and a run may be without an event.
func (l *live) guardWait(h *Handler) {
	alone := func(r *Run) *Run {
		if r.Event != nil {
			return r
		}
		with := *r
		with.Event = &event.Event{}
		return &with
	}
	if do := h.Wait; do != nil {
		h.Wait = func(ctx context.Context, r *Run, e runtime.Effect, v runtime.Value) (*wait.Wait, error) {
			if r.DryRun {
				return nil, nil
			}
			return do(ctx, alone(r), e, v)
		}
	}
	if do := h.Hear; do != nil {
		h.Hear = func(ctx context.Context, r *Run, w *wait.Wait, ev *event.Event) wait.Heard {
			return do(ctx, alone(r), w, ev)
		}
	}
	if do := h.Resume; do != nil {
		h.Resume = func(ctx context.Context, r *Run, e runtime.Effect, w *wait.Wait, a *wait.Answer) (runtime.Value, error) {
			return do(ctx, alone(r), e, w, a)
		}
	}
	if do := h.Lost; do != nil {
		h.Lost = func(ctx context.Context, r *Run, w *wait.Wait, a *wait.Answer, ev *event.Event) {
			do(ctx, alone(r), w, a, ev)
		}
	}
}

// began is when an effect was asked for first, also if that was before a crash.
func (l *live) began(r *Run) time.Time {
	if r.Intended.IsZero() {
		return l.Now()
	}
	return r.Intended
}

// seconds is an argument that is a number of seconds.
func (l *live) seconds(e runtime.Effect, name string) time.Duration {
	v, _ := e.Args.Get(name)
	d, err := runtime.ToDuration(v)
	if err != nil || d < 0 {
		return 0
	}
	return d
}

// until is when a wait is over by itself; zero: never.
func (l *live) until(r *Run, e runtime.Effect) time.Time {
	if d := l.seconds(e, "timeout"); d > 0 {
		return l.began(r).Add(d)
	}
	return time.Time{}
}

func (l *live) waitSleep(_ context.Context, r *Run, e runtime.Effect, _ runtime.Value) (*wait.Wait, error) {
	d := l.seconds(e, "duration")
	if d == 0 {
		return nil, nil
	}
	return &wait.Wait{Kind: wait.Sleep, Until: l.began(r).Add(d), Title: "sleep for " + d.String()}, nil
}

// errNowhere says that nothing can wait or begin later here.
var errNowhere = errors.New("not possible here: nothing keeps what is to happen later")

func (l *live) after(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	v, _ := e.Args.Get("fn")
	fn, ok := v.(runtime.Func)
	if !ok {
		return nil, fmt.Errorf("after: fn is a %s, want a function", runtime.TypeName(v))
	}
	if r.Later == nil {
		return nil, fmt.Errorf("after: %w", errNowhere)
	}
	data, _ := e.Args.Get("data")
	return r.Later(ctx, e, l.began(r).Add(l.seconds(e, "delay")), fn, data)
}

func (l *live) cancel(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	if r.Cancel == nil {
		return nil, fmt.Errorf("cancel: %w", errNowhere)
	}
	return r.Cancel(ctx, e.Args.Text("id"))
}
