package rules

import (
	"slices"
	"sync"

	"github.com/starling-rules/starling/engine/event"
)

// Set is an immutable index over rules. Safe for concurrent use.
type Set struct {
	rules  []*Rule // all that events can match, in the order in which they run
	errors []*Rule
	// guards and outgoing are the enabled ones, around those of any that are not.
	guards, outgoing, around []*Rule
	missing                  missing
	byID                     map[string]*Rule
	kinds                    map[event.Kind]*index
	// any is the rules of on.event: they see events of every kind.
	any    *index
	routes *router
	names  Names
	slow   []*Rule
	// scriptOf numbers the scripts of the rules, by number.
	scriptOf []int32
	needs    needs

	scratch sync.Pool
}

// needs tells which names must be known for an event to be matched.
type needs struct{ channels, users, text, nothing bool }

// NewSet builds the index. names may be nil: then rules that go by names of
// channels or users match nothing.
func NewSet(rules []*Rule, names Names) *Set {
	s := &Set{byID: make(map[string]*Rule, len(rules)), kinds: map[event.Kind]*index{}, routes: &router{}, names: names}
	ordered := slices.Clone(rules)
	slices.SortFunc(ordered, before)
	builders := map[event.Kind]*indexBuilder{}
	for _, r := range ordered {
		s.byID[r.ID] = r
		if r.Kind == Failure {
			s.errors = append(s.errors, r)
			continue
		}
		if r.aside() {
			s.keepAside(r)
			continue
		}
		number := int32(len(s.rules))
		s.rules = append(s.rules, r)
		if !r.Enabled {
			continue
		}
		s.need(r)
		if r.slow {
			s.slow = append(s.slow, r)
		}
		if r.Kind == event.Webhook {
			s.routes.add(r)
			continue
		}
		if builders[r.Kind] == nil {
			builders[r.Kind] = &indexBuilder{}
		}
		builders[r.Kind].add(number, r)
	}
	texts := 0
	for kind, b := range builders {
		x := b.build()
		x.base = texts
		texts += len(x.texts)
		s.kinds[kind] = x
	}
	var scripts int
	s.scriptOf, scripts = numberScripts(s.rules)
	s.any = s.kinds[event.Other]
	delete(s.kinds, event.Other)
	s.scratch.New = func() any {
		return &scratch{marks: make([]uint32, len(s.rules)), texts: make([]uint32, texts), meter: newMeter(scripts)}
	}
	return s
}

func (s *Set) keepAside(r *Rule) {
	s.around = append(s.around, r)
	switch {
	case !r.Enabled:
	case r.Kind == Guard:
		s.need(r)
		s.guards = append(s.guards, r)
	default:
		s.outgoing = append(s.outgoing, r)
	}
}

func (s *Set) need(r *Rule) {
	s.needs.channels = s.needs.channels || len(r.filter.channelNames)+len(r.filter.channelGlobs) > 0
	s.needs.text = s.needs.text || r.Match != "" && r.Kind == event.Message
	s.needs.nothing = s.needs.nothing || r.Match == matchNothing && r.Kind == event.Mention
	s.needs.users = s.needs.users || len(r.filter.userNames)+len(r.filter.userMails) > 0
}

// Rules lists all rules in the order in which they run, those that are not
// enabled included, hooks and those of on.error last. The caller must not
// change it.
func (s *Set) Rules() []*Rule {
	if len(s.errors)+len(s.around) == 0 {
		return s.rules
	}
	return slices.Concat(s.rules, s.around, s.errors)
}

// Rule returns the rule of that ID, or nil.
func (s *Set) Rule(id string) *Rule { return s.byID[id] }

// Len returns the number of rules.
func (s *Set) Len() int { return len(s.rules) + len(s.around) + len(s.errors) }

// ErrorRules returns the enabled rules of on.error, in order.
func (s *Set) ErrorRules() []*Rule {
	if !slices.ContainsFunc(s.errors, func(r *Rule) bool { return !r.Enabled }) {
		return s.errors
	}
	return slices.DeleteFunc(slices.Clone(s.errors), func(r *Rule) bool { return !r.Enabled })
}

// Slow returns the rules of messages that nothing indexes: they are tried on
// every message.
func (s *Set) Slow() []*Rule { return s.slow }

// OfKind returns the enabled rules of a kind, in order: schedules to be timed,
// commands for the manifest, webhooks for webstatus.
func (s *Set) OfKind(kind event.Kind) []*Rule {
	var out []*Rule
	for _, r := range s.rules {
		if r.Kind == kind && r.Enabled {
			out = append(out, r)
		}
	}
	return out
}

// NeedsChannelNames and NeedsUserNames report whether any rule goes by the
// name of a channel, or by the name or address of a user: then the caller
// makes Names know those of an event before it matches it.
func (s *Set) NeedsChannelNames() bool { return s.needs.channels }

// NeedsTextNames reports whether any rule goes by the text as people read it:
// then Names should know what is mentioned in it.
func (s *Set) NeedsTextNames() bool { return s.needs.text }

// NeedsUserNames is described at NeedsChannelNames.
func (s *Set) NeedsUserNames() bool { return s.needs.users }
