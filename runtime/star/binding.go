package star

import (
	"errors"
	"slices"

	"go.starlark.net/starlark"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// bound is a declared built-in as a Starlark function.
type bound struct{ *script.Builtin }

func (l *Language) bind(b *runtime.Builtin) *starlark.Builtin { return bindTo(b, nil) }

// bindTo binds a built-in as a method of an object.
func bindTo(b *runtime.Builtin, self runtime.Object) *starlark.Builtin {
	f := &bound{script.NewBuiltin(b, self)}
	return starlark.NewBuiltin(b.Name, f.call)
}

// call is the one road from a script to a built-in.
func (f *bound) call(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (_ starlark.Value, err error) {
	p := passOf(thread)
	if err := f.Allowed(p.x.Loading); err != nil {
		return nil, err
	}
	var slots [16]starlark.Value
	a, err := f.unpack(p, slots[:0], args, kwargs)
	if err != nil {
		return nil, f.placed(p, err)
	}
	v, err := f.do(p, a)
	switch {
	case err == nil:
		return p.result(v, f.IsResult)
	case errors.Is(err, suspension{}):
		return nil, err
	case p.stop != nil:
		return nil, p.stop
	}
	return nil, f.Named(err)
}

// placed puts an argument error where the argument is, if that is known.
func (f *bound) placed(p *pass, err error) error {
	bad, ok := err.(*script.ArgError)
	if !ok {
		return err
	}
	if f.Decl.Purity == runtime.Register && bad.Param != "" {
		if site := p.callSite(); site != nil {
			bad.Err.Pos = site.argPos(f.Decl)[bad.Param]
		}
	}
	return bad.Err
}

// do runs the built-in. A panic is a fault of its author, not of the script.
func (f *bound) do(p *pass, a *runtime.Args) (v runtime.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(suspension); ok {
				panic(r)
			}
			err = p.stopWith(f.Panicked(r))
		}
	}()
	return f.Do(&p.x, a)
}

// unpack gives each parameter its argument, checks it, and returns what was
// given in the order of the parameters. slots is memory to work in.
func (f *bound) unpack(p *pass, slots []starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) (*runtime.Args, error) {
	params := f.Decl.Params
	slots = slices.Grow(slots, len(params))[:len(params)]
	var variadic starlark.Tuple
	next := 0
	for i, v := range args {
		if next = f.Next(next); next == len(params) {
			return nil, f.TooMany(len(args), "")
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
		i := f.Option(name)
		switch {
		case i >= 0 && slots[i] != nil:
			return nil, f.Twice(name)
		case i >= 0:
			slots[i] = kv[1]
		case f.HasRest:
			if kv[1] == starlark.None {
				continue
			}
			v, err := p.fromStar(kv[1], false)
			if err != nil {
				return nil, badValue(f.Builtin, name, err)
			}
			if rest == nil {
				rest = &runtime.Dict{}
			}
			rest.Set(name, v)
		default:
			return nil, f.UnknownOption(name)
		}
	}
	return script.Collect[starlark.Value](f.Builtin, p, slots, variadic, rest, len(args)+len(kwargs))
}

// Given implements script.Converter.
func (p *pass) Given(v starlark.Value) bool { return v != nil }

// IsNone implements script.Converter.
func (p *pass) IsNone(v starlark.Value) bool { return v == starlark.None }

// Convert implements script.Converter.
func (p *pass) Convert(b *script.Builtin, q *runtime.Param, v starlark.Value) (runtime.Value, error) {
	if fn, ok := v.(starlark.Callable); ok && q.Type&runtime.TCallable != 0 {
		return p.callable(fn), nil
	}
	w, err := p.fromStar(v, q.Type == runtime.TAny || q.Type&runtime.TObject != 0)
	if err != nil {
		return nil, badValue(b, q.Name, err)
	}
	if s, ok := w.(string); ok {
		p.thread.Steps += uint64(len(s) / 64) // whatever it is that looks at it
	}
	return b.Accept(q, w)
}

// badValue is the error of an argument that could not be converted, if it is one.
func badValue(b *script.Builtin, name string, err error) error {
	if s, ok := err.(suspension); ok {
		return s
	}
	return b.BadValue(name, err)
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
