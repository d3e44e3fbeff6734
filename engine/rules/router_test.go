package rules_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
)

// patterns are 200 routes of all types, and a request for each.
func patterns(t testing.TB) (*rules.Set, [200]string) {
	t.Helper()
	types := []struct{ route, path string }{
		{"POST /hooks/%d", "/hooks/%d"},
		{"POST /repo/%d/{name}", "/repo/%d/starling"},
		{"POST /pr/%d/{n:int}/{action}", "/pr/%d/17/opened"},
		{"POST /run/%d/{id:uuid}/log", "/run/%d/123e4567-e89b-12d3-a456-426614174000/log"},
		{"POST /files/%d/{p:path}", "/files/%d/a/b/c.txt"},
	}
	var lines []string
	var paths [200]string
	for i := range paths {
		k := types[i%len(types)]
		lines = append(lines, on("webhook", "route", fmt.Sprintf(k.route, i), "open", true))
		paths[i] = fmt.Sprintf(k.path, i)
	}
	dir := t.TempDir()
	write(t, dir, "a.fake", strings.Join(lines, "\n"))
	s, _ := load(t, newLoader(t, dir))
	if s.Len() != len(paths) {
		t.Fatalf("%d rules", s.Len())
	}
	return s, paths
}

func TestRoutingAllocatesNothing(t *testing.T) {
	s, paths := patterns(t)
	for i, p := range paths {
		rule, _ := s.Hook("POST", p)
		if rule == nil || rule.Pos.Line != i+1 {
			t.Fatalf("%s: %v", p, rule)
		}
	}
	for name, path := range map[string]string{
		"hit": paths[0], "hit of a type": paths[2], "hit of a path": paths[4],
		"miss": "/nothing/here", "miss of a type": "/pr/2/x/opened", "deep miss": strings.Repeat("/a", 8000),
	} {
		if n := testing.AllocsPerRun(100, func() { s.Hook("POST", path) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkRouting(b *testing.B) {
	s, paths := patterns(b)
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if r, _ := s.Hook("POST", paths[i%len(paths)]); r == nil {
				b.Fatal("missed")
			}
		}
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Hook("POST", "/repo/1x/starling")
		}
	})
}

// TestTheTreeFindsWhatEachRouteMatches compares the tree with asking every
// route by itself, over random routes and paths of few words.
func TestTheTreeFindsWhatEachRouteMatches(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"a", "b", "{x}", "{x:int}", "{x:any(a,1)}", "{x:path}", "{x:float}"}
	words := []string{"a", "b", "1", "1.5", "%61", "%2F", "", "%zz"}
	for range 300 {
		seen := map[string]bool{}
		var lines []string
		for range 8 {
			var b strings.Builder
			path := false
			for i := range 1 + r.IntN(3) {
				p := parts[r.IntN(len(parts))]
				if p == "{x:path}" && path {
					p = "b"
				}
				path = path || p == "{x:path}"
				b.WriteString("/" + strings.Replace(p, "x", string(rune('p'+i)), 1))
			}
			// Each has a method of its own: none is in another's way.
			if methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"}; len(lines) < len(methods) && !seen[b.String()] {
				seen[b.String()] = true
				lines = append(lines, on("webhook", "route", methods[len(lines)]+" "+b.String(), "open", true))
			}
		}
		s := set(t, lines...)
		for range 40 {
			var b strings.Builder
			for range 1 + r.IntN(4) {
				b.WriteString("/" + words[r.IntN(len(words))])
			}
			var want []string
			for _, rule := range s.Rules() {
				one := rules.NewSet([]*rules.Rule{rule}, nil)
				e := &event.Event{Kind: event.Webhook, Request: &event.Request{Method: rule.Hook.Methods[0], Path: b.String()}}
				if one.Explain(e)[0].Matched { // asks the rule, whatever the tree says
					want = append(want, rule.Hook.Methods[0])
				}
			}
			slices.Sort(want)
			if _, got := s.Hook("NONE", b.String()); !slices.Equal(got, want) {
				t.Fatalf("%s of %v: got %v, want %v", b.String(), lines, got, want)
			}
		}
	}
}

func FuzzRoute(f *testing.F) {
	for _, s := range []string{"POST /hooks/{repo}/{n:int}", "GET,PUT /a/{x:any(b,c)}/{p:path}/d", "/", "/{p:path}", "/a%2Fb", "POST"} {
		f.Add(s, "/hooks/a/1")
	}
	f.Fuzz(func(t *testing.T, route, path string) {
		h, err := rules.ParseRoute(route)
		if err != nil {
			return
		}
		again, err := rules.ParseRoute(strings.Join(h.Methods, ",") + " " + h.Path)
		if err != nil || again.Path != h.Path || !slices.Equal(again.Methods, h.Methods) {
			t.Errorf("%q is %v %q, which is %v, %v", route, h.Methods, h.Path, again, err)
		}
		r := &rules.Rule{ID: "r", Kind: event.Webhook, Pattern: route, Answers: true, Hook: h, Options: rules.Options{Enabled: true}}
		s := rules.NewSet([]*rules.Rule{r}, nil)
		rule, params, found, _ := s.Webhook(h.Methods[0], path)
		if found != (rule == r) || found && params == nil {
			t.Errorf("%q %q: %v %v %v", route, path, rule, params, found)
		}
	})
}
