package rules

import (
	"bytes"
	"slices"

	"github.com/starling-rules/starling/engine/event"
)

// The kinds of rules that stand around others. No event has them: a Set keeps
// them apart.
const (
	// Guard is asked before an event is matched, Outgoing before a message is sent.
	Guard    event.Kind = "guard"
	Outgoing event.Kind = "outgoing"
)

// aside reports whether a rule is kept apart from those that events match.
func (r *Rule) aside() bool { return r.Kind == Failure || r.Kind == Guard || r.Kind == Outgoing }

// Guards appends the enabled guards that are to be asked about an event, in
// order: priority, file, line.
func (s *Set) Guards(e *event.Event, dst []*Rule) []*Rule {
	if len(s.guards) == 0 {
		return dst
	}
	var sub subject
	sub.reset(e, s.names, nil)
	for _, r := range s.guards {
		if r.guards(&sub) == matched {
			dst = append(dst, r)
		}
	}
	return dst
}

// guards says whether a guard is to be asked about an event.
func (r *Rule) guards(s *subject) reason {
	if len(r.Kinds) > 0 && !slices.Contains(r.Kinds, s.e.Kind) {
		return otherKind
	}
	return r.filter.check(s)
}

// HasGuards reports whether there is any guard, or a file that may hold one
// and does not load.
func (s *Set) HasGuards() bool { return len(s.guards) > 0 || len(s.missing.guards) > 0 }

// Outgoing returns the enabled rules of on.outgoing, in order. The caller must
// not change it.
func (s *Set) Outgoing() []*Rule { return s.outgoing }

// Missing names the files that may hold rules of the kind, Guard or Outgoing,
// and of which no version runs: what these would refuse is not known.
func (s *Set) Missing(kind event.Kind) []string {
	if kind == Guard {
		return s.missing.guards
	}
	return s.missing.outgoing
}

// missing are the files that may hold hooks and do not load, by path.
type missing struct{ guards, outgoing []string }

func (m missing) equal(o missing) bool {
	return slices.Equal(m.guards, o.guards) && slices.Equal(m.outgoing, o.outgoing)
}

// missingHooks finds the scripts of which no version has run since the start,
// and whose text, or that of a file they load, speaks of hooks: before, they
// may have been in force. A file that has come since was not, and one that
// cannot be read says nothing.
func (l *Loader) missingHooks() missing {
	var m missing
	for p, s := range l.scripts {
		if s.running != nil || !s.atStart {
			continue
		}
		for _, t := range s.last.used {
			if t == nil {
				continue
			}
			if bytes.Contains(t.bytes, []byte("on.guard")) {
				m.guards = append(m.guards, p)
			}
			if bytes.Contains(t.bytes, []byte("on.outgoing")) {
				m.outgoing = append(m.outgoing, p)
			}
		}
	}
	for _, list := range []*[]string{&m.guards, &m.outgoing} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return m
}

// kinds reads the kinds of events that a guard is asked about.
func (c *compiler) kinds(r *Rule) {
	for _, k := range c.list("kinds") {
		if !slices.Contains(event.Kinds, event.Kind(k)) {
			c.fail("kinds", didYouMean(k, kindNames()), "%s: %q is no kind of event", c.reg.Name, k)
			continue
		}
		r.Kinds = append(r.Kinds, event.Kind(k))
	}
}

func kindNames() []string {
	names := make([]string, len(event.Kinds))
	for i, k := range event.Kinds {
		names[i] = string(k)
	}
	return names
}
