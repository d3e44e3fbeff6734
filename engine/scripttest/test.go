package scripttest

import (
	"context"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Test is one test, and after it was run what came of it.
type Test struct {
	File    string // as it was named or found
	Name    string
	Line    int
	Took    time.Duration
	Skipped bool
	// Failures are in the order in which they happened; none: it passed.
	Failures []*Failure
	// Logs are what the test script printed.
	Logs []string
	// Bench is set if Options.Bench asks for it.
	Bench *Bench

	s  *suite
	fn runtime.Func
}

// Bench is what repeating a test measured.
type Bench struct {
	N     int
	PerOp time.Duration
}

// Failure is one thing that is wrong, with what helps to see why.
type Failure struct {
	// Error has message, place, source line, hint and stack.
	Error runtime.Error
	// Case names the case of a table.
	Case string
	// Diff is the unified diff of what was wanted and got.
	Diff string
	// Run tells of the run that the test was looking at; nil if of none.
	Run *RunNote
	// More are further problems of a file that cannot be loaded.
	More []string
}

// RunNote is what a run did, for people.
type RunNote struct {
	What    string   `json:"what"` // t.message
	At      string   `json:"at"`
	Outcome string   `json:"outcome"`
	Rules   []string `json:"rules,omitempty"`
	Effects []string `json:"effects,omitempty"`
	Logs    []string `json:"logs,omitempty"`
	Errors  []string `json:"errors,omitempty"`
	// Why says of each rule why it did not match, if none did.
	Why []string `json:"why,omitempty"`
}

func (f *Failure) line() int {
	if f.Error.Pos.Line > 0 {
		return f.Error.Pos.Line
	}
	return 1
}

// locate shows the source line, and names files by where they are on disk.
func (f *Failure) locate(s *suite) {
	if p := f.Error.Pos.Path; f.Error.Line == "" && p != "" && s.root != "" {
		if text, err := s.read(p); err == nil {
			f.Error.SetLine(text)
		}
	}
	f.Error.Pos.Path = s.place(f.Error.Pos.Path)
	for i := range f.Error.Stack {
		f.Error.Stack[i].Pos.Path = s.place(f.Error.Stack[i].Pos.Path)
	}
	// The place of a call is its parenthesis; a caret belongs under the name.
	if line, col := f.Error.Line, f.Error.Pos.Col; col > 1 && col <= len(line) && line[col-1] == '(' {
		for col > 1 && isName(line[col-2]) {
			col--
		}
		f.Error.Pos.Col = col
	}
}

func isName(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// place is where a path of the rules directory is on disk.
func (s *suite) place(p string) string {
	if p == s.path && p != "" {
		return s.file
	}
	if at := filepath.Join(s.root, filepath.FromSlash(p)); p != "" && !strings.HasPrefix(p, "@") && isFile(at) {
		return at
	}
	return p
}

// about adds what a run did.
func (f *Failure) about(r *run) {
	n := &RunNote{What: r.what, At: r.w.s.place(r.at.Path) + ":" + fmt.Sprint(r.at.Line), Outcome: r.outcome()}
	for _, t := range r.ended() {
		n.Rules = append(n.Rules, t.Rule)
		for _, e := range t.Effects {
			n.Effects = append(n.Effects, effectLine(e))
		}
		if x := r.waitOf(t); x != nil {
			n.Effects = append(n.Effects, waitLine(x))
		}
		n.Logs = append(n.Logs, t.Logs...)
		if t.Error != "" {
			n.Errors = append(n.Errors, t.Error)
		}
	}
	if r.answer != nil {
		n.Effects = append(n.Effects, "answer "+clip(string(r.answer.Body)))
	}
	if len(n.Rules) == 0 {
		n.Why = r.why()
	}
	f.Run = n
}

// effectLine is an effect with its result. That Slack took a message says
// nothing; what it did not take, or what was asked for, does.
func effectLine(e dispatch.EffectTrace) string {
	line := e.Kind + " " + clip(e.Args)
	result := e.Result
	if v, err := runtime.ParseJSON([]byte(result)); err == nil {
		if d, ok := v.(*runtime.Dict); ok {
			if _, status := d.Get("status"); value(d, "ok") == true && !status && e.Kind != "slack_action" && e.Kind != "slack_pages" {
				return line
			}
			if m, ok := value(d, "message").(*runtime.Dict); ok && marked(value(m, "metadata")) {
				m.Delete("metadata")
			}
			if b, err := runtime.AppendJSON(nil, d); err == nil {
				result = string(b)
			}
		}
	}
	if result == "" || result == "null" {
		return line
	}
	return line + " → " + clip(result)
}

// why says of each rule why it did not match.
func (r *run) why() []string {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	switch {
	case r.status == 404:
		return []string{"no rule has this route: 404"}
	case r.status == 405:
		return []string{"no rule takes this method: 405"}
	case r.duplicate:
		return []string{"the event was delivered before: a duplicate is not run again"}
	}
	var out []string
	for _, v := range r.verdicts {
		line := v.Rule.String() + " at " + v.Rule.Pos.String() + ": "
		if v.Matched {
			line += "matched, but " + unrun(v)
		} else {
			line += v.Why
		}
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		out = []string{"the script registers no rules"}
	}
	return out
}

// unrun says why a rule that matched did not run.
func unrun(v rules.Verdict) string {
	switch {
	case v.Usage != "":
		return v.Why
	case v.Rule.When >= 0:
		return "its predicate (when) refused"
	case v.Rule.Cooldown > 0:
		return "its cooldown of " + v.Rule.Cooldown.String() + " is not over"
	case v.Why != "":
		return v.Why
	}
	return "did not run: it ran for the same message before"
}

// raise makes f the error of the built-in that is called; its details are
// found again when the test has ended with it.
func (w *world) raise(f *Failure) error {
	w.last = f
	e := f.Error
	return &e
}

// run runs the test, and again for Options.Bench.
func (t *Test) run(ctx context.Context) {
	if len(t.Failures) > 0 { // the file could not be loaded
		return
	}
	began := time.Now()
	t.once(ctx)
	t.Took = time.Since(began)
	if most := t.s.r.o.Bench; most > 0 && len(t.Failures) == 0 {
		t.Bench = &Bench{}
		for start := time.Now(); (t.Bench.N == 0 || time.Since(start) < most) && ctx.Err() == nil; {
			t.once(ctx)
			t.Bench.N++
			t.Bench.PerOp = time.Since(start) / time.Duration(t.Bench.N)
		}
	}
}

// once runs the test in a new world.
func (t *Test) once(ctx context.Context) {
	w := newWorld(t)
	r := t.s.r
	id := fmt.Sprintf("%p", w)
	r.mu.Lock()
	r.worlds[id] = w
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.worlds, id)
		r.mu.Unlock()
		w.close()
	}()
	h := fnv.New64a()
	h.Write([]byte(t.Name))
	reply := t.s.module.Run(ctx, &runtime.Call{
		Script: t.s.bundle.Digest, Func: t.fn.Index, When: -1, Input: []byte(id), RunID: id, Now: epoch, Seed: h.Sum64(),
		Limits: runtime.Limits{Steps: r.o.TestSteps, Deadline: r.o.TestLimit, Output: 1 << 20},
	})
	t.Logs = nil
	for _, l := range reply.Logs {
		t.Logs = append(t.Logs, l.Text)
	}
	t.Failures = w.failed
	switch {
	case reply.Status == runtime.Suspended:
		t.add(failf("the test ended in the middle of an effect"))
	case reply.Err != nil:
		t.add(w.failureOf(reply.Err))
	default:
		for _, f := range w.leftovers() {
			t.add(f)
		}
	}
	for _, f := range t.Failures {
		f.locate(t.s)
	}
}

func (t *Test) add(f *Failure) { t.Failures = append(t.Failures, f) }

// failureOf finds the details of the error that a script ended with.
func (w *world) failureOf(err *runtime.Error) *Failure {
	f := &Failure{}
	if w.last != nil && w.last.Error.Msg == err.Msg {
		c := *w.last
		f = &c
	}
	f.Error = *err
	return f
}

// leftovers are what is wrong at the end of a test that went through: runs that
// failed without being expected to, and stubs that nothing used.
func (w *world) leftovers() []*Failure {
	out := w.failedRuns(w.all)
	if c := w.cut; c != nil && !c.hit {
		f := failf("the engine was to be cut off during %s, and nothing asked for that", c.glob)
		f.Error.Pos = c.at
		f.Error.SetLine(w.s.bundle.Files[c.at.Path])
		out = append(out, f)
	}
	unused := func(what string, at runtime.Position) {
		f := failf("%s was stubbed, and nothing asked for it", what)
		f.Error.Pos, f.Error.Hint = at, "take it out, or say may = True"
		f.Error.SetLine(w.s.bundle.Files[at.Path])
		out = append(out, f)
	}
	for _, s := range w.web.stubs {
		if s.ever < max(1, s.times) && !s.may {
			unused(s.method+" "+s.glob, s.at)
		}
	}
	for _, s := range w.slack.stubs {
		if s.ever < max(1, s.times) && !s.may {
			unused(s.method, s.at)
		}
	}
	return out
}

// failedRuns are the runs that failed without being expected to.
func (w *world) failedRuns(runs []*run) []*Failure {
	var out []*Failure
	for _, r := range runs {
		if r.excused {
			continue
		}
		for _, t := range r.ended() {
			if t.Outcome != dispatch.Failed || w.from[t.ID] != r {
				continue
			}
			f := failf("%s failed, and the test does not expect it", t.Rule)
			f.Error.Hint = "t.expect(run).failed()"
			f.Error.Pos = r.at
			f.Error.SetLine(w.s.bundle.Files[r.at.Path])
			f.about(r)
			out = append(out, f)
		}
	}
	return out
}
