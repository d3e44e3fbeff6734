package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// Errors of what is done to runs. Wrapped with detail.
var (
	// ErrNotWaiting: there is nothing to cancel or to answer; somebody else, or
	// the time, may have been first.
	ErrNotWaiting = errors.New("the run does not wait")
	// ErrBadAnswer: the run waits for something else.
	ErrBadAnswer = errors.New("this is no answer to what the run waits for")
	// ErrNeedsServer: only a server knows the rules in force.
	ErrNeedsServer = errors.New("only a running server can do that")
)

// Acted is what became of a run that an operator did something to.
type Acted struct {
	Run string `json:"run"`
	// Did says it in a word: cancelled, continued, retried, restarted.
	Did string `json:"did"`
	// New is the id of the run that takes its place, after a retry or restart;
	// Step is where that goes on.
	New  string `json:"new_run,omitempty"`
	Step int    `json:"step,omitempty"`
	// Error is why nothing was done, where several runs are dealt with.
	Error string `json:"error,omitempty"`
}

// CancelRun ends a run that waits. who is the operator.
func (o *Operator) CancelRun(ctx context.Context, id, who string) (Acted, error) {
	_, err := o.claim(ctx, id, func(*wait.Row) (*wait.Answer, error) {
		return &wait.Answer{By: wait.ByCancel, Who: who}, nil
	})
	return Acted{Run: id, Did: "cancelled"}, err
}

// ContinueRun answers what a run waits for in the place of people, events and
// the time. answer is JSON: of ask the text or the value of a choice, of
// ask_form the values of the form by action_id, of others what the script is to
// get; empty for none, as when the time is over.
func (o *Operator) ContinueRun(ctx context.Context, id string, answer json.RawMessage, who string) (Acted, error) {
	_, err := o.claim(ctx, id, func(row *wait.Row) (*wait.Answer, error) {
		v, err := answerTo(row.Wait, answer)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", id, err)
		}
		return &wait.Answer{By: wait.ByOperator, Who: who, Value: v}, nil
	})
	return Acted{Run: id, Did: "continued"}, err
}

// claim answers the wait of a run, and has it go on.
func (o *Operator) claim(ctx context.Context, id string, answer func(*wait.Row) (*wait.Answer, error)) (*wait.Row, error) {
	reg := o.registry()
	row, err := reg.Get(ctx, id)
	if err != nil {
		return nil, o.whyNot(ctx, id, err)
	}
	if row.State != wait.Waiting {
		return nil, notWaiting(row)
	}
	a, err := answer(row)
	if err != nil {
		return nil, err
	}
	a.At = o.Now()
	row, won, err := reg.Claim(ctx, id, row.Wait.Point(), a)
	if err != nil {
		return nil, fmt.Errorf("answer run %s: %w", id, err)
	}
	if !won {
		return nil, notWaiting(row)
	}
	if err := reg.Continue(ctx, row); err != nil {
		return nil, fmt.Errorf("have run %s go on: %w", id, err)
	}
	return row, nil
}

// whyNot tells a run that never waited from one that there is not.
func (o *Operator) whyNot(ctx context.Context, id string, err error) error {
	if !errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("look up run %s: %w", id, err)
	}
	if _, findErr := o.eventOf(ctx, id); findErr != nil {
		return fmt.Errorf("run %s: %w", id, queue.ErrNotFound)
	}
	return fmt.Errorf("run %s: %w: it has ended, or is under way", id, ErrNotWaiting)
}

func notWaiting(row *wait.Row) error {
	why := "it has ended: " + row.Outcome
	if row.State != wait.Ended {
		why = "it goes on just now"
		if a := row.Answer; a != nil {
			switch {
			case a.By == wait.ByEvent && a.Event.User != "":
				why = a.Event.User + " was first"
			case a.By == wait.ByTimeout:
				why = "the time was over"
			case a.Who != "":
				why = a.Who + " was first"
			}
		}
	}
	return fmt.Errorf("run %s: %w: %s", row.Run, ErrNotWaiting, why)
}

// answerTo makes what the handler of a wait understands of an operator's answer.
func answerTo(w *wait.Wait, text json.RawMessage) (*runtime.Dict, error) {
	if len(text) == 0 {
		return nil, nil
	}
	v, err := runtime.ParseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("%w: read JSON: %w", ErrBadAnswer, err)
	}
	d, isDict := v.(*runtime.Dict)
	switch w.Kind {
	case wait.Sleep, wait.After:
		if v != nil {
			return nil, fmt.Errorf("%w: it waits for a time, leave the answer out", ErrBadAnswer)
		}
		return nil, nil
	case wait.Ask:
		return chooseFor(w, v)
	case wait.AskForm:
		if !isDict {
			return nil, fmt.Errorf("%w: it waits for a form, want an object from action_id to value", ErrBadAnswer)
		}
		if _, whole := d.Get("values"); whole {
			return d, nil
		}
		return runtime.NewDict("values", d), nil
	}
	switch {
	case v == nil:
		return nil, nil
	case isDict:
		return d, nil
	}
	if s, ok := v.(string); ok && w.Kind != wait.Trigger {
		return runtime.NewDict("text", s, "answer", s), nil
	}
	return runtime.NewDict("answer", v), nil
}

// chooseFor finds the choice of a question that is meant.
func chooseFor(w *wait.Wait, v runtime.Value) (*runtime.Dict, error) {
	if v == nil {
		return nil, nil
	}
	if d, ok := v.(*runtime.Dict); ok {
		if inner, given := d.Get("choice"); given {
			v = inner
		}
	}
	list, _ := w.Match.Get("choices")
	choices, _ := list.(runtime.List)
	names := make([]string, 0, len(choices))
	for i, c := range choices {
		name, value := c, c
		if d, ok := c.(*runtime.Dict); ok {
			name = d.Text("text")
			value, _ = d.Get("value")
		}
		if same(v, name) || value != nil && same(v, value) { // as the handler takes them
			return runtime.NewDict("choice", int64(i)), nil
		}
		if s, ok := name.(string); ok {
			names = append(names, s)
		}
	}
	hint := "the choices are " + strings.Join(names, ", ")
	if s, ok := v.(string); ok {
		if n := runtime.Nearest(s, names); n != "" {
			hint = "did you mean " + n + "? " + hint
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrBadAnswer, hint)
}

// same compares values by what they look like: an operator who writes 2 may
// mean the number and the text.
func same(a, b runtime.Value) bool {
	look := func(v runtime.Value) string {
		if s, ok := v.(string); ok {
			return s
		}
		text, err := runtime.AppendJSON(nil, v)
		if err != nil {
			return ""
		}
		return string(text)
	}
	return look(a) == look(b)
}

// RetryRun has a run begin again on its version as a new one, which keeps the
// results of the steps before. Step 0 is the one that failed, or the next after
// those that were done. A run that waits is cancelled.
func (o *Operator) RetryRun(ctx context.Context, id string, step int, who string) (Acted, error) {
	past, row, err := o.past(ctx, id)
	if err != nil {
		return Acted{}, err
	}
	if step == 0 {
		if step = past.FailedAt(); step == 0 {
			return Acted{}, fmt.Errorf("run %s: %w: it ended well; say from which step", id, dispatch.ErrNotAgain)
		}
	}
	next, err := past.Retry(step, who, o.Now())
	if err != nil {
		return Acted{}, fmt.Errorf("run %s: %w", id, err)
	}
	return Acted{Run: id, Did: "retried", New: next.Run, Step: step}, o.replace(ctx, row, next, who)
}

// RestartRun has a run begin again, from its start, on the version in force. A
// run that waits is cancelled.
func (o *Operator) RestartRun(ctx context.Context, id, who string) (Acted, error) {
	if o.Restart == nil {
		return Acted{}, fmt.Errorf("restart run %s: %w", id, ErrNeedsServer)
	}
	past, row, err := o.past(ctx, id)
	if err != nil {
		return Acted{}, err
	}
	next, err := o.Restart(ctx, past, who, o.Now())
	if err != nil {
		return Acted{}, fmt.Errorf("run %s: %w", id, err)
	}
	return Acted{Run: id, Did: "restarted", New: next.Run, Step: 1}, o.replace(ctx, row, next, who)
}

// replace cancels a run that waits, and begins the next one. Whoever wins the
// wait against the operator keeps the run: then there is no other.
func (o *Operator) replace(ctx context.Context, row, next *wait.Row, who string) error {
	if row != nil && row.State == wait.Waiting {
		if _, err := o.CancelRun(ctx, row.Run, who); err != nil {
			return err
		}
	}
	if err := o.registry().Begin(ctx, next); err != nil {
		return fmt.Errorf("begin run %s: %w", next.Run, err)
	}
	return nil
}

// past is a run as far as it came, and its row if it has one.
func (o *Operator) past(ctx context.Context, id string) (*dispatch.Past, *wait.Row, error) {
	row, err := o.registry().Get(ctx, id)
	switch {
	case err == nil && row.State == wait.Answered:
		return nil, nil, fmt.Errorf("%w: it has been answered, and goes on just now", dispatch.ErrNotAgain)
	case err == nil:
		p, err := dispatch.PastOfRow(row)
		return p, row, err
	case !errors.Is(err, queue.ErrNotFound):
		return nil, nil, err
	}
	info, err := o.eventOf(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		info, err = o.deadEventOf(ctx, id)
	}
	if err != nil {
		return nil, nil, err
	}
	p, err := dispatch.PastOfEvent(info, id)
	return p, nil, err
}

// deadEventOf looks for the event of a run among the dead letters.
func (o *Operator) deadEventOf(ctx context.Context, run string) (queue.EventInfo, error) {
	infos, err := o.Store.DeadLetters(ctx, maxScan)
	if err != nil {
		return queue.EventInfo{}, err
	}
	for _, info := range infos {
		if rep, err := dispatch.Report(info); err == nil {
			for _, r := range rep.Runs {
				if r.ID == run {
					return info, nil
				}
			}
		}
	}
	return queue.EventInfo{}, fmt.Errorf("run %s: %w", run, queue.ErrNotFound)
}
