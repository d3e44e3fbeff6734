package star

import (
	"fmt"

	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

// This file is what the rewriting makes of expressions and statements.

const (
	// maxNodes bounds the syntax tree of a file.
	maxNodes = 100_000
	// maxArgs is the interpreter's bound of the arguments of one call.
	maxArgs = 255
	// maxElifs bounds the elifs of a file: the interpreter's compiler takes time
	// that grows with the square of a chain of them, 0.1 s for this many.
	maxElifs = 4000
	// maxDisplay is the size from which the keys of a written dict are watched.
	maxDisplay = 128
)

// survey counts the nodes of a file, notes which names it defines, and refuses
// new meanings for None, True and False, which the rewriting relies on.
func (r *rewriter) survey(f *syntax.File) {
	r.bound = map[string]bool{}
	syntax.Walk(f, func(n syntax.Node) bool {
		if n == nil {
			return false
		}
		if r.nodes++; r.nodes > maxNodes {
			if r.nodes == maxNodes+1 {
				start, _ := n.Span()
				r.errs = append(r.errs, &runtime.Error{
					Kind: runtime.LimitError, Limit: runtime.LimitSource, Pos: position(start),
					Msg: "source of more than 100,000 names, values and operators", Hint: "part the file, or keep the data elsewhere",
				})
			}
			return false
		}
		switch n := n.(type) {
		case *syntax.IfStmt:
			r.checkElif(n)
		case *syntax.Literal:
			if e := checkNumber(n); e != nil {
				r.errs = append(r.errs, e)
			}
		case *syntax.AssignStmt:
			r.bind(n.LHS)
		case *syntax.DefStmt:
			r.bind(n.Name)
			r.bindParams(n.Params)
		case *syntax.LambdaExpr:
			r.bindParams(n.Params)
		case *syntax.ForStmt:
			r.bind(n.Vars)
		case *syntax.ForClause:
			r.bind(n.Vars)
		case *syntax.LoadStmt:
			for _, id := range n.To {
				r.bind(id)
			}
		}
		return true
	})
}

func (r *rewriter) checkElif(s *syntax.IfStmt) {
	if len(s.False) != 1 {
		return
	}
	next, ok := s.False[0].(*syntax.IfStmt)
	if !ok {
		return
	}
	if r.elifs++; r.elifs == maxElifs+1 {
		r.errs = append(r.errs, &runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitSource, Pos: position(next.If),
			Msg: fmt.Sprintf("more than %d elif in a file", maxElifs), Hint: "look the value up in a dict",
		})
	}
}

func (r *rewriter) bindParams(list []syntax.Expr) {
	for _, p := range list {
		switch p := p.(type) {
		case *syntax.BinaryExpr:
			r.bind(p.X)
		case *syntax.UnaryExpr:
			r.bind(p.X)
		default:
			r.bind(p)
		}
	}
}

// bind notes the names in the left side of an assignment.
func (r *rewriter) bind(e syntax.Expr) {
	switch e := e.(type) {
	case *syntax.Ident:
		r.bound[e.Name] = true
		switch e.Name {
		case "None", "True", "False":
			r.errs = append(r.errs, &runtime.Error{
				Kind: runtime.NameError, Pos: position(e.NamePos), Msg: e.Name + " cannot be given another meaning",
			})
		}
	case *syntax.ParenExpr:
		r.bind(e.X)
	case *syntax.TupleExpr:
		for _, x := range e.List {
			r.bind(x)
		}
	case *syntax.ListExpr:
		for _, x := range e.List {
			r.bind(x)
		}
	}
}

// isModule tells whether an expression is certainly a built-in module, whose
// members need no guard.
func (r *rewriter) isModule(e syntax.Expr) bool { return rootOf(e) != nil && r.moduleOf(e) != nil }

func (r *rewriter) moduleOf(e syntax.Expr) *namespace {
	switch e := e.(type) {
	case *syntax.Ident:
		if !r.bound[e.Name] {
			return r.module(e.Name)
		}
	case *syntax.DotExpr:
		if m := r.moduleOf(e.X); m != nil {
			sub, _ := m.members[e.Name.Name].(*namespace) // a constant is none
			return sub
		}
	}
	return nil
}

// guardsName tells whether x.name may be a guarded method.
func (r *rewriter) guardsName(e *syntax.DotExpr) bool {
	return !r.bare && guardedNames[e.Name.Name] && !r.isModule(e.X)
}

// assign rewrites an assignment. x op= y becomes x = $op(x, y); what x is
// computed from is kept in variables if computing it twice would not do.
func (r *rewriter) assign(s *syntax.AssignStmt) (before []syntax.Stmt) {
	if s.Op == syntax.EQ {
		r.assignment(s)
		return nil
	}
	op := s.Op - syntax.PLUS_EQ + syntax.PLUS
	name := "$" + op.String()
	if op == syntax.PLUS || op == syntax.PIPE {
		name += "="
	}
	if _, ok := guards[name]; !ok || r.bare || isNumber(s.RHS) && (op == syntax.PLUS || op == syntax.MINUS) {
		r.target(s.LHS)
		r.expr(&s.RHS)
		return nil
	}
	var value syntax.Expr
	switch lhs := unparen(s.LHS).(type) {
	case *syntax.Ident:
		value = ident(lhs.Name, lhs.NamePos)
	case *syntax.DotExpr:
		before = r.keep(before, &lhs.X, "$x")
		copied := *lhs
		value = &copied
		r.expr(&value)
	case *syntax.IndexExpr:
		before = r.keep(before, &lhs.X, "$x")
		before = r.keep(before, &lhs.Y, "$y")
		copied := *lhs
		value = &copied
		r.expr(&value)
	default:
		return nil // which the resolver refuses
	}
	r.target(s.LHS)
	r.expr(&s.RHS)
	s.Op, s.RHS = syntax.EQ, guardCall(name, s.OpPos, value, s.RHS)
	return before
}

// keep puts an expression into a variable, unless it is a name or a literal.
func (r *rewriter) keep(before []syntax.Stmt, p *syntax.Expr, name string) []syntax.Stmt {
	switch unparen(*p).(type) {
	case *syntax.Ident, *syntax.Literal:
		return before
	}
	pos := syntax.Start(*p)
	s := &syntax.AssignStmt{OpPos: pos, Op: syntax.EQ, LHS: ident(name, pos), RHS: *p}
	r.expr(&s.RHS)
	*p = ident(name, pos)
	return append(before, s)
}

func (r *rewriter) assignment(s *syntax.AssignStmt) {
	r.target(s.LHS)
	switch unparen(s.LHS).(type) {
	case *syntax.TupleExpr, *syntax.ListExpr:
		if t, ok := unparen(s.RHS).(*syntax.TupleExpr); ok {
			r.exprs(t.List) // nobody keeps the tuple
			return
		}
	}
	r.expr(&s.RHS)
}

// checkRest bounds *args when the function is entered.
func (r *rewriter) checkRest(s *syntax.DefStmt) {
	rest := restOf(s.Params)
	if rest == nil || r.bare {
		return
	}
	check := &syntax.ExprStmt{X: guardCall("$args", rest.NamePos, ident(rest.Name, rest.NamePos))}
	s.Body = append([]syntax.Stmt{check}, s.Body...)
}

// restOf returns the name of *args, or nil.
func restOf(params []syntax.Expr) *syntax.Ident {
	for _, p := range params {
		if u, ok := p.(*syntax.UnaryExpr); ok && u.Op == syntax.STAR && u.X != nil {
			id, _ := u.X.(*syntax.Ident)
			return id
		}
	}
	return nil
}

// tupleGuard is the tuple, bounded, if it has parts that may be large.
func tupleGuard(e *syntax.TupleExpr) syntax.Expr {
	literal := true
	for _, x := range e.List {
		literal = literal && isLiteral(x)
	}
	pos := e.Lparen
	switch {
	case len(e.List) == 0, literal && len(e.List) <= maxTree:
		return e
	case !pos.IsValid():
		pos = syntax.Start(e)
	}
	if len(e.List) > 16 {
		return guardCall("$args", pos, e)
	}
	return guardCall("$tuple", pos, e.List...)
}

// pairs is the list of the entries of a written dict.
func pairs(list []syntax.Expr) syntax.Expr {
	out := &syntax.ListExpr{List: make([]syntax.Expr, len(list))}
	for i, e := range list {
		entry := e.(*syntax.DictEntry)
		out.List[i] = &syntax.TupleExpr{Lparen: entry.Colon, List: []syntax.Expr{entry.Key, entry.Value}, Rparen: entry.Colon}
	}
	return out
}

// guardOf returns the guard that takes the place of an operator, or "".
//
// Equality needs one also because the interpreter never asks two values of
// different types, and a view is another type than the dict it shows. A
// comparison with a literal cannot involve a view, costs little, and the
// interpreter's own operator suspends on a pending result.
func (r *rewriter) guardOf(e *syntax.BinaryExpr) string {
	if r.bare && e.Op != syntax.EQL && e.Op != syntax.NEQ && e.Op != syntax.IN && e.Op != syntax.NOT_IN {
		return ""
	}
	switch e.Op {
	case syntax.EQL, syntax.NEQ, syntax.LT, syntax.LE, syntax.GT, syntax.GE:
		if isLiteral(e.X) || isLiteral(e.Y) {
			return ""
		}
	case syntax.PLUS, syntax.MINUS:
		if isNumber(e.X) || isNumber(e.Y) || isWritten(e.X) && isWritten(e.Y) {
			return ""
		}
	case syntax.PERCENT:
		if isNumber(e.X) || isNumber(e.Y) {
			return ""
		}
	case syntax.STAR, syntax.LTLT, syntax.AMP, syntax.CIRCUMFLEX, syntax.PIPE, syntax.IN, syntax.NOT_IN:
	default:
		return ""
	}
	return "$" + e.Op.String()
}

// guardCall is name(args) at a position.
func guardCall(name string, pos syntax.Position, args ...syntax.Expr) syntax.Expr {
	return &syntax.CallExpr{Fn: ident(name, pos), Lparen: pos, Args: args, Rparen: pos}
}

func ident(name string, pos syntax.Position) *syntax.Ident {
	return &syntax.Ident{NamePos: pos, Name: name}
}

func orNone(e syntax.Expr, pos syntax.Position) syntax.Expr {
	if e == nil {
		return ident("None", pos)
	}
	return e
}

func unparen(e syntax.Expr) syntax.Expr {
	for {
		p, ok := e.(*syntax.ParenExpr)
		if !ok {
			return e
		}
		e = p.X
	}
}

// isLiteral tells that a value is a number, a text, None, True or False.
func isLiteral(e syntax.Expr) bool {
	switch e := unparen(e).(type) {
	case *syntax.Literal:
		return true
	case *syntax.Ident:
		return e.Name == "None" || e.Name == "True" || e.Name == "False"
	}
	return false
}

func isNumber(e syntax.Expr) bool {
	l, ok := unparen(e).(*syntax.Literal)
	return ok && (l.Token == syntax.INT || l.Token == syntax.FLOAT)
}

// isWritten tells that a text or list is written out, so that it is as large
// as its source.
func isWritten(e syntax.Expr) bool {
	switch e := unparen(e).(type) {
	case *syntax.Literal, *syntax.ListExpr:
		return true
	case *syntax.BinaryExpr:
		return e.Op == syntax.PLUS && isWritten(e.X) && isWritten(e.Y)
	}
	return false
}

// checkNumber refuses an int that is larger than any computation may make.
func checkNumber(l *syntax.Literal) *runtime.Error {
	if n, ok := l.Value.(interface{ BitLen() int }); ok && n.BitLen() > maxBits {
		return &runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitSource, Pos: position(l.TokenPos),
			Msg: fmt.Sprintf("int larger than %d bits", maxBits),
		}
	}
	return nil
}
