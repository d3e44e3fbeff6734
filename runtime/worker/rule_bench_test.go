//go:build linux

package worker_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

// A rule as people write them: it takes a command apart, looks at a table,
// words an answer and asks for two effects. The same in both languages.
const (
	starRule = `
TARGETS = {"api": "#team-api", "web": "#team-web", "jobs": "#team-jobs", "billing": "#team-billing"}

def options(words):
    out = {"env": "staging", "dry": "no"}
    for w in words:
        name, eq, value = w.partition("=")
        if eq:
            out[name.strip()] = value.lower()
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
	luaRule = `
local targets = {api = "#team-api", web = "#team-web", jobs = "#team-jobs", billing = "#team-billing"}

local function options(words)
  local out = {env = "staging", dry = "no"}
  for i = 3, #words do
    local name, value = words[i]:match("^([^=]*)=(.*)$")
    if name then
      out[name] = value:lower()
    end
  end
  return out
end

local function deploy(e)
  local words = {}
  for w in e.text:gmatch("%S+") do
    words[#words + 1] = w
  end
  if #words < 2 or words[1] ~= "deploy" then
    return nil
  end
  local app, opts = words[2], options(words)
  local channel = targets[app]
  if channel == nil then
    return "unknown app " .. app
  end
  local lines = {string.format("*%s* to *%s*, asked for by <@%s>", app, opts.env, e.user)}
  local names = {}
  for name in pairs(opts) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    lines[#lines + 1] = "- " .. name .. ": " .. opts[name]
  end
  send(table.concat(lines, "\n"), {to = channel})
  kv.set("last/" .. app, {by = e.user, env = opts.env, at = now()})
  return "on it"
end

on.message("deploy", deploy)
`
)

// ruleInput is an event of the size that Slack's have.
var ruleInput = []byte(`{"kind":"message","text":"deploy billing env=Production version=1.24.7 region=eu-west dry=no","user":"U024BE7LH","channel":"C024BE91L",` +
	`"tags":["a","b"],"blocks":[{"type":"rich_text","elements":[{"type":"text","text":"` + strings.Repeat("deploy billing ", 60) + `"}]}]}`)

// bill is the processor time of this process and its children.
type bill struct{ total time.Duration }

func processorTime() (b bill) {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	b.total = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u) // those that have ended
	b.total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	for _, pid := range childrenFast() {
		var ts unix.Timespec
		if unix.ClockGettime(int32(^pid)<<3|2, &ts) == nil { // the clock of that process
			b.total += time.Duration(ts.Nano())
		}
	}
	return b
}

func (b bill) report(t *testing.B) {
	used := processorTime().total - b.total
	t.ReportMetric(float64(used.Nanoseconds())/1000/float64(t.N), "cpu-us/op")
}

// BenchmarkRule is the cost of one pass of the rule: interpreter alone, with
// guards, guarded on all processors at once, in a worker one at a time, and in
// workers with 256 events waiting. cpu-us/op is the processor time of server and
// workers together. Where processors share a core each is slower while the other
// works, so what batched adds is to be read against all, not against guarded.
func BenchmarkRule(b *testing.B) {
	for _, l := range []struct{ name, file, src string }{
		{"starlark", "deploy.star", starRule}, {"lua", "deploy.lua", luaRule},
	} {
		bundle := runtime.NewBundle(l.name, l.file, map[string][]byte{l.file: []byte(l.src)}, nil)
		b.Run(l.name+"/bare", func(b *testing.B) { benchInProcess(b, bundle, false) })
		b.Run(l.name+"/guarded", func(b *testing.B) { benchInProcess(b, bundle, true) })
		b.Run(l.name+"/all", func(b *testing.B) { benchOnAll(b, bundle) })
		b.Run(l.name+"/worker", func(b *testing.B) { benchWorker(b, bundle, 1) })
		b.Run(l.name+"/batched", func(b *testing.B) { benchWorker(b, bundle, 256) })
	}
}

func ruleCall(b *testing.B, bundle *runtime.Bundle, man *runtime.Manifest) *runtime.Call {
	b.Helper()
	fn, _ := man.Registrations[0].Args.Get("fn")
	return &runtime.Call{
		Script: bundle.Digest, Func: fn.(runtime.Func).Index, When: -1, Input: ruleInput,
		RunID: "r1", Now: time.Unix(1e9, 0), Seed: 7, Limits: runtime.DefaultLimits,
	}
}

func wantRule(b *testing.B, r *runtime.Reply, err error) {
	if err != nil || r.Return != "on it" || len(r.Effects) != 2 {
		b.Fatal(r, err)
	}
}

func benchInProcess(b *testing.B, bundle *runtime.Bundle, guarded bool) {
	x := runtime.NewExecutor(languages(guarded)...)
	man, err := x.Load(b.Context(), bundle, runtime.DefaultLimits)
	if err != nil {
		b.Fatal(err)
	}
	call := ruleCall(b, bundle, man)
	r, err := x.Run(b.Context(), call)
	wantRule(b, r, err)
	b.ReportAllocs()
	start := processorTime()
	for b.Loop() {
		if _, err := x.Run(b.Context(), call); err != nil {
			b.Fatal(err)
		}
	}
	start.report(b)
}

// benchOnAll is guarded on as many processors as batched keeps busy.
func benchOnAll(b *testing.B, bundle *runtime.Bundle) {
	b.ReportAllocs()
	start := processorTime()
	b.RunParallel(func(pb *testing.PB) {
		x := runtime.NewExecutor(languages(true)...)
		man, err := x.Load(b.Context(), bundle, runtime.DefaultLimits)
		if err != nil {
			b.Error(err)
			return
		}
		call := ruleCall(b, bundle, man)
		for pb.Next() {
			if _, err := x.Run(b.Context(), call); err != nil {
				b.Error(err)
				return
			}
		}
	})
	start.report(b)
}

func benchPool(b *testing.B, bundle *runtime.Bundle) (*worker.Pool, *runtime.Manifest) {
	p := newPool(b, worker.Options{Burst: -1, Spare: -1, Recycle: worker.Recycle{Events: 1 << 30}})
	man, err := p.Load(b.Context(), bundle)
	if err != nil {
		b.Fatal(err)
	}
	return p, man
}

func benchWorker(b *testing.B, bundle *runtime.Bundle, deep int) {
	p, man := benchPool(b, bundle)
	call := ruleCall(b, bundle, man)
	r, err := p.Run(b.Context(), call)
	wantRule(b, r, err)
	benchCalls(b, p, call, deep)
}

// BenchmarkEmptyHop is the hop alone: a pass that does nothing and returns
// nothing, with an event of the same size.
func BenchmarkEmptyHop(b *testing.B) {
	for name, deep := range map[string]int{"worker": 1, "batched": 256} {
		b.Run(name, func(b *testing.B) {
			d := bundle("a.test", "x")
			p, _ := benchPool(b, d)
			benchCalls(b, p, &runtime.Call{
				Script: d.Digest, Func: short, When: -1, Input: append([]byte("nothing "), ruleInput...), RunID: "r1", Limits: runtime.DefaultLimits,
			}, deep)
		})
	}
}

func benchCalls(b *testing.B, p *worker.Pool, call *runtime.Call, deep int) {
	for range 100 { // the workers have the script, and the pool knows its passes
		if r, err := p.Run(b.Context(), call); err != nil || r.Err != nil {
			b.Fatal(r, err)
		}
	}
	waits := make([]func() (*runtime.Reply, error), 0, deep)
	b.ReportAllocs()
	b.ResetTimer()
	start := processorTime()
	for n := 0; n < b.N || len(waits) > 0; {
		for ; n < b.N && len(waits) < deep; n++ {
			c := *call
			c.Lane = lanesOfBench[n%len(lanesOfBench)]
			waits = append(waits, p.Queue(b.Context(), &c))
		}
		// Half of them are waited for, so that the queue never runs dry.
		half := (len(waits) + 1) / 2
		for _, wait := range waits[:half] {
			if r, err := wait(); err != nil || r.Err != nil {
				b.Fatal(r, err)
			}
		}
		waits = append(waits[:0], waits[half:]...)
	}
	start.report(b)
	if deep > 1 {
		b.ReportMetric(float64(p.Stats().Ahead)/float64(b.N), "ahead/op")
	}
}

// lanesOfBench are the conversations that the events come from.
var lanesOfBench = func() (lanes []string) {
	for i := range 100 {
		lanes = append(lanes, fmt.Sprint("T1/C", i))
	}
	return lanes
}()
