package star

import (
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

// listView shows data as a frozen list, as dictView does for dicts.
type listView struct {
	p   *pass
	src elements
}

var (
	_ starlark.Sequence    = (*listView)(nil)
	_ starlark.Sliceable   = (*listView)(nil)
	_ starlark.HasSetIndex = (*listView)(nil)
	_ starlark.HasSetField = (*listView)(nil)
	_ starlark.HasBinary   = (*listView)(nil)
	_ starlark.Container   = (*listView)(nil)
)

func (v *listView) String() string        { return textOf(v.p, v.src) }
func (v *listView) Type() string          { return "frozen list" }
func (v *listView) Freeze()               {}
func (v *listView) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: list") }
func (v *listView) Truth() starlark.Bool  { return v.src.Len() > 0 }
func (v *listView) Len() int              { return v.src.Len() }

// Index returns element i, which must exist.
func (v *listView) Index(i int) starlark.Value {
	w, err := v.p.show(v.src.Index(i))
	if err != nil {
		panic(err)
	}
	return w
}

// Slice makes a real list of a part.
func (v *listView) Slice(start, end, step int) starlark.Value {
	var out []starlark.Value
	for i := start; step > 0 && i < end || step < 0 && i > end; i += step {
		out = append(out, v.Index(i))
	}
	return starlark.NewList(out)
}

func (v *listView) elems() []starlark.Value {
	out := make([]starlark.Value, v.src.Len())
	for i := range out {
		out[i] = v.Index(i)
	}
	return out
}

// Has is the operator in.
func (v *listView) Has(y starlark.Value) (bool, error) {
	m := meter{t: &v.p.thread}
	defer m.done()
	i, err := find(&m, y, v, 0, v.src.Len())
	return i >= 0, err
}

// SetIndex refuses.
func (v *listView) SetIndex(int, starlark.Value) error {
	return frozen("assign to an element of a frozen list", "list(x) makes a copy that can be changed")
}

// SetField refuses.
func (v *listView) SetField(string, starlark.Value) error {
	return frozen("set a field of a list", "")
}

// Attr has the one method of a list that does not change it.
func (v *listView) Attr(name string) (starlark.Value, error) {
	switch name {
	case "index":
		return starlark.NewBuiltin(name, v.index), nil
	case "append", "clear", "extend", "insert", "pop", "remove":
		return nil, frozen(name+": the list is frozen", "list(x) makes a copy that can be changed")
	}
	return nil, nil
}

// AttrNames lists what Attr knows.
func (v *listView) AttrNames() []string { return []string{"index"} }

func (v *listView) index(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var y starlark.Value
	start, end := 0, v.src.Len()
	if err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, 1, &y, &start, &end); err != nil {
		return nil, err
	}
	n := v.src.Len()
	m := meter{t: &v.p.thread}
	defer m.done()
	i, err := find(&m, y, v, clamp(start, n), clamp(end, n))
	switch {
	case err != nil:
		return nil, err
	case i < 0:
		return nil, fmt.Errorf("index: value not in list")
	}
	return starlark.MakeInt(i), nil
}

// clamp makes an index of a script one of Go.
func clamp(i, n int) int {
	if i < 0 {
		i += n
	}
	return min(max(i, 0), n)
}

// Binary joins lists with + and repeats them with *.
func (v *listView) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	switch y := y.(type) {
	case *starlark.List, *listView, *calledList:
		if op != syntax.PLUS {
			return nil, nil
		}
		a, b := v.elems(), listElems(y)
		if side == starlark.Right {
			a, b = b, a
		}
		return starlark.NewList(append(a[:len(a):len(a)], b...)), nil
	case starlark.Int:
		if op == syntax.STAR {
			return starlark.Binary(op, starlark.NewList(v.elems()), y)
		}
	}
	return nil, nil
}

// listElems returns the elements of a list of either kind, or nil.
func listElems(v starlark.Value) []starlark.Value {
	switch v := v.(type) {
	case *starlark.List:
		out := make([]starlark.Value, v.Len())
		for i := range out {
			out[i] = v.Index(i)
		}
		return out
	case *listView:
		return v.elems()
	case *calledList:
		return v.elems()
	}
	return nil
}

// Iterate yields the elements.
func (v *listView) Iterate() starlark.Iterator { return &elemIterator{v: v} }

// elemIterator iterates over a listView.
type elemIterator struct {
	v *listView
	i int
}

// Next sets *w to the next element.
func (it *elemIterator) Next(w *starlark.Value) bool {
	if it.i >= it.v.src.Len() {
		return false
	}
	*w = it.v.Index(it.i)
	it.i++
	return true
}

// Done does nothing: the data cannot change.
func (*elemIterator) Done() {}

// textOf is what str(x) says: the text of the real dict or list.
func textOf(p *pass, src any) string {
	c := converter{p: p, parts: runtime.MaxParts}
	v, err := c.plain(src)
	if err != nil {
		return "<" + err.Error() + ">"
	}
	w, err := p.toStar(v)
	if err != nil {
		return "<" + err.Error() + ">"
	}
	return w.String()
}
