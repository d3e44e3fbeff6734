package lua

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// unit is one file of a bundle.
type unit struct {
	path  string
	index int // its place in module.files
	src   *source
	chunk []ast.Stmt
	proto *glua.FunctionProto
	rw    *rewriter       // until the bundle is loaded
	count *glua.LFunction // counts the lines that are run, or nil
	calls map[int]*callSite
	names map[int]string
}

// settle lets go of what only loading needed.
func (u *unit) settle() {
	u.calls, u.names = u.rw.calls, u.rw.names
	u.chunk, u.rw = nil, nil
	u.src.settle()
}

// trim gives back the room for growth that the compiler leaves in its slices,
// and the names of locals, which nobody asks for.
func trim(p *glua.FunctionProto) {
	p.Code, p.Constants = slices.Clone(p.Code), slices.Clone(p.Constants)
	p.FunctionPrototypes = slices.Clone(p.FunctionPrototypes)
	p.DbgSourcePositions, p.DbgCalls = slices.Clone(p.DbgSourcePositions), slices.Clone(p.DbgCalls)
	p.DbgUpvalues, p.DbgLocals = slices.Clone(p.DbgUpvalues), nil
	for _, inner := range p.FunctionPrototypes {
		trim(inner)
	}
}

// functionName is what the stack shows.
func (u *unit) functionName(proto *glua.FunctionProto) string {
	if proto == u.proto {
		return "<toplevel>"
	}
	if name := u.names[proto.LineDefined]; name != "" {
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
		return nil, nil, script.Sort(ld.errs, ld.bundle)
	}
	man := &runtime.Manifest{Digest: b.Digest, Missing: ld.missing}
	if len(ld.missing) > 0 {
		return nil, man, nil
	}
	for _, u := range ld.order {
		u.settle()
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
	l.shelf.put(m, st)
	man.Registrations, man.Logs, man.Steps = p.ledger.Registered, p.ledger.Logs, p.budget.steps
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
		target, hint, err := importer.Resolve(u.path, name)
		if err != nil {
			ld.fail(runtime.LoadError, q.pos, err.Error(), hint)
			continue
		}
		if i := slices.Index(ld.visit, target); i >= 0 {
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
		trim(proto)
		u.proto = proto
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
		ld.fail(runtime.SyntaxError, runtime.Position{Path: u.path}, script.Cut(err.Error(), script.MaxMessage), "")
		return
	}
	msg := lineNumber.ReplaceAllStringFunc(e.Message, func(s string) string {
		n, _ := strconv.Atoi(strings.TrimPrefix(s, "line "))
		return "line " + strconv.Itoa(u.src.at(n).Line)
	})
	ld.fail(runtime.SyntaxError, u.src.at(e.Line), msg, "")
}

// importer resolves names of require: "lib.x" is lib/x.lua; what has a slash is
// a path already.
var importer = script.Importer{
	Word: "require", Example: `require("lib.name")`, Ext: ".lua",
	Rel: func(name string) string {
		if name == "." || name == ".." {
			return name
		}
		if !strings.Contains(name, "/") {
			name = strings.ReplaceAll(strings.TrimSuffix(name, ".lua"), ".", "/")
		}
		if path.Ext(name) == "" {
			name += ".lua"
		}
		return name
	},
}
