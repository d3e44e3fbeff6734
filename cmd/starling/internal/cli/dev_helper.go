package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/sim"
)

// scribe writes rules and tests for the page of dev.
type scribe struct{ e *engine.Engine }

// Rule implements sim.Helper: in both languages.
func (s scribe) Rule(ctx context.Context, p sim.Past) ([]sim.File, error) {
	ev, err := s.e.Event(ctx, p.Event.ID)
	if err != nil {
		return nil, err
	}
	sk := explain.Skeletons(ev)
	return files(sk["star"], sk["lua"]), nil
}

// Test implements sim.Helper.
func (s scribe) Test(ctx context.Context, p sim.Past) ([]sim.File, error) {
	ev, err := s.e.Event(ctx, p.Event.ID)
	if err != nil {
		return nil, err
	}
	h := explain.Happened{Event: ev, User: p.User, Channel: p.Channel, Answer: p.Answer}
	for _, r := range p.Runs {
		if r.Outcome == "waiting" {
			return nil, fmt.Errorf("%s is still waiting: save the test when its run is over", r.Rule)
		}
		ran := explain.Ran{Rule: r.Rule, Outcome: r.Outcome}
		for _, e := range r.Effects {
			ran.Effects = append(ran.Effects, explain.Did{Kind: e.Kind, Args: e.Args, Result: e.Result})
		}
		h.Runs = append(h.Runs, ran)
		h.Scripts = appendScript(h.Scripts, r.Rule)
	}
	if len(h.Runs) == 0 {
		for _, v := range p.Event.Verdicts {
			h.Scripts = appendScript(h.Scripts, v.Rule)
		}
		h.Scripts = h.Scripts[:min(len(h.Scripts), 1)]
	}
	return files(explain.Test(h)...), nil
}

// appendScript adds the script of a rule, which its id begins with.
func appendScript(scripts []string, rule string) []string {
	script, _, _ := strings.Cut(rule, ":")
	if slices.Contains(scripts, script) {
		return scripts
	}
	return append(scripts, script)
}

func files(texts ...explain.Skeleton) []sim.File {
	out := make([]sim.File, len(texts))
	for i, t := range texts {
		out[i] = sim.File{Name: t.File, Text: t.Text}
	}
	return out
}

// sheet keeps the page's list of rules up to date. Safe for concurrent use.
type sheet struct {
	slack *sim.Server

	mu  sync.Mutex
	set *rules.Set
	rep *rules.Report
	ask func() []breaker.Switch // nil until the engine is there
	off []breaker.Switch
}

func (s *sheet) loaded(set *rules.Set, rep *rules.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set, s.rep = set, rep
	s.show()
}

// follow makes the sheet ask which rules are switched off.
func (s *sheet) follow(off func() []breaker.Switch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ask = off
}

// refresh tells the page if other rules are switched off than before: a run
// may have done it, or an operator meanwhile.
func (s *sheet) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ask == nil {
		return
	}
	off := s.ask()
	if slices.EqualFunc(off, s.off, func(a, b breaker.Switch) bool {
		return a.Rule == b.Rule && a.State == b.State && a.Digest == b.Digest
	}) {
		return
	}
	s.off = off
	s.show()
}

// show tells the page. Called with mu held.
func (s *sheet) show() {
	if s.set == nil {
		return
	}
	var out sim.RuleSheet
	for _, r := range s.set.Rules() {
		state := sim.RuleState{ID: r.ID, On: r.String(), At: fmt.Sprintf("%s:%d", r.Pos.Path, r.Pos.Line)}
		if !r.Enabled {
			state.Off = "enabled is false in its script"
		}
		for _, o := range s.off {
			if o.Rule == r.ID && (o.State == breaker.Disabled || o.Digest == r.Digest) {
				state.Off = o.Why
			}
		}
		out.Rules = append(out.Rules, state)
	}
	for _, f := range s.rep.Files {
		for _, e := range f.Errors {
			out.Problems = append(out.Problems, sim.Problem{Level: "error", Text: e.Detail()})
		}
		for _, e := range f.Warnings {
			out.Problems = append(out.Problems, sim.Problem{Level: "warning", Text: e.Detail()})
		}
	}
	for _, p := range s.rep.Problems {
		out.Problems = append(out.Problems, sim.Problem{Level: "error", Text: p.Error()})
	}
	s.slack.SetRules(out)
}
