package star

import (
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

// tokenIn is the operator in.
const tokenIn = syntax.IN

// rewriter changes a syntax tree before its names are resolved: some
// operators become calls of guards, and positions move to where an author
// looks for an error (the name that is called, not the bracket behind it).
// It is the one place where the meaning of source text is changed; each kind
// of node has its line here, so that further guards have a place to go.
type rewriter struct {
	// calls collects the calls that may register a rule, by their position.
	calls map[runtime.Position]*callSite
	// registers tells by their dotted names which these are.
	registers func(name string) bool
}

func (r *rewriter) file(f *syntax.File) { r.stmts(f.Stmts) }

func (r *rewriter) stmts(list []syntax.Stmt) {
	for _, s := range list {
		r.stmt(s)
	}
}

func (r *rewriter) stmt(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.ExprStmt:
		r.expr(&s.X)
	case *syntax.IfStmt:
		r.expr(&s.Cond)
		r.stmts(s.True)
		r.stmts(s.False)
	case *syntax.AssignStmt:
		r.target(s.LHS)
		r.expr(&s.RHS)
	case *syntax.DefStmt:
		r.params(s.Params)
		r.stmts(s.Body)
	case *syntax.ForStmt:
		r.target(s.Vars)
		r.expr(&s.X)
		r.stmts(s.Body)
	case *syntax.WhileStmt:
		r.expr(&s.Cond)
		r.stmts(s.Body)
	case *syntax.ReturnStmt:
		if s.Result != nil {
			r.expr(&s.Result)
		}
	}
}

// target visits the left side of an assignment, which itself must stay.
func (r *rewriter) target(e syntax.Expr) {
	switch e := e.(type) {
	case *syntax.ParenExpr:
		r.target(e.X)
	case *syntax.TupleExpr:
		for _, x := range e.List {
			r.target(x)
		}
	case *syntax.ListExpr:
		for _, x := range e.List {
			r.target(x)
		}
	case *syntax.IndexExpr:
		r.expr(&e.X)
		r.expr(&e.Y)
	case *syntax.DotExpr:
		r.expr(&e.X)
		e.Dot = e.Name.NamePos
	}
}

// params visits the defaults of parameters: name=default.
func (r *rewriter) params(list []syntax.Expr) {
	for _, p := range list {
		if b, ok := p.(*syntax.BinaryExpr); ok {
			r.expr(&b.Y)
		}
	}
}

func (r *rewriter) exprs(list []syntax.Expr) {
	for i := range list {
		r.expr(&list[i])
	}
}

// expr rewrites the expression at *p.
func (r *rewriter) expr(p *syntax.Expr) {
	switch e := (*p).(type) {
	case nil, *syntax.Ident, *syntax.Literal:
	case *syntax.ParenExpr:
		r.expr(&e.X)
	case *syntax.ListExpr:
		r.exprs(e.List)
	case *syntax.TupleExpr:
		r.exprs(e.List)
	case *syntax.DictExpr:
		r.exprs(e.List)
	case *syntax.DictEntry:
		r.expr(&e.Key)
		r.expr(&e.Value)
	case *syntax.CondExpr:
		r.expr(&e.Cond)
		r.expr(&e.True)
		r.expr(&e.False)
	case *syntax.IndexExpr:
		r.expr(&e.X)
		r.expr(&e.Y)
	case *syntax.SliceExpr:
		r.expr(&e.X)
		r.expr(&e.Lo)
		r.expr(&e.Hi)
		r.expr(&e.Step)
	case *syntax.Comprehension:
		r.comprehension(e)
	case *syntax.LambdaExpr:
		r.params(e.Params)
		r.expr(&e.Body)
	case *syntax.UnaryExpr:
		r.expr(&e.X)
	case *syntax.DotExpr:
		r.expr(&e.X)
		e.Dot = e.Name.NamePos
	case *syntax.CallExpr:
		r.call(e)
	case *syntax.BinaryExpr:
		r.expr(&e.X)
		r.expr(&e.Y)
		if name := guardOf(e); name != "" {
			*p = guardCall(name, e)
		}
	}
}

func (r *rewriter) comprehension(e *syntax.Comprehension) {
	r.expr(&e.Body)
	for _, c := range e.Clauses {
		switch c := c.(type) {
		case *syntax.ForClause:
			r.target(c.Vars)
			r.expr(&c.X)
		case *syntax.IfClause:
			r.expr(&c.Cond)
		}
	}
}

// call visits a call. Arguments name=value keep their shape.
func (r *rewriter) call(e *syntax.CallExpr) {
	start := syntax.Start(e.Fn)
	r.expr(&e.Fn)
	switch fn := e.Fn.(type) {
	case *syntax.Ident:
		e.Lparen = fn.NamePos
	case *syntax.DotExpr:
		e.Lparen = fn.Name.NamePos
	}
	if r.registers(dottedName(e.Fn)) {
		r.calls[position(e.Lparen)] = &callSite{start: start, args: append([]syntax.Expr(nil), e.Args...)}
	}
	for i, a := range e.Args {
		switch a := a.(type) {
		case *syntax.BinaryExpr:
			if a.Op == syntax.EQ {
				r.expr(&a.Y)
				continue
			}
		case *syntax.UnaryExpr:
			if a.Op == syntax.STAR || a.Op == syntax.STARSTAR {
				r.expr(&a.X)
				continue
			}
		}
		r.expr(&e.Args[i])
	}
}

// guardOf returns the guard that takes the place of an operator, or "".
//
// Equality needs one because the interpreter never asks two values of
// different types, and a view is another type than the dict it shows. A
// comparison with a literal number or text cannot involve a view, and the
// interpreter's own operator suspends on a pending result; `"x" in y` likewise.
func guardOf(e *syntax.BinaryExpr) string {
	switch e.Op {
	case syntax.EQL, syntax.NEQ:
		if isLiteral(e.X) || isLiteral(e.Y) {
			return ""
		}
		if e.Op == syntax.EQL {
			return "$eq"
		}
		return "$ne"
	case syntax.IN, syntax.NOT_IN:
		if isLiteral(e.X) {
			return ""
		}
		if e.Op == syntax.IN {
			return "$in"
		}
		return "$notin"
	}
	return ""
}

// guardCall is name(x, y) at the position of the operator.
func guardCall(name string, e *syntax.BinaryExpr) *syntax.CallExpr {
	return &syntax.CallExpr{
		Fn:     &syntax.Ident{NamePos: e.OpPos, Name: name},
		Lparen: e.OpPos,
		Args:   []syntax.Expr{e.X, e.Y},
		Rparen: e.OpPos,
	}
}

func isLiteral(e syntax.Expr) bool {
	if p, ok := e.(*syntax.ParenExpr); ok {
		return isLiteral(p.X)
	}
	_, ok := e.(*syntax.Literal)
	return ok
}

// dottedName returns "a.b.c" for an expression of that form, else "".
func dottedName(e syntax.Expr) string {
	switch e := e.(type) {
	case *syntax.Ident:
		return e.Name
	case *syntax.DotExpr:
		if x := dottedName(e.X); x != "" {
			return x + "." + e.Name.Name
		}
	}
	return ""
}
