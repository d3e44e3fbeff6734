package star

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// writer makes the text of values as the interpreter does, but bounded in
// length and depth and paid for as it goes: a small value that shares its
// parts can have a text without end.
type writer struct {
	m    meter
	buf  strings.Builder
	path []starlark.Value // the lists and dicts that are being written
}

func (w *writer) str(s string) error {
	if w.buf.Len()+len(s) > maxText {
		return text(w.m.t, w.buf.Len()+len(s))
	}
	w.buf.WriteString(s)
	return w.m.add(len(s)/16 + 1)
}

// result returns the text.
func (w *writer) result() (starlark.Value, error) {
	w.m.done()
	if w.buf.Len() > largeText && w.m.t.OnMaxSteps != nil {
		passOf(w.m.t).large()
	}
	return starlark.String(w.buf.String()), nil
}

// plain writes a value as str does: a text without quotes.
func (w *writer) plain(v starlark.Value) error {
	if s, ok := v.(starlark.String); ok {
		return w.str(string(s))
	}
	return w.value(v, maxNesting)
}

// value writes a value as repr does.
func (w *writer) value(v starlark.Value, depth int) error {
	if depth == 0 {
		return fmt.Errorf("text of a value nested more than %d deep", maxNesting)
	}
	if err := w.m.add(2); err != nil {
		return err
	}
	switch v := v.(type) {
	case starlark.String:
		if len(v) > maxText-w.buf.Len() {
			return text(w.m.t, maxText+1)
		}
		return w.str(syntax.Quote(string(v), false))
	case *starlark.List:
		return w.cyclic(v, '[', ']', func() error { return w.list(v, depth) })
	case *listView:
		return w.cyclic(v, '[', ']', func() error { return w.list(v, depth) })
	case *calledList:
		return w.cyclic(v, '[', ']', func() error { return w.list(v, depth) })
	case starlark.Tuple:
		return w.tuple(v, depth)
	case *starlark.Dict:
		return w.cyclic(v, '{', '}', func() error { return w.dict(v, depth) })
	case *dictView:
		return w.cyclic(v, '{', '}', func() error { return w.view(v, depth) })
	case *calledView:
		return w.cyclic(v, '{', '}', func() error { return w.view(&v.dictView, depth) })
	case *starlark.Set:
		return w.set(v, depth)
	case *starlarkstruct.Struct:
		return w.structure(v, depth)
	case starlark.Int:
		if err := digits(w.m.t, v); err != nil {
			return err
		}
	case *object:
		if err := w.m.add(tickSteps); err != nil { // it writes its fields whole, and cuts them
			return err
		}
	}
	return w.str(v.String())
}

func (w *writer) cyclic(v starlark.Value, open, end byte, inside func() error) error {
	if err := w.str(string(open)); err != nil {
		return err
	}
	if slices.Contains(w.path, v) {
		return w.str("..." + string(end))
	}
	w.path = append(w.path, v)
	if err := inside(); err != nil {
		return err
	}
	w.path = w.path[:len(w.path)-1]
	return w.str(string(end))
}

func (w *writer) list(v starlark.Indexable, depth int) error {
	for i := range v.Len() {
		if i > 0 {
			if err := w.str(", "); err != nil {
				return err
			}
		}
		if err := w.value(v.Index(i), depth-1); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) tuple(v starlark.Tuple, depth int) error {
	if err := w.str("("); err != nil {
		return err
	}
	if err := w.list(v, depth); err != nil {
		return err
	}
	if len(v) == 1 {
		return w.str(",)")
	}
	return w.str(")")
}

func (w *writer) pair(sep string, k, v starlark.Value, depth int) error {
	if err := w.str(sep); err != nil {
		return err
	}
	if err := w.value(k, depth-1); err != nil {
		return err
	}
	if err := w.str(": "); err != nil {
		return err
	}
	return w.value(v, depth-1)
}

func (w *writer) dict(d *starlark.Dict, depth int) error {
	sep := ""
	for k, v := range d.Entries() {
		if err := w.pair(sep, k, v, depth); err != nil {
			return err
		}
		sep = ", "
	}
	return nil
}

func (w *writer) view(d *dictView, depth int) error {
	sep := ""
	for _, k := range d.source().Keys() {
		v, _, err := d.lookup(k)
		if err != nil {
			return err
		}
		if err := w.pair(sep, starlark.String(k), v, depth); err != nil {
			return err
		}
		sep = ", "
	}
	return nil
}

func (w *writer) set(s *starlark.Set, depth int) error {
	sep := "set(["
	for v := range s.Elements() {
		if err := w.str(sep); err != nil {
			return err
		}
		if err := w.value(v, depth-1); err != nil {
			return err
		}
		sep = ", "
	}
	if s.Len() == 0 {
		return w.str("set([])")
	}
	return w.str("])")
}

func (w *writer) structure(s *starlarkstruct.Struct, depth int) error {
	sep := "\"struct\"("
	if c, ok := s.Constructor().(starlark.String); ok {
		sep = c.GoString() + "("
	}
	for i := range s.Len() {
		name, v := s.AttrAt(i)
		if err := w.str(sep + name + " = "); err != nil {
			return err
		}
		if err := w.value(v, depth-1); err != nil {
			return err
		}
		sep = ", "
	}
	if s.Len() == 0 {
		return w.str(sep + ")")
	}
	return w.str(")")
}

// digits pays for the decimal text of an int, which takes quadratic time.
func digits(t *starlark.Thread, x starlark.Int) error {
	if _, small := x.Int64(); small {
		return nil
	}
	n := x.BigInt().BitLen()
	return spend(t, n+n*n/65536)
}

// strOf is str(x), and what print and format write.
func strOf(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(kwargs) > 0 || len(args) != 1 {
		return original(t, b, args, kwargs)
	}
	switch x := args[0].(type) {
	case starlark.String:
		return x, nil
	case starlark.Bytes:
		if err := text(t, len(x)); err != nil {
			return nil, err
		}
		z, err := original(t, b, args, kwargs)
		return checked(t, z, err)
	case starlark.Int:
		if err := digits(t, x); err != nil {
			return nil, err
		}
		return starlark.String(x.String()), nil
	case starlark.Bool, starlark.Float, starlark.NoneType:
		return starlark.String(x.String()), nil
	}
	w := writer{m: meter{t: t}}
	if err := w.value(args[0], maxNesting); err != nil {
		return nil, err
	}
	return w.result()
}

func reprOf(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(kwargs) > 0 || len(args) != 1 {
		return original(t, b, args, kwargs)
	}
	w := writer{m: meter{t: t}}
	if err := w.value(args[0], maxNesting); err != nil {
		return nil, err
	}
	return w.result()
}

// words joins arguments as print does.
func words(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (string, error) {
	sep := " "
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs, "sep?", &sep); err != nil {
		return "", err
	}
	w := writer{m: meter{t: t}}
	for i, v := range args {
		if i > 0 {
			if err := w.str(sep); err != nil {
				return "", err
			}
		}
		if err := w.plain(v); err != nil {
			return "", err
		}
	}
	w.m.done()
	return w.buf.String(), nil
}

// interpolate is format % x. Its cases and texts are those of the interpreter.
func interpolate(t *starlark.Thread, format string, x starlark.Value) (starlark.Value, error) {
	w := writer{m: meter{t: t}}
	w.buf.Grow(min(len(format)+32, largeText))
	index, nargs := 0, 1
	tuple, isTuple := x.(starlark.Tuple)
	if isTuple {
		nargs = len(tuple)
	}
	_, isMapping := x.(starlark.Mapping)
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			if err := w.str(format); err != nil {
				return nil, err
			}
			break
		}
		if err := w.str(format[:i]); err != nil {
			return nil, err
		}
		format = format[i+1:]
		if format != "" && format[0] == '%' {
			if err := w.str("%"); err != nil {
				return nil, err
			}
			format = format[1:]
			continue
		}
		arg := x
		switch {
		case format != "" && format[0] == '(':
			var err error
			before := len(format)
			if arg, format, err = keyed(x, format[1:]); err != nil {
				return nil, err
			}
			if err := w.m.add((before - len(format)) / 16); err != nil {
				return nil, err
			}
		case index >= nargs:
			return nil, fmt.Errorf("not enough arguments for format string")
		case isTuple:
			arg = tuple[index]
		}
		if format == "" {
			return nil, fmt.Errorf("incomplete format")
		}
		if err := w.conversion(format[0], arg); err != nil {
			return nil, err
		}
		format = format[1:]
		index++
	}
	if index < nargs && !isMapping {
		return nil, fmt.Errorf("too many arguments for format string")
	}
	return w.result()
}

// keyed returns the value that %(key)s means, and the format behind the key.
func keyed(x starlark.Value, format string) (starlark.Value, string, error) {
	key, rest, ok := strings.Cut(format, ")")
	if !ok {
		return nil, "", fmt.Errorf("incomplete format key")
	}
	m, ok := x.(starlark.Mapping)
	if !ok {
		return nil, "", fmt.Errorf("format requires a mapping")
	}
	v, found, _ := m.Get(starlark.String(key))
	if !found {
		return nil, "", fmt.Errorf("key not found: %s", key)
	}
	return v, rest, nil
}

// conversion writes one %c.
func (w *writer) conversion(c byte, arg starlark.Value) error {
	switch c {
	case 's':
		return w.plain(arg)
	case 'r':
		return w.value(arg, maxNesting)
	case 'd', 'i', 'o', 'x', 'X', 'e', 'f', 'g', 'E', 'F', 'G':
		if n, ok := arg.(starlark.Int); ok {
			if err := digits(w.m.t, n); err != nil {
				return err
			}
			if c == 'd' || c == 'i' {
				return w.str(n.String())
			}
		}
		if err := w.m.add(10); err != nil {
			return err
		}
		z, err := starlark.Binary(syntax.PERCENT, starlark.String("%"+string(c)), starlark.Tuple{arg})
		if err != nil {
			return err
		}
		s := string(z.(starlark.String))
		if err := w.m.add(len(s)); err != nil {
			return err
		}
		return w.str(s)
	case 'c':
		return w.char(arg)
	case '%':
		return w.str("%")
	}
	return fmt.Errorf("unknown conversion %%%c", c)
}

func (w *writer) char(arg starlark.Value) error {
	switch arg := arg.(type) {
	case starlark.Int:
		r, err := starlark.AsInt32(arg)
		if err != nil || r < 0 || r > unicode.MaxRune {
			return fmt.Errorf("%%c format requires a valid Unicode code point, got %s", arg)
		}
		return w.str(string(rune(r)))
	case starlark.String:
		r, size := utf8.DecodeRuneInString(string(arg))
		if size != len(arg) || len(arg) == 0 {
			return fmt.Errorf("%%c format requires a single-character string")
		}
		return w.str(string(r))
	}
	return fmt.Errorf("%%c format requires int or single-character string, not %s", arg.Type())
}
