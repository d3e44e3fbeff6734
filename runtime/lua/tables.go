package lua

import (
	"fmt"
	"sort"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
)

var tableFunctions = map[string]glua.LGFunction{
	"table.concat": tableConcat, "table.insert": tableInsert, "table.remove": tableRemove, "table.sort": tableSort,
	"table.maxn": tableMaxn, "table.unpack": baseUnpack, "table.getn": tableLen,
}

// newTable is what a table constructor goes through, and a function that
// closes over many variables: it pays for them. A second argument is the cost.
func newTable(L *glua.LState) int {
	t, cost := L.Get(1), uint64(newTableCost)
	if n, ok := L.Get(2).(glua.LNumber); ok {
		cost = uint64(n)
	}
	passOf(L).budget.spend(cost)
	L.Push(t)
	return 1
}

// farKey is what a computed key of a store goes through: (key, table).
func farKey(L *glua.LState) int {
	k := L.Get(1)
	n, ok := k.(glua.LNumber)
	if ok && n > 64 && n < maxIndex {
		if t, ok := L.Get(2).(*glua.LTable); !ok || t.RawGetInt(int(n)-1) == glua.LNil && t.RawGetInt(int(n)) == glua.LNil {
			passOf(L).budget.spend(uint64(n))
		}
	} else if ok && n >= maxIndex {
		passOf(L).budget.spend(32)
	}
	L.Push(k)
	return 1
}

// concat is the operator .. with all its operands.
func concat(L *glua.LState) int {
	p := passOf(L)
	n := L.GetTop()
	size := 0
	for i := 1; i <= n; i++ {
		s, ok := L.Get(i).(glua.LString)
		if !ok {
			return concatAny(L, p, n)
		}
		size += len(s)
	}
	p.payText(L, size)
	var b strings.Builder
	b.Grow(size)
	for i := 1; i <= n; i++ {
		b.WriteString(string(L.Get(i).(glua.LString)))
	}
	return push(L, glua.LString(b.String()))
}

// payText pays for a text that is about to be made.
func (p *pass) payText(L *glua.LState, size int) {
	if max := p.m.lang.bounds.text; size > max {
		p.raise(L, fmt.Errorf("a text of more than %d bytes", max))
	}
	p.budget.spend(charText(size))
	if p.stop != nil {
		p.raise(L, p.stop)
	}
}

// concatAny joins from the right, as Lua does, values of other kinds.
func concatAny(L *glua.LState, p *pass, n int) int {
	acc := arg(L, n)
	for i := n - 1; i >= 1; i-- {
		acc = p.join(L, arg(L, i), acc)
	}
	return push(L, acc)
}

func (p *pass) join(L *glua.LState, a, b glua.LValue) glua.LValue {
	x, okX := plainText(a)
	y, okY := plainText(b)
	if okX && okY {
		p.payText(L, len(x)+len(y))
		return glua.LString(x + y)
	}
	_, secretX := hostOf(a).(secret)
	_, secretY := hostOf(b).(secret)
	if (okX || secretX) && (okY || secretY) {
		parts := append(append([]runtime.SecretPart(nil), secretParts(a)...), secretParts(b)...)
		p.budget.spend(uint64(len(parts)))
		if max := p.m.lang.bounds.parts; len(parts) > max {
			p.raise(L, fmt.Errorf("a secret of more than %d parts", max))
		}
		return userdata(secret{runtime.Secret{Parts: parts}})
	}
	for _, v := range [...]glua.LValue{a, b} {
		if t, ok := v.(*glua.LTable); ok {
			if fn, ok := metamethod(L, t, "__concat").(*glua.LFunction); ok {
				push(L, fn, a, b)
				L.Call(2, 1)
				v := L.Get(-1)
				L.Pop(1)
				return v
			}
		}
	}
	bad := a
	if okX || secretX {
		bad = b
	}
	e := &runtime.Error{Kind: runtime.RunError, Msg: "cannot join a text and " + article(p.typeName(bad))}
	if bad == glua.LNil {
		e.Hint = "the value is nil: write (x or \"\")"
	} else {
		e.Hint = "tostring(x) makes a text of a value"
	}
	p.raise(L, e)
	return nil
}

func plainText(v glua.LValue) (string, bool) {
	switch v := v.(type) {
	case glua.LString:
		return string(v), true
	case glua.LNumber:
		return numberText(v), true
	}
	return "", false
}

func secretParts(v glua.LValue) []runtime.SecretPart {
	if s, ok := hostOf(v).(secret); ok {
		return s.v.Parts
	}
	s, _ := plainText(v)
	return []runtime.SecretPart{{Text: s}}
}

func basePairs(L *glua.LState) int {
	p := passOf(L)
	switch h := hostOf(arg(L, 1)).(type) {
	case *dictView:
		return p.iterator(L, "an iterator", dictIterator(p, h))
	case *listView:
		return push(L, inextFn, L.Get(1), glua.LNumber(0))
	case *object:
		return p.iterator(L, "an iterator", objectIterator(p, h))
	}
	t := tableArg(L, "pairs", 1)
	return push(L, nextFn, t, glua.LNil)
}

var (
	nextFn  = goFunction(baseNext)
	inextFn = goFunction(inext)
)

// iterator returns a Go iterator, and remembers it while loading: it has a
// state of its own.
func (p *pass) iterator(L *glua.LState, what string, f glua.LGFunction) int {
	fn := goFunction(f)
	if p.x.Loading {
		p.stateful[fn] = made{what, p.posIn(L)}
	}
	p.budget.spend(callCost)
	return push(L, fn)
}

func dictIterator(p *pass, v *dictView) glua.LGFunction {
	keys := v.source().Keys()
	p.budget.spend(uint64(len(keys)))
	return func(L *glua.LState) int {
		for len(keys) > 0 {
			k := keys[0]
			keys = keys[1:]
			w, err := p.indexHost(v, glua.LString(k))
			if err != nil {
				p.raise(L, err)
			}
			if w != glua.LNil {
				return push(L, glua.LString(k), w)
			}
		}
		return push(L, glua.LNil)
	}
}

// objectIterator yields the fields that are there.
func objectIterator(p *pass, o *object) glua.LGFunction {
	names := o.obj.FieldNames()
	return func(L *glua.LState) int {
		for len(names) > 0 {
			name := names[0]
			names = names[1:]
			if v, _ := o.obj.Field(name); v != nil {
				w, err := p.show(v)
				if err != nil {
					p.raise(L, err)
				}
				return push(L, glua.LString(name), w)
			}
		}
		return push(L, glua.LNil)
	}
}

func baseNext(L *glua.LState) int {
	t := rawOf(tableArg(L, "next", 1))
	key := L.Get(2)
	if n, ok := key.(glua.LNumber); key != glua.LNil && t.RawGet(key) == glua.LNil && (!ok || n != n) {
		// The interpreter would begin anew for a key that it does not know.
		if k, _ := t.Next(glua.LNil); k == glua.LNil {
			return push(L, glua.LNil)
		}
	}
	passOf(L).budget.spend(1)
	k, v := t.Next(key)
	return push(L, k, v)
}

func baseIpairs(L *glua.LState) int {
	if _, ok := hostOf(arg(L, 1)).(*listView); !ok {
		tableArg(L, "ipairs", 1)
	}
	return push(L, inextFn, L.Get(1), glua.LNumber(0))
}

func inext(L *glua.LState) int {
	p := passOf(L)
	i := intArg(L, "ipairs", 2, 0) + 1
	var v glua.LValue
	if t, ok := L.Get(1).(*glua.LTable); ok {
		v = rawOf(t).RawGetInt(i)
	} else {
		var err error
		if v, err = p.indexHost(hostOf(L.Get(1)), glua.LNumber(i)); err != nil {
			p.raise(L, err)
		}
	}
	if v == nil || v == glua.LNil {
		return push(L, glua.LNil)
	}
	return push(L, glua.LNumber(i), v)
}

func baseRawGet(L *glua.LState) int {
	return push(L, rawOf(tableArg(L, "rawget", 1)).RawGet(L.Get(2)))
}

func baseRawSet(L *glua.LState) int {
	p := passOf(L)
	t := p.ownTable(L, "rawset", 1)
	k := L.Get(2)
	if n, ok := k.(glua.LNumber); k == glua.LNil || ok && n != n {
		fault(L, "rawset", "the key is nil or no number")
	} else if ok && n > 64 && n < maxIndex {
		p.budget.spend(uint64(n))
	}
	t.RawSet(k, L.Get(3))
	return push(L, t)
}

// ownTable is a table argument that may be changed.
func (p *pass) ownTable(L *glua.LState, name string, i int) *glua.LTable {
	if h := hostOf(arg(L, i)); h != nil {
		p.raise(L, &runtime.Error{Kind: runtime.RunError, Msg: name + ": cannot change a frozen " + p.typeName(L.Get(i)), Hint: "build a table of your own"})
	}
	t := tableArg(L, name, i)
	if innerOf(t) != nil {
		p.raise(L, frozenError(name))
	}
	return t
}

func baseRawEqual(L *glua.LState) int {
	return push(L, glua.LBool(L.RawEqual(L.Get(1), L.Get(2))))
}

func baseSetMetatable(L *glua.LState) int {
	p := passOf(L)
	t := p.ownTable(L, "setmetatable", 1)
	if own, ok := t.Metatable.(*glua.LTable); ok && own.RawGetString("__metatable") != glua.LNil {
		fault(L, "setmetatable", "the metatable is protected")
	}
	switch m := L.Get(2).(type) {
	case *glua.LNilType:
		t.Metatable = glua.LNil
	case *glua.LTable:
		t.Metatable = rawOf(m)
	default:
		fault(L, "setmetatable", "argument 2: got %s, want table or nil", p.typeName(m))
	}
	return push(L, t)
}

func baseGetMetatable(L *glua.LState) int {
	p := passOf(L)
	t, ok := arg(L, 1).(*glua.LTable)
	if !ok {
		return push(L, glua.LNil)
	}
	meta := t.Metatable
	if f := frozenOf(t); f != nil {
		meta = f.meta
	}
	m, ok := meta.(*glua.LTable)
	if !ok || m == listMeta {
		return push(L, glua.LNil)
	}
	if v := rawOf(m).RawGetString("__metatable"); v != glua.LNil {
		return push(L, v)
	}
	if proxy := p.st.proxies[m]; proxy != nil {
		m = proxy
	} else if !p.ownMeta(m) {
		return push(L, glua.LNil)
	}
	return push(L, m)
}

// ownMeta tells a metatable of the script from one of ours.
func (p *pass) ownMeta(m *glua.LTable) bool {
	return m != hostMeta && m != stringMeta && m.RawGetString(frozenKey) == glua.LNil
}

func tableConcat(L *glua.LState) int {
	p := passOf(L)
	sep := ""
	if arg(L, 2) != glua.LNil {
		sep = textArg(L, "table.concat", 2)
	}
	get, n := p.elementsOf(L, "table.concat", 1)
	from, to := intArg(L, "table.concat", 3, 1), intArg(L, "table.concat", 4, n)
	var b strings.Builder
	for i := from; i <= to; i++ {
		s, ok := plainText(get(i))
		if !ok {
			fault(L, "table.concat", "element %d is %s", i, article(p.typeName(get(i))))
		}
		if i > from {
			s = sep + s
		}
		if max := p.m.lang.bounds.text; b.Len()+len(s) > max {
			fault(L, "table.concat", "a text of more than %d bytes", max)
		}
		p.payText(L, len(s))
		b.WriteString(s)
	}
	return push(L, glua.LString(b.String()))
}

// elementsOf reads the list that argument i is, table or view.
func (p *pass) elementsOf(L *glua.LState, name string, i int) (get func(int) glua.LValue, n int) {
	if h, ok := hostOf(arg(L, i)).(*listView); ok {
		return func(i int) glua.LValue {
			v, err := p.indexHost(h, glua.LNumber(i))
			if err != nil {
				p.raise(L, err)
			}
			return v
		}, h.src.Len()
	}
	t := rawOf(tableArg(L, name, i))
	return t.RawGetInt, t.Len()
}

func tableInsert(L *glua.LState) int {
	p := passOf(L)
	t := p.ownTable(L, "table.insert", 1)
	n := t.Len()
	if max := p.m.lang.bounds.list; n >= max {
		fault(L, "table.insert", "a list has at most %d elements", max)
	}
	switch L.GetTop() {
	case 2:
		t.RawSetInt(n+1, L.Get(2))
	case 3:
		at := intArg(L, "table.insert", 2, n+1)
		if at < 1 || at > n+1 {
			fault(L, "table.insert", "position %d is not between 1 and %d", at, n+1)
		}
		p.budget.spend(charText(16 * (n - at + 1) / 4))
		t.Insert(at, L.Get(3))
	default:
		fault(L, "table.insert", "want a table, perhaps a position, and a value")
	}
	return 0
}

func tableRemove(L *glua.LState) int {
	p := passOf(L)
	t := p.ownTable(L, "table.remove", 1)
	n := t.Len()
	at := intArg(L, "table.remove", 2, n)
	if n == 0 || at < 1 || at > n {
		return push(L, glua.LNil)
	}
	p.budget.spend(charText(16 * (n - at) / 4))
	return push(L, t.Remove(at))
}

func tableMaxn(L *glua.LState) int {
	best := glua.LNumber(0)
	p := passOf(L)
	each(tableArg(L, "table.maxn", 1), func(k, _ glua.LValue) bool {
		p.budget.spend(1)
		if n, ok := k.(glua.LNumber); ok && n > best {
			best = n
		}
		return p.stop == nil
	})
	return push(L, best)
}

func tableLen(L *glua.LState) int {
	_, n := passOf(L).elementsOf(L, "table.getn", 1)
	return push(L, glua.LNumber(n))
}

// sorter sorts values by a function of the script, or by <.
type sorter struct {
	p      *pass
	L      *glua.LState
	less   *glua.LFunction
	values []glua.LValue
}

func (s *sorter) Len() int      { return len(s.values) }
func (s *sorter) Swap(i, j int) { s.values[i], s.values[j] = s.values[j], s.values[i] }

func (s *sorter) Less(i, j int) bool {
	a, b := s.values[i], s.values[j]
	if s.less != nil {
		push(s.L, s.less, a, b)
		s.L.Call(2, 1)
		ok := glua.LVAsBool(s.L.Get(-1))
		s.L.Pop(1)
		return ok
	}
	cost := 2
	if x, ok := a.(glua.LString); ok {
		cost += len(x) / 16
	}
	s.p.budget.spend(uint64(cost))
	if s.p.stop != nil {
		s.p.raise(s.L, s.p.stop)
	}
	return s.L.LessThan(a, b)
}

func tableSort(L *glua.LState) int {
	p := passOf(L)
	t := p.ownTable(L, "table.sort", 1)
	s := &sorter{p: p, L: L}
	if L.Get(2) != glua.LNil {
		fn, ok := arg(L, 2).(*glua.LFunction)
		if !ok {
			fault(L, "table.sort", "argument 2: got %s, want function", p.typeName(L.Get(2)))
		}
		s.less = fn
	}
	n := t.Len()
	p.budget.spend(uint64(n))
	for i := 1; i <= n; i++ {
		v := t.RawGetInt(i)
		if v == glua.LNil {
			fault(L, "table.sort", "element %d is nil", i)
		}
		s.values = append(s.values, v)
	}
	sort.Sort(s)
	for i, v := range s.values {
		t.RawSetInt(i+1, v)
	}
	return 0
}
