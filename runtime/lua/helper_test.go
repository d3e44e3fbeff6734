package lua_test

import (
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
)

func bundle(text string) *runtime.Bundle {
	return runtime.NewBundle("lua", "rule.lua", map[string][]byte{"rule.lua": []byte(text)}, nil)
}

// load returns a module and what it registered.
func load(t testing.TB, text string) (runtime.Module, *runtime.Manifest) {
	t.Helper()
	m, man, err := newLanguage(t).Load(t.Context(), bundle(text), runtime.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m, man
}

// callOf calls the function of the first rule.
func callOf(man *runtime.Manifest, input string) *runtime.Call {
	fn, _ := man.Registrations[0].Args.Get("fn")
	return &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte(input), RunID: "r", Now: time.Unix(1, 0), Seed: 1}
}
