package rules

import (
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// clash is two rules that would both be the answering rule of one thing.
type clash struct{ first, second *Rule }

// problem is the error of the second rule, which names both places.
func (c clash) problem(b *runtime.Bundle) *runtime.Error {
	hint := "each has one answering rule: remove one of the two, or give them different teams or bots"
	if c.second.Hook != nil {
		hint = "a path has one answering rule for each method: remove one of the two, or change its path or methods"
	}
	return problem(b, c.second.Pos, hint,
		"%s is answered already by the rule at %s", c.second, c.first.Pos)
}

// slots returns what a rule claims to answer; nil for the kinds that any
// number of rules may see.
func (r *Rule) slots() []string {
	if !r.Answers || !r.Enabled {
		return nil
	}
	k := string(r.Kind) + "\x00"
	switch {
	case r.Hook != nil:
		var out []string
		for _, m := range r.Hook.Methods {
			for _, shape := range r.Hook.shapes() {
				out = append(out, k+m+shape)
			}
		}
		return out
	case r.re != nil:
		k += "re\x00"
	}
	if r.Kind == event.Action {
		return []string{k + r.Pattern + "\x00" + r.Block}
	}
	return []string{k + r.Pattern}
}

// claims is the answering rules by slot.
type claims map[string][]*Rule

// conflict returns a rule that already claims what r claims, or nil.
func (c claims) conflict(r *Rule) *Rule {
	for _, s := range r.slots() {
		for _, o := range c[s] {
			if !r.apart(o) {
				return o
			}
		}
	}
	return nil
}

func (c claims) add(r *Rule) {
	for _, s := range r.slots() {
		c[s] = append(c[s], r)
	}
}

// apart reports whether two rules can never see the same event, because they
// belong to different workspaces or bots.
func (r *Rule) apart(o *Rule) bool {
	if r.Hook != nil { // requests from outside belong to no team
		return false
	}
	return disjoint(r.filter.teams, o.filter.teams) ||
		r.filter.botForm != mixed && r.filter.botForm == o.filter.botForm && disjoint(r.Bots, o.Bots)
}

// botForm tells how the bots of a rule are given, by name or by app id: only
// lists of one form compare.
type botForm uint8

const (
	byNames botForm = iota
	byIDs
	mixed
)

func formOf(bots []string) botForm {
	ids := 0
	for _, b := range bots {
		if appID.MatchString(b) {
			ids++
		}
	}
	switch ids {
	case 0:
		return byNames
	case len(bots):
		return byIDs
	}
	return mixed
}

// conflicts finds the clashes within a list of rules, in its order.
func conflicts(rules []*Rule) []clash {
	var out []clash
	c := claims{}
	for _, r := range rules {
		o := c.conflict(r)
		for _, s := range r.slots() {
			if o == nil && len(c[s]) == MaxSame {
				o = c[s][0]
			}
		}
		if o != nil {
			out = append(out, clash{o, r})
			continue
		}
		c.add(r)
	}
	return out
}
