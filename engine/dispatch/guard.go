package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Guards are asked about an event before it is matched. One that lets it on
// leaves no trace of its own: the first record of the event, which lists its
// runs, says so. A refusal is recorded as a run of the guard with its verdict,
// so that after a crash whoever asked is told what was decided then.

// verdict is why an event is refused, or a run.
type verdict struct {
	// Why is for operators, Text for whoever asked; it may be empty.
	Why, Text string
	// Status answers a webhook; 0: 403.
	Status int
	// Err is set if the guard failed.
	Err *runtime.Error
}

// refusedValue is what outcome returns for an event, or a run, that is refused.
type refusedValue struct{}

// unguarded reports whether no guard is to be asked about an event.
func (d *Dispatcher) unguarded(set *rules.Set, e *event.Event) bool {
	return !set.HasGuards() || len(set.Missing(rules.Guard)) == 0 && len(set.Guards(e, nil)) == 0
}

// guarded takes an event past the guards: to its rules, or to its end.
func (d *Dispatcher) guarded(del queue.Delivery, e *event.Event, counted bool) {
	open, err := d.askGuards(del, e)
	switch {
	case err != nil: // the event goes on at the next start
		return
	case open == nil:
		d.fresh(del, e, counted)
	default:
		d.refuseEvent(del, e, open, counted)
	}
}

// askGuards returns the run that stands for a refusal, or nil.
func (d *Dispatcher) askGuards(del queue.Delivery, e *event.Event) (*openRun, error) {
	for d.runCtx.Err() == nil {
		set := d.Rules.Current()
		if files := set.Missing(rules.Guard); len(files) > 0 {
			d.Logger.Error("event is refused: a rule file that may hold a guard does not load", "event_id", e.ID, "files", files)
			why := "refused: " + strings.Join(files, ", ") + " may hold a guard, and does not load"
			return &openRun{Rule: files[0], Script: files[0], Verdict: &verdict{Why: why, Err: fileFault(files[0], why)}}, nil
		}
		open, err := d.askEach(del, e, set.Guards(e, nil))
		if !errors.Is(err, errGone) {
			return open, err
		}
	}
	return nil, errAbandoned
}

func fileFault(path, why string) *runtime.Error {
	return &runtime.Error{Kind: runtime.LoadError, Pos: runtime.Position{Path: path}, Msg: why, Hint: "starling check tells what is wrong with it"}
}

func (d *Dispatcher) askEach(del queue.Delivery, e *event.Event, guards []*rules.Rule) (*openRun, error) {
	for _, r := range guards {
		skip, off := d.hookOff(r)
		if skip {
			continue
		}
		id := runID(e.RunKey(), r.ID)
		open := &openRun{ID: id, Rule: r.ID, Script: r.Script, Digest: r.Digest, Func: r.Func}
		if off != "" {
			why := "refused: the guard is " + off
			open.Verdict = &verdict{Why: why, Err: &runtime.Error{Kind: runtime.RunError, Pos: r.Pos, Msg: why, Hint: "starling rules enable or disable ends this"}}
			return open, nil
		}
		h := hooked{rule: r, id: id, e: e, input: event.AppendInput(nil, del.Body(), nil)}
		v, fail, err := d.ask(d.runCtx, h)
		if err != nil {
			return nil, err
		}
		if fail != nil {
			d.judgeHook(h, fail)
		}
		if open.Verdict = guardVerdict(r, v, fail); open.Verdict != nil {
			return open, nil
		}
	}
	return nil, nil
}

// guardVerdict reads what a guard returned; nil lets the event on.
func guardVerdict(r *rules.Rule, v runtime.Value, fail *runtime.Error) *verdict {
	switch {
	case fail != nil && fail.Kind == runtime.AbortError:
		return &verdict{Why: "refused by " + r.ID, Text: fail.Msg, Status: fail.Status}
	case fail != nil:
		return &verdict{Why: "refused: the guard failed", Err: fail}
	case v == true:
		return nil
	case v == false:
		return &verdict{Why: "refused by " + r.ID}
	}
	if text, ok := v.(string); ok && text != "" {
		return &verdict{Why: "refused by " + r.ID + ": " + text, Text: text}
	}
	return &verdict{Why: "refused: the guard gave no verdict", Err: &runtime.Error{
		Kind: runtime.RunError, Pos: r.Pos, Msg: fmt.Sprintf("on.guard: the guard returned %s, which refuses the event", describe(v)),
		Hint: "return True to let it on, False or a text to refuse it",
	}}
}

func describe(v runtime.Value) string {
	switch v {
	case nil:
		return "nothing"
	case "":
		return "an empty text"
	}
	return "a " + runtime.TypeName(v)
}

// refuseEvent records the refusal as the one run of the event, and tells who asked.
func (d *Dispatcher) refuseEvent(del queue.Delivery, e *event.Event, open *openRun, counted bool) {
	set := d.Rules.Current()
	d.traceRefused(set, e, open.Verdict.Why)
	act := newActivity(d, del, e)
	act.counted = counted
	open.ID = runID(act.key, open.Rule)
	open.When, open.ErrorOf, open.After = -1, -1, -1
	open.Answer, open.Limit = e.Answered(), d.RunLimit
	if act.key != del.ID() {
		if held := del.Claim([]string{open.ID}); len(held) == 1 && !held[0] {
			d.tell(e, emptyAnswer(e)) // refused already, under another event id
			del.Settle()
			return
		}
	}
	if e.Kind == event.Message && len(set.Match(e, nil)) == 0 {
		open.Verdict.Text = "" // nobody asked for anything
	}
	act.place(*open)
	act.start()
}

// traceRefused tells the inspector why the event reached no rule.
func (d *Dispatcher) traceRefused(set *rules.Set, e *event.Event, why string) {
	if d.Inspector == nil {
		return
	}
	verdicts := d.explain(set, e)
	for i := range verdicts {
		if v := &verdicts[i]; v.Matched {
			v.Matched, v.Why = false, why
		}
	}
	d.Inspector.Event(EventTrace{Event: e, Verdicts: verdicts})
}

// tellRefused tells whoever asked that it is refused: with the guard's own
// words, or in short where somebody waits.
func (r *run) tellRefused(ctx context.Context) { r.tellVerdict(ctx, r.Verdict) }

func (r *run) tellVerdict(ctx context.Context, v *verdict) {
	r.notice = true
	status := v.Status
	if status == 0 {
		status = http.StatusForbidden
	}
	text := v.Text
	if r.e.Kind == event.Webhook {
		if text == "" {
			text = "refused"
		}
		r.d.deliver(r.e, &event.Answer{Status: status, ContentType: "text/plain; charset=utf-8", Body: []byte(text + "\n")})
		return
	}
	switch {
	case text != "" && r.e.Kind == event.Message && r.e.Channel != "" && r.e.User != "":
		r.effectAfter(ctx, "ephemeral", runtime.NewDict("channel", r.e.Channel, "user", r.e.User, "text", text))
	case text != "":
		r.apologise(ctx, text, status)
	case r.e.Kind == event.Command || r.e.Kind == event.Submit:
		r.apologise(ctx, "This is not allowed here.", status)
	default:
		r.answerEmpty()
	}
}

// verdictDict and dictVerdict carry a verdict in the first record of an event.
func verdictDict(v *verdict) *runtime.Dict {
	d := runtime.NewDict("why", v.Why, "text", v.Text, "status", int64(v.Status))
	if v.Err != nil {
		d.Set("error", errorDict(v.Err))
	}
	return d
}

func dictVerdict(d *runtime.Dict) *verdict {
	v := &verdict{Why: d.Text("why"), Text: d.Text("text")}
	if n, _ := d.Get("status"); n != nil {
		status, _ := n.(int64)
		v.Status = int(status)
	}
	if e, _ := d.Get("error"); e != nil {
		if fail, ok := e.(*runtime.Dict); ok {
			v.Err = dictError(fail)
		}
	}
	return v
}
