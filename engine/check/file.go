package check

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// reading is what the text of one file tells without its being run.
type reading struct {
	path     string
	text     []byte
	language string
	calls    []*call
	problems []*runtime.Error
}

// read analyses one file and the calls in it. path is what positions name.
func (c *Checker) read(path string, text []byte) *reading {
	test := isTest(path)
	r := &reading{path: path, text: text}
	lang, lib := c.language(path, test)
	if lang == nil {
		return r
	}
	r.language = lang.Name()
	analyzer, ok := lang.(runtime.Analyzer)
	if !ok {
		return r
	}
	a := analyse(analyzer, path, text)
	r.problems = append(r.problems, a.Problems...)
	lines := strings.Split(string(text), "\n")
	for i := range a.Calls {
		site := &a.Calls[i]
		decl := lib.Lookup(site.Name)
		if decl == nil || decl.Purity == runtime.Constant {
			continue
		}
		call, errs := bind(site, decl)
		r.calls = append(r.calls, call)
		if len(errs) > 0 && !blamed(a.Problems, site) {
			r.problems = append(r.problems, errs...)
		}
		if !test { // a test may want to see it fail
			if e := cmp.Or(call.try(), call.regex(lib), call.gone(lines)); e != nil {
				r.problems = append(r.problems, e)
				continue
			}
		}
		r.problems = append(r.problems, c.others(call)...)
	}
	r.lines()
	return r
}

// analyse asks a language for what it finds. Its panic is a problem of the
// file, not the end of whoever checks it.
func analyse(l runtime.Analyzer, path string, text []byte) (a *runtime.Analysis) {
	defer func() {
		if p := recover(); p != nil {
			e := &runtime.Error{Kind: runtime.InternalError, Msg: fmt.Sprintf("cannot be analysed: panic: %v", p), Pos: runtime.Position{Path: path}}
			a = &runtime.Analysis{Problems: []*runtime.Error{e}}
		}
	}()
	return l.Analyze(path, text)
}

// blamed reports whether the language has found the fault of a call itself.
func blamed(problems []*runtime.Error, site *runtime.CallSite) bool {
	for _, p := range problems {
		if p.Kind != runtime.LintError && strings.HasPrefix(p.Msg, site.Name+":") && within(p.Pos, site.Pos, site.End) {
			return true
		}
	}
	return false
}

func within(p, from, to runtime.Position) bool {
	return !before(p, from) && (to.IsZero() || !before(to, p))
}

func before(a, b runtime.Position) bool { return a.Line < b.Line || a.Line == b.Line && a.Col < b.Col }

// lines puts the source lines into problems that lack them.
func (r *reading) lines() {
	for _, e := range r.problems {
		if e.Pos.Path == r.path {
			e.SetLine(r.text)
		}
	}
}

// declared checks the registrations as they are written, for a script that
// does not load.
func (r *reading) declared(names rules.Names) []*runtime.Error {
	var regs []runtime.Registration
	var open []bool
	for _, call := range r.calls {
		if call.decl.Purity != runtime.Register || !strings.HasPrefix(call.Name, "on.") {
			continue
		}
		reg, spread := call.registration()
		regs, open = append(regs, reg), append(open, spread || call.bad || call.Func != "")
	}
	if len(regs) == 0 {
		return nil
	}
	b := &runtime.Bundle{Language: r.language, Main: r.path, Files: map[string][]byte{r.path: r.text}}
	whole, errs := rules.Declared(b, regs, open, names)
	v := &rules.Version{Path: r.path, Bundle: b, Rules: whole}
	return append(errs, r.findings(slices.Concat(rules.Lint(whole), rules.Unreachable(whole)), v)...)
}

// place points a finding at the argument that is to blame.
func (r *reading) place(f rules.Finding, e *runtime.Error) *runtime.Error {
	if e.Pos.Path != r.path || f.Arg == "" {
		return e
	}
	for _, call := range r.calls {
		if call.Pos.Line != f.Rule.Pos.Line && !within(f.Rule.Pos, call.Pos, call.End) || call.Name != "on."+string(f.Rule.Kind) {
			continue
		}
		if a := call.args[f.Arg]; a != nil && !a.Pos.IsZero() {
			e.Pos, e.Line = a.Pos, ""
			e.SetLine(r.text)
			return e
		}
	}
	return e
}

// File checks one file as it is in an editor: text takes the place of what is
// at path on disk, beside the rest of the rules directories. The problems are
// those of this file, with positions in path, in the order of the text.
func (c *Checker) File(ctx context.Context, path string, text []byte) []*runtime.Error {
	dir, rel := c.root(path)
	var loader *rules.Loader
	if dir != "" {
		loader = c.shared(ctx)
	} else {
		dir, rel = filepath.Split(path)
		loader = c.newLoader(filepath.Clean(dir))
	}
	r := c.read(rel, text)
	all := r.problems
	if r.language != "" {
		all = append(all, c.load(ctx, loader, r)...)
	}
	var out []*runtime.Error
	for _, e := range tidy(all) {
		if e.Pos.Path == rel {
			own := *e
			own.Pos.Path = path
			out = append(out, &own)
		}
	}
	return out
}

// load tries a file beside the others of its directory.
func (c *Checker) load(ctx context.Context, loader *rules.Loader, r *reading) []*runtime.Error {
	switch {
	case isTest(r.path):
		return c.loadTest(ctx, r, loader)
	case !rules.IsScript(r.path):
		return nil
	}
	v, errs, err := loader.Try(ctx, r.path, r.text)
	switch {
	case err != nil || v == nil:
		return append(errs, r.declared(teams(c.o.Config.Teams))...)
	case v.Rules == nil:
		return errs
	}
	return append(errs, r.findings(rules.Lint(v.Rules), v)...)
}

// findings are what rules can never do, as problems.
func (r *reading) findings(found []rules.Finding, v *rules.Version) []*runtime.Error {
	out := make([]*runtime.Error, len(found))
	for i, f := range found {
		out[i] = r.place(f, f.Problem(v.Bundle))
	}
	return out
}

// root finds the rules directory that a path is in, and the path within it.
func (c *Checker) root(p string) (dir, rel string) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return "", ""
	}
	for _, d := range c.o.Config.Rules {
		if root, err := filepath.Abs(d); err == nil {
			if rel, err := filepath.Rel(root, abs); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
				return d, filepath.ToSlash(rel)
			}
		}
	}
	return "", ""
}

// shared returns the loader over the rules directories, in step with them.
func (c *Checker) shared(ctx context.Context) *rules.Loader {
	c.mu.Lock()
	if c.loader == nil {
		c.loader = c.newLoader(existing(c.o.Config.Rules)...)
	}
	l := c.loader
	c.mu.Unlock()
	_, _, _ = l.Load(ctx) // what cannot be loaded is told for its own file
	return l
}

func existing(dirs []string) []string {
	var out []string
	for _, d := range dirs {
		if st, err := os.Stat(d); err == nil && st.IsDir() {
			out = append(out, d)
		}
	}
	return out
}

// Lint says what is questionable in a version of a script that is live. It
// reads the sources and the rules; nothing is run.
func (c *Checker) Lint(v *rules.Version) []*runtime.Error {
	r := c.read(v.Path, v.Bundle.Files[v.Path])
	return tidy(append(r.problems, r.findings(rules.Lint(v.Rules), v)...))
}
