package lua_test

import (
	"context"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/runtimetest"
	"github.com/starling-rules/starling/runtime/runtimetest/hostile"
	"github.com/starling-rules/starling/runtime/runtimetest/progen"
)

// FuzzScripts loads and runs any text: it must end soon, as a value or as an
// error of the script's own.
func FuzzScripts(f *testing.F) {
	for _, c := range runtimetest.Cases(f) {
		if text := c.Files["script.lua"]; text != nil {
			f.Add(string(text))
		}
	}
	for _, h := range hostile.Lua() {
		if !h.Load || len(h.Source) < 500 {
			f.Add(h.Source)
		}
	}
	lang, err := lua.New(runtimetest.Host())
	if err != nil {
		f.Fatal(err)
	}
	lim := runtime.Limits{Steps: 20_000, Deadline: 200 * time.Millisecond}
	f.Fuzz(func(t *testing.T, text string) {
		m, man, err := lang.Load(context.Background(), bundle(text), lim)
		if err != nil || len(man.Missing) > 0 {
			noInternal(t, err)
			return
		}
		for _, r := range man.Registrations {
			fn, ok := r.Args.Get("fn")
			if !ok {
				continue
			}
			reply := m.Run(context.Background(), &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte(hostile.Input), Limits: lim})
			if reply.Err != nil {
				noInternal(t, runtime.Errors{reply.Err})
			}
		}
	})
}

// noInternal fails on a fault of Starling; the suite's boom is one on purpose.
func noInternal(t *testing.T, err error) {
	t.Helper()
	es, ok := err.(runtime.Errors)
	if err != nil && !ok {
		t.Fatalf("an error of another kind: %v", err)
	}
	for _, e := range es {
		if e.Kind == runtime.InternalError && e.Msg != "boom: panic: a fault of this built-in" {
			t.Fatal(e.Detail())
		}
	}
}

// programLib is what programs of FuzzPrograms may require.
const programLib = `local lib = {value = {1, 2, 3}, name = "lib"}
function lib.run(a, b) return a == b and a or tostring(b) end
function lib:f(x) return self.name .. tostring(x) end
return lib
`

// FuzzPrograms makes programs of the fuzzer's bytes: valid ones for the most
// part, that loop, recurse, catch, yield and ask for effects.
func FuzzPrograms(f *testing.F) {
	for _, seed := range progen.Seeds(40, 400) {
		f.Add(seed)
	}
	for _, seed := range progen.Seeds(20, 60) {
		f.Add(seed)
	}
	lang, err := lua.New(runtimetest.Host())
	if err != nil {
		f.Fatal(err)
	}
	files := map[string][]byte{"lib.lua": []byte(programLib)}
	f.Fuzz(func(t *testing.T, data []byte) {
		progen.Check(t, newProgram(data), progen.Options{
			Language: lang, Main: "rule.lua", Files: files, Input: []byte(hostile.Input), Steps: 20_000,
		})
	})
}
