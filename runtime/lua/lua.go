// Package lua runs Lua scripts: it adapts gopher-lua, which no other package
// may import, to the language-neutral package runtime.
//
// Read it in this order:
//
//	Language   binds a library once; compiles bundles (load.go, source.go, syntax.go)
//	rewriter   guards a syntax tree, and mends what the compiler gets wrong
//	           (rewrite.go, scope.go, assign.go, jump.go)
//	linter     tells what is wrong without running anything (analyze.go, lint.go, sites.go)
//	bound      a built-in as Lua sees it, made from its declaration (binding.go)
//	module     a compiled bundle and its sealed states (state.go, shelf.go)
//	pass       one run over one function, from Call to Reply (pass.go)
//	budget     the context that counts instructions (budget.go, bounds.go)
//	host       userdata that show payloads, results, secrets, patterns (host.go)
//	raised     an error on its way through the interpreter (errors.go)
//
// The interpreter's own libraries are not opened: every function that a script
// can reach is in this package (base.go, strings.go, tables.go, threads.go) and
// pays for its work with steps. The syntax tree is rewritten before it is
// compiled: what allocates (.. and table constructors) goes through locals
// whose names no script can type.
//
// After its top level has run, a state is sealed: tables become read-only, and
// variables that handlers close over are put back after each pass. So a state
// can serve many passes, and none sees another.
//
// The package knows no Slack, no store and no door: effects leave as data.
package lua

import (
	"fmt"
	"math"
	"sort"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// maxIndex ends the array part of tables: a sparse index beyond it costs one
// entry, not all those before it.
const maxIndex = 65536

func init() {
	// The interpreter knows this only as a variable of its package. It is set
	// before any state exists, and never again.
	glua.MaxArrayIndex = maxIndex
}

// Language is Lua with the built-ins of one library. It is safe for concurrent
// use; what it keeps are states that wait for their next pass.
type Language struct {
	host   runtime.Host
	bounds *bounds
	// bare leaves the syntax tree as it is (NewUnguarded).
	bare bool
	// globals is what every script sees, as a hidden table; states never write
	// to it, so they share it.
	globals *glua.LTable
	// spaces are the names of namespaces with their members, for checks.
	spaces map[string][]string
	// names are all names a script may use without defining them.
	names map[string]bool
	re    *glua.LTable // the members of module re, for methods of patterns
	shelf shelf
	// What the rewriting calls.
	cat *glua.LFunction
	tab *glua.LFunction
	key *glua.LFunction
	// trampoline calls its first argument with the others: coroutines of the
	// interpreter must begin in Lua.
	trampoline *glua.FunctionProto
}

var _ runtime.Language = (*Language)(nil)

// New binds the built-ins of host.Library. It fails if a built-in cannot be
// bound: a Native one that this package does not know, a constant that has no
// Lua form.
func New(host runtime.Host) (*Language, error) { return newLanguage(host, guarded) }

// NewUnguarded is New without the guards that bound what scripts make and how
// long they take, for tests that show that worker processes hold alone, and
// for measuring what the guards cost. Nothing is left but the limits of
// effects and output, and what data that leaves a script is held to: a loop
// does not end, and one operation can take all memory or stack.
func NewUnguarded(host runtime.Host) (*Language, error) { return newLanguage(host, unbounded) }

func newLanguage(host runtime.Host, b *bounds) (*Language, error) {
	l := &Language{host: host, bounds: b, bare: b.free, globals: &glua.LTable{Metatable: glua.LNil}, spaces: map[string][]string{}, names: map[string]bool{}}
	tree := newSpace("")
	standard(tree)
	if host.Library != nil {
		for _, b := range host.Library.All() {
			v, err := l.valueOf(tree, b)
			if err != nil {
				return nil, fmt.Errorf("bind built-in %s: %w", b.Name, err)
			}
			if v != nil {
				tree.put(b.Name, v)
			}
		}
	}
	if tree.members[configName] == nil {
		tree.put(configName, frozenTable(&glua.LTable{Metatable: glua.LNil}))
	}
	tree.fill(l, l.globals)
	l.cat, l.tab, l.key = goFunction(concat), goFunction(newTable), goFunction(farKey)
	proto, err := compileTrampoline()
	if err != nil {
		return nil, err
	}
	l.trampoline = proto
	return l, nil
}

// configName is what a script calls its configuration.
const configName = "config"

// Name returns "lua".
func (l *Language) Name() string { return "lua" }

// Ext returns ".lua".
func (l *Language) Ext() string { return ".lua" }

// valueOf makes the Lua value of a declaration; nil means that tree has it.
func (l *Language) valueOf(tree *space, b *runtime.Builtin) (glua.LValue, error) {
	switch {
	case b.Purity == runtime.Constant:
		v, err := (&pass{}).toLua(runtime.Plain(b.Value))
		if err != nil {
			return nil, err
		}
		if t, ok := v.(*glua.LTable); ok {
			v = deepFreeze(t)
		}
		return v, nil
	case b.Purity == runtime.Native && b.Fn == nil:
		if b.Name != configName && tree.members[b.Name] == nil {
			return nil, fmt.Errorf("no such native function")
		}
		return nil, nil
	}
	return bind(b), nil
}

// space is a namespace under construction.
type space struct {
	name    string
	members map[string]glua.LValue
	subs    map[string]*space
}

func newSpace(name string) *space {
	return &space{name: name, members: map[string]glua.LValue{}, subs: map[string]*space{}}
}

// put places v where its dotted name says.
func (s *space) put(name string, v glua.LValue) {
	head, tail, dotted := strings.Cut(name, ".")
	if !dotted {
		s.members[name] = v
		return
	}
	if s.subs[head] == nil {
		s.subs[head] = newSpace(strings.TrimPrefix(s.name+"."+head, "."))
	}
	s.subs[head].put(tail, v)
}

// fill writes the members to t in the order of their names.
func (s *space) fill(l *Language, t *glua.LTable) {
	for _, name := range sortedKeys(s.members) {
		if s.subs[name] == nil {
			t.RawSetString(name, s.members[name])
		}
		if s.name == "" {
			l.names[name] = true
		}
	}
	for _, name := range sortedKeys(s.subs) {
		sub := s.subs[name]
		inner := &glua.LTable{Metatable: glua.LNil}
		sub.fill(l, inner)
		if sub.name == "re" {
			l.re = inner
		}
		proxy := frozenTable(inner)
		meta := proxy.Metatable.(*glua.LTable)
		meta.RawSetString("__index", goFunction(sub.index(inner)))
		if fn, ok := s.members[name].(*glua.LFunction); ok {
			meta.RawSetString("__call", goFunction(func(L *glua.LState) int {
				L.Remove(1)
				return fn.GFunction(L)
			}))
		}
		t.RawSetString(name, proxy)
		l.spaces[sub.name] = append(sortedKeys(sub.members), sortedKeys(sub.subs)...)
		if s.name == "" {
			l.names[name] = true
		}
	}
}

// index finds a member; a name that is none is an error with the nearest one.
func (s *space) index(inner *glua.LTable) glua.LGFunction {
	return func(L *glua.LState) int {
		v := inner.RawGet(L.Get(2))
		if v == glua.LNil {
			if key, ok := L.Get(2).(glua.LString); ok {
				passOf(L).raise(L, unknownMember(s.name, string(key), sortedKeys(s.members)))
			}
		}
		L.Push(v)
		return 1
	}
}

func unknownMember(space, name string, members []string) *runtime.Error {
	e := &runtime.Error{Kind: runtime.NameError, Msg: space + "." + script.Cut(name, 60) + " is not a built-in"}
	if n := runtime.Nearest(name, members); n != "" {
		e.Hint = "did you mean " + space + "." + n + "?"
	}
	return e
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// goFunction makes a Lua function of a Go one. It has no environment and no
// upvalues, so states may share it.
func goFunction(fn glua.LGFunction) *glua.LFunction {
	return &glua.LFunction{IsG: true, GFunction: fn}
}

// standard puts what belongs to the language itself.
func standard(tree *space) {
	for _, set := range []map[string]glua.LGFunction{baseFunctions, stringFunctions, tableFunctions, mathFunctions, threadFunctions} {
		for name, fn := range set {
			tree.put(name, goFunction(fn))
		}
	}
	tree.put("math.huge", glua.LNumber(math.Inf(1)))
	tree.put("math.pi", glua.LNumber(math.Pi))
	tree.put("_VERSION", glua.LString("Lua 5.1"))
}
