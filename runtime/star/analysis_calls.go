package star

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// call looks at one call in the text.
func (a *analysis) call(c call) {
	e := c.expr
	if b := a.declared(e.Fn); b != nil && b.Purity != runtime.Constant {
		a.site(c, b)
		if b.Purity != runtime.Native || b.Fn != nil {
			a.builtinCall(c, b)
			return
		}
	}
	if ns := a.ld.namespaceOf(e.Fn); ns != nil && ns.call == nil {
		a.fails(namePos(e.Fn), "its functions are "+script.Cut(strings.Join(ns.AttrNames(), ", "), 200), ns.name+" is a module, not a function")
		return
	}
	if sig, ok := signatures[a.builtin(e.Fn)]; ok {
		a.languageCall(e, sig)
	}
	switch fn := e.Fn.(type) {
	case *syntax.Ident:
		if v := a.variableOf(fn); v != nil && len(v.binds) == 1 && v.binds[0].kind == byDef {
			a.ownCall(e, v.name, v.binds[0].def.params)
		}
	case *syntax.DotExpr:
		if lit, ok := unparen(fn.X).(*syntax.Literal); ok && fn.Name.Name == "format" {
			a.format(e, lit)
		}
	}
}

// namePos is the place of the name that an expression ends with.
func namePos(e syntax.Expr) syntax.Position {
	if d, ok := e.(*syntax.DotExpr); ok {
		return d.Name.NamePos
	}
	return syntax.Start(e)
}

// site lists a call of a built-in.
func (a *analysis) site(c call, b *runtime.Builtin) {
	s := runtime.CallSite{Name: b.Name, Pos: position(namePos(c.expr.Fn)), End: position(c.expr.Rparen)}
	if c.fn != nil {
		s.Func = c.fn.name
	}
	for _, arg := range arguments(c.expr) {
		s.Args = append(s.Args, runtime.Argument{Name: arg.name, Value: a.value(arg.value, 0), Spread: arg.spread != 0, Pos: position(syntax.Start(arg.value))})
	}
	slices.SortStableFunc(s.Args, func(x, y runtime.Argument) int {
		return compareBool(x.Name != "", y.Name != "")
	})
	a.out.Calls = append(a.out.Calls, s)
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}

// argument is one argument of a call.
type argument struct {
	name   string
	id     *syntax.Ident // the name, where there is one
	value  syntax.Expr
	spread syntax.Token // STAR, STARSTAR or 0
}

func arguments(e *syntax.CallExpr) []argument {
	out := make([]argument, len(e.Args))
	for i, x := range e.Args {
		out[i] = argument{value: x}
		switch x := x.(type) {
		case *syntax.BinaryExpr:
			if id, ok := x.X.(*syntax.Ident); ok && x.Op == syntax.EQ {
				out[i] = argument{name: id.Name, id: id, value: x.Y}
			}
		case *syntax.UnaryExpr:
			if x.Op == syntax.STAR || x.Op == syntax.STARSTAR {
				out[i] = argument{value: x.X, spread: x.Op}
			}
		}
	}
	return out
}

// builtinCall checks the arguments of a declared built-in as the call would.
func (a *analysis) builtinCall(c call, b *runtime.Builtin) {
	f := &bound{script.NewBuiltin(b, nil)}
	name := namePos(c.expr.Fn)
	if err := a.phase(c, f); err != nil {
		a.report(name, err)
		return
	}
	given := make([]bool, len(b.Params))
	positional, next, spread := 0, 0, false
	for _, arg := range arguments(c.expr) {
		var q *runtime.Param
		switch {
		case arg.spread != 0:
			spread = true
			continue
		case arg.name != "":
			i := f.Option(arg.name)
			switch {
			case i < 0 && f.HasRest:
				continue
			case i < 0:
				a.report(arg.id.NamePos, f.UnknownOption(arg.name))
				continue
			case given[i]:
				a.report(arg.id.NamePos, f.Twice(arg.name))
				continue
			}
			given[i], q = true, &b.Params[i]
		case spread:
			continue
		default:
			positional++
			if next = f.Next(next); next == len(b.Params) {
				continue // all are counted first
			}
			if q = &b.Params[next]; !q.Variadic {
				given[next] = true
				next++
			}
		}
		a.argument(f, q, arg)
	}
	if next == len(b.Params) && positional > count(b.Params, func(q *runtime.Param) bool { return !q.Named && !q.Rest }) {
		a.report(name, f.TooMany(positional, ""))
	}
	for i := range b.Params {
		if q := &b.Params[i]; !given[i] && !q.Optional && !q.Variadic && !q.Rest && !spread {
			a.report(name, f.Missing(q))
			return
		}
	}
}

func count(params []runtime.Param, f func(*runtime.Param) bool) int {
	n := 0
	for i := range params {
		if f(&params[i]) {
			n++
		}
	}
	return n
}

// phase refuses what belongs to the other phase of a script's life.
func (a *analysis) phase(c call, f *bound) error {
	if c.fn == nil {
		return f.Allowed(true)
	}
	if f.Decl.Purity == runtime.Register && !a.runsIn(c.fn, a.loading()) && !a.lent(c.fn) {
		return f.Allowed(false)
	}
	return nil
}

// argument checks the type of an argument that can be read off the text.
func (a *analysis) argument(f *bound, q *runtime.Param, arg argument) {
	v := a.shape(arg.value)
	if _, ok := v.(runtime.Unknown); ok || v == nil && q.Optional {
		return
	}
	if _, err := f.Accept(q, v); err != nil {
		a.report(syntax.Start(arg.value), err)
	}
}

func (a *analysis) report(pos syntax.Position, err error) {
	e := &runtime.Error{Kind: runtime.RunError, Msg: err.Error()}
	if own, ok := errors.AsType[*runtime.Error](err); ok {
		e = own
	}
	a.problem(e.Kind, pos, e.Hint, e.Msg)
}

// shape is a value of the type that an expression certainly has, and the value
// itself where that can be told; else Unknown.
func (a *analysis) shape(e syntax.Expr) runtime.Value {
	v := a.value(e, 0)
	if _, ok := v.(runtime.Unknown); !ok {
		return v
	}
	switch e := unparen(e).(type) {
	case *syntax.LambdaExpr:
		return runtime.Func{}
	case *syntax.Ident:
		if v := a.variableOf(e); v != nil && len(v.binds) == 1 && v.binds[0].kind == byDef {
			return runtime.Func{Name: v.name}
		}
	case *syntax.DictExpr:
		return &runtime.Dict{}
	case *syntax.Comprehension:
		if e.Curly {
			return &runtime.Dict{}
		}
		return runtime.List{}
	}
	return runtime.Unknown{}
}

// languageCall checks a call of one of the language's own functions.
func (a *analysis) languageCall(e *syntax.CallExpr, sig signature) {
	name := a.builtin(e.Fn)
	n := 0
	for _, arg := range arguments(e) {
		switch {
		case arg.spread != 0:
			return
		case arg.name == "":
			n++
		case sig.rest:
		case slices.Contains(sig.names, arg.name):
			if i := slices.Index(sig.names, arg.name); i < sig.least {
				n++
			}
		default:
			hint := ""
			if near := runtime.Nearest(arg.name, sig.names); near != "" {
				hint = "did you mean " + near + "?"
			}
			a.fails(arg.id.NamePos, hint, fmt.Sprintf("%s: unexpected keyword argument %q", name, script.Cut(arg.name, 60)))
			return
		}
	}
	switch {
	case n < sig.least:
		a.fails(namePos(e.Fn), "", fmt.Sprintf("%s: got %s, want at least %d", name, plural(n, "argument"), sig.least))
	case sig.most >= 0 && n > sig.most:
		a.fails(namePos(e.Fn), "", fmt.Sprintf("%s: got %s, want at most %d", name, plural(n, "argument"), sig.most))
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// signature is what a function of the language takes; most is -1 if any number.
type signature struct {
	least, most int
	names       []string
	rest        bool // takes any keywords
}

// signatures of the language's functions.
var signatures = map[string]signature{
	"abs": {1, 1, []string{"x"}, false}, "all": {1, 1, nil, false}, "any": {1, 1, nil, false}, "bool": {0, 1, nil, false},
	"bytes": {1, 1, nil, false}, "chr": {1, 1, nil, false}, "dict": {0, 1, nil, true}, "dir": {1, 1, nil, false},
	"enumerate": {1, 2, nil, false}, "float": {0, 1, nil, false}, "getattr": {2, 3, nil, false}, "hasattr": {2, 2, nil, false},
	"hash": {1, 1, nil, false}, "int": {1, 2, []string{"x", "base"}, false}, "len": {1, 1, nil, false}, "list": {0, 1, nil, false},
	"max": {1, -1, []string{"", "key"}, false}, "min": {1, -1, []string{"", "key"}, false}, "ord": {1, 1, nil, false},
	"range": {1, 3, nil, false}, "repr": {1, 1, nil, false}, "reversed": {1, 1, nil, false}, "set": {0, 1, nil, false},
	"sorted": {1, 3, []string{"iterable", "key", "reverse"}, false}, "str": {1, 1, nil, false}, "tuple": {0, 1, nil, false},
	"type": {1, 1, nil, false}, "zip": {0, -1, nil, false}, "struct": {0, 0, nil, true},
	"print": {0, -1, []string{"sep"}, false}, "fail": {0, -1, []string{"sep"}, false},
}

// ownCall checks a call of a function of the same file.
func (a *analysis) ownCall(e *syntax.CallExpr, name string, params []syntax.Expr) {
	p := paramsOf(params)
	given := map[string]bool{}
	positional := 0
	for _, arg := range arguments(e) {
		switch {
		case arg.spread != 0:
			return // may be anything
		case arg.name == "":
			if positional < len(p.positional) {
				given[p.positional[positional]] = true
			}
			positional++
		case !slices.Contains(p.all, arg.name) && !p.kwargs:
			hint := ""
			if near := runtime.Nearest(arg.name, p.all); near != "" {
				hint = "did you mean " + near + "?"
			}
			a.fails(arg.id.NamePos, hint, fmt.Sprintf("function %s got an unexpected keyword argument %q", name, script.Cut(arg.name, 60)))
			return
		case given[arg.name]:
			a.fails(arg.id.NamePos, "", fmt.Sprintf("function %s got multiple values for parameter %q", name, script.Cut(arg.name, 60)))
			return
		default:
			given[arg.name] = true
		}
	}
	if positional > len(p.positional) && !p.varargs {
		a.fails(namePos(e.Fn), "", fmt.Sprintf("function %s accepts %s (%d given)", name, plural(len(p.positional), "positional argument"), positional))
		return
	}
	var missing []string
	for _, q := range p.required {
		if !given[q] {
			missing = append(missing, q)
		}
	}
	if len(missing) > 0 {
		a.fails(namePos(e.Fn), "", fmt.Sprintf("function %s missing %s (%s)", name, plural(len(missing), "argument"), strings.Join(missing, ", ")))
	}
}

// parameters are those of a function of the script.
type parameters struct {
	all, positional, required []string
	varargs, kwargs           bool
}

func paramsOf(list []syntax.Expr) parameters {
	var p parameters
	named := false
	add := func(name string) {
		p.all = append(p.all, name)
		if !named {
			p.positional = append(p.positional, name)
		}
	}
	for _, e := range list {
		switch e := e.(type) {
		case *syntax.Ident:
			add(e.Name)
			p.required = append(p.required, e.Name)
		case *syntax.BinaryExpr:
			add(e.X.(*syntax.Ident).Name)
		case *syntax.UnaryExpr:
			named = true
			p.varargs = p.varargs || e.Op == syntax.STAR && e.X != nil
			p.kwargs = p.kwargs || e.Op == syntax.STARSTAR
		}
	}
	return p
}
