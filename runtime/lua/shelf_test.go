package lua_test

import (
	"context"
	"fmt"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// More scripts than idle states are kept: a script whose state is gone gets a
// new one, and nobody can tell.
func TestScriptsOutnumberIdleStates(t *testing.T) {
	t.Parallel()
	const scripts = 300
	lang := newLanguage(t)
	var modules []runtime.Module
	var calls []*runtime.Call
	for i := range scripts {
		m, man, err := lang.Load(t.Context(), bundle(fmt.Sprintf(`local n = %d
local function bump() n = n + 1 return n end
on.message("x", function(e) return bump() end)`, i)), runtime.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		call := callOf(man, hostileInput)
		call.Limits.Deadline = time.Minute // the machine may be busy
		modules, calls = append(modules, m), append(calls, call)
	}
	steps := make([]uint64, scripts)
	for round := range 3 {
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := w; i < scripts; i += 4 {
					r := modules[i].Run(context.Background(), calls[i])
					if r.Return != int64(i+1) {
						t.Errorf("round %d, script %d: got %v %v", round, i, r.Return, r.Err)
						return
					}
					if round > 0 && r.Steps != steps[i] {
						t.Errorf("round %d, script %d: %d steps, before %d", round, i, r.Steps, steps[i])
					}
					steps[i] = r.Steps
				}
			})
		}
		wg.Wait()
	}
}

// Modules that nobody has any more do not stay for their idle states.
func TestForgottenScriptsGo(t *testing.T) { // not parallel: it measures the process
	lang := newLanguage(t)
	heap := func() uint64 {
		goruntime.GC()
		goruntime.GC()
		var m goruntime.MemStats
		goruntime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 200 {
		if _, _, err := lang.Load(t.Context(), bundle(fmt.Sprintf(`local s = ("x"):rep(300000) .. %d
on.message("x", function(e) return #s end)`, i)), runtime.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	if grown := int64(heap()) - int64(before); grown > 20<<20 {
		t.Errorf("200 scripts that nobody has keep %d MB", grown>>20)
	}
	goruntime.KeepAlive(lang)
}
