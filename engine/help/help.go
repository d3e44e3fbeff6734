// Package help knows what people can ask the bot for: which rules in force are
// commands, who may run them, and what somebody may have meant.
//
//	Guide    answers the effects of the built-ins commands.*, and advises
//	         whoever gives a slash command that no rule answers
//
// Who may run a rule is what its own filters say, and package permit.
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
	"github.com/starling-rules/starling/engine/permit"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Options are what a Guide works with. Rules is required.
type Options struct {
	// Rules returns the rules in force.
	Rules func() *rules.Set
	// Permit returns what says who may run rules; nil refuses those that are
	// restricted.
	Permit func() *permit.Policy
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
	read := func(dry runtime.Value, do func(context.Context, *event.Event, string) runtime.Value) door.Handler {
		return door.Handler{
			Read: true, Repeat: door.Always(door.Again),
			Do: func(ctx context.Context, r *door.Run, e runtime.Effect) (runtime.Value, error) {
				if r.DryRun {
					return dry, nil
				}
				ev := r.Event
				if ev == nil {
					ev = &event.Event{}
				}
				return do(ctx, ev, e.Args.Text("text")), nil
			},
		}
	}
	return door.Live{
		"commands.list": read([]runtime.Value{}, func(ctx context.Context, e *event.Event, _ string) runtime.Value { return g.List(ctx, e) }),
		"commands.find": read(found("", nil, nil, nil), func(ctx context.Context, e *event.Event, text string) runtime.Value { return g.Find(ctx, e, text) }),
		"commands.again": {
			// The id derives from run and step: the store takes the event once.
			Repeat: door.Always(door.Again), Do: g.repeat,
		},
	}
}

// may reports whether the user of an event may run a rule somewhere, and
// whether that is so where the event is from.
func (g *Guide) may(a asking, set *rules.Set, r *rules.Rule) (may, here bool) {
	if !r.Enabled || g.o.Off != nil && g.o.Off(r) {
		return false, false
	}
	s := set.Scope(r, a.Event)
	if !s.Bot || !s.User {
		return false, false
	}
	return g.permitted(a, r), s.Channel
}

// asking is somebody who asks: the event, and how long there is to find out who
// he is.
type asking struct {
	*event.Event
	ctx  context.Context
	wait bool // look-ups at Slack may be waited for
}

// permitted reports whether permissions let the user run a rule, with some
// arguments or other. What is not known is refused.
func (g *Guide) permitted(a asking, r *rules.Rule) bool {
	who := permit.Asker{Team: a.Team, Enterprise: a.Enterprise, Bot: a.Bot, User: a.User, Channel: a.Channel}
	var policy *permit.Policy
	if g.o.Permit != nil {
		policy = g.o.Permit()
	}
	v, known := policy.Decide(a.ctx, permit.Rule{ID: r.ID, Groups: r.Groups, Admin: r.Admin}, who, nil, a.wait)
	return v.Allowed && known
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
func (g *Guide) List(ctx context.Context, e *event.Event) []runtime.Value {
	a := asking{e, ctx, true}
	set := g.o.Rules()
	var mine []*rules.Rule
	here := map[*rules.Rule]bool{}
	for _, r := range set.Rules() {
		if !listed(r) {
			continue
		}
		if may, is := g.may(a, set, r); may {
			mine, here[r] = append(mine, r), is
		}
	}
	slices.SortStableFunc(mine, func(a, b *rules.Rule) int {
		return cmp.Or(strings.Compare(a.Script, b.Script), strings.Compare(strings.ToLower(usage(a)), strings.ToLower(usage(b))))
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

// repeat performs commands.again.
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
