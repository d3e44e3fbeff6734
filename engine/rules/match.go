package rules

import (
	"math/bits"
	"slices"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// Match is a rule that an event is for.
type Match struct {
	Rule *Rule
	// Groups is what the pattern found: groups of a regex, arguments of a
	// command, parameters of a path. Nil if the pattern has nothing to say.
	Groups *event.Match
	// Usage, if not empty, is what to tell the user of a command whose
	// arguments do not fit its grammar, instead of running the rule.
	Usage string
	// After, if not nil, is an earlier rule of the same list with stop and a
	// when predicate: this one runs only if the predicate was falsy, that is,
	// if After's run was skipped.
	After *Rule
}

// scratch is the working memory of one Match.
type scratch struct {
	subject    subject
	marks      []uint32 // by rule: the round in which it became a candidate
	round      uint32
	candidates []int32
	hits       []hit
	texts      []uint32 // by text of all indexes: the round in which it was found
	meter      meter
}

// Match appends the rules that an event is for to dst, in the order in which
// they run: priority, file, line. A rule with stop ends the list, rules of
// on.event("*") excepted. Of the rules that could answer the event only the
// preferred one is there: the longest of a command and its subcommands, then
// priority, then exact ids before patterns, then the order. Of the commands in
// a message likewise.
//
// A message that Slack reports twice, as message and as app_mention, matches
// on.mention rules both times; event.RunKey is the same, and the dispatcher
// runs them once. on.message rules see only the message.
func (s *Set) Match(e *event.Event, dst []Match) []Match {
	dst, _ = s.MatchWithin(e, dst, nil)
	return dst
}

// MatchWithin is Match, and reports which rules took too long: MaxMatchTime
// and MaxScriptTime bound what a script costs. The pattern of a rule of which
// off says that it is switched off is not tried where it would cost time that
// is worth looking at; off may be nil.
func (s *Set) MatchWithin(e *event.Event, dst []Match, off func(*Rule) bool) ([]Match, []Overrun) {
	sc := s.scratch.Get().(*scratch)
	sc.begin(e, s.names)
	sc.meter.begin(off)
	s.collect(sc)
	slices.Sort(sc.candidates)
	for _, n := range sc.candidates {
		sc.hits = append(sc.hits, hit{})
		sc.meter.enter(s.scriptOf[n], false)
		if s.rules[n].check(&sc.subject, &sc.hits[len(sc.hits)-1]) != matched {
			sc.hits = sc.hits[:len(sc.hits)-1]
		}
	}
	resolve(sc.hits)
	for i := range sc.hits {
		if h := &sc.hits[i]; h.by == nil {
			dst = append(dst, Match{Rule: h.rule, Groups: h.groups, Usage: h.usage, After: h.after})
		}
	}
	clear(sc.hits)
	over := sc.meter.overruns()
	sc.subject, sc.meter.off = subject{}, nil
	s.scratch.Put(sc)
	return dst, over
}

func (sc *scratch) begin(e *event.Event, names Names) {
	sc.round++
	if sc.round == 0 { // wrapped around: old marks could look new
		clear(sc.marks)
		clear(sc.texts)
		sc.round = 1
	}
	sc.candidates, sc.hits = sc.candidates[:0], sc.hits[:0]
	sc.subject.reset(e, names, &sc.meter)
}

func (sc *scratch) add(numbers []int32) {
	for _, n := range numbers {
		if sc.marks[n] != sc.round {
			sc.marks[n] = sc.round
			sc.candidates = append(sc.candidates, n)
		}
	}
}

// found adds the rules of a text of an index, the first time that it occurs.
func (sc *scratch) found(x *index, text int32) {
	if at := x.base + int(text); sc.texts[at] != sc.round {
		sc.texts[at] = sc.round
		sc.add(x.texts[text])
	}
}

// collect finds the rules that the event can concern: a superset of those
// that match.
func (s *Set) collect(sc *scratch) {
	e := sc.subject.e
	sc.subject.witness = s.needs.nothing
	switch {
	case e.Kind == event.Webhook && e.Request != nil:
		rest, more := cutPath(e.Request.Path)
		for _, r := range s.routes.find(rest, more, nil) {
			if n, ok := slices.BinarySearchFunc(s.rules, r, before); ok {
				sc.add([]int32{int32(n)})
			}
		}
	case e.Kind == event.Message && sc.subject.addressed:
		s.lookUp(event.Mention, s.kinds[event.Mention], sc)
	case e.Kind == event.Mention && (s.needs.text || s.needs.nothing):
		s.lookUp(event.Message, s.kinds[event.Message], sc)
	}
	s.lookUp(e.Kind, s.kinds[e.Kind], sc)
	s.lookUp(event.Other, s.any, sc)
}

// lookUp adds what one index has for the event.
func (s *Set) lookUp(kind event.Kind, x *index, sc *scratch) {
	if x == nil {
		return
	}
	e := sc.subject.e
	sc.add(x.always)
	if m := x.maps[byID]; m != nil {
		sc.subject.ids(kind, func(id string) { sc.add(m[id]) })
		if kind == event.Other && e.Type == "message" && e.Subtype != "" {
			sc.add(m["message."+e.Subtype])
		}
	}
	if x.auto != nil {
		if isText(kind) {
			x.auto.find(foldOdd(runtime.MatchText(sc.subject.text(kind))), func(id int32) { sc.found(x, id) })
		} else {
			sc.subject.ids(kind, func(id string) {
				x.auto.find(foldOdd(runtime.MatchText(id)), func(id int32) { sc.found(x, id) })
			})
		}
	}
	if m := x.maps[byChannel]; m != nil && e.Channel != "" {
		sc.add(m[e.Channel])
	}
	if m := x.maps[byChannelName]; m != nil {
		if name := sc.subject.channelName(); name != "" {
			sc.add(m[name])
		}
	}
	if m := x.maps[byUser]; m != nil {
		sc.add(m[e.User])
		sc.add(m[e.BotID])
	}
	if m := x.maps[byTeam]; m != nil {
		sc.add(m[e.Team])
		sc.add(m[e.Enterprise])
	}
}

// resolve decides among the rules that an event meets, given in order: one
// answers, and stop ends the list.
func resolve(hits []hit) {
	resolveMatch(hits)
	for i := range hits {
		if h := &hits[i]; h.witness {
			h.by = h.rule
		}
	}
	resolveCommands(hits)
	var one *hit
	var elements uint64
	for i := range hits {
		h := &hits[i]
		switch {
		case !h.rule.Answers:
		case h.rule.Kind == event.Action:
			elements |= h.elements
		case one == nil || preferred(h.rule, one.rule):
			one = h
		}
	}
	if one != nil {
		for i := range hits {
			if h := &hits[i]; h.rule.Answers && h != one {
				h.by = one.rule
			}
		}
	}
	if elements != 0 {
		resolveElements(hits)
	}
	var stop *hit
	var after *Rule
	for i := range hits {
		h := &hits[i]
		switch {
		case h.by != nil:
		case h.rule.Kind == event.Other && h.rule.any:
			// on.event("*") sees every event.
		case stop != nil:
			h.by, h.stopped = stop.rule, true
			continue
		default:
			h.after = after
		}
		if h.by == nil && h.rule.Stop {
			if h.rule.When < 0 {
				stop = h
			} else {
				after = h.rule
			}
		}
	}
}

// resolveElements gives each element of an action event its one rule. A rule
// that is left without any does not run.
func resolveElements(hits []hit) {
	var all uint64
	for i := range hits {
		all |= hits[i].elements
	}
	for ; all != 0; all &= all - 1 {
		bit := uint64(1) << bits.TrailingZeros64(all)
		var one *hit
		for i := range hits {
			if h := &hits[i]; h.rule.Answers && h.elements&bit != 0 && (one == nil || preferred(h.rule, one.rule)) {
				one = h
			}
		}
		for i := range hits {
			if h := &hits[i]; h.rule.Answers && h.elements&bit != 0 && h != one {
				if h.elements &^= bit; h.elements == 0 {
					h.by = one.rule
				}
			}
		}
	}
}

// preferred reports whether a answers rather than b.
func preferred(a, b *Rule) bool {
	if len(a.Words) != len(b.Words) { // the longer of two commands
		return len(a.Words) > len(b.Words)
	}
	if a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	if (a.re == nil) != (b.re == nil) {
		return a.re == nil
	}
	if a.Hook != nil && b.Hook != nil && a.Hook.moreSpecific(b.Hook) != b.Hook.moreSpecific(a.Hook) {
		return a.Hook.moreSpecific(b.Hook)
	}
	return before(a, b) < 0
}
