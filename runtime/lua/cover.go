package lua

import (
	"strconv"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"github.com/starling-rules/starling/runtime"
)

// liner puts a call that counts before each statement that is the first on its
// line, and before the condition of until where that has a line of its own.
type liner struct {
	src   *source
	last  int
	lines []int // by the argument of the calls
}

// call counts a line, unless it is the one that was counted last.
func (l *liner) call(n ast.PositionHolder) ast.Expr {
	line := l.src.at(n.Line()).Line
	if line == l.last {
		return nil
	}
	l.last = line
	slot := &ast.NumberExpr{Value: strconv.Itoa(len(l.lines))}
	slot.SetLine(n.Line())
	l.lines = append(l.lines, line)
	return guard(covName, n.Line(), slot)
}

// stmt returns what goes before a statement.
func (l *liner) stmt(s ast.Stmt) []ast.Stmt {
	if _, ok := s.(*ast.LabelStmt); ok {
		return nil
	}
	e := l.call(s)
	if e == nil {
		return nil
	}
	c := &ast.FuncCallStmt{Expr: e}
	c.SetLine(s.Line())
	return []ast.Stmt{c}
}

// expr returns what makes of the rewritten expression one that is counted. A
// nil liner counts nothing.
func (l *liner) expr(e ast.Expr) func(ast.Expr) ast.Expr {
	if l == nil {
		return func(e ast.Expr) ast.Expr { return e }
	}
	line := e.Line()
	c := l.call(e)
	return func(e ast.Expr) ast.Expr {
		if c == nil {
			return e
		}
		or := &ast.LogicalOpExpr{Operator: "or", Lhs: c, Rhs: e} // the call returns nil
		or.SetLine(line)
		return or
	}
}

// counter declares the lines of a file and returns the function that counts them.
func (l *liner) counter(c *runtime.Coverage) *glua.LFunction {
	f := c.Declare(l.src.path, l.lines)
	slots := make([]int, len(l.lines))
	for i, line := range l.lines {
		slots[i] = f.Slot(line)
	}
	return goFunction(func(L *glua.LState) int {
		n, _ := L.Get(1).(glua.LNumber)
		f.Hit(slots[int(n)])
		return 0
	})
}
