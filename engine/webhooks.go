package engine

import (
	"context"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/rules"
)

// hooksHit counts the requests for each webhook, by the id of its rule, since
// this process was started. Changes of a file leave the count of its rules.
type hooksHit struct{ m sync.Map } // id → *ingress.Hits

// of returns the count of a rule.
func (h *hooksHit) of(rule string) *ingress.Hits {
	if v, ok := h.m.Load(rule); ok {
		return v.(*ingress.Hits)
	}
	v, _ := h.m.LoadOrStore(rule, &ingress.Hits{})
	return v.(*ingress.Hits)
}

// keep forgets the rules that are not there any more.
func (h *hooksHit) keep(set *rules.Set) {
	h.m.Range(func(id, _ any) bool {
		if set.Rule(id.(string)) == nil {
			h.m.Delete(id)
		}
		return true
	})
}

// HookReport is a webhook of the rules as operators see it.
type HookReport struct {
	Path    string   `json:"path"`
	Methods []string `json:"methods"`
	Rule    string   `json:"rule"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
	// Auth says in a word or two who may call: open, or what is to be proved.
	Auth  string        `json:"auth"`
	State breaker.State `json:"state"`
	// Hits are the requests since the server was started, also those that were
	// refused; LastStatus is how the latest was answered, LastAt when. They are
	// those of the process that is asked, and not known without one.
	Hits       uint64     `json:"hits"`
	LastStatus int        `json:"last_status,omitempty"`
	LastAt     *time.Time `json:"last_at,omitempty"`
}

// Webhooks lists the webhooks of the rules in force, by path.
func (o *Operator) Webhooks(ctx context.Context) ([]HookReport, error) {
	set, err := o.Set(ctx)
	if err != nil {
		return nil, err
	}
	out := []HookReport{}
	for _, r := range set.Rules() {
		if r.Hook == nil {
			continue
		}
		rep := HookReport{
			Path: r.Hook.Path, Methods: r.Hook.Methods, Rule: r.ID, File: r.Pos.Path, Line: r.Pos.Line,
			Auth: r.Hook.Guard(), State: breaker.On,
		}
		if o.Breaker != nil {
			if s, off := o.Breaker.Off(r.ID, r.Digest); off {
				rep.State = s.State
			}
		}
		if rep.State == breaker.On && !r.Enabled {
			rep.State = breaker.Disabled
		}
		if o.Hits != nil {
			seen := o.Hits(r.ID)
			rep.Hits, rep.LastStatus = seen.Hits, seen.Status
			if !seen.At.IsZero() {
				at := seen.At.UTC()
				rep.LastAt = &at
			}
		}
		out = append(out, rep)
	}
	sortHooks(out)
	return out, nil
}
