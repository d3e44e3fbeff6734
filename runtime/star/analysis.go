package star

import (
	"cmp"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

var _ runtime.Analyzer = (*Language)(nil)

// Analyze implements runtime.Analyzer. It runs nothing. Problems that Load
// would report have the same place and text here.
//
// Beyond them there are two kinds: RunError for what fails whenever it is
// reached (a wrong argument, a variable that has no value yet, a change of
// what is frozen), and LintError for what runs but cannot be meant.
func (l *Language) Analyze(path string, text []byte) *runtime.Analysis {
	b := &runtime.Bundle{Language: l.Name(), Main: path, Files: map[string][]byte{path: text}}
	ld := &loader{lang: l, bundle: b, lim: runtime.DefaultLimits, names: l.predeclared, units: map[string]*unit{}, calls: map[runtime.Position]*callSite{}}
	a := &analysis{ld: ld, vars: map[*syntax.Ident]*variable{}}
	u := ld.unit(path, runtime.Position{Path: path})
	a.out.Loads = ld.missing
	if u.file != nil && a.resolve(u) {
		a.file(u.file)
	}
	a.out.Problems = append(ld.problems(), a.problems...)
	for _, p := range a.out.Problems {
		p.SetLine(text)
	}
	slices.SortStableFunc(a.out.Problems, func(a, b *runtime.Error) int { return comparePos(a.Pos, b.Pos) })
	a.out.Problems = slices.CompactFunc(a.out.Problems, func(a, b *runtime.Error) bool { return a.Pos == b.Pos && a.Msg == b.Msg })
	slices.SortStableFunc(a.out.Calls, func(a, b runtime.CallSite) int { return comparePos(a.Pos, b.Pos) })
	return &a.out
}

func comparePos(a, b runtime.Position) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
}

// analysis looks through one file. A walk notes what each variable is given
// and where it is looked at, and which calls there are (walk); then each kind
// of mistake is looked for.
type analysis struct {
	ld       *loader
	out      runtime.Analysis
	problems []*runtime.Error

	vars   map[*syntax.Ident]*variable // by the place that defines them first
	order  []*variable                 // in the order of the text
	calls  []call
	frozen []change
	// reached is what loading returns, once that is known.
	reached map[*function]bool

	// Where the walk is.
	fn   *function
	loop syntax.Node // the outermost loop of the function
}

// function is a def or lambda; nil is the top level.
type function struct {
	name  string
	outer *function
	// variable is what holds the function, for a def.
	variable *variable
	params   []syntax.Expr
}

// variable is a name of the file's own with all that happens to it.
type variable struct {
	name  string
	fn    *function // whose variable it is
	binds []bind
	uses  []use
}

// bindKind is how a variable gets a value.
type bindKind int

const (
	byAssign bindKind = iota // x = value
	byAugment
	byUnpack // a, b = value, and the variables of loops
	byDef
	byParam
	byLoad
)

type bind struct {
	kind  bindKind
	id    *syntax.Ident
	value syntax.Expr // of byAssign
	def   *function   // of byDef
	fn    *function
	loop  syntax.Node
	// sure tells that the statement is reached whenever its function is: it is
	// in no branch and no loop.
	sure bool
}

type use struct {
	id *syntax.Ident
	fn *function
	// loop is the outermost loop that the use is in.
	loop syntax.Node
	// augment tells that the value only goes back into the variable.
	augment bool
	// calls tells that the value is called here.
	calls bool
	// registers tells that it is an argument of a built-in that registers: it
	// is kept for later.
	registers bool
}

// call is a call in the text.
type call struct {
	expr *syntax.CallExpr
	fn   *function
}

// change is a change of a value in place: x[i] = y, x.append(y).
type change struct {
	id  *syntax.Ident
	pos syntax.Position
	how string
	fn  *function
}

// resolve finds the meaning of names. It tells whether the tree can be read.
func (a *analysis) resolve(u *unit) bool {
	rw := &rewriter{module: a.ld.module}
	rw.survey(u.file)
	if a.ld.errs = append(a.ld.errs, rw.errs...); len(rw.errs) > 0 {
		return false
	}
	if err := resolve.File(u.file, a.ld.names.Has, starlark.Universe.Has); err != nil {
		a.ld.nameErrors(u, err)
	}
	a.ld.checkMembers(u)
	return true
}

func (a *analysis) file(f *syntax.File) {
	a.stmts(f.Stmts, true)
	a.block(f.Stmts)
	for _, v := range a.order {
		a.unused(v)
		a.tooEarly(v)
		a.overwritten(v)
		a.redefined(v)
		a.misused(v)
	}
	for _, c := range a.calls {
		a.call(c)
	}
	a.frozenChanges()
}

func (a *analysis) problem(kind runtime.ErrorKind, pos syntax.Position, hint, msg string) {
	a.problems = append(a.problems, &runtime.Error{Kind: kind, Pos: position(pos), Msg: bounded(msg), Hint: bounded(hint)})
}

func (a *analysis) lint(pos syntax.Position, hint, msg string) {
	a.problem(runtime.LintError, pos, hint, msg)
}

func (a *analysis) fails(pos syntax.Position, hint, msg string) {
	a.problem(runtime.RunError, pos, hint, msg)
}

// variableOf returns the file's own variable behind a name, or nil.
func (a *analysis) variableOf(id *syntax.Ident) *variable {
	b, ok := id.Binding.(*resolve.Binding)
	if !ok || b.First == nil {
		return nil
	}
	return a.vars[b.First]
}

// builtin returns the dotted name of a built-in that an expression names, or "".
func (a *analysis) builtin(e syntax.Expr) string {
	name := dottedName(e)
	if name == "" {
		return ""
	}
	for {
		d, ok := e.(*syntax.DotExpr)
		if !ok {
			break
		}
		e = d.X
	}
	b, ok := e.(*syntax.Ident).Binding.(*resolve.Binding)
	if !ok || b.Scope != resolve.Predeclared && b.Scope != resolve.Universal {
		return ""
	}
	return name
}

// declared returns the declaration of a built-in that an expression names, or nil.
func (a *analysis) declared(e syntax.Expr) *runtime.Builtin {
	name := a.builtin(e)
	if name == "" || a.ld.lang.host.Library == nil {
		return nil
	}
	return a.ld.lang.host.Library.Lookup(name)
}

// loading returns the functions that may run while the script is loaded: those
// that the top level mentions, but for handing them to a rule, and those that
// these mention.
func (a *analysis) loading() map[*function]bool {
	if a.reached != nil {
		return a.reached
	}
	reached := map[*function]bool{nil: true}
	a.reached = reached
	for again := true; again; {
		again = false
		for _, v := range a.order {
			for _, b := range v.binds {
				if b.kind == byDef && !reached[b.def] && slices.ContainsFunc(v.uses, func(u use) bool { return !u.registers && a.runsIn(u.fn, reached) }) {
					reached[b.def], again = true, true
				}
			}
		}
	}
	return reached
}

// runsIn tells that a function's body, or that of one around it, is in the set.
// A lambda runs where it is made, for all that can be told.
func (a *analysis) runsIn(fn *function, set map[*function]bool) bool {
	for fn != nil && fn.variable == nil {
		fn = fn.outer
	}
	return set[fn]
}

// lent tells that a function is inside of one that nothing in its file mentions,
// and that a file which loads it may call at its own top level.
func (a *analysis) lent(fn *function) bool {
	for fn != nil && fn.outer != nil {
		fn = fn.outer
	}
	return fn != nil && fn.variable != nil && len(fn.variable.uses) == 0 && !isPrivate(fn.variable.name)
}

// isPrivate tells that a name says of itself that nobody need use it.
func isPrivate(name string) bool { return strings.HasPrefix(name, "_") }
