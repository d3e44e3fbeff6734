package scripttest

import (
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// methods are the built-ins of objects: by the object ("t", "t.http"), and by
// their own name.
type methods map[string]map[string]*runtime.Builtin

func methodsOf(set []*runtime.Builtin) methods {
	m := methods{}
	for _, b := range set {
		at := strings.LastIndexByte(b.Name, '.')
		if at < 0 {
			continue
		}
		of, name := b.Name[:at], b.Name[at+1:]
		if m[of] == nil {
			m[of] = map[string]*runtime.Builtin{}
		}
		m[of][name] = b
	}
	return m
}

// object is t, or a part of it: t.http, what t.expect(run) returned. What it
// has are built-ins. It belongs to the goroutine of its test.
type object struct {
	name    string
	w       *world
	methods map[string]*runtime.Builtin
	// run is what an expectation is about.
	run *run
}

var _ runtime.Object = (*object)(nil)

// TypeName implements runtime.Object.
func (o *object) TypeName() string { return o.name }

// Field implements runtime.Object.
func (o *object) Field(name string) (runtime.Value, bool) {
	if b := o.methods[name]; b != nil {
		return runtime.Method{Decl: b, Self: o}, true
	}
	if o.name == "t" && name == "now" {
		return float64(o.w.clock.Now().UnixMicro()) / 1e6, true
	}
	if sub := o.w.s.r.methods[o.name+"."+name]; sub != nil && o.run == nil {
		return &object{name: o.name + "." + name, w: o.w, methods: sub}, true
	}
	return nil, false
}

// FieldNames implements runtime.Object.
func (o *object) FieldNames() []string {
	var names []string
	for n := range o.methods {
		names = append(names, n)
	}
	if o.run == nil {
		for of := range o.w.s.r.methods {
			if sub, ok := strings.CutPrefix(of, o.name+"."); ok && !strings.Contains(sub, ".") {
				names = append(names, sub)
			}
		}
		if o.name == "t" {
			names = append(names, "now")
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// testLibrary is what test scripts can use: the built-ins that compute, those
// of tests, and in the place of what belongs to rules an error that says what
// to write instead.
func testLibrary(rules *runtime.Library, own []*runtime.Builtin) (*runtime.Library, error) {
	var set []*runtime.Builtin
	mine := map[string]bool{}
	for _, b := range own {
		if !strings.HasPrefix(b.Name, "t.") { // t is given to the function
			set = append(set, b)
			mine[b.Name] = true
		}
	}
	for _, b := range rules.All() {
		if mine[b.Name] {
			continue
		}
		if b.Purity == runtime.Asks || b.Purity == runtime.Register {
			b = refused(b)
		}
		set = append(set, b)
	}
	return runtime.NewLibrary(set)
}

func refused(b *runtime.Builtin) *runtime.Builtin {
	hint := "send an event to the rule that calls it: run = t.message(\"…\"), then t.expect(run).called(…)"
	msg := b.Name + " is for rules, not for tests"
	switch {
	case b.Purity == runtime.Register:
		hint = "register rules in the script under test; t.rules(\"name\") names it"
	case strings.HasPrefix(b.Name, "kv."):
		hint = "t." + b.Name + " reads and writes the state of the script under test"
	}
	c := *b
	c.Purity = runtime.Ambient
	// Whatever it is given, the answer is the same.
	c.Params = []runtime.Param{
		{Name: "args", Type: runtime.TAny | runtime.TObject | runtime.TCallable, Variadic: true, Optional: true},
		{Name: "more", Type: runtime.TAny, Rest: true, Optional: true},
	}
	c.Fn = func(*runtime.Context, *runtime.Args) (runtime.Value, error) {
		return nil, &runtime.Error{Kind: runtime.RunError, Msg: msg, Hint: hint}
	}
	return &c
}
