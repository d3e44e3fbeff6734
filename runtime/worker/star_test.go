package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest"
	"github.com/starling-rules/starling/runtime/worker"
)

// TestSuites is the suite of both languages, in worker processes.
func TestSuites(t *testing.T) {
	t.Parallel()
	for language, ext := range map[string]string{"starlark": ".star", "lua": ".lua"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			runtimetest.Run(t, language, ext, func(t testing.TB) runtime.Pool {
				p, err := worker.New(worker.Options{Workers: 2, Memory: memory, Grace: 10 * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				return p
			})
		})
	}
}

func starlark(name, src string) *runtime.Bundle {
	return runtime.NewBundle("starlark", name, map[string][]byte{name: []byte(src)}, nil)
}

func TestManyStarlarkScripts(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{})
	n := 10_000
	if raceDetector {
		n = 500
	}
	const callers = 32
	start := time.Now()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; i < n; i += callers {
				src := fmt.Sprintf("def handle(e):\n    return \"%d: \" + str(len(\"abc\"))\n", i)
				if _, err := p.Load(context.Background(), starlark(fmt.Sprintf("%d.star", i), src)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d scripts in %v; %+v", n, time.Since(start), p.Stats())
}

// TestStarlarkHoles uses what go.starlark.net cannot stop by itself.
func TestStarlarkHoles(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Limits: runtime.Limits{Steps: 1 << 40}})
	for name, c := range map[string]struct {
		src    string
		limits []string
	}{
		"one endless builtin": {"x = max(range(1 << 62))", []string{runtime.LimitDeadline, runtime.LimitSteps}},
		"steps":               {"def f():\n    for i in range(1 << 40):\n        pass\nf()", []string{runtime.LimitDeadline, runtime.LimitSteps}},
		"doubling text":       {"def f():\n    s = \"x\" * 1000\n    for i in range(40):\n        s += s\nf()", []string{runtime.LimitMemory, runtime.LimitDeadline}},
		"large list":          {"x = [None] * (1 << 30 - 1)\ny = list(range(1 << 29))", []string{runtime.LimitMemory, runtime.LimitDeadline}},
	} {
		t.Run(name, func(t *testing.T) {
			if raceDetector && c.limits[0] == runtime.LimitMemory {
				t.Skip("the race detector's own memory blurs the limit")
			}
			t.Parallel()
			_, err := p.Load(context.Background(), starlark(strings.ReplaceAll(name, " ", "_")+".star", c.src))
			var errs runtime.Errors
			if !errors.As(err, &errs) {
				t.Fatalf("got %v, want a script error", err)
			}
			t.Logf("%v", errs)
			for _, l := range c.limits {
				if errs[0].Limit == l || errs[0].Kind == runtime.RunError {
					return
				}
			}
			t.Errorf("limit %q, want one of %v", errs[0].Limit, c.limits)
		})
	}
}
