package doc

import (
	"regexp"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// kind is a type as both stubs know it.
type kind string

// The kinds. A dict, list or event has the name that the language gives it.
const (
	kNone     kind = "None"
	kBool     kind = "bool"
	kInt      kind = "int"
	kFloat    kind = "float"
	kString   kind = "string"
	kBytes    kind = "bytes"
	kList     kind = "list"
	kStrings  kind = "list of strings"
	kDicts    kind = "list of dicts"
	kDict     kind = "dict"
	kFunc     kind = "function"
	kHandler  kind = "handler"
	kSecret   kind = "secret"
	kRegexp   kind = "regexp"
	kDuration kind = "duration"
	kEvent    kind = "event"
	kResult   kind = "result"
	kAny      kind = "any"
	kNever    kind = "never"
)

// kindsOf are the kinds of a parameter.
func kindsOf(b *runtime.Builtin, p runtime.Param) []kind {
	if p.Type == runtime.TAny {
		return []kind{kAny}
	}
	var out []kind
	for _, c := range []struct {
		t runtime.Type
		k kind
	}{
		{runtime.TNone, kNone},
		{runtime.TBool, kBool},
		{runtime.TInt, kInt},
		{runtime.TFloat, kFloat},
		{runtime.TString, kString},
		{runtime.TBytes, kBytes},
		{runtime.TList, kList},
		{runtime.TDict, kDict},
		{runtime.TFunc, kFunc},
		{runtime.TSecret, kSecret},
		{runtime.TRegexp, kRegexp},
		{runtime.TDuration, kDuration},
		{runtime.TObject, kEvent},
		{runtime.TCallable, kFunc},
	} {
		if p.Type&c.t == 0 {
			continue
		}
		if c.k == kFunc && b.Purity == runtime.Register {
			c.k = kHandler
		}
		out = append(out, c.k)
	}
	return out
}

// words are the names of types in the text of a result, longest first.
var words = regexp.MustCompile(`\b(list of strings|list of dicts|never returns|None|bool|int|float|string|bytes|list|dict|function|secret|regexp|event|result)\b`)

// resultKinds reads the words that say what a built-in returns: "int, or float
// with digits" is int and float, "dict: `text`, …; or None" is dict and None.
// What they do not say is any.
func resultKinds(b *runtime.Builtin) []kind {
	head, tail, _ := strings.Cut(b.Result, ":")
	if strings.Contains(tail, "or None") {
		head += " or None"
	}
	var out []kind
	for _, w := range words.FindAllString(head, -1) {
		k := kind(w)
		if w == "never returns" {
			k = kNever
		}
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	if len(out) == 0 || strings.HasPrefix(b.Result, "the ") || strings.HasPrefix(b.Result, "as ") || strings.HasPrefix(b.Result, "two ") {
		return []kind{kAny}
	}
	return out
}

// resultFields are the fields that the text of a result names: `.status`.
var dotted = regexp.MustCompile("`\\.([a-z_]+)`")

func resultFields(b *runtime.Builtin) []string {
	var out []string
	for _, m := range dotted.FindAllStringSubmatch(b.Result, -1) {
		out = append(out, m[1])
	}
	return out
}

// class is a result whose fields are known, of the built-ins that return it.
type class struct {
	name   string
	fields []string
}

// resultClass names the class of a built-in's result by its fields; those that
// name none beyond ok and error share one.
func resultClass(b *runtime.Builtin) class {
	fields := resultFields(b)
	var own []string
	for _, f := range fields {
		if f != "ok" && f != "error" {
			own = append(own, f)
		}
	}
	switch {
	case slices.Contains(own, "status"):
		return class{"HTTPResult", fields}
	case slices.Contains(own, "items"):
		return class{"PagesResult", fields}
	}
	return class{"Result", []string{"ok", "error"}}
}

// resultClasses are the classes that the built-ins of a library return.
func resultClasses(list []*runtime.Builtin) []class {
	out := []class{{"Result", []string{"ok", "error"}}}
	for _, b := range list {
		if !slices.Contains(resultKinds(b), kResult) {
			continue
		}
		if c := resultClass(b); !slices.ContainsFunc(out, func(x class) bool { return x.name == c.name }) {
			out = append(out, c)
		}
	}
	return out
}

// fieldKinds are the types of the fields of results.
var fieldKinds = map[string]kind{
	"ok": kBool, "error": kString, "status": kInt, "text": kString, "headers": kDict, "items": kList, "complete": kBool, "json": kAny,
}

// tree is a library by module, for stubs that nest as the names do.
type tree struct {
	name  string // of the module, dotted; "" at the top
	own   []*runtime.Builtin
	below []*tree
}

// treeOf sorts built-ins into the modules that their names say.
func treeOf(list []*runtime.Builtin) *tree {
	root := &tree{}
	for _, b := range list {
		at := root
		parts := strings.Split(b.Name, ".")
		for i := range parts[:len(parts)-1] {
			name := strings.Join(parts[:i+1], ".")
			j := slices.IndexFunc(at.below, func(t *tree) bool { return t.name == name })
			if j < 0 {
				at.below = append(at.below, &tree{name: name})
				j = len(at.below) - 1
			}
			at = at.below[j]
		}
		at.own = append(at.own, b)
	}
	return root
}

// last is what stands after the last dot of a name.
func last(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// resultModule names the module whose members what a built-in returns has:
// t.expect(…) has those of t.expect, and so has what these return. It is empty
// for built-ins that return anything else.
func (r *Reader) resultModule(b *runtime.Builtin) string {
	for _, x := range r.Library.All() {
		if strings.HasPrefix(x.Name, b.Name+".") {
			return b.Name
		}
	}
	if owner := module(b.Name); strings.HasPrefix(b.Result, "the ") && r.Library.Lookup(owner) != nil {
		return owner
	}
	return ""
}
