// Package help knows what people can ask the bot for: which rules in force are
// commands, who may run them, and what somebody may have meant.
//
//	Guide    answers the effects of the built-ins commands.*, and advises
//	         whoever gives a slash command that no rule answers
//	Permit   what else, beside the filters of a rule, says who may run it
//
// The scripts in @starling//help.star make words of it. The package knows no
// Slack client and no interpreter.
package help

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Permit says who may run a rule, beyond the filters that the rule itself has:
// permissions of the configuration, user groups, admins. Safe for concurrent use.
type Permit interface {
	// May reports whether the user of an event may run a rule in its channel; if
	// the event has none, in any. It answers from what is known and never waits.
	May(e *event.Event, r *rules.Rule) bool
}

// Options are what a Guide works with. Rules is required.
type Options struct {
	// Rules returns the rules in force.
	Rules func() *rules.Set
	// Permit may be nil: the filters of the rules decide alone.
	Permit Permit
	// Off tells of rules that are switched off; may be nil.
	Off func(*rules.Rule) bool
	// Submit stores an event that repeats another, as if it had arrived. Nil:
	// nothing can be repeated.
	Submit func(ctx context.Context, e *event.Event) error
	// Now is the clock; time.Now by default.
	Now func() time.Time
}

// Guide is safe for concurrent use.
type Guide struct{ o Options }

// New returns a guide.
func New(o Options) *Guide {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Guide{o}
}

// The bounds of what is listed.
const (
	maxCommands = 300
	maxNear     = 3
	maxSub      = 10
)

// Handlers are the live handlers of commands.*, for the door.
func (g *Guide) Handlers() door.Live {
	read := func(dry runtime.Value, do func(*event.Event, string) runtime.Value) door.Handler {
		return door.Handler{
			Read: true, Repeat: door.Always(door.Again),
			Do: func(_ context.Context, r *door.Run, e runtime.Effect) (runtime.Value, error) {
				if r.DryRun {
					return dry, nil
				}
				ev := r.Event
				if ev == nil {
					ev = &event.Event{}
				}
				return do(ev, e.Args.Text("text")), nil
			},
		}
	}
	return door.Live{
		"commands.list": read([]runtime.Value{}, func(e *event.Event, _ string) runtime.Value { return g.List(e) }),
		"commands.find": read(found("", nil, nil, nil), func(e *event.Event, text string) runtime.Value { return g.Find(e, text) }),
		"commands.repeat": {
			// The id derives from run and step: the store takes the event once.
			Repeat: door.Always(door.Again), Do: g.repeat,
		},
	}
}

// may reports whether the user of an event may run a rule somewhere, and
// whether that is so where the event is from.
func (g *Guide) may(set *rules.Set, r *rules.Rule, e *event.Event) (may, here bool) {
	if !r.Enabled || g.o.Off != nil && g.o.Off(r) {
		return false, false
	}
	s := set.Scope(r, e)
	if !s.Bot || !s.User {
		return false, false
	}
	if g.o.Permit != nil && !g.o.Permit.May(e, r) {
		return false, false
	}
	return true, s.Channel
}

// listed reports whether a rule is something that people can ask for.
func listed(r *rules.Rule) bool {
	switch {
	case r.Hidden || r.Match == "nothing":
		return false
	case r.Kind == event.Command || len(r.Words) > 0:
		return r.Answers || r.Kind != event.Command
	case r.Kind == event.Message, r.Kind == event.Mention, r.Kind == event.Reaction, r.Kind == event.Shortcut:
		return r.Help != ""
	}
	return false
}

// List is what the user of an event can ask for: commands.list.
func (g *Guide) List(e *event.Event) []runtime.Value {
	set := g.o.Rules()
	var mine []*rules.Rule
	here := map[*rules.Rule]bool{}
	for _, r := range set.Rules() {
		if !listed(r) {
			continue
		}
		if may, is := g.may(set, r, e); may {
			mine, here[r] = append(mine, r), is
		}
	}
	slices.SortStableFunc(mine, func(a, b *rules.Rule) int {
		return cmp.Or(strings.Compare(a.Script, b.Script), strings.Compare(usage(a), usage(b)))
	})
	out := make([]runtime.Value, 0, len(mine))
	for _, r := range mine[:min(len(mine), maxCommands)] {
		out = append(out, describe(r, here[r]))
	}
	return out
}

// usage is how a rule is used, in words.
func usage(r *rules.Rule) string {
	switch {
	case len(r.Words) > 0:
		return r.Usage()
	case r.Kind == event.Reaction:
		return ":" + strings.Trim(r.Pattern, ":") + ":"
	}
	return cmp.Or(r.Name, r.Pattern)
}

// describe is a rule as scripts see it.
func describe(r *rules.Rule, here bool) *runtime.Dict {
	arguments := []runtime.Value{}
	if r.Args != nil {
		arguments = r.Args.Arguments()
	}
	channels := make([]runtime.Value, len(r.Channels))
	for i, c := range r.Channels {
		channels[i] = c
	}
	group, _, _ := strings.Cut(r.ScriptDoc, "\n")
	return runtime.NewDict("usage", usage(r), "help", r.Help, "about", r.About, "kind", string(r.Kind), "name", cmp.Or(r.Name, usage(r)),
		"script", r.Script, "group", group, "arguments", arguments, "channels", channels, "here", here)
}

// repeat performs commands.repeat.
func (g *Guide) repeat(ctx context.Context, r *door.Run, e runtime.Effect) (runtime.Value, error) {
	refuse := func(why string) (runtime.Value, error) { return runtime.NewDict("ok", false, "error", why), nil }
	switch ev := r.Event; {
	case r.DryRun:
		return runtime.NewDict("ok", true, "error", nil), nil
	case g.o.Submit == nil:
		return refuse("unavailable")
	case ev == nil || ev.Kind != event.Message && ev.Kind != event.Mention:
		return refuse("no_message")
	case ev.Via == repeated:
		return refuse("repeated_already")
	}
	again := *r.Event
	again.ID, again.Via, again.Reply = "again-"+r.Key(e), repeated, ""
	again.Received, again.Retry, again.RetryReason = g.o.Now(), 0, ""
	again.Text = e.Args.Text("text")
	if !again.IM && again.BotUser != "" {
		again.Text = "<@" + again.BotUser + "> " + again.Text
	}
	if err := g.o.Submit(ctx, &again); err != nil && !errors.Is(err, queue.ErrDuplicate) {
		return nil, err
	}
	return runtime.NewDict("ok", true, "error", nil), nil
}

// repeated is event.Event.Via of an event that repeats another.
const repeated = "repeat"
