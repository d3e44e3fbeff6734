package lua

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"

	"github.com/starling-rules/starling/runtime"
)

// unit is one file of a bundle.
type unit struct {
	path  string
	index int // its place in module.files
	src   *source
	chunk []ast.Stmt
	proto *glua.FunctionProto
	rw    *rewriter
	count *glua.LFunction // counts the lines that are run, or nil
}

// functionName is what the stack shows.
func (u *unit) functionName(proto *glua.FunctionProto) string {
	if proto == u.proto {
		return "<toplevel>"
	}
	if name := u.rw.names[proto.LineDefined]; name != "" {
		return name
	}
	return "function"
}

// loader compiles one bundle.
type loader struct {
	lang    *Language
	bundle  *runtime.Bundle
	lim     runtime.Limits
	units   map[string]*unit
	order   []*unit // required ones before those that require them
	visit   []string
	errs    runtime.Errors
	missing []runtime.Missing
	// parsed, if not nil, sees each file before it is rewritten.
	parsed func(*unit)
}

// Load implements runtime.Language. A file that requires another gets what the
// other returns, or a table of its globals if it returns nothing, read-only;
// what the other file registers while it is loaded is its own affair.
func (l *Language) Load(ctx context.Context, b *runtime.Bundle, lim runtime.Limits) (runtime.Module, *runtime.Manifest, error) {
	ld := &loader{lang: l, bundle: b, lim: lim.OrDefault(), units: map[string]*unit{}}
	ld.unit(b.Main, runtime.Position{Path: b.Main})
	if len(ld.missing) == 0 {
		ld.compile()
	}
	if len(ld.errs) > 0 {
		return nil, nil, ld.problems()
	}
	man := &runtime.Manifest{Digest: b.Digest, Missing: ld.missing}
	if len(ld.missing) > 0 {
		return nil, man, nil
	}
	m := &module{lang: l, bundle: b, files: ld.order, lim: ld.lim}
	var err error
	if m.globals, err = l.globalsFor(b.Config); err != nil {
		return nil, nil, fmt.Errorf("load %s: configuration: %w", b.Main, err)
	}
	p, st, failed := m.newState(ctx)
	if failed != nil {
		return nil, nil, runtime.Errors{p.describe(failed)}
	}
	m.idle = append(m.idle, st)
	man.Registrations, man.Logs, man.Steps = p.registered, p.logs, p.budget.steps
	return m, man, nil
}

// globalsFor returns the names of a bundle's files.
func (l *Language) globalsFor(config runtime.Value) (*glua.LTable, error) {
	if config == nil {
		return l.globals, nil
	}
	v, err := (&pass{}).toLua(runtime.Plain(config))
	if err != nil {
		return nil, err
	}
	if t, ok := v.(*glua.LTable); ok {
		v = deepFreeze(t)
	}
	own := &glua.LTable{Metatable: glua.LNil}
	each(l.globals, func(k, v glua.LValue) bool {
		own.RawSet(k, v)
		return true
	})
	own.RawSetString(configName, v)
	return own, nil
}

// unit parses a file and what it requires, depth first. It returns nil if that
// cannot be had; the reason is then in errs or missing.
func (ld *loader) unit(name string, from runtime.Position) *unit {
	if u, ok := ld.units[name]; ok {
		return u
	}
	text, ok := ld.bundle.Files[name]
	if !ok {
		ld.fail(runtime.LoadError, from, "the bundle lacks its main file", "")
		return nil
	}
	u := &unit{path: name}
	ld.units[name] = u
	if limit := min(ld.lim.Source, ld.lang.bounds.source); len(text) > limit {
		ld.errs = append(ld.errs, &runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitSource, Pos: runtime.Position{Path: name},
			Msg: fmt.Sprintf("source of %d bytes exceeds the limit of %d", len(text), limit),
		})
		return u
	}
	u.src = scan(name, text)
	ld.errs = append(ld.errs, u.src.errs...)
	if u.src.broken {
		return u
	}
	chunk, err := parse.Parse(strings.NewReader(u.src.text()), "")
	if err != nil {
		ld.syntaxError(u, err)
		return u
	}
	if ld.parsed != nil {
		u.chunk = chunk
		ld.parsed(u)
	}
	u.rw = &rewriter{src: u.src, lang: ld.lang, calls: map[int]*callSite{}, names: map[int]string{}, assigned: map[string]bool{}, tops: map[string]runtime.Position{}}
	cover := ld.lang.host.Cover
	if cover != nil && ld.parsed == nil {
		u.rw.lines = &liner{src: u.src}
	}
	u.chunk = u.rw.file(chunk)
	if u.rw.lines != nil {
		u.count = u.rw.lines.counter(cover)
	}
	ld.errs = append(ld.errs, u.rw.errs...)
	ld.visit = append(ld.visit, name)
	ld.requires(u)
	ld.visit = ld.visit[:len(ld.visit)-1]
	u.index = len(ld.order)
	ld.order = append(ld.order, u)
	return u
}

// requires follows the calls of require and makes their names absolute.
func (ld *loader) requires(u *unit) {
	for _, q := range u.rw.requires {
		name := q.arg.Value
		target, hint, err := resolvePath(u.path, name)
		if err != nil {
			ld.fail(runtime.LoadError, q.pos, err.Error(), hint)
			continue
		}
		if i := indexOf(ld.visit, target); i >= 0 {
			cycle := append(append([]string(nil), ld.visit[i:]...), target)
			ld.fail(runtime.LoadError, q.pos, "require cycle: "+strings.Join(cycle, " → "), "move what both need into a third file")
			continue
		}
		if _, ok := ld.bundle.Files[target]; !ok {
			ld.missing = append(ld.missing, runtime.Missing{Name: name, Path: target, Pos: q.pos})
			continue
		}
		q.arg.Value = target
		ld.unit(target, q.pos)
	}
}

// compile compiles every file, collecting all problems.
func (ld *loader) compile() {
	for _, u := range ld.order {
		proto, err := glua.Compile(u.chunk, sourceName(u.index))
		if err != nil {
			ld.compileError(u, err)
			continue
		}
		u.proto, u.chunk = proto, nil
	}
}

func (ld *loader) fail(kind runtime.ErrorKind, pos runtime.Position, msg, hint string) {
	ld.errs = append(ld.errs, &runtime.Error{Kind: kind, Pos: pos, Msg: msg, Hint: hint})
}

var lineNumber = regexp.MustCompile(`line (\d+)`)

// compileError takes over what the compiler found.
func (ld *loader) compileError(u *unit, err error) {
	var e *glua.CompileError
	if !errors.As(err, &e) {
		ld.fail(runtime.SyntaxError, runtime.Position{Path: u.path}, cut(err.Error(), maxMessage), "")
		return
	}
	msg := lineNumber.ReplaceAllStringFunc(e.Message, func(s string) string {
		n, _ := strconv.Atoi(strings.TrimPrefix(s, "line "))
		return "line " + strconv.Itoa(u.src.at(n).Line)
	})
	ld.fail(runtime.SyntaxError, u.src.at(e.Line), msg, "")
}

// problems returns all errors in the order of file and line, with their lines.
func (ld *loader) problems() runtime.Errors {
	sort.SliceStable(ld.errs, func(i, j int) bool {
		a, b := ld.errs[i].Pos, ld.errs[j].Pos
		if a.Path != b.Path {
			return a.Path == ld.bundle.Main || b.Path != ld.bundle.Main && a.Path < b.Path
		}
		return a.Line < b.Line || a.Line == b.Line && a.Col < b.Col
	})
	for _, e := range ld.errs {
		e.SetLine(ld.bundle.Files[e.Pos.Path])
	}
	return ld.errs
}

// resolvePath turns what require was given into the path of a bundle's file:
// "lib.x" is lib/x.lua; what has a slash is a path already.
func resolvePath(from, name string) (target, hint string, err error) {
	const lib = "@starling//"
	bad := func(why, hint string) (string, string, error) {
		return "", hint, fmt.Errorf("require: %q %s", cut(name, 100), why)
	}
	root, dir := "", path.Dir(from)
	if rest, ok := strings.CutPrefix(from, lib); ok {
		root, dir = lib, path.Dir(rest)
	}
	rel := name
	switch {
	case strings.HasPrefix(name, lib):
		root, rel = lib, name[len(lib):]
	case strings.HasPrefix(name, "@"):
		return bad("is in no known library", "library scripts begin with @starling//")
	case strings.HasPrefix(name, "/"):
		return bad("is an absolute path", "names are relative to the rules directory: \"lib.name\"")
	case strings.HasPrefix(name, "./"), strings.HasPrefix(name, "../"):
		rel = path.Join(dir, name)
	default:
		root = ""
	}
	if !strings.Contains(name, "/") {
		rel = strings.ReplaceAll(strings.TrimSuffix(rel, ".lua"), ".", "/")
	}
	if path.Ext(rel) == "" {
		rel += ".lua"
	}
	rel = path.Clean(rel)
	switch {
	case name == "" || strings.ContainsAny(name, "\\\x00"):
		return bad("is no name of a file", "write require(\"lib.name\")")
	case rel == ".." || strings.HasPrefix(rel, "../"):
		return bad("is outside of the rules directory", "")
	case path.Ext(rel) != ".lua":
		return bad("is not a .lua file", "write require(\"lib.name\")")
	}
	return root + rel, "", nil
}

func indexOf(list []string, s string) int {
	for i, e := range list {
		if e == s {
			return i
		}
	}
	return -1
}
