package star

import (
	"fmt"
	"maps"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// liner puts a call that counts before each statement, and before each
// expression that stands on a line of its own and is run less or more often
// than its statement: bodies and conditions of comprehensions, bodies of
// lambdas, branches of conditional expressions, right sides of "and" and "or".
// A line is counted once for its first statement, however many are on it; the
// line of a loop once for the loop. A nil liner does nothing.
type liner struct {
	name  string // of the function that counts
	last  int32  // the line that was counted last
	lines []int
	slots []*syntax.Literal // the arguments of the calls, by the index of lines
}

// stmt returns the call that goes before a statement, or nil.
func (l *liner) stmt(s syntax.Stmt) []syntax.Stmt {
	if l == nil || isDoc(s) {
		return nil
	}
	pos := syntax.Start(s)
	if pos.Line == l.last {
		return nil
	}
	return []syntax.Stmt{&syntax.ExprStmt{X: l.call(pos)}}
}

// isDoc tells that a statement is a text that nobody uses, as doc comments are.
func isDoc(s syntax.Stmt) bool {
	e, ok := s.(*syntax.ExprStmt)
	if !ok {
		return false
	}
	lit, ok := e.X.(*syntax.Literal)
	return ok && lit.Token == syntax.STRING
}

// expr returns what makes of the rewritten expression one that is counted.
func (l *liner) expr(e syntax.Expr) func(syntax.Expr) syntax.Expr {
	same := func(e syntax.Expr) syntax.Expr { return e }
	if l == nil {
		return same
	}
	pos := syntax.Start(e)
	if pos.Line == l.last {
		return same
	}
	count := l.call(pos) // which returns None
	return func(e syntax.Expr) syntax.Expr {
		return &syntax.ParenExpr{Lparen: pos, X: &syntax.BinaryExpr{X: count, OpPos: pos, Op: syntax.OR, Y: e}, Rparen: pos}
	}
}

func (l *liner) call(pos syntax.Position) syntax.Expr {
	l.last = pos.Line
	slot := &syntax.Literal{Token: syntax.INT, TokenPos: pos, Value: int64(0)}
	l.lines, l.slots = append(l.lines, int(pos.Line)), append(l.slots, slot)
	return guardCall(l.name, pos, slot)
}

// newLiner returns the liner of a file, or nil if nobody wants to know.
func (ld *loader) newLiner() *liner {
	if ld.lang.host.Cover == nil {
		return nil
	}
	return &liner{name: fmt.Sprintf("$cover%d", ld.covered)}
}

// declare makes the function that counts the lines of a file.
func (ld *loader) declare(l *liner, path string) {
	if l == nil {
		return
	}
	if ld.covered == 0 {
		ld.names = maps.Clone(ld.names) // which all modules share
	}
	ld.covered++
	f := ld.lang.host.Cover.Declare(path, l.lines)
	for i, slot := range l.slots {
		slot.Value = int64(f.Slot(l.lines[i]))
	}
	ld.names[l.name] = starlark.NewBuiltin(l.name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		slot, _ := starlark.AsInt32(args[0])
		f.Hit(slot)
		return starlark.None, nil
	})
}
