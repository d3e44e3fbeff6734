package star_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest"
	"github.com/starling-rules/starling/runtime/star"
)

// returned runs the body of a handler and returns the text of what it returns.
func returned(t *testing.T, body string) string {
	t.Helper()
	src := "def h():\n    " + strings.ReplaceAll(body, "\n", "\n    ") + "\n"
	r := run(t, newLanguage(t), src, &runtime.Call{Limits: runtime.Limits{Deadline: time.Minute}})
	if r.Err != nil {
		return "error: " + r.Err.Error()
	}
	b, err := runtime.AppendJSON(nil, r.Return)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAugmentedAssignmentComputesItsTargetOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"a call": {
			"log = []\nl = [1, 2]\ndef f():\n    log.append(\"f\")\n    return l\ndef g():\n    log.append(\"g\")\n    return 0\nf()[g()] += len(log)\nreturn [l, log]",
			`[[3,2],["f","g"]]`,
		},
		"nested":       {"d = {\"a\": {\"b\": [1]}}\nd[\"a\"][\"b\"] += [2]\nd[\"a\"][\"b\"][0] *= 7\nreturn d", `{"a":{"b":[7,2]}}`},
		"in place":     {"l = [1]\nm = l\nl += (2, 3)\nreturn m", `[1,2,3]`},
		"a dict":       {"d = {\"a\": 1}\nc = d\nd |= {\"b\": 2}\nreturn c", `{"a":1,"b":2}`},
		"no list":      {"t = (1,)\nu = t\nt += (2,)\nreturn [t, u]", `[[1,2],[1]]`},
		"a text":       {"s = \"a\"\ns += \"b\"\ns *= 2\nreturn s", `"abab"`},
		"bits":         {"x = 6\nx |= 1\nx &= 5\nx ^= 2\nx <<= 3\nx -= x\nreturn x", `0`},
		"in an if":     {"l = [[1]]\nif l: l[len(l) - 1][0] += l[0][0]\nreturn l", `[[2]]`},
		"an element":   {"t = ([1],)\nx = t[0]\nx += [2]\nreturn t", `[[1,2]]`},
		"a new dict":   {"d = {k: v for k, v in [(\"a\", 1), (\"b\", 2), (\"a\", 3)]}\nreturn d", `{"a":3,"b":2}`},
		"star args":    {"f = lambda *a, **k: [a, k]\nreturn f(*[1, 2], **{\"x\": 3})", `[[1,2],{"x":3}]`},
		"def args":     {"def f(x, *rest):\n    return [x, rest]\nreturn f(1, 2, 3)", `[1,[2,3]]`},
		"a method":     {"f = \"-\".join\ng = getattr(\"a b\", \"split\")\nreturn [f([\"a\", \"b\"]), g(), str(f)]", `["a-b",["a","b"],"<built-in method join of string value>"]`},
		"a field":      {"s = struct(join = lambda x: x, items = 7)\nreturn [s.join(1), s.items]", `[1,7]`},
		"many parts":   {"return (" + strings.Repeat("len(\"\"), ", 300) + ")[299]", `0`},
		"many args":    {"return \"{254}\".format(" + strings.Repeat("1, ", 254) + "len(\"ab\"))", `"2"`},
		"written dict": {"return {" + writtenDict(200) + "}[\"k199\"]", `199`},
		"a cycle":      {"l = [1]\nl.append(l)\nd = {}\nd[1] = [d]\nreturn str(l) + repr(d)", `"[1, [...]]{1: [{...}]}"`},
		"large dict":   {"d = {}\nfor i in range(3000):\n    d[str(i)] = i\n    d[str(i)] += i\nfor i in range(2990): d.pop(str(i))\nreturn [len(d), d[\"2999\"], d.keys()[0]]", `[10,5998,"2990"]`},
	} {
		if got := returned(t, c.body); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func writtenDict(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, "\"k"+itoa(i)+"\": "+itoa(i))
	}
	return strings.Join(parts, ", ")
}

func itoa(n int) string { b, _ := runtime.AppendJSON(nil, int64(n)); return string(b) }

// TestHonestScriptsStayFarFromTheLimits does what large rules may do.
func TestHonestScriptsStayFarFromTheLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body  string
		steps uint64
	}{
		"count words":      {"d = {}\nfor w in (\"lorem ipsum dolor \" * 3000).split():\n    d[w] = d.get(w, 0) + 1\nreturn d[\"dolor\"]", 250_000},
		"many keys":        {"d = {}\nfor i in range(20000): d[\"key\" + str(i)] = i\nreturn len(d)", 600_000},
		"many small dicts": {"rows = []\nfor i in range(2000):\n    rows.append({\"id\": i, \"name\": str(i)})\n    rows[-1][\"x\" + str(i % 10)] = 1\nreturn len(rows)", 150_000},
		"ints as keys":     {"d = {i: i for i in range(20000)}\nreturn len(d)", 400_000},
		"distinct":         {"return len(set([i % 1000 for i in range(20000)]))", 400_000},
		"sort":             {"return sorted([(i * 7919) % 10007 for i in range(5000)])[17]", 600_000},
		"join and split":   {"return len(\",\".join([str(i) for i in range(10000)]).split(\",\"))", 500_000},
		"a queue":          {"d = {i: 1 for i in range(1000)}\nfor i in range(5000):\n    d[1000 + i] = 1\n    d.pop(i)\nreturn len(d)", 300_000},
	} {
		src := "def h():\n    " + strings.ReplaceAll(c.body, "\n", "\n    ") + "\n"
		r := run(t, newLanguage(t), src, &runtime.Call{Limits: runtime.Limits{Deadline: 1 << 40}})
		if r.Err != nil || r.Steps > c.steps {
			t.Errorf("%s: %d steps, want at most %d (%v)", name, r.Steps, c.steps, r.Err)
		}
	}
}

// TestGuardsSpendTheSameOnEachRun is what makes a limit of steps replayable.
func TestGuardsSpendTheSameOnEachRun(t *testing.T) {
	t.Parallel()
	src := `
def h():
    d = {i << 8: (i, str(i)) for i in range(2000)}
    s = set([x for x in d]) | set(["k%d" % i for i in range(2000)])
    l = sorted(d.values(), key = lambda p: p[1])
    return [len(s), l[7], str(d)[:100], ",".join([x[1] for x in l])[:50]]
`
	var steps uint64
	for range 4 {
		r := run(t, newLanguage(t), src, &runtime.Call{Limits: runtime.Limits{Deadline: 1 << 40}})
		if r.Err != nil || steps != 0 && r.Steps != steps {
			t.Fatalf("got %d steps, before %d: %v", r.Steps, steps, r.Err)
		}
		steps = r.Steps
	}
}

// TestWhatTheHostGivesIsBoundedToo has a list of the event and a constant of a
// module, which no guard has made.
func TestWhatTheHostGivesIsBoundedToo(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", 2000)
	lib, err := runtime.NewLibrary([]*runtime.Builtin{{Name: "texts.long", Purity: runtime.Constant, Value: text}})
	if err != nil {
		t.Fatal(err)
	}
	host := runtimetest.Host()
	l, err := star.New(runtime.Host{Library: lib, Input: host.Input})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ body, limit string }{
		"list and view":     {"l = [1] * 400000\n    while True: x = l + e.raw.tags", runtime.LimitSteps},
		"view and list":     {"l = [1] * 400000\n    while True: x = e.raw.tags + l", runtime.LimitSteps},
		"view times":        {"e.raw.tags * 1000000", runtime.LimitMemory},
		"view in place":     {"x = e.raw.tags\n    while True: x += x", runtime.LimitMemory},
		"constant's method": {"texts.long.replace(\"x\", texts.long * 2)", runtime.LimitMemory},
		"constant's value":  {"f = texts.long.replace\n    f(\"x\", texts.long * 2)", runtime.LimitMemory},
		"shadowed module":   {"texts = \"x\" * 4000\n    texts.replace(\"x\", texts)", runtime.LimitMemory},
	} {
		r := run(t, l, "def h(e):\n    "+c.body+"\n", &runtime.Call{Input: []byte(benchInput), Limits: runtime.Limits{Deadline: 1 << 40}})
		if r.Err == nil || r.Err.Limit != c.limit {
			t.Errorf("%s: got %v, want the limit %s", name, r.Err, c.limit)
		}
	}
}

func TestASizeBoundEndsTheRunWithItsPlace(t *testing.T) {
	t.Parallel()
	r := run(t, newLanguage(t), "def h():\n    s = \"x\"\n    for i in range(100):\n        s = s + s\n", &runtime.Call{})
	e := r.Err
	if e == nil || e.Kind != runtime.LimitError || e.Limit != runtime.LimitMemory || e.Msg != "text larger than 4 MB" ||
		e.Pos.Line != 4 || e.Pos.Col != 15 || e.Hint == "" || !strings.Contains(e.Line, "s + s") {
		t.Errorf("got %+v", e)
	}
	if r := run(t, newLanguage(t), "def f():\n    return \"x\" * (1 << 29)\ndef h():\n    return catch(f)\n", &runtime.Call{Func: 1}); r.Err == nil || r.Err.Limit != runtime.LimitMemory {
		t.Errorf("a script has outlived a limit: %+v", r)
	}
}

func TestRedefiningConstantsIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	src := "x = 1\ndef f(a, None = 2):\n    return None\nTrue = 3\n"
	b := runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte(src)}, nil)
	_, _, err := newLanguage(t).Load(t.Context(), b, runtime.Limits{})
	var es runtime.Errors
	if !errors.As(err, &es) || len(es) != 2 || es[0].Pos.Line != 2 || es[0].Pos.Col != 10 || es[1].Pos.Line != 4 {
		t.Errorf("got %v", err)
	}
}

// TestUnguardedSeesTheSame shows that leaving out the guards changes nothing
// that honest scripts see.
func TestUnguardedSeesTheSame(t *testing.T) {
	t.Parallel()
	for _, src := range []string{heavyRule, benchRule} {
		var replies []string
		for _, lang := range []runtime.Language{newLanguage(t), newBare(t)} {
			b := runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte(src)}, nil)
			m, man, err := lang.Load(t.Context(), b, runtime.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			fn, _ := man.Registrations[0].Args.Get("fn")
			r := m.Run(t.Context(), &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte(benchInput)})
			if r.Err != nil || len(r.Effects) != 1 {
				t.Fatalf("got %+v, %v", r, r.Err)
			}
			replies = append(replies, string(runtime.Encode(nil, r.Effects[0].Args)))
		}
		if replies[0] != replies[1] {
			t.Errorf("got %q with guards, %q without", replies[0], replies[1])
		}
	}
}
