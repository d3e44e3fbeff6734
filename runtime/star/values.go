package star

import (
	"fmt"
	"sort"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

// namespace is the value of `kv` or `on`: built-ins by name, frozen. A
// namespace may be a function as well.
type namespace struct {
	name    string
	members starlark.StringDict
	call    *starlark.Builtin
}

var (
	_ starlark.HasAttrs = (*namespace)(nil)
	_ starlark.Callable = (*namespace)(nil)
)

func (m *namespace) String() string        { return "<module " + m.name + ">" }
func (m *namespace) Type() string          { return "module" }
func (m *namespace) Freeze()               {} // immutable once a Language is made
func (m *namespace) Truth() starlark.Bool  { return true }
func (m *namespace) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: module") }
func (m *namespace) Name() string          { return m.name }
func (m *namespace) AttrNames() []string   { return m.members.Keys() }

// Attr returns a member; a name that is none is an error with the nearest one.
func (m *namespace) Attr(name string) (starlark.Value, error) {
	if v, ok := m.members[name]; ok {
		return v, nil
	}
	return nil, m.unknown(name)
}

func (m *namespace) unknown(name string) *runtime.Error {
	e := &runtime.Error{Kind: runtime.NameError, Msg: m.name + "." + name + " is not a built-in"}
	if n := runtime.Nearest(name, m.AttrNames()); n != "" {
		e.Hint = "did you mean " + m.name + "." + n + "?"
	}
	return e
}

// CallInternal calls the function of the same name, if there is one.
func (m *namespace) CallInternal(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if m.call == nil {
		return nil, &runtime.Error{Kind: runtime.RunError, Msg: m.name + " is a module, not a function"}
	}
	return m.call.CallInternal(thread, args, kwargs)
}

// secret is text that only the server can read.
type secret struct{ v runtime.Secret }

var _ starlark.HasBinary = secret{}

func (secret) String() string                { return "***" }
func (secret) Type() string                  { return "secret" }
func (secret) Freeze()                       {}
func (secret) Truth() starlark.Bool          { return true }
func (secret) Hash() (uint32, error)         { return 0, fmt.Errorf("unhashable: secret") }
func (s secret) parts() []runtime.SecretPart { return s.v.Parts }

// Binary joins secrets and strings with +, keeping what is secret apart.
func (s secret) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	var other []runtime.SecretPart
	switch y := y.(type) {
	case secret:
		other = y.parts()
	case starlark.String:
		other = []runtime.SecretPart{{Text: string(y)}}
	default:
		return nil, nil
	}
	if op != syntax.PLUS {
		return nil, nil
	}
	a, b := s.parts(), other
	if side == starlark.Right {
		a, b = b, a
	}
	if len(a)+len(b) > 1000 {
		return nil, fmt.Errorf("a secret of more than 1000 parts")
	}
	joined := make([]runtime.SecretPart, 0, len(a)+len(b))
	return secret{runtime.Secret{Parts: append(append(joined, a...), b...)}}, nil
}

// regexpValue is a compiled pattern. Its methods are the built-ins of module
// re that take a pattern first.
type regexpValue struct {
	pattern string
	re      *namespace
}

var _ starlark.HasAttrs = regexpValue{}

func (r regexpValue) String() string        { return "re.compile(" + syntax.Quote(r.pattern, false) + ")" }
func (r regexpValue) Type() string          { return "regexp" }
func (r regexpValue) Freeze()               {}
func (r regexpValue) Truth() starlark.Bool  { return true }
func (r regexpValue) Hash() (uint32, error) { return starlark.String(r.pattern).Hash() }

// Attr returns the pattern, or a function of re with the pattern filled in.
func (r regexpValue) Attr(name string) (starlark.Value, error) {
	if name == "pattern" {
		return starlark.String(r.pattern), nil
	}
	if r.re == nil || name == "compile" {
		return nil, nil
	}
	fn, ok := r.re.members[name].(*starlark.Builtin)
	if !ok {
		return nil, nil
	}
	return starlark.NewBuiltin(name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return fn.CallInternal(thread, append(starlark.Tuple{r}, args...), kwargs)
	}), nil
}

// AttrNames lists what Attr knows.
func (r regexpValue) AttrNames() []string {
	names := []string{"pattern"}
	if r.re != nil {
		for name, v := range r.re.members {
			if _, ok := v.(*starlark.Builtin); ok && name != "compile" {
				names = append(names, name)
			}
		}
	}
	sort.Strings(names)
	return names
}
