package lua_test

import (
	"context"
	"testing"

	"github.com/starling-rules/starling/runtime"
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
