package lua

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// pass is one run of script code: the top level of a bundle's files, or one
// function of it. It belongs to one goroutine and is used once.
type pass struct {
	budget budget
	x      runtime.Context
	source rand.PCG
	rand   rand.Rand
	m      *module
	st     *state
	call   *runtime.Call
	lim    runtime.Limits
	start  time.Time
	// cur is the state whose built-in runs.
	cur    *glua.LState
	ledger script.Ledger
	// stop, once set, is how the pass ends: nothing in a script can catch it.
	stop *runtime.Error
	// suspended tells that it ends because it looked at a pending result.
	suspended bool
	trace     []runtime.Frame // where the error was raised

	threads   []*glua.LState // coroutines that may be alive
	unstarted map[*glua.LState]*glua.LFunction
	nested    int // pcalls and resumes around

	// While loading:
	// stateful is what cannot be shared, and where it was made: iterators
	// (*LFunction) and coroutines (*LState).
	stateful map[any]made
}

type made struct {
	what string
	pos  runtime.Position
}

// passOf returns the pass that a state works for.
func passOf(L *glua.LState) *pass { return L.Context().(*budget).p }

// newPass prepares a pass for c.
func newPass(ctx context.Context, m *module, c *runtime.Call) *pass {
	p := &pass{m: m, call: c, lim: c.Limits.OrDefault(), start: time.Now()}
	p.budget = budget{p: p, limit: p.lim.Steps, next: min(tickSteps, p.lim.Steps), look: p.watch(ctx)}
	if m.lang.bounds.free {
		p.budget.free, p.budget.limit = true, math.MaxUint64
	}
	p.source.Seed(c.Seed, c.Seed^0x9e3779b97f4a7c15)
	p.rand = *rand.New(&p.source)
	p.x = runtime.Context{
		Now: c.Now, Rand: &p.rand,
		RunID: c.RunID, Script: m.bundle.Main, Config: m.bundle.Config,
		Pos: p.pos, Do: p.ledger.Ask, Log: p.ledger.Log, Register: p.ledger.Register, Charge: p.charge,
		Suspend: p.suspend,
	}
	p.ledger = script.Ledger{Pass: p, Call: c, Limits: p.lim}
	return p
}

// ending tells that nothing of the script may run any more.
func (p *pass) ending() bool { return p.stop != nil || p.suspended }

// Run implements runtime.Module.
func (m *module) Run(ctx context.Context, c *runtime.Call) *runtime.Reply {
	p := newPass(ctx, m, c)
	r := &runtime.Reply{}
	if ctx.Err() != nil {
		r.Status, r.Err = runtime.Failed, p.describe(&raised{err: p.stopWith(script.Cancelled(ctx))})
		return r
	}
	st, failed := m.take(ctx, p)
	if failed == nil {
		failed = p.run(st, r)
		m.give(st, p)
	}
	if failed == nil {
		if bad := p.ledger.Settled(); bad != nil {
			r.Return, r.FromEffect, failed = nil, false, &raised{err: bad}
		}
	}
	switch {
	case failed == nil:
	case p.stop == nil && (p.suspended || p.doubtful(failed)):
		r.Status = runtime.Suspended
	default:
		r.Status, r.Err = runtime.Failed, p.describe(failed)
	}
	r.Effects, r.Logs = p.ledger.Effects, p.ledger.Logs
	r.Steps, r.Took = p.budget.steps, time.Since(p.start)
	return r
}

func asError(err error) *runtime.Error {
	var e *runtime.Error
	if errors.As(err, &e) {
		return e
	}
	return &runtime.Error{Kind: runtime.RunError, Msg: err.Error()}
}

// run asks the predicate and calls the function.
func (p *pass) run(st *state, r *runtime.Reply) *raised {
	p.st = st
	st.L.SetContext(&p.budget)
	args, err := p.arguments()
	if err != nil {
		return &raised{err: asError(err)}
	}
	if p.call.When >= 0 {
		v, failed := p.invoke(p.call.When, args)
		if failed != nil {
			return failed
		}
		if glua.LVIsFalse(v) {
			r.Status = runtime.Skipped
			return nil
		}
	}
	v, failed := p.invoke(p.call.Func, args)
	if failed != nil {
		return failed
	}
	ret, fromEffect, err := p.answer(v)
	if err != nil {
		e := *asError(err)
		if e.Pos.IsZero() {
			e.Pos = p.m.table[p.call.Func].Pos
		}
		return &raised{err: &e}
	}
	if p.ending() {
		return &raised{err: &runtime.Error{Msg: "unwinding"}}
	}
	r.Return, r.FromEffect, r.Status = ret, fromEffect, runtime.Done
	return nil
}

// arguments are the input, if there is one, and the call's further arguments.
func (p *pass) arguments() ([]glua.LValue, error) {
	args := make([]glua.LValue, 0, 1+len(p.call.Extra))
	if p.call.Input != nil && p.wantsInput() {
		if p.m.lang.host.Input == nil {
			return nil, p.stopWith(&runtime.Error{Kind: runtime.InternalError, Msg: "this host takes no input"})
		}
		obj, err := p.m.lang.host.Input(p.call.Input)
		if err != nil {
			return nil, p.stopWith(&runtime.Error{Kind: runtime.InternalError, Msg: "decode input: " + err.Error()})
		}
		args = append(args, hostValue(obj))
	}
	for _, v := range p.call.Extra {
		w, err := p.toLua(v)
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
		if i >= 0 && i < len(p.m.table) && p.m.table[i].Arity != 0 {
			return true
		}
	}
	return len(p.call.Extra) > 0
}

// invoke calls a function of the table.
func (p *pass) invoke(index int, args []glua.LValue) (glua.LValue, *raised) {
	if index < 0 || index >= len(p.st.funcs) {
		return nil, &raised{err: p.stopWith(&runtime.Error{Kind: runtime.InternalError, Msg: fmt.Sprintf("no function number %d", index)})}
	}
	return p.protected(p.st.funcs[index], args)
}

// protected calls a function at the bottom of the pass's own state and returns
// its first result.
func (p *pass) protected(fn *glua.LFunction, args []glua.LValue) (_ glua.LValue, failed *raised) {
	L := p.st.L
	defer func() {
		if r := recover(); r != nil { // in the interpreter's own recovery
			failed = p.panicked(L, fmt.Sprint(r))
		}
	}()
	L.Push(p.st.bottom)
	L.Push(fn)
	for _, a := range args {
		L.Push(a)
	}
	err := L.PCall(1+len(args), 1, nil)
	if err == nil {
		v := L.Get(-1)
		L.SetTop(0)
		return v, nil
	}
	L.SetTop(0)
	var api *glua.ApiError
	if errors.As(err, &api) && api.Type != glua.ApiErrorPanic {
		return nil, p.raisedOf(L, api.Object)
	}
	return nil, p.panicked(L, err.Error())
}

// panicked ends the pass after a panic of Go: the state is not used again. The
// interpreter panics where the registers overflow as a function begins; any
// other panic is a fault of Starling.
func (p *pass) panicked(L *glua.LState, text string) *raised {
	if p.trace == nil {
		p.trace = p.frames(L)
	}
	e := &runtime.Error{Kind: runtime.InternalError, Msg: "panic: " + script.Cut(text, script.MaxMessage)}
	if strings.Contains(text, "index out of range [-1]") || strings.Contains(text, "callstack overflow") {
		e = &runtime.Error{Kind: runtime.RunError, Msg: "stack overflow: too many values at once"}
	}
	return &raised{err: p.stopWith(e)}
}

// bottom is the first frame of a state: from here on, errors are captured.
func bottom(L *glua.LState) int {
	L.Panic = passOf(L).capture
	L.Call(L.GetTop()-1, 1)
	return 1
}

// answer converts what the function returned. The result of an effect is no
// answer, whether it is there already or not.
func (p *pass) answer(v glua.LValue) (w runtime.Value, fromEffect bool, err error) {
	switch h := hostOf(v).(type) {
	case *pending:
		return runtime.Pending{Step: h.step}, true, nil
	case *dictView:
		fromEffect = h.result
	}
	w, err = p.fromLua(v, false, false)
	if err == nil {
		err = runtime.CheckBounds(w)
	}
	if err != nil && !p.suspended {
		own := asError(err)
		return nil, false, &runtime.Error{Kind: runtime.RunError, Msg: "return value: " + own.Msg, Hint: own.Hint}
	}
	return w, fromEffect, err
}

// doubtful tells that an error of the interpreter may come from the way a
// pending result looks to it, not from the script. The pass is then repeated
// with results, and the error, if it is one, comes again.
func (p *pass) doubtful(r *raised) bool {
	return r.vm && len(p.ledger.Effects) > 0 && p.stop == nil
}

// stopWith makes e the end of the pass.
func (p *pass) stopWith(e *runtime.Error) *runtime.Error {
	if p.stop == nil {
		p.stop = e
		p.budget.next = 0
	}
	return p.stop
}

// suspend ends the pass because a result is not there yet.
func (p *pass) suspend() error {
	p.suspended = true
	p.budget.next = 0
	return errSuspended
}

var errSuspended = errors.New("suspended")

// pos is the place in the script that is being executed.
func (p *pass) pos() runtime.Position {
	if p.cur == nil {
		return runtime.Position{}
	}
	return p.posIn(p.cur)
}
