package star

import (
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

// suspension ends a pass because the script looked at a result that is not
// there yet. It travels as an error where the interpreter takes one, and as a
// panic where it does not; the pass recovers it.
type suspension struct{}

// Error is never shown.
func (suspension) Error() string { return "suspended" }

// pending is the result of an effect that is not performed yet. A script may
// carry it about and return it. Whatever looks at it ends the pass, so that
// the script sees the same in this pass and in the replay.
//
// Even Type looks: the interpreter asks for it before it says that two values
// differ or that one is of the wrong type.
type pending struct {
	step int
	// result tells that it will be a result object, which is always true: a
	// condition on it need not wait.
	result bool
}

var (
	_ starlark.HasBinary       = (*pending)(nil)
	_ starlark.HasUnary        = (*pending)(nil)
	_ starlark.HasSetField     = (*pending)(nil)
	_ starlark.HasSetKey       = (*pending)(nil)
	_ starlark.IterableMapping = (*pending)(nil)
	_ starlark.Sequence        = (*pending)(nil)
	_ starlark.Container       = (*pending)(nil)
	_ starlark.Callable        = (*pending)(nil)
)

func (*pending) look() { panic(suspension{}) }

func (p *pending) String() string { p.look(); return "" }

// Type looks.
func (p *pending) Type() string { p.look(); return "" }

// Freeze does nothing.
func (p *pending) Freeze() {}

// Truth looks, unless a result object is certain.
func (p *pending) Truth() starlark.Bool {
	if !p.result {
		p.look()
	}
	return true
}

// Hash looks.
func (p *pending) Hash() (uint32, error) { return 0, suspension{} }

// Attr looks, also where getattr would hide an error.
func (p *pending) Attr(string) (starlark.Value, error) { p.look(); return nil, nil }

// AttrNames looks.
func (p *pending) AttrNames() []string { p.look(); return nil }

// SetField looks.
func (p *pending) SetField(string, starlark.Value) error { p.look(); return nil }

// Get looks.
func (p *pending) Get(starlark.Value) (starlark.Value, bool, error) { p.look(); return nil, false, nil }

// SetKey looks.
func (p *pending) SetKey(_, _ starlark.Value) error { p.look(); return nil }

// Has looks.
func (p *pending) Has(starlark.Value) (bool, error) { p.look(); return false, nil }

// Items looks.
func (p *pending) Items() []starlark.Tuple { p.look(); return nil }

// Len looks.
func (p *pending) Len() int { p.look(); return 0 }

// Iterate looks.
func (p *pending) Iterate() starlark.Iterator { p.look(); return nil }

// Binary looks.
func (p *pending) Binary(syntax.Token, starlark.Value, starlark.Side) (starlark.Value, error) {
	return nil, suspension{}
}

// Unary looks.
func (p *pending) Unary(syntax.Token) (starlark.Value, error) { return nil, suspension{} }

// Name is that of the frame of a call of it, which looks at once.
func (p *pending) Name() string { return "result" }

// CallInternal looks.
func (p *pending) CallInternal(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
	return nil, suspension{}
}

// result shows what a built-in returned. The results of effects that are
// declared as results are frozen and convert only what is looked at.
func (p *pass) result(v runtime.Value, isResult bool) (starlark.Value, error) {
	if w, ok := v.(runtime.Pending); ok {
		return &pending{step: w.Step, result: isResult}, nil
	}
	if !isResult {
		return p.toStar(v)
	}
	switch v := v.(type) {
	case nil:
		return &dictView{p: p, src: dictSource{}, result: true}, nil
	case *runtime.Dict:
		return &dictView{p: p, src: dictSource{v}, result: true}, nil
	case *runtime.View:
		if v.IsDict() {
			return &dictView{p: p, src: v, result: true}, nil
		}
	case runtime.JSON:
		if len(v) > 0 && v[0] == '{' {
			return &dictView{p: p, text: v, result: true}, nil
		}
	}
	return p.toStar(v)
}
