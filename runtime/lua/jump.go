package lua

import "github.com/yuin/gopher-lua/ast"

// The interpreter's compiler shortens jumps to jumps in one pass from the
// first instruction to the last. Where a jump goes back to one that it has been
// at already, it takes a distance for a label, and the loop goes on somewhere
// else. So nothing that is jumped back to may begin with a jump: loops and
// labels whose first statement would are given one before it, and conditions
// that the text decides are decided.

// landing returns the statements of a loop so that they do not begin with a jump.
func landing(stmts []ast.Stmt) []ast.Stmt {
	if len(stmts) == 0 || !startsWithJump(stmts) {
		return stmts
	}
	return append([]ast.Stmt{pad(stmts[0].Line())}, stmts...)
}

// pad is a statement that does nothing, in one instruction that is no jump.
func pad(line int) ast.Stmt {
	yes := &ast.TrueExpr{}
	yes.SetLine(line)
	set := &ast.LocalAssignStmt{Names: []string{"$pad"}, Exprs: []ast.Expr{yes}}
	set.SetLine(line)
	block := &ast.DoBlockStmt{Stmts: []ast.Stmt{set}}
	block.SetLine(line)
	return block
}

// startsWithJump tells whether statements may begin with a jump.
func startsWithJump(stmts []ast.Stmt) bool {
	if len(stmts) == 0 {
		return true // what comes then is not known
	}
	switch s := stmts[0].(type) {
	case *ast.BreakStmt, *ast.GotoStmt:
		return true
	case *ast.LabelStmt:
		return startsWithJump(stmts[1:])
	case *ast.DoBlockStmt:
		return startsWithJump(s.Stmts)
	case *ast.RepeatStmt:
		return startsWithJump(s.Stmts)
	case *ast.WhileStmt:
		return constant(s.Condition)
	case *ast.IfStmt:
		return constant(s.Condition)
	}
	return false
}

// constant tells whether a condition makes no code, or a jump alone.
func constant(e ast.Expr) bool {
	_, known := truth(e)
	return known
}

// truth is what a literal counts as.
func truth(e ast.Expr) (truthy, known bool) {
	switch e.(type) {
	case *ast.FalseExpr, *ast.NilExpr:
		return false, true
	case *ast.TrueExpr, *ast.NumberExpr, *ast.StringExpr:
		return true, true
	}
	return false, false
}

// decide returns what is left of a condition whose left side is a literal: one
// value, as that of `and` and `or` always is.
func decide(e *ast.LogicalOpExpr) ast.Expr {
	left, known := truth(e.Lhs)
	switch {
	case !known:
		return e
	case left == (e.Operator == "or"):
		return e.Lhs
	}
	switch rhs := e.Rhs.(type) {
	case *ast.FuncCallExpr:
		rhs.AdjustRet = true
	case *ast.Comma3Expr:
		rhs.AdjustRet = true
	}
	return e.Rhs
}
