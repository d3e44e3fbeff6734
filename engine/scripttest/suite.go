package scripttest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/omnibot"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// suite is one test file: its functions, and the rules under test. Everything
// in it is shared by its tests and never changed by them.
type suite struct {
	r      *runner
	file   string // on disk, as it was named
	root   string // the rules directory
	path   string // of the test file within root
	cfg    *configured
	pool   *runtime.Local // runs the rules
	bundle *runtime.Bundle
	module runtime.Module
	funcs  []runtime.Func // what to run, by line; Name is the name of the test
	broken *Failure       // why nothing can be run

	mu   sync.Mutex
	sets map[string]*ruleSet
}

// open loads a test file.
func (r *runner) open(ctx context.Context, file string) *suite {
	s := &suite{r: r, file: file, sets: map[string]*ruleSet{}}
	s.cfg = r.configFor(filepath.Dir(file))
	if s.cfg.err != nil {
		return s
	}
	s.root = s.cfg.rootOf(file)
	h, err := r.host(s.root)
	if err == nil {
		s.pool = h.pool
		err = s.load(ctx)
	}
	if err != nil {
		s.broken = failureOf(err, file)
		s.broken.locate(s)
	}
	return s
}

// load compiles the test file with what it loads.
func (s *suite) load(ctx context.Context) error {
	rel, err := relative(s.root, s.file)
	if err != nil {
		return err
	}
	s.path = rel
	text, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	lang := s.r.tests[s.r.exts[filepath.Ext(s.file)]]
	files := map[string][]byte{s.path: text}
	lim := runtime.Limits{Steps: s.r.o.TestSteps, Deadline: s.r.o.TestLimit, Output: 1 << 20, Source: 1 << 20}
	for {
		b := runtime.NewBundle(lang.Name(), s.path, maps.Clone(files), nil)
		m, man, err := lang.Load(ctx, b, lim)
		if err != nil {
			return err
		}
		if len(man.Missing) == 0 {
			s.bundle, s.module = b, m
			return s.functions(man)
		}
		if err := s.add(b, files, man.Missing); err != nil {
			return err
		}
	}
}

func relative(root, file string) (string, error) {
	a, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	b, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(a, b)
	return filepath.ToSlash(rel), err
}

// add puts the modules into files that a bundle lacks.
func (s *suite) add(b *runtime.Bundle, files map[string][]byte, missing []runtime.Missing) error {
	var errs runtime.Errors
	for _, m := range missing {
		text, err := s.read(m.Path)
		if err != nil {
			e := &runtime.Error{Kind: runtime.LoadError, Pos: m.Pos, Msg: fmt.Sprintf("cannot load %q: there is no such file below %s", m.Name, s.root)}
			e.SetLine(b.Files[m.Pos.Path])
			errs = append(errs, e)
			continue
		}
		files[m.Path] = text
	}
	if errs != nil {
		return errs
	}
	return nil
}

// read reads a file by its path within the rules directory or the library.
func (s *suite) read(p string) ([]byte, error) {
	if name, ok := strings.CutPrefix(p, "@starling//"); ok {
		if s.r.o.Scripts == nil {
			return nil, fs.ErrNotExist
		}
		return fs.ReadFile(s.r.o.Scripts, name)
	}
	root, err := os.OpenRoot(s.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(p)
}

// functions finds the tests: functions test_*, and those given to test(…).
func (s *suite) functions(man *runtime.Manifest) error {
	if l, ok := s.module.(runtime.Lister); ok {
		for _, f := range l.Functions() {
			if strings.HasPrefix(f.Name, "test_") {
				s.funcs = append(s.funcs, f)
			}
		}
	}
	seen := map[string]runtime.Position{}
	for _, reg := range man.Registrations {
		v, _ := reg.Args.Get("fn")
		f, ok := v.(runtime.Func)
		if reg.Name != "test" || !ok {
			continue
		}
		f.Name, f.Pos = reg.Args.Text("name"), reg.Pos
		if at, twice := seen[f.Name]; twice {
			e := &runtime.Error{Kind: runtime.LoadError, Pos: reg.Pos, Msg: fmt.Sprintf("test %q is there already, at %s", f.Name, at)}
			e.SetLine(s.bundle.Files[reg.Pos.Path])
			return runtime.Errors{e}
		}
		seen[f.Name] = reg.Pos
		s.funcs = append(s.funcs, f)
	}
	slices.SortStableFunc(s.funcs, func(a, b runtime.Func) int { return a.Pos.Line - b.Pos.Line })
	return nil
}

// pick makes the tests that are wanted. A file that cannot be loaded is one
// test that fails.
func (s *suite) pick() []*Test {
	if s.broken != nil {
		return []*Test{{File: s.file, Name: "load", s: s, Line: s.broken.line(), Failures: []*Failure{s.broken}}}
	}
	var out []*Test
	for _, f := range s.funcs {
		if re := s.r.o.Match; re != nil && !re.MatchString(f.Name) && !re.MatchString(s.file+":"+f.Name) {
			continue
		}
		out = append(out, &Test{File: s.file, Name: f.Name, Line: f.Pos.Line, s: s, fn: f})
	}
	return out
}

// ruleSet is the rules under test, loaded once for all tests that want them.
type ruleSet struct {
	once   sync.Once
	loader *rules.Loader
	err    error
}

// rules loads the named scripts with changes to their configuration.
func (s *suite) rules(ctx context.Context, paths []string, override map[string]runtime.Value) (*rules.Loader, error) {
	key := strings.Join(paths, "\n")
	for _, name := range slices.Sorted(maps.Keys(override)) {
		key += "\x00" + name + "\x00" + string(runtime.Encode(nil, override[name]))
	}
	s.mu.Lock()
	set := s.sets[key]
	if set == nil {
		set = &ruleSet{}
		s.sets[key] = set
	}
	s.mu.Unlock()
	set.once.Do(func() { set.loader, set.err = s.loadRules(ctx, paths, override) })
	return set.loader, set.err
}

// loaderOptions are those of every loader of the rules of this suite.
func (s *suite) loaderOptions(override map[string]runtime.Value) rules.LoaderOptions {
	cfg := map[string]runtime.Value{}
	for name, v := range s.cfg.RulesConfig {
		cfg[name] = v
	}
	maps.Copy(cfg, override)
	return rules.LoaderOptions{
		Dirs: []string{s.root}, Pool: s.pool, Languages: s.r.exts, Library: s.r.o.Scripts, Config: cfg, Disk: &s.r.disk,
		Limits: s.cfg.Limits.Runtime(), Names: s.r.names, Metrics: s.r.metrics, Grace: time.Hour, Virtual: s.handlers,
	}
}

func (s *suite) loadRules(ctx context.Context, paths []string, override map[string]runtime.Value) (*rules.Loader, error) {
	o := s.loaderOptions(override)
	o.Only = func(p string) bool { return slices.Contains(paths, p) }
	l := rules.NewLoader(o)
	_, rep, err := l.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	var errs runtime.Errors
	loaded := map[string]bool{}
	for _, f := range rep.Files {
		loaded[f.Path] = true
		errs = append(errs, f.Errors...)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	for _, p := range paths {
		if !loaded[p] {
			return nil, fmt.Errorf("there is no script %s below %s", p, s.root)
		}
	}
	return l, nil
}

// ownScript is the script that the test file is for by its name, or nothing.
func (s *suite) ownScript() []string {
	ext := path.Ext(s.path)
	stem := strings.TrimSuffix(s.path, "_test"+ext)
	for _, e := range append([]string{ext}, s.r.extensions()...) {
		if isFile(filepath.Join(s.root, filepath.FromSlash(stem+e))) {
			return []string{stem + e}
		}
	}
	if p := omnibot.Path(s.cfg.Config); path.Base(stem) == strings.TrimSuffix(p, path.Ext(p)) { // starling_test.star
		if ok, err := s.isHandlers(p); ok && err == nil {
			return []string{p}
		}
	}
	return nil
}

// named resolves what t.rules was given: a path within the rules directory, or
// beside the test file, with or without its ending.
func (s *suite) named(name string) (string, error) {
	if ok, err := s.isHandlers(name); ok || err != nil {
		return name, err
	}
	var tried []string
	for _, dir := range []string{"", path.Dir(s.path)} {
		for _, e := range append([]string{""}, s.r.extensions()...) {
			p := path.Join(dir, name+e)
			if s.r.exts[path.Ext(p)] == "" || strings.HasPrefix(p, "../") {
				continue
			}
			if isFile(filepath.Join(s.root, filepath.FromSlash(p))) {
				return p, nil
			}
			tried = append(tried, p)
		}
	}
	return "", fmt.Errorf("there is no script %q: looked for %s below %s", name, strings.Join(slices.Compact(tried), ", "), s.root)
}

// failureOf makes a failure of an error that keeps a whole file from running.
func failureOf(err error, file string) *Failure {
	f := &Failure{}
	var many runtime.Errors
	var one *runtime.Error
	switch {
	case errors.As(err, &many) && len(many) > 0:
		f.Error = *many[0]
		for _, e := range many[1:] {
			f.More = append(f.More, e.Detail())
		}
	case errors.As(err, &one):
		f.Error = *one
	default:
		f.Error = runtime.Error{Kind: runtime.LoadError, Msg: err.Error(), Pos: runtime.Position{Path: file}}
	}
	return f
}
