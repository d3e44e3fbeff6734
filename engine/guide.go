package engine

import (
	"github.com/starling-rules/starling/engine/help"
	"github.com/starling-rules/starling/engine/permit"
	"github.com/starling-rules/starling/engine/rules"
)

// newGuide makes what knows what people can ask the bots for. It is used once
// the loader, the breaker and the dispatcher are there.
func (e *Engine) newGuide() *help.Guide {
	return help.New(help.Options{
		Rules:  func() *rules.Set { return e.loader.Current() },
		Off:    func(r *rules.Rule) bool { _, off := e.breaker.Off(r.ID, r.Digest); return off },
		Permit: func() *permit.Policy { return e.permit }, Submit: e.Accept, Now: e.o.Now,
	})
}
