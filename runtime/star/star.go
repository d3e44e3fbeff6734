// Package star runs Starlark scripts: it adapts go.starlark.net, which no
// other package may import, to the language-neutral package runtime.
//
// Read it in this order:
//
//	Language   binds a library once; compiles bundles (load.go, rewrite.go)
//	bound      a built-in as Starlark sees it, made from its declaration (binding.go)
//	module     a compiled, frozen bundle with its table of functions
//	pass       one run over one function, from Call to Reply (pass.go)
//	dictView   payloads that convert only what is looked at (view.go)
//	pending    the result of an effect that is not there yet (pending.go)
//
// Every file goes through one rewriting of its syntax tree before names are
// resolved (rewrite.go). The names that the rewriting puts in begin with "$",
// which no script can type, so what they stand for cannot be replaced. They
// are guards: operators (operator.go, equal.go), methods (method.go,
// container.go) and functions (own.go, text.go, format.go) that bound what
// they make and pay for it in steps (fuel.go, table.go) before they make it.
// They turn nearly all hostile scripts into errors with a line number, and the
// limit is the same on each replay. They are never claimed to be complete:
// the promise that a script cannot hurt the server rests on worker processes.
//
// The package knows no Slack, no store and no door: effects leave as data.
package star

import (
	"fmt"
	"sort"
	"strings"

	"go.starlark.net/starlark"

	"github.com/starling-rules/starling/runtime"
)

// Language is Starlark with the built-ins of one library. It is immutable and
// safe for concurrent use.
type Language struct {
	host runtime.Host
	// predeclared is shared by all modules and never changed. Scripts that
	// mention config get a copy with theirs.
	predeclared starlark.StringDict
	// names are all names a script may use without defining them, for hints.
	names []string
	bare  bool // without guards
}

var _ runtime.Language = (*Language)(nil)

// New binds the built-ins of host.Library. It fails if a built-in cannot be
// bound: a Native one that this package does not know, a constant that has no
// Starlark form.
func New(host runtime.Host) (*Language, error) {
	l := &Language{host: host, predeclared: starlark.StringDict{}}
	l.predeclareGuarded()
	return l, l.init()
}

// NewUnguarded is New without the guards that bound what scripts make, for
// tests that show that worker processes hold alone, and for measuring what the
// guards cost. Nothing but the limits of steps, time, effects, output and
// source is left, and one operation can take all memory.
func NewUnguarded(host runtime.Host) (*Language, error) {
	l := &Language{host: host, predeclared: starlark.StringDict{}, bare: true}
	l.predeclareGuarded()
	for name, v := range starlark.Universe {
		if _, ok := natives[name]; !ok && name != "print" && name != "fail" {
			l.predeclared[name] = v
		}
	}
	return l, l.init()
}

// init binds the library.
func (l *Language) init() error {
	host := l.host
	if host.Library != nil {
		for _, b := range host.Library.All() {
			if err := l.declare(b); err != nil {
				return fmt.Errorf("bind built-in %s: %w", b.Name, err)
			}
		}
	}
	if _, ok := l.predeclared[configName]; !ok {
		l.predeclared[configName] = starlark.NewDict(0)
	}
	l.predeclared.Freeze()
	for name := range l.predeclared {
		if !strings.HasPrefix(name, "$") {
			l.names = append(l.names, name)
		}
	}
	sort.Strings(l.names)
	return nil
}

// predeclareGuarded puts in the functions of the language and the guards.
func (l *Language) predeclareGuarded() {
	for _, name := range plainFunctions {
		l.predeclared[name] = starlark.Universe[name]
	}
	for _, fns := range []map[string]native{owns, natives} {
		for name, fn := range fns {
			l.predeclared[name] = starlark.NewBuiltin(name, fn)
		}
	}
	for name, g := range guards {
		l.predeclared[name] = starlark.NewBuiltin(name, func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
			return g(t, args)
		})
	}
	for name := range guardedNames {
		l.predeclared["$."+name] = starlark.NewBuiltin("$."+name, callMethod(name))
	}
}

// configName is what a script calls its configuration.
const configName = "config"

// Name returns "starlark".
func (l *Language) Name() string { return "starlark" }

// Ext returns ".star".
func (l *Language) Ext() string { return ".star" }

// declare puts one built-in where its dotted name says.
func (l *Language) declare(b *runtime.Builtin) error {
	var v starlark.Value
	switch {
	case b.Purity == runtime.Constant:
		c, err := (&pass{}).toStar(runtime.Plain(b.Value))
		if err != nil {
			return err
		}
		v = c
	case b.Purity == runtime.Native && b.Fn == nil:
		if b.Name == configName {
			return nil
		}
		if v = l.predeclared[b.Name]; v == nil {
			return fmt.Errorf("no such native function")
		}
	default:
		v = l.bind(b)
	}
	mod, name, dotted := strings.Cut(b.Name, ".")
	if !dotted {
		if m, ok := l.predeclared[b.Name].(*namespace); ok {
			m.call, _ = v.(*starlark.Builtin)
			return nil
		}
		l.predeclared[b.Name] = v
		return nil
	}
	m, ok := l.predeclared[mod].(*namespace)
	if !ok {
		m = &namespace{name: mod, members: starlark.StringDict{}}
		m.call, _ = l.predeclared[mod].(*starlark.Builtin)
		l.predeclared[mod] = m
	}
	for {
		head, tail, more := strings.Cut(name, ".")
		if !more {
			m.members[name] = v
			return nil
		}
		sub, ok := m.members[head].(*namespace)
		if !ok {
			sub = &namespace{name: m.name + "." + head, members: starlark.StringDict{}}
			m.members[head] = sub
		}
		m, name = sub, tail
	}
}

// predeclaredFor returns the names of a bundle's files.
func (l *Language) predeclaredFor(config runtime.Value) (starlark.StringDict, error) {
	if config == nil {
		return l.predeclared, nil
	}
	v, err := (&pass{}).toStar(runtime.Plain(config))
	if err != nil {
		return nil, err
	}
	v.Freeze()
	own := make(starlark.StringDict, len(l.predeclared))
	for name, p := range l.predeclared {
		own[name] = p
	}
	own[configName] = v
	return own, nil
}
