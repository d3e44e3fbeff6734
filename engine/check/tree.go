package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/starling-rules/starling/engine/omnibot"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Report is what a Tree found.
type Report struct {
	// Files counts the files that were looked at.
	Files int `json:"files"`
	// Problems are sorted by file, line and column. Those of kind
	// runtime.LintError do not keep a script from running.
	Problems []*runtime.Error `json:"problems"`
}

// Add puts further problems in their places.
func (r *Report) Add(files int, problems ...*runtime.Error) {
	r.Files += files
	r.Problems = tidy(append(r.Problems, problems...))
}

// group is directories that are loaded together, and which of their files are
// wanted: all if wanted is empty.
type group struct {
	dirs   []string
	wanted []string
}

// Tree checks files and directories; none means Config.Rules. The error tells
// that it could not be done: a path that does not exist, say.
func (c *Checker) Tree(ctx context.Context, paths []string) (*Report, error) {
	groups, err := c.plan(paths)
	if err != nil {
		return nil, err
	}
	rep := &Report{}
	for _, g := range groups {
		if err := c.group(ctx, g, rep); err != nil {
			return nil, err
		}
	}
	return rep, nil
}

// plan sorts the paths into what is loaded together.
func (c *Checker) plan(paths []string) ([]*group, error) {
	if len(paths) == 0 {
		return []*group{{dirs: c.o.Config.Rules}}, nil
	}
	var own *group
	var out []*group
	for _, p := range paths {
		st, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no file or directory %s", p)
		}
		if err != nil {
			return nil, fmt.Errorf("look at what to check: %w", err)
		}
		if lang, _ := c.language(p, false); !st.IsDir() && lang == nil {
			return nil, fmt.Errorf("%s is neither a script nor a directory", p)
		}
		dir, rel := c.root(p)
		switch {
		case dir != "":
			if own == nil {
				own = &group{dirs: existing(c.o.Config.Rules)}
				out = append(out, own)
			}
			own.wanted = append(own.wanted, path.Join(filepath.ToSlash(dir), rel))
		case st.IsDir():
			out = append(out, &group{dirs: []string{p}})
		default:
			out = append(out, &group{wanted: []string{p}})
		}
	}
	return out, nil
}

func (g *group) wants(p string) bool {
	return len(g.wanted) == 0 || slices.ContainsFunc(g.wanted, func(w string) bool {
		return w == "." || p == w || strings.HasPrefix(p, w+"/")
	})
}

// group loads a group and adds what is wrong with its files.
func (c *Checker) group(ctx context.Context, g *group, rep *Report) error {
	if len(g.dirs) == 0 {
		return c.single(ctx, g.wanted[0], rep)
	}
	loader := c.newLoader(g.dirs...)
	_, loaded, err := loader.Load(ctx)
	if err != nil {
		return err
	}
	x := &examination{c: c, loader: loader, files: sources(loader.Sources()), states: map[string]*rules.FileStatus{}, unreachable: map[string][]rules.Finding{}}
	for i := range loaded.Files {
		x.states[loaded.Files[i].Path] = &loaded.Files[i]
	}
	for _, f := range rules.Unreachable(loader.Current().Rules()) {
		x.unreachable[f.Rule.Script] = append(x.unreachable[f.Rule.Script], f)
	}
	var problems []*runtime.Error
	for _, err := range loaded.Problems {
		problems = append(problems, &runtime.Error{Kind: runtime.LoadError, Msg: err.Error()})
	}
	var keys []string
	for key, src := range x.files {
		if g.wants(x.files.shown(key)) && (!src.Test || c.testPool != nil) {
			keys = append(keys, key)
		}
	}
	problems = append(problems, x.all(ctx, keys)...)
	for _, p := range omnibot.Paths(c.o.Config) {
		if st := x.states[p]; st != nil && len(g.wanted) == 0 {
			problems = append(problems, st.Errors...)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	rep.Add(len(keys), append(problems, c.configured(g, x.files)...)...)
	return nil
}

// examination is a group that is loaded, while its files are looked at.
type examination struct {
	c           *Checker
	loader      *rules.Loader
	files       tree
	states      map[string]*rules.FileStatus
	unreachable map[string][]rules.Finding
}

// all looks at files, as many at a time as there are processors.
func (x *examination) all(ctx context.Context, keys []string) []*runtime.Error {
	found := make([][]*runtime.Error, len(keys))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(goruntime.GOMAXPROCS(0), len(keys)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(keys) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				found[i] = x.files.place(x.one(ctx, keys[i]))
			}
		})
	}
	wg.Wait()
	return slices.Concat(found...)
}

// one tells what is wrong with a file.
func (x *examination) one(ctx context.Context, key string) []*runtime.Error {
	src, st := x.files[key], x.states[key]
	r := x.c.read(key, src.Text)
	switch {
	case src.Test:
		return append(r.problems, x.c.loadTest(ctx, r, x.loader)...)
	case st == nil: // only loaded by others
		return r.problems
	case len(st.Errors) > 0:
		all := append(r.problems, st.Errors...)
		if !st.Registered {
			all = append(all, r.declared(teams(x.c.o.Config.Teams))...)
		}
		return all
	}
	v, ok := x.loader.Version(st.Digest)
	if !ok {
		return r.problems
	}
	return append(r.problems, r.findings(slices.Concat(rules.Lint(v.Rules), x.unreachable[key]), v)...)
}

// single checks one file that is in no rules directory: what it loads is
// looked for beside it.
func (c *Checker) single(ctx context.Context, p string, rep *Report) error {
	text, err := os.ReadFile(p)
	if err != nil {
		return fmt.Errorf("read what to check: %w", err)
	}
	rep.Add(1, c.File(ctx, p, text)...)
	return nil
}

// configured finds configuration of scripts that there are none of.
func (c *Checker) configured(g *group, all tree) []*runtime.Error {
	if len(g.wanted) > 0 || c.o.Config.File == "" || !slices.Equal(g.dirs, c.o.Config.Rules) {
		return nil
	}
	var names []string
	known := map[string]bool{}
	for key, src := range all {
		if src.Script {
			stem := strings.TrimSuffix(key, path.Ext(key))
			known[key], known[stem], known[path.Base(stem)] = true, true, true
			names = append(names, path.Base(stem))
		}
	}
	slices.Sort(names)
	var out []*runtime.Error
	for name := range c.o.Config.RulesConfig {
		pos, line := c.o.Config.Place("rules_config." + name)
		if known[name] || pos.IsZero() {
			continue
		}
		out = append(out, &runtime.Error{
			Kind: runtime.LintError, Pos: pos, Line: line, Hint: didYouMean(name, names),
			Msg: "rules_config." + name + ": there is no script of that name",
		})
	}
	return out
}

// tree is the files of a group by the path that positions in them name.
type tree map[string]rules.Source

func sources(list []rules.Source) tree {
	t := make(tree, len(list))
	for _, s := range list {
		key := s.Path
		if _, taken := t[key]; taken {
			key = path.Join(filepath.ToSlash(s.Dir), s.Path)
		}
		t[key] = s
	}
	return t
}

// shown is the path of a file as whoever asked would write it.
func (t tree) shown(key string) string {
	if s, ok := t[key]; ok {
		return path.Join(filepath.ToSlash(s.Dir), s.Path)
	}
	return key
}

// place makes the paths of positions those that are shown. The problems of a
// load are shared: they are copied.
func (t tree) place(errs []*runtime.Error) []*runtime.Error {
	out := make([]*runtime.Error, len(errs))
	for i, e := range errs {
		own := *e
		own.Pos.Path = t.shown(e.Pos.Path)
		own.Msg = t.mention(e.Msg)
		own.Stack = slices.Clone(e.Stack)
		for j := range own.Stack {
			own.Stack[j].Pos.Path = t.shown(own.Stack[j].Pos.Path)
		}
		out[i] = &own
	}
	return out
}

// mention makes the place that a message ends with, "… the rule at a.star:3:1",
// that of a file as it is shown.
func (t tree) mention(msg string) string {
	before, after, ok := cutLast(msg, " at ")
	if !ok {
		return msg
	}
	key, rest, ok := strings.Cut(after, ":")
	if _, is := t[key]; !ok || !is {
		return msg
	}
	return before + " at " + t.shown(key) + ":" + rest
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// tidy sorts problems and tells each once: the same fault is found by the
// language, at the call and when the script is loaded.
func tidy(problems []*runtime.Error) []*runtime.Error {
	slices.SortStableFunc(problems, func(a, b *runtime.Error) int {
		return cmp.Or(cmp.Compare(a.Pos.Path, b.Pos.Path), a.Pos.Line-b.Pos.Line, a.Pos.Col-b.Pos.Col, cmp.Compare(a.Msg, b.Msg))
	})
	type fault struct {
		path string
		line int
		msg  string
	}
	seen := map[fault]int{}
	out := problems[:0:0]
	for _, e := range problems {
		f := fault{e.Pos.Path, e.Pos.Line, e.Msg}
		if i, ok := seen[f]; ok && (e.Pos.Line == 0 || out[i].Pos.Col == e.Pos.Col || len(out[i].Stack) != len(e.Stack)) {
			if len(e.Stack) == 0 && len(out[i].Stack) > 0 { // the place of the fault, without how it came there
				out[i] = e
			}
			continue
		}
		seen[f] = len(out)
		out = append(out, e)
	}
	return out
}
