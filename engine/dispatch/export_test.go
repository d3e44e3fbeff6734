package dispatch

import (
	"context"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// noRules is a loader without rules.
type noRules struct {
	Rules
	set *rules.Set
}

func (n noRules) Current() *rules.Set { return n.set }

// OutgoingProbe returns what the dispatcher does about a message before it is
// sent where no hook is loaded.
func OutgoingProbe(t *testing.T, args *runtime.Dict) func() {
	t.Helper()
	d := &Dispatcher{Options: Options{Rules: noRules{set: rules.NewSet(nil, nil)}}}
	r := &run{d: d, e: &event.Event{Kind: event.Message}}
	e := runtime.Effect{Step: 1, Kind: "post", Args: args}
	ctx := context.Background()
	return func() {
		out, changed, refused, err := r.outgoing(ctx, e)
		if out.Args != args || changed || refused != nil || err != nil || !d.unguarded(d.Rules.Current(), r.e) {
			t.Error("the message was touched")
		}
	}
}
