package star_test

import (
	"fmt"
	"strings"
)

// form is a method or function with the kinds of its arguments. A negative
// kind may be left out.
type form struct {
	name string
	args []kind
}

const opt = -1 // factor of an argument that may be left out

var (
	textMethods = []form{
		{"capitalize", nil},
		{"lower", nil},
		{"upper", nil},
		{"title", nil},
		{"strip", []kind{opt * kText}},
		{"lstrip", []kind{opt * kText}},
		{"rstrip", []kind{opt * kText}},
		{"replace", []kind{kText, kText, opt * kInt}},
		{"removeprefix", []kind{kText}},
		{"removesuffix", []kind{kText}},
		{"join", []kind{kTexts}},
		{"format", []kind{kAny, kAny, kAny}},
	}
	textInts = []form{
		{"count", []kind{kText, opt * kInt, opt * kInt}},
		{"find", []kind{kText, opt * kInt, opt * kInt}},
		{"rfind", []kind{kText, opt * kInt}},
		{"index", []kind{kText}},
		{"rindex", []kind{kText, opt * kInt}},
	}
	textBools = []form{
		{"endswith", []kind{kText}},
		{"startswith", []kind{kText, opt * kInt}},
		{"startswith", []kind{kTuple}},
		{"isalnum", nil},
		{"isalpha", nil},
		{"isdigit", nil},
		{"islower", nil},
		{"isspace", nil},
		{"istitle", nil},
		{"isupper", nil},
	}
	textLists = []form{
		{"split", []kind{opt * kText, opt * kInt}},
		{"rsplit", []kind{opt * kText, opt * kInt}},
		{"splitlines", []kind{opt * kBool}},
		{"partition", []kind{kText}},
		{"rpartition", []kind{kText}},
	}
	textElems   = []form{{"elems", nil}, {"codepoints", nil}, {"elem_ords", nil}, {"codepoint_ords", nil}}
	listChanges = []form{
		{"append", []kind{kAny}},
		{"extend", []kind{kList}},
		{"extend", []kind{kRange}},
		{"insert", []kind{kInt, kAny}},
		{"pop", []kind{opt * kInt}},
		{"remove", []kind{kAny}},
		{"clear", nil},
		{"index", []kind{kAny, opt * kInt, opt * kInt}},
	}
	dictChanges = []form{
		{"clear", nil},
		{"pop", []kind{kKey, opt * kAny}},
		{"popitem", nil},
		{"setdefault", []kind{kKey, opt * kAny}},
		{"update", []kind{kDict}},
		{"update", []kind{kList}},
		{"get", []kind{kKey, opt * kAny}},
	}
	dictLists  = []form{{"items", nil}, {"keys", nil}, {"values", nil}}
	setChanges = []form{
		{"add", []kind{kKey}},
		{"clear", nil},
		{"discard", []kind{kKey}},
		{"pop", nil},
		{"remove", []kind{kKey}},
		{"update", []kind{kSet}},
		{"update", []kind{kTexts, kRange}},
	}
	setSets = []form{
		{"difference", []kind{kSet}}, {"intersection", []kind{kTexts}}, {"symmetric_difference", []kind{kSet}}, {"union", []kind{kRange, opt * kSet}},
	}
	setBools = []form{{"issubset", []kind{kSet}}, {"issuperset", []kind{kTexts}}}

	functions = map[kind][]form{
		kAny: {
			{"max", []kind{kList}},
			{"min", []kind{kInt, kInt}},
			{"getattr", []kind{kAny, kText, opt * kAny}},
			{"type", []kind{kAny}},
			{"json.decode", []kind{kText}},
			{"re.search", []kind{kText, kText}},
			{"abs", []kind{kFloat}},
			{"config.get", []kind{kText}},
			{"catch", []kind{kFunc, kAny}},
			{"now", nil},
			{"random", nil},
			{"fail", []kind{kAny}},
			{"secret", []kind{kText}},
		},
		kInt: {
			{"len", []kind{kList}},
			{"len", []kind{kAny}},
			{"int", []kind{kFloat}},
			{"int", []kind{kText, opt * kInt}},
			{"abs", []kind{kInt}},
			{"ord", []kind{kText}},
			{"hash", []kind{kText}},
			{"count", []kind{opt * kAny, opt * kAny}},
			{"hash", []kind{kBytes}},
		},
		kText: {
			{"str", []kind{kAny}},
			{"repr", []kind{kAny}},
			{"chr", []kind{kInt}},
			{"type", []kind{kAny}},
			{"upper", []kind{kText}},
			{"json.encode", []kind{kAny}},
			{"str", []kind{kBytes}},
		},
		kList: {
			{"list", []kind{kRange}},
			{"list", []kind{opt * kAny}},
			{"sorted", []kind{kList}},
			{"sorted", []kind{kTexts}},
			{"reversed", []kind{kList}},
			{"enumerate", []kind{kList, opt * kInt}},
			{"zip", []kind{kList, opt * kRange}},
			{"dir", []kind{kAny}},
		},
		kDict:   {{"dict", []kind{opt * kDict}}, {"dict", []kind{kList}}},
		kTuple:  {{"tuple", []kind{kList}}, {"tuple", []kind{opt * kAny}}, {"catch", []kind{kFunc, kAny}}},
		kSet:    {{"set", []kind{kTexts}}, {"set", []kind{kRange}}, {"set", []kind{opt * kList}}},
		kBytes:  {{"bytes", []kind{kText}}, {"bytes", []kind{kList}}},
		kBool:   {{"bool", []kind{kAny}}, {"all", []kind{kList}}, {"any", []kind{kAny}}, {"hasattr", []kind{kAny, kText}}},
		kFloat:  {{"float", []kind{kInt}}, {"float", []kind{kText}}, {"float", []kind{kFloat}}},
		kRange:  {{"range", []kind{kInt}}, {"range", []kind{kInt, kInt, opt * kInt}}},
		kTexts:  {{"sorted", []kind{kTexts}}, {"dir", []kind{kAny}}},
		kStruct: {{"struct", nil}},
	}
)

func (g *program) method(list []form) string { return "." + g.apply(list[g.Pick(len(list))]) }

// apply writes name(arguments).
func (g *program) apply(f form) string {
	var args []string
	for _, k := range f.args {
		if k < 0 {
			if g.Chance(50) {
				break
			}
			k = -k
		}
		args = append(args, g.expr(k))
	}
	switch {
	case f.name == "struct":
		args = append(args, "a = "+g.expr(kAny), "b = "+g.expr(kAny))
	case (f.name == "sorted" || f.name == "max" || f.name == "min") && g.Chance(40):
		args = append(args, "key = "+g.expr(kFunc))
	case f.name == "sorted" && g.Chance(30):
		args = append(args, "reverse = True")
	case g.Chance(3):
		args = append(args, "*"+g.expr(kList))
	case g.Chance(3):
		args = append(args, "**"+g.expr(kDict))
	}
	return f.name + "(" + strings.Join(args, ", ") + ")"
}

// expr writes an expression of a kind, mostly.
func (g *program) expr(k kind) string {
	if g.Chance(2) {
		k = kind(g.Pick(int(kinds)))
	}
	g.depth++
	defer func() { g.depth-- }()
	if !g.Spend() || g.depth > 6 {
		return g.literal(k)
	}
	switch n := g.Pick(20); {
	case n < 7:
		if v := g.name(k); v != "" {
			return v
		}
		return g.literal(k)
	case n < 9:
		return g.literal(k)
	case n == 9:
		return fmt.Sprintf("(%s if %s else %s)", g.expr(k), g.expr(kBool), g.expr(k))
	case n == 10:
		if f := g.name(kFunc); f != "" {
			return f + "(" + g.expr(kAny) + ")"
		}
	case n == 11:
		return g.indexed()
	case n == 12:
		return fmt.Sprintf("(%s %s %s)", g.expr(k), g.Of("or", "and"), g.expr(k))
	case n < 16:
		if fs := functions[k]; len(fs) > 0 {
			return g.apply(fs[g.Pick(len(fs))])
		}
	}
	return g.compound(k)
}

func (g *program) indexed() string {
	switch g.Pick(7) {
	case 0:
		return g.expr(kList) + "[" + g.expr(kInt) + "]"
	case 1:
		return g.expr(kDict) + ".get(" + g.expr(kKey) + ", " + g.expr(kAny) + ")"
	case 2:
		return g.expr(kDict) + "[" + g.expr(kKey) + "]"
	case 3:
		return g.expr(kStruct) + "." + g.Of("a", "b")
	case 4:
		return g.expr(kTuple) + "[" + g.expr(kInt) + "]"
	case 5:
		return g.event() + g.Of(".text", ".user", ".raw", "[\"channel\"]", ".tags", ".raw.blocks", ".nothing", ".raw.count")
	}
	return g.expr(kText) + "[" + g.expr(kInt) + "]"
}

// event is the event where there is one.
func (g *program) event() string {
	if g.vars[len(g.vars)-1] != nil && len(g.vars) > 1 && len(g.vars[1]) > 0 && g.vars[1][0].name == "e" {
		return "e"
	}
	return "{\"text\": \"a\"}"
}

func (g *program) slice() string {
	part := func() string {
		if g.Chance(50) {
			return g.expr(kInt)
		}
		return ""
	}
	s := "[" + part() + ":" + part()
	if g.Chance(30) {
		s += ":" + part()
	}
	return s + "]"
}

// compound writes operators, methods, comprehensions and displays.
func (g *program) compound(k kind) string {
	switch k {
	case kInt:
		switch g.Pick(4) {
		case 0:
			return g.expr(kText) + g.method(textInts)
		case 1:
			return g.Of("-", "+", "~") + g.expr(kInt)
		}
		return fmt.Sprintf("(%s %s %s)", g.expr(kInt), g.Of("+", "-", "*", "//", "%", "<<", ">>", "&", "|", "^"), g.expr(kInt))
	case kFloat:
		return fmt.Sprintf("(%s %s %s)", g.expr(kFloat), g.Of("+", "-", "*", "/", "//", "%"), g.expr(g.number()))
	case kText:
		return g.text()
	case kBool:
		return g.condition()
	case kList, kTexts:
		return g.list(k)
	case kDict:
		return g.dict()
	case kTuple:
		switch g.Pick(4) {
		case 0:
			return "(" + g.expr(kTuple) + " + " + g.expr(kTuple) + ")"
		case 1:
			return "(" + g.expr(kTuple) + " * " + g.expr(kInt) + ")"
		case 2:
			return g.expr(kTuple) + g.slice()
		}
		return "(" + g.expr(kAny) + ", " + g.expr(kAny) + ")"
	case kSet:
		if g.Chance(50) {
			return g.expr(kSet) + g.method(setSets)
		}
		return fmt.Sprintf("(%s %s %s)", g.expr(kSet), g.Of("|", "&", "-", "^"), g.expr(kSet))
	case kBytes:
		switch g.Pick(3) {
		case 0:
			return "(" + g.expr(kBytes) + " + " + g.expr(kBytes) + ")"
		case 1:
			return "(" + g.expr(kBytes) + " * " + g.expr(kInt) + ")"
		}
		return g.expr(kBytes) + g.slice()
	case kFunc:
		return g.function()
	case kKey:
		return g.expr([]kind{kText, kInt, kTuple, kBytes, kStruct, kFloat, kFunc}[g.Pick(7)])
	case kRange:
		return g.expr(kRange) + g.slice()
	case kStruct:
		return "(" + g.expr(kStruct) + " + " + g.expr(kStruct) + ")"
	}
	return g.expr(kind(1 + g.Pick(int(kinds)-1)))
}

func (g *program) number() kind { return []kind{kFloat, kInt}[g.Pick(2)] }

func (g *program) text() string {
	switch g.Pick(6) {
	case 0:
		return "(" + g.expr(kText) + " + " + g.expr(kText) + ")"
	case 1:
		return "(" + g.expr(kText) + " * " + g.expr(kInt) + ")"
	case 2:
		return g.expr(kText) + g.slice()
	case 3:
		return "(" + g.format(`"%s"`, `"%r and %s"`, `"%d"`, `"%(a)s"`, `"%x%%"`, `"%f %g"`, `"%c"`) + " % " + g.operand() + ")"
	case 4:
		return g.format(`"{} {}"`, `"{0}{0}"`, `"{a!r}"`, `"{{}}"`) + ".format(" + g.expr(kAny) + ", " + g.expr(kAny) + ", a = " + g.expr(kAny) + ")"
	}
	return g.expr(kText) + g.method(textMethods)
}

// format is one of several formats, or any text.
func (g *program) format(list ...string) string {
	if g.Chance(20) {
		return g.expr(kText)
	}
	return g.Of(list...)
}

// operand is the right side of text % x.
func (g *program) operand() string {
	switch g.Pick(4) {
	case 0:
		return g.expr(kTuple)
	case 1:
		return "(" + g.expr(kAny) + ", " + g.expr(kAny) + ")"
	case 2:
		return `{"a": ` + g.expr(kAny) + "}"
	}
	return g.expr(kAny)
}

func (g *program) condition() string {
	switch g.Pick(7) {
	case 0:
		return "(not " + g.expr(kBool) + ")"
	case 1:
		return "(" + g.expr(kAny) + g.Of(" == ", " != ") + g.expr(kAny) + ")"
	case 2:
		k := []kind{kInt, kText, kList, kTuple, kFloat, kSet, kBytes}[g.Pick(7)]
		return "(" + g.expr(k) + g.Of(" < ", " <= ", " > ", " >= ") + g.expr(k) + ")"
	case 3:
		return "(" + g.expr(kAny) + g.Of(" in ", " not in ") + g.expr(g.iterable()) + ")"
	case 4:
		return "(" + g.expr(kText) + g.Of(" in ", " not in ") + g.expr(kText) + ")"
	case 5:
		return g.expr(kSet) + g.method(setBools)
	}
	return g.expr(kText) + g.method(textBools)
}

// list writes a list, of texts if that is wanted.
func (g *program) list(k kind) string {
	elem := kAny
	if k == kTexts {
		elem = kText
	}
	switch g.Pick(9) {
	case 0:
		return "(" + g.expr(k) + " + " + g.expr(k) + ")"
	case 1:
		return "(" + g.expr(k) + " * " + g.expr(kInt) + ")"
	case 2:
		return g.expr(k) + g.slice()
	case 3:
		return g.comprehension("[", elem, "]")
	case 4:
		return g.expr(kText) + g.method(textLists)
	case 5:
		return "list(" + g.expr(kText) + g.method(textElems) + ")"
	case 6:
		return g.expr(kDict) + g.method(dictLists)
	}
	parts := make([]string, g.Pick(5))
	for i := range parts {
		parts[i] = g.expr(elem)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (g *program) dict() string {
	switch g.Pick(4) {
	case 0:
		return "(" + g.expr(kDict) + " | " + g.expr(kDict) + ")"
	case 1:
		return g.comprehension("{"+g.expr(kKey)+": ", kAny, "}")
	}
	parts := make([]string, g.Pick(4))
	for i := range parts {
		parts[i] = g.expr(kKey) + ": " + g.expr(kAny)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (g *program) comprehension(open string, elem kind, end string) string {
	g.vars = append(g.vars, nil)
	defer func() { g.vars = g.vars[:len(g.vars)-1] }()
	clauses := " for " + g.target(g.expr(g.iterable()))
	if g.Chance(25) {
		clauses += " for " + g.target(g.expr(g.iterable()))
	}
	if g.Chance(40) {
		clauses += " if " + g.expr(kBool)
	}
	return open + g.expr(elem) + clauses + end
}

func (g *program) function() string {
	switch g.Pick(7) {
	case 0:
		return g.expr(kText) + ".join"
	case 1:
		return g.expr(kList) + ".append"
	case 2:
		return "getattr(" + g.expr(kText) + ", \"split\")"
	case 3:
		return g.literal(kFunc)
	}
	params := g.Of("x", "x, *r", "x = 1, **k", "*x")
	g.vars = append(g.vars, []variable{{"x", kAny}})
	defer func() { g.vars = g.vars[:len(g.vars)-1] }()
	return "(lambda " + params + ": " + g.expr(kAny) + ")"
}

// literal writes a value without parts.
func (g *program) literal(k kind) string {
	switch k {
	case kInt:
		return g.Int()
	case kText:
		return quote(g.Text())
	case kList:
		return g.Of("[]", "[1, 2, 3]", `["a", [], {}]`, "[(1, 2), (3, 4)]", "[None, True, 1.5]")
	case kDict:
		return g.Of("{}", `{"a": 1}`, `{1: 2, "b": [3]}`, `{(1, 2): {}}`)
	case kTuple:
		return g.Of("()", "(1,)", `(1, "a")`, `("a", "b", ())`)
	case kSet:
		return g.Of("set()", "set([1, 2])", `set(["a", "b"])`)
	case kBytes:
		return g.Of(`b""`, `b"abc"`, `b"\xff\x00"`)
	case kBool:
		return g.Of("True", "False", "(1 < 2)", `("a" == "b")`)
	case kFloat:
		return g.Of("0.0", "1.5", "-2.25", "1e308", "1e-320", "float(\"inf\")", "float(\"nan\")", "-0.0", "3.0")
	case kFunc:
		return g.Of("len", "str", "(lambda x: x)", "repr", "list", "sorted")
	case kTexts:
		return g.Of("[]", `["a", "b"]`, `["x", "", "é"]`)
	case kKey:
		return g.Of(`"a"`, "1", "(1, 2)", `"b"`, "1.0", "True", "None", "1 << 32")
	case kRange:
		return g.Of("range(5)", "range(0)", "range(3, -3, -1)", "range(1 << 40)", "range(10, 2000)")
	case kStruct:
		return g.Of("struct(a = 1, b = 2)", `struct(a = "x", b = [])`)
	}
	return g.Of("None", "1", `"s"`, "[1]", "{}", "(2, 3)", "True", "1.5", g.event())
}

// quote writes a text as a literal of Starlark.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c < 0x20:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
