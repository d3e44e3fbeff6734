package lua

import (
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// The interpreter's compiler writes a value into its variable as soon as it
// has it, if that is a local: a, b = b, a then swaps nothing. And a call whose
// value is for the last parameter of a function is made in the registers
// behind that, where the function's other locals are.

// entangled tells whether an assignment must be taken apart to mean what Lua
// says. Stores into tables alone are compiled well.
func (r *rewriter) entangled(s *ast.AssignStmt) bool {
	tables := true
	for _, lhs := range s.Lhs {
		if _, ok := lhs.(*ast.AttrGetExpr); !ok {
			tables = false
		}
	}
	if tables {
		return false
	}
	if len(s.Lhs) > 1 || len(s.Rhs) > 1 {
		return true
	}
	if id, ok := s.Lhs[0].(*ast.IdentExpr); !ok || id.Value != r.last {
		return false
	}
	switch s.Rhs[0].(type) {
	case *ast.IdentExpr, *ast.NumberExpr, *ast.StringExpr, *ast.NilExpr, *ast.TrueExpr, *ast.FalseExpr, *ast.FunctionExpr:
		return false
	}
	return true
}

// apart evaluates everything that an assignment names, and then sets it.
func apart(s *ast.AssignStmt) ast.Stmt {
	block := &ast.DoBlockStmt{}
	block.SetLine(s.Line())
	hold := func(names []string, exprs []ast.Expr, line int) {
		l := &ast.LocalAssignStmt{Names: names, Exprs: exprs}
		l.SetLine(line)
		block.Stmts = append(block.Stmts, l)
	}
	temp := func(name string, line int) ast.Expr {
		id := &ast.IdentExpr{Value: name}
		id.SetLine(line)
		return id
	}
	names := make([]string, len(s.Lhs))
	for i, lhs := range s.Lhs {
		names[i] = "$v" + strconv.Itoa(i)
		if a, ok := lhs.(*ast.AttrGetExpr); ok {
			object := "$o" + strconv.Itoa(i)
			hold([]string{object}, []ast.Expr{a.Object}, a.Line())
			a.Object = temp(object, a.Line())
			if _, ok := a.Key.(*ast.StringExpr); !ok {
				key := "$k" + strconv.Itoa(i)
				hold([]string{key}, []ast.Expr{a.Key}, a.Line())
				a.Key = temp(key, a.Line())
			}
		}
	}
	hold(names, s.Rhs, s.Line())
	for i, lhs := range s.Lhs {
		set := &ast.AssignStmt{Lhs: []ast.Expr{lhs}, Rhs: []ast.Expr{temp(names[i], lhs.Line())}}
		set.SetLine(lhs.Line())
		block.Stmts = append(block.Stmts, set)
	}
	return block
}

// The compiler sets as many of a loop's three values (function, state, start)
// as the loop has variables, and leaves in the others what happens to be there.

// wobbly tells whether a loop's values must be made beforehand. A single call
// yields all three.
func wobbly(s *ast.GenericForStmt) bool { return len(s.Exprs) != 1 || !several(s.Exprs[0]) }

// steady makes the values of a loop before it.
func steady(s *ast.GenericForStmt) ast.Stmt {
	names := []string{"$f", "$s", "$c"}
	values := &ast.LocalAssignStmt{Names: names, Exprs: s.Exprs}
	values.SetLine(s.Line())
	s.Exprs = nil
	for _, name := range names {
		id := &ast.IdentExpr{Value: name}
		id.SetLine(s.Line())
		s.Exprs = append(s.Exprs, id)
	}
	block := &ast.DoBlockStmt{Stmts: []ast.Stmt{values, s}}
	block.SetLine(s.Line())
	return block
}
