package star

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// object shows a host object such as the event: x.name and x["name"] alike,
// None where a field is absent, an error where there is no such field at all.
type object struct {
	p   *pass
	obj runtime.Object
}

var (
	_ starlark.Mapping     = (*object)(nil)
	_ starlark.HasSetField = (*object)(nil)
	_ starlark.HasSetKey   = (*object)(nil)
	_ starlark.Container   = (*object)(nil)
)

func (o *object) Freeze()               {}
func (o *object) Truth() starlark.Bool  { return true }
func (o *object) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", o.Type()) }

// Type keeps clear of the types that the interpreter takes for its own.
func (o *object) Type() string {
	switch name := o.obj.TypeName(); name {
	case "dict", "list", "tuple", "set", "string", "int", "float", "bool", "bytes", "range", "struct":
		return "frozen " + name
	default:
		return name
	}
}

// String lists the fields that are there, without the raw payload.
func (o *object) String() string {
	var b strings.Builder
	b.WriteString(o.obj.TypeName() + "(")
	sep := ""
	for _, name := range o.obj.FieldNames() {
		if name == "raw" {
			continue
		}
		v, err := o.Attr(name)
		if err != nil || v == starlark.None {
			continue
		}
		b.WriteString(sep + name + "=" + script.Cut(v.String(), 1000))
		sep = ", "
	}
	return b.String() + ")"
}

// Attr is x.name.
func (o *object) Attr(name string) (starlark.Value, error) {
	v, known := o.obj.Field(name)
	if known {
		return o.p.show(v)
	}
	if name == "get" {
		return starlark.NewBuiltin(name, o.get), nil
	}
	return nil, o.unknown(name)
}

func (o *object) unknown(name string) error {
	e := &runtime.Error{Kind: runtime.RunError, Msg: o.obj.TypeName() + " has no field " + script.Cut(name, 60)}
	if n := runtime.Nearest(name, o.obj.FieldNames()); n != "" {
		e.Hint = "did you mean ." + n + "?"
	}
	return e
}

// AttrNames lists the known fields.
func (o *object) AttrNames() []string { return o.obj.FieldNames() }

// Get is x[k].
func (o *object) Get(k starlark.Value) (starlark.Value, bool, error) {
	s, ok := k.(starlark.String)
	if !ok {
		return nil, false, fmt.Errorf("%s index: got %s, want string", o.obj.TypeName(), k.Type())
	}
	v, known := o.obj.Field(string(s))
	if !known {
		return nil, false, o.unknown(string(s))
	}
	w, err := o.p.show(v)
	return w, true, err
}

// Has is the operator in: whether the field is there.
func (o *object) Has(k starlark.Value) (bool, error) {
	s, ok := k.(starlark.String)
	if !ok {
		return false, fmt.Errorf("%s index: got %s, want string", o.obj.TypeName(), k.Type())
	}
	v, _ := o.obj.Field(string(s))
	return v != nil, nil
}

// SetKey refuses.
func (o *object) SetKey(_, _ starlark.Value) error {
	return frozen("change the "+o.obj.TypeName()+": it is frozen", "")
}

// SetField refuses.
func (o *object) SetField(string, starlark.Value) error {
	return frozen("change the "+o.obj.TypeName()+": it is frozen", "")
}

func (o *object) get(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var key string
	var def starlark.Value = starlark.None
	if err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, 1, &key, &def); err != nil {
		return nil, err
	}
	if v, known := o.obj.Field(key); known && v != nil {
		return o.p.show(v)
	}
	return def, nil
}
