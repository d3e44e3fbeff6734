package lua

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime/internal/script"
)

// stringNames are the names of stringMethods.
var stringNames = []string{"byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse", "sub", "upper"}

// stringMethods is the string library; each is also a method of texts.
var stringMethods = map[string]glua.LGFunction{
	"byte": stringByte, "char": stringChar, "find": stringFind, "format": stringFormat, "gmatch": stringGmatch, "gsub": stringGsub,
	"len": stringLen, "lower": stringLower, "match": stringMatch, "rep": stringRep, "reverse": stringReverse, "sub": stringSub, "upper": stringUpper,
}

var stringFunctions = func() map[string]glua.LGFunction {
	out := map[string]glua.LGFunction{}
	for name, fn := range stringMethods {
		out["string."+name] = fn
	}
	return out
}()

// stringMeta is the metatable of texts; no script can get at it.
var stringMeta = func() *glua.LTable {
	methods := &glua.LTable{Metatable: glua.LNil}
	for name, fn := range stringMethods {
		methods.RawSetString(name, goFunction(fn))
	}
	meta := &glua.LTable{Metatable: glua.LNil}
	meta.RawSetString("__index", methods)
	return meta
}()

func stringLen(L *glua.LState) int {
	return push(L, glua.LNumber(len(textArg(L, "string.len", 1))))
}

// mapped returns a text made of the first argument.
func mapped(L *glua.LState, name string, f func(string) string) int {
	s := textArg(L, name, 1)
	passOf(L).payText(L, len(s))
	return push(L, glua.LString(f(s)))
}

func stringLower(L *glua.LState) int {
	return mapped(L, "string.lower", func(s string) string { return ascii(s, 'A', 'Z', 'a'-'A') })
}

func stringUpper(L *glua.LState) int {
	return mapped(L, "string.upper", func(s string) string { return ascii(s, 'a', 'z', -('a' - 'A')) })
}

func ascii(s string, from, to byte, by int) string {
	b := []byte(s)
	for i, c := range b {
		if from <= c && c <= to {
			b[i] = byte(int(c) + by)
		}
	}
	return string(b)
}

func stringReverse(L *glua.LState) int {
	return mapped(L, "string.reverse", func(s string) string {
		b := make([]byte, len(s))
		for i := range len(s) {
			b[len(s)-1-i] = s[i]
		}
		return string(b)
	})
}

func stringRep(L *glua.LState) int {
	s, n := textArg(L, "string.rep", 1), intArg(L, "string.rep", 2, 0)
	if n <= 0 || s == "" {
		return push(L, glua.LString(""))
	}
	if max := passOf(L).m.lang.bounds.text; n > max/len(s) {
		fault(L, "string.rep", "a text of more than %d bytes", max)
	}
	passOf(L).payText(L, n*len(s))
	return push(L, glua.LString(strings.Repeat(s, n)))
}

// span turns Lua's first and last, which may count from the end, into Go's.
func span(i, j, n int) (int, int) {
	if i < 0 {
		i = max(n+i+1, 1)
	} else if i == 0 {
		i = 1
	}
	if j < 0 {
		j = n + j + 1
	}
	j = min(j, n)
	if i > j {
		return 0, 0
	}
	return i - 1, j
}

func stringSub(L *glua.LState) int {
	s := textArg(L, "string.sub", 1)
	i, j := span(intArg(L, "string.sub", 2, 1), intArg(L, "string.sub", 3, -1), len(s))
	return push(L, glua.LString(s[i:j]))
}

func stringByte(L *glua.LState) int {
	s := textArg(L, "string.byte", 1)
	first := intArg(L, "string.byte", 2, 1)
	i, j := span(first, intArg(L, "string.byte", 3, first), len(s))
	if max := passOf(L).m.lang.bounds.unpack; j-i > max {
		fault(L, "string.byte", "%d values are more than %d", j-i, max)
	}
	passOf(L).budget.spend(uint64(j - i))
	for _, c := range []byte(s[i:j]) {
		L.Push(glua.LNumber(c))
	}
	return j - i
}

func stringChar(L *glua.LState) int {
	b := make([]byte, L.GetTop())
	for i := range b {
		n := intArg(L, "string.char", i+1, 0)
		if n < 0 || n > 255 {
			fault(L, "string.char", "argument %d: %d is not between 0 and 255", i+1, n)
		}
		b[i] = byte(n)
	}
	return push(L, glua.LString(b))
}

// newMatcher prepares a match; with what a pattern costs the pass pays.
func newMatcher(L *glua.LState, src, pat string) *matcher {
	p := passOf(L)
	return &matcher{src: src, pat: pat, deepest: p.m.lang.bounds.match, spend: func(n uint64) bool {
		p.budget.spend(n)
		return p.stop == nil
	}}
}

// check raises what went wrong in a match.
func (m *matcher) check(L *glua.LState, name string) {
	if m.err == nil {
		return
	}
	p := passOf(L)
	if p.stop != nil {
		p.raise(L, p.stop)
	}
	fault(L, name, "%v: %q", m.err, script.Cut(m.pat, 60))
}

// captured returns capture i of a match from s to e; all of it if there is none.
func (m *matcher) captured(L *glua.LState, i, s, e int) glua.LValue {
	if m.level == 0 && i == 0 {
		return glua.LString(m.src[s:e])
	}
	if i >= m.level || m.caps[i].len == unclosed {
		fault(L, "pattern", "malformed pattern: %q", script.Cut(m.pat, 60))
	}
	c := m.caps[i]
	if c.len == position {
		return glua.LNumber(c.start + 1)
	}
	return glua.LString(m.src[c.start : c.start+c.len])
}

func (m *matcher) captures(L *glua.LState, s, e int) []glua.LValue {
	out := make([]glua.LValue, 0, max(m.level, 1))
	for i := range max(m.level, 1) {
		out = append(out, m.captured(L, i, s, e))
	}
	return out
}

func stringFind(L *glua.LState) int  { return search(L, "string.find", true) }
func stringMatch(L *glua.LState) int { return search(L, "string.match", false) }

func search(L *glua.LState, name string, find bool) int {
	src, pat := textArg(L, name, 1), textArg(L, name, 2)
	init := intArg(L, name, 3, 1)
	if init < 0 {
		init = max(len(src)+init+1, 1)
	}
	init = max(init, 1) - 1
	if init > len(src) {
		return push(L, glua.LNil)
	}
	p := passOf(L)
	if find && (glua.LVAsBool(arg(L, 4)) || !strings.ContainsAny(pat, "^$*+?.([%-")) {
		p.payText(L, len(src)-init)
		i := strings.Index(src[init:], pat)
		if i < 0 {
			return push(L, glua.LNil)
		}
		return push(L, glua.LNumber(init+i+1), glua.LNumber(init+i+len(pat)))
	}
	m := newMatcher(L, src, pat)
	for s := init; s <= len(src); s++ {
		e := m.match(s)
		m.check(L, name)
		if e >= 0 {
			if !find {
				return push(L, m.captures(L, s, e)...)
			}
			n := push(L, glua.LNumber(s+1), glua.LNumber(e))
			if m.level > 0 {
				n += push(L, m.captures(L, s, e)...)
			}
			return n
		}
		if m.anchored() {
			break
		}
	}
	return push(L, glua.LNil)
}

func stringGmatch(L *glua.LState) int {
	m := newMatcher(L, textArg(L, "string.gmatch", 1), textArg(L, "string.gmatch", 2))
	s := 0
	return passOf(L).iterator(L, "an iterator of string.gmatch", func(L *glua.LState) int {
		for ; s <= len(m.src); s++ {
			e := m.match(s)
			m.check(L, "string.gmatch")
			if e >= 0 {
				at := s
				if s = e; e == at {
					s++
				}
				return push(L, m.captures(L, at, e)...)
			}
		}
		return push(L, glua.LNil)
	})
}

func stringGsub(L *glua.LState) int {
	const name = "string.gsub"
	src, repl := textArg(L, name, 1), arg(L, 3)
	m := newMatcher(L, src, textArg(L, name, 2))
	most := intArg(L, name, 4, len(src)+1)
	switch repl.(type) {
	case glua.LString, glua.LNumber, *glua.LTable, *glua.LFunction:
	default:
		fault(L, name, "argument 3: got %s, want string, table or function", passOf(L).typeName(repl))
	}
	var b strings.Builder
	p := passOf(L)
	add := func(s string) {
		if max := p.m.lang.bounds.text; b.Len()+len(s) > max {
			fault(L, name, "a text of more than %d bytes", max)
		}
		p.payText(L, len(s))
		b.WriteString(s)
	}
	s, n := 0, 0
	for n < most {
		e := m.match(s)
		m.check(L, name)
		if e >= 0 {
			n++
			add(m.replacement(L, repl, s, e))
		}
		switch {
		case e > s:
			s = e
		case s < len(src):
			b.WriteByte(src[s])
			s++
		default:
			s++
		}
		if s > len(src) || m.anchored() {
			break
		}
	}
	if s < len(src) {
		add(src[s:])
	}
	return push(L, glua.LString(b.String()), glua.LNumber(n))
}

// replacement is what takes the place of the match from s to e.
func (m *matcher) replacement(L *glua.LState, repl glua.LValue, s, e int) string {
	whole := m.src[s:e]
	var v glua.LValue
	switch r := repl.(type) {
	case *glua.LTable:
		v = L.GetTable(r, m.captured(L, 0, s, e))
	case *glua.LFunction:
		saved := *m // the function may not disturb a match of another level
		L.Push(r)
		args := m.captures(L, s, e)
		push(L, args...)
		L.Call(len(args), 1)
		v = L.Get(-1)
		L.Pop(1)
		*m = saved
	default:
		text, _ := plainText(repl)
		return m.expand(L, text, s, e)
	}
	if glua.LVIsFalse(v) {
		return whole
	}
	text, ok := plainText(v)
	if !ok {
		fault(L, "string.gsub", "the replacement is %s, want string", article(passOf(L).typeName(v)))
	}
	return text
}

// expand puts captures in the place of %1 and %0.
func (m *matcher) expand(L *glua.LState, text string, s, e int) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '%' || i+1 == len(text) {
			b.WriteByte(c)
			continue
		}
		i++
		switch d := text[i]; {
		case d == '0':
			b.WriteString(m.src[s:e])
		case isDigit(d):
			t, _ := plainText(m.captured(L, int(d-'1'), s, e))
			b.WriteString(t)
		default:
			b.WriteByte(d)
		}
		if max := passOf(L).m.lang.bounds.text; b.Len() > max {
			fault(L, "string.gsub", "a text of more than %d bytes", max)
		}
	}
	return b.String()
}

// stringFormat is string.format with the verbs of C and bounded widths.
func stringFormat(L *glua.LState) int {
	const name = "string.format"
	format := textArg(L, name, 1)
	p := passOf(L)
	p.payText(L, len(format))
	var b strings.Builder
	next := 1
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		start := i
		for i++; i < len(format) && strings.IndexByte("-+ #0123456789.", format[i]) >= 0; i++ {
		}
		if i == len(format) {
			fault(L, name, "the format ends in a %%")
		}
		flags, verb := format[start+1:i], format[i]
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		if !validFlags(flags, p.m.lang.bounds.width) {
			fault(L, name, "%%%s%c has too long a width", script.Cut(flags, 20), verb)
		}
		next++
		if next > L.GetTop() {
			fault(L, name, "there is no value for %%%s%c", flags, verb)
		}
		text := formatted(L, next, flags, verb)
		if max := p.m.lang.bounds.text; b.Len()+len(text) > max {
			fault(L, name, "a text of more than %d bytes", max)
		}
		p.payText(L, len(text))
		b.WriteString(text)
	}
	return push(L, glua.LString(b.String()))
}

// validFlags bounds width and precision to some digits: the original to two.
func validFlags(flags string, digits int) bool {
	width, precision, _ := strings.Cut(strings.TrimLeft(flags, "-+ #0"), ".")
	return len(width) <= digits && len(precision) <= digits && strings.Trim(width+precision, "0123456789") == ""
}

func formatted(L *glua.LState, i int, flags string, verb byte) string {
	const name = "string.format"
	switch verb {
	case 'd', 'i':
		f := numberArg(L, name, i)
		if math.IsNaN(f) || math.Abs(f) >= 1<<63 {
			fault(L, name, "%%d wants a whole number, got %s", numberText(glua.LNumber(f)))
		}
		return fmt.Sprintf("%"+flags+"d", int64(f))
	case 'u', 'o', 'x', 'X', 'c':
		f := numberArg(L, name, i)
		if verb == 'c' {
			return string([]byte{byte(int64(f))})
		}
		if verb == 'u' {
			verb = 'd'
		}
		if math.IsNaN(f) || math.Abs(f) >= 1<<63 {
			fault(L, name, "%%%c wants a whole number", verb)
		}
		return fmt.Sprintf("%"+flags+string(verb), int64(f))
	case 'e', 'E', 'f', 'g', 'G':
		return fmt.Sprintf("%"+flags+string(verb), numberArg(L, name, i))
	case 'q':
		return quoted(textArg(L, name, i))
	case 's':
		v := arg(L, i)
		text := passOf(L).text(v)
		if t, ok := v.(*glua.LTable); ok {
			if fn, ok := metamethod(L, t, "__tostring").(*glua.LFunction); ok {
				push(L, fn, v)
				L.Call(1, 1)
				text, _ = plainText(L.Get(-1))
				L.Pop(1)
			}
		}
		if flags == "" {
			return text
		}
		return fmt.Sprintf("%"+flags+"s", text)
	}
	fault(L, name, "%%%s%c is no conversion", flags, verb)
	return ""
}

// quoted writes a text as Lua reads it.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\r':
			b.WriteString("\\r")
		case 0:
			b.WriteString("\\" + strconv.Itoa(0) + "00")
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
