package lua

import (
	"fmt"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// What a script sees of the host is userdata with one metatable, hostMeta; its
// Value is one of
//
//	*object    the event: fields on demand, an error where there is no such field
//	*dictView  a payload or a result that converts only what is looked at
//	*listView  a list of a payload
//	*pending   a result object that is not there yet
//	secret     text that only the server can read
//	regexpValue
//
// All are immutable but for what they cache of the text they show.

type object struct{ obj runtime.Object }

// dictView shows data as a frozen table with names.
type dictView struct {
	src fields
	// text, if src is nil, is parsed at the first look.
	text runtime.JSON
	// result makes it a result object.
	result bool
}

// fields is where a dictView reads: a *runtime.View or a dictSource.
type fields interface {
	Get(key string) (runtime.Value, bool)
	Len() int
	Keys() []string
}

// dictSource reads a Dict.
type dictSource struct{ *runtime.Dict }

// Keys returns the keys in the order of the dict.
func (d dictSource) Keys() []string {
	keys := make([]string, d.Len())
	for i := range keys {
		keys[i] = d.Fields[i].Key
	}
	return keys
}

// elements is where a listView reads: a *runtime.View or a listSource.
type elements interface {
	Index(i int) runtime.Value
	Len() int
}

// listSource reads a List.
type listSource struct{ list runtime.List }

// Index returns element i.
func (l listSource) Index(i int) runtime.Value { return l.list[i] }

// Len returns the number of elements.
func (l listSource) Len() int { return len(l.list) }

type listView struct{ src elements }

// pending is a result object that is not there yet. A script may carry it
// about and return it; looking at it ends the pass. Effects that return plain
// values are awaited where they are called: Lua has no way to notice a look at
// a value in a condition or a comparison.
type pending struct{ step int }

type secret struct{ v runtime.Secret }

type regexpValue struct{ pattern string }

// source returns where to read, parsing the text if that was not done yet.
func (v *dictView) source() fields {
	if v.src == nil {
		w, err := runtime.ParseView(v.text)
		if err != nil {
			w, _ = runtime.ParseView([]byte("{}"))
		}
		v.src = w
	}
	return v.src
}

// hostOf returns what a userdata stands for, or nil.
func hostOf(v glua.LValue) any {
	if ud, ok := v.(*glua.LUserData); ok {
		return ud.Value
	}
	return nil
}

func userdata(v any) *glua.LUserData { return &glua.LUserData{Value: v, Metatable: hostMeta} }

func hostValue(obj runtime.Object) *glua.LUserData { return userdata(&object{obj}) }

// hostMeta is shared by all states: it is never written to once they exist.
var hostMeta = &glua.LTable{Metatable: glua.LNil}

func init() { // what the functions use is hostMeta itself
	for name, fn := range map[string]glua.LGFunction{
		"__index": hostIndex, "__newindex": hostNewIndex, "__len": hostLen, "__eq": hostEq, "__call": hostCall,
		"__concat": concat, "__lt": hostCompare, "__le": hostCompare,
		"__add": hostArith, "__sub": hostArith, "__mul": hostArith, "__div": hostArith, "__mod": hostArith, "__pow": hostArith, "__unm": hostArith,
	} {
		hostMeta.RawSetString(name, goFunction(fn))
	}
}

// look suspends the pass if any argument is a result that is not there yet.
func (p *pass) look(L *glua.LState, args ...glua.LValue) {
	for _, a := range args {
		if _, ok := hostOf(a).(*pending); ok {
			p.raise(L, p.suspend())
		}
	}
}

func hostIndex(L *glua.LState) int {
	p := passOf(L)
	v, key := L.Get(1), L.Get(2)
	p.look(L, v, key)
	w, err := p.indexHost(hostOf(v), key)
	if err != nil {
		p.raise(L, err)
	}
	L.Push(w)
	return 1
}

func (p *pass) indexHost(h any, key glua.LValue) (glua.LValue, error) {
	name, isText := key.(glua.LString)
	switch h := h.(type) {
	case *object:
		if !isText {
			return nil, fmt.Errorf("%s has no field %s", h.obj.TypeName(), script.Cut(p.words(key), 60))
		}
		v, known := h.obj.Field(string(name))
		if !known {
			e := &runtime.Error{Kind: runtime.RunError, Msg: h.obj.TypeName() + " has no field " + script.Cut(string(name), 60)}
			if n := runtime.Nearest(string(name), h.obj.FieldNames()); n != "" {
				e.Hint = "did you mean ." + n + "?"
			}
			return nil, e
		}
		return p.show(v)
	case *dictView:
		if n, ok := key.(glua.LNumber); ok { // numbered groups: e.match[1]
			name, isText = glua.LString(numberText(n)), true
		}
		if !isText {
			return glua.LNil, nil
		}
		v, _ := h.source().Get(string(name))
		return p.show(v)
	case *listView:
		n, ok := key.(glua.LNumber)
		if i := int(n); ok && glua.LNumber(i) == n && i >= 1 && i <= h.src.Len() {
			return p.show(h.src.Index(i - 1))
		}
		return glua.LNil, nil
	case regexpValue:
		switch {
		case name == "pattern":
			return glua.LString(h.pattern), nil
		case p.m != nil && p.m.lang.re != nil && isText && name != "compile":
			return p.m.lang.re.RawGetString(string(name)), nil
		}
		return glua.LNil, nil
	}
	return nil, fmt.Errorf("a %s has no fields", p.typeName(userdata(h)))
}

func hostNewIndex(L *glua.LState) int {
	p := passOf(L)
	p.look(L, L.Get(1))
	e := &runtime.Error{Kind: runtime.RunError, Msg: "cannot set a field of a frozen " + p.typeName(L.Get(1)), Hint: "build a table of your own"}
	if o, ok := hostOf(L.Get(1)).(*object); ok {
		e.Msg, e.Hint = "cannot change the "+o.obj.TypeName()+": it is frozen", ""
	}
	p.raise(L, e)
	return 0
}

func hostLen(L *glua.LState) int {
	p := passOf(L)
	p.look(L, L.Get(1))
	switch h := hostOf(L.Get(1)).(type) {
	case *dictView:
		L.Push(glua.LNumber(h.source().Len()))
	case *listView:
		L.Push(glua.LNumber(h.src.Len()))
	default:
		p.raise(L, fmt.Errorf("a %s has no length", p.typeName(L.Get(1))))
	}
	return 1
}

// hostEq compares payloads and results by what they show.
func hostEq(L *glua.LState) int {
	p := passOf(L)
	a, b := L.Get(1), L.Get(2)
	p.look(L, a, b)
	x, err := p.fromLua(a, false, true)
	if err != nil {
		L.Push(glua.LFalse)
		return 1
	}
	y, err := p.fromLua(b, false, true)
	p.budget.spend(uint64(runtime.CountParts(x) + runtime.CountParts(y)))
	L.Push(glua.LBool(err == nil && equal(x, y)))
	return 1
}

// equal compares plain data.
func equal(x, y runtime.Value) bool {
	switch x := x.(type) {
	case runtime.List:
		l, ok := y.(runtime.List)
		if !ok || len(l) != len(x) {
			return false
		}
		for i := range x {
			if !equal(x[i], l[i]) {
				return false
			}
		}
		return true
	case *runtime.Dict:
		d, ok := y.(*runtime.Dict)
		if !ok || d.Len() != x.Len() {
			return false
		}
		other := make(map[string]runtime.Value, d.Len())
		for _, f := range d.Fields {
			other[f.Key] = f.Value
		}
		for _, f := range x.Fields {
			if v, ok := other[f.Key]; !ok || !equal(f.Value, v) {
				return false
			}
		}
		return true
	}
	return string(runtime.Encode(nil, x)) == string(runtime.Encode(nil, y))
}

func hostCall(L *glua.LState) int {
	p := passOf(L)
	p.look(L, L.Get(1))
	p.raise(L, fmt.Errorf("a %s is no function", p.typeName(L.Get(1))))
	return 0
}

func hostCompare(L *glua.LState) int {
	p := passOf(L)
	p.look(L, L.Get(1), L.Get(2))
	p.raise(L, fmt.Errorf("cannot compare a %s with a %s", p.typeName(L.Get(1)), p.typeName(L.Get(2))))
	return 0
}

func hostArith(L *glua.LState) int {
	p := passOf(L)
	p.look(L, L.Get(1), L.Get(2))
	p.raise(L, fmt.Errorf("cannot calculate with a %s and a %s", p.typeName(L.Get(1)), p.typeName(L.Get(2))))
	return 0
}

// typeName is what type(x) says: views are the tables they show.
func (p *pass) typeName(v glua.LValue) string {
	switch h := hostOf(v).(type) {
	case *object:
		return h.obj.TypeName()
	case *dictView:
		if h.result {
			return "result"
		}
		return "table"
	case *listView:
		return "table"
	case *pending:
		return "result"
	case secret:
		return "secret"
	case regexpValue:
		return "regexp"
	}
	return v.Type().String()
}

// result shows what a built-in returned. The results of effects that are
// declared as results are frozen and convert only what is looked at.
func (p *pass) result(v runtime.Value, isResult bool) (glua.LValue, error) {
	if w, ok := v.(runtime.Pending); ok {
		if !isResult {
			return nil, p.suspend()
		}
		return userdata(&pending{w.Step}), nil
	}
	if !isResult {
		return p.toLua(v)
	}
	switch v := v.(type) {
	case nil:
		return userdata(&dictView{src: dictSource{}, result: true}), nil
	case *runtime.Dict:
		return userdata(&dictView{src: dictSource{v}, result: true}), nil
	case *runtime.View:
		if v.IsDict() {
			return userdata(&dictView{src: v, result: true}), nil
		}
	case runtime.JSON:
		if len(v) > 0 && v[0] == '{' {
			return userdata(&dictView{text: v, result: true}), nil
		}
	}
	return p.toLua(v)
}
