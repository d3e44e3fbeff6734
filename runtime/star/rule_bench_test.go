package star_test

import (
	"context"
	"encoding/json"
	"fmt"
	goruntime "runtime"
	"slices"
	"testing"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/star"
)

// rule is one as people write them: it takes a command apart, looks at a
// table, words an answer and asks for two effects. Lua is measured with its twin.
const rule = `
TARGETS = {"api": "#team-api", "web": "#team-web", "jobs": "#team-jobs", "billing": "#team-billing"}

def options(words):
    out = {"env": "staging", "dry": "no"}
    for w in words:
        name, eq, value = w.partition("=")
        if eq:
            out[name] = value.lower()
    return out

def deploy(e):
    words = e.text.split(" ")
    if len(words) < 2 or words[0] != "deploy":
        return None
    app, opts = words[1], options(words[2:])
    channel = TARGETS.get(app)
    if channel == None:
        return "unknown app " + app
    lines = ["*%s* to *%s*, asked for by <@%s>" % (app, opts["env"], e.user)]
    for name in sorted(opts):
        lines.append("- " + name + ": " + opts[name])
    send("\n".join(lines), to = channel)
    kv.set("last/" + app, {"by": e.user, "env": opts["env"], "at": now()})
    return "on it"

on.message("deploy", deploy)
`

const ruleInput = `{"kind": "message", "text": "deploy billing env=Production version=1.24.7 region=eu-west dry=no", "user": "U024BE7LH", "channel": "C024BE91L", "tags": ["a", "b"]}`

// BenchmarkRule shows what the guards cost: bare is the same binding without
// them; interpreter is go.starlark.net alone, with a struct for the event and
// built-ins that do nothing.
func BenchmarkRule(b *testing.B) {
	for name, lang := range map[string]*star.Language{"bare": newBare(b), "guarded": newLanguage(b)} {
		b.Run(name, func(b *testing.B) {
			run := ruleOf(b, lang)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
	b.Run("interpreter", benchmarkInterpreter)
}

// BenchmarkGuards runs the rule with and without guards by turns, so that a
// busy machine slows both, and reports the ratio of the medians.
func BenchmarkGuards(b *testing.B) {
	guarded, bare := ruleOf(b, newLanguage(b)), ruleOf(b, newBare(b))
	var took [2][]float64
	for b.Loop() {
		for i, run := range []func(){guarded, bare} {
			start := time.Now()
			for range 10 {
				run()
			}
			took[i] = append(took[i], float64(time.Since(start)))
		}
	}
	b.ReportMetric(median(took[0])/median(took[1]), "guarded/bare")
}

func ruleOf(b *testing.B, lang *star.Language) func() {
	m, man := loadWith(b, lang, rule)
	fn, _ := man.Registrations[0].Args.Get("fn")
	call := &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte(ruleInput), RunID: "r", Now: time.Unix(1, 0), Seed: 1}
	return func() {
		if r := m.Run(context.Background(), call); r.Status != runtime.Done || r.Return != "on it" || len(r.Effects) != 2 {
			b.Fatal(r.Status, r.Err)
		}
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func benchmarkInterpreter(b *testing.B) {
	nothing := func(name string) *starlark.Builtin {
		return starlark.NewBuiltin(name, func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
			return starlark.None, nil
		})
	}
	module := func(name string) starlark.Value {
		return starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{name: nothing(name)})
	}
	names := starlark.StringDict{"on": module("message"), "kv": module("set"), "send": nothing("send"), "now": nothing("now")}
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{}, new(starlark.Thread), "rule.star", rule, names)
	if err != nil {
		b.Fatal(err)
	}
	globals.Freeze()
	b.ReportAllocs()
	for b.Loop() {
		var in map[string]any
		if err := json.Unmarshal([]byte(ruleInput), &in); err != nil {
			b.Fatal(err)
		}
		fields := starlark.StringDict{}
		for k, v := range in {
			if s, ok := v.(string); ok {
				fields[k] = starlark.String(s)
			}
		}
		v, err := starlark.Call(new(starlark.Thread), globals["deploy"], starlark.Tuple{starlarkstruct.FromStringDict(starlarkstruct.Default, fields)}, nil)
		if err != nil || v != starlark.String("on it") {
			b.Fatal(v, err)
		}
	}
}

// BenchmarkLoad1000 loads a thousand different scripts, and reports what one
// of them keeps.
func BenchmarkLoad1000(b *testing.B) {
	const scripts = 1000
	lang := newLanguage(b)
	heap := func() float64 {
		goruntime.GC()
		goruntime.GC()
		var m goruntime.MemStats
		goruntime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		before := heap()
		start := time.Now()
		modules := make([]runtime.Module, scripts)
		for i := range modules {
			name := fmt.Sprintf("rule%d.star", i)
			text := rule + fmt.Sprintf("\n# number %d\n", i)
			var err error
			if modules[i], _, err = lang.Load(context.Background(), runtime.NewBundle("starlark", name, map[string][]byte{name: []byte(text)}, nil), runtime.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/scripts, "µs/script")
		b.ReportMetric((heap()-before)/scripts, "B/script")
		goruntime.KeepAlive(modules)
	}
}
