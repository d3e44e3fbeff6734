package star

import (
	"fmt"
	"slices"

	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

// unused finds variables of functions, and loaded names, that nobody looks at.
// Parameters, and variables of loops and of a, b = …, may have to be there.
func (a *analysis) unused(v *variable) {
	if isPrivate(v.name) || len(v.binds) == 0 || slices.ContainsFunc(v.uses, func(u use) bool { return !u.augment }) {
		return
	}
	b := v.binds[0]
	switch {
	case b.kind == byAugment, slices.ContainsFunc(v.binds, func(b bind) bool { return b.kind == byParam || b.kind == byUnpack }):
	case b.kind == byLoad:
		a.lint(b.id.NamePos, "leave it out of the load", v.name+" is loaded but never used")
	case v.fn == nil: // another file may load it
	case b.kind == byDef:
		a.lint(b.id.NamePos, "", "function "+v.name+" is never used")
	default:
		a.lint(b.id.NamePos, "", v.name+" is never used")
	}
}

// tooEarly finds variables of functions that are looked at where they cannot
// have a value yet, and calls of functions that need what comes later.
func (a *analysis) tooEarly(v *variable) {
	if len(v.binds) == 0 {
		return
	}
	if v.fn == nil {
		a.calledTooEarly(v)
		return
	}
	first := v.binds[0]
	for _, u := range v.uses {
		if u.fn != v.fn || first.kind == byParam || u.loop != nil && slices.ContainsFunc(v.binds, func(b bind) bool { return b.loop == u.loop && b.id != u.id }) {
			continue
		}
		before := comparePos(position(u.id.NamePos), position(first.id.NamePos))
		if before > 0 || before == 0 && !u.augment {
			continue
		}
		hint := ""
		if global := a.global(v.name); global != nil {
			hint = fmt.Sprintf("a function cannot assign to the %s of the top level: give this one another name, or keep it in kv", v.name)
		} else if a.ld.names.Has(v.name) {
			hint = fmt.Sprintf("the assignment in line %d makes %s a variable of this function: give it another name", first.id.NamePos.Line, v.name)
		}
		a.fails(u.id.NamePos, hint, fmt.Sprintf("local variable %s referenced before assignment", v.name))
		return
	}
}

// global returns the top-level variable of a name, or nil.
func (a *analysis) global(name string) *variable {
	for _, v := range a.order {
		if v.name == name && v.fn == nil && len(v.binds) > 0 {
			if _, comp := v.binds[0].loop.(*syntax.Comprehension); !comp {
				return v
			}
		}
	}
	return nil
}

// calledTooEarly finds calls at the top level of a function whose own body looks
// at a variable that only gets its value further down.
func (a *analysis) calledTooEarly(v *variable) {
	if len(v.binds) != 1 || v.binds[0].kind != byDef || !v.binds[0].sure {
		return
	}
	fn := v.binds[0].def
	for _, u := range v.uses {
		if !u.calls || u.fn != nil || u.loop != nil {
			continue
		}
		for _, w := range a.order {
			if w.fn != nil || len(w.binds) == 0 || w.binds[0].fn != nil || w.binds[0].loop != nil {
				continue
			}
			if comparePos(position(w.binds[0].id.NamePos), position(u.id.NamePos)) <= 0 {
				continue
			}
			if slices.ContainsFunc(w.uses, func(x use) bool { return x.fn == fn }) {
				a.lint(u.id.NamePos, "move the call below it", fmt.Sprintf("%s uses %s, which is defined further down, in line %d", v.name, w.name, w.binds[0].id.NamePos.Line))
				return
			}
		}
	}
}

// overwritten finds values that nobody can look at: the last one that a
// variable of a function is given, if it is not looked at further down.
func (a *analysis) overwritten(v *variable) {
	if v.fn == nil || isPrivate(v.name) || len(v.binds) < 2 {
		return
	}
	last := v.binds[len(v.binds)-1]
	if last.kind != byAssign && last.kind != byAugment || last.loop != nil || last.fn != v.fn {
		return
	}
	read := false
	for _, u := range v.uses {
		if u.fn != v.fn { // a function that is called who knows when
			return
		}
		if u.augment && u.id == last.id {
			continue
		}
		read = read || !u.augment
		if comparePos(position(u.id.NamePos), position(last.id.NamePos)) > 0 {
			return
		}
	}
	if read { // else unused has told
		a.lint(last.id.NamePos, "", fmt.Sprintf("the value that %s is given here is never used", v.name))
	}
}

// redefined finds functions that are defined twice, where nobody can have used
// the first.
func (a *analysis) redefined(v *variable) {
	for i := 1; i < len(v.binds); i++ {
		before, b := v.binds[i-1], v.binds[i]
		if before.kind != byDef || b.kind != byDef || !before.sure || !b.sure || isPrivate(v.name) {
			continue
		}
		used := slices.ContainsFunc(v.uses, func(u use) bool {
			return comparePos(position(u.id.NamePos), position(before.id.NamePos)) > 0 && comparePos(position(u.id.NamePos), position(b.id.NamePos)) < 0
		})
		if !used {
			a.lint(b.id.NamePos, "give one of them another name", fmt.Sprintf("function %s is defined already, in line %d", v.name, before.id.NamePos.Line))
		}
	}
}

// misused finds variables that take the name of a built-in and are used as if
// they were that, and functions that call themselves.
func (a *analysis) misused(v *variable) {
	if len(v.binds) == 0 {
		return
	}
	for _, u := range v.uses {
		if !u.calls {
			continue
		}
		for fn := u.fn; fn != nil; fn = fn.outer {
			if fn == u.fn && fn.variable == v && len(v.binds) == 1 {
				hint := "recursion is not possible: write a loop"
				if a.ld.names.Has(v.name) {
					hint = "this is the function itself, not the built-in: give it another name"
				}
				a.fails(u.id.NamePos, hint, fmt.Sprintf("function %s calls itself", v.name))
				break
			}
		}
	}
	if !a.ld.names.Has(v.name) {
		return
	}
	kind := ""
	for _, b := range v.binds {
		if kind = valueKind(b.value); kind == "" {
			return
		}
	}
	for _, u := range v.uses {
		if u.calls {
			a.fails(u.id.NamePos, fmt.Sprintf("line %d gives the name of the built-in to a variable: choose another name there", v.binds[0].id.NamePos.Line), fmt.Sprintf("%s is a %s here, not the built-in", v.name, kind))
			return
		}
	}
}

// valueKind is the type of a value that is written out, or "".
func valueKind(e syntax.Expr) string {
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return valueKind(e.X)
	case *syntax.ListExpr:
		return "list"
	case *syntax.DictExpr:
		return "dict"
	case *syntax.TupleExpr:
		return "tuple"
	case *syntax.Comprehension:
		if e.Curly {
			return "dict"
		}
		return "list"
	case *syntax.Literal:
		return map[syntax.Token]string{syntax.STRING: "string", syntax.BYTES: "bytes", syntax.INT: "int", syntax.FLOAT: "float"}[e.Token]
	}
	return ""
}

// frozenChanges finds handlers that change what the top level has made.
func (a *analysis) frozenChanges() {
	for _, c := range a.frozen {
		v := a.variableOf(c.id)
		if c.fn == nil || v == nil || v.fn != nil || a.runsIn(c.fn, a.loading()) {
			continue
		}
		for _, b := range v.binds {
			if kind := a.madeKind(b.value); kind == "" || b.fn != nil {
				v = nil
				break
			}
		}
		if v != nil && len(v.binds) > 0 {
			a.problem(runtime.RunError, c.pos, "what the top level of a file made cannot be changed by a handler: use kv for state",
				fmt.Sprintf("this %s, and %s is frozen when a handler runs", c.how, v.name))
		}
	}
}

// madeKind is valueKind, and the type of list(), dict() and set().
func (a *analysis) madeKind(e syntax.Expr) string {
	if c, ok := e.(*syntax.CallExpr); ok {
		switch name := a.builtin(c.Fn); name {
		case "list", "dict", "set":
			return name
		}
	}
	switch kind := valueKind(e); kind {
	case "list", "dict":
		return kind
	}
	return ""
}
