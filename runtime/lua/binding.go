package lua

import (
	"slices"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// bound is a declared built-in as a Lua function.
type bound struct {
	*script.Builtin
	// positional are the parameters that can be given by place.
	positional []*runtime.Param
	variadic   *runtime.Param
}

func bind(b *runtime.Builtin) *glua.LFunction { return bindTo(b, nil) }

// bindTo binds a built-in as a method of an object: t.f(x) and t:f(x) are one.
func bindTo(b *runtime.Builtin, self runtime.Object) *glua.LFunction {
	return goFunction(describe(b, self).call)
}

func describe(b *runtime.Builtin, self runtime.Object) *bound {
	f := &bound{Builtin: script.NewBuiltin(b, self)}
	for i := range b.Params {
		switch q := &b.Params[i]; {
		case q.Rest, q.Named:
		case q.Variadic:
			f.variadic = q
		default:
			f.positional = append(f.positional, q)
		}
	}
	return f
}

// call is the one road from a script to a built-in.
func (f *bound) call(L *glua.LState) int {
	p := passOf(L)
	outer := p.cur
	p.cur = L
	if o, ok := hostOf(L.Get(1)).(*object); ok && f.Self != nil && o.obj == f.Self {
		L.Remove(1)
	}
	v, err := f.run(p, L)
	if err != nil || p.ending() {
		p.raise(L, err)
	}
	p.cur = outer
	L.Push(v)
	return 1
}

func (f *bound) run(p *pass, L *glua.LState) (glua.LValue, error) {
	if p.ending() {
		return nil, errSuspended
	}
	if err := f.Allowed(p.x.Loading); err != nil {
		return nil, err
	}
	p.budget.spend(callCost)
	a, err := f.unpack(p, L)
	if err != nil {
		return nil, f.placed(p, err)
	}
	v, err := f.do(p, a)
	if err != nil {
		if p.stop != nil {
			return nil, p.stop
		}
		return nil, f.Named(err)
	}
	if f.IsNone {
		return glua.LNil, nil
	}
	return p.result(v, f.IsResult)
}

// callCost is what a call of a built-in costs beyond its instruction.
const callCost = 10

// placed puts an argument error where the argument is, if that is known.
func (f *bound) placed(p *pass, err error) error {
	bad, ok := err.(*script.ArgError)
	if !ok {
		return err
	}
	if f.Decl.Purity == runtime.Register && bad.Param != "" {
		if file, line := p.lineIn(p.cur); file != nil {
			if site := file.calls[line]; site != nil {
				bad.Err.Pos = site.argPos(f.Decl)[bad.Param]
			}
		}
	}
	return bad.Err
}

// do runs the built-in. A panic is a fault of its author, not of the script.
func (f *bound) do(p *pass, a *runtime.Args) (v runtime.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = p.stopWith(f.Panicked(r))
		}
	}()
	return f.Do(&p.x, a)
}

// options returns the last argument if it is a table of named values for this
// call, and how many arguments come before it.
//
// A table with names in the place of a parameter that takes dicts is that
// parameter, unless the parameter may be left out and every name is an option,
// or the built-in takes names of all kinds.
func (f *bound) options(L *glua.LState) (*glua.LTable, int) {
	n := L.GetTop()
	if n == 0 {
		return nil, 0
	}
	t, ok := L.Get(n).(*glua.LTable)
	if !ok || rawOf(t).Len() > 0 {
		return nil, n
	}
	first, _ := rawOf(t).Next(glua.LNil)
	if _, ok := first.(glua.LString); !ok && first != glua.LNil {
		return nil, n
	}
	if f.isOptions(n, first == glua.LNil, func() bool { return f.allNamed(t) }) {
		return t, n - 1
	}
	return nil, n
}

// isOptions tells that a table of names, the last argument of n, holds options.
func (f *bound) isOptions(n int, empty bool, allNamed func() bool) bool {
	var q *runtime.Param
	switch {
	case n <= len(f.positional):
		q = f.positional[n-1]
	case f.variadic != nil:
		q = f.variadic
	default:
		return true
	}
	takes := q.Type&runtime.TDict != 0
	switch {
	case empty && (takes || q.Type&runtime.TList != 0):
		return false
	case !takes:
		return true
	case q.Variadic || q.Optional:
		return f.HasRest || allNamed()
	}
	return false
}

// allNamed tells whether every name in t is a parameter.
func (f *bound) allNamed(t *glua.LTable) bool {
	ok := true
	each(t, func(k, _ glua.LValue) bool {
		s, isText := k.(glua.LString)
		ok = isText && f.Option(string(s)) >= 0
		return ok
	})
	return ok
}

// unpack gives each parameter its argument, checks it, and returns what was
// given in the order of the parameters.
func (f *bound) unpack(p *pass, L *glua.LState) (*runtime.Args, error) {
	opts, n := f.options(L)
	params := f.Decl.Params
	var slots [16]glua.LValue
	given := slices.Grow(slots[:0], len(params))[:len(params)]
	var variadic []glua.LValue
	next := 0
	for i := 1; i <= n; i++ {
		if next = f.Next(next); next == len(params) {
			if L.Get(i) == glua.LNil {
				continue // f(a, nil) is f(a)
			}
			return nil, f.TooMany(n, tooManyHint)
		}
		if params[next].Variadic {
			variadic = append(variadic, L.Get(i))
			continue
		}
		given[next] = L.Get(i)
		next++
	}
	rest, err := f.named(p, opts, given)
	if err != nil {
		return nil, err
	}
	return script.Collect(f.Builtin, p, given, variadic, rest, L.GetTop())
}

// named gives the parameters what the table of options holds.
func (f *bound) named(p *pass, opts *glua.LTable, given []glua.LValue) (rest *runtime.Dict, err error) {
	if opts == nil {
		return nil, nil
	}
	each(opts, func(k, v glua.LValue) bool {
		key, ok := k.(glua.LString)
		if !ok {
			err = f.Errorf("", "", "the table of options has a key of type %s", k.Type())
			return false
		}
		name := string(key)
		i := f.Option(name)
		switch {
		case i >= 0 && given[i] != nil:
			err = f.Twice(name)
		case i >= 0:
			given[i] = v
		case f.HasRest:
			w, bad := p.fromLua(v, false, false)
			if bad != nil {
				err = f.BadValue(name, bad)
				return false
			}
			if rest == nil {
				rest = &runtime.Dict{}
			}
			rest.Set(name, w)
		default:
			err = f.UnknownOption(name)
		}
		return err == nil
	})
	return rest, err
}

// Given implements script.Converter.
func (p *pass) Given(v glua.LValue) bool { return v != nil }

// IsNone implements script.Converter.
func (p *pass) IsNone(v glua.LValue) bool { return v == glua.LNil }

// Convert implements script.Converter.
func (p *pass) Convert(b *script.Builtin, q *runtime.Param, v glua.LValue) (runtime.Value, error) {
	if fn, ok := v.(*glua.LFunction); ok && q.Type&runtime.TCallable != 0 {
		return p.callable(fn), nil
	}
	w, err := p.fromLua(v, q.Type == runtime.TAny || q.Type&runtime.TObject != 0, q.Type&runtime.TList != 0 && q.Type&runtime.TDict == 0)
	if err != nil {
		return nil, b.BadValue(q.Name, err)
	}
	switch s, ok := w.(string); {
	case ok && q.Type&runtime.TBytes != 0 && q.Type&runtime.TString == 0:
		return []byte(s), nil // texts of Lua are bytes
	case w == nil && q.Type&runtime.TNone == 0:
		return nil, gotNil(b, q)
	}
	return b.Accept(q, w)
}

func gotNil(b *script.Builtin, q *runtime.Param) error {
	hint := ""
	if q.Type&runtime.TFunc != 0 {
		hint = "a function is known below its definition only"
	}
	return b.Errorf(q.Name, hint, "parameter %q: got nil, want %s", q.Name, q.Type)
}

const tooManyHint = "options go into a last table: {name = value}"

// callable lets a built-in call a function of the script.
func (p *pass) callable(fn *glua.LFunction) runtime.Callable {
	return func(args ...runtime.Value) (runtime.Value, error) {
		in := make([]glua.LValue, len(args))
		for i, a := range args {
			v, err := p.toLua(a)
			if err != nil {
				return nil, err
			}
			in[i] = v
		}
		outer := p.cur
		values, failed := p.attempt(outer, fn, in)
		p.cur = outer
		if failed != nil {
			return nil, p.describe(failed)
		}
		if len(values) == 0 {
			return nil, nil
		}
		w, err := p.fromLua(values[0], true, false)
		if err != nil && p.ending() {
			return nil, err
		}
		return w, nil
	}
}

// argPos returns the places of the arguments by the names of the parameters.
func (s *callSite) argPos(b *runtime.Builtin) map[string]runtime.Position {
	out := make(map[string]runtime.Position, len(s.args)+len(s.options))
	next := 0
	for _, at := range s.args {
		for next < len(b.Params) && (b.Params[next].Named || b.Params[next].Rest) {
			next++
		}
		if next == len(b.Params) {
			break
		}
		q := b.Params[next]
		if _, ok := out[q.Name]; !ok {
			out[q.Name] = at
		}
		if !q.Variadic {
			next++
		}
	}
	for name, at := range s.options {
		out[name] = at
	}
	return out
}
