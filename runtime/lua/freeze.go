package lua

import (
	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// A frozen table is an empty one that stands before a hidden one: reading goes
// through __index, and every write meets __newindex, because the interpreter
// finds nothing in the table itself. The table keeps its identity; the hidden
// one can be had by no script.

// frozenKey is where a metatable keeps its frozen; getmetatable never shows it.
const frozenKey = "\x00frozen"

// frozen is what stands behind a frozen table.
type frozen struct {
	inner *glua.LTable
	meta  glua.LValue // what getmetatable says
	list  bool        // it was made of a list, and may be empty
}

func frozenOf(t *glua.LTable) *frozen {
	meta, ok := t.Metatable.(*glua.LTable)
	if !ok {
		return nil
	}
	if ud, ok := meta.RawGetString(frozenKey).(*glua.LUserData); ok {
		return ud.Value.(*frozen)
	}
	return nil
}

// innerOf returns the hidden table of a frozen one, or nil.
func innerOf(t *glua.LTable) *glua.LTable {
	if f := frozenOf(t); f != nil {
		return f.inner
	}
	return nil
}

// rawOf returns the table that holds t's fields.
func rawOf(t *glua.LTable) *glua.LTable {
	if inner := innerOf(t); inner != nil {
		return inner
	}
	return t
}

// each visits the fields of a table in the order of their making.
func each(t *glua.LTable, f func(k, v glua.LValue) bool) {
	t = rawOf(t)
	for k, v := t.Next(glua.LNil); k != glua.LNil; k, v = t.Next(k) {
		if !f(k, v) {
			return
		}
	}
}

// frozenTable returns a new frozen table before inner.
func frozenTable(inner *glua.LTable) *glua.LTable {
	meta := &glua.LTable{Metatable: glua.LNil}
	meta.RawSetString("__index", inner)
	meta.RawSetString("__newindex", refuseFn)
	meta.RawSetString("__len", lengthFn)
	meta.RawSetString(frozenKey, &glua.LUserData{Value: &frozen{inner: inner, meta: glua.LNil}, Metatable: glua.LNil})
	return &glua.LTable{Metatable: meta}
}

// deepFreeze freezes a tree of tables that was made of data.
func deepFreeze(t *glua.LTable) *glua.LTable {
	var keys []glua.LValue
	each(t, func(k, v glua.LValue) bool {
		if _, ok := v.(*glua.LTable); ok {
			keys = append(keys, k)
		}
		return true
	})
	for _, k := range keys {
		t.RawSet(k, deepFreeze(t.RawGet(k).(*glua.LTable)))
	}
	list := t.Metatable == glua.LValue(listMeta)
	t.Metatable = glua.LNil
	proxy := frozenTable(t)
	frozenOf(proxy).list = list
	return proxy
}

// passed on to the frozen table, because the interpreter looks for them there.
var metamethods = []string{
	"__call", "__eq", "__lt", "__le", "__add", "__sub", "__mul", "__div", "__mod", "__pow", "__unm", "__concat", "__tostring", "__len",
}

// freeze makes t read-only where it is. If it has a metatable, its methods
// stay; those that are functions see t, never what is behind it.
func (st *state) freeze(t *glua.LTable, global bool) {
	inner := &glua.LTable{}
	*inner = *t
	inner.Metatable = glua.LNil
	proxy := frozenTable(inner)
	meta := proxy.Metatable.(*glua.LTable)
	if global {
		meta.RawSetString("__newindex", refuseGlobalFn)
	}
	st.proxies[inner] = t
	if own, ok := t.Metatable.(*glua.LTable); ok {
		raw := rawOf(own)
		for _, name := range metamethods {
			if m := raw.RawGetString(name); m != glua.LNil {
				meta.RawSetString(name, m)
			}
		}
		switch index := raw.RawGetString("__index").(type) {
		case *glua.LTable:
			next := &glua.LTable{Metatable: glua.LNil}
			next.RawSetString("__index", index)
			inner.Metatable = next
		case *glua.LFunction:
			meta.RawSetString("__index", goFunction(frozenIndex(inner, index)))
		}
		if own == listMeta {
			frozenOf(proxy).list = true
		} else if !global {
			frozenOf(proxy).meta = own
		}
	}
	*t = *proxy
}

// frozenIndex is __index where the script's own is a function.
func frozenIndex(inner *glua.LTable, fn *glua.LFunction) glua.LGFunction {
	return func(L *glua.LState) int {
		if v := inner.RawGet(L.Get(2)); v != glua.LNil {
			L.Push(v)
			return 1
		}
		t, k := L.Get(1), L.Get(2)
		L.Push(fn)
		L.Push(t)
		L.Push(k)
		L.Call(2, 1)
		return 1
	}
}

var (
	refuseFn       = &glua.LFunction{IsG: true}
	refuseGlobalFn = &glua.LFunction{IsG: true}
	lengthFn       = goFunction(func(L *glua.LState) int {
		t, _ := L.Get(1).(*glua.LTable)
		if t == nil {
			return 0
		}
		L.Push(glua.LNumber(rawOf(t).Len()))
		return 1
	})
)

func init() { // what the functions say is made with frozen tables
	refuseFn.GFunction, refuseGlobalFn.GFunction = refuse, refuseGlobal
}

const frozenHint = "what the top level of a file made cannot be changed by a handler: use kv for state"

func frozenError(what string) *runtime.Error {
	return &runtime.Error{Kind: runtime.RunError, Msg: "cannot " + what + ": the table is frozen", Hint: frozenHint}
}

func refuse(L *glua.LState) int {
	p := passOf(L)
	p.raise(L, frozenError("set field "+script.Cut(p.words(L.Get(2)), 60)))
	return 0
}

func refuseGlobal(L *glua.LState) int {
	p := passOf(L)
	p.raise(L, &runtime.Error{
		Kind: runtime.RunError, Msg: "cannot set global " + script.Cut(p.words(L.Get(2)), 60) + ": globals are frozen once the file is loaded",
		Hint: "write local, or use kv for state",
	})
	return 0
}

// listMeta tells an empty table that was made of a list from one that was made
// of a dict.
var listMeta = &glua.LTable{Metatable: glua.LNil}

// isMarkedList tells whether a table was made of a list.
func isMarkedList(t *glua.LTable) bool {
	if f := frozenOf(t); f != nil {
		return f.list
	}
	return t.Metatable == glua.LValue(listMeta)
}
