package runtimetest

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
)

//go:embed testdata/*.txtar
var cases embed.FS

var update = flag.String("runtimetest.update", "", "write the transcripts to the cases in this directory")

// Cases returns the cases of the suite.
func Cases(t testing.TB) []*Case {
	t.Helper()
	entries, err := cases.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var out []*Case
	for _, e := range entries {
		text, err := cases.ReadFile(path.Join("testdata", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCase(strings.TrimSuffix(e.Name(), ".txtar"), text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// Run runs every case that has a script with the ending ext through a pool
// whose languages were made with Host. newPool is called once.
func Run(t *testing.T, language, ext string, newPool func(t testing.TB) runtime.Pool) {
	pool := newPool(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := pool.Close(ctx); err != nil {
			t.Errorf("close pool: %v", err)
		}
	})
	t.Run("cases", func(t *testing.T) {
		for _, c := range Cases(t) {
			b := c.Bundle(language, ext)
			if b == nil {
				continue
			}
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				got := c.Transcript(t, pool, b)
				if *update != "" {
					if err := os.WriteFile(filepath.Join(*update, c.Name+".txtar"), c.update(ext, got), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				if d := cmp.Diff(c.wanted(ext), got); d != "" {
					t.Errorf("transcript (-want +got):\n%s", d)
				}
			})
		}
	})
}

// maxPasses bounds the passes of one case.
const maxPasses = 20

// Transcript loads the bundle, runs the rule until it ends, giving each
// effect its scripted result, and says what happened.
func (c *Case) Transcript(t testing.TB, pool runtime.Pool, b *runtime.Bundle) string {
	t.Helper()
	w := &transcript{main: b.Main}
	ctx := context.Background()
	man, err := pool.Load(ctx, b)
	if err != nil {
		var es runtime.Errors
		if !errors.As(err, &es) {
			t.Fatalf("load: %v", err)
		}
		w.printf("load: failed")
		w.problems(es...)
		return w.String()
	}
	for _, m := range man.Missing {
		w.printf("missing %s (%s) at %s", m.Path, m.Name, m.Pos)
	}
	if len(man.Missing) > 0 {
		return w.String()
	}
	defer pool.Forget(b.Digest)
	w.logs(man.Logs)
	for _, r := range man.Registrations {
		w.printf("rule %s %s at %d", r.Name, show(r.Args), r.Pos.Line)
	}
	if c.Rule >= len(man.Registrations) {
		return w.String()
	}
	c.run(t, pool, w, b.Digest, man.Registrations[c.Rule])
	return w.String()
}

func (c *Case) run(t testing.TB, pool runtime.Pool, w *transcript, d runtime.Digest, rule runtime.Registration) {
	call := &runtime.Call{
		Script: d, When: -1, Input: c.Input, Extra: c.Extra, RunID: "run-1",
		Now: time.Unix(1_700_000_000, 0).UTC(), Seed: 7, Limits: c.Limits,
	}
	fn, _ := rule.Args.Get("fn")
	call.Func = fn.(runtime.Func).Index
	if when, ok := rule.Args.Get("when"); ok {
		call.When = when.(runtime.Func).Index
	}
	taken := map[string]int{}
	for pass := 1; pass <= maxPasses; pass++ {
		r, err := pool.Run(context.Background(), call)
		if err != nil {
			t.Fatalf("run: %v", err)
		}
		w.reply(pass, r)
		if r.Status != runtime.Suspended {
			return
		}
		if len(r.Effects) == 0 {
			t.Fatalf("pass %d is suspended but asks for nothing", pass)
		}
		call.SkipLogs += len(r.Logs)
		for _, e := range r.Effects {
			s := runtime.StepResult{Value: runtime.JSON(`{"ok":true}`)}
			if list := c.Results[e.Kind]; taken[e.Kind] < len(list) {
				s = list[taken[e.Kind]]
				taken[e.Kind]++
			}
			s.Hash, s.Kind = e.Hash(), e.Kind
			if e.Step == c.Corrupt {
				s.Hash, s.Kind = s.Hash+1, "other.effect"
			}
			call.Results = append(call.Results, s)
		}
	}
	t.Fatalf("no end after %d passes", maxPasses)
}

// transcript is what happened, with the name of the main file made neutral.
type transcript struct {
	strings.Builder
	main string
}

func (w *transcript) printf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	ext := path.Ext(w.main)
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		w.WriteString(strings.TrimRight(strings.ReplaceAll(line, ext+":", ":"), " ") + "\n")
	}
}

func (w *transcript) problems(es ...*runtime.Error) {
	for _, e := range es {
		limit := ""
		if e.Limit != "" {
			limit = " " + e.Limit
		}
		w.printf("%s%s error", e.Kind, limit)
		if e.Limit == runtime.LimitDeadline { // where it strikes in a line is chance
			at := *e
			at.Pos.Col = 0
			e = &at
		}
		w.printf("%s", e.Detail())
	}
}

func (w *transcript) logs(lines []runtime.LogLine) {
	for _, l := range lines {
		attrs := ""
		if l.Attrs != nil {
			attrs = " " + show(l.Attrs)
		}
		w.printf("log %s %s%s at %d", l.Level, l.Text, attrs, l.Pos.Line)
	}
}

func (w *transcript) reply(pass int, r *runtime.Reply) {
	w.printf("pass %d: %s", pass, r.Status)
	w.logs(r.Logs)
	for _, e := range r.Effects {
		w.printf("effect %d %s %s at %d", e.Step, e.Kind, show(e.Args), e.Pos.Line)
	}
	switch {
	case r.Err != nil:
		w.problems(r.Err)
	case r.FromEffect:
		w.printf("return the result of an effect: %s", show(r.Return))
	case r.Status == runtime.Done:
		w.printf("return %s", show(r.Return))
	}
}

// show is JSON for all kinds of values.
func show(v runtime.Value) string {
	switch v := v.(type) {
	case runtime.List:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = show(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *runtime.Dict:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, v.Fields[i].Key+": "+show(v.Fields[i].Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case runtime.Func:
		return "function " + v.Name + "/" + strconv.Itoa(v.Arity)
	case runtime.Secret:
		var parts []string
		for _, p := range v.Parts {
			if p.Name != "" {
				parts = append(parts, "<"+p.Name+">")
			} else {
				parts = append(parts, p.Text)
			}
		}
		return "secret " + strings.Join(parts, "")
	case runtime.Regexp:
		return "regexp " + v.Pattern
	case runtime.Pending:
		return "pending " + strconv.Itoa(v.Step)
	case []byte:
		return fmt.Sprintf("bytes %q", v)
	}
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
