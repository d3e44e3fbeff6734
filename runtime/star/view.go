package star

import (
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

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

// dictView shows data as a frozen dict; only what is looked at is converted.
//
// Its Go-side type is not "dict", because the interpreter takes every value of
// that type for its own: type(x) says dict all the same (native.go), and
// equality goes through equal (equal.go).
type dictView struct {
	p   *pass
	src fields
	// text, if src is nil, is parsed at the first look.
	text runtime.JSON
	// result makes it a result object: always true, absent fields are None.
	result bool
}

var (
	_ starlark.IterableMapping = (*dictView)(nil)
	_ starlark.Sequence        = (*dictView)(nil)
	_ starlark.HasSetKey       = (*dictView)(nil)
	_ starlark.HasSetField     = (*dictView)(nil)
	_ starlark.HasBinary       = (*dictView)(nil)
	_ starlark.Callable        = (*calledView)(nil)
	_ starlark.Container       = (*dictView)(nil)
)

// source returns where to read, parsing the text if that was not done yet.
func (v *dictView) source() fields {
	if v.src == nil {
		w, err := runtime.ParseView(v.text)
		if err != nil {
			panic(fmt.Errorf("result of an effect: %w", err))
		}
		v.src = w
	}
	return v.src
}

func (v *dictView) String() string        { return textOf(v.p, v.source()) }
func (v *dictView) Freeze()               {}
func (v *dictView) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: %s", v.typeName()) }
func (v *dictView) Truth() starlark.Bool  { return starlark.Bool(v.result || v.source().Len() > 0) }
func (v *dictView) Len() int              { return v.source().Len() }

// Type is what error messages of the interpreter say.
func (v *dictView) Type() string {
	if v.result {
		return "result"
	}
	return "frozen dict"
}

func (v *dictView) typeName() string {
	if v.result {
		return "result"
	}
	return "dict"
}

func (v *dictView) lookup(key string) (starlark.Value, bool, error) {
	w, ok := v.source().Get(key)
	if !ok {
		return starlark.None, v.result, nil
	}
	s, err := v.p.show(w)
	return s, true, err
}

// Get is v[k] and the interpreter's way to ask for a key.
func (v *dictView) Get(k starlark.Value) (starlark.Value, bool, error) {
	s, ok := k.(starlark.String)
	if !ok {
		if p, ok := k.(*pending); ok {
			p.look()
		}
		return nil, false, nil
	}
	return v.lookup(string(s))
}

// Has is the operator in.
func (v *dictView) Has(k starlark.Value) (bool, error) {
	s, ok := k.(starlark.String)
	if !ok {
		if p, ok := k.(*pending); ok {
			p.look()
		}
		return false, nil
	}
	_, ok = v.source().Get(string(s))
	return ok, nil
}

// SetKey refuses: the data belongs to the event or to the journal.
func (v *dictView) SetKey(_, _ starlark.Value) error {
	return frozen("insert into frozen "+v.typeName(), "dict(x) makes a copy that can be changed")
}

// SetField refuses.
func (v *dictView) SetField(string, starlark.Value) error {
	return frozen("set a field of a frozen "+v.typeName(), "dict(x) makes a copy that can be changed")
}

func frozen(what, hint string) error {
	return &runtime.Error{Kind: runtime.RunError, Msg: "cannot " + what, Hint: hint}
}

// viewMethods are the methods of a frozen dict, by what they need.
var viewMethods = []string{"get", "items", "keys", "values"}

// Attr is v.name: a method, a key, or None. A key of a method's name is both.
func (v *dictView) Attr(name string) (starlark.Value, error) {
	switch name {
	case "get", "items", "keys", "values":
		if w, ok, err := v.lookup(name); ok && err == nil {
			if both := v.withMethod(w, name); both != nil {
				return both, nil
			}
			if v.result {
				return w, nil
			}
		}
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return v.invoke(b.Name(), args, kwargs)
		}), nil
	case "clear", "pop", "popitem", "setdefault", "update":
		if _, ok := v.source().Get(name); !ok && !v.result {
			return nil, frozen(name+": the dict is frozen", "dict(x) makes a copy that can be changed")
		}
	}
	w, _, err := v.lookup(name)
	return w, err
}

// withMethod makes a dict or list that can also be called as v's method.
func (v *dictView) withMethod(w starlark.Value, name string) starlark.Value {
	switch w := w.(type) {
	case *dictView:
		return &calledView{*w, v, name}
	case *listView:
		return &calledList{*w, v, name}
	}
	return nil
}

// AttrNames lists methods and keys.
func (v *dictView) AttrNames() []string { return append(v.source().Keys(), viewMethods...) }

// invoke runs a method of a dict.
func (v *dictView) invoke(name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if name == "get" {
		var key, def starlark.Value = nil, starlark.None
		if err := starlark.UnpackPositionalArgs(name, args, kwargs, 1, &key, &def); err != nil {
			return nil, err
		}
		w, ok, err := v.Get(key)
		if err != nil || ok && (w != starlark.None || !v.result) {
			return w, err
		}
		return def, nil
	}
	if err := starlark.UnpackPositionalArgs(name, args, kwargs, 0); err != nil {
		return nil, err
	}
	keys := v.source().Keys()
	if err := spend(&v.p.thread, 8*len(keys)); err != nil {
		return nil, err
	}
	out := make([]starlark.Value, len(keys))
	for i, k := range keys {
		if name == "keys" {
			out[i] = starlark.String(k)
			continue
		}
		w, _, err := v.lookup(k)
		if err != nil {
			return nil, err
		}
		if name == "items" {
			w = starlark.Tuple{starlark.String(k), w}
		}
		out[i] = w
	}
	return starlark.NewList(out), nil
}

// Items is what ** and dict(x) ask for.
func (v *dictView) Items() []starlark.Tuple {
	keys := v.source().Keys()
	v.p.thread.Steps += uint64(8 * len(keys))
	items := make([]starlark.Tuple, len(keys))
	for i, k := range keys {
		w, _, err := v.lookup(k)
		if err != nil {
			panic(err)
		}
		items[i] = starlark.Tuple{starlark.String(k), w}
	}
	return items
}

// Iterate yields the keys.
func (v *dictView) Iterate() starlark.Iterator { return &keyIterator{keys: v.source().Keys()} }

// Binary is the union of dicts with |.
func (v *dictView) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	m, ok := y.(starlark.IterableMapping)
	if op != syntax.PIPE || !ok {
		return nil, nil
	}
	first, second := starlark.IterableMapping(v), m
	if side == starlark.Right {
		first, second = second, first
	}
	d := starlark.NewDict(v.Len())
	for _, half := range []starlark.IterableMapping{first, second} {
		for _, kv := range half.Items() {
			if err := v.p.setKey(d, kv[0], kv[1]); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

// keyIterator iterates over the keys of a dictView.
type keyIterator struct{ keys []string }

// Next sets *v to the next key.
func (it *keyIterator) Next(v *starlark.Value) bool {
	if len(it.keys) == 0 {
		return false
	}
	*v, it.keys = starlark.String(it.keys[0]), it.keys[1:]
	return true
}

// Done does nothing: the data cannot change.
func (*keyIterator) Done() {}

// calledView is a dict under a key that is also the name of a dict's method:
// x.values["a"] and x.values() both do what they say.
type calledView struct {
	dictView
	of   *dictView
	name string
}

// Name is the name of the method.
func (c *calledView) Name() string { return c.name }

// CallInternal runs the method.
func (c *calledView) CallInternal(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return c.of.invoke(c.name, args, kwargs)
}

// calledList is the same for lists.
type calledList struct {
	listView
	of   *dictView
	name string
}

var _ starlark.Callable = (*calledList)(nil)

// Name is the name of the method.
func (c *calledList) Name() string { return c.name }

// CallInternal runs the method.
func (c *calledList) CallInternal(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return c.of.invoke(c.name, args, kwargs)
}
