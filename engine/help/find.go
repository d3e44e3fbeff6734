package help

import (
	"context"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

func found(text string, command *runtime.Dict, near, elsewhere []runtime.Value) *runtime.Dict {
	d := runtime.NewDict("text", text, "command", nil, "near", slices.Concat([]runtime.Value{}, near), "elsewhere", slices.Concat([]runtime.Value{}, elsewhere))
	if command != nil {
		d.Set("command", command)
	}
	return d
}

// Find is what the user of an event may have meant by a text that is addressed
// to the bot: commands.find. Without a text it is that of the event.
func (g *Guide) Find(ctx context.Context, e *event.Event, text string) *runtime.Dict {
	if text == "" {
		_, _, text = e.Addressed()
	}
	text = strings.TrimSpace(text)
	set, a := g.o.Rules(), asking{e, ctx, true}
	asked := *e
	asked.Kind, asked.Type, asked.Text, asked.IM, asked.Via = event.Message, "message", text, true, ""
	for _, m := range set.Match(&asked, nil) {
		r := m.Rule
		if r.Kind != event.Message && r.Kind != event.Mention || r.Match == "nothing" || r.Pattern == "" {
			continue
		}
		if may, _ := g.may(a, set, r); may {
			return found(text, describe(r, true), nil, nil)
		}
	}
	chat := g.candidates(a, set, func(r *rules.Rule) bool { return r.Kind != event.Command && len(r.Words) > 0 })
	var elsewhere []runtime.Value
	for _, c := range chat {
		if !c.here && c.rule.Named(text) {
			elsewhere = append(elsewhere, describe(c.rule, false))
		}
	}
	var likely []runtime.Value
	for _, c := range near(chat, text) {
		likely = append(likely, describe(c.rule, true))
	}
	return found(text, nil, likely, elsewhere)
}

// candidate is a command that somebody may run.
type candidate struct {
	rule *rules.Rule
	here bool
}

// candidates are the commands of a form that the user of an event may run.
func (g *Guide) candidates(a asking, set *rules.Set, form func(*rules.Rule) bool) []candidate {
	var out []candidate
	for _, r := range set.Rules() {
		if !form(r) || !listed(r) {
			continue
		}
		if may, here := g.may(a, set, r); may {
			out = append(out, candidate{r, here})
		}
	}
	return out
}

// near picks the commands that work here and whose words are much like those
// that a text begins with.
func near(all []candidate, text string) []candidate {
	typed := strings.Fields(text)
	var out []candidate
	for _, c := range all {
		n := min(len(c.rule.Words), len(typed))
		if !c.here || n == 0 || len(out) == maxNear {
			continue
		}
		if like(strings.Join(typed[:n], " "), strings.Join(c.rule.Words, " ")) {
			out = append(out, c)
		}
	}
	return out
}

// like reports whether somebody may have meant the words. Those of a letter or
// two are like too many.
func like(typed, words string) bool {
	return len(typed) > 2 && runtime.Nearest(typed, []string{words}) != ""
}

// Advise says what to tell whoever gives a slash command that no rule answers,
// as Slack's markup: where it works, that he may not, or what he may have
// meant. "" is for no advice.
func (g *Guide) Advise(set *rules.Set, e *event.Event) string {
	a := asking{e, context.Background(), false}
	text := e.Command + " " + e.Text
	all := g.candidates(a, set, func(r *rules.Rule) bool { return r.Kind == event.Command })
	var named []candidate
	for _, c := range all {
		if !c.here && c.rule.Named(text) {
			named = append(named, c)
		}
	}
	if len(named) > 0 {
		best := slices.MaxFunc(named, func(a, b candidate) int { return len(a.rule.Words) - len(b.rule.Words) })
		return code(strings.Join(best.rule.Words, " ")) + " works in " + places(best.rule.Channels) + "."
	}
	if g.forbidden(a, set, text) {
		return "You may not use " + code(e.Command) + "."
	}
	what := e.Command
	var subs []string
	for _, c := range all {
		if c.here && len(c.rule.Words) > 1 && c.rule.Words[0] == e.Command {
			subs = append(subs, code(strings.Join(c.rule.Words, " ")))
			if first, _, _ := strings.Cut(strings.TrimSpace(e.Text), " "); first != "" {
				what = e.Command + " " + first
			}
		}
	}
	answer := "No rule answers " + event.Escape(event.Unescape(what)) + "."
	var means []string
	for _, c := range near(all, text) {
		means = append(means, code(strings.Join(c.rule.Words, " ")))
	}
	switch {
	case len(means) > 0:
		return answer + " Did you mean " + strings.Join(means, " or ") + "?"
	case len(subs) > 0:
		return answer + " There is: " + strings.Join(subs[:min(len(subs), maxSub)], ", ") + "."
	}
	return ""
}

// forbidden reports whether there is such a command here, for others.
func (g *Guide) forbidden(a asking, set *rules.Set, text string) bool {
	return slices.ContainsFunc(set.OfKind(event.Command), func(r *rules.Rule) bool {
		s := set.Scope(r, a.Event)
		if !r.Named(text) || !s.Bot || !s.Channel || g.o.Off != nil && g.o.Off(r) {
			return false
		}
		return !s.User || !g.permitted(a, r)
	})
}

func code(s string) string { return "`" + event.Escape(s) + "`" }

// places names channels, as Slack shows them.
func places(channels []string) string {
	out := make([]string, len(channels))
	for i, c := range channels {
		out[i] = event.Escape(c)
		switch {
		case strings.HasPrefix(c, "#"):
		case strings.HasPrefix(c, "C") && strings.ToUpper(c) == c:
			out[i] = "<#" + c + ">"
		default:
			out[i] = "#" + out[i]
		}
	}
	if n := len(out); n > 1 {
		return strings.Join(out[:n-1], ", ") + " and " + out[n-1]
	}
	return strings.Join(out, "")
}
