package lua

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"github.com/starling-rules/starling/runtime"
)

// Sizes of a state. Registers and frames are allocated at once; registers grow.
const (
	registers     = 128
	moreRegisters = 256
)

// maxLevels bounds a look down the stack.
const maxLevels = 2000

func (l *Language) options() glua.Options {
	return glua.Options{
		CallStackSize: l.bounds.calls, MinimizeStackMemory: l.bare,
		RegistrySize: registers, RegistryGrowStep: moreRegisters, RegistryMaxSize: l.bounds.registers, SkipOpenLibs: true,
	}
}

// module is a compiled bundle.
type module struct {
	lang    *Language
	bundle  *runtime.Bundle
	files   []*unit      // required ones first, the main file last
	globals *glua.LTable // what is predeclared
	lim     runtime.Limits
	// table describes what runtime.Func.Index points to: what the
	// registrations hold, in order, then all functions that the top level
	// left, in the order of sealing. Every state has the same.
	table []runtime.Func

	mu   sync.Mutex // of table, while it is made
	idle []idle     // the shelf has its lock
}

// state is one instance of a bundle: its top level has run, and what that made
// is sealed. It works for one pass at a time.
type state struct {
	L       *glua.LState
	bottom  *glua.LFunction
	funcs   []*glua.LFunction
	index   map[*glua.LFunction]int
	modules map[string]glua.LValue
	// proxies finds the frozen table of a hidden one that is a metatable.
	proxies map[*glua.LTable]*glua.LTable
	// saved are the variables that functions close over, as the top level left them.
	saved []savedVar
}

type savedVar struct {
	up    *glua.Upvalue
	value glua.LValue
}

// newState runs the top level of all files, required ones first, and seals
// what they made.
func (m *module) newState(ctx context.Context) (*pass, *state, *raised) {
	p := newPass(ctx, m, &runtime.Call{Limits: m.lim, When: -1})
	p.x.Loading, p.ledger.Loading = true, true
	p.stateful = map[any]made{}
	st := &state{
		L: glua.NewState(m.lang.options()), bottom: goFunction(bottom), index: map[*glua.LFunction]int{},
		modules: map[string]glua.LValue{}, proxies: map[*glua.LTable]*glua.LTable{},
	}
	st.L.SetContext(&p.budget)
	st.L.SetMetatable(glua.LString(""), stringMeta)
	p.st = st
	env := &glua.LTable{Metatable: glua.LNil}
	env.RawSetString("__index", m.globals)
	var roots []glua.LValue
	for i, u := range m.files {
		p.ledger.Silent = i < len(m.files)-1
		global := &glua.LTable{Metatable: env}
		fn := st.L.NewFunctionFromProto(u.proto)
		fn.Env = global
		guards := []glua.LValue{m.lang.cat, m.lang.tab, m.lang.key}
		if u.count != nil {
			guards = append(guards, u.count)
		}
		v, failed := p.protected(fn, guards)
		if failed != nil {
			return p, nil, failed
		}
		if v == glua.LNil {
			v = global
		}
		st.modules[u.path] = v
		roots = append(roots, v, global)
	}
	if err := p.seal(roots, env); err != nil {
		return p, nil, &raised{err: err}
	}
	return p, st, p.complete()
}

// complete describes the functions of the first state, and checks that others
// have the same: the top level computes from nothing but the source.
func (p *pass) complete() *raised {
	m, st := p.m, p.st
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table == nil {
		for i, fn := range st.funcs {
			m.table = append(m.table, p.describeFunc(i, fn))
		}
	}
	if len(m.table) != len(st.funcs) {
		return &raised{err: &runtime.Error{Kind: runtime.InternalError, Msg: "loading the script again made other functions"}}
	}
	return nil
}

// describeFunc is a function as data.
func (p *pass) describeFunc(i int, fn *glua.LFunction) runtime.Func {
	f := runtime.Func{Index: i, Name: "function", Arity: int(fn.Proto.NumParameters)}
	if fn.Proto.IsVarArg != 0 {
		f.Arity = -1
	}
	if file := fileIndex(fn.Proto.SourceName); file >= 0 && file < len(p.m.files) {
		u := p.m.files[file]
		f.Name, f.Pos = u.functionName(fn.Proto), u.src.at(fn.Proto.LineDefined)
	}
	return f
}

// add gives a function its number.
func (st *state) add(fn *glua.LFunction) int {
	if i, ok := st.index[fn]; ok {
		return i
	}
	st.index[fn] = len(st.funcs)
	st.funcs = append(st.funcs, fn)
	return len(st.funcs) - 1
}

// seal makes read-only what can be reached from the roots and from functions
// that were registered, and remembers the variables that functions close over.
func (p *pass) seal(roots []glua.LValue, env *glua.LTable) *runtime.Error {
	st := p.st
	for _, fn := range st.funcs {
		roots = append(roots, fn)
	}
	for _, th := range p.threads {
		if !th.Dead {
			return &runtime.Error{
				Kind: runtime.LoadError, Pos: p.stateful[th].pos,
				Msg: "a coroutine that the top level made is not finished", Hint: "make coroutines in the handler",
			}
		}
	}
	seen := map[glua.LValue]bool{p.m.globals: true, env: true, p.m.lang.globals: true, listMeta: true}
	for len(roots) > 0 {
		v := roots[0]
		roots = roots[1:]
		switch v := v.(type) {
		case *glua.LTable:
			if seen[v] || innerOf(v) != nil {
				continue
			}
			seen[v] = true
			roots = append(roots, contents(v)...)
			st.freeze(v, v.Metatable == glua.LValue(env))
		case *glua.LFunction:
			if seen[v] {
				continue
			}
			seen[v] = true
			if it, ok := p.stateful[v]; ok {
				return &runtime.Error{Kind: runtime.LoadError, Pos: it.pos, Msg: it.what + " cannot be kept for the handlers: it changes", Hint: "make it in the handler"}
			}
			if v.IsG {
				continue
			}
			st.add(v)
			roots = append(roots, v.Env)
			for _, up := range v.Upvalues {
				if up == nil {
					continue
				}
				if !up.IsClosed() {
					up.Close()
				}
				st.saved = append(st.saved, savedVar{up, up.Value()})
				roots = append(roots, up.Value())
			}
		}
	}
	return nil
}

// contents are a table's keys, values and metatable.
func contents(t *glua.LTable) []glua.LValue {
	out := []glua.LValue{t.Metatable}
	each(t, func(k, v glua.LValue) bool {
		out = append(out, k, v)
		return true
	})
	return out
}

// take returns a sealed state: an idle one, or a new one.
func (m *module) take(ctx context.Context, p *pass) (*state, *raised) {
	if st := m.lang.shelf.take(m); st != nil {
		return st, nil
	}
	lp, st, failed := m.newState(ctx)
	p.start = time.Now() // what follows is the pass's own work
	if failed != nil {
		return nil, &raised{err: p.stopWith(lp.describe(failed))}
	}
	return st, nil
}

// give puts a state back, unless its pass ended in a way that may have left
// something half done.
func (m *module) give(st *state, p *pass) {
	if p.stop != nil || st.L.G.CurrentThread != st.L.G.MainThread {
		return
	}
	for _, s := range st.saved {
		s.up.SetValue(s.value)
	}
	m.lang.shelf.put(m, st)
}

// funcOf gives a function its number. Only functions that exist when the
// script has been loaded have one: what is made in a pass is gone after it.
func (p *pass) funcOf(fn *glua.LFunction) (runtime.Value, error) {
	if fn.IsG {
		return nil, &runtime.Error{Msg: "a built-in function cannot be passed on", Hint: "wrap it: function(e) … end"}
	}
	i, ok := 0, false
	if p.st != nil {
		i, ok = p.st.index[fn]
	}
	switch {
	case ok && !p.x.Loading:
		return p.m.table[i], nil
	case p.x.Loading:
		return p.describeFunc(p.st.add(fn), fn), nil
	}
	return nil, &runtime.Error{
		Kind: runtime.RunError, Msg: "function " + p.describeFunc(0, fn).Name + " was made in this run and is gone after it",
		Hint: "use a function that is defined at the top level of a file",
	}
}

// Functions implements runtime.Lister.
func (m *module) Functions() []runtime.Func {
	var out []runtime.Func
	for _, f := range m.table {
		if f.Pos.Path == m.bundle.Main && f.Name != "function" && f.Name != "" {
			out = append(out, f)
		}
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].Pos.Line < out[b].Pos.Line })
	return out
}

// function returns a function of the table.
func (p *pass) function(index int) (glua.LValue, error) {
	if p.st == nil || index < 0 || index >= len(p.st.funcs) {
		return nil, fmt.Errorf("no function number %d", index)
	}
	return p.st.funcs[index], nil
}

// compileTrampoline makes function(f, ...) return f(...) end.
func compileTrampoline() (*glua.FunctionProto, error) {
	chunk, err := parse.Parse(strings.NewReader("local function t(f, ...) return f(...) end"), "trampoline")
	if err != nil {
		return nil, fmt.Errorf("parse trampoline: %w", err)
	}
	proto, err := glua.Compile(chunk, "trampoline")
	if err != nil {
		return nil, fmt.Errorf("compile trampoline: %w", err)
	}
	return proto.FunctionPrototypes[0], nil
}
