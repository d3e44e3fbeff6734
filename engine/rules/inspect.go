package rules

import (
	"context"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Source is one file of the rules directories, as the last load found it.
type Source struct {
	// Path is relative to Dir, with slashes.
	Path string
	Dir  string
	// Text is nil if the file could not be read.
	Text []byte
	// Script tells a rule file from one that is only loaded by others, Test
	// the tests of scripts among the latter.
	Script, Test bool
}

// Sources lists the files of the last load, sorted by path. The caller must
// not change the texts.
func (l *Loader) Sources() []Source {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tree == nil {
		return nil
	}
	out := make([]Source, 0, len(l.tree.files))
	for _, p := range slices.Sorted(maps.Keys(l.tree.files)) {
		src := l.tree.files[p]
		if src.virtual != nil {
			continue
		}
		s := Source{Path: src.path, Dir: src.dir, Test: isTest(src.path)}
		_, s.Script = slices.BinarySearch(l.tree.scripts, p)
		if src.text != nil {
			s.Text = src.text.bytes
		}
		out = append(out, s)
	}
	return out
}

// isTest reports whether a file holds tests of scripts.
func isTest(p string) bool { return strings.HasSuffix(strings.TrimSuffix(p, path.Ext(p)), "_test") }

// Try checks text as if it were the rule file at path, beside all others as
// the last load found them, and changes nothing. Without a load before, the
// files that it loads are looked for in the first of the directories. The
// version is nil if the top level does not run to its end, and has no rules if
// what it registers cannot be. The error is for what is no fault of the script.
func (l *Loader) Try(ctx context.Context, p string, text []byte) (*Version, runtime.Errors, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.with(p, text)
	if n := int64(len(text)); n > int64(l.opts.Limits.Source) {
		e := fileError(p, runtime.LimitError, "has %d bytes, at most %d are allowed", n, l.opts.Limits.Source)
		e.Limit = runtime.LimitSource
		return nil, runtime.Errors{e}, nil
	}
	a, err := l.attempt(ctx, t, p, nil)
	if err == nil && a.registered {
		return &Version{Path: p}, a.errs, nil
	}
	if err != nil || a.version == nil {
		return nil, a.errs, err
	}
	v := a.version
	if _, ok := l.Version(v.Digest); !ok {
		l.opts.Pool.Forget(v.Digest)
	}
	c := claims{}
	for other, s := range l.scripts {
		if other != p && s.running != nil {
			for _, r := range s.running.Rules {
				c.add(r)
			}
		}
	}
	var errs runtime.Errors
	for _, r := range v.Rules {
		if o := c.conflict(r); o != nil {
			errs = append(errs, clash{o, r}.problem(v.Bundle))
		}
	}
	return v, errs, nil
}

// Module returns the text of a file that scripts can load, or nil: of the rules
// directories as the last load found them, or of the library. Without a load
// before it is looked for in the first of the directories.
func (l *Loader) Module(p string) []byte {
	l.mu.Lock()
	t := l.tree
	l.mu.Unlock()
	if t == nil {
		t = &tree{find: l.read}
	}
	if found := moduleText(t, l.library, p); found != nil {
		return found.bytes
	}
	return nil
}

// with returns the tree of the last load with another text for one file.
func (l *Loader) with(p string, content []byte) *tree {
	src := &source{path: p, dir: l.opts.Dirs[0], text: &text{content}}
	if l.tree == nil {
		return &tree{files: map[string]*source{p: src}, find: l.read}
	}
	t := *l.tree
	t.files = maps.Clone(t.files)
	t.files[p] = src
	return &t
}

// read returns a file of the first directory, or nil.
func (l *Loader) read(p string) *text {
	root, err := os.OpenRoot(l.opts.Dirs[0])
	if err != nil {
		return nil
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(p))
	if err != nil {
		return nil
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(l.opts.Limits.Source)+1))
	if err != nil {
		return nil
	}
	return &text{b}
}

// Declared checks registrations as they are written in a script that does not
// load, so that its other problems are known as well. An argument that is
// runtime.Unknown, or has it inside, may be anything; with spread so may one
// that is not there. It returns the rules that are known whole, and the
// problems of the patterns, options and routes of all.
func Declared(b *runtime.Bundle, regs []runtime.Registration, spread []bool, names Names) ([]*Rule, runtime.Errors) {
	c := &compiler{bundle: b, names: names, static: true}
	var whole []*Rule
	for i := range regs {
		reg := regs[i]
		reg.Args, c.unknown = known(reg.Args)
		c.spread = spread[i]
		r := c.rule(&reg)
		if r != nil && len(c.unknown) == 0 && !c.spread {
			whole = append(whole, r)
		}
	}
	c.duplicateNames(whole)
	for _, clash := range conflicts(whole) {
		c.errs = append(c.errs, clash.problem(b))
	}
	return whole, c.errs
}

// known leaves out what is unknown, and names it. The handler never counts:
// it is a function, and those are not known before the script is run.
func known(args *runtime.Dict) (*runtime.Dict, map[string]bool) {
	out, unknown := &runtime.Dict{}, map[string]bool{}
	for _, f := range args.Fields {
		switch {
		case !HasUnknown(f.Value):
			out.Set(f.Key, f.Value)
		case f.Key != "fn":
			unknown[f.Key] = true
		}
	}
	return out, unknown
}

// HasUnknown reports whether a value as written has parts that are not known.
func HasUnknown(v runtime.Value) bool {
	switch v := v.(type) {
	case runtime.Unknown:
		return true
	case runtime.List:
		return slices.ContainsFunc(v, HasUnknown)
	case *runtime.Dict:
		return slices.ContainsFunc(v.Fields, func(f runtime.Field) bool { return HasUnknown(f.Value) })
	}
	return false
}
