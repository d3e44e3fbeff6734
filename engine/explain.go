package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Offline is an engine that has its rules loaded and nothing else: it listens
// nowhere, stores nothing and performs no effect. It explains events, and lists
// the rules. Safe for concurrent use. Close it when done.
type Offline struct {
	e *Engine
	x *explain.Explainer
}

// OpenOffline loads the rules that o.Config names. Of the options, Config,
// Library and Pool are required; Store, Listener, Admin, Inspector and OnRules
// are not used. Errors of rule files are in Report, not in err.
func OpenOffline(ctx context.Context, o Options) (_ *Offline, err error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	e := &Engine{o: o, log: o.Logger, metrics: metric.New(o.Version), known: newNames(o.Config.Teams)}
	e.cfg.Store(o.Config)
	e.store = queue.NewMemory(queue.MemoryOptions{Now: o.Now})
	defer func() {
		if err != nil {
			e.shut(context.WithoutCancel(ctx))
		}
	}()
	lib, own, err := e.library()
	if err != nil {
		return nil, err
	}
	if e.pool, err = o.Pool(runtime.Host{Library: lib, Input: event.Host}); err != nil {
		return nil, fmt.Errorf("start the pool: %w", err)
	}
	live, err := e.handlers(own)
	if err != nil {
		return nil, err
	}
	e.loader = e.newLoader()
	if _, _, err := e.loader.Load(ctx); err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	return &Offline{e: e, x: explain.New(e.dispatching(live))}, nil
}

// dispatching is how events are taken through the rules, without the parts
// that only a server has.
func (e *Engine) dispatching(live door.Live) dispatch.Options {
	return dispatch.Options{
		Pool: e.pool, Rules: e.loader, Live: live, Permit: e.newPolicy(),
		Limits: e.o.Config.Limits.Runtime(), RunLimit: e.o.Config.Limits.Run,
	}
}

// Know tells the name of a channel, and name and address of a user, as Slack
// would: rules may go by them. Empty ids are left out.
func (o *Offline) Know(ev *event.Event, channel, user, email string) {
	if ev.Channel != "" && channel != "" {
		o.e.known.setChannel(ev.Team+"/"+ev.Channel, channel)
	}
	if ev.User != "" && user+email != "" {
		o.e.known.setUser(ev.Team+"/"+ev.User, userName{user, email})
	}
}

// Explain says what the rules make of an event.
func (o *Offline) Explain(ctx context.Context, ev *event.Event) (*explain.Report, error) {
	return o.x.Event(ctx, ev)
}

// Rules are the rules that are loaded; Report says how each file fares.
func (o *Offline) Rules() *rules.Set { return o.e.loader.Current() }

// Report says how each rule file fares.
func (o *Offline) Report() *rules.Report { return o.e.loader.Report() }

// Bundle returns the sources of a version that is loaded.
func (o *Offline) Bundle(d runtime.Digest) (*runtime.Bundle, bool) { return o.e.loader.Bundle(d) }

// Close ends the pool.
func (o *Offline) Close(ctx context.Context) { o.e.shut(ctx) }

// What a server remembers of the events it has seen, for `starling explain`.
const (
	recentEvents = 256
	recentBytes  = 8 << 20
)

// EventLine is a recent event, and what the rules in force make of it.
type EventLine struct {
	explain.Summary
	// Matched are the ids of the rules that match it now; Refused says why no
	// rule saw it.
	Matched []string `json:"matched"`
	Refused string   `json:"refused,omitempty"`
}

// Explain says what the rules in force make of an event. Nothing is sent or
// stored; rules that go by names may make Slack be asked for those of the
// event's channel and user.
func (e *Engine) Explain(ctx context.Context, ev *event.Event) (*explain.Report, error) {
	copied := *ev
	e.complete(&copied)
	rep, err := e.explainer.Event(ctx, &copied)
	if refused := e.admit(ctx, ev); err == nil && refused != nil {
		rep.Notes = append(rep.Notes, "the server refuses this event, and no rule sees it: "+refused.Error())
	}
	return rep, err
}

// Recent lists the latest events, newest first, at most limit, with the rules
// that match them now.
func (e *Engine) Recent(ctx context.Context, limit int) []EventLine {
	events := e.recent.Latest(limit)
	out := make([]EventLine, len(events))
	for i, ev := range events {
		out[i] = EventLine{Summary: explain.Summarize(ev), Matched: []string{}}
		if err := e.admit(ctx, ev); err != nil {
			out[i].Refused = err.Error()
			continue
		}
		for _, v := range e.explainer.Verdicts(ctx, ev) {
			if v.Matched {
				out[i].Matched = append(out[i].Matched, v.Rule.ID)
			}
		}
	}
	return out
}

// SwitchedOff lists the rules that are switched off, by the breaker or by an
// operator.
func (e *Engine) SwitchedOff() []breaker.Switch { return e.breaker.All() }

// Event returns an event that the server remembers or its store holds, or
// queue.ErrNotFound.
func (e *Engine) Event(ctx context.Context, id string) (*event.Event, error) {
	if ev := e.recent.Get(id); ev != nil {
		return ev, nil
	}
	op := Operator{Store: e.store, Now: e.o.Now}
	return op.Event(ctx, id)
}

// Event returns an event that the store holds, by its id or that of one of its
// runs. It returns queue.ErrNotFound if there is none.
func (o *Operator) Event(ctx context.Context, id string) (*event.Event, error) {
	info, err := o.Store.Event(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		rep, runErr := o.Run(ctx, id)
		if runErr != nil {
			return nil, runErr
		}
		info, err = o.Store.Event(ctx, rep.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("look up event: %w", err)
	}
	if len(info.Body) == 0 {
		return nil, fmt.Errorf("event %s: its payload is not kept any more: %w", id, queue.ErrNotFound)
	}
	ev, err := event.Decode(info.Body)
	if err != nil {
		return nil, fmt.Errorf("read event %s: %w", id, err)
	}
	return ev, nil
}

// prepareExplain makes what answers questions about events.
func (e *Engine) prepareExplain() {
	o := e.dispatching(e.live)
	o.Breaker, o.Names = e.breaker, e.knowNames
	e.recent, e.explainer = explain.NewRing(recentEvents, recentBytes), explain.New(o)
}

// mountExplain adds the endpoints that say what the rules make of an event.
func (e *Engine) mountExplain() {
	e.admin.Handle(http.MethodPost, "/explain", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return e.explainRequest(ctx, r)
	})
	e.admin.Handle(http.MethodGet, "/events", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return ingress.JSON(http.StatusOK, e.Recent(ctx, limitOf(r)))
	})
	e.admin.Handle(http.MethodGet, "/events/{id}", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		ev, err := e.Event(ctx, r.Params["id"])
		if err != nil {
			return reply[any](nil, err)
		}
		return ingress.JSON(http.StatusOK, explain.Store(ev))
	})
}

// explainRequest explains the event of ?id=, or the payload in the body.
func (e *Engine) explainRequest(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
	var ev *event.Event
	var notes []string
	var err error
	if id := r.Query["id"]; id != "" {
		ev, err = e.Event(ctx, id)
	} else if ev, notes, err = explain.Read("payload", r.Body, event.Meta{Received: e.o.Now(), Via: "http"}); err != nil {
		return ingress.JSON(http.StatusBadRequest, map[string]any{"error": err.Error(), "problem": problemOf(err)})
	}
	if err != nil {
		return reply[any](nil, err)
	}
	rep, err := e.Explain(ctx, ev)
	if err != nil {
		return reply[any](nil, err)
	}
	rep.Notes = append(notes, rep.Notes...)
	return ingress.JSON(http.StatusOK, rep)
}

// problemOf is the error with its place in the payload, or nil.
func problemOf(err error) *runtime.Error {
	p, _ := errors.AsType[*runtime.Error](err)
	return p
}
