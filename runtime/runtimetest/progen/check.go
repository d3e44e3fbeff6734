package progen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
)

// Options are what Check needs to know.
type Options struct {
	Language runtime.Language
	// Main is the name of the program's file.
	Main string
	// Files are what the program may load beside itself, by path.
	Files map[string][]byte
	// Input is the event.
	Input []byte
	// Steps is the limit of steps; 200,000 if zero.
	Steps uint64
	// Allocs bounds the bytes that one load or pass may allocate in all, kept
	// or not; 256 MB if zero.
	Allocs uint64
	// NoPlace tells of an error that it may lack a position.
	NoPlace func(e *runtime.Error) bool
}

// Bounds of time. What a program may do is bounded by its steps; the clock only
// tells a hang from a busy machine.
const (
	wallBound = 10 * time.Second
	hangBound = 60 * time.Second
	maxPasses = 40
)

// Check loads a program and runs the first rule that it registers, performing
// its effects by a fixed script. It fails the test, with the program, if
//
//   - something panics, or an InternalError is reported;
//   - a load or pass takes longer than its steps explain, or more memory;
//   - an error has no place, or a text that nobody could print;
//   - the same program ends differently, or after another number of steps, when
//     it is loaded and run again;
//   - a run whose effects are performed one by one ends differently from one
//     whose effects are performed together, or from a replay of the whole.
//
// It returns how the program ended: "load: …", or the text of its last pass.
func Check(t testing.TB, program string, o Options) string {
	t.Helper()
	if o.Steps == 0 {
		o.Steps = 200_000
	}
	if o.Allocs == 0 {
		o.Allocs = 256 << 20
	}
	c := &check{t: t, o: o, program: program}
	// A built-in that never returns cannot be cancelled: the fuzzer keeps the
	// input of a process that dies.
	watchdog := time.AfterFunc(hangBound, func() { panic("a program hangs:\n" + program) })
	defer watchdog.Stop()
	return c.run()
}

type check struct {
	t       testing.TB
	o       Options
	program string
}

func (c *check) failf(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s\n--- program:\n%s", fmt.Sprintf(format, args...), c.program)
}

func (c *check) run() string {
	c.t.Helper()
	mod, man, problem := c.load()
	mod2, man2, problem2 := c.load()
	if problem != problem2 {
		c.failf("loaded twice:\n%s\n%s", problem, problem2)
	}
	if mod == nil {
		return "load: " + problem
	}
	if man.Steps != man2.Steps || len(man.Registrations) != len(man2.Registrations) {
		c.failf("loaded twice: %d steps and %d rules, then %d and %d", man.Steps, len(man.Registrations), man2.Steps, len(man2.Registrations))
	}
	if len(man.Registrations) == 0 {
		return "load: no rules"
	}
	v, _ := man.Registrations[0].Args.Get("fn")
	fn, ok := v.(runtime.Func)
	if !ok {
		return "load: no function"
	}
	all := func(n int) int { return n }
	last, results := c.chain(mod, fn.Index, all)
	again, _ := c.chain(mod2, fn.Index, all)
	if last.Err != nil && last.Err.Limit == runtime.LimitDeadline {
		c.failf("%d steps took longer than %v", last.Steps, wallBound)
	}
	if a, b := text(last, true), text(again, true); a != b {
		c.failf("run twice:\n%s\n%s", a, b)
	}
	if limited(last) {
		return text(last, false)
	}
	c.replays(mod, fn.Index, last, results)
	return text(last, false)
}

// replays gives effects their results one by one, and then all at once.
func (c *check) replays(mod runtime.Module, fn int, last *runtime.Reply, results []runtime.StepResult) {
	c.t.Helper()
	single, singles := c.chain(mod, fn, func(int) int { return 1 })
	if !limited(single) {
		if a, b := text(last, false), text(single, false); a != b {
			c.failf("effects together, then one by one:\n%s\n%s", a, b)
		}
		if len(singles) > len(results) {
			results = singles
		}
	}
	whole := c.pass(mod, fn, results)
	if limited(whole) {
		return
	}
	if whole.Status == runtime.Suspended && len(whole.Effects) == 0 {
		c.failf("suspended without an effect after %d results", len(results))
	}
	if a, b := outcome(last), outcome(whole); a != b {
		c.failf("first run, then replay:\n%s\n%s", a, b)
	}
}

func (c *check) load() (runtime.Module, *runtime.Manifest, string) {
	c.t.Helper()
	files := map[string][]byte{}
	maps.Copy(files, c.o.Files)
	files[c.o.Main] = []byte(c.program)
	b := runtime.NewBundle(c.o.Language.Name(), c.o.Main, files, nil)
	var mod runtime.Module
	var man *runtime.Manifest
	var err error
	c.measured("load", func() {
		mod, man, err = c.o.Language.Load(context.Background(), b, c.limits())
	})
	if err == nil {
		return mod, man, ""
	}
	var es runtime.Errors
	if !errors.As(err, &es) || len(es) == 0 {
		c.failf("load: an error that is none of the script's: %v", err)
	}
	for _, e := range es {
		c.sound(e)
	}
	return nil, nil, es.Detail()
}

func (c *check) limits() runtime.Limits {
	return runtime.Limits{Steps: c.o.Steps, Deadline: wallBound}
}

// chain runs a function until it ends; of the effects that a pass asks for,
// perform tells how many are performed before the next pass.
func (c *check) chain(mod runtime.Module, fn int, perform func(n int) int) (*runtime.Reply, []runtime.StepResult) {
	c.t.Helper()
	var results []runtime.StepResult
	var effects []runtime.Effect
	for range maxPasses {
		r := c.pass(mod, fn, results)
		if len(results)+len(r.Effects) > 0 {
			effects = append(effects[:len(results)], r.Effects...)
		}
		if r.Status == runtime.Suspended && len(r.Effects) == 0 {
			c.failf("suspended without an effect after %d results", len(results))
		}
		todo, raised := r.Effects, false
		if r.Status == runtime.Suspended {
			todo = todo[:perform(len(todo))]
		}
		for _, e := range todo {
			a := answer(e)
			results = append(results, a)
			if raised = a.Err != ""; raised {
				break // the script is told before anything else is done
			}
		}
		if r.Status != runtime.Suspended && !raised {
			r.Effects = effects
			return r, results
		}
	}
	return &runtime.Reply{Status: runtime.Suspended, Effects: effects}, results
}

// answer is the scripted result of an effect.
func answer(e runtime.Effect) runtime.StepResult {
	r := runtime.StepResult{Hash: e.Hash(), Kind: e.Kind}
	switch e.Step % 5 {
	case 0:
		r.Err = "the effect is refused"
	case 1:
		r.Value = runtime.JSON(`{"ok":true,"ts":"1.2","list":[1,2,{"a":"b"}],"n":3.5}`)
	case 2:
		r.Value = nil
	case 3:
		r.Value = int64(e.Step)
	default:
		r.Value = runtime.JSON(`["a",null,true,{"k":[]}]`)
	}
	if e.Kind != "kv.get" && e.Kind != "kv.set" && r.Err == "" { // declared as results, which are dicts
		r.Value = runtime.JSON(fmt.Sprintf(`{"ok":%t,"ts":"1.2","n":%d,"list":[null,{"a":"b"}]}`, e.Step%2 == 0, e.Step))
	}
	return r
}

func (c *check) pass(mod runtime.Module, fn int, results []runtime.StepResult) *runtime.Reply {
	c.t.Helper()
	call := &runtime.Call{
		Func: fn, When: -1, Input: c.o.Input, RunID: "run-1", Now: time.Unix(1_700_000_000, 0).UTC(), Seed: 7,
		Results: results, Limits: c.limits(),
	}
	var r *runtime.Reply
	c.measured("pass", func() { r = mod.Run(context.Background(), call) })
	if r.Err != nil {
		c.sound(r.Err)
	}
	if r.Status == runtime.Failed != (r.Err != nil) {
		c.failf("%s with the error %v", r.Status, r.Err)
	}
	for i, e := range r.Effects {
		if e.Step != len(results)+i+1 {
			c.failf("effect %d has the number %d after %d results", i, e.Step, len(results))
		}
	}
	return r
}

// measured bounds the time and the allocations of f.
func (c *check) measured(what string, f func()) {
	c.t.Helper()
	before, start := allocated(), time.Now()
	f()
	if took := time.Since(start); took > wallBound+5*time.Second {
		c.failf("%s took %v", what, took)
	}
	if n := allocated() - before; n > c.o.Allocs {
		c.failf("%s allocated %d MB", what, n>>20)
	}
}

func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// sound holds an error to what its author is promised.
func (c *check) sound(e *runtime.Error) {
	c.t.Helper()
	switch {
	case e.Kind == runtime.InternalError, e.Kind == runtime.DivergedError, e.Kind == "":
		c.failf("an error of kind %q: %v", e.Kind, e)
	case (e.Pos.Path == "" || e.Pos.Line == 0) && e.Limit != runtime.LimitSource && (c.o.NoPlace == nil || !c.o.NoPlace(e)):
		c.failf("an error without a place: %v", e)
	case e.Pos.Line > strings.Count(c.program, "\n")+1:
		c.failf("an error behind the end of the file: %v", e)
	case len(e.Msg) > 1100 || len(e.Hint) > 1100 || !utf8.ValidString(e.Msg):
		c.failf("a bad message: %q", e.Msg)
	case e.Msg == "":
		c.failf("an error without a message at %v", e.Pos)
	}
	_ = e.Detail()
}

// limited tells that a pass was ended by a limit, whose place may differ where
// results are there already.
func limited(r *runtime.Reply) bool {
	return r.Status == runtime.Suspended || r.Err != nil && r.Err.Kind == runtime.LimitError
}

// text is how a run ended, to be compared.
func text(r *runtime.Reply, withSteps bool) string {
	var b strings.Builder
	b.WriteString(outcome(r))
	for _, e := range r.Effects {
		fmt.Fprintf(&b, "effect %d %s %q at %v\n", e.Step, e.Kind, runtime.Encode(nil, e.Args), e.Pos)
	}
	for _, l := range r.Logs {
		fmt.Fprintf(&b, "log %v %q at %v\n", l.Level, l.Text, l.Pos)
	}
	if withSteps {
		fmt.Fprintf(&b, "%d steps\n", r.Steps)
	}
	return b.String()
}

func outcome(r *runtime.Reply) string {
	if r.Err != nil {
		return fmt.Sprintf("%s: %s\n", r.Status, r.Err.Detail())
	}
	if r.FromEffect {
		return fmt.Sprintf("%s: the result of an effect\n", r.Status)
	}
	return fmt.Sprintf("%s: %q\n", r.Status, runtime.Encode(nil, runtime.Plain(r.Return)))
}
