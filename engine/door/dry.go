package door

import (
	"context"

	"github.com/starling-rules/starling/runtime"
)

// Dry returns handlers of the same kinds that perform nothing: they return ok
// with empty data, as for a rule with dry_run. Nothing is sent, read or stored,
// and no secret is opened.
func (l Live) Dry() Live {
	out := make(Live, len(l))
	for kind := range l {
		out[kind] = Handler{
			Do: func(_ context.Context, _ *Run, e runtime.Effect) (runtime.Value, error) {
				return dry(kind, e), nil
			},
			Read: true, Repeat: Always(Again),
		}
	}
	return out
}
