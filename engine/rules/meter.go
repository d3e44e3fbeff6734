package rules

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// The server itself matches the patterns of rules, and nothing can interrupt a
// match. It costs up to 20 to 60 ns for each instruction of the pattern and
// byte of the text: steps. So one match is bounded by its steps, and the
// patterns of one script on one event by the time that they take.
const (
	// MaxMatchSteps bounds the steps of one match, to some 20 to 60 ms: of a
	// pattern of more than 128 instructions less than 8 KB of the text are
	// looked at, 2 KB at 500 instructions.
	MaxMatchSteps = 1 << 20
	// MaxMatchTime is how long the pattern of a rule may take on an event,
	// MaxScriptTime how long those of a script together, in time of the
	// processor. More is a breach of the limit "match". Once a script has used
	// up its time, its other patterns are not tried on the event.
	MaxMatchTime  = 10 * time.Millisecond
	MaxScriptTime = 25 * time.Millisecond
	// freeSteps are those of a script on one event that are not timed: half a
	// millisecond, 1.5 ms at worst. Ordinary rules stay below it, and cost no
	// look at the clock.
	freeSteps = 25_000
)

// Overrun is a rule that took too long to match, alone or along with the
// others of its script.
type Overrun struct {
	Rule *Rule
	// Took is the processor's time that its pattern took; 0 if it was not
	// tried because the script's time was used up.
	Took time.Duration
	// Script is the time of all the script's patterns that were tried.
	Script time.Duration
}

// Problem is the error of the breach, at the place of the rule.
func (o Overrun) Problem() *runtime.Error {
	e := &runtime.Error{Kind: runtime.LimitError, Limit: runtime.LimitMatch, Pos: o.Rule.Pos}
	if o.Took > MaxMatchTime {
		e.Msg = fmt.Sprintf("the pattern took more than the limit of %s to match", MaxMatchTime)
	} else {
		e.Msg = fmt.Sprintf("the script's patterns took more than the limit of %s to match one event", MaxScriptTime)
	}
	return e
}

// meter keeps account of what the patterns of each script cost on one event.
type meter struct {
	clock  func() (now func() time.Duration, release func())
	off    func(*Rule) bool // may be nil
	round  uint32
	script *spent
	number int32 // of the script
	// ruledOut: the index says that the rule does not match.
	ruledOut bool
	scripts  []spent // by number
	tries    []try
}

// spent is the account of one script.
type spent struct {
	round uint32
	over  bool
	steps int
	took  time.Duration
}

// try is a rule whose pattern was timed, or not tried.
type try struct {
	rule   *Rule
	script int32
	steps  int
	took   time.Duration
	tried  bool
}

func newMeter(scripts int) meter { return meter{clock: cpuClock, scripts: make([]spent, scripts)} }

// begin starts the account of an event.
func (m *meter) begin(off func(*Rule) bool) {
	m.off = off
	if m.round++; m.round == 0 {
		clear(m.scripts)
		m.round = 1
	}
	clear(m.tries)
	m.tries = m.tries[:0]
}

// enter tells which script the next tries are of, and whether the index rules
// their rule out.
func (m *meter) enter(script int32, ruledOut bool) {
	m.number, m.script, m.ruledOut = script, &m.scripts[script], ruledOut
	if m.script.round != m.round {
		*m.script = spent{round: m.round}
	}
}

// pattern is a compiled regex with the number of its instructions.
type pattern struct {
	*regexp.Regexp
	size   int
	groups bool // whether its groups are wanted
}

// cut is the part of a text that the pattern looks at.
func (p pattern) cut(text string) string {
	text = runtime.MatchText(text)
	if p.size*len(text) > MaxMatchSteps {
		return text[:MaxMatchSteps/p.size]
	}
	return text
}

// find looks for a pattern in the part of a text that it looks at: loc is as
// of FindStringSubmatchIndex, nil if it is not there.
func (p pattern) find(text string) []int {
	switch {
	case p.groups:
		return p.FindStringSubmatchIndex(text)
	case p.MatchString(text):
		return isThere
	}
	return nil
}

var isThere = []int{}

// find is pattern.find for a pattern of a rule, on the account of its script.
// why is matched if it was tried.
func (m *meter) find(r *Rule, p pattern, text string) (loc []int, why reason) {
	text = p.cut(text)
	steps := p.size * len(text)
	if m.script.steps += steps; m.script.steps > freeSteps {
		return m.timed(r, p, text, steps)
	}
	return p.find(text), matched
}

// timed is find for scripts that have cost more than is worth nothing.
func (m *meter) timed(r *Rule, p pattern, text string, steps int) (loc []int, why reason) {
	if m.ruledOut {
		m.script.steps -= steps
		return nil, matched
	}
	if m.off != nil && m.off(r) {
		m.script.steps -= steps
		return nil, isOff
	}
	if n := len(m.tries); n == 0 || m.tries[n-1].rule != r {
		m.tries = append(m.tries, try{rule: r, script: m.number})
	}
	t := &m.tries[len(m.tries)-1]
	t.steps += steps
	if m.script.over {
		return nil, notTried
	}
	t.tried = true
	now, release := m.clock()
	began := now()
	loc = p.find(text)
	took := now() - began
	release()
	t.took += took
	m.script.took += took
	m.script.over = m.script.took > MaxScriptTime
	return loc, matched
}

// overruns lists the rules that took too long: those that did so alone, and
// of scripts that did so together those that have a share in it. A pattern
// that was not tried has one if it is about as large as those that were.
func (m *meter) overruns() []Overrun {
	if !slices.ContainsFunc(m.tries, func(t try) bool { return t.took > MaxMatchTime || m.scripts[t.script].over }) {
		return nil
	}
	type mean struct {
		n, steps int
	}
	means := map[int32]mean{}
	for _, t := range m.tries {
		if t.tried {
			a := means[t.script]
			means[t.script] = mean{a.n + 1, a.steps + t.steps}
		}
	}
	var out []Overrun
	for _, t := range m.tries {
		s, a := m.scripts[t.script], means[t.script]
		share := t.tried && t.took >= s.took/time.Duration(2*a.n) || !t.tried && t.steps >= a.steps/(2*a.n)
		if t.took > MaxMatchTime || s.over && share {
			out = append(out, Overrun{Rule: t.rule, Took: t.took, Script: s.took})
		}
	}
	return out
}

// numberScripts gives each script a number; the rules' are by theirs.
func numberScripts(rules []*Rule) (of []int32, scripts int) {
	numbers := map[string]int32{}
	of = make([]int32, len(rules))
	for i, r := range rules {
		n, ok := numbers[r.Script]
		if !ok {
			n = int32(len(numbers))
			numbers[r.Script] = n
		}
		of[i] = n
	}
	return of, len(numbers)
}
