package lua

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
)

// What built-ins of the language cost in steps: an instruction is one.
const (
	newTableCost = 40   // an empty table becomes 2 KB with its first field
	maxDump      = 2000 // parts of a table that print shows
)

// charText is the cost of copying n bytes.
func charText(n int) uint64 { return uint64(n)/16 + 1 }

var baseFunctions = map[string]glua.LGFunction{
	"assert": baseAssert, "error": baseError, "select": baseSelect, "tonumber": baseToNumber, "tostring": baseToString,
	"ipairs": baseIpairs, "pairs": basePairs, "next": baseNext, "rawget": baseRawGet, "rawset": baseRawSet, "rawequal": baseRawEqual,
	"setmetatable": baseSetMetatable, "getmetatable": baseGetMetatable, "unpack": baseUnpack, "require": baseRequire,
	"print": basePrint, "fail": baseFail, "type": baseType, "struct": baseStruct,
}

// arg returns argument i; a pending result suspends.
func arg(L *glua.LState, i int) glua.LValue {
	v := L.Get(i)
	if _, ok := v.(*glua.LUserData); ok {
		passOf(L).look(L, v)
	}
	return v
}

// fault raises an argument error.
func fault(L *glua.LState, name, format string, args ...any) {
	passOf(L).raise(L, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
}

func tableArg(L *glua.LState, name string, i int) *glua.LTable {
	t, ok := arg(L, i).(*glua.LTable)
	if !ok {
		fault(L, name, "argument %d: got %s, want table", i, passOf(L).typeName(L.Get(i)))
	}
	return t
}

func textArg(L *glua.LState, name string, i int) string {
	switch v := arg(L, i).(type) {
	case glua.LString:
		return string(v)
	case glua.LNumber:
		return numberText(v)
	}
	fault(L, name, "argument %d: got %s, want string", i, passOf(L).typeName(L.Get(i)))
	return ""
}

func numberArg(L *glua.LState, name string, i int) float64 {
	switch v := arg(L, i).(type) {
	case glua.LNumber:
		return float64(v)
	case glua.LString:
		if f, ok := parseNumber(string(v), 10); ok {
			return f
		}
	}
	fault(L, name, "argument %d: got %s, want number", i, passOf(L).typeName(L.Get(i)))
	return 0
}

// intArg is a number cut to an int within what a script can mean.
func intArg(L *glua.LState, name string, i, def int) int {
	if arg(L, i) == glua.LNil {
		return def
	}
	f := numberArg(L, name, i)
	if math.IsNaN(f) {
		return 0
	}
	return int(math.Max(-1<<40, math.Min(1<<40, f)))
}

func push(L *glua.LState, values ...glua.LValue) int {
	for _, v := range values {
		L.Push(v)
	}
	return len(values)
}

func baseAssert(L *glua.LState) int {
	if glua.LVIsFalse(arg(L, 1)) {
		p := passOf(L)
		if L.GetTop() < 2 {
			p.raise(L, fmt.Errorf("assertion failed"))
		}
		p.raiseValue(L, L.Get(2), 0)
	}
	return L.GetTop()
}

func baseError(L *glua.LState) int {
	passOf(L).raiseValue(L, arg(L, 1), intArg(L, "error", 2, 1))
	return 0
}

// raiseValue is error(): a text gets the place of the caller, other values
// travel as they are.
func (p *pass) raiseValue(L *glua.LState, v glua.LValue, level int) {
	r := &raised{err: &runtime.Error{Kind: runtime.RunError, Msg: p.words(v)}}
	switch v.(type) {
	case glua.LString, glua.LNumber:
		if level > 0 {
			r.err.Pos = p.posIn(L)
		} else {
			r.value = v
		}
	default:
		r.value = v
	}
	p.throw(L, r)
}

func baseSelect(L *glua.LState) int {
	if s, ok := arg(L, 1).(glua.LString); ok && s == "#" {
		return push(L, glua.LNumber(L.GetTop()-1))
	}
	n := intArg(L, "select", 1, 0)
	top := L.GetTop()
	if n < 0 {
		n = top + n
	}
	if n < 1 {
		fault(L, "select", "argument 1 is out of range")
	}
	return max(0, top-n)
}

func baseToNumber(L *glua.LState) int {
	base := intArg(L, "tonumber", 2, 10)
	switch v := arg(L, 1).(type) {
	case glua.LNumber:
		return push(L, v)
	case glua.LString:
		passOf(L).budget.spend(charText(len(v)))
		if f, ok := parseNumber(string(v), base); ok {
			return push(L, glua.LNumber(f))
		}
	}
	return push(L, glua.LNil)
}

// parseNumber reads a number as Lua does: decimal, or 0x…, or of another base.
func parseNumber(s string, base int) (float64, bool) {
	s = strings.TrimSpace(s)
	if base != 10 {
		n, err := strconv.ParseInt(strings.ToLower(s), min(max(base, 2), 36), 64)
		return float64(n), err == nil
	}
	neg := strings.HasPrefix(s, "-")
	if hex := strings.ToLower(strings.TrimPrefix(s, "-")); strings.HasPrefix(hex, "0x") {
		n, err := strconv.ParseUint(hex[2:], 16, 64)
		if neg {
			return -float64(n), err == nil
		}
		return float64(n), err == nil
	}
	if s == "" || strings.ContainsAny(s, "_xXpPnNiI") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || math.IsInf(f, 0)
}

// numberText is the text of a number: as C's "%.14g".
func numberText(v glua.LNumber) string {
	f := float64(v)
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.FormatInt(int64(f), 10)
	}
	s := strconv.FormatFloat(f, 'g', 14, 64)
	if strings.Contains(s, "e") || !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

func baseToString(L *glua.LState) int {
	v := arg(L, 1)
	if t, ok := v.(*glua.LTable); ok {
		if fn, ok := metamethod(L, t, "__tostring").(*glua.LFunction); ok {
			push(L, fn, v)
			L.Call(1, 1)
			return 1
		}
	}
	return push(L, glua.LString(passOf(L).text(v)))
}

func metamethod(L *glua.LState, t *glua.LTable, name string) glua.LValue {
	if meta, ok := t.Metatable.(*glua.LTable); ok {
		return meta.RawGetString(name)
	}
	return glua.LNil
}

// text is tostring without metamethods, and without addresses, which differ
// from run to run.
func (p *pass) text(v glua.LValue) string {
	switch v := v.(type) {
	case glua.LString:
		return string(v)
	case glua.LNumber:
		return numberText(v)
	case *glua.LUserData:
		switch h := v.Value.(type) {
		case secret:
			return "***"
		case regexpValue:
			return "re.compile(" + strconv.Quote(h.pattern) + ")"
		case *object:
			return h.obj.TypeName()
		}
		return p.dump(v)
	case *glua.LNilType, glua.LBool:
		return v.String()
	}
	return v.Type().String()
}

// words is text for people: tables are shown as JSON where they have such a form.
func (p *pass) words(v glua.LValue) string {
	if t, ok := v.(*glua.LTable); ok {
		return p.dump(t)
	}
	return p.text(v)
}

func (p *pass) dump(v glua.LValue) string {
	if p.budget.p == nil {
		return v.Type().String()
	}
	c := converter{p: p, parts: maxDump}
	w, err := c.value(v, runtime.MaxDepth)
	p.budget.spend(uint64(maxDump - max(c.parts, 0)))
	if err == nil {
		if b, err := runtime.AppendJSON(nil, w); err == nil {
			p.budget.spend(charText(len(b)))
			return string(b)
		}
	}
	return p.typeName(v)
}

func basePrint(L *glua.LState) int {
	p := passOf(L)
	outer := p.cur
	p.cur = L
	if err := p.ledger.Log(runtime.LogLine{Level: slog.LevelInfo, Text: p.sentence(L)}); err != nil {
		p.raise(L, err)
	}
	p.cur = outer
	return 0
}

func baseFail(L *glua.LState) int {
	p := passOf(L)
	p.raise(L, &runtime.Error{Kind: runtime.RunError, Msg: p.sentence(L)})
	return 0
}

// sentence joins the arguments with spaces.
func (p *pass) sentence(L *glua.LState) string {
	var b strings.Builder
	for i := 1; i <= L.GetTop(); i++ {
		if i > 1 {
			b.WriteByte(' ')
		}
		text := p.words(arg(L, i))
		if max := p.m.lang.bounds.text; b.Len()+len(text) > max {
			fault(L, "print", "the text is longer than %d bytes", max)
		}
		b.WriteString(text)
		p.budget.spend(charText(len(text)))
	}
	return b.String()
}

func baseType(L *glua.LState) int {
	if L.GetTop() == 0 {
		fault(L, "type", "missing argument")
	}
	return push(L, glua.LString(passOf(L).typeName(arg(L, 1))))
}

func baseStruct(L *glua.LState) int {
	t := tableArg(L, "struct", 1)
	inner := &glua.LTable{Metatable: glua.LNil}
	n := 0
	each(t, func(k, v glua.LValue) bool {
		n++
		inner.RawSet(k, v)
		return true
	})
	passOf(L).budget.spend(uint64(2*newTableCost + n))
	return push(L, frozenTable(inner))
}

func baseRequire(L *glua.LState) int {
	p := passOf(L)
	v := p.st.modules[textArg(L, "require", 1)]
	if v == nil {
		fault(L, "require", "no such file")
	}
	return push(L, v)
}

func baseUnpack(L *glua.LState) int {
	v := arg(L, 1)
	get, n := L.RawGetInt, 0
	var t *glua.LTable
	switch h := hostOf(v).(type) {
	case *listView:
		n = h.src.Len()
	default:
		t = rawOf(tableArg(L, "unpack", 1))
		n = t.Len()
	}
	from, to := intArg(L, "unpack", 2, 1), intArg(L, "unpack", 3, n)
	p := passOf(L)
	if max := p.m.lang.bounds.unpack; to-from >= max {
		fault(L, "unpack", "%d values are more than %d", to-from+1, max)
	}
	for i := from; i <= to; i++ {
		p.budget.spend(1)
		if t != nil {
			L.Push(get(t, i))
			continue
		}
		w, err := p.indexHost(hostOf(v), glua.LNumber(i))
		if err != nil {
			p.raise(L, err)
		}
		L.Push(w)
	}
	return max(0, to-from+1)
}
