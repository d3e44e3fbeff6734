package rules

import (
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// router is a tree of the parts of routes. A request visits each of its nodes
// at most once, whatever its path is.
type router struct {
	texts  map[string]*router // by the text of the next part
	params []branch           // by the type of the next part
	ends   []*Rule            // whose route ends here
	paths  []*Rule            // whose next part takes the rest of the path
}

// branch is where a parameter of a type leads.
type branch struct {
	segment segment
	to      *router
}

func (rt *router) add(r *Rule) {
	for _, s := range r.Hook.segments {
		if s.kind == pathParam {
			rt.paths = append(rt.paths, r)
			return
		}
		rt = rt.next(s)
	}
	rt.ends = append(rt.ends, r)
}

// next is the node behind a part, made if it is not there.
func (rt *router) next(s segment) *router {
	if s.kind == literal {
		if rt.texts == nil {
			rt.texts = map[string]*router{}
		}
		if rt.texts[s.text] == nil {
			rt.texts[s.text] = &router{}
		}
		return rt.texts[s.text]
	}
	for _, b := range rt.params {
		if b.segment.kind == s.kind && slices.Equal(b.segment.any, s.any) {
			return b.to
		}
	}
	rt.params = append(rt.params, branch{s, &router{}})
	return rt.params[len(rt.params)-1].to
}

// find appends the rules whose routes match what is left of a path.
func (rt *router) find(rest string, more bool, out []*Rule) []*Rule {
	if !more {
		return append(out, rt.ends...)
	}
	for _, r := range rt.paths {
		if r.Hook.ends(rest) {
			out = append(out, r)
		}
	}
	if rt.texts == nil && rt.params == nil {
		return out
	}
	part, rest, more := strings.Cut(rest, "/")
	part, ok := unescape(part)
	if !ok {
		return out
	}
	if to := rt.texts[part]; to != nil {
		out = to.find(rest, more, out)
	}
	for i := range rt.params {
		if rt.params[i].segment.accepts(part) {
			out = rt.params[i].to.find(rest, more, out)
		}
	}
	return out
}

// Hook finds the webhook rule that answers a request. The path is as it was
// sent: encoded, with a leading slash. If it is known but not with that method,
// rule is nil and allow lists the methods that it is known with, sorted.
func (s *Set) Hook(method, path string) (rule *Rule, allow []string) {
	if path == "/api" || strings.HasPrefix(path, "/api/") {
		return nil, nil // behind the authorization of the HTTP API, whatever a pattern says
	}
	var room [8]*Rule // most paths have one rule or two: nothing is allocated
	rest, more := cutPath(path)
	found := s.routes.find(rest, more, room[:0])
	for _, r := range found {
		if slices.Contains(r.Hook.Methods, method) && (rule == nil || preferred(r, rule)) {
			rule = r
		}
	}
	if rule == nil {
		allow = methodsOf(found)
	}
	return rule, allow
}

func methodsOf(rules []*Rule) (methods []string) {
	for _, r := range rules {
		methods = append(methods, r.Hook.Methods...)
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}

// Webhook is Hook, and also yields the parameters in the path, and the methods
// that it is known with even if there is a rule.
func (s *Set) Webhook(method, path string) (rule *Rule, params *runtime.Dict, found bool, allow []string) {
	if rule, allow = s.Hook(method, path); rule == nil {
		return nil, nil, false, allow
	}
	rest, more := cutPath(path)
	params, _ = rule.Hook.match(path)
	return rule, params, true, methodsOf(s.routes.find(rest, more, nil))
}
