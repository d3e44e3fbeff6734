package lua

import (
	"errors"
	"slices"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"github.com/starling-rules/starling/runtime"
)

// This file reads calls of built-ins off the text.

// site is a call of the built-in b.
func (a *linter) site(e *ast.FuncCallExpr, name string, b *runtime.Builtin) runtime.CallSite {
	s := runtime.CallSite{Name: name, Pos: a.at(e), End: a.end(e)}
	if n := len(a.names); n > 0 {
		s.Func = a.names[n-1]
	}
	f := describe(b, nil)
	for i, arg := range e.Args {
		last := i == len(e.Args)-1
		pos := a.at(arg)
		switch t := arg.(type) {
		case *ast.TableExpr:
			if last && f.takesOptions(t, i+1) {
				s.Args = append(s.Args, a.options(t)...)
				return s
			}
		case *ast.Comma3Expr:
			s.Args = append(s.Args, runtime.Argument{Spread: last, Value: runtime.Unknown{}, Pos: pos})
			continue
		}
		v := literal(arg)
		if _, unknown := v.(runtime.Unknown); unknown && last {
			// It may be a table of options, or several values.
			if i < len(f.positional) || f.variadic != nil {
				s.Args = append(s.Args, runtime.Argument{Value: v, Pos: pos})
			}
			if _, fn := arg.(*ast.FunctionExpr); !fn {
				s.Args = append(s.Args, runtime.Argument{Value: v, Spread: true, Pos: pos})
			}
			continue
		}
		s.Args = append(s.Args, runtime.Argument{Value: v, Pos: pos})
	}
	return s
}

// takesOptions is bound.options for a table as it is written, the nth argument.
func (f *bound) takesOptions(t *ast.TableExpr, n int) bool {
	if !slices.ContainsFunc(t.Fields, func(q *ast.Field) bool { _, ok := q.Key.(*ast.StringExpr); return !ok }) {
		return f.isOptions(n, len(t.Fields) == 0, func() bool {
			return !slices.ContainsFunc(t.Fields, func(q *ast.Field) bool { return f.Option(q.Key.(*ast.StringExpr).Value) < 0 })
		})
	}
	return false
}

// arguments tells what is wrong with a call as far as that can be read off the
// text, in the words in which the call would fail. at is the place of its name.
func (f *bound) arguments(s *runtime.CallSite, at runtime.Position) (errs runtime.Errors) {
	fail := func(pos runtime.Position, err error) {
		if e, ok := errors.AsType[*runtime.Error](err); ok {
			e.Pos = pos
			errs = append(errs, e)
		}
	}
	if s.Func == "" {
		if err := f.Allowed(true); err != nil {
			fail(at, err)
			return errs
		}
	}
	params := f.Decl.Params
	given := make([]bool, len(params))
	next, positional, tooMany, spread := 0, 0, false, false
	for _, arg := range s.Args {
		i := -1
		switch {
		case arg.Spread:
			spread = true
			continue
		case arg.Name != "":
			if i = f.Option(arg.Name); i < 0 && !f.HasRest {
				fail(arg.Pos, f.UnknownOption(arg.Name))
			} else if i >= 0 && given[i] {
				fail(arg.Pos, f.Twice(arg.Name))
			}
		default:
			positional++
			if next = f.Next(next); next == len(params) {
				tooMany = tooMany || arg.Value != nil
			} else if i = next; !params[i].Variadic {
				next++
			}
		}
		if i < 0 {
			continue
		}
		given[i] = true
		if err := f.literal(&params[i], arg.Value); err != nil {
			fail(arg.Pos, err)
		}
	}
	if tooMany {
		fail(at, f.TooMany(positional, tooManyHint))
	}
	for i := range params {
		if q := &params[i]; !given[i] && !q.Optional && !q.Variadic && !q.Rest && !spread {
			fail(at, f.Missing(q))
			break
		}
	}
	return errs
}

// literal is pass.Convert for a value as it is written.
func (f *bound) literal(q *runtime.Param, v runtime.Value) error {
	switch w := v.(type) {
	case nil:
		if q.Optional || q.Type&runtime.TNone != 0 {
			return nil
		}
		return gotNil(f.Builtin, q)
	case runtime.Unknown:
		return nil
	case string:
		if q.Type&runtime.TBytes != 0 {
			return nil
		}
	case *runtime.Dict:
		if w.Len() == 0 && q.Type&(runtime.TList|runtime.TDict) != 0 {
			return nil // {} is either
		}
	}
	_, err := f.Accept(q, v)
	return err
}

func (a *linter) options(t *ast.TableExpr) []runtime.Argument {
	out := make([]runtime.Argument, 0, len(t.Fields))
	for _, f := range t.Fields {
		out = append(out, runtime.Argument{Name: f.Key.(*ast.StringExpr).Value, Value: literal(f.Value), Pos: a.at(f.Value)})
	}
	return out
}

// end is the place of what closes a call.
func (a *linter) end(e *ast.FuncCallExpr) runtime.Position {
	line := e.Func.Line()
	if at, ok := e.Func.(*ast.AttrGetExpr); ok {
		line = at.Key.Line()
	}
	i := a.src.index(line) + 1
	for a.src.is(i, ")") { // (f)(x)
		i++
	}
	closing := map[string]string{"(": ")", "{": "}"}
	depth := 0
	for ; i < len(a.src.tokens); i++ {
		switch t := a.src.tokens[i].text; {
		case closing[t] != "":
			depth++
		case t == ")" || t == "}":
			depth--
		}
		if depth <= 0 { // or it was one text
			return a.src.place(i)
		}
	}
	return a.src.end()
}

// literal is the value of an expression if that can be read off the text.
func literal(e ast.Expr) runtime.Value {
	switch e := e.(type) {
	case *ast.NilExpr:
		return nil
	case *ast.TrueExpr:
		return true
	case *ast.FalseExpr:
		return false
	case *ast.StringExpr:
		return e.Value
	case *ast.NumberExpr:
		if f, ok := parseNumber(e.Value, 10); ok {
			return number(glua.LNumber(f))
		}
	case *ast.UnaryMinusOpExpr:
		switch n := literal(e.Expr).(type) {
		case int64:
			return -n
		case float64:
			return -n
		}
	case *ast.StringConcatOpExpr:
		x, ok := literal(e.Lhs).(string)
		y, ok2 := literal(e.Rhs).(string)
		if ok && ok2 {
			return x + y
		}
	case *ast.TableExpr:
		return literalTable(e)
	}
	return runtime.Unknown{}
}

func literalTable(e *ast.TableExpr) runtime.Value {
	var list runtime.List
	dict := &runtime.Dict{}
	for _, f := range e.Fields {
		switch key := f.Key.(type) {
		case nil:
			if several(f.Value) {
				return runtime.Unknown{}
			}
			list = append(list, literal(f.Value))
		case *ast.StringExpr:
			dict.Set(key.Value, literal(f.Value))
		default:
			return runtime.Unknown{}
		}
	}
	switch {
	case list != nil && dict.Len() > 0:
		return runtime.Unknown{}
	case list != nil:
		return list
	}
	return dict
}
