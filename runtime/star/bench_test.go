package star_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest"
	"github.com/starling-rules/starling/runtime/star"
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

// heavyRule works on text and tables as large rules do.
const heavyRule = `
WORDS = ["deploy", "rollback", "status", "help", "release", "restart"]

def parse(text):
    out = {}
    for part in text.split(" "):
        name, eq, value = part.partition("=")
        if eq and name not in out:
            out[name] = value.strip().lower()
    return out

def score(a, b):
    same = [c for c in a.elems() if c in b]
    return len(same) * 100 // max(len(a), len(b))

def report(e):
    opts = parse("env=Prod service=Billing version=1.2.3 region=EU-West dry=False count=12 owner=" + e.user)
    lines = []
    total = 0
    for i, w in enumerate(WORDS):
        s = score(w, opts["service"])
        total += s
        lines.append("%d. *%s* has %d points" % (i + 1, w, s))
    best = sorted(WORDS, key = lambda w: (-score(w, opts["env"]), w))
    rows = [{"name": k, "value": v} for k, v in sorted(opts.items()) if v != e.text]
    for row in rows:
        if row["name"] == e.channel or row["value"] > "y":
            continue
        lines.append(row["name"] + ": " + row["value"].replace("-", " ").title())
    a, b = total // 2, total * 3 + a0(total)
    text = "\n".join(lines[:10]) + "\n" + str(a + b) + " of {}".format(best[0])
    send(text[:2000], to = e.channel)

def a0(n):
    return n % 7 - 3 if n > 10 else n

on.message("x", report)
`

// newBare returns the language without guards.
func newBare(t testing.TB) *star.Language {
	t.Helper()
	l, err := star.NewUnguarded(runtimetest.Host())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// load returns a module and its first rule's function.
func load(t testing.TB, src string) (runtime.Module, *runtime.Manifest) {
	t.Helper()
	return loadWith(t, newLanguage(t), src)
}

func loadWith(t testing.TB, lang *star.Language, src string) (runtime.Module, *runtime.Manifest) {
	t.Helper()
	m, man, err := lang.Load(t.Context(), runtime.NewBundle("starlark", "rule.star", map[string][]byte{"rule.star": []byte(src)}, nil), runtime.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m, man
}

func benchmarkPass(b *testing.B, src string, want runtime.Status) {
	benchmarkWith(b, newLanguage(b), src, want)
}

func benchmarkWith(b *testing.B, lang *star.Language, src string, want runtime.Status) {
	m, man := loadWith(b, lang, src)
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

func BenchmarkSimpleBare(b *testing.B) { benchmarkWith(b, newBare(b), benchRule, runtime.Done) }

func BenchmarkHeavyPass(b *testing.B) { benchmarkPass(b, heavyRule, runtime.Done) }

func BenchmarkHeavyBare(b *testing.B) { benchmarkWith(b, newBare(b), heavyRule, runtime.Done) }

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
