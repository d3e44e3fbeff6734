package rules

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/event"
)

// maxStops bounds the rules with stop that each rule is compared with.
const maxStops = 1000

// Unreachable finds the rules that never run because one before them, with
// stop, surely matches whatever they match. The order of the list does not
// matter.
func Unreachable(rules []*Rule) []Finding {
	ordered, lits := slices.Clone(rules), lits{}
	slices.SortFunc(ordered, before)
	out := doubled(ordered, lits)
	stops := map[event.Kind][]*Rule{}

	for _, r := range ordered {
		if !r.Enabled || r.aside() || r.Kind == event.Schedule || r.Kind == event.Other && r.any {
			continue
		}
		for _, s := range stops[r.Kind] {
			if s.covers(r, lits) {
				out = append(out, Finding{
					Rule: r, Msg: fmt.Sprintf("%s is never reached: %s at %s matches first and stops", r, s, s.Pos),
					Hint: "remove one of the two, give this one a higher priority, or take stop=True away",
				})
				break
			}
		}
		if r.Stop && r.When < 0 && len(stops[r.Kind]) < maxStops {
			stops[r.Kind] = append(stops[r.Kind], r)
		}
	}
	return out
}

// covers reports whether r surely matches every event that o does. Both are
// enabled and of one kind; r has no predicate.
func (r *Rule) covers(o *Rule, of lits) bool {
	switch {
	case o.Threads && !r.Threads, o.Edits && !r.Edits, o.FromBots && !r.FromBots, o.Removed != r.Removed:
		return false
	case !within(o.Channels, r.Channels), !within(o.Users, r.Users), !within(o.filter.teams, r.filter.teams), !within(o.Bots, r.Bots):
		return false
	case r.any:
		return true
	case isText(r.Kind) && (len(r.Words) > 0) != (len(o.Words) > 0):
		return false
	case isText(r.Kind) && len(r.Words) > 0:
		return strings.EqualFold(r.Pattern, o.Pattern)
	case r.Answers || r.Absent || o.Absent || o.any:
		// Of two that answer the same thing one is an error already.
		return false
	case r.Pattern == o.Pattern && (r.re == nil) == (o.re == nil):
		return true
	}
	return isText(r.Kind) && of.get(r).within(of.get(o))
}

// within reports whether every event that the filter a admits is admitted by b.
// An empty filter admits all. Of very long ones it says no.
func within(a, b []string) bool {
	if len(b) == 0 {
		return true
	}
	return len(a) > 0 && len(a)*len(b) <= maxCompared && !slices.ContainsFunc(a, func(x string) bool { return !slices.Contains(b, x) })
}

// maxCompared bounds the entries of two lists that are compared, multiplied.
const maxCompared = 2500

// lit is the text that a rule's regex looks for, if that is all it does.
type lit struct {
	text, low   string
	fold, start bool
}

// lits keeps those of rules: each is compared with many.
type lits map[*Rule]lit

func (of lits) get(r *Rule) lit {
	l, ok := of[r]
	if !ok {
		l.text, l.fold, l.start = literalOf(r.re.String())
		l.low = strings.ToLower(l.text)
		of[r] = l
	}
	return l
}

// within reports whether the text is part of one that another rule looks for.
func (l lit) within(o lit) bool {
	if l.text == "" || o.text == "" || o.fold && !l.fold {
		return false
	}
	mine, theirs := l.text, o.text
	if l.fold {
		mine, theirs = l.low, o.low
	}
	if l.start {
		return o.start && strings.HasPrefix(theirs, mine)
	}
	return strings.Contains(theirs, mine)
}

// literalOf returns the text that a regex looks for if that is all it does:
// fold without regard to case, start at the beginning only.
func literalOf(expr string) (text string, fold, start bool) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return "", false, false
	}
	if re.Op == syntax.OpConcat && len(re.Sub) == 2 && re.Sub[0].Op == syntax.OpBeginText {
		start, re = true, re.Sub[1]
	}
	if re.Op != syntax.OpLiteral {
		return "", false, false
	}
	return string(re.Rune), re.Flags&syntax.FoldCase != 0, start
}
