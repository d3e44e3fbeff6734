package check

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// evalSteps bounds the work of a built-in that is tried on its literals.
const evalSteps = 1_000_000

// errGiveUp ends a trial that says nothing: a built-in needed what only a run has.
var errGiveUp = errors.New("not known before the script runs")

// try calls a built-in with its arguments as written, and returns what it
// refuses. Effects are not performed: what asks for one checks its arguments
// and stops there. If only a part of the arguments is known, the others are
// left out or stand for themselves, and only a fault that lies in a known one
// counts.
func (c *call) try() *runtime.Error {
	if c.decl.Fn == nil || c.spread || c.decl.Purity != runtime.Pure && c.decl.Purity != runtime.Asks {
		return nil
	}
	args, whole, ok := c.known()
	if !ok {
		return nil
	}
	err := run(c.decl, &runtime.Args{Builtin: c.decl, Dict: args})
	if err == nil || errors.Is(err, errGiveUp) {
		return nil
	}
	e := &runtime.Error{Kind: runtime.RunError, Msg: err.Error(), Pos: c.Pos}
	if own, ok := errors.AsType[*runtime.Error](err); ok {
		if own.Kind == runtime.LimitError || own.Kind == runtime.AbortError { // abort does what it is for
			return nil
		}
		e.Msg, e.Hint = own.Msg, own.Hint
	}
	if !strings.HasPrefix(e.Msg, c.decl.Name) {
		e.Msg = c.decl.Name + ": " + e.Msg
	}
	blamed := c.blame(strings.TrimPrefix(strings.TrimPrefix(e.Msg, c.decl.Name), ": "))
	switch {
	case blamed != nil && !blamed.Pos.IsZero():
		e.Pos = blamed.Pos
	case !whole:
		return nil // the fault may be that of what was left out
	case len(c.Args) == 1 && !c.Args[0].Pos.IsZero():
		e.Pos = c.Args[0].Pos
	}
	return e
}

// regex tries the pattern of a call of re.search and its like, whose other
// arguments are known only when the script runs.
func (c *call) regex(lib *runtime.Library) *runtime.Error {
	p, ok := c.text("pattern")
	compile := lib.Lookup("re.compile")
	if !ok || compile == nil || !strings.HasPrefix(c.Name, "re.") || c.decl == compile {
		return nil
	}
	err := run(compile, &runtime.Args{Builtin: compile, Dict: runtime.NewDict("pattern", p)})
	if err == nil || errors.Is(err, errGiveUp) {
		return nil
	}
	msg, hint := err.Error(), ""
	if own, ok := errors.AsType[*runtime.Error](err); ok {
		msg, hint = own.Msg, own.Hint
	}
	return c.fail(c.args["pattern"], hint, "%s", strings.TrimPrefix(msg, "re.compile: "))
}

// blame finds the known argument that the path in a message begins with:
// "blocks[2].text: is missing", "title.text: has 30 characters".
func (c *call) blame(msg string) *runtime.Argument {
	path, _, ok := strings.Cut(msg, ": ")
	if !ok || strings.ContainsAny(path, " \"") {
		return nil
	}
	name := path
	if i := strings.IndexAny(path, ".["); i >= 0 {
		name = path[:i]
	}
	a := c.args[name]
	if _, unknown := valueOf(a).(runtime.Unknown); a == nil || unknown {
		return nil
	}
	return a
}

func valueOf(a *runtime.Argument) runtime.Value {
	if a == nil {
		return nil
	}
	return a.Value
}

// known makes the arguments of a trial; whole tells that nothing is missing
// from them. It is not ok if so little is known that a trial says nothing.
func (c *call) known() (args *runtime.Dict, whole, ok bool) {
	args, whole = &runtime.Dict{}, !c.bad
	for i := range c.decl.Params {
		q := &c.decl.Params[i]
		switch {
		case q.Variadic:
			if len(c.variadic) == 0 {
				continue
			}
			list := make(runtime.List, len(c.variadic))
			for j, a := range c.variadic {
				if rules.HasUnknown(a.Value) {
					return nil, false, false
				}
				list[j] = coerce(q, a.Value)
			}
			args.Set(q.Name, list)
		case q.Rest:
			if len(c.rest) == 0 {
				continue
			}
			d := &runtime.Dict{}
			for _, a := range c.rest {
				whole = whole && !rules.HasUnknown(a.Value)
				d.Set(a.Name, a.Value)
			}
			args.Set(q.Name, d)
		default:
			v, given := c.arg(q)
			if !given {
				continue
			}
			if !rules.HasUnknown(v) {
				args.Set(q.Name, coerce(q, v))
				continue
			}
			whole = false
			if v, ok = standIn(q, v); !ok {
				return nil, false, false
			}
			if v != nil {
				args.Set(q.Name, v)
			}
		}
	}
	return args, whole, true
}

func (c *call) arg(q *runtime.Param) (runtime.Value, bool) {
	a := c.args[q.Name]
	if a == nil || a.Value == nil && q.Optional {
		return nil, false
	}
	return a.Value, true
}

// standIn is what takes the place of an argument that is not known, or not
// wholly; nil if it is left out.
func standIn(q *runtime.Param, v runtime.Value) (runtime.Value, bool) {
	if _, all := v.(runtime.Unknown); !all {
		return v, true // its known parts are looked at
	}
	switch {
	case q.Named && q.Optional:
		return nil, true
	case q.Type&runtime.TString != 0 && len(q.Values) == 0:
		return "x", true
	}
	return nil, false
}

// coerce gives a number or an empty table the type that the parameter wants.
func coerce(q *runtime.Param, v runtime.Value) runtime.Value {
	switch n := v.(type) {
	case int64:
		if q.Type&runtime.TInt == 0 && q.Type&runtime.TFloat != 0 {
			return float64(n)
		}
	case float64:
		if q.Type&runtime.TFloat == 0 && isWhole(n) {
			return int64(n)
		}
	case *runtime.Dict:
		if n.Len() == 0 && q.Type&runtime.TDict == 0 && q.Type&runtime.TList != 0 {
			return runtime.List{}
		}
	case runtime.List:
		if len(n) == 0 && q.Type&runtime.TList == 0 && q.Type&runtime.TDict != 0 {
			return &runtime.Dict{}
		}
	}
	return v
}

// run calls a built-in outside of any script. A panic says nothing: some want
// what only a pass has, others do not know runtime.Unknown.
func run(b *runtime.Builtin, a *runtime.Args) (err error) {
	defer func() {
		if recover() != nil {
			err = errGiveUp
		}
	}()
	var steps uint64
	x := &runtime.Context{
		Now: time.Unix(1_700_000_000, 0).UTC(), Rand: rand.New(rand.NewPCG(1, 1)), RunID: "check", Config: &runtime.Dict{},
		Pos: func() runtime.Position { return runtime.Position{} },
		Do:  func(string, *runtime.Dict) (runtime.Value, error) { return nil, errGiveUp },
		Log: func(runtime.LogLine) error { return nil },
		Register: func(runtime.Registration) error {
			return errGiveUp
		},
		Charge: func(n uint64) error {
			if steps += n; steps > evalSteps {
				return errGiveUp
			}
			return nil
		},
	}
	if _, err = b.Fn(x, a); err != nil {
		return fmt.Errorf("%w", err)
	}
	return nil
}
