package star

import (
	"fmt"

	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime/internal/script"
)

// block looks through statements for those that are never reached or do nothing.
func (a *analysis) block(list []syntax.Stmt) {
	for i, s := range list {
		switch s := s.(type) {
		case *syntax.IfStmt:
			a.block(s.True)
			a.block(s.False)
		case *syntax.ForStmt:
			a.block(s.Body)
		case *syntax.WhileStmt:
			a.block(s.Body)
		case *syntax.DefStmt:
			a.block(s.Body)
		case *syntax.ExprStmt:
			a.idle(s)
		case *syntax.AssignStmt:
			if s.Op == syntax.EQ && same(s.LHS, s.RHS) {
				a.lint(syntax.Start(s.LHS), "", "this assigns a value to itself")
			}
		}
		if i+1 < len(list) && a.ends(s) && !isPass(list[i+1]) {
			line := syntax.End(s).Line
			a.lint(syntax.Start(list[i+1]), "", fmt.Sprintf("this is never reached: line %d goes elsewhere", line))
			return
		}
	}
}

func isPass(s syntax.Stmt) bool {
	b, ok := s.(*syntax.BranchStmt)
	return ok && b.Token == syntax.PASS || isDoc(s)
}

// ends tells that what follows a statement is never reached.
func (a *analysis) ends(s syntax.Stmt) bool {
	switch s := s.(type) {
	case *syntax.ReturnStmt:
		return true
	case *syntax.BranchStmt:
		return s.Token != syntax.PASS
	case *syntax.ExprStmt:
		c, ok := unparen(s.X).(*syntax.CallExpr)
		if !ok {
			return false
		}
		name := a.builtin(c.Fn)
		return name == "fail" || name == "abort"
	case *syntax.IfStmt:
		return len(s.False) > 0 && a.blockEnds(s.True) && a.blockEnds(s.False)
	case *syntax.WhileStmt:
		id, ok := unparen(s.Cond).(*syntax.Ident)
		return ok && id.Name == "True" && !breaks(s.Body)
	}
	return false
}

func (a *analysis) blockEnds(list []syntax.Stmt) bool {
	for _, s := range list {
		if a.ends(s) {
			return true
		}
	}
	return false
}

// breaks tells that a loop's body has a break of that loop.
func breaks(list []syntax.Stmt) bool {
	for _, s := range list {
		switch s := s.(type) {
		case *syntax.BranchStmt:
			if s.Token == syntax.BREAK {
				return true
			}
		case *syntax.IfStmt:
			if breaks(s.True) || breaks(s.False) {
				return true
			}
		}
	}
	return false
}

// idle finds statements that compute what nobody gets.
func (a *analysis) idle(s *syntax.ExprStmt) {
	switch e := unparen(s.X).(type) {
	case *syntax.BinaryExpr:
		switch {
		case !pure(e):
		case e.Op == syntax.EQL:
			a.lint(e.OpPos, "an assignment is written with one =", "this compares, and nobody gets the result")
		default:
			a.lint(syntax.Start(e), "", "nobody gets the value of this expression")
		}
	case *syntax.Ident:
		hint := ""
		if v := a.variableOf(e); v != nil && len(v.binds) > 0 && v.binds[0].kind == byDef {
			hint = "a call is written " + e.Name + "(…)"
		}
		a.lint(e.NamePos, hint, "nobody gets the value of "+e.Name)
	}
}

// compared finds comparisons that are always the same.
func (a *analysis) compared(e *syntax.BinaryExpr) {
	switch e.Op {
	case syntax.EQL, syntax.NEQ, syntax.LT, syntax.LE, syntax.GT, syntax.GE, syntax.AND, syntax.OR:
		if !same(e.X, e.Y) {
			return
		}
		if _, lit := unparen(e.X).(*syntax.Literal); !lit {
			a.lint(e.OpPos, "", fmt.Sprintf("both sides of %s are the same", e.Op))
		}
	}
}

// keys finds keys that a written dict has twice.
func (a *analysis) keys(e *syntax.DictExpr) {
	seen := map[any]int32{}
	for _, x := range e.List {
		entry, ok := x.(*syntax.DictEntry)
		if !ok {
			continue
		}
		lit, ok := unparen(entry.Key).(*syntax.Literal)
		if !ok {
			continue
		}
		var key any
		switch v := lit.Value.(type) {
		case string:
			key = fmt.Sprint(lit.Token, " ", v)
		case int64:
			key = v
		default:
			continue
		}
		if line, ok := seen[key]; ok {
			a.fails(lit.TokenPos, fmt.Sprintf("it is in line %d already", line), "duplicate key: "+script.Cut(lit.Raw, 60))
			continue
		}
		seen[key] = lit.TokenPos.Line
	}
}

// same tells that two expressions are written alike and have no effects.
func same(x, y syntax.Expr) bool {
	x, y = unparen(x), unparen(y)
	switch x := x.(type) {
	case *syntax.Ident:
		y, ok := y.(*syntax.Ident)
		return ok && x.Name == y.Name
	case *syntax.Literal:
		y, ok := y.(*syntax.Literal)
		return ok && x.Token == y.Token && x.Raw == y.Raw
	case *syntax.DotExpr:
		y, ok := y.(*syntax.DotExpr)
		return ok && x.Name.Name == y.Name.Name && same(x.X, y.X)
	case *syntax.IndexExpr:
		y, ok := y.(*syntax.IndexExpr)
		return ok && same(x.X, y.X) && same(x.Y, y.Y)
	}
	return false
}

// pure tells that an expression calls nothing and looks at nothing that may
// have to be waited for.
func pure(e syntax.Expr) bool {
	switch e := unparen(e).(type) {
	case *syntax.Ident, *syntax.Literal:
		return true
	case *syntax.BinaryExpr:
		return pure(e.X) && pure(e.Y)
	case *syntax.UnaryExpr:
		return e.X != nil && pure(e.X)
	case *syntax.DotExpr:
		return pure(e.X)
	}
	return false
}
