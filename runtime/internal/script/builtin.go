package script

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Builtin is a declared built-in as a language calls it. It is immutable.
type Builtin struct {
	Decl *runtime.Builtin
	// Self is the object of a method, or nil.
	Self runtime.Object
	// IsResult tells that an effect's value is a result object: with fields,
	// and no answer when a handler returns it. IsNone tells that it returns
	// nothing.
	IsResult, IsNone bool
	HasRest          bool
}

// NewBuiltin prepares a declaration; self is the object of a method, or nil.
func NewBuiltin(b *runtime.Builtin, self runtime.Object) *Builtin {
	asks := b.Purity == runtime.Asks
	return &Builtin{
		Decl: b, Self: self,
		IsResult: asks && (b.Result == "" || strings.HasPrefix(b.Result, "result")),
		IsNone:   asks && b.Result == "None",
		HasRest:  slices.ContainsFunc(b.Params, func(q runtime.Param) bool { return q.Rest }),
	}
}

// Allowed refuses what belongs to the other phase of a script's life.
func (b *Builtin) Allowed(loading bool) error {
	switch {
	case b.Decl.Purity == runtime.Register && !loading:
		return registersLate(b.Decl.Name)
	case b.Decl.Purity == runtime.Asks && loading:
		return asksEarly(b.Decl.Name)
	}
	return nil
}

func registersLate(name string) error {
	return &runtime.Error{
		Kind: runtime.RunError, Msg: name + " registers a rule, which is only possible while the script is loaded",
		Hint: "call it at the top level of the file, not in a handler",
	}
}

func asksEarly(name string) error {
	return &runtime.Error{
		Kind: runtime.LoadError, Msg: name + " has an effect, which is not possible while the script is loaded",
		Hint: "call it in a handler",
	}
}

// Do runs the built-in: its own function, or what its declaration stands for.
func (b *Builtin) Do(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	if b.Decl.Fn != nil {
		return b.Decl.Fn(x, a)
	}
	switch b.Decl.Purity {
	case runtime.Asks:
		return x.Do(b.Decl.Name, a.Dict)
	case runtime.Register:
		return nil, x.Register(runtime.Registration{Name: b.Decl.Name, Args: a.Dict})
	}
	return nil, fmt.Errorf("not implemented")
}

// Panicked is the end of a pass in which the built-in panicked: a fault of its
// author, not of the script.
func (b *Builtin) Panicked(r any) *runtime.Error {
	return &runtime.Error{Kind: runtime.InternalError, Msg: fmt.Sprintf("%s: panic: %v", b.Decl.Name, r)}
}

// Named gives an error of the built-in the built-in's name.
func (b *Builtin) Named(err error) error {
	if e, ok := err.(*runtime.Error); ok {
		return e
	}
	msg := err.Error()
	if !strings.HasPrefix(msg, b.Decl.Name) {
		msg = b.Decl.Name + ": " + msg
	}
	return &runtime.Error{Kind: runtime.RunError, Msg: msg}
}

// Option returns the index of the parameter that can be given by that name, or -1.
func (b *Builtin) Option(name string) int {
	return slices.IndexFunc(b.Decl.Params, func(q runtime.Param) bool { return q.Name == name && !q.Rest && !q.Variadic })
}

// Next returns the parameter that the next positional argument is for, from
// parameter i on; len(Params) if there is none.
func (b *Builtin) Next(i int) int {
	for i < len(b.Decl.Params) && (b.Decl.Params[i].Named || b.Decl.Params[i].Rest) {
		i++
	}
	return i
}

// ArgError is what is wrong with the arguments of a call. Param, if known,
// is the parameter to whose argument the error belongs.
type ArgError struct {
	Err   *runtime.Error
	Param string
}

// Error is the message.
func (e *ArgError) Error() string { return e.Err.Error() }

// Unwrap returns the error without the parameter.
func (e *ArgError) Unwrap() error { return e.Err }

// Errorf makes an argument error; param may be empty.
func (b *Builtin) Errorf(param, hint, format string, args ...any) error {
	e := &runtime.Error{Kind: runtime.RunError, Msg: b.Decl.Name + ": " + fmt.Sprintf(format, args...), Hint: hint}
	if b.Decl.Purity == runtime.Register {
		e.Kind = runtime.LoadError
	}
	return &ArgError{Err: e, Param: param}
}

// BadValue is the error of an argument that could not be converted.
func (b *Builtin) BadValue(param string, err error) error {
	if e, ok := err.(*runtime.Error); ok {
		return b.Errorf(param, e.Hint, "parameter %q: %s", param, e.Msg)
	}
	return b.Errorf(param, "", "parameter %q: %v", param, err)
}

// Twice is the error of an argument that was given by place and by name.
func (b *Builtin) Twice(name string) error { return b.Errorf(name, "", "got two values for %q", name) }

// Missing is the error of an argument that was not given.
func (b *Builtin) Missing(q *runtime.Param) error {
	return b.Errorf("", "", "missing argument %q (%s)", q.Name, q.Type)
}

// TooMany is the error of too many positional arguments; hint may be empty.
func (b *Builtin) TooMany(got int, hint string) error {
	var names []string
	for _, q := range b.Decl.Params {
		if !q.Named && !q.Rest {
			names = append(names, q.Name)
		}
	}
	if len(names) == 0 {
		return b.Errorf("", hint, "got %d positional arguments, want none", got)
	}
	return b.Errorf("", hint, "got %d positional arguments, want at most %d (%s)", got, len(names), strings.Join(names, ", "))
}

// UnknownOption is the error of a name that is no parameter.
func (b *Builtin) UnknownOption(name string) error {
	var names []string
	for _, q := range b.Decl.Params {
		if !q.Variadic && !q.Rest {
			names = append(names, q.Name)
		}
	}
	hint := ""
	if n := runtime.Nearest(name, names); n != "" {
		hint = "did you mean " + n + "?"
	} else if len(names) > 0 {
		hint = "it takes " + strings.Join(names, ", ")
	}
	return b.Errorf(name, hint, "unknown option %q", Cut(name, 60))
}

// Accept checks the type of a value, and gives what the parameter then has.
func (b *Builtin) Accept(q *runtime.Param, v runtime.Value) (runtime.Value, error) {
	t := runtime.TypeOf(v)
	switch {
	case q.Type&t != 0:
	case t == runtime.TFunc && q.Type&runtime.TCallable != 0: // as an analysis sees it
	case t == runtime.TInt && q.Type&runtime.TFloat != 0:
		v = float64(v.(int64))
	case q.Type&runtime.TDuration != 0 && t&(runtime.TString|runtime.TNumber) != 0:
		if _, err := runtime.ToDuration(v); err != nil {
			return nil, b.Errorf(q.Name, "", "parameter %q: %v", q.Name, err)
		}
	default:
		return nil, b.Errorf(q.Name, "", "parameter %q: got %s, want %s", q.Name, runtime.TypeName(v), q.Type)
	}
	if s, ok := v.(string); ok && len(q.Values) > 0 && !slices.Contains(q.Values, s) {
		hint := ""
		if n := runtime.Nearest(s, q.Values); n != "" {
			hint = "did you mean \"" + n + "\"?"
		}
		return nil, b.Errorf(q.Name, hint, "parameter %q: got %q, want one of \"%s\"", q.Name, Cut(s, 60), strings.Join(q.Values, `", "`))
	}
	return v, nil
}

// Converter makes values of a language's own, V, which is an interface type.
type Converter[V any] interface {
	// Given tells whether there is an argument at all, IsNone whether it is
	// the language's None.
	Given(v V) bool
	IsNone(v V) bool
	// Convert makes the value of an argument and checks it.
	Convert(b *Builtin, q *runtime.Param, v V) (runtime.Value, error)
}

// Collect converts what a call gives to each parameter, and returns what was
// given in the order of the parameters. size is how many arguments there are.
func Collect[V any, C Converter[V]](b *Builtin, c C, given, variadic []V, rest *runtime.Dict, size int) (*runtime.Args, error) {
	type args struct {
		runtime.Args
		dict runtime.Dict
	}
	a := &args{}
	a.Builtin, a.Dict, a.Self = b.Decl, &a.dict, b.Self
	if size > 0 {
		a.dict.Fields = make([]runtime.Field, 0, min(size, len(given)))
	}
	put := func(name string, v runtime.Value) {
		a.dict.Fields = append(a.dict.Fields, runtime.Field{Key: name, Value: v})
	}
	for i := range b.Decl.Params {
		q := &b.Decl.Params[i]
		switch {
		case q.Variadic:
			if len(variadic) == 0 {
				continue
			}
			list := make(runtime.List, len(variadic))
			for j, v := range variadic {
				w, err := c.Convert(b, q, v)
				if err != nil {
					return nil, err
				}
				list[j] = w
			}
			put(q.Name, list)
		case q.Rest:
			if rest != nil {
				put(q.Name, rest)
			}
		case !c.Given(given[i]):
			if !q.Optional {
				return nil, b.Missing(q)
			}
		case q.Optional && c.IsNone(given[i]):
		default:
			v, err := c.Convert(b, q, given[i])
			if err != nil {
				return nil, err
			}
			put(q.Name, v)
		}
	}
	return &a.Args, nil
}
