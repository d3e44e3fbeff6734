package star_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest"
	"github.com/starling-rules/starling/runtime/star"
)

// recorder is an event that knows which fields were looked at.
type recorder struct {
	runtime.Object
	looked *[]string
}

func (r recorder) Field(name string) (runtime.Value, bool) {
	*r.looked = append(*r.looked, name)
	return r.Object.Field(name)
}

func TestOnlyWhatIsLookedAtIsComputed(t *testing.T) {
	t.Parallel()
	var looked []string
	host := runtimetest.Host()
	host.Input = func(b []byte) (runtime.Object, error) {
		o, err := runtimetest.Input(b)
		return recorder{o, &looked}, err
	}
	l, err := star.New(host)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, l, "def h(e):\n    return e.text + e.raw.user\n", &runtime.Call{Input: []byte(benchInput)})
	if r.Return != "hiU1" {
		t.Errorf("got %+v", r)
	}
	if want := []string{"text", "raw"}; !slices.Equal(looked, want) {
		t.Errorf("looked at %v, want %v", looked, want)
	}
}

func TestAHandlerWithoutParametersCostsNoInput(t *testing.T) {
	t.Parallel()
	host := runtimetest.Host()
	host.Input = func([]byte) (runtime.Object, error) { return nil, errors.New("must not be called") }
	l, err := star.New(host)
	if err != nil {
		t.Fatal(err)
	}
	if r := run(t, l, "def h():\n    return 1\n", &runtime.Call{Input: []byte("x")}); r.Status != runtime.Done {
		t.Errorf("got %+v", r.Err)
	}
	if r := run(t, l, "def h(e):\n    return 1\n", &runtime.Call{Input: []byte("x")}); r.Err == nil || r.Err.Kind != runtime.InternalError {
		t.Errorf("input that cannot be decoded: got %+v", r)
	}
}

// run loads a script and calls its first function.
func run(t testing.TB, l *star.Language, src string, c *runtime.Call) *runtime.Reply {
	t.Helper()
	m, _, err := l.Load(t.Context(), runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte(src)}, nil), runtime.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c.When = -1
	return m.Run(t.Context(), c)
}

func TestOneModuleRunsInManyGoroutines(t *testing.T) {
	t.Parallel()
	m, man := load(t, `
TABLE = {"a": [1, 2, {"b": 3}]}
P = re.compile("[a-z]+")

def make(n):
    def h(e):
        send("x", blocks = TABLE["a"])
        for k in TABLE:
            for x in TABLE[k]:
                n + len(e.raw.tags)
        return [P.search(e.text), n, sorted(TABLE.keys()), config.get("x"), e.raw == e.raw]
    return h

on.message(P, make(7))
`)
	fn, _ := man.Registrations[0].Args.Get("fn")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				r := m.Run(context.Background(), &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte(benchInput)})
				if r.Status != runtime.Done || len(r.Effects) != 1 {
					t.Errorf("got %+v, %v", r, r.Err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestCancellingTheContextEndsThePass(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the server is going down")
	lib, err := runtime.NewLibrary([]*runtime.Builtin{{Name: "stop", Fn: func(*runtime.Context, *runtime.Args) (runtime.Value, error) {
		cancel(why)
		return nil, nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := star.New(runtime.Host{Library: lib})
	if err != nil {
		t.Fatal(err)
	}
	b := runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte("def h():\n    stop()\n    while True:\n        pass\n")}, nil)
	p := runtime.NewLocal([]runtime.Language{l}, runtime.LocalOptions{})
	if _, err := p.Load(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	c := &runtime.Call{Script: b.Digest, When: -1, Limits: runtime.Limits{Steps: 1 << 60, Deadline: time.Hour}}
	if r, err := p.Run(ctx, c); !errors.Is(err, why) {
		t.Errorf("got %+v, %v, want the cause", r, err)
	}
}

func TestABrokenRecordedResultIsAnInternalError(t *testing.T) {
	t.Parallel()
	hash := runtime.Effect{Kind: "send", Args: runtime.NewDict("text", "x")}.Hash()
	c := &runtime.Call{Results: []runtime.StepResult{{Hash: hash, Value: runtime.JSON(`{"ok":`)}}}
	r := run(t, newLanguage(t), "def h():\n    return catch(lambda: send(\"x\").ok)\n", c)
	if r.Err == nil || r.Err.Kind != runtime.InternalError {
		t.Errorf("got %+v, %v", r, r.Err)
	}
}

func TestAReplayThatEndsEarlyHasDiverged(t *testing.T) {
	t.Parallel()
	r := run(t, newLanguage(t), "def h():\n    return 1\n", &runtime.Call{Results: []runtime.StepResult{{Hash: 1}}})
	if r.Status != runtime.Failed || r.Err.Kind != runtime.DivergedError || r.Return != nil {
		t.Errorf("got %+v, %v", r, r.Err)
	}
}

func TestReplayCountsTheSameSteps(t *testing.T) {
	t.Parallel()
	src := "def h(e):\n    d = {x: str(x) for x in range(100)}\n    return [hash(str(d)), sorted(d.values())[3], random()]\n"
	var first *runtime.Reply
	for range 5 {
		r := run(t, newLanguage(t), src, &runtime.Call{Input: []byte("{}"), Seed: 5})
		if first == nil {
			first = r
		}
		if r.Steps != first.Steps || string(runtime.Encode(nil, r.Return)) != string(runtime.Encode(nil, first.Return)) {
			t.Errorf("got %d steps and %v, before %d and %v", r.Steps, r.Return, first.Steps, first.Return)
		}
	}
}

func TestEachBundleHasItsOwnConfig(t *testing.T) {
	t.Parallel()
	l := newLanguage(t)
	for _, want := range []string{"#a", "#b"} {
		cfg := runtime.NewDict("channel", want, "deep", runtime.JSON(`{"x":[1]}`))
		b := runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte("def h():\n    return config[\"channel\"]\n")}, cfg)
		m, _, err := l.Load(t.Context(), b, runtime.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if r := m.Run(t.Context(), &runtime.Call{When: -1}); r.Return != want {
			t.Errorf("got %v, want %v", r.Return, want)
		}
	}
}

func TestSourceBeyondTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	b := runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte("x = 1\n" + strings.Repeat("# more\n", 100))}, nil)
	_, _, err := newLanguage(t).Load(t.Context(), b, runtime.Limits{Source: 100})
	var es runtime.Errors
	if !errors.As(err, &es) || es[0].Limit != runtime.LimitSource {
		t.Errorf("got %v", err)
	}
}

func TestDataThatCannotLeaveIsRefusedInTheScript(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]string{
		"a large text":         "def h():\n    send(\"x\" * (2 << 20))\n",
		"many parts":           "def h():\n    kv.set(\"k\", [0] * 60000)\n",
		"many parts, together": "def h():\n    kv.set(\"k\", [[0] * 1000] * 60)\n",
		"a large answer":       "def h():\n    return [\"x\" * 1000] * 2000\n",
		"a cycle":              "def h():\n    x = []\n    x.append(x)\n    return x\n",
		"a deep payload":       "def h(e):\n    kv.set(\"k\", e.raw)\n",
	} {
		in := strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)
		r := run(t, newLanguage(t), src, &runtime.Call{Input: []byte(in)})
		if r.Status != runtime.Failed || r.Err.Kind != runtime.RunError || r.Err.Pos.Line == 0 {
			t.Errorf("%s: got %+v, %v", name, r.Status, r.Err)
		}
	}
}

func TestWhatABuiltinMayNotDo(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]*runtime.Builtin{
		"an unknown native":             {Name: "yield", Purity: runtime.Native},
		"a constant without a form":     {Name: "c", Purity: runtime.Constant, Value: make(chan int)},
		"a constant that is a function": {Name: "c", Purity: runtime.Constant, Value: runtime.Func{}},
	} {
		lib, err := runtime.NewLibrary([]*runtime.Builtin{b})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := star.New(runtime.Host{Library: lib}); err == nil {
			t.Errorf("%s is bound", name)
		}
	}
}

func TestGuardsCannotBeNamed(t *testing.T) {
	t.Parallel()
	for _, src := range []string{"x = $eq(1, 2)\n", "def $eq(a, b): pass\n", "load(\"b.star\", x = \"$eq\")\n", "load(\"b.star\", \"$in\")\n"} {
		b := runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte(src), "b.star": nil}, nil)
		if _, _, err := newLanguage(t).Load(t.Context(), b, runtime.Limits{}); err == nil {
			t.Errorf("%q is accepted", src)
		}
	}
}

func TestFunctionNumbersAreStable(t *testing.T) {
	t.Parallel()
	src := "def a():\n    return \"a\"\n\ndef b():\n    after(1, a)\n    return b2\n\nb2 = \"b\"\non.message(\"x\", b)\n"
	m, man := load(t, src)
	fn, _ := man.Registrations[0].Args.Get("fn")
	r := m.Run(t.Context(), &runtime.Call{Func: fn.(runtime.Func).Index, When: -1})
	later, _ := r.Effects[0].Args.Get("fn")
	again, _ := load(t, src) // another process, say
	if r := again.Run(t.Context(), &runtime.Call{Func: later.(runtime.Func).Index, When: -1}); r.Return != "a" {
		t.Errorf("got %+v", r)
	}
}

func FuzzScript(f *testing.F) {
	for _, s := range []string{
		benchRule, "x = [1, 2][5]\n", "def f(*a, **k): return a == k\nf(*[1], **{\"b\": 2})\n", "load(\"b.star\", \"x\")\n",
		"x = {1: 2} in [{}] != (1,)\n", "a, (b, c) = 1, [2, 3]\na += b not in [c]\n", "print(config.x.y[1:2:3])\n",
		"send(\"x\")", "f = lambda x, y=1 == 2: x in y\n", "[x for x in range(3) if x == x]\n", "f()[g()] += (1, 2)\nd = {k: v for k, v in zip([1], [2])}\nd[d] |= {}\n", "x = \"a\" * 9 % (1,)\nx[1:][0].join(*[x]).format(**{})\n", "def f(*a): return lambda *b: (a, b, [] + [], 1 << 2)\nsorted(f(1)(2))\n",
		"on.message(\"x\", lambda e: e.raw == {})\n",
	} {
		f.Add(s)
	}
	l := newLanguage(f)
	f.Fuzz(func(t *testing.T, src string) {
		b := runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte(src)}, nil)
		m, man, err := l.Load(t.Context(), b, runtime.Limits{Steps: 2000, Source: 4096})
		if err != nil {
			var es runtime.Errors
			if !errors.As(err, &es) {
				t.Fatalf("a script's fault came back as %v", err)
			}
			for _, e := range es {
				if e.Kind == runtime.InternalError {
					t.Fatalf("internal error: %v", e)
				}
				_ = e.Detail()
			}
			return
		}
		for _, r := range man.Registrations {
			fn, _ := r.Args.Get("fn")
			reply := m.Run(t.Context(), &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte(benchInput), Limits: runtime.Limits{Steps: 2000}})
			if _, err := runtime.DecodeReply(runtime.AppendReply(nil, reply)); err != nil {
				t.Fatalf("reply does not survive the wire: %v", err)
			}
			if reply.Err != nil && reply.Err.Kind == runtime.InternalError && !strings.Contains(src, "boom") {
				t.Fatalf("internal error: %v", reply.Err)
			}
		}
	})
}

func TestAPassWhoseContextHasEndedDoesNotStart(t *testing.T) {
	t.Parallel()
	m, man := load(t, benchRule)
	fn, _ := man.Registrations[0].Args.Get("fn")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := m.Run(ctx, &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte(benchInput)})
	if r.Status != runtime.Failed || r.Steps != 0 || len(r.Effects) != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestCatchLetsAbortThrough(t *testing.T) {
	t.Parallel()
	lib, err := runtime.NewLibrary(runtimetest.Host().Library.All(), []*runtime.Builtin{{
		Name: "abort", Purity: runtime.Pure,
		Fn: func(*runtime.Context, *runtime.Args) (runtime.Value, error) {
			return nil, &runtime.Error{Kind: runtime.AbortError, Status: 404, Msg: "gone"}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := star.New(runtime.Host{Library: lib})
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{
		"def h():\n    return catch(abort)\n",
		"def h():\n    return catch(lambda: catch(lambda: [abort() for _ in range(2)]))\n",
		"def h():\n    send(\"before\")\n    return catch(lambda: abort())\n",
	} {
		r := run(t, l, src, &runtime.Call{})
		if r.Status != runtime.Failed || r.Err.Kind != runtime.AbortError || r.Err.Status != 404 || r.Err.Msg != "gone" {
			t.Errorf("%s: got %+v, %+v, want the abort", src, r, r.Err)
		}
	}
}
