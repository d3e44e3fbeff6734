package star

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.starlark.net/starlark"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// pass is one run of script code: the top level of a bundle's files, or one
// function of it. It belongs to one goroutine and is used once.
type pass struct {
	thread starlark.Thread
	x      runtime.Context
	source rand.PCG
	rand   rand.Rand
	m      *module
	call   *runtime.Call
	lim    runtime.Limits
	start  time.Time

	ledger script.Ledger
	// tickEvery is how many steps lie between two looks at the clock.
	tickEvery uint64
	// tables watch the keys of large dicts and sets (table.go).
	tables map[starlark.Value]*table
	// stop, once set, is how the pass ends: nothing in a script can catch it.
	stop *runtime.Error

	// While loading:
	calls map[runtime.Position]*callSite
}

// tickSteps is how often the clock and the context are looked at: 1,000 steps
// take 10 to 50 µs, and a look 0.1 µs.
const tickSteps = 1000

// passKey is where a thread keeps its pass.
const passKey = "pass"

func passOf(thread *starlark.Thread) *pass { return thread.Local(passKey).(*pass) }

// newPass prepares a pass for c. The limits are enforced by the interpreter
// itself: it calls back when a number of steps is reached, in the script's own
// goroutine, so there is neither timer nor watcher.
func newPass(ctx context.Context, m *module, c *runtime.Call) *pass {
	p := &pass{m: m, call: c, lim: c.Limits.OrDefault(), start: time.Now()}
	p.thread.Name = c.RunID
	p.thread.SetLocal(passKey, p)
	p.tickEvery = tickSteps
	if m.large {
		p.tickEvery = fineTick
	}
	p.thread.SetMaxExecutionSteps(min(p.tickEvery, p.lim.Steps))
	p.thread.OnMaxSteps = func(*starlark.Thread) { p.tick(ctx) }
	p.source.Seed(c.Seed, c.Seed^0x9e3779b97f4a7c15)
	p.rand = *rand.New(&p.source)
	p.x = runtime.Context{
		Now: c.Now, Rand: &p.rand,
		RunID: c.RunID, Script: m.bundle.Main, Config: m.bundle.Config,
		Pos: p.pos, Do: p.ledger.Ask, Log: p.ledger.Log, Register: p.ledger.Register, Charge: p.charge,
		Suspend: func() error { return suspension{} },
	}
	p.ledger = script.Ledger{Pass: p, Call: c, Limits: p.lim}
	return p
}

// Run implements runtime.Module.
func (m *module) Run(ctx context.Context, c *runtime.Call) *runtime.Reply {
	p := newPass(ctx, m, c)
	r := &runtime.Reply{}
	err := p.guarded(func() error { return p.run(ctx, r) })
	if err == nil {
		if bad := p.ledger.Settled(); bad != nil {
			r.Return, r.FromEffect, err = nil, false, bad
		}
	}
	switch {
	case err == nil:
	case p.stop == nil && (errors.Is(err, suspension{}) || p.doubtful(err)):
		r.Status = runtime.Suspended
	default:
		r.Status, r.Err = runtime.Failed, p.describe(err)
	}
	r.Effects, r.Logs = p.ledger.Effects, p.ledger.Logs
	r.Steps, r.Took = p.thread.Steps, time.Since(p.start)
	return r
}

// run asks the predicate and calls the function.
func (p *pass) run(ctx context.Context, r *runtime.Reply) error {
	if ctx.Err() != nil {
		return p.stopWith(script.Cancelled(ctx))
	}
	args, err := p.arguments()
	if err != nil {
		return err
	}
	if p.call.When >= 0 {
		v, err := p.invoke(p.call.When, args)
		if err != nil {
			return err
		}
		if !v.Truth() {
			r.Status = runtime.Skipped
			return nil
		}
	}
	v, err := p.invoke(p.call.Func, args)
	if err != nil {
		return err
	}
	if r.Return, r.FromEffect, err = p.answer(v); err != nil {
		var e *runtime.Error
		if errors.As(err, &e) && e.Pos.IsZero() {
			e.Pos = position(p.m.funcs[p.call.Func].Position())
		}
		return err
	}
	r.Status = runtime.Done
	return nil
}

// arguments are the input, if there is one, and the call's further arguments.
func (p *pass) arguments() (starlark.Tuple, error) {
	args := make(starlark.Tuple, 0, 1+len(p.call.Extra))
	if p.call.Input != nil && p.wantsInput() {
		if p.m.lang.host.Input == nil {
			return nil, p.stopWith(&runtime.Error{Kind: runtime.InternalError, Msg: "this host takes no input"})
		}
		obj, err := p.m.lang.host.Input(p.call.Input)
		if err != nil {
			return nil, p.stopWith(&runtime.Error{Kind: runtime.InternalError, Msg: "decode input: " + err.Error()})
		}
		args = append(args, &object{p: p, obj: obj})
	}
	for _, v := range p.call.Extra {
		w, err := p.toStar(v)
		if err != nil {
			return nil, p.stopWith(&runtime.Error{Kind: runtime.InternalError, Msg: "decode argument: " + err.Error()})
		}
		args = append(args, w)
	}
	return args, nil
}

// wantsInput tells whether anybody will look at the input at all.
func (p *pass) wantsInput() bool {
	for _, i := range [...]int{p.call.Func, p.call.When} {
		if i >= 0 && i < len(p.m.funcs) && arity(p.m.funcs[i]) != 0 {
			return true
		}
	}
	return len(p.call.Extra) > 0
}

// invoke calls a function of the table with as many arguments as it takes:
// a handler that does not need the event need not name it.
func (p *pass) invoke(index int, args starlark.Tuple) (starlark.Value, error) {
	if index < 0 || index >= len(p.m.funcs) {
		return nil, p.stopWith(&runtime.Error{Kind: runtime.InternalError, Msg: fmt.Sprintf("no function number %d", index)})
	}
	fn := p.m.funcs[index]
	if n := arity(fn); n >= 0 && n < len(args) {
		args = args[:n]
	} else if n == 1 && len(args) == 0 && fn.ParamDefault(0) == nil {
		args = starlark.Tuple{starlark.None}
	}
	return starlark.Call(&p.thread, fn, args, nil)
}

// arity is the number of positional arguments that fn takes; -1 if any.
func arity(fn *starlark.Function) int {
	if fn.HasVarargs() {
		return -1
	}
	n := fn.NumParams() - fn.NumKwonlyParams()
	if fn.HasKwargs() {
		n--
	}
	return n
}

// required counts the positional parameters without a default. What takes the
// rest of the arguments comes last.
func required(fn *starlark.Function) (n int) {
	positional := fn.NumParams() - fn.NumKwonlyParams()
	if fn.HasVarargs() {
		positional--
	}
	if fn.HasKwargs() {
		positional--
	}
	for i := range positional {
		if fn.ParamDefault(i) == nil {
			n++
		}
	}
	return n
}

// answer converts what the function returned. The result of an effect is no
// answer, whether it is there already or not.
func (p *pass) answer(v starlark.Value) (runtime.Value, bool, error) {
	if r, ok := v.(*pending); ok && r.result {
		return runtime.Pending{Step: r.step}, true, nil
	}
	w, err := p.fromStar(v, false)
	if err == nil {
		err = runtime.CheckBounds(w)
	}
	if err != nil && !errors.Is(err, suspension{}) {
		e := &runtime.Error{Kind: runtime.RunError, Msg: "return value: " + err.Error()}
		var re *runtime.Error
		if errors.As(err, &re) {
			e.Msg, e.Hint = "return value: "+re.Msg, re.Hint
		}
		return nil, false, e
	}
	view, ok := v.(*dictView)
	return w, ok && view.result, err
}

// guarded calls f and turns the panics of looking at pending results, and of
// faults in this program, into errors.
func (p *pass) guarded(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case suspension:
			err = r
		default:
			err = p.stopWith(&runtime.Error{Kind: runtime.InternalError, Msg: fmt.Sprintf("panic: %v", r)})
		}
	}()
	return f()
}

// doubtful tells that an error of the interpreter may come from the way a
// pending result looks to it, not from the script. The pass is then repeated
// with results, and the error, if it is one, comes again. Errors of built-ins
// are never in doubt: they look at their arguments.
func (p *pass) doubtful(err error) bool {
	var own *runtime.Error
	return len(p.ledger.Effects) > 0 && p.stop == nil && !errors.As(err, &own)
}

// stopWith makes e the end of the pass.
func (p *pass) stopWith(e *runtime.Error) *runtime.Error {
	if p.stop == nil {
		p.stop = e
		p.thread.Cancel(e.Msg)
	}
	return p.stop
}

// tick is called by the interpreter every tickEvery steps, and by guards that
// spend many.
func (p *pass) tick(ctx context.Context) {
	switch {
	case p.thread.Steps >= p.lim.Steps:
		p.stopWith(&runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitSteps,
			Msg: fmt.Sprintf("exceeded the limit of %d steps", p.lim.Steps),
		})
	case time.Since(p.start) > p.lim.Deadline:
		p.stopWith(&runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitDeadline,
			Msg: fmt.Sprintf("exceeded the deadline of %v", p.lim.Deadline),
		})
	case ctx.Err() != nil:
		p.stopWith(script.Cancelled(ctx))
	default:
		p.thread.SetMaxExecutionSteps(min(p.thread.Steps+p.tickEvery, p.lim.Steps))
	}
}

// pos is the place in the script that is being executed.
func (p *pass) pos() runtime.Position {
	for i := range p.thread.CallStackDepth() {
		if pos := p.thread.CallFrame(i).Pos; pos.Line > 0 {
			return position(pos)
		}
	}
	return runtime.Position{}
}

// callSite is the call that is being executed, if it may register a rule.
func (p *pass) callSite() *callSite {
	if p == nil || p.calls == nil {
		return nil
	}
	return p.calls[p.pos()]
}

func (p *pass) predeclared(name string) starlark.Value {
	if p.m == nil {
		return nil
	}
	return p.m.names[name]
}

// function returns a function of the table.
func (p *pass) function(index int) (starlark.Value, error) {
	if p.m == nil || index < 0 || index >= len(p.m.funcs) {
		return nil, fmt.Errorf("no function number %d", index)
	}
	return p.m.funcs[index], nil
}

// funcOf gives a function its number. Only functions that exist when the
// script has been loaded have one: what is made in a pass is gone after it.
func (p *pass) funcOf(fn *starlark.Function) (runtime.Value, error) {
	i, ok := 0, false
	if p.m != nil {
		i, ok = p.m.index[fn]
	}
	switch {
	case ok:
	case p.x.Loading:
		i = p.m.add(fn)
	default:
		return nil, &runtime.Error{
			Kind: runtime.RunError, Msg: "function " + fn.Name() + " was made in this run and is gone after it",
			Hint: "use a function that is defined at the top level of a file",
		}
	}
	return runtime.Func{Index: i, Name: fn.Name(), Pos: position(fn.Position()), Arity: arity(fn), Required: required(fn)}, nil
}
