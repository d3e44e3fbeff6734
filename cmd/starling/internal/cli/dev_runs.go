package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/queue"
)

// keeper tells the page of dev about runs.
type keeper struct{ e *engine.Engine }

// Run implements sim.RunKeeper.
func (k keeper) Run(ctx context.Context, id string) (any, error) {
	rep, err := k.e.Operator().Run(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return nil, errors.New("nothing is written down of this run yet")
	}
	if err != nil {
		return nil, err
	}
	for i := range rep.Runs {
		if rep.Runs[i].ID == id {
			return rep.Runs[i], nil
		}
	}
	return nil, fmt.Errorf("no run %s", id)
}

// Act implements sim.RunKeeper.
func (k keeper) Act(ctx context.Context, verb, id string, step int, answer json.RawMessage) (any, error) {
	return k.e.Operator().Act(ctx, verb, id, step, &engine.RunRequest{Answer: answer, Who: "the page of dev"})
}
