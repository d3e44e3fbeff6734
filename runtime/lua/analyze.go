package lua

import (
	"slices"
	"strings"

	"github.com/yuin/gopher-lua/ast"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

var _ runtime.Analyzer = (*Language)(nil)

// Analyze implements runtime.Analyzer. Arguments of built-ins are not looked
// at: they are in Calls, for who knows what they mean.
func (l *Language) Analyze(path string, text []byte) *runtime.Analysis {
	out := &runtime.Analysis{}
	b := &runtime.Bundle{Language: l.Name(), Main: path, Files: map[string][]byte{path: text}}
	ld := &loader{lang: l, bundle: b, lim: runtime.Limits{}.OrDefault(), units: map[string]*unit{}}
	ld.parsed = func(u *unit) {
		an := &linter{src: u.src, lang: l, functions: map[string]*function{}, set: map[string]int{}}
		an.file(u.chunk)
		out.Calls = an.calls
		ld.errs = append(ld.errs, an.errs...)
	}
	ld.unit(path, runtime.Position{Path: path})
	ld.compile()
	out.Problems = script.Sort(ld.errs, b)
	out.Loads = ld.missing
	return out
}

// linter finds what would run but is surely not what was meant, and collects
// the calls of built-ins. It reads the tree before it is rewritten.
type linter struct {
	src   *source
	lang  *Language
	errs  runtime.Errors
	calls []runtime.CallSite

	scopes  [][]*local
	nesting int
	names   []string // of the functions around
	// functions are the global functions of the file, set how often each
	// global is set; a function that is set once is what its name means.
	functions map[string]*function
	set       map[string]int
	checks    []func() // what has to wait for the end of the file
}

// local is a local variable.
type local struct {
	name string
	pos  runtime.Position
	what string // "local", "local function", "loop variable"; empty: do not report
	used bool
	set  bool // anew, after its declaration
	// later are those that get the values behind its own.
	later []*local
	// fn is the function that it holds, if it is never set anew.
	fn *function
}

// function is what calls of a script's own function are held to.
type function struct {
	params int
	vararg bool
}

// file lints a chunk. Who looks at too deep a tree reports it elsewhere.
func (a *linter) file(chunk []ast.Stmt) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(tooMuch); !ok {
				panic(r)
			}
			a.errs = nil
		}
	}()
	a.block(chunk)
	for _, check := range a.checks {
		check()
	}
	a.calls = slices.DeleteFunc(a.calls, func(c runtime.CallSite) bool { return c.Name == "" })
}

func (a *linter) lint(pos runtime.Position, msg, hint string) {
	a.errs = append(a.errs, &runtime.Error{Kind: runtime.LintError, Pos: pos, Msg: msg, Hint: hint})
}

func (a *linter) at(n ast.PositionHolder) runtime.Position { return a.src.at(n.Line()) }

func (a *linter) enter() {
	if a.nesting++; a.nesting > 2*guarded.nesting {
		panic(tooMuch{})
	}
}

func (a *linter) push() { a.scopes = append(a.scopes, nil) }

// pop ends a scope, and reports what nobody used.
func (a *linter) pop() {
	n := len(a.scopes) - 1
	scope := a.scopes[n]
	a.scopes = a.scopes[:n]
	for _, v := range scope {
		if v.used || v.what == "" || strings.HasPrefix(v.name, "_") {
			continue
		}
		if slices.ContainsFunc(v.later, func(w *local) bool { return w.used }) {
			continue // what comes first must have some name
		}
		hint := "remove it, or name it _" + v.name
		msg := v.what + " " + v.name + " is never used"
		if v.set {
			msg = v.what + " " + v.name + " is set but never used"
		}
		a.lint(v.pos, msg, hint)
	}
}

func (a *linter) declare(v *local) *local {
	n := len(a.scopes) - 1
	a.scopes[n] = append(a.scopes[n], v)
	return v
}

// several declares names that are listed at token i and after each comma.
func (a *linter) several(names []string, what string, i int) []*local {
	out := make([]*local, len(names))
	for k, name := range names {
		out[k] = a.declare(&local{name: name, what: what, pos: a.src.place(i + 2*k)})
	}
	for k, v := range out {
		v.later = out[k+1:]
	}
	return out
}

// place is where token i is.
func (s *source) place(i int) runtime.Position {
	if i < 0 || i >= len(s.tokens) {
		return runtime.Position{Path: s.path}
	}
	return runtime.Position{Path: s.path, Line: s.tokens[i].line, Col: s.tokens[i].col}
}

// is tells whether token i is that text.
func (s *source) is(i int, text string) bool {
	return i >= 0 && i < len(s.tokens) && s.tokens[i].text == text
}

func (a *linter) find(name string) *local {
	for i := len(a.scopes) - 1; i >= 0; i-- {
		scope := a.scopes[i]
		for k := len(scope) - 1; k >= 0; k-- {
			if scope[k].name == name {
				return scope[k]
			}
		}
	}
	return nil
}

func (a *linter) block(list []ast.Stmt) {
	a.push()
	a.stmts(list)
	a.pop()
}

func (a *linter) stmts(list []ast.Stmt) {
	a.enter()
	defer func() { a.nesting-- }()
	dead := false
	for i, s := range list {
		if i > 0 && !dead && a.terminates(list[i-1]) {
			if _, ok := s.(*ast.LabelStmt); !ok {
				dead = true
				a.lint(a.at(s), "this can never run", "what is before it never gets here")
			}
		}
		a.stmt(s)
	}
}

func (a *linter) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		a.assign(s)
	case *ast.LocalAssignStmt:
		a.localAssign(s)
	case *ast.FuncCallStmt:
		a.expr(s.Expr)
		a.unusedResult(s.Expr)
	case *ast.DoBlockStmt:
		a.block(s.Stmts)
	case *ast.WhileStmt:
		a.expr(s.Condition)
		a.block(s.Stmts)
	case *ast.RepeatStmt:
		a.push()
		a.stmts(s.Stmts)
		a.expr(s.Condition)
		a.pop()
	case *ast.IfStmt:
		a.expr(s.Condition)
		a.block(s.Then)
		a.block(s.Else)
	case *ast.NumberForStmt:
		a.exprs([]ast.Expr{s.Init, s.Limit, s.Step})
		a.push()
		// Counting is a use of its own: for i = 1, 3 do … end does it thrice.
		a.declare(&local{name: s.Name, pos: a.at(s)})
		a.stmts(s.Stmts)
		a.pop()
	case *ast.GenericForStmt:
		a.exprs(s.Exprs)
		a.push()
		a.several(s.Names, "loop variable", a.src.index(s.Line())+1)
		a.stmts(s.Stmts)
		a.pop()
	case *ast.FuncDefStmt:
		a.funcDef(s)
	case *ast.ReturnStmt:
		a.exprs(s.Exprs)
	}
}

func (a *linter) localAssign(s *ast.LocalAssignStmt) {
	i := a.src.index(s.Line())
	if fn, ok := first(s.Exprs).(*ast.FunctionExpr); ok && a.src.is(i+1, "function") {
		v := a.declare(&local{name: s.Names[0], what: "local function", pos: a.src.place(i + 2)})
		v.fn = signature(fn)
		a.function(fn, v.name, false)
		return
	}
	for k, e := range s.Exprs {
		if k < len(s.Names) {
			a.named(e, s.Names[k])
			continue
		}
		a.expr(e)
	}
	vars := a.several(s.Names, "local", i+1)
	for k, e := range s.Exprs {
		if fn, ok := e.(*ast.FunctionExpr); ok && k < len(vars) {
			vars[k].fn = signature(fn)
		}
	}
}

// named visits an expression that gets a name, which a function is shown by.
func (a *linter) named(e ast.Expr, name string) {
	if fn, ok := e.(*ast.FunctionExpr); ok {
		a.function(fn, name, false)
		return
	}
	a.expr(e)
}

func signature(fn *ast.FunctionExpr) *function {
	return &function{params: len(fn.ParList.Names), vararg: fn.ParList.HasVargs}
}

// global notes that a global is set.
func (a *linter) global(name string, fn *function) {
	a.set[name]++
	a.functions[name] = fn
}

func (a *linter) assign(s *ast.AssignStmt) {
	for k, lhs := range s.Lhs {
		name := "function"
		var rhs ast.Expr
		if k < len(s.Rhs) {
			rhs = s.Rhs[k]
		}
		switch e := lhs.(type) {
		case *ast.IdentExpr:
			name = e.Value
			a.setVariable(e, rhs)
		case *ast.AttrGetExpr:
			if key, ok := e.Key.(*ast.StringExpr); ok {
				name = key.Value
			}
			a.expr(e.Object)
			a.expr(e.Key)
		}
		if rhs != nil {
			if same(lhs, rhs) && len(s.Lhs) == 1 {
				a.lint(a.at(lhs), "this sets "+dotted(lhs)+" to itself", "")
			}
			a.named(rhs, name)
		}
	}
	if n := len(s.Lhs); n < len(s.Rhs) {
		a.exprs(s.Rhs[n:])
	}
}

func (a *linter) setVariable(e *ast.IdentExpr, rhs ast.Expr) {
	if v := a.find(e.Value); v != nil {
		v.set, v.fn = true, nil
		return
	}
	var sig *function
	if fn, ok := rhs.(*ast.FunctionExpr); ok {
		sig = signature(fn)
	}
	a.global(e.Value, sig)
	if len(a.names) > 0 {
		a.globalInFunction(e.Value, a.at(e))
	}
}

// globalInFunction waits for the end of the file, because a function that the
// top level calls may set what it likes.
func (a *linter) globalInFunction(name string, pos runtime.Position) {
	hint := "write local " + name
	if n := a.nearestLocal(name); n != "" && a.set[name] == 1 {
		hint = "did you mean " + n + "? Else write local " + name
	}
	a.lint(pos, "global "+script.Cut(name, 60)+" is set in a function, which fails once the file is loaded: globals are frozen then", hint)
}

// nearestLocal is a local in scope that name may have meant.
func (a *linter) nearestLocal(name string) string {
	var all []string
	for _, scope := range a.scopes {
		for _, v := range scope {
			all = append(all, v.name)
		}
	}
	return runtime.Nearest(name, all)
}

func (a *linter) funcDef(s *ast.FuncDefStmt) {
	if s.Name.Func == nil { // function a.b:m()
		a.expr(s.Name.Receiver)
		a.function(s.Func, dotted(s.Name.Receiver)+":"+s.Name.Method, true)
		return
	}
	name := dotted(s.Name.Func)
	switch e := s.Name.Func.(type) {
	case *ast.IdentExpr:
		a.setVariable(e, s.Func)
	case *ast.AttrGetExpr:
		a.expr(e.Object)
	}
	a.function(s.Func, name, false)
}

// function visits the inside of a function.
func (a *linter) function(fn *ast.FunctionExpr, name string, method bool) {
	a.names = append(a.names, name)
	a.push()
	if method {
		a.declare(&local{name: "self"})
	}
	for _, p := range fn.ParList.Names {
		a.declare(&local{name: p})
	}
	if fn.ParList.HasVargs {
		a.declare(&local{name: "arg"})
	}
	a.stmts(fn.Stmts)
	a.pop()
	a.names = a.names[:len(a.names)-1]
}

func (a *linter) exprs(list []ast.Expr) {
	for _, e := range list {
		a.expr(e)
	}
}

func (a *linter) expr(e ast.Expr) {
	if e == nil {
		return
	}
	a.enter()
	defer func() { a.nesting-- }()
	switch e := e.(type) {
	case *ast.IdentExpr:
		if v := a.find(e.Value); v != nil {
			v.used = true
		}
	case *ast.AttrGetExpr:
		a.expr(e.Object)
		a.expr(e.Key)
	case *ast.TableExpr:
		a.table(e)
	case *ast.FuncCallExpr:
		a.call(e)
	case *ast.LogicalOpExpr:
		a.expr(e.Lhs)
		a.expr(e.Rhs)
	case *ast.RelationalOpExpr:
		a.expr(e.Lhs)
		a.expr(e.Rhs)
		a.comparison(e)
	case *ast.ArithmeticOpExpr:
		a.expr(e.Lhs)
		a.expr(e.Rhs)
	case *ast.StringConcatOpExpr:
		for { // which nests to the right
			a.expr(e.Lhs)
			next, ok := e.Rhs.(*ast.StringConcatOpExpr)
			if !ok {
				break
			}
			e = next
		}
		a.expr(e.Rhs)
	case *ast.UnaryMinusOpExpr:
		a.expr(e.Expr)
	case *ast.UnaryNotOpExpr:
		a.expr(e.Expr)
	case *ast.UnaryLenOpExpr:
		a.expr(e.Expr)
	case *ast.FunctionExpr:
		a.function(e, "function", false)
	}
}
