package lua_test

import (
	"context"
	"encoding/json"
	"fmt"
	goruntime "runtime"
	"testing"
	"time"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
)

const benchRule = `
local function hello(e)
  if e.channel ~= "C1" then
    return nil
  end
  send("hello " .. e.user, {to = e.channel})
end

on.message("hi", hello)
`

func benchmarkPass(b *testing.B, text string, want runtime.Status) {
	m, man := load(b, text)
	call := callOf(man, hostileInput)
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
	benchmarkPass(b, `on.message("x", function() end)`, runtime.Done)
}

func BenchmarkSuspendedPass(b *testing.B) {
	benchmarkPass(b, `on.message("x", function(e) return send("x").ok end)`, runtime.Suspended)
}

func BenchmarkLoop(b *testing.B) {
	benchmarkPass(b, `on.message("x", function(e) local n = 0 for i = 1, 1000 do n = n + i end return n end)`, runtime.Done)
}

func BenchmarkText(b *testing.B) {
	benchmarkPass(b, `on.message("x", function(e)
  local words = {}
  for w in ("the quick brown fox jumps over the lazy dog"):gmatch("%a+") do
    words[#words + 1] = w:upper() .. "!"
  end
  return table.concat(words, " "):gsub("O", "0")
end)`, runtime.Done)
}

func BenchmarkLoad(b *testing.B) {
	lang := newLanguage(b)
	src := bundle(benchRule)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := lang.Load(context.Background(), src, runtime.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

// rule is one as people write them: it takes a command apart, looks at a
// table, words an answer and asks for two effects.
const rule = `
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

const ruleInput = `{"kind": "message", "text": "deploy billing env=Production version=1.24.7 region=eu-west dry=no", "user": "U024BE7LH", "channel": "C024BE91L", "tags": ["a", "b"]}`

// BenchmarkRule shows what the guards cost: bare is the same binding without
// them; interpreter is gopher-lua alone, with its own libraries, its registers
// and a table for the event.
func BenchmarkRule(b *testing.B) {
	for name, lang := range map[string]*lua.Language{"bare": newBare(b), "guarded": newLanguage(b)} {
		b.Run(name, func(b *testing.B) {
			m, man, err := lang.Load(b.Context(), bundle(rule), runtime.Limits{})
			if err != nil {
				b.Fatal(err)
			}
			call := callOf(man, ruleInput)
			b.ReportAllocs()
			for b.Loop() {
				if r := m.Run(context.Background(), call); r.Status != runtime.Done || r.Return != "on it" || len(r.Effects) != 2 {
					b.Fatal(r.Status, r.Err)
				}
			}
		})
	}
	b.Run("interpreter", benchmarkInterpreter)
}

func benchmarkInterpreter(b *testing.B) {
	L := glua.NewState()
	defer L.Close()
	var handler *glua.LFunction
	module := func(name, member string, fn glua.LGFunction) {
		L.SetGlobal(name, L.SetFuncs(L.NewTable(), map[string]glua.LGFunction{member: fn}))
	}
	nothing := func(*glua.LState) int { return 0 }
	module("on", "message", func(L *glua.LState) int {
		handler = L.CheckFunction(2)
		return 0
	})
	module("kv", "set", nothing)
	L.SetGlobal("send", L.NewFunction(nothing))
	L.SetGlobal("now", L.NewFunction(func(L *glua.LState) int {
		L.Push(glua.LNumber(1))
		return 1
	}))
	if err := L.DoString(rule); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var in map[string]any
		if err := json.Unmarshal([]byte(ruleInput), &in); err != nil {
			b.Fatal(err)
		}
		e := L.NewTable()
		for k, v := range in {
			if s, ok := v.(string); ok {
				e.RawSetString(k, glua.LString(s))
			}
		}
		if err := L.CallByParam(glua.P{Fn: handler, NRet: 1, Protect: true}, e); err != nil || L.Get(-1) != glua.LString("on it") {
			b.Fatal(err)
		}
		L.Pop(1)
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
			m, _, err := lang.Load(b.Context(), bundle(fmt.Sprintf("%s\nlocal version = %d\non.message(\"version\", function() return version end)\n", rule, i)), runtime.Limits{})
			if err != nil {
				b.Fatal(err)
			}
			modules[i] = m
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/scripts, "µs/script")
		b.ReportMetric((heap()-before)/scripts, "B/script")
		goruntime.KeepAlive(modules)
	}
}
