package lua

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yuin/gopher-lua/ast"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// This file is what the linter looks for in single statements and expressions.

func first(list []ast.Expr) ast.Expr {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// terminates tells that nothing after a statement of the same block is reached.
func (a *linter) terminates(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ReturnStmt, *ast.BreakStmt, *ast.GotoStmt:
		return true
	case *ast.FuncCallStmt:
		name := a.builtin(s.Expr)
		return name == "error" || name == "fail" || name == "abort"
	case *ast.DoBlockStmt:
		return a.ends(s.Stmts)
	case *ast.IfStmt:
		return len(s.Else) > 0 && a.ends(s.Then) && a.ends(s.Else)
	case *ast.WhileStmt:
		_, always := s.Condition.(*ast.TrueExpr)
		return always && !leaves(s.Stmts, false)
	case *ast.RepeatStmt:
		return a.ends(s.Stmts) && !leaves(s.Stmts, false)
	}
	return false
}

func (a *linter) ends(block []ast.Stmt) bool {
	for _, s := range block {
		if _, ok := s.(*ast.LabelStmt); ok {
			return false // a goto may come here
		}
	}
	return len(block) > 0 && a.terminates(block[len(block)-1])
}

// leaves tells whether a break or goto leads out of a loop with that body. The
// breaks of loops inside it are their own.
func leaves(block []ast.Stmt, inside bool) bool {
	return slices.ContainsFunc(block, func(s ast.Stmt) bool {
		switch s := s.(type) {
		case *ast.BreakStmt:
			return !inside
		case *ast.GotoStmt:
			return true
		case *ast.DoBlockStmt:
			return leaves(s.Stmts, inside)
		case *ast.IfStmt:
			return leaves(s.Then, inside) || leaves(s.Else, inside)
		case *ast.WhileStmt:
			return leaves(s.Stmts, true)
		case *ast.RepeatStmt:
			return leaves(s.Stmts, true)
		case *ast.NumberForStmt:
			return leaves(s.Stmts, true)
		case *ast.GenericForStmt:
			return leaves(s.Stmts, true)
		}
		return false
	})
}

// same tells that two expressions are one, and that looking twice at it finds
// the same.
func same(x, y ast.Expr) bool {
	switch x := x.(type) {
	case *ast.IdentExpr:
		y, ok := y.(*ast.IdentExpr)
		return ok && x.Value == y.Value
	case *ast.StringExpr:
		y, ok := y.(*ast.StringExpr)
		return ok && x.Value == y.Value
	case *ast.NumberExpr:
		y, ok := y.(*ast.NumberExpr)
		return ok && x.Value == y.Value
	case *ast.AttrGetExpr:
		y, ok := y.(*ast.AttrGetExpr)
		return ok && same(x.Object, y.Object) && same(x.Key, y.Key)
	case *ast.NilExpr:
		_, ok := y.(*ast.NilExpr)
		return ok
	case *ast.TrueExpr:
		_, ok := y.(*ast.TrueExpr)
		return ok
	case *ast.FalseExpr:
		_, ok := y.(*ast.FalseExpr)
		return ok
	}
	return false
}

// typeNames are what type() returns.
var typeNames = []string{"nil", "boolean", "number", "string", "table", "function", "thread", "event", "result", "secret", "regexp"}

func (a *linter) comparison(e *ast.RelationalOpExpr) {
	equality := e.Operator == "==" || e.Operator == "~="
	if _, isNot := e.Lhs.(*ast.UnaryNotOpExpr); isNot && equality && !boolean(e.Rhs) {
		// Brackets around the whole of it move its place to the bracket.
		if i := a.src.index(e.Lhs.Line()); !a.src.is(i, "(") && a.src.is(i-1, "not") {
			opposite := map[string]string{"==": "~=", "~=": "=="}[e.Operator]
			a.lint(a.src.place(i-1), "not x "+e.Operator+" y compares (not x), which is true or false, with y", "write x "+opposite+" y, or not (x "+e.Operator+" y)")
			return
		}
	}
	// x ~= x is how to tell a number that is none.
	if same(e.Lhs, e.Rhs) && e.Operator != "~=" {
		a.lint(a.at(e), "this is compared with itself", "")
		return
	}
	if equality {
		a.typeName(e.Lhs, e.Rhs)
		a.typeName(e.Rhs, e.Lhs)
		_, table := e.Rhs.(*ast.TableExpr)
		if _, left := e.Lhs.(*ast.TableExpr); table || left {
			a.lint(a.at(e), "a table is equal only to itself, and this one is new", "next(t) == nil tells an empty table")
		}
	}
}

// boolean tells that an expression is a truth value.
func boolean(e ast.Expr) bool {
	switch e.(type) {
	case *ast.TrueExpr, *ast.FalseExpr, *ast.UnaryNotOpExpr, *ast.RelationalOpExpr:
		return true
	}
	return false
}

// typeName finds names that type() never returns.
func (a *linter) typeName(call, name ast.Expr) {
	text, ok := name.(*ast.StringExpr)
	if !ok || a.builtin(call) != "type" || slices.Contains(typeNames, text.Value) {
		return
	}
	hint := "it returns one of " + strings.Join(typeNames, ", ")
	foreign := map[string]string{"str": "string", "int": "number", "float": "number", "bool": "boolean", "dict": "table", "list": "table", "array": "table", "NoneType": "nil", "object": "table"}
	if n := foreign[text.Value]; n != "" {
		hint = "did you mean \"" + n + "\"?"
	} else if n := runtime.Nearest(text.Value, typeNames); n != "" {
		hint = "did you mean \"" + n + "\"?"
	}
	a.lint(a.at(text), fmt.Sprintf("type never returns %q", script.Cut(text.Value, 60)), hint)
}

// table looks for keys that are given twice.
func (a *linter) table(e *ast.TableExpr) {
	seen := map[string]bool{}
	for _, f := range e.Fields {
		name := "function"
		if f.Key != nil {
			a.expr(f.Key)
		}
		if key, ok := f.Key.(*ast.StringExpr); ok {
			name = key.Value
			if seen[name] {
				a.lint(a.at(f.Value), fmt.Sprintf("key %q is given twice: the last one counts", script.Cut(name, 60)), "")
			}
			seen[name] = true
		}
		a.named(f.Value, name)
	}
}

// builtin returns the name of the built-in that an expression calls, or "".
func (a *linter) builtin(e ast.Expr) string {
	call, ok := e.(*ast.FuncCallExpr)
	if !ok || call.Func == nil {
		return ""
	}
	name := dotted(call.Func)
	head, _, _ := strings.Cut(name, ".")
	if name == "" || a.find(head) != nil || a.set[head] > 0 {
		return ""
	}
	return name
}

// pureNames are functions of the language that only compute.
var pureNames = []string{
	"tostring", "tonumber", "type", "select", "unpack", "ipairs", "pairs", "rawget", "rawequal", "getmetatable",
	"table.concat", "table.unpack", "table.maxn", "table.getn",
}

// unusedResult finds calls that do nothing but return something.
func (a *linter) unusedResult(e ast.Expr) {
	name := a.builtin(e)
	pure := slices.Contains(pureNames, name) || stringFunctions[name] != nil || mathFunctions[name] != nil && name != "math.random"
	if !pure && a.lang.host.Library != nil && name != "" {
		b := a.lang.host.Library.Lookup(name)
		pure = b != nil && b.Purity == runtime.Pure && b.Result != "None" && b.Result != "never returns"
	}
	if pure {
		a.lint(a.at(e), "the result of "+name+" is not used", "write local x = "+name+"(…)")
	}
}

func (a *linter) call(e *ast.FuncCallExpr) {
	if e.Func == nil {
		a.expr(e.Receiver)
		a.exprs(e.Args)
		return
	}
	name := a.builtin(e)
	a.ownCall(e)
	a.expr(e.Func)
	if name != "" && a.lang.host.Library != nil {
		if b := a.lang.host.Library.Lookup(name); b != nil {
			n := len(a.calls)
			a.calls = append(a.calls, a.site(e, name, b))
			at := a.at(e.Func)
			if attr, ok := e.Func.(*ast.AttrGetExpr); ok {
				at = a.at(attr.Key)
			}
			// A global of that name may be set further down.
			head, _, _ := strings.Cut(name, ".")
			a.checks = append(a.checks, func() {
				if a.set[head] > 0 {
					a.calls[n].Name = ""
					return
				}
				if b.Purity != runtime.Native { // whose arguments are Lua's own affair
					a.errs = append(a.errs, describe(b, nil).arguments(&a.calls[n], at)...)
				}
			})
		}
	}
	a.exprs(e.Args)
}

// ownCall finds calls of the script's own functions with more arguments than
// they take.
func (a *linter) ownCall(e *ast.FuncCallExpr) {
	id, ok := e.Func.(*ast.IdentExpr)
	n := len(e.Args)
	if !ok || n == 0 {
		return
	}
	pos := a.at(e.Args[n-1])
	check := func(fn *function) {
		if fn == nil || fn.vararg || n <= fn.params || several(e.Args[n-1]) && n == fn.params+1 {
			return
		}
		a.lint(pos, fmt.Sprintf("%s takes %s, and this is argument %d", script.Cut(id.Value, 60), count(fn.params, "argument"), n), "it is thrown away")
	}
	if v := a.find(id.Value); v != nil {
		a.checks = append(a.checks, func() { check(v.fn) })
		return
	}
	a.checks = append(a.checks, func() {
		if a.set[id.Value] == 1 {
			check(a.functions[id.Value])
		}
	})
}

// several tells that an expression may be any number of values.
func several(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Comma3Expr:
		return !e.AdjustRet
	case *ast.FuncCallExpr:
		return !e.AdjustRet
	}
	return false
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
