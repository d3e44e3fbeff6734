package lua

import (
	"errors"
	"fmt"
	"math"
	"time"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
)

// fromLua converts a Lua value to data. With lazy, a view or an object is
// handed over as it is; otherwise views are converted and objects refused. An
// empty table is a list if list says so or if it was made of one, else a dict.
// A pending result anywhere in it suspends the pass.
func (p *pass) fromLua(v glua.LValue, lazy, list bool) (runtime.Value, error) {
	switch v := v.(type) { // without the cost of a converter
	case *glua.LNilType:
		return nil, nil
	case glua.LString:
		return string(v), nil
	case glua.LBool:
		return bool(v), nil
	case *glua.LFunction:
		return p.funcOf(v)
	case *glua.LUserData:
		if !lazy {
			break
		}
		switch h := v.Value.(type) {
		case *dictView:
			if w, ok := h.source().(*runtime.View); ok {
				return w, nil
			}
		case *listView:
			if w, ok := h.src.(*runtime.View); ok {
				return w, nil
			}
		case *object:
			return h.obj, nil
		}
	}
	c := converter{p: p, parts: runtime.MaxParts}
	if t, ok := v.(*glua.LTable); ok && list && rawOf(t).Len() == 0 {
		if k, _ := rawOf(t).Next(glua.LNil); k == glua.LNil {
			return runtime.List{}, nil
		}
	}
	w, err := c.value(v, runtime.MaxDepth)
	p.budget.spend(uint64(runtime.MaxParts - max(c.parts, 0)))
	return w, err
}

// converter bounds one conversion.
type converter struct {
	p     *pass
	parts int
}

func (c *converter) value(v glua.LValue, depth int) (runtime.Value, error) {
	c.parts--
	switch {
	case depth == 0:
		return nil, fmt.Errorf("nested more than %d deep", runtime.MaxDepth)
	case c.parts < 0:
		return nil, fmt.Errorf("more than %d parts", runtime.MaxParts)
	}
	switch v := v.(type) {
	case *glua.LNilType:
		return nil, nil
	case glua.LBool:
		return bool(v), nil
	case glua.LNumber:
		return number(v), nil
	case glua.LString:
		return string(v), nil
	case *glua.LTable:
		return c.table(v, depth)
	case *glua.LFunction:
		return c.p.funcOf(v)
	case *glua.LUserData:
		return c.host(v.Value)
	}
	return nil, fmt.Errorf("a %s cannot be passed on", v.Type())
}

// number is an int if it is whole, as JSON has it.
func number(v glua.LNumber) runtime.Value {
	if f := float64(v); f == math.Trunc(f) && math.Abs(f) < 1<<53 && !(f == 0 && math.Signbit(f)) {
		return int64(f)
	}
	return float64(v)
}

func (c *converter) host(h any) (runtime.Value, error) {
	var v runtime.Value
	switch h := h.(type) {
	case *pending:
		return nil, c.p.suspend()
	case secret:
		return h.v, nil
	case regexpValue:
		return runtime.Regexp{Pattern: h.pattern}, nil
	case *object:
		return nil, &runtime.Error{Msg: "the " + h.obj.TypeName() + " itself cannot be passed on", Hint: "pass the fields that are needed"}
	case *dictView:
		switch s := h.source().(type) {
		case *runtime.View:
			v = s.Value()
		case dictSource:
			v = runtime.Plain(s.Dict)
		}
	case *listView:
		switch s := h.src.(type) {
		case *runtime.View:
			v = s.Value()
		case listSource:
			v = runtime.Plain(s.list)
		}
	default:
		return nil, fmt.Errorf("this value cannot be passed on")
	}
	if c.parts -= runtime.CountParts(v); c.parts < 0 {
		return nil, fmt.Errorf("more than %d parts", runtime.MaxParts)
	}
	return v, nil
}

// table makes a list of a table with 1, 2, 3…, and a dict of one with names.
func (c *converter) table(t *glua.LTable, depth int) (runtime.Value, error) {
	var list runtime.List
	var dict *runtime.Dict
	var failed error
	each(t, func(k, v glua.LValue) bool {
		c.parts--
		var w runtime.Value
		if w, failed = c.value(v, depth-1); failed != nil {
			return false
		}
		switch k := k.(type) {
		case glua.LString:
			if list != nil {
				failed = mixed()
				return false
			}
			if dict == nil {
				dict = &runtime.Dict{}
			}
			dict.Fields = append(dict.Fields, runtime.Field{Key: string(k), Value: w})
		case glua.LNumber:
			switch {
			case dict != nil:
				failed = mixed()
			case float64(k) != float64(len(list)+1) && list == nil:
				failed = badKey(k)
			case float64(k) != float64(len(list)+1):
				failed = &runtime.Error{Msg: fmt.Sprintf("a list has a gap: there is no element %d", len(list)+1), Hint: "nil ends a list"}
			}
			list = append(list, w)
		default:
			failed = badKey(k)
		}
		return failed == nil
	})
	switch {
	case failed != nil:
		return nil, failed
	case list != nil:
		return list, nil
	case dict != nil:
		return dict, nil
	case isMarkedList(t):
		return runtime.List{}, nil
	}
	return &runtime.Dict{}, nil
}

func mixed() error {
	return &runtime.Error{Msg: "a table that leaves the script is a list or has names, and this is both", Hint: "make two tables of it"}
}

func badKey(k glua.LValue) error {
	return &runtime.Error{
		Msg:  fmt.Sprintf("a table that leaves the script has texts or 1, 2, 3… as keys, and this has a key of type %s", k.Type()),
		Hint: "write tostring(key)",
	}
}

var errTooDeep = errors.New("a value is nested too deeply")

// toLua converts data to a Lua value that the script owns: dicts and lists are
// real tables. Views, JSON text and objects are shown as frozen views. A nil
// in a dict or at the end of a list is not there, as Lua has it.
func (p *pass) toLua(v runtime.Value) (glua.LValue, error) {
	return p.toLuaDepth(v, 2*runtime.MaxDepth)
}

func (p *pass) toLuaDepth(v runtime.Value, depth int) (glua.LValue, error) {
	if depth == 0 {
		return nil, errTooDeep
	}
	switch v := v.(type) {
	case runtime.List:
		p.pay(newTableCost + len(v))
		t := &glua.LTable{Metatable: glua.LNil}
		if len(v) == 0 {
			t.Metatable = listMeta
		}
		for i, e := range v {
			w, err := p.toLuaDepth(e, depth-1)
			if err != nil {
				return nil, err
			}
			t.RawSetInt(i+1, w)
		}
		return t, nil
	case *runtime.Dict:
		p.pay(newTableCost + v.Len())
		t := &glua.LTable{Metatable: glua.LNil}
		for i := range v.Len() {
			w, err := p.toLuaDepth(v.Fields[i].Value, depth-1)
			if err != nil {
				return nil, err
			}
			t.RawSetString(v.Fields[i].Key, w)
		}
		return t, nil
	}
	return p.show(v)
}

// pay spends steps where there is a budget: while a Language is made there is none.
func (p *pass) pay(steps int) {
	if p.budget.p != nil {
		p.budget.spend(uint64(steps))
	}
}

// show converts data to a Lua value without converting what is inside dicts
// and lists.
func (p *pass) show(v runtime.Value) (glua.LValue, error) {
	switch v := v.(type) {
	case nil:
		return glua.LNil, nil
	case bool:
		return glua.LBool(v), nil
	case int64:
		return glua.LNumber(v), nil
	case int:
		return glua.LNumber(v), nil
	case float64:
		return glua.LNumber(v), nil
	case string:
		return glua.LString(v), nil
	case []byte:
		return glua.LString(v), nil
	case time.Duration:
		return glua.LNumber(v.Seconds()), nil
	case runtime.List:
		return userdata(&listView{listSource{v}}), nil
	case *runtime.Dict:
		return userdata(&dictView{src: dictSource{v}}), nil
	case *runtime.View:
		switch {
		case v.IsDict():
			return userdata(&dictView{src: v}), nil
		case v.IsList():
			return userdata(&listView{v}), nil
		}
		return p.show(v.Scalar())
	case runtime.JSON:
		w, err := runtime.ParseView(v)
		if err != nil {
			return nil, fmt.Errorf("read a result: %w", err)
		}
		return p.show(w)
	case runtime.Object:
		return userdata(&object{v}), nil
	case runtime.Method:
		return bindTo(v.Decl, v.Self), nil
	case runtime.Secret:
		return userdata(secret{v}), nil
	case runtime.Regexp:
		return userdata(regexpValue{v.Pattern}), nil
	case runtime.Func:
		return p.function(v.Index)
	}
	return nil, fmt.Errorf("a %s has no Lua form", runtime.TypeName(v))
}
