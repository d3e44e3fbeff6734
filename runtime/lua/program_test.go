package lua_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime/runtimetest/progen"
)

// program writes a random Lua program by the choices of a progen.Source.
type program struct {
	*progen.Source
	out    strings.Builder
	scopes [][]variable
	depth  int
	loops  int
	thread bool // inside of a coroutine's body
	top    bool // at the top level, where there is no event and no effect
	names  int
}

// variable is a local and what it most likely holds.
type variable struct {
	name string
	kind kind
}

// programDepth bounds the nesting of statements, programSize the parts of a
// program: what it does is bounded by the step limit.
const (
	programDepth = 6
	programSize  = 300
)

// newProgram makes a program of bytes; it may require lib.lua. Every fourth
// byte is for the top level, so that the handler has something to do.
func newProgram(data []byte) string {
	g := &program{Source: progen.New(data[:len(data)/4], programSize), top: true}
	g.push()
	if g.Pick(4) == 1 {
		g.line(`local lib = require("lib")`)
		g.declare("lib", table)
	}
	g.stmts(1 + g.Pick(4))
	g.Source = progen.New(data[len(data)/4:], programSize)
	g.top = false
	g.line("local function h(e)")
	g.push(variable{"e", table})
	g.stmts(2 + g.Pick(10))
	g.line("return %s", g.expr(anything))
	g.pop()
	g.line("end")
	g.line(`on.message("x", h)`)
	return g.out.String()
}

func (g *program) line(format string, args ...any) {
	g.out.WriteString(strings.Repeat("  ", len(g.scopes)-1))
	fmt.Fprintf(&g.out, format, args...)
	g.out.WriteByte('\n')
}

func (g *program) push(vars ...variable) { g.scopes = append(g.scopes, vars) }
func (g *program) pop()                  { g.scopes = g.scopes[:len(g.scopes)-1] }

func (g *program) declare(name string, k kind) {
	g.scopes[len(g.scopes)-1] = append(g.scopes[len(g.scopes)-1], variable{name, k})
}

// fresh is a name that was not used yet.
func (g *program) fresh() string {
	g.names++
	return "v" + strconv.Itoa(g.names)
}

// variable is a local in scope that holds a k, or a plain k.
func (g *program) variable(k kind) string {
	var fit []string
	for _, s := range g.scopes {
		for _, v := range s {
			if v.kind == k || k == anything || v.kind == anything && g.Chance(20) {
				fit = append(fit, v.name)
			}
		}
	}
	if len(fit) == 0 {
		return g.simple(k)
	}
	return fit[len(fit)-1-g.Pick(len(fit))]
}

// target is a variable that can be set.
func (g *program) target() (string, kind) {
	var all []variable
	for _, s := range g.scopes {
		all = append(all, s...)
	}
	if len(all) == 0 {
		return "global", anything
	}
	v := all[len(all)-1-g.Pick(len(all))]
	return v.name, v.kind
}

func (g *program) kind() kind { return kind(1 + g.Pick(5)) }

// block writes statements in a scope of their own.
func (g *program) block(vars ...variable) {
	g.push(vars...)
	g.stmts(1 + g.Pick(4))
	g.pop()
}

func (g *program) stmts(n int) {
	if g.depth++; g.depth > programDepth {
		n = 0
	}
	for range n {
		if !g.Spend() {
			break
		}
		g.stmt()
	}
	g.depth--
}

func (g *program) stmt() {
	switch g.Pick(24) {
	default:
		k := g.kind()
		x, v := g.expr(k), g.fresh()
		g.line("local %s = %s", v, x)
		g.declare(v, k)
	case 1:
		g.line("local p, q = %s", g.expr(anything))
		g.declare("p", anything)
		g.declare("q", anything)
	case 2:
		v, k := g.target()
		g.line("%s = %s", v, g.expr(k))
	case 3:
		v, k := g.target()
		w, l := g.target()
		g.line("%s, %s = %s, %s", v, w, g.expr(k), g.expr(l))
	case 4:
		g.line("do local t = %s t[%s] = %s end", g.expr(table), g.expr(g.kind()), g.expr(anything))
	case 5:
		g.line("if %s then", g.expr(boolean))
		g.block()
		if g.Pick(2) == 1 {
			g.line("elseif %s then", g.expr(boolean))
			g.block()
		}
		g.line("else")
		g.block()
		g.line("end")
	case 6:
		g.line("for i = %s, %s%s do", g.expr(number), g.Of("3", "10", "1000", "math.huge"), g.Of("", ", 2", ", -1", ", 0.5"))
		g.loop(variable{"i", number})
	case 7:
		g.line("for k, w in %s do", g.iterator())
		g.loop(variable{"k", anything}, variable{"w", anything})
	case 8:
		g.line("while %s do", g.expr(boolean))
		g.loop()
	case 9:
		g.line("repeat")
		g.line("local n = %s", g.expr(number))
		g.loops++
		g.block(variable{"n", number})
		g.loops--
		g.line("until n or %s", g.expr(boolean))
	case 10:
		name := g.fresh()
		g.declare(name, callable)
		g.line("local function %s(a, b%s)", name, g.Of("", ", ..."))
		g.body(variable{"a", g.kind()}, variable{"b", anything})
		g.line("end")
	case 11:
		g.line("local ok, bad = pcall(function()")
		g.body()
		g.line("end)")
		g.declare("ok", boolean)
		g.declare("bad", anything)
	case 12:
		if g.loops > 0 {
			g.line("if %s then break end", g.expr(boolean))
		}
	case 13, 14:
		g.line("local _ = %s", g.effect())
	case 15:
		g.line("local _ = %s", g.call())
	case 16:
		g.line("local o = {}")
		g.line("function o.f(a, b)")
		g.body(variable{"a", anything}, variable{"b", anything})
		g.line("end")
		g.declare("o", table)
	case 17:
		g.line("if %s then return %s end", g.expr(boolean), g.expr(anything))
	case 18:
		if g.thread {
			g.line("coroutine.yield(%s)", g.expr(anything))
			return
		}
		g.line("print(%s, %s)", g.expr(anything), g.expr(anything))
	case 19:
		g.line("table.%s", g.tableCall())
	}
}

func (g *program) loop(vars ...variable) {
	g.loops++
	g.block(vars...)
	g.loops--
	g.line("end")
}

// body writes what is inside of a function.
func (g *program) body(vars ...variable) {
	loops, thread := g.loops, g.thread
	g.loops, g.thread = 0, false
	g.push(vars...)
	g.stmts(g.Pick(4))
	g.line("return %s", g.expr(anything))
	g.pop()
	g.loops, g.thread = loops, thread
}

// function is a function as an expression.
func (g *program) function(names ...string) string {
	outer, loops := g.out, g.loops
	g.out, g.loops = strings.Builder{}, 0
	vars := make([]variable, len(names))
	for i, n := range names {
		vars[i] = variable{n, anything}
	}
	g.push(vars...)
	g.stmts(g.Pick(3))
	g.line("return %s", g.expr(anything))
	g.pop()
	text := g.out.String()
	g.out, g.loops = outer, loops
	return "function(" + strings.Join(names, ", ") + ")\n" + text + "end"
}

func (g *program) coroutine() string {
	outer := g.thread
	g.thread = true
	text := g.function("a")
	g.thread = outer
	return text
}

// kind is what an expression should be; one in a while is something else.
type kind int

const (
	anything kind = iota
	number
	text
	boolean
	table
	callable
)

func (g *program) expr(k kind) string {
	if g.depth++; g.depth > 2*programDepth || !g.Spend() {
		defer func() { g.depth-- }()
		return g.simple(k)
	}
	defer func() { g.depth-- }()
	if k == anything || g.Chance(3) {
		k = g.kind()
	}
	switch g.Pick(6) {
	case 0:
		return g.simple(k)
	case 1, 2:
		return g.variable(k)
	case 3:
		if g.Chance(40) {
			return g.call()
		}
		return "(" + g.expr(k) + g.Of(" and ", " or ") + g.expr(k) + ")"
	}
	switch k {
	case number:
		return g.arithmetic()
	case text:
		return g.textExpr()
	case boolean:
		return g.comparison()
	case table:
		return g.tableExpr()
	case callable:
		return g.function("a", "b")
	}
	return "nil"
}

// group is an expression that can be indexed or called.
func (g *program) group(k kind) string { return "(" + g.expr(k) + ")" }

func (g *program) simple(k kind) string {
	switch k {
	case number:
		return g.Of("1", "0", "2", "-1", "0.5", "1e300", "7", "2^53", "1/0", "0/0", "100000", "0x1F")
	case text:
		return g.Of(`""`, `"a"`, `"hello world"`, `"1"`, `"%d+"`, `"[^a]*(.-)"`, `"x=1, y=2"`, `[[long]]`, `"äß"`, `"\0\255"`, `"%s:%5.2f"`, `"("`)
	case boolean:
		return g.Of("true", "false", "nil")
	case table:
		return g.Of("{}", "{1, 2, 3}", "{a = 1}", "{x = {y = {}}}", "config", "{nil, 2}", `{"b", "a"}`)
	case callable:
		return g.Of("print", "tostring", "upper", "string.rep", "error", "pcall", "math.floor")
	}
	return "nil"
}

func (g *program) arithmetic() string {
	switch g.Pick(9) {
	case 1:
		return "#" + g.group(table)
	case 2:
		return "-" + g.group(number)
	case 3:
		return "tonumber(" + g.expr(text) + g.Of("", ", 16", ", 2") + ")"
	case 4:
		return "math." + g.Of("floor", "ceil", "abs", "sqrt", "exp") + "(" + g.expr(number) + ")"
	case 5:
		return "math.random(" + g.Of("", "10", "1, 6", "0") + ")"
	case 6:
		return "select(" + g.Of(`"#"`, "1", "-1", "2") + ", " + g.expr(anything) + ", " + g.expr(anything) + ")"
	case 7:
		return g.Of("now()", "random()", "math.pi", "count(1, 2, 3)")
	}
	return "(" + g.expr(number) + g.Of(" + ", " - ", " * ", " / ", " % ", " ^ ") + g.expr(number) + ")"
}

func (g *program) textExpr() string {
	s := g.group(text)
	switch g.Pick(13) {
	case 1:
		return s + ":upper()"
	case 2:
		return s + ":rep(" + g.expr(number) + ")"
	case 3:
		return s + ":sub(" + g.expr(number) + ", " + g.expr(number) + ")"
	case 4:
		return s + ":gsub(" + g.pattern() + ", " + g.Of(`"%0%0"`, `"<%1>"`, "{a = 1}", g.function("m")) + g.Of("", ", 2") + ")"
	case 5:
		return s + ":" + g.Of("match", "find") + "(" + g.pattern() + g.Of("", ", 2", ", -3") + ")"
	case 6:
		return "string.format(" + g.Of(`"%s"`, `"%d|%5.1f"`, `"%q"`, `"%x %s"`, g.expr(text)) + ", " + g.expr(anything) + ", " + g.expr(anything) + ")"
	case 7:
		return "tostring(" + g.expr(anything) + ")"
	case 8:
		return "table.concat(" + g.expr(table) + ", " + g.expr(text) + ")"
	case 9:
		return s + ":" + g.Of("reverse", "lower", "len", "byte") + "()"
	case 10:
		return "type(" + g.expr(anything) + ")"
	case 11:
		return "json.encode(" + g.expr(anything) + ")"
	case 12:
		return "re.search(" + g.Of(`"[a-z]+"`, `re.compile("h(.)")`, g.expr(text)) + ", " + g.expr(text) + ")"
	}
	return "(" + g.expr(text) + " .. " + g.expr(text) + g.Of("", " .. 1", " .. secret(\"S\")") + ")"
}

// pattern is one of Lua, sometimes malformed.
func (g *program) pattern() string {
	var b strings.Builder
	for range 1 + g.Pick(4) {
		b.WriteString(g.Of("a", ".", "%a", "%d", "[a-c]", "[^%s]", "(", ")", "()", "%b()", "%f[%w]", "$", "^", "%1", "%", "(.)", "x"))
		b.WriteString(g.Of("", "*", "+", "-", "?"))
	}
	return strconv.Quote(b.String())
}

func (g *program) comparison() string {
	switch g.Pick(5) {
	case 1:
		return "not " + g.group(anything)
	case 2:
		return "rawequal(" + g.expr(anything) + ", " + g.expr(anything) + ")"
	case 3:
		return "(" + g.expr(number) + g.Of(" < ", " <= ", " > ", " >= ") + g.expr(number) + ")"
	}
	return "(" + g.expr(anything) + g.Of(" == ", " ~= ", " < ") + g.expr(anything) + ")"
}

func (g *program) tableExpr() string {
	switch g.Pick(9) {
	case 1:
		return "{" + g.expr(anything) + ", " + g.expr(anything) + "}"
	case 2:
		return "{[" + g.expr(anything) + "] = " + g.expr(anything) + ", a = " + g.expr(anything) + "}"
	case 3:
		return "setmetatable({}, " + g.metatable() + ")"
	case 4:
		return "json.decode(" + g.Of(`"[1, {}, null]"`, `'{"a": [1]}'`, g.expr(text)) + ")"
	case 5:
		return "struct(" + g.expr(table) + ")"
	case 6:
		return "{pcall(" + g.expr(callable) + ", " + g.expr(anything) + ")}"
	case 7:
		return "{" + g.Of("unpack", "next", "catch", "ipairs") + "(" + g.expr(table) + ")}"
	}
	return "{k = " + g.expr(anything) + ", " + g.expr(anything) + "}"
}

func (g *program) metatable() string {
	name := g.Of("__index", "__newindex", "__call", "__add", "__concat", "__eq", "__lt", "__len", "__tostring", "__unm", "__metatable", "__le")
	value := g.function("a", "b", "c")
	if g.Pick(3) == 1 {
		value = g.expr(table)
	}
	return "{" + name + " = " + value + "}"
}

func (g *program) tableCall() string {
	switch g.Pick(5) {
	case 1:
		return "sort(" + g.expr(table) + g.Of("", ", function(a, b) return a > b end", ", "+g.function("a", "b")) + ")"
	case 2:
		return "remove(" + g.expr(table) + g.Of("", ", 1", ", 9") + ")"
	case 3:
		return "insert(" + g.expr(table) + ", " + g.expr(number) + ", " + g.expr(anything) + ")"
	}
	return "insert(" + g.expr(table) + ", " + g.expr(anything) + ")"
}

func (g *program) iterator() string {
	switch g.Pick(6) {
	case 1:
		return "ipairs(" + g.expr(table) + ")"
	case 2:
		return g.group(text) + ":gmatch(" + g.pattern() + ")"
	case 3:
		return "coroutine.wrap(" + g.coroutine() + ")"
	case 4:
		return g.expr(callable) + ", " + g.expr(anything)
	case 5:
		return "pairs(" + g.Of("config", g.variable(table), g.variable(table)) + ")"
	}
	return "pairs(" + g.expr(table) + ")"
}

func (g *program) call() string {
	switch g.Pick(12) {
	case 1:
		return "pcall(" + g.function("a") + ", " + g.expr(anything) + ")"
	case 2:
		return "xpcall(" + g.function() + ", " + g.function("m") + ")"
	case 3:
		return "catch(" + g.function("a") + ", " + g.expr(anything) + ")"
	case 4:
		return g.Of("error", "fail") + "(" + g.expr(anything) + ")"
	case 5:
		return "coroutine.resume(coroutine.create(" + g.coroutine() + "), " + g.expr(anything) + ")"
	case 6:
		return "coroutine.wrap(" + g.coroutine() + ")(" + g.expr(anything) + ")"
	case 7:
		return "assert(" + g.expr(anything) + ", " + g.expr(anything) + ")"
	case 8:
		return g.Of("rawget", "rawset", "getmetatable", "next", "type", "unpack") + "(" + g.expr(table) + ", " + g.expr(anything) + ")"
	case 9:
		return g.effect()
	case 10:
		return g.group(table) + ":" + g.Of("f", "run", "x") + "(" + g.expr(anything) + ")"
	case 11:
		return g.Of("string.rep", "string.char", "math.fmod", "count", "refuse", "upper", "burn", "log.warn", "lib.run", "re.compile") + "(" + g.expr(anything) + ", " + g.expr(anything) + ")"
	}
	return g.group(callable) + "(" + g.expr(anything) + ", " + g.expr(anything) + ")"
}

func (g *program) effect() string {
	if g.top && !g.Chance(5) {
		return "now()"
	}
	switch g.Pick(7) {
	case 1:
		return "kv.get(" + g.expr(text) + ")"
	case 2:
		return "kv.set(" + g.expr(text) + ", " + g.expr(anything) + ")"
	case 3:
		return "send(" + g.expr(text) + ").ok"
	case 4:
		return "send(" + g.expr(text) + ", {to = " + g.expr(text) + ", blocks = " + g.expr(table) + "})"
	case 5:
		return `slack("chat.postMessage", {text = ` + g.expr(text) + ", n = " + g.expr(number) + "})"
	case 6:
		return g.Of("e.text", "e.tags", "e.raw", "e.raw.blocks", "e.nope", `e["user"]`)
	}
	return "send(" + g.expr(text) + ")"
}
