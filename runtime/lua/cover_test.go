package lua_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/runtimetest"
)

func TestCoverageCountsLines(t *testing.T) {
	t.Parallel()
	// Before each line stands how often it is run, if it holds a statement.
	const script = `1|local lib = require("lib")
 |-- a comment
1|local function h(e)
2|  local n,
 |    m = 0, 1
2|  for i = 1, 3 do
6|    n = n + i
 |  end
2|  if e.text == "no" then
0|    return "no"
2|  elseif e.text == "hi" then
2|    n = n + 1 m = n
0|  elseif e.text then
0|    fail("x")
 |  else
0|    n = 0
 |  end
2|  repeat
4|    n = n - 4
4|  until n < 2
2|  local t = {
 |    f = function()
4|      return m
 |    end,
 |  }
2|  goto done
0|  n = 5
 |  ::done::
2|  return t.f() + t.f() + lib(n)
 |end
1|on.message("x", h)
`
	const required = `1|return function(n)
2|  while true do
2|    if n then break end
 |  end
2|  return 0
 |end
`
	host := runtimetest.Host()
	host.Cover = &runtime.Coverage{}
	lang, err := lua.New(host)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"rule.lua": plainScript(script), "lib.lua": plainScript(required)}
	m, man, err := lang.Load(t.Context(), runtime.NewBundle("lua", "rule.lua", files, nil), runtime.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := m.Run(context.Background(), callOf(man, hostileInput)); r.Err != nil || fmt.Sprint(r.Return) != "14" {
			t.Fatalf("got %v %v", r.Return, r.Err)
		}
	}
	for path, want := range map[string]string{"rule.lua": script, "lib.lua": required} {
		f := host.Cover.File(path)
		if f == nil {
			t.Fatalf("%s was not declared: %v", path, host.Cover.Files())
		}
		for i, line := range strings.Split(strings.TrimSuffix(want, "\n"), "\n") {
			got := " "
			if n := f.Count(i + 1); n >= 0 {
				got = fmt.Sprint(n)
			}
			if count, text, _ := strings.Cut(line, "|"); got != count {
				t.Errorf("%s:%d: counted %q, want %q: %s", path, i+1, got, count, text)
			}
		}
	}
	if lang.Analyze("other.lua", []byte("x = 1")); host.Cover.File("other.lua") != nil {
		t.Error("what is analysed is declared")
	}
}

// plainScript takes the counts off a script.
func plainScript(text string) []byte {
	var b strings.Builder
	for _, line := range strings.SplitAfter(text, "\n") {
		_, code, _ := strings.Cut(line, "|")
		b.WriteString(code)
	}
	return []byte(b.String())
}

func TestCoverageChangesNothingElse(t *testing.T) {
	t.Parallel()
	host := runtimetest.Host()
	host.Cover = &runtime.Coverage{}
	lang, err := lua.New(host)
	if err != nil {
		t.Fatal(err)
	}
	counted := runtime.NewLocal([]runtime.Language{lang}, runtime.LocalOptions{})
	plain := runtime.NewLocal([]runtime.Language{newLanguage(t)}, runtime.LocalOptions{})
	for _, c := range runtimetest.Cases(t) {
		b := c.Bundle("lua", ".lua")
		if b == nil || strings.HasPrefix(c.Name, "limit_") || c.Name == "recursion" {
			continue // where a limit strikes is another matter
		}
		if d := cmp.Diff(c.Transcript(t, plain, b), c.Transcript(t, counted, b)); d != "" {
			t.Errorf("%s (-plain +counted):\n%s", c.Name, d)
		}
	}
}
