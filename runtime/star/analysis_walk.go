package star

import (
	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

// stmts walks statements in the order in which they are run. sure tells that
// they are run whenever their function is.
func (a *analysis) stmts(list []syntax.Stmt, sure bool) {
	for _, s := range list {
		a.stmt(s, sure)
	}
}

func (a *analysis) stmt(s syntax.Stmt, sure bool) {
	switch s := s.(type) {
	case *syntax.ExprStmt:
		a.expr(s.X)
	case *syntax.IfStmt:
		a.expr(s.Cond)
		a.stmts(s.True, false)
		a.stmts(s.False, false)
	case *syntax.AssignStmt:
		if s.Op != syntax.EQ {
			if id, ok := unparen(s.LHS).(*syntax.Ident); ok {
				a.use(id, use{augment: true})
				a.expr(s.RHS)
				a.bind(id, bind{kind: byAugment, sure: sure})
				return
			}
		}
		a.expr(s.RHS)
		a.target(s.LHS, bind{kind: byAssign, value: s.RHS, sure: sure})
	case *syntax.DefStmt:
		a.def(s, sure)
	case *syntax.ForStmt:
		a.expr(s.X)
		a.inLoop(s, func() {
			a.target(s.Vars, bind{kind: byUnpack})
			a.stmts(s.Body, false)
		})
	case *syntax.WhileStmt:
		a.inLoop(s, func() {
			a.expr(s.Cond)
			a.stmts(s.Body, false)
		})
	case *syntax.ReturnStmt:
		a.expr(s.Result)
	case *syntax.LoadStmt:
		for _, id := range s.To {
			a.bind(id, bind{kind: byLoad, sure: true})
		}
	}
}

func (a *analysis) inLoop(loop syntax.Node, f func()) {
	before := a.loop
	if before == nil {
		a.loop = loop
	}
	f()
	a.loop = before
}

func (a *analysis) def(s *syntax.DefStmt, sure bool) {
	a.defaults(s.Params)
	fn := &function{name: s.Name.Name, outer: a.fn, params: s.Params}
	a.bind(s.Name, bind{kind: byDef, def: fn, sure: sure})
	fn.variable = a.variableOf(s.Name)
	a.inside(fn, func() { a.stmts(s.Body, true) })
}

func (a *analysis) inside(fn *function, f func()) {
	outer, loop := a.fn, a.loop
	a.fn, a.loop = fn, nil
	for _, p := range fn.params {
		switch p := p.(type) {
		case *syntax.Ident:
			a.bind(p, bind{kind: byParam, sure: true})
		case *syntax.BinaryExpr:
			a.bind(p.X.(*syntax.Ident), bind{kind: byParam, sure: true})
		case *syntax.UnaryExpr:
			if id, ok := p.X.(*syntax.Ident); ok {
				a.bind(id, bind{kind: byParam, sure: true})
			}
		}
	}
	f()
	a.fn, a.loop = outer, loop
}

func (a *analysis) defaults(params []syntax.Expr) {
	for _, p := range params {
		if b, ok := p.(*syntax.BinaryExpr); ok {
			a.expr(b.Y)
		}
	}
}

// target walks the left side of an assignment.
func (a *analysis) target(e syntax.Expr, b bind) {
	switch e := e.(type) {
	case *syntax.Ident:
		a.bind(e, b)
	case *syntax.ParenExpr:
		a.target(e.X, b)
	case *syntax.TupleExpr:
		for _, x := range e.List {
			a.target(x, bind{kind: byUnpack, sure: b.sure})
		}
	case *syntax.ListExpr:
		for _, x := range e.List {
			a.target(x, bind{kind: byUnpack, sure: b.sure})
		}
	case *syntax.IndexExpr:
		a.expr(e.X)
		a.expr(e.Y)
		a.changes(e.X, syntax.Start(e), "assigns to an element")
	case *syntax.DotExpr:
		a.expr(e.X)
	}
}

// changes notes that a value is changed in place.
func (a *analysis) changes(e syntax.Expr, pos syntax.Position, how string) {
	for {
		ix, ok := unparen(e).(*syntax.IndexExpr)
		if !ok {
			break
		}
		e = ix.X
	}
	if id, ok := unparen(e).(*syntax.Ident); ok {
		a.frozen = append(a.frozen, change{id: id, pos: pos, how: how, fn: a.fn})
	}
}

func (a *analysis) bind(id *syntax.Ident, b bind) {
	res, ok := id.Binding.(*resolve.Binding)
	if !ok || res.First == nil {
		return
	}
	v := a.variable(res)
	if len(v.binds) == 0 {
		v.fn = a.fn
	}
	b.id, b.fn, b.loop = id, a.fn, a.loop
	v.binds = append(v.binds, b)
}

func (a *analysis) variable(res *resolve.Binding) *variable {
	v := a.vars[res.First]
	if v == nil {
		v = &variable{name: res.First.Name, fn: a.fn}
		a.vars[res.First] = v
		a.order = append(a.order, v)
	}
	return v
}

func (a *analysis) use(id *syntax.Ident, u use) {
	res, ok := id.Binding.(*resolve.Binding)
	if !ok || res.First == nil {
		return
	}
	u.id, u.fn, u.loop = id, a.fn, a.loop
	v := a.variable(res)
	v.uses = append(v.uses, u)
}

func (a *analysis) exprs(list []syntax.Expr) {
	for _, e := range list {
		a.expr(e)
	}
}

func (a *analysis) expr(e syntax.Expr) {
	switch e := e.(type) {
	case *syntax.Ident:
		a.use(e, use{})
	case *syntax.ParenExpr:
		a.expr(e.X)
	case *syntax.ListExpr:
		a.exprs(e.List)
	case *syntax.TupleExpr:
		a.exprs(e.List)
	case *syntax.DictExpr:
		a.exprs(e.List)
		a.keys(e)
	case *syntax.DictEntry:
		a.expr(e.Key)
		a.expr(e.Value)
	case *syntax.CondExpr:
		a.expr(e.Cond)
		a.expr(e.True)
		a.expr(e.False)
	case *syntax.IndexExpr:
		a.expr(e.X)
		a.expr(e.Y)
	case *syntax.SliceExpr:
		a.exprs([]syntax.Expr{e.X, e.Lo, e.Hi, e.Step})
	case *syntax.Comprehension:
		a.comprehension(e)
	case *syntax.LambdaExpr:
		a.defaults(e.Params)
		a.inside(&function{name: "lambda", outer: a.fn, params: e.Params}, func() { a.expr(e.Body) })
	case *syntax.UnaryExpr:
		a.expr(e.X)
	case *syntax.DotExpr:
		a.expr(e.X)
	case *syntax.CallExpr:
		a.callExpr(e)
	case *syntax.BinaryExpr:
		a.expr(e.X)
		a.expr(e.Y)
		a.compared(e)
		if e.Op == syntax.PERCENT {
			a.percent(e)
		}
	}
}

func (a *analysis) comprehension(e *syntax.Comprehension) {
	a.inLoop(e, func() {
		for _, c := range e.Clauses {
			switch c := c.(type) {
			case *syntax.ForClause:
				a.expr(c.X)
				a.target(c.Vars, bind{kind: byUnpack})
			case *syntax.IfClause:
				a.expr(c.Cond)
			}
		}
		a.expr(e.Body)
	})
}

// changing are the methods that change what they are called on.
var changing = map[string]bool{
	"append": true, "extend": true, "insert": true, "remove": true, "pop": true, "clear": true, "popitem": true,
	"setdefault": true, "update": true, "add": true, "discard": true,
}

func (a *analysis) callExpr(e *syntax.CallExpr) {
	switch fn := e.Fn.(type) {
	case *syntax.Ident:
		a.use(fn, use{calls: true})
	case *syntax.DotExpr:
		a.expr(fn.X)
		if changing[fn.Name.Name] {
			a.changes(fn.X, fn.Name.NamePos, "calls ."+fn.Name.Name)
		}
	default:
		a.expr(e.Fn)
	}
	b := a.declared(e.Fn)
	registers := b != nil && b.Purity == runtime.Register
	for _, arg := range e.Args {
		switch x := arg.(type) {
		case *syntax.BinaryExpr:
			if x.Op == syntax.EQ {
				arg = x.Y
			}
		case *syntax.UnaryExpr:
			if x.Op == syntax.STAR || x.Op == syntax.STARSTAR {
				arg = x.X
			}
		}
		if id, ok := arg.(*syntax.Ident); ok {
			a.use(id, use{registers: registers})
			continue
		}
		a.expr(arg)
	}
	a.calls = append(a.calls, call{expr: e, fn: a.fn})
}
