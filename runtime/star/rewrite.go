package star

import (
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

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
	// module returns the built-in module of a predeclared name, or nil.
	module func(name string) *namespace
	// bare leaves out the guards that bound what is made (NewUnguarded).
	bare bool
	// cover counts the lines that are run, or is nil.
	cover *liner

	nodes int
	elifs int
	bound map[string]bool // names that the file gives a meaning of its own
	errs  []*runtime.Error
}

// file rewrites a file, unless there is something wrong with it (errs).
func (r *rewriter) file(f *syntax.File) bool {
	r.survey(f)
	if len(r.errs) > 0 {
		return false
	}
	r.stmts(&f.Stmts)
	return true
}

// stmts rewrites statements; some become several.
func (r *rewriter) stmts(list *[]syntax.Stmt) {
	in, out := *list, []syntax.Stmt(nil)
	for i, s := range in {
		count := r.cover.stmt(s)
		before := append(count, r.stmt(s)...)
		if before != nil && out == nil {
			out = append(make([]syntax.Stmt, 0, len(in)+len(before)), in[:i]...)
		}
		if out != nil {
			out = append(append(out, before...), s)
		}
	}
	if out != nil {
		*list = out
	}
}

// stmt rewrites a statement and returns what has to come before it.
func (r *rewriter) stmt(s syntax.Stmt) (before []syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.ExprStmt:
		r.expr(&s.X)
	case *syntax.IfStmt:
		r.expr(&s.Cond)
		r.stmts(&s.True)
		r.stmts(&s.False)
	case *syntax.AssignStmt:
		return r.assign(s)
	case *syntax.DefStmt:
		r.params(s.Params)
		r.stmts(&s.Body)
		r.checkRest(s)
	case *syntax.ForStmt:
		r.target(s.Vars)
		r.expr(&s.X)
		r.stmts(&s.Body)
	case *syntax.WhileStmt:
		r.expr(&s.Cond)
		r.stmts(&s.Body)
	case *syntax.ReturnStmt:
		if s.Result != nil {
			r.expr(&s.Result)
		}
	}
	return nil
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
		if !r.bare && !isLiteral(e.Y) {
			e.X = guardCall("$at", e.Lbrack, e.X)
		}
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
		if !r.bare {
			*p = tupleGuard(e)
		}
	case *syntax.DictExpr:
		r.exprs(e.List)
		if !r.bare && len(e.List) > maxDisplay {
			*p = guardCall("$dict1", e.Lbrace, pairs(e.List))
		}
	case *syntax.DictEntry:
		r.expr(&e.Key)
		r.expr(&e.Value)
	case *syntax.CondExpr:
		r.deferred(&e.True)
		r.expr(&e.Cond)
		r.deferred(&e.False)
	case *syntax.IndexExpr:
		r.expr(&e.X)
		r.expr(&e.Y)
	case *syntax.SliceExpr:
		r.expr(&e.X)
		r.expr(&e.Lo)
		r.expr(&e.Hi)
		r.expr(&e.Step)
		if r.bare {
			return
		}
		*p = guardCall("$slice", e.Lbrack, e.X, orNone(e.Lo, e.Lbrack), orNone(e.Hi, e.Lbrack), orNone(e.Step, e.Lbrack))
	case *syntax.Comprehension:
		*p = r.comprehension(e)
	case *syntax.LambdaExpr:
		r.params(e.Params)
		r.deferred(&e.Body)
		if rest := restOf(e.Params); rest != nil && !r.bare {
			e.Body = guardCall("$args", syntax.Start(e.Body), ident(rest.Name, rest.NamePos), e.Body)
		}
	case *syntax.UnaryExpr:
		r.expr(&e.X)
	case *syntax.DotExpr:
		r.expr(&e.X)
		e.Dot = e.Name.NamePos
		if r.guardsName(e) {
			*p = guardCall("$attr", e.Dot, e.X, &syntax.Literal{Token: syntax.STRING, TokenPos: e.Dot, Value: e.Name.Name})
		}
	case *syntax.CallExpr:
		r.call(e)
	case *syntax.BinaryExpr:
		r.binary(p, e)
	}
}

func (r *rewriter) binary(p *syntax.Expr, e *syntax.BinaryExpr) {
	r.expr(&e.X)
	if e.Op == syntax.AND || e.Op == syntax.OR {
		r.deferred(&e.Y)
		return
	}
	if t, ok := unparen(e.Y).(*syntax.TupleExpr); ok && (e.Op == syntax.PERCENT || e.Op == syntax.IN || e.Op == syntax.NOT_IN) {
		r.exprs(t.List) // nobody keeps the tuple
	} else {
		r.expr(&e.Y)
	}
	if name := r.guardOf(e); name != "" {
		*p = guardCall(name, e.OpPos, e.X, e.Y)
	}
}

// deferred rewrites an expression that may be run less often, or more often,
// than the statement that it is in.
func (r *rewriter) deferred(p *syntax.Expr) {
	wrap := r.cover.expr(*p)
	r.expr(p)
	*p = wrap(*p)
}

func (r *rewriter) comprehension(e *syntax.Comprehension) syntax.Expr {
	if entry, ok := e.Body.(*syntax.DictEntry); ok {
		r.deferred(&entry.Key)
		r.expr(&entry.Value)
	} else {
		r.deferred(&e.Body)
	}
	for _, c := range e.Clauses {
		switch c := c.(type) {
		case *syntax.ForClause:
			r.target(c.Vars)
			r.expr(&c.X)
		case *syntax.IfClause:
			r.deferred(&c.Cond)
		}
	}
	if entry, ok := e.Body.(*syntax.DictEntry); ok && !r.bare {
		e.Body = &syntax.TupleExpr{Lparen: entry.Colon, List: []syntax.Expr{entry.Key, entry.Value}, Rparen: entry.Colon}
		e.Curly = false
		return guardCall("$dict", entry.Colon, e)
	}
	return e
}

// call visits a call. Arguments name=value keep their shape.
func (r *rewriter) call(e *syntax.CallExpr) {
	var receiver syntax.Expr
	switch fn := e.Fn.(type) {
	case *syntax.Ident:
		e.Lparen = fn.NamePos
	case *syntax.DotExpr:
		e.Lparen = fn.Name.NamePos
		if r.guardsName(fn) && len(e.Args) < maxArgs {
			r.expr(&fn.X)
			receiver = fn.X
			e.Fn = ident("$."+fn.Name.Name, fn.Name.NamePos)
		}
	}
	r.expr(&e.Fn)
	if root := rootOf(e.Fn); root != nil && r.registers(dottedName(e.Fn)) {
		r.calls[position(e.Lparen)] = &callSite{start: root.NamePos, args: append([]syntax.Expr(nil), e.Args...)}
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
				if !r.bare {
					a.X = guardCall("$"+a.Op.String()+"args", a.OpPos, a.X)
				}
				continue
			}
		}
		r.expr(&e.Args[i])
	}
	if receiver != nil {
		e.Args = append([]syntax.Expr{receiver}, e.Args...)
	}
}

// maxDots bounds the dots in the name of a built-in. A chain of thousands of
// names is looked at once at each of its dots, and must not be walked each time.
const maxDots = 4

// rootOf returns the name that a chain a.b.c of few dots begins with, or nil.
func rootOf(e syntax.Expr) *syntax.Ident {
	for range maxDots + 1 {
		switch x := e.(type) {
		case *syntax.Ident:
			return x
		case *syntax.DotExpr:
			e = x.X
		default:
			return nil
		}
	}
	return nil
}

// dottedName returns "a.b.c" for an expression of that form, else "".
func dottedName(e syntax.Expr) string {
	if rootOf(e) == nil {
		return ""
	}
	name := ""
	for {
		switch x := e.(type) {
		case *syntax.Ident:
			return x.Name + name
		case *syntax.DotExpr:
			e, name = x.X, "."+x.Name.Name+name
		}
	}
}
