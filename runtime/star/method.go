package star

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/starling-rules/starling/runtime"
)

// method is a guarded method of one of the interpreter's types.
type method func(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)

// The methods of the interpreter's types. A nil guard means that the method
// does little whatever it is given, and is left alone. A test fails if a type
// has others; until they are listed here, scripts cannot get at them.
var (
	stringMethods = map[string]method{
		"capitalize": wholeText, "codepoint_ords": nil, "codepoints": nil, "count": searchText, "elem_ords": nil, "elems": nil,
		"endswith": affix, "find": searchText, "format": stringFormat, "index": searchText, "isalnum": wholeText, "isalpha": wholeText,
		"isdigit": wholeText, "islower": wholeText, "isspace": wholeText, "istitle": wholeText, "isupper": wholeText, "join": join,
		"lower": wholeText, "lstrip": strip, "partition": searchText, "removeprefix": searchText, "removesuffix": searchText,
		"replace": replace, "rfind": searchText, "rindex": searchText, "rpartition": searchText, "rsplit": split, "rstrip": strip,
		"split": split, "splitlines": splitLines, "startswith": affix, "strip": strip, "title": wholeText, "upper": wholeText,
	}
	bytesMethods = map[string]method{"elems": nil}
	dictMethods  = map[string]method{
		"clear": clearAll, "get": nil, "items": dictItems, "keys": sized, "pop": popKey, "popitem": popItem,
		"setdefault": setDefault, "update": dictUpdate, "values": sized,
	}
	listMethods = map[string]method{
		"append": nil, "clear": nil, "extend": listExtend, "index": listIndex, "insert": listInsert, "pop": listPop, "remove": listRemove,
	}
	setMethods = map[string]method{
		"add": setAdd, "clear": clearAll, "difference": setOperation, "discard": popKey, "intersection": setOperation,
		"issubset": setOperation, "issuperset": setOperation, "pop": popItem, "remove": popKey,
		"symmetric_difference": setOperation, "union": setUnion, "update": setUpdate,
	}
)

// methodsOf returns the methods of a value's type; nil if it is none of the
// interpreter's own types.
func methodsOf(v starlark.Value) map[string]method {
	switch v.(type) {
	case starlark.String:
		return stringMethods
	case *starlark.Dict:
		return dictMethods
	case *starlark.List:
		return listMethods
	case *starlark.Set:
		return setMethods
	case starlark.Bytes:
		return bytesMethods
	}
	return nil
}

// guardedNames are the names x.name that the rewriting has to look at: those
// of guarded methods, and those of methods that are not listed above.
var guardedNames = nameGuards()

func nameGuards() map[string]bool {
	names := map[string]bool{}
	for _, methods := range []map[string]method{stringMethods, bytesMethods, dictMethods, listMethods, setMethods} {
		for name, m := range methods {
			if m != nil {
				names[name] = true
			}
		}
	}
	for _, v := range []starlark.HasAttrs{starlark.String(""), starlark.Bytes(""), &starlark.Dict{}, &starlark.List{}, &starlark.Set{}} {
		for _, name := range unlisted(v.AttrNames(), methodsOf(v)) {
			names[name] = true
		}
	}
	return names
}

// unlisted returns the names that methods lacks.
func unlisted(names []string, methods map[string]method) []string {
	var out []string
	for _, name := range names {
		if _, ok := methods[name]; !ok {
			out = append(out, name)
		}
	}
	return out
}

// callMethod returns the guard that stands for x.name(…).
func callMethod(name string) native {
	return func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if m := methodsOf(args[0])[name]; m != nil {
			return m(t, args[0], name, args[1:], kwargs)
		}
		fn, err := attr(args[0], name)
		if err != nil {
			return nil, err
		}
		return starlark.Call(t, fn, args[1:], kwargs)
	}
}

// attribute is x.name where it is not called at once.
func attribute(_ *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	name := string(a[1].(starlark.String))
	if m := bindMethod(a[0], name); m != nil {
		return m, nil
	}
	return attr(a[0], name)
}

// bindMethod returns a guarded method as a value, or nil.
func bindMethod(x starlark.Value, name string) starlark.Value {
	m := methodsOf(x)[name]
	if m == nil {
		return nil
	}
	return starlark.NewBuiltin(name, func(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return m(t, b.Receiver(), b.Name(), args, kwargs)
	}).BindReceiver(x)
}

// hidden tells that a name is no method of an interpreter's type, or one that
// is not listed.
func hidden(x starlark.Value, name string) bool {
	methods := methodsOf(x)
	_, ok := methods[name]
	return methods != nil && !ok
}

// attr is the interpreter's x.name; methods of its types that are not listed
// do not exist.
func attr(x starlark.Value, name string) (starlark.Value, error) {
	has, ok := x.(starlark.HasAttrs)
	if !ok {
		return nil, fmt.Errorf("%s has no .%s field or method", x.Type(), name)
	}
	msg := ""
	if hidden(x, name) {
		msg = fmt.Sprintf("%s has no .%s field or method", x.Type(), name)
	} else {
		v, err := has.Attr(name)
		no, missing := err.(starlark.NoSuchAttrError)
		switch {
		case missing:
			msg = string(no)
		case err != nil:
			return nil, err
		case v != nil:
			return v, nil
		default:
			msg = fmt.Sprintf("%s has no .%s field or method", x.Type(), name)
		}
	}
	names := slices.DeleteFunc(has.AttrNames(), func(name string) bool { return hidden(x, name) })
	if n := runtime.Nearest(name, names); n != "" {
		msg = fmt.Sprintf("%s (did you mean .%s?)", msg, n)
	}
	return nil, fmt.Errorf("%s", msg)
}

// upstream calls the interpreter's own method.
func upstream(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	m, err := x.(starlark.HasAttrs).Attr(name)
	if err != nil {
		return nil, err
	}
	return m.(*starlark.Builtin).CallInternal(t, args, kwargs)
}

// wholeText is a method that reads a text and may make another of its size.
func wholeText(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := spend(t, len(x.(starlark.String))/4); err != nil {
		return nil, err
	}
	z, err := upstream(t, x, name, args, kwargs)
	return checked(t, z, err)
}

// searchText is a method that looks for a text in another and makes none.
func searchText(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := scan(t, len(x.(starlark.String))+textLen(args)); err != nil {
		return nil, err
	}
	return upstream(t, x, name, args, kwargs)
}

// affix is startswith and endswith: of one text or of a tuple of them.
func affix(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	cost := textLen(args) / 64
	if len(args) > 0 {
		cost += hashCost(args[0])
	}
	if err := spend(t, cost); err != nil {
		return nil, err
	}
	return upstream(t, x, name, args, kwargs)
}

// textLen is the length of the first argument, if it is a text.
func textLen(args starlark.Tuple) int {
	if len(args) > 0 {
		if s, ok := args[0].(starlark.String); ok {
			return len(s)
		}
	}
	return 0
}

// strip pays for looking up each character in the set of those to strip, which
// is a search if that is not plain ASCII.
func strip(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	n := len(x.(starlark.String))
	cost := n / 16
	if len(args) > 0 {
		if set, ok := args[0].(starlark.String); ok {
			cost += len(set) / 64
			if strings.ContainsFunc(string(set), func(r rune) bool { return r >= utf8.RuneSelf }) {
				cost += n * len(set) / 64
			}
		}
	}
	if err := spend(t, cost); err != nil {
		return nil, err
	}
	return upstream(t, x, name, args, kwargs)
}

func replace(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := string(x.(starlark.String))
	var old, better string
	count := -1
	if err := starlark.UnpackPositionalArgs(name, args, kwargs, 2, &old, &better, &count); err != nil {
		return nil, err
	}
	if err := scan(t, len(s)+len(old)); err != nil {
		return nil, err
	}
	n := strings.Count(s, old)
	if count >= 0 {
		n = min(n, count)
	}
	if err := text(t, len(s)+n*(len(better)-len(old))); err != nil {
		return nil, err
	}
	if err := spend(t, n); err != nil {
		return nil, err
	}
	return starlark.String(strings.Replace(s, old, better, count)), nil
}

func join(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var it starlark.Iterable
	if err := starlark.UnpackPositionalArgs(name, args, kwargs, 1, &it); err != nil {
		return nil, err
	}
	sep := string(x.(starlark.String))
	w := writer{m: meter{t: t}}
	first := true
	err := each(t, it, func(v starlark.Value) error {
		if !first {
			if err := w.str(sep); err != nil {
				return err
			}
		}
		first = false
		s, ok := starlark.AsString(v)
		if !ok {
			return fmt.Errorf("join: in list, want string, got %s", v.Type())
		}
		return w.str(s)
	})
	if err != nil {
		return nil, err
	}
	return w.result()
}

func split(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := string(x.(starlark.String))
	if err := spend(t, len(s)/16); err != nil {
		return nil, err
	}
	if len(s) > 256 {
		n := 0
		if sep := textLen(args); sep > 0 {
			n = strings.Count(s, string(args[0].(starlark.String))) + 1
		} else {
			n = countWords(s)
		}
		if err := elems(t, n); err != nil {
			return nil, err
		}
	} else {
		t.Steps += uint64(len(s) / 2)
	}
	return upstream(t, x, name, args, kwargs)
}

// countWords counts the words of a text.
func countWords(s string) int {
	n, inside := 0, false
	for _, r := range s {
		space := unicode.IsSpace(r)
		if !space && !inside {
			n++
		}
		inside = !space
	}
	return n
}

func splitLines(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := string(x.(starlark.String))
	if err := spend(t, len(s)/16); err != nil {
		return nil, err
	}
	if err := elems(t, strings.Count(s, "\n")); err != nil {
		return nil, err
	}
	return upstream(t, x, name, args, kwargs)
}
