package scripttest

import (
	"context"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/admin"
	"github.com/starling-rules/starling/engine/rules"
)

// admins is what admins can do in a test: all that concerns rules, runs and
// routes. There is no server to make certificates for.
func (w *world) admins() admin.Operations {
	operator := func() *engine.Operator {
		return &engine.Operator{
			Store: w.store, Now: w.clock.Now, Breaker: w.disp.Breaker,
			Set: func(context.Context) (*rules.Set, error) { return w.loader.Current(), nil },
		}
	}
	ops := engine.OperatorOperations(operator)
	ops.Status = func(ctx context.Context) (any, error) {
		q, err := operator().Queue(ctx, 0)
		if err != nil {
			return nil, err
		}
		return engine.Status{
			Version: "test", Started: w.clock.Now(), Rules: w.loader.Current().Len(), Off: len(w.disp.Breaker.All()),
			Pending: q.Pending, Dead: q.Dead, Health: q.Health, Files: []engine.FileTrouble{},
		}, nil
	}
	ops.Reload = func(context.Context) (any, error) {
		return engine.Reloaded{Rules: w.loader.Current().Len()}, nil
	}
	return ops
}
