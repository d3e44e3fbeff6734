package lua

import (
	"fmt"
	"strings"

	"github.com/yuin/gopher-lua/ast"

	"github.com/starling-rules/starling/runtime"
)

// The locals that the rewriting brings in. No script can type their names.
const (
	catName = "$cat"
	tabName = "$tab"
	keyName = "$key"
	covName = "$cov"
)

// maxJoined is how many operands one call of $cat has: each needs a register.
const maxJoined = 40

// rewriter changes a syntax tree before it is compiled, and checks its names:
// .. and table constructors become calls of guards; positions move to where an
// author looks for an error (the name that is called, the operator).
type rewriter struct {
	src   *source
	lang  *Language
	errs  runtime.Errors
	calls map[int]*callSite // by the parser's line of the call
	names map[int]string    // functions by the parser's line

	requires []*requirement
	scopes   []scope
	captures []map[variable]bool // of the functions around, of each others' variables
	// constants are the texts, numbers and names of the function and of those around it.
	constants []map[string]bool
	before    []ast.Stmt // what goes before the statement that is being rewritten
	depth     int        // functions around
	last      string     // the last parameter of the innermost
	nesting   int
	nodes     int
	assigned  map[string]bool // globals that the file sets
	uses      []use           // globals that it reads
	lines     *liner          // counts the lines that are run, or nil
	// tops are the locals of the top level, by where they were made first.
	tops map[string]runtime.Position
}

// requirement is a call of require with a literal name.
type requirement struct {
	arg *ast.StringExpr
	pos runtime.Position
}

// use is a global name where it is read.
type use struct {
	name string
	line int
}

// tooMuch ends the rewriting of a file that exceeds a bound.
type tooMuch struct{ err *runtime.Error }

// file rewrites a chunk.
func (r *rewriter) file(chunk []ast.Stmt) (out []ast.Stmt) {
	defer func() {
		if e, ok := recover().(tooMuch); ok {
			r.errs = append(r.errs, e.err)
		}
	}()
	r.constants = append(r.constants, map[string]bool{})
	chunk = r.block(chunk)
	r.checkNames()
	guards := &ast.LocalAssignStmt{Names: []string{catName, tabName, keyName}, Exprs: []ast.Expr{&ast.Comma3Expr{}}}
	if r.lines != nil {
		guards.Names = append(guards.Names, covName)
	}
	return append([]ast.Stmt{guards}, chunk...)
}

func (r *rewriter) fail(kind runtime.ErrorKind, line int, msg, hint string) {
	r.errs = append(r.errs, &runtime.Error{Kind: kind, Pos: r.src.at(line), Msg: msg, Hint: hint})
}

// enter counts a node and its nesting.
func (r *rewriter) enter(n ast.PositionHolder) {
	r.nodes++
	r.nesting++
	if b := r.lang.bounds; r.nesting > b.nesting || r.nodes > b.nodes {
		msg := fmt.Sprintf("nested more than %d deep", b.nesting)
		if r.nodes > b.nodes {
			msg = fmt.Sprintf("more than %d statements and expressions", b.nodes)
		}
		panic(tooMuch{&runtime.Error{Kind: runtime.LimitError, Limit: runtime.LimitSource, Pos: r.src.at(n.Line()), Msg: msg, Hint: "split it"}})
	}
}

// stmts rewrites a list of statements and returns what takes its place.
func (r *rewriter) stmts(list []ast.Stmt) []ast.Stmt {
	out := make([]ast.Stmt, 0, len(list))
	for i, s := range list {
		r.enter(s)
		if r.lines != nil {
			out = append(out, r.lines.stmt(s)...)
		}
		r.stmt(s)
		r.nesting--
		out, r.before = append(out, r.before...), nil
		if a, ok := s.(*ast.AssignStmt); ok && r.entangled(a) {
			s = apart(a)
		}
		if loop, ok := s.(*ast.GenericForStmt); ok && wobbly(loop) {
			s = steady(loop)
		}
		out = append(out, s)
		if _, ok := s.(*ast.LabelStmt); ok && i+1 < len(list) && startsWithJump(list[i+1:]) {
			out = append(out, pad(s.Line()))
		}
	}
	return out
}

func (r *rewriter) block(list []ast.Stmt) []ast.Stmt {
	r.push()
	list = r.stmts(list)
	r.pop()
	return list
}

func (r *rewriter) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		r.assign(s)
	case *ast.LocalAssignStmt:
		r.localAssign(s)
	case *ast.FuncCallStmt:
		r.expr(&s.Expr)
	case *ast.DoBlockStmt:
		s.Stmts = r.block(s.Stmts)
	case *ast.WhileStmt:
		r.expr(&s.Condition)
		s.Stmts = landing(r.block(s.Stmts))
	case *ast.RepeatStmt:
		r.push()
		s.Stmts = landing(r.stmts(s.Stmts))
		until := r.lines.expr(s.Condition)
		r.expr(&s.Condition)
		s.Condition = until(s.Condition)
		r.pop()
	case *ast.IfStmt:
		r.expr(&s.Condition)
		s.Then = r.block(s.Then)
		s.Else = r.block(s.Else)
	case *ast.NumberForStmt:
		r.expr(&s.Init)
		r.expr(&s.Limit)
		if s.Step != nil {
			r.expr(&s.Step)
		}
		r.push()
		r.local(s.Name)
		s.Stmts = landing(r.stmts(s.Stmts))
		r.pop()
	case *ast.GenericForStmt:
		r.exprs(s.Exprs)
		r.push()
		r.local(s.Names...)
		s.Stmts = landing(r.stmts(s.Stmts))
		r.pop()
	case *ast.FuncDefStmt:
		r.funcDef(s)
	case *ast.ReturnStmt:
		r.exprs(s.Exprs)
	}
}

func (r *rewriter) assign(s *ast.AssignStmt) {
	for i, lhs := range s.Lhs {
		switch e := lhs.(type) {
		case *ast.IdentExpr:
			if !r.touch(e.Value) {
				r.assigned[e.Value] = true
				r.constant(e.Value, e)
			}
			if i < len(s.Rhs) {
				r.nameFunction(s.Rhs[i], e.Value, 0)
			}
		case *ast.AttrGetExpr:
			if key, ok := e.Key.(*ast.StringExpr); ok && i < len(s.Rhs) {
				r.nameFunction(s.Rhs[i], key.Value, 0)
			}
			r.attr(e)
			r.index(e)
			s.SetLine(e.Line()) // the store is shown at the name
		}
	}
	r.exprs(s.Rhs)
}

func (r *rewriter) localAssign(s *ast.LocalAssignStmt) {
	if len(r.scopes) == 1 {
		for _, name := range s.Names {
			if _, ok := r.tops[name]; !ok {
				r.tops[name] = r.src.at(s.Line())
			}
		}
	}
	// local function f is local f; f = function: f is known inside.
	if len(s.Names) == 1 && len(s.Exprs) == 1 {
		if fn, ok := s.Exprs[0].(*ast.FunctionExpr); ok {
			if t := r.src.token(s.Line()); t != nil && t.text == "local" {
				if i := r.src.index(s.Line()); i+1 < len(r.src.tokens) && r.src.tokens[i+1].text == "function" {
					r.local(s.Names...)
					r.nameFunction(fn, s.Names[0], s.Line())
					r.paid(r.function(fn, false), s.Line())
					return
				}
			}
		}
	}
	for i, e := range s.Exprs {
		if i < len(s.Names) {
			r.nameFunction(e, s.Names[i], 0)
		}
	}
	r.exprs(s.Exprs)
	r.local(s.Names...)
}

// nameFunction remembers what a function is called, and where it begins if not
// with its own first token.
func (r *rewriter) nameFunction(e ast.Expr, name string, line int) {
	if fn, ok := e.(*ast.FunctionExpr); ok {
		if line > 0 {
			fn.SetLine(line)
		}
		r.names[fn.Line()] = name
	}
}

func (r *rewriter) funcDef(s *ast.FuncDefStmt) {
	name := ""
	switch {
	case s.Name.Func == nil: // function a.b:m()
		name = r.funcName(s.Name.Receiver) + ":" + s.Name.Method
		r.expr(&s.Name.Receiver)
	default:
		name = r.funcName(s.Name.Func)
		if id, ok := s.Name.Func.(*ast.IdentExpr); ok {
			if !r.touch(id.Value) {
				r.assigned[id.Value] = true
			}
		} else if a, ok := s.Name.Func.(*ast.AttrGetExpr); ok {
			r.attr(a)
		}
	}
	r.nameFunction(s.Func, name, s.Line())
	r.paid(r.function(s.Func, s.Name.Func == nil), s.Line())
}

func (r *rewriter) funcName(e ast.Expr) string {
	if name := dotted(e); name != "" {
		return name
	}
	return "function"
}

// function rewrites the inside of a function, and returns how many variables
// it closes over.
func (r *rewriter) function(fn *ast.FunctionExpr, method bool) int {
	outer := r.last
	r.last = ""
	if method {
		r.last = "self"
	}
	if n := len(fn.ParList.Names); n > 0 {
		r.last = fn.ParList.Names[n-1]
	}
	r.depth++
	r.captures = append(r.captures, map[variable]bool{})
	r.constants = append(r.constants, map[string]bool{})
	r.push()
	if method {
		r.local("self")
	}
	r.local(fn.ParList.Names...)
	if fn.ParList.HasVargs {
		r.local("arg")
	}
	fn.Stmts = r.stmts(fn.Stmts)
	r.pop()
	r.depth--
	r.last = outer
	n := len(r.captures[r.depth])
	r.captures = r.captures[:r.depth]
	r.constants = r.constants[:len(r.constants)-1]
	return n
}

func (r *rewriter) exprs(list []ast.Expr) {
	for i := range list {
		r.expr(&list[i])
	}
}

// expr rewrites the expression at *p.
func (r *rewriter) expr(p *ast.Expr) {
	if *p == nil {
		return
	}
	r.enter(*p)
	defer func() { r.nesting-- }()
	switch e := (*p).(type) {
	case *ast.IdentExpr:
		r.ident(e)
	case *ast.StringExpr:
		r.constant(e.Value, e)
	case *ast.NumberExpr:
		r.constant("0"+e.Value, e)
	case *ast.Comma3Expr:
		if r.depth == 0 { // there the guards are
			nothing := &ast.NilExpr{}
			nothing.SetLine(e.Line())
			*p = nothing
		}
	case *ast.AttrGetExpr:
		r.attr(e)
	case *ast.TableExpr:
		r.table(e)
		if !r.lang.bare {
			*p = guard(tabName, e.Line(), e)
		}
	case *ast.FuncCallExpr:
		r.call(e)
	case *ast.LogicalOpExpr:
		r.expr(&e.Lhs)
		r.expr(&e.Rhs)
		*p = decide(e)
	case *ast.RelationalOpExpr:
		line := r.operator(e.Rhs, e.Operator, e.Line())
		r.expr(&e.Lhs)
		r.expr(&e.Rhs)
		e.SetLine(line)
	case *ast.ArithmeticOpExpr:
		line := r.operator(e.Rhs, e.Operator, e.Line())
		r.expr(&e.Lhs)
		r.expr(&e.Rhs)
		e.SetLine(line)
	case *ast.StringConcatOpExpr:
		if !r.lang.bare {
			*p = r.concat(e)
			return
		}
		line := r.operator(e.Rhs, "..", e.Line())
		r.expr(&e.Lhs)
		r.expr(&e.Rhs)
		e.SetLine(line)
	case *ast.UnaryMinusOpExpr:
		r.expr(&e.Expr)
	case *ast.UnaryNotOpExpr:
		r.expr(&e.Expr)
	case *ast.UnaryLenOpExpr:
		r.expr(&e.Expr)
	case *ast.FunctionExpr:
		if n := r.function(e, false); n > fewCaptures && !r.lang.bare {
			*p = payment(n, e.Line(), e)
		}
	}
}

func guard(name string, line int, args ...ast.Expr) ast.Expr {
	id := &ast.IdentExpr{Value: name}
	id.SetLine(line)
	call := &ast.FuncCallExpr{Func: id, Args: args, AdjustRet: true}
	call.SetLine(line)
	return call
}

func (r *rewriter) attr(e *ast.AttrGetExpr) {
	r.checkMember(e)
	line := e.Key.Line()
	if key, ok := e.Key.(*ast.StringExpr); ok && line > 0 {
		r.constant(key.Value, key)
		r.expr(&e.Object)
		e.SetLine(key.Line())
		return
	}
	r.expr(&e.Object)
	r.expr(&e.Key)
}

// index guards a store at a computed place: the interpreter fills a list with
// nils up to any index, so a far one must be paid for.
func (r *rewriter) index(e *ast.AttrGetExpr) {
	if _, ok := e.Key.(*ast.StringExpr); ok || r.lang.bare {
		return
	}
	var object ast.Expr = &ast.NilExpr{}
	if pure(e.Object) {
		object = e.Object
	}
	e.Key = guard(keyName, e.Line(), e.Key, object)
}

// pure tells that an expression may be evaluated twice.
func pure(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.IdentExpr, *ast.StringExpr, *ast.NumberExpr:
		return true
	case *ast.AttrGetExpr:
		return pure(e.Object) && pure(e.Key)
	}
	return false
}

func (r *rewriter) table(e *ast.TableExpr) {
	for _, f := range e.Fields {
		if f.Key != nil {
			if key, ok := f.Key.(*ast.StringExpr); ok {
				r.constant(key.Value, e)
				r.nameFunction(f.Value, key.Value, 0)
			} else {
				r.expr(&f.Key)
				if !r.lang.bare {
					f.Key = guard(keyName, e.Line(), f.Key)
				}
			}
		}
		r.expr(&f.Value)
	}
}

func (r *rewriter) call(e *ast.FuncCallExpr) {
	line := e.Line()
	switch fn := e.Func.(type) {
	case nil:
		line = r.method(e, line)
	case *ast.AttrGetExpr:
		if key, ok := fn.Key.(*ast.StringExpr); ok {
			line = key.Line()
		}
	}
	name := ""
	if e.Func != nil {
		name = dotted(e.Func)
	}
	if head, _, _ := strings.Cut(name, "."); name != "" && !r.isLocal(head) {
		if name == "require" {
			r.require(e)
			e.SetLine(line)
			return
		}
		if r.registers(name) {
			r.calls[line] = r.site(e)
		}
	}
	if e.Func != nil {
		r.expr(&e.Func)
	} else {
		r.expr(&e.Receiver)
	}
	r.exprs(e.Args)
	e.SetLine(line)
}

// method finds the place of the name in x:name().
func (r *rewriter) method(e *ast.FuncCallExpr, from int) int {
	for i := r.src.index(from) + 1; i > 0 && i < len(r.src.tokens); i++ {
		if r.src.tokens[i].text == e.Method && r.src.tokens[i-1].text == ":" {
			for line := from; line <= len(r.src.byLine); line++ {
				if r.src.byLine[line-1] == i {
					return line
				}
			}
		}
	}
	return from
}
