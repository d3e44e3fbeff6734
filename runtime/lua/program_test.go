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
	scopes [][]string
	depth  int
	loops  int
	thread bool // inside of a coroutine's body
	names  int
}

// programDepth bounds the nesting of statements, programSize the parts of a
// program: what it does is bounded by the step limit.
const (
	programDepth = 6
	programSize  = 300
)

// newProgram makes a program of bytes; it may require lib.lua.
func newProgram(data []byte) string {
	g := &program{Source: progen.New(data, programSize)}
	g.push()
	if g.Pick(4) == 1 {
		g.line(`local lib = require("lib")`)
		g.declare("lib")
	}
	g.stmts(1 + g.Pick(6))
	g.line("local function h(e)")
	g.push("e")
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

func (g *program) push(names ...string)    { g.scopes = append(g.scopes, names) }
func (g *program) pop()                    { g.scopes = g.scopes[:len(g.scopes)-1] }
func (g *program) declare(names ...string) { g.scopes[len(g.scopes)-1] = append(g.scopes[len(g.scopes)-1], names...) }

func (g *program) fresh() string {
	g.names++
	return "v" + strconv.Itoa(g.names)
}

// variable is a local that is in scope.
func (g *program) variable() string {
	var all []string
	for _, s := range g.scopes {
		all = append(all, s...)
	}
	if len(all) == 0 {
		return "config"
	}
	return all[len(all)-1-g.Pick(len(all))]
}

// block writes statements in a scope of their own.
func (g *program) block(names ...string) {
	g.push(names...)
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
	switch g.Pick(22) {
	default:
		x, v := g.expr(anything), g.fresh()
		g.line("local %s = %s", v, x)
		g.declare(v)
	case 1:
		g.line("local %s, %s = %s", "p", "q", g.expr(anything))
		g.declare("p", "q")
	case 2:
		g.line("%s = %s", g.variable(), g.expr(anything))
	case 3:
		g.line("%s, %s = %s, %s", g.variable(), g.variable(), g.expr(anything), g.expr(anything))
	case 4:
		g.line("%s[%s] = %s", g.group(table), g.expr(anything), g.expr(anything))
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
		g.loop("i")
	case 7:
		g.line("for k, w in %s do", g.iterator())
		g.loop("k", "w")
	case 8:
		g.line("while %s do", g.expr(boolean))
		g.loop()
	case 9:
		g.line("repeat")
		g.loops++
		g.block("n")
		g.loops--
		g.line("until %s", g.expr(boolean))
	case 10:
		name := g.fresh()
		g.declare(name)
		g.line("local function %s(a, b%s)", name, g.Of("", ", ..."))
		g.body("a", "b")
		g.line("end")
	case 11:
		g.line("do")
		g.block()
		g.line("end")
	case 12:
		if g.loops > 0 {
			g.line("if %s then break end", g.expr(boolean))
		}
	case 13:
		g.line("%s", g.effect())
	case 14:
		g.line("%s", g.call())
	case 15:
		g.line("function %s.f(a, b)", g.variable())
		g.body("a", "b")
		g.line("end")
	case 16:
		g.line("if %s then return %s end", g.expr(boolean), g.expr(anything))
	case 17:
		if g.thread {
			g.line("coroutine.yield(%s)", g.expr(anything))
		} else {
			g.line("print(%s, %s)", g.expr(anything), g.expr(anything))
		}
	case 18:
		g.line("setmetatable(%s, %s)", g.expr(table), g.metatable())
	case 19:
		g.line("table.%s", g.tableCall())
	}
}

func (g *program) loop(names ...string) {
	g.loops++
	g.block(names...)
	g.loops--
	g.line("end")
}

// body writes what is inside of a function.
func (g *program) body(names ...string) {
	loops, thread := g.loops, g.thread
	g.loops, g.thread = 0, false
	g.push(names...)
	g.stmts(g.Pick(4))
	g.line("return %s", g.expr(anything))
	g.pop()
	g.loops, g.thread = loops, thread
}

// function is a function as an expression.
func (g *program) function(names ...string) string {
	outer, thread, loops := g.out, g.thread, g.loops
	g.out, g.loops = strings.Builder{}, 0
	g.push(names...)
	g.stmts(g.Pick(3))
	g.line("return %s", g.expr(anything))
	g.pop()
	text := g.out.String()
	g.out, g.thread, g.loops = outer, thread, loops
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
	if k == anything || g.Pick(12) == 1 {
		k = kind(1 + g.Pick(5))
	}
	switch g.Pick(6) {
	case 0:
		return g.simple(k)
	case 1:
		return g.variable()
	case 2:
		return g.call()
	case 3:
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
		return g.Of("print", "tostring", "upper", "string.rep", "error", "pcall", "math.max")
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
		return "re.find(" + g.Of(`"[a-z]+"`, `re.compile("h(.)")`, g.expr(text)) + ", " + g.expr(text) + ")"
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
		return "pairs(" + g.Of("e", "config", g.variable()) + ")"
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
	return g.variable() + "(" + g.expr(anything) + ", " + g.expr(anything) + ")"
}

func (g *program) effect() string {
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
