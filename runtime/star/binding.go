package star

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/starling-rules/starling/runtime"
)

// bound is a declared built-in as a Starlark function.
type bound struct {
	decl *runtime.Builtin
	// isResult tells that the value is a result object: truthy, with fields,
	// and no answer when a handler returns it.
	isResult bool
	hasRest  bool
	// self is the object of a method.
	self runtime.Object
}

func (l *Language) bind(b *runtime.Builtin) *starlark.Builtin { return bindTo(b, nil) }

// bindTo binds a built-in as a method of an object.
func bindTo(b *runtime.Builtin, self runtime.Object) *starlark.Builtin {
	f := &bound{decl: b, self: self}
	f.isResult = b.Purity == runtime.Asks && (b.Result == "" || strings.HasPrefix(b.Result, "result"))
	f.hasRest = slices.ContainsFunc(b.Params, func(q runtime.Param) bool { return q.Rest })
	return starlark.NewBuiltin(b.Name, f.call)
}

// call is the one road from a script to a built-in.
func (f *bound) call(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (_ starlark.Value, err error) {
	p := passOf(thread)
	if err := f.allowed(p.x.Loading); err != nil {
		return nil, err
	}
	var slots [16]starlark.Value
	a, err := f.unpack(p, slots[:0], args, kwargs)
	if err != nil {
		return nil, err
	}
	v, err := f.do(p, a)
	if err != nil {
		return nil, f.wrap(p, err)
	}
	return p.result(v, f.isResult)
}

// allowed refuses what belongs to the other phase of a script's life.
func (f *bound) allowed(loading bool) error {
	switch {
	case f.decl.Purity == runtime.Register && !loading:
		return &runtime.Error{
			Kind: runtime.RunError, Msg: f.decl.Name + " registers a rule, which is only possible while the script is loaded",
			Hint: "call it at the top level of the file, not in a handler",
		}
	case f.decl.Purity == runtime.Asks && loading:
		return &runtime.Error{
			Kind: runtime.LoadError, Msg: f.decl.Name + " has an effect, which is not possible while the script is loaded",
			Hint: "call it in a handler",
		}
	}
	return nil
}

// do runs the built-in. A panic is a fault of its author, not of the script.
func (f *bound) do(p *pass, a *runtime.Args) (v runtime.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(suspension); ok {
				panic(r)
			}
			err = p.stopWith(&runtime.Error{Kind: runtime.InternalError, Msg: fmt.Sprintf("%s: panic: %v", f.decl.Name, r)})
		}
	}()
	if f.decl.Fn != nil {
		return f.decl.Fn(&p.x, a)
	}
	switch f.decl.Purity {
	case runtime.Asks:
		return p.ask(f.decl.Name, a.Dict)
	case runtime.Register:
		return nil, p.register(runtime.Registration{Name: f.decl.Name, Args: a.Dict})
	}
	return nil, fmt.Errorf("not implemented")
}

// wrap gives an error of a built-in the built-in's name.
func (f *bound) wrap(p *pass, err error) error {
	switch e := err.(type) {
	case *runtime.Error:
		return e
	case suspension:
		return e
	}
	if p.stop != nil {
		return p.stop
	}
	msg := err.Error()
	if !strings.HasPrefix(msg, f.decl.Name) {
		msg = f.decl.Name + ": " + msg
	}
	return &runtime.Error{Kind: runtime.RunError, Msg: msg}
}

// unpack gives each parameter its argument, checks it, and returns what was
// given in the order of the parameters. slots is memory to work in.
func (f *bound) unpack(p *pass, slots []starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) (*runtime.Args, error) {
	params := f.decl.Params
	slots = slices.Grow(slots, len(params))[:len(params)]
	var variadic starlark.Tuple
	next := 0
	for i, v := range args {
		for next < len(params) && (params[next].Named || params[next].Rest) {
			next++
		}
		if next == len(params) {
			return nil, f.tooMany(len(args))
		}
		if params[next].Variadic {
			variadic = args[i:]
			break
		}
		slots[next] = v
		next++
	}
	var rest *runtime.Dict
	for _, kv := range kwargs {
		name := string(kv[0].(starlark.String))
		i := slices.IndexFunc(params, func(q runtime.Param) bool { return q.Name == name && !q.Rest && !q.Variadic })
		switch {
		case i >= 0 && slots[i] != nil:
			return nil, f.errorf(p, name, "", "got two values for %q", name)
		case i >= 0:
			slots[i] = kv[1]
		case f.hasRest:
			if kv[1] == starlark.None {
				continue
			}
			v, err := p.fromStar(kv[1], false)
			if err != nil {
				return nil, f.badValue(p, name, err)
			}
			if rest == nil {
				rest = &runtime.Dict{}
			}
			rest.Set(name, v)
		default:
			return nil, f.unknownOption(p, name)
		}
	}
	return f.collect(p, slots, variadic, rest, len(args)+len(kwargs))
}

// collect converts and checks what unpack assigned.
func (f *bound) collect(p *pass, slots []starlark.Value, variadic starlark.Tuple, rest *runtime.Dict, given int) (*runtime.Args, error) {
	type args struct {
		runtime.Args
		dict runtime.Dict
	}
	a := &args{}
	a.Builtin, a.Dict, a.Self = f.decl, &a.dict, f.self
	if given > 0 {
		a.dict.Fields = make([]runtime.Field, 0, min(given, len(slots)))
	}
	for i := range f.decl.Params {
		q := &f.decl.Params[i]
		switch {
		case q.Variadic:
			if len(variadic) == 0 {
				continue
			}
			list := make(runtime.List, len(variadic))
			for j, v := range variadic {
				w, err := f.convert(p, q, v)
				if err != nil {
					return nil, err
				}
				list[j] = w
			}
			a.dict.Fields = append(a.dict.Fields, runtime.Field{Key: q.Name, Value: list})
		case q.Rest:
			if rest != nil {
				a.dict.Fields = append(a.dict.Fields, runtime.Field{Key: q.Name, Value: rest})
			}
		case slots[i] == nil:
			if !q.Optional {
				return nil, f.errorf(p, "", "", "missing argument %q (%s)", q.Name, q.Type)
			}
		case slots[i] == starlark.None && q.Optional:
		default:
			v, err := f.convert(p, q, slots[i])
			if err != nil {
				return nil, err
			}
			a.dict.Fields = append(a.dict.Fields, runtime.Field{Key: q.Name, Value: v})
		}
	}
	return &a.Args, nil
}

// convert makes a value of one parameter and checks its type.
func (f *bound) convert(p *pass, q *runtime.Param, v starlark.Value) (runtime.Value, error) {
	if fn, ok := v.(starlark.Callable); ok && q.Type&runtime.TCallable != 0 {
		return p.callable(fn), nil
	}
	w, err := p.fromStar(v, q.Type == runtime.TAny || q.Type&runtime.TObject != 0)
	if err != nil {
		return nil, f.badValue(p, q.Name, err)
	}
	if s, ok := w.(string); ok {
		p.thread.Steps += uint64(len(s) / 64) // whatever it is that looks at it
	}
	return f.accept(p, q, w)
}

// accept checks the type of a value. It gives the value that the parameter
// has; the pass is for the place of an error, and may be nil.
func (f *bound) accept(p *pass, q *runtime.Param, w runtime.Value) (runtime.Value, error) {
	t := typeOf(w)
	switch {
	case q.Type&t != 0:
	case t == runtime.TInt && q.Type&runtime.TFloat != 0:
		w = float64(w.(int64))
	case q.Type&runtime.TDuration != 0 && t&(runtime.TString|runtime.TNumber) != 0:
		if _, err := runtime.ToDuration(w); err != nil {
			return nil, f.errorf(p, q.Name, "", "parameter %q: %v", q.Name, err)
		}
	default:
		return nil, f.errorf(p, q.Name, "", "parameter %q: got %s, want %s", q.Name, runtime.TypeName(w), q.Type)
	}
	if s, ok := w.(string); ok && len(q.Values) > 0 && !slices.Contains(q.Values, s) {
		hint := ""
		if n := runtime.Nearest(s, q.Values); n != "" {
			hint = "did you mean \"" + n + "\"?"
		}
		return nil, f.errorf(p, q.Name, hint, "parameter %q: got %q, want one of \"%s\"", q.Name, cut(s, 60), strings.Join(q.Values, `", "`))
	}
	return w, nil
}

// callable lets a built-in call a function of the script.
func (p *pass) callable(fn starlark.Callable) runtime.Callable {
	return func(args ...runtime.Value) (runtime.Value, error) {
		in := make(starlark.Tuple, len(args))
		for i, a := range args {
			v, err := p.toStar(a)
			if err != nil {
				return nil, err
			}
			in[i] = v
		}
		v, err := starlark.Call(&p.thread, fn, in, nil)
		switch {
		case err == nil:
		case p.stop != nil:
			return nil, p.stop
		case errors.Is(err, suspension{}) || p.doubtful(err):
			return nil, suspension{}
		default:
			return nil, p.describe(err)
		}
		w, err := p.fromStar(v, true)
		if errors.Is(err, suspension{}) {
			return nil, err
		}
		return w, nil
	}
}

// typeOf returns the type bit of a value.
func typeOf(v runtime.Value) runtime.Type {
	switch v := v.(type) {
	case nil:
		return runtime.TNone
	case bool:
		return runtime.TBool
	case int64:
		return runtime.TInt
	case float64:
		return runtime.TFloat
	case string:
		return runtime.TString
	case []byte:
		return runtime.TBytes
	case runtime.List:
		return runtime.TList
	case *runtime.Dict:
		return runtime.TDict
	case *runtime.View:
		if v.IsList() {
			return runtime.TList
		}
		return runtime.TDict
	case runtime.Func:
		return runtime.TFunc
	case runtime.Secret:
		return runtime.TSecret
	case runtime.Regexp:
		return runtime.TRegexp
	case runtime.Object:
		return runtime.TObject
	}
	return 0
}

// errorf makes an argument error; param, if known, is where it is shown.
func (f *bound) errorf(p *pass, param, hint, format string, args ...any) error {
	e := &runtime.Error{Kind: runtime.RunError, Msg: f.decl.Name + ": " + fmt.Sprintf(format, args...), Hint: hint}
	if f.decl.Purity == runtime.Register {
		e.Kind = runtime.LoadError
		if site := p.callSite(); site != nil && param != "" {
			e.Pos = site.argPos(f.decl)[param]
		}
	}
	return e
}

func (f *bound) badValue(p *pass, name string, err error) error {
	if s, ok := err.(suspension); ok {
		return s
	}
	hint := ""
	if e, ok := err.(*runtime.Error); ok {
		hint = e.Hint
		err = fmt.Errorf("%s", e.Msg)
	}
	return f.errorf(p, name, hint, "parameter %q: %v", name, err)
}

func (f *bound) tooMany(got int) error {
	var names []string
	for _, q := range f.decl.Params {
		if !q.Named && !q.Rest {
			names = append(names, q.Name)
		}
	}
	e := &runtime.Error{Kind: runtime.RunError}
	if f.decl.Purity == runtime.Register {
		e.Kind = runtime.LoadError
	}
	if len(names) == 0 {
		e.Msg = fmt.Sprintf("%s: got %d positional arguments, want none", f.decl.Name, got)
		return e
	}
	e.Msg = fmt.Sprintf("%s: got %d positional arguments, want at most %d (%s)", f.decl.Name, got, len(names), strings.Join(names, ", "))
	return e
}

func (f *bound) unknownOption(p *pass, name string) error {
	var names []string
	for _, q := range f.decl.Params {
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
	return f.errorf(p, name, hint, "unknown option %q", cut(name, 60))
}

// cut shortens s to at most n bytes at a character's edge.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}
