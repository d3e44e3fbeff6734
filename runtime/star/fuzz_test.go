package star_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest/progen"
)

// fuzzInput is the event of generated programs.
const fuzzInput = `{"kind": "message", "text": "hi there", "user": "U1", "channel": "C1", "tags": ["a", "b"], "count": 3, "blocks": [{"a": [1, {"b": null}]}]}`

// FuzzPrograms makes programs of bytes by a grammar and holds them to what is
// promised of every script.
func FuzzPrograms(f *testing.F) {
	for _, n := range []int{40, 200, 600, 1500} {
		for _, seed := range progen.Seeds(12, n) {
			f.Add(seed)
		}
	}
	lang := newLanguage(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		progen.Check(t, starProgram(data), progen.Options{Language: lang, Main: "p.star", Input: []byte(fuzzInput)})
	})
}

// TestProgramsAreMostlyValid keeps the grammar honest: programs that end at
// their first line find nothing.
func TestProgramsAreMostlyValid(t *testing.T) {
	t.Parallel()
	lang := newLanguage(t)
	ends := map[string]int{}
	seeds := progen.Seeds(300, 800)
	for _, seed := range seeds {
		src := starProgram(seed)
		m, man, err := lang.Load(t.Context(), runtime.NewBundle("starlark", "p.star", map[string][]byte{"p.star": []byte(src)}, nil), runtime.Limits{Steps: 200_000})
		if err != nil {
			if es, ok := err.(runtime.Errors); ok && (es[0].Kind == runtime.SyntaxError || es[0].Kind == runtime.NameError) {
				t.Errorf("%v\n%s", err, src)
			}
			ends["load"]++
			continue
		}
		fn, _ := man.Registrations[0].Args.Get("fn")
		r := m.Run(t.Context(), &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte(fuzzInput), Limits: runtime.Limits{Steps: 200_000}})
		end := r.Status.String()
		if r.Err != nil && strings.Contains(r.Err.Msg, "limit") {
			end = "limit"
		}
		ends[end]++
	}
	t.Log(ends)
	if ok := ends["done"] + ends["suspended"]; ok < len(seeds)/5 || ends["load"] > len(seeds)/2 {
		t.Errorf("got %v of %d programs", ends, len(seeds))
	}
}
