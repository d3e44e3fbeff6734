package star

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// maxFold bounds how deep values are read off the text.
const maxFold = 24

// value reads a value off the text. What it cannot tell is Unknown.
func (a *analysis) value(e syntax.Expr, depth int) runtime.Value {
	if depth > maxFold {
		return runtime.Unknown{}
	}
	switch e := unparen(e).(type) {
	case *syntax.Literal:
		switch v := e.Value.(type) {
		case string:
			if e.Token == syntax.BYTES {
				return []byte(v)
			}
			return v
		case int64, float64:
			return v
		}
	case *syntax.Ident:
		return a.constant(e, depth)
	case *syntax.ListExpr:
		return a.values(e.List, depth)
	case *syntax.TupleExpr:
		return a.values(e.List, depth)
	case *syntax.DictExpr:
		d := &runtime.Dict{}
		for _, x := range e.List {
			entry := x.(*syntax.DictEntry)
			key, ok := a.value(entry.Key, depth+1).(string)
			if !ok {
				return runtime.Unknown{}
			}
			d.Fields = append(d.Fields, runtime.Field{Key: key, Value: a.value(entry.Value, depth+1)})
		}
		return d
	case *syntax.UnaryExpr:
		return negated(e.Op, a.value(e.X, depth+1))
	case *syntax.BinaryExpr:
		if e.Op != syntax.PLUS {
			break
		}
		x, ok1 := a.value(e.X, depth+1).(string)
		y, ok2 := a.value(e.Y, depth+1).(string)
		if ok1 && ok2 {
			return x + y
		}
	}
	return runtime.Unknown{}
}

func negated(op syntax.Token, v runtime.Value) runtime.Value {
	switch n := v.(type) {
	case int64:
		switch op {
		case syntax.MINUS:
			return -n
		case syntax.PLUS:
			return n
		}
	case float64:
		switch op {
		case syntax.MINUS:
			return -n
		case syntax.PLUS:
			return n
		}
	}
	return runtime.Unknown{}
}

func (a *analysis) values(list []syntax.Expr, depth int) runtime.Value {
	out := make(runtime.List, len(list))
	for i, e := range list {
		out[i] = a.value(e, depth+1)
	}
	return out
}

// constant is the value of None, True, False, and of a name that the top level
// gives one value for good.
func (a *analysis) constant(id *syntax.Ident, depth int) runtime.Value {
	if b, ok := id.Binding.(*resolve.Binding); ok && b.First == nil {
		switch id.Name {
		case "None":
			return nil
		case "True", "False":
			return id.Name == "True"
		}
		return runtime.Unknown{}
	}
	v := a.variableOf(id)
	if v == nil || v.fn != nil || len(v.binds) != 1 || v.binds[0].kind != byAssign || !v.binds[0].sure {
		return runtime.Unknown{}
	}
	switch w := a.value(v.binds[0].value, depth+8).(type) {
	case string, int64, float64, bool, []byte, nil:
		return w
	}
	return runtime.Unknown{} // a list may have been changed since
}

// percent checks "format" % values.
func (a *analysis) percent(e *syntax.BinaryExpr) {
	lit, ok := unparen(e.X).(*syntax.Literal)
	if !ok || lit.Token != syntax.STRING {
		return
	}
	wants, keys, bad := conversions(lit.Value.(string))
	switch {
	case bad != "":
		a.fails(lit.TokenPos, "a % itself is written %%", bad)
	case len(keys) > 0:
		d, ok := unparen(e.Y).(*syntax.DictExpr)
		if !ok || wants > len(keys) {
			return
		}
		var have []string
		for _, x := range d.List {
			key, ok := x.(*syntax.DictEntry).Key.(*syntax.Literal)
			if !ok || key.Token != syntax.STRING {
				return
			}
			have = append(have, key.Value.(string))
		}
		for _, key := range keys {
			if !slices.Contains(have, key) {
				a.fails(lit.TokenPos, didYouMeanOf(key, have), "key not found: "+script.Cut(key, 60))
				return
			}
		}
	default:
		a.counted(lit, wants, e.Y)
	}
}

// counted compares the number of values with what a format wants.
func (a *analysis) counted(lit *syntax.Literal, wants int, values syntax.Expr) {
	have := -1
	switch y := unparen(values).(type) {
	case *syntax.TupleExpr:
		have = len(y.List)
	case *syntax.Literal, *syntax.ListExpr, *syntax.LambdaExpr:
		have = 1
	case *syntax.Comprehension:
		if !y.Curly {
			have = 1
		}
	}
	if have < 0 || have == wants {
		return
	}
	msg := "too many arguments for format string"
	if have < wants {
		msg = "not enough arguments for format string"
	}
	a.fails(syntax.Start(values), fmt.Sprintf("it has room for %s, and gets %d", plural(wants, "value"), have), msg)
}

// conversions counts what a format of % wants, and lists the keys of %(key)s.
func conversions(format string) (wants int, keys []string, bad string) {
	for {
		_, rest, ok := strings.Cut(format, "%")
		if !ok {
			return wants, keys, ""
		}
		if rest != "" && rest[0] == '%' {
			format = rest[1:]
			continue
		}
		if strings.HasPrefix(rest, "(") {
			key, after, ok := strings.Cut(rest[1:], ")")
			if !ok {
				return wants, keys, "incomplete format key"
			}
			keys, rest = append(keys, key), after
		}
		switch {
		case rest == "":
			return wants, keys, "incomplete format"
		case !strings.ContainsRune("srdioxXeEfFgGc%", rune(rest[0])):
			return wants, keys, "unknown conversion %" + string([]rune(rest)[:1])
		}
		wants, format = wants+1, rest[1:]
	}
}

func didYouMeanOf(name string, names []string) string {
	if n := runtime.Nearest(name, names); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}

// format checks "format".format(values).
func (a *analysis) format(e *syntax.CallExpr, lit *syntax.Literal) {
	if lit.Token != syntax.STRING {
		return
	}
	positional, names := 0, []string(nil)
	for _, arg := range arguments(e) {
		switch {
		case arg.spread != 0:
			return
		case arg.name != "":
			names = append(names, arg.name)
		default:
			positional++
		}
	}
	f := formatFields{}
	if msg := f.read(lit.Value.(string)); msg != "" {
		a.fails(lit.TokenPos, "a brace itself is written {{ or }}", "format: "+msg)
		return
	}
	for _, name := range f.names {
		if !slices.Contains(names, name) {
			a.fails(lit.TokenPos, didYouMeanOf(name, names), "format: keyword "+script.Cut(name, 60)+" not found")
			return
		}
	}
	switch {
	case f.positional > positional:
		a.fails(lit.TokenPos, fmt.Sprintf("it has room for %s, and gets %d", plural(f.positional, "value"), positional), "format: tuple index out of range")
	case f.positional < positional:
		a.lint(lit.TokenPos, "", fmt.Sprintf("format: it has room for %s, and gets %d", plural(f.positional, "value"), positional))
	}
}

// formatFields are the fields of a format of braces.
type formatFields struct {
	positional   int
	names        []string
	auto, manual bool
}

// read returns what is wrong with a format, or "".
func (f *formatFields) read(format string) string {
	for {
		i := strings.IndexAny(format, "{}")
		switch {
		case i < 0:
			return ""
		case strings.HasPrefix(format[i:], "{{"), strings.HasPrefix(format[i:], "}}"):
			format = format[i+2:]
			continue
		case format[i] == '}':
			return "single '}' in format"
		}
		field, rest, ok := strings.Cut(format[i+1:], "}")
		if !ok {
			return "unmatched '{' in format"
		}
		if msg := f.field(field); msg != "" {
			return msg
		}
		format = rest
	}
}

func (f *formatFields) field(field string) string {
	name := field
	if i := strings.IndexAny(field, "!:"); i >= 0 {
		name = field[:i]
	}
	switch n, ok := decimal(name); {
	case name == "":
		f.auto = true
		f.positional++
	case ok:
		f.manual = true
		f.positional = max(f.positional, min(n, 1000)+1)
	case strings.ContainsAny(name, ".[{"):
		return unknownField(name).Error()[len("format: "):]
	default:
		f.names = append(f.names, name)
	}
	if f.auto && f.manual {
		return "cannot switch between {} and {0}"
	}
	return ""
}
