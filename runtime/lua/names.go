package lua

import (
	"fmt"
	"strings"

	"github.com/yuin/gopher-lua/ast"

	"github.com/starling-rules/starling/runtime"
)

// This file is what the rewriting finds out about names: what a file requires,
// which members of built-in modules do not exist, which globals nobody defines.

// require takes only literal names: what a bundle needs is known before it runs.
func (r *rewriter) require(e *ast.FuncCallExpr) {
	if len(e.Args) == 1 {
		if arg, ok := e.Args[0].(*ast.StringExpr); ok {
			r.requires = append(r.requires, &requirement{arg, r.src.at(arg.Line())})
			return
		}
	}
	r.fail(runtime.LoadError, e.Line(), "require takes one name, as a literal text", `write require("lib.name")`)
}

func (r *rewriter) ident(e *ast.IdentExpr) {
	if r.touch(e.Value) {
		return
	}
	if e.Value == "require" {
		r.fail(runtime.LoadError, e.Line(), "require can only be called", `write require("lib.name")`)
		return
	}
	r.constant(e.Value, e)
	r.uses = append(r.uses, use{e.Value, e.Line()})
}

// checkMember finds members that a built-in module does not have: on.mesage.
func (r *rewriter) checkMember(e *ast.AttrGetExpr) {
	key, ok := e.Key.(*ast.StringExpr)
	space := dotted(e.Object)
	head, _, _ := strings.Cut(space, ".")
	if !ok || space == "" || r.isLocal(head) || r.assigned[head] {
		return
	}
	members, ok := r.lang.spaces[space]
	if !ok {
		return
	}
	for _, m := range members {
		if m == key.Value {
			return
		}
	}
	err := unknownMember(space, key.Value, members)
	r.fail(err.Kind, key.Line(), err.Msg, err.Hint)
}

// dotted returns "a.b.c" for an expression of that form, else "".
func dotted(e ast.Expr) string { return dottedWithin(e, maxDots) }

// maxDots bounds what dotted looks at: no built-in has as many, and a chain of
// thousands would be written out once for each of its links.
const maxDots = 8

func dottedWithin(e ast.Expr, depth int) string {
	switch e := e.(type) {
	case *ast.IdentExpr:
		return e.Value
	case *ast.AttrGetExpr:
		key, ok := e.Key.(*ast.StringExpr)
		if !ok || depth == 0 {
			return ""
		}
		if x := dottedWithin(e.Object, depth-1); x != "" {
			return x + "." + key.Value
		}
	}
	return ""
}

// absent are names of Lua and of other languages that are not here.
var absent = map[string]string{
	"None": "write nil", "null": "write nil", "True": "write true", "False": "write false", "undefined": "write nil",
	"os": "there is no access to the system; now() is the time, log.info(…) writes a line", "io": "there is no access to files",
	"debug": "it is left out", "package": "write require(\"lib.name\")", "load": "code cannot be made at run time",
	"loadstring": "code cannot be made at run time", "dofile": "write require(\"lib.name\")", "loadfile": "write require(\"lib.name\")",
	"setfenv": "it is left out", "getfenv": "it is left out", "_G": "globals have no table here", "collectgarbage": "memory is looked after",
	"def": "this is Starlark: name the file .star", "len": "write #x", "str": "write tostring(x)",
}

// checkNames finds names that nobody defines.
func (r *rewriter) checkNames() {
	seen := map[use]bool{}
	for _, u := range r.uses {
		if r.lang.names[u.name] || r.assigned[u.name] || seen[u] {
			continue
		}
		seen[u] = true
		hint := absent[u.name]
		if at, ok := r.tops[u.name]; ok && at.Line > r.src.at(u.line).Line {
			hint = fmt.Sprintf("local %s is made further down, in line %d, and known from there on: move it up", u.name, at.Line)
		}
		if hint == "" {
			names := sortedKeys(r.assigned)
			if n := runtime.Nearest(u.name, append(names, sortedKeys(r.lang.names)...)); n != "" {
				hint = "did you mean " + n + "?"
			}
		}
		r.fail(runtime.NameError, u.line, u.name+" is not defined", hint)
	}
}
