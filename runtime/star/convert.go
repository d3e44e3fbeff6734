package star

import (
	"fmt"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/starling-rules/starling/runtime"
)

// fromStar converts a Starlark value to data. With lazy, a view or an object
// is handed over as it is; otherwise views are converted and objects refused.
// A pending result anywhere in it suspends the pass.
func (p *pass) fromStar(v starlark.Value, lazy bool) (runtime.Value, error) {
	switch v := v.(type) { // without the cost of a converter
	case starlark.NoneType:
		return nil, nil
	case starlark.String:
		return string(v), nil
	case starlark.Bool:
		return bool(v), nil
	case *starlark.Function:
		return p.funcOf(v)
	case *dictView:
		if w, ok := v.source().(*runtime.View); ok && lazy {
			return w, nil
		}
	case *listView:
		if w, ok := v.src.(*runtime.View); ok && lazy {
			return w, nil
		}
	case *object:
		if lazy {
			return v.obj, nil
		}
	}
	c := converter{p: p, parts: runtime.MaxParts}
	w, err := c.value(v, runtime.MaxDepth)
	if used := runtime.MaxParts - c.parts; err == nil && used > 1 {
		err = spend(&p.thread, used)
	}
	return w, err
}

// converter bounds one conversion.
type converter struct {
	p     *pass
	parts int
}

func (c *converter) enter(depth, parts int) error {
	c.parts -= parts + 1
	switch {
	case depth == 0:
		return fmt.Errorf("nested more than %d deep", runtime.MaxDepth)
	case c.parts < 0:
		return fmt.Errorf("more than %d parts", runtime.MaxParts)
	}
	return nil
}

func (c *converter) value(v starlark.Value, depth int) (runtime.Value, error) {
	if err := c.enter(depth, 0); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case starlark.NoneType:
		return nil, nil
	case starlark.Bool:
		return bool(v), nil
	case starlark.Int:
		n, ok := v.Int64()
		if !ok {
			return nil, fmt.Errorf("an int of more than 64 bits cannot be passed on")
		}
		return n, nil
	case starlark.Float:
		return float64(v), nil
	case starlark.String:
		return string(v), nil
	case starlark.Bytes:
		return []byte(v), nil
	case *pending:
		return nil, suspension{}
	case *starlark.Dict:
		return c.dict(v, depth)
	case *dictView:
		return c.plain(v.source())
	case *listView:
		return c.plain(v.src)
	case *calledView:
		return c.plain(v.source())
	case *calledList:
		return c.plain(v.src)
	case starlark.Tuple: // by value: no iterator
		return c.sequence(v, depth)
	case starlark.Sequence: // list, set, range
		return c.sequence(v, depth)
	case *starlark.Function:
		return c.p.funcOf(v)
	case *starlarkstruct.Struct:
		return c.structure(v, depth)
	case secret:
		return v.v, nil
	case regexpValue:
		return runtime.Regexp{Pattern: v.pattern}, nil
	case *starlark.Builtin, *namespace:
		return nil, &runtime.Error{Msg: "a built-in function cannot be passed on", Hint: "wrap it: lambda e: " + callableName(v) + "(…)"}
	case *object:
		return nil, &runtime.Error{Msg: "the " + v.Type() + " itself cannot be passed on", Hint: "pass the fields that are needed"}
	}
	return nil, fmt.Errorf("a %s cannot be passed on", typeName(v))
}

func callableName(v starlark.Value) string {
	if c, ok := v.(starlark.Callable); ok {
		return c.Name()
	}
	return "f"
}

func (c *converter) sequence(v starlark.Sequence, depth int) (runtime.Value, error) {
	n := v.Len()
	if n > c.parts {
		return nil, fmt.Errorf("more than %d parts", runtime.MaxParts)
	}
	list := make(runtime.List, 0, n)
	iter := v.Iterate()
	defer iter.Done()
	var elem starlark.Value
	for iter.Next(&elem) {
		w, err := c.value(elem, depth-1)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

func (c *converter) dict(v *starlark.Dict, depth int) (runtime.Value, error) {
	if v.Len() > c.parts {
		return nil, fmt.Errorf("more than %d parts", runtime.MaxParts)
	}
	d := &runtime.Dict{Fields: make([]runtime.Field, 0, v.Len())}
	for k, e := range v.Entries() {
		key, ok := k.(starlark.String)
		if !ok {
			return nil, &runtime.Error{
				Msg:  fmt.Sprintf("a dict that leaves the script has strings as keys, and this has a key of type %s", typeName(k)),
				Hint: "write str(key)",
			}
		}
		w, err := c.value(e, depth-1)
		if err != nil {
			return nil, err
		}
		// Keys of a dict are unique already: no search.
		d.Fields = append(d.Fields, runtime.Field{Key: string(key), Value: w})
	}
	return d, nil
}

func (c *converter) structure(v *starlarkstruct.Struct, depth int) (runtime.Value, error) {
	d := &runtime.Dict{}
	for _, name := range v.AttrNames() {
		attr, err := v.Attr(name)
		if err != nil {
			return nil, err
		}
		w, err := c.value(attr, depth-1)
		if err != nil {
			return nil, err
		}
		d.Fields = append(d.Fields, runtime.Field{Key: name, Value: w})
	}
	return d, nil
}

// plain converts a view's source, counting what it holds.
func (c *converter) plain(src any) (runtime.Value, error) {
	var v runtime.Value
	switch src := src.(type) {
	case *runtime.View:
		v = src.Value()
	case dictSource:
		v = runtime.Plain(src.Dict)
	case listSource:
		v = runtime.Plain(src.list)
	}
	c.parts -= runtime.CountParts(v)
	if c.parts < 0 {
		return nil, fmt.Errorf("more than %d parts", runtime.MaxParts)
	}
	return v, nil
}

// toStar converts data to a Starlark value that the script owns: dicts and
// lists are real ones. Views, JSON text and objects are shown as frozen views.
func (p *pass) toStar(v runtime.Value) (starlark.Value, error) {
	return p.toStarDepth(v, 2*runtime.MaxDepth)
}

func (p *pass) toStarDepth(v runtime.Value, depth int) (starlark.Value, error) {
	if depth == 0 {
		return nil, fmt.Errorf("a value is nested too deeply")
	}
	switch v := v.(type) {
	case runtime.List:
		p.thread.Steps += uint64(len(v))
		elems := make([]starlark.Value, len(v))
		for i, e := range v {
			w, err := p.toStarDepth(e, depth-1)
			if err != nil {
				return nil, err
			}
			elems[i] = w
		}
		return starlark.NewList(elems), nil
	case *runtime.Dict:
		p.thread.Steps += uint64(2 * v.Len())
		d := starlark.NewDict(v.Len())
		for i := range v.Len() {
			w, err := p.toStarDepth(v.Fields[i].Value, depth-1)
			if err != nil {
				return nil, err
			}
			if err := p.setKey(d, starlark.String(v.Fields[i].Key), w); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return p.show(v)
}

// show converts data to a frozen Starlark value without converting what is
// inside dicts and lists.
func (p *pass) show(v runtime.Value) (starlark.Value, error) {
	switch v := v.(type) {
	case nil:
		return starlark.None, nil
	case bool:
		return starlark.Bool(v), nil
	case int64:
		return starlark.MakeInt64(v), nil
	case int:
		return starlark.MakeInt(v), nil
	case float64:
		return starlark.Float(v), nil
	case string:
		return starlark.String(v), nil
	case []byte:
		return starlark.Bytes(v), nil
	case time.Duration:
		return starlark.Float(v.Seconds()), nil
	case runtime.List:
		return &listView{p: p, src: listSource{v}}, nil
	case *runtime.Dict:
		return &dictView{p: p, src: dictSource{v}}, nil
	case *runtime.View:
		switch {
		case v.IsDict():
			return &dictView{p: p, src: v}, nil
		case v.IsList():
			return &listView{p: p, src: v}, nil
		}
		return p.show(v.Scalar())
	case runtime.JSON:
		w, err := runtime.ParseView(v)
		if err != nil {
			return nil, err
		}
		return p.show(w)
	case runtime.Object:
		return &object{p: p, obj: v}, nil
	case runtime.Method:
		return bindTo(v.Decl, v.Self), nil
	case runtime.Secret:
		return secret{v}, nil
	case runtime.Regexp:
		re, _ := p.predeclared("re").(*namespace)
		return regexpValue{v.Pattern, re}, nil
	case runtime.Func:
		return p.function(v.Index)
	case runtime.Pending:
		return &pending{step: v.Step}, nil
	}
	return nil, fmt.Errorf("a %s has no Starlark form", runtime.TypeName(v))
}
