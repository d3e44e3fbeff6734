package star_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime/runtimetest/progen"
)

// kind is the type that a generated expression is meant to have.
type kind int

const (
	kAny kind = iota
	kInt
	kText
	kList // of anything
	kDict
	kTuple
	kSet
	kBytes
	kBool
	kFloat
	kFunc  // of one argument
	kTexts // a list of texts
	kKey   // what can be hashed
	kRange
	kStruct
	kinds
)

// program writes random Starlark that is mostly right: names are defined
// before they are used, and operands mostly have the type that is wanted.
type program struct {
	*progen.Source
	strings.Builder
	vars   [][]variable // scopes, innermost last
	indent int
	loops  int
	inFunc bool
	next   int
	depth  int
}

type variable struct {
	name string
	kind kind
}

// starProgram makes a file from bytes: top-level statements and functions,
// and a handler for messages.
func starProgram(data []byte) string {
	g := &program{Source: progen.New(data, 150), vars: [][]variable{nil}}
	g.line("def sure(f, other):\n    v, err = catch(f)\n    return other if err else v\n")
	for range g.Pick(5) {
		g.stmt()
	}
	for range g.Pick(3) {
		g.def()
	}
	g.line("def handle(e):")
	g.enter("e")
	g.inFunc = true
	for range 1 + g.Pick(12) {
		g.stmt()
	}
	if g.Chance(20) {
		g.line("return " + g.safe(kAny))
	}
	if g.Chance(15) {
		g.line("return [" + strings.Join(g.some(4), ", ") + "]")
	}
	g.line("return [str(x)[:300] for x in [" + strings.Join(g.some(6), ", ") + "]]")
	g.leave()
	g.line("on.message(\"\", handle)")
	return g.String()
}

func (g *program) line(s string) {
	g.WriteString(strings.Repeat("    ", g.indent) + s + "\n")
}

func (g *program) enter(params ...string) {
	scope := make([]variable, 0, len(params))
	for _, p := range params {
		scope = append(scope, variable{p, kAny})
	}
	g.vars = append(g.vars, scope)
	g.indent++
}

func (g *program) leave() {
	g.vars = g.vars[:len(g.vars)-1]
	g.indent--
}

// fresh defines a variable.
func (g *program) fresh(k kind) string {
	if scope := g.vars[len(g.vars)-1]; len(scope) > 0 && g.Chance(20) {
		v := &scope[g.Pick(len(scope))]
		if v.name != "e" {
			v.kind = k
			return v.name
		}
	}
	g.next++
	name := "v" + strconv.Itoa(g.next)
	g.vars[len(g.vars)-1] = append(g.vars[len(g.vars)-1], variable{name, k})
	return name
}

// name returns a variable of a kind, or "".
func (g *program) name(k kind) string {
	var list []string
	for _, scope := range g.vars {
		for _, v := range scope {
			if k == kAny || v.kind == k {
				list = append(list, v.name)
			}
		}
	}
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1-g.Pick(len(list))]
}

func (g *program) some(n int) []string {
	var out []string
	for range n {
		if v := g.name(kAny); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// safe writes an expression of a kind that mostly does not end the program.
func (g *program) safe(k kind) string {
	if g.Chance(15) {
		return g.expr(k)
	}
	return "sure(lambda: " + g.expr(k) + ", " + g.literal(k) + ")"
}

// block writes statements one level deeper. What it defines may not be there
// behind it, so that is forgotten.
func (g *program) block() {
	g.enter()
	g.line("pass")
	for range 1 + g.Pick(3) {
		g.stmt()
	}
	g.leave()
}

func (g *program) stmt() {
	if !g.Spend() || g.indent > 5 {
		g.line("pass")
		return
	}
	switch g.Pick(17) {
	case 0, 1, 2, 3:
		k := kind(g.Pick(int(kinds)))
		e := g.safe(k)
		g.line(g.fresh(k) + " = " + e)
	case 4, 5:
		g.augmented()
	case 6:
		g.branches()
	case 7, 8:
		g.line("for " + g.target(g.safe(g.iterable())) + ":")
		g.loops++
		g.block()
		g.loops--
	case 9:
		if g.loops < 2 {
			g.line("while " + g.safe(kBool) + ":")
			g.loops++
			g.block()
			if g.Chance(60) {
				g.line("    break")
			}
			g.loops--
		}
	case 10:
		g.def()
	case 11:
		g.element()
	case 12:
		g.mutation()
	case 13:
		a, b := g.safe(kAny), g.safe(kInt)
		g.line(fmt.Sprintf("%s, %s = %s, %s", g.fresh(kAny), g.fresh(kInt), a, b))
	case 14:
		switch {
		case g.loops > 0:
			g.line(g.Of("continue", "break"))
		case g.inFunc && g.Chance(20):
			g.line("return " + g.safe(kAny))
		default:
			g.line("print(" + g.safe(kAny) + ", " + g.safe(kAny) + ")")
		}
	case 15:
		if g.inFunc {
			g.effect()
		}
	case 16:
		g.line(g.safe(kAny))
	}
}

func (g *program) branches() {
	g.line("if " + g.safe(kBool) + ":")
	g.block()
	if g.Chance(30) {
		g.line("elif " + g.safe(kAny) + ":")
		g.block()
	}
	if g.Chance(40) {
		g.line("else:")
		g.block()
	}
}

// target is the left side and right side of a for clause; it defines names.
func (g *program) target(x string) string {
	if g.Chance(25) {
		x = g.Of("enumerate("+x+")", "zip("+x+", "+x+")", "{1: 2, \"a\": 3}.items()", "[("+x+", 2)]")
		return fmt.Sprintf("%s, %s in %s", g.fresh(kAny), g.fresh(kAny), x)
	}
	return g.fresh(kAny) + " in " + x
}

func (g *program) def() {
	g.next++
	name := "f" + strconv.Itoa(g.next)
	params := g.Of("a", "a = None", "a, *r", "a, **k", "a = 1, *, b = 2", "*r", "a, b = [], *r, c = {}, **k")
	g.line("def " + name + "(" + params + "):")
	g.enter()
	scope := &g.vars[len(g.vars)-1]
	for _, p := range strings.Split(params, ", ") {
		n, _, _ := strings.Cut(strings.TrimLeft(p, "*"), " ")
		switch {
		case n == "":
		case strings.HasPrefix(p, "**"):
			*scope = append(*scope, variable{n, kDict})
		case strings.HasPrefix(p, "*"):
			*scope = append(*scope, variable{n, kTuple})
		default:
			*scope = append(*scope, variable{n, kAny})
		}
	}
	loops, in := g.loops, g.inFunc
	g.loops, g.inFunc = 0, true
	for range 1 + g.Pick(4) {
		g.stmt()
	}
	g.line("return " + g.safe(kAny))
	g.loops, g.inFunc = loops, in
	g.leave()
	g.vars[len(g.vars)-1] = append(g.vars[len(g.vars)-1], variable{name, kFunc})
}

func (g *program) augmented() {
	k := []kind{kInt, kText, kList, kDict, kSet, kBytes, kTuple, kFloat}[g.Pick(8)]
	name := g.local(k)
	if name == "" {
		e := g.safe(k)
		g.line(g.fresh(k) + " = " + e)
		return
	}
	switch k {
	case kInt:
		g.line(name + " " + g.Of("+=", "-=", "*=", "//=", "%=", "<<=", ">>=", "&=", "|=", "^=", "/=") + " " + g.safe(kInt))
	case kText, kBytes, kTuple:
		op := g.Of("+=", "+=", "*=")
		if op == "*=" {
			k = kInt
		}
		g.line(name + " " + op + " " + g.safe(k))
	case kList:
		g.line(name + " " + g.Of("+= ", "+= ", "*= 2 # ") + g.safe(g.iterable()))
	case kDict, kSet:
		g.line(name + " " + g.Of("|=", "|=", "&=", "^=") + " " + g.safe(k))
	default:
		g.line(name + " += " + g.safe(kFloat))
	}
}

// local returns a variable of the innermost function that may be changed.
func (g *program) local(k kind) string {
	scope := g.vars[len(g.vars)-1]
	for i := range scope {
		if v := scope[(i+g.Pick(4))%len(scope)]; v.kind == k && v.name != "e" {
			return v.name
		}
	}
	return ""
}

// element assigns to an element.
func (g *program) element() {
	switch {
	case g.name(kDict) != "" && g.Chance(60):
		g.line(g.name(kDict) + "[" + g.safe(kKey) + "] " + g.Of("= ", "= ", "= ", "+= ") + g.safe(kAny))
	case g.name(kList) != "":
		l := g.name(kList)
		g.line("if type(" + l + ") == \"list\" and len(" + l + ") > 0:")
		g.line("    " + l + "[" + g.Of("0", "-1", g.expr(kInt)) + "] " + g.Of("= ", "= ", "+= ", "*= ") + g.safe(kAny))
	default:
		e := g.safe(kKey)
		d := g.fresh(kDict)
		g.line(d + " = {" + e + ": {}}")
		g.line(d + ".setdefault(" + g.safe(kKey) + ", [])")
	}
}

func (g *program) mutation() {
	e := ""
	switch g.Pick(3) {
	case 0:
		e = g.expr(kList) + g.method(listChanges)
	case 1:
		e = g.expr(kDict) + g.method(dictChanges)
	case 2:
		e = g.expr(kSet) + g.method(setChanges)
	}
	if g.Chance(80) {
		e = "sure(lambda: " + e + ", None)"
	}
	g.line(e)
}

// effect asks for an effect and mostly looks at its result.
func (g *program) effect() {
	call := ""
	switch g.Pick(6) {
	case 0:
		call = "send(" + g.safe(kText) + ")"
	case 1:
		call = "send(" + g.literal(kText) + ", to = " + g.literal(kText) + ", blocks = " + g.safe(kList) + ")"
	case 2:
		call = "kv.get(" + g.safe(kText) + ")"
	case 3:
		call = "kv.set(" + g.literal(kText) + ", " + g.safe(kAny) + ")"
	case 4:
		call = "slack(\"a.b\", x = " + g.safe(kAny) + ")"
	case 5:
		call = "catch(send, " + g.expr(kAny) + ")"
	}
	if g.Chance(70) {
		call = "sure(lambda: " + call + ", None)"
	}
	r := g.fresh(kAny)
	g.line(r + " = " + call)
	if g.Chance(50) {
		look := g.Of(
			"_", "str(_)", "bool(_)", "type(_)", "len(_)", "repr(_)", "dir(_)", "{_: 1}", "json.encode(_)", "_.ok", "_[\"ok\"]",
			"[x for x in _]", "_ + \"a\"", "_ == _", "1 in _", "sorted(_)", "_ and 1", "\"%s\" % _", "getattr(_, \"ok\", 1)", "upper(_)",
			"_.items()", "_ or 2", "hash(_)", "struct(a = _)", "_ < 2", "-_", "_[1:2]", "_()", "dict(_)", "list(_)", "_.get(\"x\")",
		)
		g.line("print(sure(lambda: " + strings.ReplaceAll(look, "_", r) + ", \"err\"))")
	}
}

func (g *program) iterable() kind {
	return []kind{kList, kDict, kTuple, kRange, kTexts, kSet, kAny}[g.Pick(7)]
}
