package star

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// options of the dialect. Recursion stays off: its stack is not bounded by
// steps. while and if at the top level are bounded by the step limit.
var options = &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, GlobalReassign: true}

// module is a compiled, frozen bundle.
type module struct {
	lang   *Language
	bundle *runtime.Bundle
	names  starlark.StringDict // what is predeclared
	// funcs is the table that runtime.Func.Index points into: what the
	// registrations hold, in order, then the top-level functions by position.
	funcs []*starlark.Function
	index map[*starlark.Function]int
	// large tells that the top level made large values.
	large bool
}

// unit is one file of a bundle on its way to be run.
type unit struct {
	path  string
	file  *syntax.File
	prog  *starlark.Program
	loads []*unit
	// globals are the names it exports; values once it has run.
	globals map[string]bool
	values  starlark.StringDict
}

// loader compiles one bundle.
type loader struct {
	lang    *Language
	bundle  *runtime.Bundle
	lim     runtime.Limits
	names   starlark.StringDict
	units   map[string]*unit
	order   []*unit // loaded ones before their loaders
	visit   []string
	errs    runtime.Errors
	missing []runtime.Missing
	calls   map[runtime.Position]*callSite
	covered int // files whose lines are counted
}

// Load implements runtime.Language. A file that loads another sees its frozen
// globals; what the other file registers while it is loaded is its own
// affair: only registrations made by the bundle's main file, directly or
// through functions it calls, are in the manifest.
func (l *Language) Load(ctx context.Context, b *runtime.Bundle, lim runtime.Limits) (runtime.Module, *runtime.Manifest, error) {
	ld := &loader{lang: l, bundle: b, lim: lim.OrDefault(), units: map[string]*unit{}, calls: map[runtime.Position]*callSite{}}
	var err error
	if ld.names, err = l.predeclaredFor(b.Config); err != nil {
		return nil, nil, fmt.Errorf("load %s: configuration: %w", b.Main, err)
	}
	ld.unit(b.Main, runtime.Position{Path: b.Main})
	if len(ld.missing) == 0 {
		ld.compile() // also beside files that do not parse: every problem at once
	}
	if len(ld.errs) > 0 {
		return nil, nil, ld.problems()
	}
	man := &runtime.Manifest{Digest: b.Digest, Missing: ld.missing}
	if len(ld.missing) > 0 {
		return nil, man, nil
	}
	m := &module{lang: l, bundle: b, names: ld.names, index: map[*starlark.Function]int{}}
	if err := ld.run(ctx, m, man); err != nil {
		return nil, nil, runtime.Errors{err}
	}
	m.addFunctions(ld.order)
	return m, man, nil
}

// unit parses a file and what it loads, depth first. It returns nil if that
// cannot be had; the reason is then in errs or missing.
func (ld *loader) unit(name string, from runtime.Position) *unit {
	if u, ok := ld.units[name]; ok {
		return u
	}
	text, ok := ld.bundle.Files[name]
	if !ok {
		if name == ld.bundle.Main {
			ld.fail(runtime.LoadError, from, "the bundle lacks its main file", "")
		}
		return nil
	}
	u := &unit{path: name}
	ld.units[name] = u
	if len(text) > ld.lim.Source {
		ld.errs = append(ld.errs, &runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitSource, Pos: runtime.Position{Path: name},
			Msg: fmt.Sprintf("source of %d bytes exceeds the limit of %d", len(text), ld.lim.Source),
		})
		return u
	}
	f, err := parse(name, text)
	if err != nil {
		ld.syntaxErrors(name, text, err)
		return u
	}
	u.file = f
	ld.visit = append(ld.visit, name)
	ld.loads(u)
	ld.visit = ld.visit[:len(ld.visit)-1]
	ld.order = append(ld.order, u)
	return u
}

// loads follows the load statements of a file and makes their names absolute.
func (ld *loader) loads(u *unit) {
	for _, s := range u.file.Stmts {
		s, ok := s.(*syntax.LoadStmt)
		if !ok {
			continue
		}
		pos := position(s.Module.TokenPos)
		name := s.ModuleName()
		target, hint, err := importer.Resolve(u.path, name)
		if err != nil {
			ld.fail(runtime.LoadError, pos, err.Error(), hint)
			continue
		}
		ld.checkLoadNames(s)
		if i := slices.Index(ld.visit, target); i >= 0 {
			cycle := append(append([]string(nil), ld.visit[i:]...), target)
			ld.fail(runtime.LoadError, pos, "load cycle: "+strings.Join(cycle, " → "), "move what both need into a third file")
			continue
		}
		if _, ok := ld.bundle.Files[target]; !ok {
			ld.missing = append(ld.missing, runtime.Missing{Name: name, Path: target, Pos: pos})
			continue
		}
		s.Module.Value = target
		u.loads = append(u.loads, ld.unit(target, pos))
	}
}

// checkLoadNames refuses names that are no identifiers: load takes them from
// strings, so they could otherwise stand for guards.
func (ld *loader) checkLoadNames(s *syntax.LoadStmt) {
	for i := range s.From {
		for _, id := range []*syntax.Ident{s.From[i], s.To[i]} {
			if strings.ContainsFunc(id.Name, func(r rune) bool {
				return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
			}) {
				ld.fail(runtime.LoadError, position(id.NamePos), fmt.Sprintf("load: %q is not a name", script.Cut(id.Name, 60)), "")
				break
			}
		}
	}
}

// compile rewrites and resolves every file, collecting all problems.
func (ld *loader) compile() {
	for _, u := range ld.order {
		rw := &rewriter{calls: ld.calls, registers: ld.registers, module: ld.module, bare: ld.lang.bare, cover: ld.newLiner()}
		if !rw.file(u.file) {
			ld.errs = append(ld.errs, rw.errs...)
			continue
		}
		ld.declare(rw.cover, u.path)
		prog, err := starlark.FileProgram(u.file, ld.names.Has)
		if err != nil {
			ld.nameErrors(u, err)
		}
		u.prog = prog
		u.globals = map[string]bool{}
		if m, ok := u.file.Module.(*resolve.Module); ok {
			for _, g := range m.Globals {
				u.globals[g.First.Name] = true
			}
		}
		ld.checkMembers(u)
		ld.checkImports(u)
	}
}

// registers tells by its dotted name whether a built-in registers a rule.
func (ld *loader) registers(name string) bool {
	if ld.lang.host.Library == nil {
		return false
	}
	b := ld.lang.host.Library.Lookup(name)
	return b != nil && b.Purity == runtime.Register
}

// module returns the built-in module of a name, or nil.
func (ld *loader) module(name string) *namespace {
	m, _ := ld.names[name].(*namespace)
	return m
}

// checkImports finds names that the loaded file does not have.
func (ld *loader) checkImports(u *unit) {
	for _, s := range u.file.Stmts {
		s, ok := s.(*syntax.LoadStmt)
		if !ok {
			continue
		}
		from := ld.units[s.ModuleName()]
		if from == nil || from.globals == nil {
			continue
		}
		for _, id := range s.From {
			if from.globals[id.Name] {
				continue
			}
			var names []string
			for name := range from.globals {
				if !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, "$") {
					names = append(names, name)
				}
			}
			sort.Strings(names)
			hint := ""
			if n := runtime.Nearest(id.Name, names); n != "" {
				hint = "did you mean " + n + "?"
			}
			ld.fail(runtime.NameError, position(id.NamePos), fmt.Sprintf("%s does not define %s", from.path, id.Name), hint)
		}
	}
}

// checkMembers finds members that a built-in module does not have: on.mesage.
func (ld *loader) checkMembers(u *unit) {
	syntax.Walk(u.file, func(n syntax.Node) bool {
		dot, ok := n.(*syntax.DotExpr)
		if !ok {
			return true
		}
		if ns := ld.namespaceOf(dot.X); ns != nil && ns.members[dot.Name.Name] == nil {
			e := ns.unknown(dot.Name.Name)
			ld.fail(e.Kind, position(dot.Name.NamePos), e.Msg, e.Hint)
		}
		return true
	})
}

// namespaceOf returns the built-in module that an expression names, or nil.
func (ld *loader) namespaceOf(e syntax.Expr) *namespace {
	if rootOf(e) == nil {
		return nil
	}
	switch e := e.(type) {
	case *syntax.Ident:
		if b, ok := e.Binding.(*resolve.Binding); ok && b.Scope == resolve.Predeclared {
			ns, _ := ld.names[e.Name].(*namespace)
			return ns
		}
	case *syntax.DotExpr:
		if ns := ld.namespaceOf(e.X); ns != nil {
			sub, _ := ns.members[e.Name.Name].(*namespace)
			return sub
		}
	}
	return nil
}

// run executes the files, loaded ones first, under the limits of the load.
func (ld *loader) run(ctx context.Context, m *module, man *runtime.Manifest) *runtime.Error {
	p := newPass(ctx, m, &runtime.Call{Limits: ld.lim, When: -1})
	p.x.Loading, p.ledger.Loading, p.calls = true, true, ld.calls
	p.thread.Load = func(_ *starlark.Thread, name string) (starlark.StringDict, error) {
		return ld.units[name].values, nil
	}
	for i, u := range ld.order {
		p.ledger.Silent = i < len(ld.order)-1
		err := p.guarded(func() error {
			values, err := u.prog.Init(&p.thread, ld.names)
			u.values = values
			return err
		})
		u.values.Freeze()
		if err != nil {
			return p.describe(err)
		}
	}
	man.Registrations, man.Logs, man.Steps = p.ledger.Registered, p.ledger.Logs, p.thread.Steps
	return nil
}

// add gives a function its number in the table.
func (m *module) add(fn *starlark.Function) int {
	if i, ok := m.index[fn]; ok {
		return i
	}
	m.index[fn] = len(m.funcs)
	m.funcs = append(m.funcs, fn)
	return len(m.funcs) - 1
}

// addFunctions completes the table with the top-level functions of all files,
// so that a handler can name them later: after("1h", remind, …).
func (m *module) addFunctions(order []*unit) {
	for i := len(order) - 1; i >= 0; i-- { // the main file first
		var fns []*starlark.Function
		for _, v := range order[i].values {
			if fn, ok := v.(*starlark.Function); ok && fn.Position().Filename() == order[i].path {
				fns = append(fns, fn)
			}
		}
		sort.Slice(fns, func(a, b int) bool {
			x, y := fns[a].Position(), fns[b].Position()
			return x.Line < y.Line || x.Line == y.Line && x.Col < y.Col
		})
		for _, fn := range fns {
			m.add(fn)
		}
	}
	for _, fn := range m.funcs {
		fn.Freeze() // closures made by calls at the top level are in no global
	}
}

// Functions implements runtime.Lister.
func (m *module) Functions() []runtime.Func {
	var out []runtime.Func
	for i, fn := range m.funcs {
		if at := position(fn.Position()); at.Path == m.bundle.Main && fn.Name() != "lambda" {
			out = append(out, runtime.Func{Index: i, Name: fn.Name(), Pos: at, Arity: arity(fn)})
		}
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].Pos.Line < out[b].Pos.Line })
	return out
}

func (ld *loader) fail(kind runtime.ErrorKind, pos runtime.Position, msg, hint string) {
	ld.errs = append(ld.errs, &runtime.Error{Kind: kind, Pos: pos, Msg: msg, Hint: hint})
}

// problems returns all errors in the order of file and line, with their lines.
func (ld *loader) problems() runtime.Errors { return script.Sort(ld.errs, ld.bundle) }

var importer = script.Importer{Word: "load", Example: `load("lib/name.star", "symbol")`, Ext: ".star"}

func position(p syntax.Position) runtime.Position {
	return runtime.Position{Path: p.Filename(), Line: int(p.Line), Col: int(p.Col)}
}
