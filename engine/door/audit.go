package door

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/runtime"
)

// ErrRefused is wrapped by the errors of a policy layer.
var ErrRefused = errors.New("refused by policy")

// Audit is a layer that counts each effect and logs it at debug level: kind,
// run, step, time and outcome, never an argument's value. now is the clock;
// metrics may be nil.
func Audit(next runtime.Door, r *Run, log *slog.Logger, metrics *metric.Set, now func() time.Time) runtime.Door {
	return runtime.DoorFunc(func(ctx context.Context, e runtime.Effect) (runtime.Value, error) {
		ctx, notes := WithNotes(ctx)
		start := now()
		v, err := next.Do(ctx, e)
		outcome := Outcome(v, err)
		if metrics != nil {
			kind := e.Kind
			if errors.Is(err, ErrUnknownKind) {
				kind = "other"
			}
			metrics.Effects.WithLabelValues(kind, outcome).Inc()
		}
		if log.Enabled(ctx, slog.LevelDebug) {
			log.LogAttrs(ctx, slog.LevelDebug, "effect", slog.String("kind", e.Kind), slog.String("run", r.ID),
				slog.Int("step", e.Step), slog.Int64("dur_ms", now().Sub(start).Milliseconds()),
				slog.String("outcome", outcome), slog.String("notes", strings.Join(notes.List(), ", ")))
		}
		return v, err
	})
}

// Outcome names how an effect ended: ok, error or refused. A result whose .ok
// is False is an error.
func Outcome(v runtime.Value, err error) string {
	switch {
	case errors.Is(err, ErrRefused):
		return "refused"
	case err != nil:
		return "error"
	}
	ok, has := runtime.Value(nil), false
	switch v := v.(type) {
	case *runtime.Dict:
		ok, has = v.Get("ok")
	case runtime.JSON:
		if w, err := runtime.ParseView(v); err == nil {
			ok, has = w.Get("ok")
		}
	case *runtime.View:
		ok, has = v.Get("ok")
	}
	if has && ok == false {
		return "error"
	}
	return "ok"
}
