package lua

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/yuin/gopher-lua/ast"

	"github.com/starling-rules/starling/runtime"
)

// This file is what the rewriting knows of variables: where names belong, what
// functions close over, and what making such functions costs.

// scope holds the locals of a block.
type scope struct {
	names []string
	depth int // functions around
}

// variable is a local: a name in a scope.
type variable struct {
	name  string
	scope int
}

func (r *rewriter) push() { r.scopes = append(r.scopes, scope{depth: r.depth}) }
func (r *rewriter) pop()  { r.scopes = r.scopes[:len(r.scopes)-1] }
func (r *rewriter) local(name ...string) {
	s := &r.scopes[len(r.scopes)-1]
	s.names = append(s.names, name...)
}

func (r *rewriter) isLocal(name string) bool { return r.scopeOf(name) >= 0 }

// scopeOf returns the scope that a name belongs to; -1 if it is global.
func (r *rewriter) scopeOf(name string) int {
	for i := len(r.scopes) - 1; i >= 0; i-- {
		if slices.Contains(r.scopes[i].names, name) {
			return i
		}
	}
	return -1
}

// touch tells whether a name that is read or set is a local, and notes the
// functions that close over it.
func (r *rewriter) touch(name string) bool {
	i := r.scopeOf(name)
	if i < 0 {
		return false
	}
	for d := r.scopes[i].depth; d < r.depth; d++ {
		r.captures[d][variable{name, i}] = true
	}
	return true
}

// captureCost is what a function costs to make for each variable that it
// closes over, if they are several: the interpreter looks for each among all
// variables that are closed over at the time.
const (
	captureCost = 4
	fewCaptures = 2
)

// payment pays for the making of a function that closes over n variables.
func payment(n, line int, fn ast.Expr) ast.Expr {
	cost := &ast.NumberExpr{Value: strconv.Itoa(captureCost * n)}
	cost.SetLine(line)
	return guard(tabName, line, fn, cost)
}

// paid puts the payment for a function before the statement that makes it.
func (r *rewriter) paid(n, line int) {
	if n <= fewCaptures || r.lang.bare {
		return
	}
	nothing := &ast.NilExpr{}
	nothing.SetLine(line)
	pay := &ast.FuncCallStmt{Expr: payment(n, line, nothing)}
	pay.SetLine(line)
	r.before = append(r.before, pay)
}

// constant counts a constant of the function.
func (r *rewriter) constant(text string, n ast.PositionHolder) {
	set := r.constants[len(r.constants)-1]
	if set[text] = true; len(set) > r.lang.bounds.constants {
		panic(tooMuch{&runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitSource, Pos: r.src.at(n.Line()),
			Msg:  fmt.Sprintf("more than %d different texts, numbers and names in one function", r.lang.bounds.constants),
			Hint: "split it into functions, or into files",
		}})
	}
}
