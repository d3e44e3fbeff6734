package engine

import (
	"sync"
	"sync/atomic"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/hook"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/rules"
)

// webhooks shows the routes of the rules in force to the way in.
type webhooks struct {
	e *Engine
	// now is what was made of the rules in force; making guards its successor.
	now    atomic.Pointer[hookTable]
	making sync.Mutex
}

// hookTable is the routes of one set of rules, with the secrets of one
// configuration.
type hookTable struct {
	set    *rules.Set
	conf   *config.Config
	routes map[*rules.Rule]*ingress.Route
	// limiters outlive the set by the rule's ID: a file that is saved does not
	// start the count anew.
	limiters map[string]*hook.Limiter
}

// Route implements ingress.Webhooks.
func (w *webhooks) Route(method, path string) (*ingress.Route, []string) {
	set := w.e.loader.Current()
	if set == nil {
		return nil, nil
	}
	rule, allow := set.Hook(method, path)
	if rule == nil {
		return nil, allow
	}
	return w.table(set).routes[rule], nil
}

// table is that of a set. Nothing waits for another process or a disk here.
func (w *webhooks) table(set *rules.Set) *hookTable {
	conf := w.e.config()
	if t := w.now.Load(); t != nil && t.set == set && t.conf == conf {
		return t
	}
	w.making.Lock()
	defer w.making.Unlock()
	old := w.now.Load()
	if old != nil && old.set == set && old.conf == conf {
		return old
	}
	secret := func(name string) (string, bool) { v, ok := conf.Secrets[name]; return v, ok }
	t := &hookTable{set: set, conf: conf, routes: map[*rules.Rule]*ingress.Route{}, limiters: map[string]*hook.Limiter{}}
	for _, r := range set.OfKind(event.Webhook) {
		var limiter *hook.Limiter
		if old != nil {
			limiter = old.limiters[r.ID]
		}
		if limiter.Rate() != r.Hook.Rate {
			limiter = hook.NewLimiter(r.Hook.Rate)
		}
		t.limiters[r.ID] = limiter
		t.routes[r] = &ingress.Route{
			Lock: *r.Hook.Lock(secret), MaxBody: r.Hook.MaxBody, Limiter: limiter,
			Dedupe: r.Hook.Dedupe, CheckBody: r.Hook.CheckBody, Hits: w.e.hits.of(r.ID),
		}
	}
	w.now.Store(t)
	return t
}
