package star_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest"
	"github.com/starling-rules/starling/runtime/runtimetest/hostile"
)

// wanted reads what a line says of itself: a problem that begins at a column
// of it, "# 5: lint: text (hint)", several parted by " // ".
func wanted(src string) []string {
	var out []string
	for i, line := range strings.Split(src, "\n") {
		_, note, ok := strings.Cut(line, "  # ")
		if !ok {
			continue
		}
		for part := range strings.SplitSeq(note, " // ") {
			out = append(out, fmt.Sprintf("%d:%s", i+1, part))
		}
	}
	return out
}

func found(a *runtime.Analysis) []string {
	var out []string
	for _, p := range a.Problems {
		s := fmt.Sprintf("%d:%d: %s: %s", p.Pos.Line, p.Pos.Col, p.Kind, p.Msg)
		if p.Hint != "" {
			s += " (" + p.Hint + ")"
		}
		out = append(out, s)
	}
	return out
}

func TestAnalyzeFindsMistakesWithoutRunning(t *testing.T) {
	t.Parallel()
	lang := newLanguage(t)
	files, err := filepath.Glob("testdata/analyze/*.star")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		a := lang.Analyze("a.star", text)
		if d := cmp.Diff(wanted(string(text)), found(a)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		for _, p := range a.Problems {
			if p.Line != runtime.SourceLine(text, p.Pos.Line) {
				t.Errorf("%s: the problem in line %d shows %q", name, p.Pos.Line, p.Line)
			}
		}
	}
}

// TestAnalyzeIsSilentOnGoodScripts reads what the suite and the examples run.
func TestAnalyzeIsSilentOnGoodScripts(t *testing.T) {
	t.Parallel()
	lang := newLanguage(t)
	for name, src := range map[string]string{"heavy": heavyRule, "bench": benchRule} {
		if a := lang.Analyze("a.star", []byte(src)); len(a.Problems) > 0 {
			t.Errorf("%s: %v", name, found(a))
		}
	}
}

// TestAnalyzeAgreesWithLoad compares on what does not load: each problem of
// Load has its place and text here too.
func TestAnalyzeAgreesWithLoad(t *testing.T) {
	t.Parallel()
	lang := newLanguage(t)
	for _, c := range runtimetest.Cases(t) {
		b := c.Bundle("starlark", ".star")
		if b == nil {
			continue
		}
		_, _, err := lang.Load(t.Context(), b, c.Limits)
		es, _ := err.(runtime.Errors)
		a := lang.Analyze(b.Main, b.Files[b.Main])
		have := map[string]bool{}
		for _, p := range a.Problems {
			have[p.Pos.String()+" "+p.Msg] = true
		}
		for _, e := range es {
			if (e.Kind == runtime.SyntaxError || e.Kind == runtime.NameError) && e.Pos.Path == b.Main && !have[e.Pos.String()+" "+e.Msg] && !strings.Contains(e.Msg, "does not define") {
				t.Errorf("%s: Load finds %v, Analyze %v", c.Name, e, found(a))
			}
		}
	}
}

func TestAnalyzeListsCallsAndLoads(t *testing.T) {
	t.Parallel()
	src := `
load("lib/x.star", "a", b = "c")
CHANNEL = "#ops"
def h(e):
    send("hi " + "there", to = CHANNEL, score = -1.5, blocks = [{"type": "section", "n": e.count}])
    x = lambda: kv.get("k", *e.tags, **{})
    send(x() or e.text)
    def send2(): kv.set("k", (1, None, True, b"x"))
    return [a, b, send2]
on.message("x", h, channels = [CHANNEL], when = lambda e: True)
log = 1
log.warn("not the built-in")
`
	a := newLanguage(t).Analyze("a.star", []byte(src))
	var got []string
	for _, c := range a.Calls {
		var args []string
		for _, arg := range c.Args {
			s := arg.Name + "=" + showValue(arg.Value)
			if arg.Spread {
				s = "*" + s
			}
			args = append(args, s)
		}
		got = append(got, fmt.Sprintf("%d:%d-%d:%d %s %s(%s)", c.Pos.Line, c.Pos.Col, c.End.Line, c.End.Col, c.Func, c.Name, strings.Join(args, ", ")))
	}
	want := []string{
		`5:5-5:99 h send(="hi there", to="#ops", score=-1.5, blocks=[{"type":"section","n":?}])`,
		`6:20-6:42 lambda kv.get(="k", *=?, *={})`,
		`7:5-7:23 h send(=?)`,
		`8:21-8:51 send2 kv.set(="k", =[1,null,true,"eA=="])`,
		`10:4-10:63  on.message(="x", =?, channels=["#ops"], when=?)`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
	if len(a.Loads) != 1 || a.Loads[0].Name != "lib/x.star" || a.Loads[0].Pos.Line != 2 {
		t.Errorf("loads: got %v", a.Loads)
	}
}

// showValue is JSON with ? for what is unknown.
func showValue(v runtime.Value) string {
	var plain func(v runtime.Value) any
	plain = func(v runtime.Value) any {
		switch v := v.(type) {
		case runtime.Unknown:
			return json.RawMessage(`"?"`)
		case runtime.List:
			out := make([]any, len(v))
			for i := range v {
				out[i] = plain(v[i])
			}
			return out
		case *runtime.Dict:
			parts := []string{}
			for _, f := range v.Fields {
				parts = append(parts, fmt.Sprintf("%q:%s", f.Key, showValue(f.Value)))
			}
			return json.RawMessage(strings.ReplaceAll("{"+strings.Join(parts, ",")+"}", "?", `"?"`))
		}
		return v
	}
	b, err := json.Marshal(plain(v))
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(b), `"?"`, "?")
}

// FuzzAnalyze reads any text: it must end, with problems in the file.
func FuzzAnalyze(f *testing.F) {
	for _, c := range runtimetest.Cases(f) {
		if text := c.Files["script.star"]; text != nil {
			f.Add(string(text))
		}
	}
	for _, h := range hostile.Star() {
		if len(h.Source) < 2000 {
			f.Add(h.Source)
		}
	}
	files, _ := filepath.Glob("testdata/analyze/*.star")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	lang := newLanguage(f)
	f.Fuzz(func(t *testing.T, text string) {
		a := lang.Analyze("a.star", []byte(text))
		for _, p := range a.Problems {
			if p.Msg == "" || p.Kind == "" || p.Pos.Path != "a.star" || p.Pos.Line > strings.Count(text, "\n")+2 {
				t.Errorf("a bad problem: %+v", p)
			}
			_ = p.Detail()
		}
	})
}
