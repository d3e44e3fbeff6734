package rules

import "github.com/starling-rules/starling/engine/event"

// Scope tells which filters of a rule admit somebody: see Set.Scope.
type Scope struct {
	Bot     bool // the workspace and the bot
	User    bool
	Channel bool
}

// Scope asks the filters of a rule about who is behind an event, and where.
func (s *Set) Scope(r *Rule, e *event.Event) Scope {
	sub := subject{e: e, names: s.names}
	return Scope{
		Bot:     r.filter.team(&sub) && r.filter.bot(&sub),
		User:    r.filter.user(&sub),
		Channel: r.filter.channel(&sub),
	}
}

// Named reports whether a text begins with the words of a command: with its
// slash for a slash command, without the mention for others.
func (r *Rule) Named(text string) bool {
	if len(r.Words) == 0 {
		return false
	}
	_, ok := cutWords(text, r.Words)
	return ok
}
