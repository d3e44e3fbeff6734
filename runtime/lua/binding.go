package lua

import (
	"fmt"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
)

// bound is a declared built-in as a Lua function.
type bound struct {
	decl *runtime.Builtin
	// isResult tells that the value is a result object: with fields, and no
	// answer when a handler returns it.
	isResult bool
	// isNone tells that an effect returns nothing: nobody need wait for it.
	isNone  bool
	hasRest bool
	// positional are the parameters that can be given by place.
	positional []*runtime.Param
	variadic   *runtime.Param
	// self is the object of a method.
	self runtime.Object
}

func bind(b *runtime.Builtin) *glua.LFunction { return bindTo(b, nil) }

// bindTo binds a built-in as a method of an object: t.f(x) and t:f(x) are one.
func bindTo(b *runtime.Builtin, self runtime.Object) *glua.LFunction {
	f := describe(b)
	f.self = self
	return goFunction(f.call)
}

func describe(b *runtime.Builtin) *bound {
	f := &bound{decl: b}
	f.isResult = b.Purity == runtime.Asks && (b.Result == "" || strings.HasPrefix(b.Result, "result"))
	f.isNone = b.Purity == runtime.Asks && b.Result == "None"
	for i := range b.Params {
		switch q := &b.Params[i]; {
		case q.Rest:
			f.hasRest = true
		case q.Named:
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
	if o, ok := hostOf(L.Get(1)).(*object); ok && f.self != nil && o.obj == f.self {
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
	if err := f.allowed(p); err != nil {
		return nil, err
	}
	p.budget.spend(callCost)
	a, err := f.unpack(p, L)
	if err != nil {
		return nil, err
	}
	v, err := f.do(p, a)
	if err != nil {
		return nil, f.wrap(p, err)
	}
	if f.isNone {
		return glua.LNil, nil
	}
	return p.result(v, f.isResult)
}

// callCost is what a call of a built-in costs beyond its instruction.
const callCost = 10

// allowed refuses what belongs to the other phase of a script's life.
func (f *bound) allowed(p *pass) error {
	switch {
	case f.decl.Purity == runtime.Register && !p.x.Loading:
		return &runtime.Error{
			Kind: runtime.RunError, Msg: f.decl.Name + " registers a rule, which is only possible while the script is loaded",
			Hint: "call it at the top level of the file, not in a handler",
		}
	case f.decl.Purity == runtime.Asks && p.x.Loading:
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
	if e, ok := err.(*runtime.Error); ok {
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
		return f.hasRest || allNamed()
	}
	return false
}

// allNamed tells whether every name in t is a parameter.
func (f *bound) allNamed(t *glua.LTable) bool {
	ok := true
	each(t, func(k, _ glua.LValue) bool {
		s, isText := k.(glua.LString)
		ok = isText && f.hasOption(string(s))
		return ok
	})
	return ok
}

// hasOption tells whether there is a parameter of that name.
func (f *bound) hasOption(name string) bool {
	return slices.ContainsFunc(f.decl.Params, func(q runtime.Param) bool { return q.Name == name && !q.Rest && !q.Variadic })
}

// unpack gives each parameter its argument, checks it, and returns what was
// given in the order of the parameters.
func (f *bound) unpack(p *pass, L *glua.LState) (*runtime.Args, error) {
	opts, n := f.options(L)
	params := f.decl.Params
	var slots [16]glua.LValue
	given := slices.Grow(slots[:0], len(params))[:len(params)]
	var variadic []glua.LValue
	next := 0
	for i := 1; i <= n; i++ {
		for next < len(params) && (params[next].Named || params[next].Rest) {
			next++
		}
		if next == len(params) {
			if L.Get(i) == glua.LNil {
				continue // f(a, nil) is f(a)
			}
			return nil, f.tooMany(n)
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
	return f.collect(p, given, variadic, rest)
}

// named gives the parameters what the table of options holds.
func (f *bound) named(p *pass, opts *glua.LTable, given []glua.LValue) (rest *runtime.Dict, err error) {
	if opts == nil {
		return nil, nil
	}
	each(opts, func(k, v glua.LValue) bool {
		key, ok := k.(glua.LString)
		if !ok {
			err = f.errorf(p, "", "", "the table of options has a key of type %s", k.Type())
			return false
		}
		name := string(key)
		i := slices.IndexFunc(f.decl.Params, func(q runtime.Param) bool { return q.Name == name && !q.Rest && !q.Variadic })
		switch {
		case i >= 0 && given[i] != nil:
			err = f.errorf(p, name, "", "got two values for %q", name)
		case i >= 0:
			given[i] = v
		case f.hasRest:
			w, bad := p.fromLua(v, false, false)
			if bad != nil {
				err = f.badValue(p, name, bad)
				return false
			}
			if rest == nil {
				rest = &runtime.Dict{}
			}
			rest.Set(name, w)
		default:
			err = f.unknownOption(p, name)
		}
		return err == nil
	})
	return rest, err
}

// collect converts and checks what unpack assigned.
func (f *bound) collect(p *pass, given, variadic []glua.LValue, rest *runtime.Dict) (*runtime.Args, error) {
	type args struct {
		runtime.Args
		dict runtime.Dict
	}
	a := &args{}
	a.Builtin, a.Dict, a.Self = f.decl, &a.dict, f.self
	put := func(name string, v runtime.Value) {
		a.dict.Fields = append(a.dict.Fields, runtime.Field{Key: name, Value: v})
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
			put(q.Name, list)
		case q.Rest:
			if rest != nil {
				put(q.Name, rest)
			}
		case given[i] == nil:
			if !q.Optional {
				return nil, f.errorf(p, "", "", "missing argument %q (%s)", q.Name, q.Type)
			}
		case given[i] == glua.LNil && q.Optional:
		default:
			v, err := f.convert(p, q, given[i])
			if err != nil {
				return nil, err
			}
			put(q.Name, v)
		}
	}
	return &a.Args, nil
}

// convert makes a value of one parameter and checks its type.
func (f *bound) convert(p *pass, q *runtime.Param, v glua.LValue) (runtime.Value, error) {
	if fn, ok := v.(*glua.LFunction); ok && q.Type&runtime.TCallable != 0 {
		return p.callable(fn), nil
	}
	w, err := p.fromLua(v, q.Type == runtime.TAny || q.Type&runtime.TObject != 0, q.Type&runtime.TList != 0 && q.Type&runtime.TDict == 0)
	if err != nil {
		return nil, f.badValue(p, q.Name, err)
	}
	t := typeOf(w)
	switch {
	case q.Type&t != 0:
	case t == runtime.TInt && q.Type&runtime.TFloat != 0:
		w = float64(w.(int64))
	case t == runtime.TString && q.Type&runtime.TBytes != 0:
		w = []byte(w.(string))
	case q.Type&runtime.TDuration != 0 && t&(runtime.TString|runtime.TNumber) != 0:
		if _, err := runtime.ToDuration(w); err != nil {
			return nil, f.errorf(p, q.Name, "", "parameter %q: %v", q.Name, err)
		}
	default:
		hint := ""
		if w == nil && q.Type&runtime.TFunc != 0 {
			hint = "a function is known below its definition only"
		}
		return nil, f.errorf(p, q.Name, hint, "parameter %q: got %s, want %s", q.Name, luaTypeName(w), q.Type)
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

func luaTypeName(v runtime.Value) string {
	if v == nil {
		return "nil"
	}
	return runtime.TypeName(v)
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
		if file, line := p.lineIn(p.cur); file != nil && param != "" {
			if site := file.rw.calls[line]; site != nil {
				e.Pos = site.argPos(f.decl)[param]
			}
		}
	}
	return e
}

func (f *bound) badValue(p *pass, name string, err error) error {
	hint := ""
	if e, ok := err.(*runtime.Error); ok {
		hint = e.Hint
		err = fmt.Errorf("%s", e.Msg)
	}
	return f.errorf(p, name, hint, "parameter %q: %v", name, err)
}

func (f *bound) tooMany(got int) error {
	var names []string
	for _, q := range f.positional {
		names = append(names, q.Name)
	}
	e := &runtime.Error{Kind: runtime.RunError, Hint: "options go into a last table: {name = value}"}
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
