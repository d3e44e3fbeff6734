package dispatch

import (
	"context"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Somebody who gets the arguments of a command wrong is told how it is used,
// and nobody else is: a slash command is answered at once, without a run. For a
// command in a message there is a run that asks its script nothing, so that
// what it says is in the journal.

// usageFunc is the function of a run that only tells the usage: none.
const usageFunc = -1

// usageValue is what passesUntilDone returns for such a run.
type usageValue struct{ text string }

// toUsage makes a run one that tells the usage. It travels with the run as what
// the rule has matched.
func (open *openRun) toUsage(text string) {
	open.Func, open.When, open.cooldown = usageFunc, -1, false
	open.Match = &event.Match{Args: runtime.NewDict("usage", text)}
}

// usage returns what the run is to say, if that is all it does.
func (r *run) usage() (text string, ok bool) {
	if r.Func != usageFunc || r.Verdict != nil || r.Match == nil {
		return "", false
	}
	return r.Match.Args.Text("usage"), true
}

// tellUsage says it where the command was given, to whoever gave it.
func (r *run) tellUsage(ctx context.Context, text string) {
	r.notice = true
	m := runtime.NewDict("text", forPeople(text))
	if r.e.IM {
		r.effectAfter(ctx, "post", r.inConversation(m))
		return
	}
	args := r.inConversation(m)
	args.Set("user", r.e.User)
	r.effectAfter(ctx, "ephemeral", args)
}

// usageAnswer is the same for a slash command.
func usageAnswer(text string) *event.Answer {
	return jsonAnswer(runtime.NewDict("response_type", "ephemeral", "text", forPeople(text)))
}

// forPeople is a text that Slack shows as it is: <app> is no markup, and what
// somebody typed calls nobody.
func forPeople(text string) string { return event.Escape(event.Unescape(text)) }

// unmatched is the answer to an event that no rule wanted. Whoever gives a
// slash command waits for an answer, so there is advice for him.
func (d *Dispatcher) unmatched(set *rules.Set, e *event.Event) *event.Answer {
	switch {
	case e.Kind == event.Command:
	case e.Kind == event.Action && e.Type == "interactive_message":
		// Of interactions this is the one whose answer Slack shows.
		return jsonAnswer(runtime.NewDict("response_type", "ephemeral", "replace_original", false, "text", "No rule answers this."))
	default:
		return emptyAnswer(e)
	}
	if d.Advise != nil {
		if text := d.Advise(set, e); text != "" {
			return jsonAnswer(runtime.NewDict("response_type", "ephemeral", "text", text))
		}
	}
	return jsonAnswer(runtime.NewDict("response_type", "ephemeral", "text", "No rule answers "+e.Command+"."))
}
