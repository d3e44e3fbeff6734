package lua_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
)

var updateAnalysis = flag.Bool("update-analysis", false, "write what Analyze says to testdata/analyze.txt")

// analysis is what Analyze says, a line each.
func analysis(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	for _, e := range newLanguage(t).Analyze("rule.lua", []byte(text)).Problems {
		fmt.Fprintf(&b, "%d:%d %s: %s", e.Pos.Line, e.Pos.Col, e.Kind, e.Msg)
		if e.Hint != "" {
			fmt.Fprintf(&b, " (%s)", e.Hint)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestAnalyzeProblems(t *testing.T) {
	t.Parallel()
	cases, err := os.ReadFile("testdata/analyze.txt")
	if err != nil {
		t.Fatal(err)
	}
	if *updateAnalysis {
		var out []string
		for _, c := range strings.Split(string(cases), "====\n") {
			script, _, _ := strings.Cut(c, "----\n")
			out = append(out, script+"----\n"+analysis(t, script))
		}
		if err := os.WriteFile("testdata/analyze.txt", []byte(strings.Join(out, "====\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	// Cases are parted by lines of =; a line of - parts the script from what is said of it.
	for _, c := range strings.Split(string(cases), "====\n") {
		script, want, ok := strings.Cut(c, "----\n")
		if !ok {
			t.Fatalf("a case without ----:\n%s", c)
		}
		name, _, _ := strings.Cut(script, "\n")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(want, analysis(t, script)); d != "" {
				t.Errorf("problems (-want +got) of\n%s\n%s", script, d)
			}
		})
	}
}

func TestAnalyzeShowsTheLine(t *testing.T) {
	t.Parallel()
	problems := newLanguage(t).Analyze("rule.lua", []byte("local x = 1\nprint(nope)\n")).Problems
	got := runtime.Errors(problems).Detail()
	const want = "rule.lua:1:7: local x is never used\n   1 | local x = 1\n     |       ^\n     = remove it, or name it _x\n" +
		"rule.lua:2:7: nope is not defined\n   2 | print(nope)\n     |       ^\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAnalyzeCalls(t *testing.T) {
	t.Parallel()
	an := newLanguage(t).Analyze("rule.lua", []byte(`local lib = require("lib.x")
local function hello(e)
  send("hi " .. e.user, {to = "C1", score = -1.5})
  send(lib.text, lib.options)
  local send = lib.send
  send("not the built-in")
end
on.message(
  "a" .. "b",
  hello, {channels = {"#a", lib.y}, cooldown = 5})
on.message("x", function() slack("m", {a = 1, b = {c = true}}) end)
print(upper "x", count(...), json.encode({1, 2}))
`))
	if len(an.Problems) != 0 {
		t.Errorf("problems: %v", an.Problems)
	}
	var b strings.Builder
	for _, c := range an.Calls {
		fmt.Fprintf(&b, "%s %d:%d-%d:%d in %q:", c.Name, c.Pos.Line, c.Pos.Col, c.End.Line, c.End.Col, c.Func)
		for _, a := range c.Args {
			fmt.Fprintf(&b, " %s=%s%s@%d:%d", a.Name, show(a.Value), map[bool]string{true: "..."}[a.Spread], a.Pos.Line, a.Pos.Col)
		}
		b.WriteByte('\n')
	}
	const want = `send 3:3-3:50 in "hello": =?@3:8 to="C1"@3:31 score=-1.5@3:46
send 4:3-4:29 in "hello": =?@4:8 =?@4:18 =?...@4:18
on.message 8:1-10:50 in "": ="ab"@9:3 =?@10:3 channels=["#a" ?]@10:22 cooldown=5@10:48
on.message 11:1-11:67 in "": ="x"@11:12 =?@11:17
slack 11:28-11:62 in "function": ="m"@11:34 a=1@11:44 b={c:true}@11:51
print 12:1-12:49 in "": =?@12:7 =?@12:18 =?...@12:30
upper 12:7-12:13 in "": ="x"@12:13
count 12:18-12:27 in "": =?...@12:24
json.encode 12:30-12:48 in "": =[1 2]@12:42
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
	if len(an.Loads) != 1 || an.Loads[0].Name != "lib.x" || an.Loads[0].Path != "lib/x.lua" || an.Loads[0].Pos.Col != 21 {
		t.Errorf("loads: %+v", an.Loads)
	}
}

// show is a value in few characters.
func show(v runtime.Value) string {
	switch v := v.(type) {
	case runtime.Unknown:
		return "?"
	case nil:
		return "nil"
	case string:
		return fmt.Sprintf("%q", v)
	case runtime.List:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = show(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case *runtime.Dict:
		parts := make([]string, v.Len())
		for i, f := range v.Fields {
			parts[i] = f.Key + ":" + show(f.Value)
		}
		return "{" + strings.Join(parts, " ") + "}"
	}
	return fmt.Sprint(v)
}
