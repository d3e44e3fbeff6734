package scripttest

import (
	"context"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// asker is who makes a request: recorders find it in the request's context.
type asker struct {
	run    *door.Run
	effect runtime.Effect
}

type askerKey struct{}

func askerOf(ctx context.Context) *asker {
	a, _ := ctx.Value(askerKey{}).(*asker)
	return a
}

func asked(ctx context.Context, r *door.Run, e runtime.Effect) context.Context {
	return context.WithValue(ctx, askerKey{}, &asker{r, e})
}

// asking is a handler whose requests tell who makes them.
func (w *world) asking(kind string, h door.Handler) door.Handler {
	out := h
	out.Do = func(ctx context.Context, r *door.Run, e runtime.Effect) (runtime.Value, error) {
		return h.Do(asked(ctx, r, e), r, e)
	}
	if h.Hear != nil {
		out.Hear = func(ctx context.Context, r *door.Run, x *wait.Wait, ev *event.Event) wait.Heard {
			ctx = asked(ctx, r, runtime.Effect{Kind: kind})
			return w.during(ctx, "then:"+r.ID+"/"+ev.ID, h.Hear(ctx, r, x, ev))
		}
	}
	if h.Resume != nil {
		out.Resume = func(ctx context.Context, r *door.Run, e runtime.Effect, x *wait.Wait, a *wait.Answer) (runtime.Value, error) {
			return h.Resume(asked(ctx, r, e), r, e, x, a)
		}
	}
	if h.Lost != nil {
		out.Lost = func(ctx context.Context, r *door.Run, x *wait.Wait, a *wait.Answer, ev *event.Event) {
			h.Lost(asked(ctx, r, runtime.Effect{Kind: kind}), r, x, a, ev)
		}
	}
	return out
}

// during has what is done beside the event that a wait has heard be over before
// the test goes on.
func (w *world) during(ctx context.Context, id string, heard wait.Heard) wait.Heard {
	then := heard.Then
	if then == nil {
		return heard
	}
	w.store.enter(id)
	heard.Then = func(ran context.Context) {
		defer w.store.leave(id)
		if a := askerOf(ctx); a != nil {
			ran = asked(ran, a.run, a.effect)
		}
		then(ran)
	}
	return heard
}
