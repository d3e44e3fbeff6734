package door

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// The bounds of what a question shows.
const (
	maxButtons = 5 // choices; more are a select
	selectRest = "select"
	maxOutcome = 2900 // characters; a context block takes 3000
)

// updateTime is how long a run waits for its question to show the outcome. What
// takes longer is done beside the run: a trigger_id gets old meanwhile.
const updateTime = time.Second

// choice is what can be chosen: what is shown, and what the script is given.
type choice struct {
	text  string
	value runtime.Value
	form  *runtime.Dict // as the script gave it, or nil
}

// choicesOf are the choices of a question.
func choicesOf(d *runtime.Dict) []choice {
	list := listArg(d, "choices")
	out := make([]choice, len(list))
	for i, v := range list {
		switch v := plain(v).(type) {
		case string:
			out[i] = choice{text: v, value: v}
		case *runtime.Dict:
			c := choice{form: v}
			t, _ := v.Get("text")
			switch t := plain(t).(type) {
			case string:
				c.text = t
			case *runtime.Dict:
				c.text = t.Text("text")
			}
			if c.value, _ = v.Get("value"); c.value == nil {
				c.value = c.text
			}
			out[i] = c
		}
	}
	return out
}

// choiceOf is the choice that an answer names: by number, or, as an operator
// does, by its text or its value.
func choiceOf(match, given *runtime.Dict) (choice, bool) {
	all := choicesOf(match)
	v, _ := given.Get("choice")
	if i, ok := v.(int64); ok && i >= 0 && int(i) < len(all) {
		return all[i], true
	}
	for _, c := range all {
		if c.text == v || fmt.Sprint(c.value) == fmt.Sprint(v) {
			return c, true
		}
	}
	text, _ := v.(string)
	return choice{text: text, value: v}, false
}

// choiceElements are the buttons of a question, or its select.
func choiceElements(ref string, choices []choice) runtime.List {
	if len(choices) > maxButtons {
		options := make(runtime.List, len(choices))
		for i, c := range choices {
			o := runtime.NewDict("text", plainText(c.text), "value", strconv.Itoa(i))
			if d, _ := c.form.Get("description"); d != nil {
				if s, ok := d.(string); ok {
					d = plainText(s)
				}
				o.Set("description", d)
			}
			options[i] = o
		}
		return runtime.List{runtime.NewDict("type", "static_select", "action_id", ref+"/"+selectRest,
			"placeholder", plainText("Choose"), "options", options)}
	}
	out := make(runtime.List, len(choices))
	for i, c := range choices {
		b := runtime.NewDict("type", "button", "action_id", ref+"/"+strconv.Itoa(i), "text", plainText(c.text), "value", strconv.Itoa(i))
		for _, name := range [...]string{"style", "confirm", "accessibility_label"} {
			if v, _ := c.form.Get(name); v != nil {
				b.Set(name, v)
			}
		}
		out[i] = b
	}
	return out
}

func plainText(s string) *runtime.Dict {
	return runtime.NewDict("type", "plain_text", "text", s, "emoji", true)
}

func markdown(s string) *runtime.Dict { return runtime.NewDict("type", "mrkdwn", "text", s) }

// questionBlocks are what a question shows above its buttons: a copy.
func questionBlocks(text string, blocks runtime.List) runtime.List {
	if len(blocks) > 0 {
		return append(runtime.List(nil), blocks...)
	}
	return runtime.List{runtime.NewDict("type", "section", "text", markdown(text))}
}

// listArg is an argument that is a list whatever its form, or nil.
func listArg(d *runtime.Dict, name string) runtime.List {
	v, _ := d.Get(name)
	list, _ := plain(v).(runtime.List)
	return list
}

// progress shows how many have answered; the question stays open.
func (l *live) progress(ctx context.Context, r *Run, w *wait.Wait) {
	ref := wait.Ref(r.ID, w.Point())
	elements := choiceElements(ref, choicesOf(w.Match))
	if w.Kind == wait.AskForm {
		elements = formElements(ref, w.Match)
	}
	said := fmt.Sprintf("%d of %d: %s", len(listArg(w.State, "answers")), integer(w.Match, "quorum", 0), outcomeOf(w, w.State))
	l.show(ctx, r, w, said, runtime.NewDict("type", "actions", "block_id", ref, "elements", elements))
}

// closeQuestion takes the buttons away and shows the outcome. It waits for that
// a short while; a message that is gone needs no outcome.
func (l *live) closeQuestion(ctx context.Context, r *Run, w *wait.Wait, a *wait.Answer, given *runtime.Dict) {
	said := ""
	switch a.By {
	case wait.ByTimeout:
		said = "No answer in time."
		if some := listArg(w.State, "answers"); len(some) > 0 {
			said += fmt.Sprintf(" %d of %d: %s", len(some), integer(w.Match, "quorum", 0), outcomeOf(w, w.State))
		}
	case wait.ByCancel:
		said = "Cancelled."
	case wait.ByOperator:
		said = "Answered by an operator."
		if text := outcomeOf(w, given); text != "" {
			said = text + ", answered by an operator."
		}
	default:
		said = outcomeOf(w, given)
	}
	// The rest may take as long as Slack takes; the run goes on.
	beside, asker, done := context.WithoutCancel(ctx), *r, make(chan struct{})
	go func() {
		defer close(done)
		beside, cancel := context.WithTimeout(beside, tellTime)
		defer cancel()
		l.show(beside, &asker, w, said)
	}()
	patience := time.NewTimer(updateTime)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	case <-ctx.Done():
	}
}

// show changes the message of a question: below what is asked stand what is
// said about it and further blocks.
func (l *live) show(ctx context.Context, r *Run, w *wait.Wait, said string, more ...runtime.Value) {
	if w.Match.Text("ts") == "" {
		return
	}
	text := w.Match.Text("text")
	blocks := append(questionBlocks(text, listArg(w.Match, "blocks")), more...)
	blocks = append(blocks, runtime.NewDict("type", "context", "elements", runtime.List{markdown(cut(said, maxOutcome))}))
	args := runtime.NewDict("channel", w.Match.Text("channel"), "ts", w.Match.Text("ts"), "text", text+"\n"+cut(said, maxOutcome), "blocks", blocks)
	res, err := l.Slack.Call(ctx, "chat.update", args, behalf(r.Event))
	if err != nil || !res.OK && !gone(res.Error) {
		l.Logger.Warn("a question does not show its outcome", "run", r.ID, "err", err, "slack", res.Error)
	}
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// outcomeOf says who answered what: of one answer, or of those in answers.
func outcomeOf(w *wait.Wait, d *runtime.Dict) string {
	list := listArg(d, "answers")
	if len(list) == 0 {
		return answerLine(w, d)
	}
	lines := make([]string, 0, len(list))
	for _, v := range list {
		if a, ok := plain(v).(*runtime.Dict); ok {
			lines = append(lines, answerLine(w, a))
		}
	}
	return strings.Join(lines, ", ")
}

func answerLine(w *wait.Wait, a *runtime.Dict) string {
	what := ""
	if w.Kind == wait.Ask {
		if c, _ := choiceOf(w.Match, a); c.text != "" {
			what = "*" + event.Escape(c.text) + "*"
		}
	} else if a != nil {
		what = "Submitted"
	}
	if user := a.Text("user"); user != "" {
		return what + " by <@" + user + ">"
	}
	return what
}
