package lua

import (
	"fmt"
	"math"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// What coroutines cost: each has registers and frames of its own.
const (
	threadCost = 500
	resumeCost = 30
)

var threadFunctions = map[string]glua.LGFunction{
	"pcall": protectedCall, "xpcall": protectedCallWith, "catch": catch,
	"coroutine.create": threadCreate, "coroutine.resume": threadResume, "coroutine.yield": threadYield,
	"coroutine.status": threadStatus, "coroutine.running": threadRunning, "coroutine.wrap": threadWrap,
}

// thread makes a coroutine that counts against the same budget. The context is
// taken away for a moment because the interpreter would derive one from it
// that does not count.
func (p *pass) thread(L *glua.LState) *glua.LState {
	ctx := L.RemoveContext()
	th, _ := L.NewThread()
	L.SetContext(ctx)
	th.SetContext(ctx)
	p.budget.spend(threadCost)
	return th
}

// resume goes on with a coroutine. It returns what was yielded or returned, or
// the error; it raises at once when the pass is over.
func (p *pass) resume(L, th *glua.LState, fn *glua.LFunction, args []glua.LValue) (state glua.ResumeState, values []glua.LValue, failed *raised) {
	if max := p.m.lang.bounds.nested; p.nested >= max {
		p.raise(L, fmt.Errorf("pcall and coroutines are nested more than %d deep", max))
	}
	p.budget.spend(resumeCost)
	p.nested++
	outer := p.cur
	state, err, values := L.Resume(th, fn, args...)
	p.cur = outer
	p.nested--
	if err != nil {
		failed = &raised{err: &runtime.Error{Kind: runtime.RunError, Msg: err.Error()}}
		if api, ok := err.(*glua.ApiError); ok {
			failed = p.raisedOf(L, api.Object)
		}
		p.blame(L, th, failed)
	}
	if p.ending() {
		if p.stop != nil {
			p.throw(L, &raised{err: p.stop})
		}
		p.unwind(L)
	}
	return state, values, failed
}

// blame notes where a limit struck in a coroutine: its last frame is gone
// already, but the error has its place.
func (p *pass) blame(L, th *glua.LState, failed *raised) {
	if !p.ending() || p.trace != nil {
		return
	}
	p.trace = p.frames(L)
	if inner := p.frames(th); len(inner) > 0 {
		p.trace = append(p.trace, inner...)
	}
	at := failed.err.Pos
	if p.stop == nil || at.IsZero() {
		return
	}
	if n := len(p.trace); n == 0 || p.trace[n-1].Pos != at {
		p.trace = append(p.trace, runtime.Frame{Name: "function", Pos: at})
	}
}

// attempt calls a function so that its errors come back. It runs in a
// coroutine of its own: the interpreter's own pcall cuts the functions around
// it off from the variables they share.
func (p *pass) attempt(L *glua.LState, fn glua.LValue, args []glua.LValue) ([]glua.LValue, *raised) {
	if err := p.uncallable(fn); err != nil {
		return nil, &raised{err: err}
	}
	th := p.thread(L)
	start, ok := fn.(*glua.LFunction)
	if !ok || start.IsG {
		start = L.NewFunctionFromProto(p.m.lang.trampoline)
		args = append([]glua.LValue{fn}, args...)
	}
	state, values, failed := p.resume(L, th, start, args)
	if failed == nil && state == glua.ResumeYield {
		failed = &raised{err: &runtime.Error{Kind: runtime.RunError, Msg: "coroutine.yield cannot cross pcall"}}
	}
	if failed != nil && p.doubtful(failed) {
		p.raise(L, p.suspend())
	}
	return values, failed
}

// uncallable is the error of calling what cannot be called, or nil. The
// interpreter would find it in the trampoline, which has no place.
func (p *pass) uncallable(fn glua.LValue) *runtime.Error {
	switch v := fn.(type) {
	case *glua.LFunction, *glua.LUserData: // whose __call says what is wrong
		return nil
	case *glua.LTable:
		if meta, ok := v.Metatable.(*glua.LTable); ok {
			if _, ok := meta.RawGetString("__call").(*glua.LFunction); ok { // the interpreter goes no further than that
				return nil
			}
		}
	}
	return &runtime.Error{Kind: runtime.RunError, Msg: "attempt to call " + article(p.typeName(fn))}
}

func rest(L *glua.LState, from int) []glua.LValue {
	var args []glua.LValue
	for i := from; i <= L.GetTop(); i++ {
		args = append(args, L.Get(i))
	}
	return args
}

func protectedCall(L *glua.LState) int {
	values, failed := passOf(L).attempt(L, arg(L, 1), rest(L, 2))
	if failed != nil {
		return push(L, glua.LFalse, failed.text())
	}
	L.Push(glua.LTrue)
	return 1 + push(L, values...)
}

func protectedCallWith(L *glua.LState) int {
	p := passOf(L)
	values, failed := p.attempt(L, arg(L, 1), rest(L, 3))
	if failed == nil {
		L.Push(glua.LTrue)
		return 1 + push(L, values...)
	}
	values, second := p.attempt(L, arg(L, 2), []glua.LValue{failed.text()})
	if second != nil {
		return push(L, glua.LFalse, second.text())
	}
	L.Push(glua.LFalse)
	return 1 + push(L, values...)
}

// catch returns the first value of a function and nil, or nil and the text of
// its error.
func catch(L *glua.LState) int {
	p := passOf(L)
	if L.GetTop() == 0 {
		p.raise(L, &runtime.Error{Kind: runtime.RunError, Msg: "catch: missing argument \"fn\" (function)", Hint: "write catch(fn, argument, …)"})
	}
	values, failed := p.attempt(L, arg(L, 1), rest(L, 2))
	if failed != nil {
		return push(L, glua.LNil, glua.LString(script.Cut(failed.err.Msg, script.MaxMessage)))
	}
	if len(values) == 0 {
		values = []glua.LValue{glua.LNil}
	}
	return push(L, values[0], glua.LNil)
}

func threadArg(L *glua.LState, name string) *glua.LState {
	th, ok := arg(L, 1).(*glua.LState)
	if !ok {
		fault(L, name, "argument 1: got %s, want thread", passOf(L).typeName(L.Get(1)))
	}
	return th
}

// newThread makes a coroutine of a script. What is dead does not count.
func newThread(L *glua.LState, name string) (*glua.LState, *glua.LFunction) {
	p := passOf(L)
	fn, ok := arg(L, 1).(*glua.LFunction)
	if !ok {
		fault(L, name, "argument 1: got %s, want function", p.typeName(L.Get(1)))
	}
	alive := p.threads[:0]
	for _, th := range p.threads {
		if !th.Dead {
			alive = append(alive, th)
		}
	}
	p.threads = alive
	if max := p.m.lang.bounds.threads; len(alive) >= max {
		fault(L, name, "more than %d coroutines", max)
	}
	th := p.thread(L)
	p.threads = append(p.threads, th)
	if p.x.Loading {
		p.stateful[th] = made{"a coroutine", p.posIn(L)}
	}
	return th, fn
}

// body returns the function a coroutine begins with, and its arguments.
func (p *pass) body(L *glua.LState, fn *glua.LFunction, args []glua.LValue) (*glua.LFunction, []glua.LValue) {
	if fn == nil || !fn.IsG {
		return fn, args
	}
	return L.NewFunctionFromProto(p.m.lang.trampoline), append([]glua.LValue{fn}, args...)
}

func threadCreate(L *glua.LState) int {
	th, fn := newThread(L, "coroutine.create")
	passOf(L).starts()[th] = fn
	return push(L, th)
}

// starts are the functions of coroutines that were not resumed yet.
func (p *pass) starts() map[*glua.LState]*glua.LFunction {
	if p.unstarted == nil {
		p.unstarted = map[*glua.LState]*glua.LFunction{}
	}
	return p.unstarted
}

// step resumes a coroutine with args.
func (p *pass) stepThread(L, th *glua.LState, args []glua.LValue) ([]glua.LValue, *raised) {
	dead := func(what string) ([]glua.LValue, *raised) {
		return nil, &raised{err: &runtime.Error{Kind: runtime.RunError, Msg: "cannot resume a " + what + " coroutine"}}
	}
	fn, fresh := p.unstarted[th]
	switch {
	case th.Dead:
		return dead("dead")
	case th == L || th.Parent != nil || th == L.G.MainThread:
		return dead("running")
	}
	delete(p.unstarted, th)
	if fresh {
		fn, args = p.body(L, fn, args)
	}
	_, values, failed := p.resume(L, th, fn, args)
	return values, failed
}

func threadResume(L *glua.LState) int {
	p := passOf(L)
	values, failed := p.stepThread(L, threadArg(L, "coroutine.resume"), rest(L, 2))
	if failed != nil {
		if p.doubtful(failed) {
			p.raise(L, p.suspend())
		}
		return push(L, glua.LFalse, failed.text())
	}
	L.Push(glua.LTrue)
	return 1 + push(L, values...)
}

func threadYield(L *glua.LState) int {
	p := passOf(L)
	if L.Parent == nil {
		p.raise(L, fmt.Errorf("coroutine.yield: not in a coroutine"))
	}
	return -1
}

func threadStatus(L *glua.LState) int {
	th := threadArg(L, "coroutine.status")
	status := "suspended"
	switch {
	case th.Dead:
		status = "dead"
	case th == L:
		status = "running"
	case th.Parent != nil || th == L.G.MainThread:
		status = "normal"
	}
	return push(L, glua.LString(status))
}

func threadRunning(L *glua.LState) int {
	if L.G.MainThread == L {
		return push(L, glua.LNil)
	}
	return push(L, L)
}

func threadWrap(L *glua.LState) int {
	p := passOf(L)
	th, fn := newThread(L, "coroutine.wrap")
	p.starts()[th] = fn
	return p.iterator(L, "a coroutine", func(L *glua.LState) int {
		p := passOf(L)
		values, failed := p.stepThread(L, th, rest(L, 1))
		if failed != nil {
			p.throw(L, failed)
		}
		return push(L, values...)
	})
}

var mathFunctions = map[string]glua.LGFunction{
	"math.fmod": func(L *glua.LState) int {
		return push(L, glua.LNumber(math.Mod(numberArg(L, "math.fmod", 1), numberArg(L, "math.fmod", 2))))
	},
	"math.modf": func(L *glua.LState) int {
		whole, part := math.Modf(numberArg(L, "math.modf", 1))
		return push(L, glua.LNumber(whole), glua.LNumber(part))
	},
	"math.random": mathRandom,
	"math.floor":  real1("math.floor", math.Floor), "math.ceil": real1("math.ceil", math.Ceil), "math.abs": real1("math.abs", math.Abs),
	"math.sqrt": real1("math.sqrt", math.Sqrt), "math.exp": real1("math.exp", math.Exp), "math.log10": real1("math.log10", math.Log10),
	"math.sin": real1("math.sin", math.Sin), "math.cos": real1("math.cos", math.Cos), "math.tan": real1("math.tan", math.Tan),
	"math.asin": real1("math.asin", math.Asin), "math.acos": real1("math.acos", math.Acos),
	"math.deg": real1("math.deg", func(x float64) float64 { return x * 180 / math.Pi }),
	"math.rad": real1("math.rad", func(x float64) float64 { return x / 180 * math.Pi }),
}

func real1(name string, f func(float64) float64) glua.LGFunction {
	return func(L *glua.LState) int { return push(L, glua.LNumber(f(numberArg(L, name, 1)))) }
}

// mathRandom draws from the run's own randomness: the same in each pass.
func mathRandom(L *glua.LState) int {
	p := passOf(L)
	if L.GetTop() == 0 {
		return push(L, glua.LNumber(p.rand.Float64()))
	}
	low, high := 1, intArg(L, "math.random", 1, 1)
	if L.GetTop() > 1 {
		low, high = high, intArg(L, "math.random", 2, 1)
	}
	if high < low {
		fault(L, "math.random", "the interval is empty")
	}
	return push(L, glua.LNumber(low+p.rand.IntN(high-low+1)))
}
