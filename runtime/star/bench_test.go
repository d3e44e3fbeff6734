package star_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
)

const benchRule = `
def hello(e):
    if e.channel != "C1":
        return None
    send("hello " + e.user, to = e.channel)

on.message("hi", hello)
`

const benchInput = `{"kind": "message", "text": "hi", "user": "U1", "channel": "C1",
	"blocks": [{"type": "rich_text", "elements": [{"type": "text", "text": "hi"}]}], "tags": ["a", "b"]}`

// load returns a module and its first rule's function.
func load(t testing.TB, src string) (runtime.Module, *runtime.Manifest) {
	t.Helper()
	m, man, err := newLanguage(t).Load(t.Context(), runtime.NewBundle("starlark", "rule.star", map[string][]byte{"rule.star": []byte(src)}, nil), runtime.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m, man
}

func benchmarkPass(b *testing.B, src string, want runtime.Status) {
	m, man := load(b, src)
	fn, _ := man.Registrations[0].Args.Get("fn")
	call := &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte(benchInput), RunID: "r", Now: time.Unix(1, 0), Seed: 1}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if r := m.Run(ctx, call); r.Status != want {
			b.Fatal(r.Status, r.Err)
		}
	}
}

func BenchmarkSimplePass(b *testing.B) { benchmarkPass(b, benchRule, runtime.Done) }

func BenchmarkEmptyPass(b *testing.B) {
	benchmarkPass(b, "on.message(\"x\", lambda: None)", runtime.Done)
}

func BenchmarkSuspendedPass(b *testing.B) {
	benchmarkPass(b, "on.message(\"x\", lambda e: send(\"x\").ok)", runtime.Suspended)
}

func BenchmarkLazyField(b *testing.B) {
	benchmarkPass(b, `
def h(e):
    for i in range(100):
        x = e.raw.blocks[0].elements[0].text
on.message("x", h)`, runtime.Done)
}

func BenchmarkGuardedOperators(b *testing.B) {
	benchmarkPass(b, `
def h(e):
    a, b, l = e.text, e.user, ["x", "y", "U1"]
    for i in range(100):
        x = a == b
        x = b in l
on.message("x", h)`, runtime.Done)
}

// BenchmarkLoad10000 loads 10,000 small files through a pool, digests included.
func BenchmarkLoad10000(b *testing.B) {
	lang := newLanguage(b)
	b.ReportAllocs()
	for b.Loop() {
		pool := runtime.NewLocal([]runtime.Language{lang}, runtime.LocalOptions{})
		jobs := make(chan int)
		done := make(chan error)
		for range 2 {
			go func() {
				var failed error
				for i := range jobs {
					name := fmt.Sprintf("rules/r%05d.star", i)
					bundle := runtime.NewBundle("starlark", name, map[string][]byte{name: []byte(benchRule)}, nil)
					if _, err := pool.Load(context.Background(), bundle); err != nil {
						failed = err
					}
				}
				done <- failed
			}()
		}
		for i := range 10_000 {
			jobs <- i
		}
		close(jobs)
		for range 2 {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
	}
}
