package engine

import (
	"sync"

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
