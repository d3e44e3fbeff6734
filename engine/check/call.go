package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// call is a use of a built-in with its arguments sorted to the parameters, as
// far as they can be read off the text.
type call struct {
	*runtime.CallSite
	decl *runtime.Builtin
	// args are what was given by parameter, variadic and rest what further
	// parameters took. With spread there may be more of each. What is wrong in
	// itself is runtime.Unknown, so that it is told once; bad says that there
	// was such, or that something is missing.
	args     map[string]*runtime.Argument
	variadic []*runtime.Argument
	rest     []*runtime.Argument
	spread   bool
	bad      bool
}

// bind sorts the arguments of a call, and tells what is wrong with them in the
// words in which the call itself would fail.
func bind(site *runtime.CallSite, decl *runtime.Builtin) (*call, []*runtime.Error) {
	c := &call{CallSite: site, decl: decl, args: make(map[string]*runtime.Argument, len(site.Args))}
	c.spread = slices.ContainsFunc(site.Args, func(a runtime.Argument) bool { return a.Spread })
	var errs []*runtime.Error
	next, positional, tooMany := 0, 0, false
	for i := range site.Args {
		a := &site.Args[i]
		switch {
		case a.Spread:
		case a.Name != "":
			if e := c.named(a); e != nil {
				errs = append(errs, e)
			}
		default:
			positional++
			for next < len(decl.Params) && (decl.Params[next].Named || decl.Params[next].Rest) {
				next++
			}
			switch {
			case next == len(decl.Params):
				tooMany = tooMany || a.Value != nil
			case decl.Params[next].Variadic:
				c.variadic = append(c.variadic, a)
			default:
				c.args[decl.Params[next].Name] = a
				next++
			}
		}
	}
	if tooMany {
		errs = append(errs, c.tooMany(positional))
	}
	errs = append(errs, c.values()...)
	c.bad = len(errs) > 0
	return c, errs
}

// named takes up an argument that was given by name.
func (c *call) named(a *runtime.Argument) *runtime.Error {
	i := slices.IndexFunc(c.decl.Params, func(q runtime.Param) bool { return q.Name == a.Name && !q.Rest && !q.Variadic })
	switch {
	case i >= 0 && c.args[a.Name] != nil:
		return c.fail(a, "", "got two values for %q", a.Name)
	case i >= 0:
		c.args[a.Name] = a
	case slices.ContainsFunc(c.decl.Params, func(q runtime.Param) bool { return q.Rest }):
		c.rest = append(c.rest, a)
	default:
		return c.unknownOption(a)
	}
	return nil
}

func (c *call) unknownOption(a *runtime.Argument) *runtime.Error {
	var names []string
	for _, q := range c.decl.Params {
		if !q.Variadic && !q.Rest {
			names = append(names, q.Name)
		}
	}
	hint := didYouMean(a.Name, names)
	if hint == "" && len(names) > 0 {
		hint = "it takes " + strings.Join(names, ", ")
	}
	return c.fail(a, hint, "unknown option %q", a.Name)
}

func (c *call) tooMany(got int) *runtime.Error {
	var names []string
	for _, q := range c.decl.Params {
		if !q.Named && !q.Rest {
			names = append(names, q.Name)
		}
	}
	if len(names) == 0 {
		return c.fail(nil, "", "got %d positional arguments, want none", got)
	}
	return c.fail(nil, "", "got %d positional arguments, want at most %d (%s)", got, len(names), strings.Join(names, ", "))
}

// values looks at what each parameter was given, and what is missing.
func (c *call) values() []*runtime.Error {
	var errs []*runtime.Error
	for i := range c.decl.Params {
		q := &c.decl.Params[i]
		a := c.args[q.Name]
		switch {
		case q.Variadic:
			for _, v := range c.variadic {
				if e := c.value(q, v); e != nil {
					errs = append(errs, e)
				}
			}
		case q.Rest:
		case a == nil:
			if !q.Optional && !c.spread {
				errs = append(errs, c.fail(nil, "", "missing argument %q (%s)", q.Name, q.Type))
			}
		default:
			if e := c.value(q, a); e != nil {
				errs = append(errs, e)
				unknown := *a
				unknown.Value = runtime.Unknown{}
				c.args[q.Name] = &unknown
			}
		}
	}
	return errs
}

// value tells what is wrong with one argument.
func (c *call) value(q *runtime.Param, a *runtime.Argument) *runtime.Error {
	if a.Value == nil && q.Optional {
		return nil
	}
	t := runtime.TypeOf(a.Value)
	switch {
	case t == 0 || q.Type&t != 0:
	case t == runtime.TFunc && q.Type&runtime.TCallable != 0:
	case t == runtime.TInt && q.Type&runtime.TFloat != 0, t == runtime.TFloat && q.Type&runtime.TInt != 0 && isWhole(a.Value):
	case isEmpty(a.Value) && q.Type&(runtime.TList|runtime.TDict) != 0:
		// {} of Lua is either.
	case q.Type&runtime.TDuration != 0 && t&(runtime.TString|runtime.TNumber) != 0:
		if _, err := runtime.ToDuration(a.Value); err != nil {
			return c.fail(a, "", "parameter %q: %v", q.Name, err)
		}
	default:
		return c.fail(a, "", "parameter %q: got %s, want %s", q.Name, runtime.TypeName(a.Value), q.Type)
	}
	if s, ok := a.Value.(string); ok && len(q.Values) > 0 && !slices.Contains(q.Values, s) {
		hint := ""
		if n := runtime.Nearest(s, q.Values); n != "" {
			hint = "did you mean \"" + n + "\"?"
		}
		return c.fail(a, hint, "parameter %q: got %q, want one of \"%s\"", q.Name, s, strings.Join(q.Values, `", "`))
	}
	return nil
}

// fail makes an error at an argument, or at the call.
func (c *call) fail(a *runtime.Argument, hint, format string, args ...any) *runtime.Error {
	e := &runtime.Error{Kind: runtime.RunError, Pos: c.Pos, Msg: c.decl.Name + ": " + fmt.Sprintf(format, args...), Hint: hint}
	if c.decl.Purity == runtime.Register {
		e.Kind = runtime.LoadError
	}
	if a != nil && !a.Pos.IsZero() {
		e.Pos = a.Pos
	}
	return e
}

// lint is fail for what does not keep the script from running.
func (c *call) lint(a *runtime.Argument, hint, format string, args ...any) *runtime.Error {
	e := c.fail(a, hint, format, args...)
	e.Kind = runtime.LintError
	return e
}

// text returns an argument that is a text, whole.
func (c *call) text(name string) (string, bool) {
	if a := c.args[name]; a != nil {
		s, ok := a.Value.(string)
		return s, ok
	}
	return "", false
}

// is reports whether an argument surely is that value.
func (c *call) is(name string, v runtime.Value) bool {
	a := c.args[name]
	return a != nil && a.Value == v
}

// registration is the call as the loader would see it, and whether there may
// be further arguments.
func (c *call) registration() (runtime.Registration, bool) {
	r := runtime.Registration{Name: c.Name, Args: &runtime.Dict{}, Pos: c.Pos, ArgPos: map[string]runtime.Position{}}
	for _, q := range c.decl.Params {
		if a := c.args[q.Name]; a != nil && a.Value != nil {
			r.Args.Set(q.Name, a.Value)
			r.ArgPos[q.Name] = a.Pos
		}
	}
	return r, c.spread
}

func isWhole(v runtime.Value) bool {
	f, ok := v.(float64)
	return ok && f == float64(int64(f))
}

func isEmpty(v runtime.Value) bool {
	switch v := v.(type) {
	case runtime.List:
		return len(v) == 0
	case *runtime.Dict:
		return v.Len() == 0
	}
	return false
}

func didYouMean(name string, candidates []string) string {
	if n := runtime.Nearest(name, candidates); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}
