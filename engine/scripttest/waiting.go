package scripttest

import (
	"context"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// waiting is the expectation that a run waits, and for what.
func waiting(r *run, a *runtime.Args) *Failure {
	waits := r.waits()
	if len(waits) == 0 && a.Int("times", -1) != 0 {
		return failf("expected the run to wait, it is %s", r.outcome())
	}
	return r.among(a, "wait", wanted(a, "text", "kind"), waits)
}

// waits are what the runs wait for at this moment.
func (r *run) waits() []*call {
	var out []*call
	for _, t := range r.ended() {
		if x := r.waitOf(t); x != nil {
			out = append(out, &call{method: x.Kind, args: fieldsOf(x)})
		}
	}
	return out
}

// waitOf is what a run waits for, as the store has it: answers may have come,
// though not enough of them.
func (r *run) waitOf(t dispatch.RunTrace) *wait.Wait {
	if t.Outcome != dispatch.Waiting || r.w.disp == nil {
		return nil
	}
	if row, err := r.w.disp.Waiting().Get(context.Background(), t.ID); err == nil && row.State == wait.Waiting {
		return row.Wait
	}
	return t.Wait
}

// fieldsOf are those of a wait as tests see it.
func fieldsOf(w *wait.Wait) *runtime.Dict {
	text := w.Match.Text("text")
	if text == "" {
		text = w.Title
	}
	d := runtime.NewDict("text", text, "kind", w.Kind)
	for _, name := range []string{"channel", "ts", "thread", "choices", "quorum"} {
		if v, ok := w.Match.Get(name); ok && v != nil {
			d.Set(name, plain(v))
		}
	}
	if who, ok := w.Match.Get("users"); ok {
		d.Set("who", plain(who))
	}
	if n, ok := w.State.Get("answers"); ok {
		d.Set("answers", plain(n))
	}
	if !w.Until.IsZero() {
		d.Set("until", w.Until.UTC().Format(time.RFC3339))
	}
	return d
}

// waitLine says for people what a run waits for.
func waitLine(w *wait.Wait) string {
	line := "waits for " + w.Kind
	if w.Title != "" {
		line += ": " + clip(w.Title)
	}
	if !w.Until.IsZero() {
		line += " (until " + w.Until.UTC().Format(time.RFC3339) + ")"
	}
	return line
}
