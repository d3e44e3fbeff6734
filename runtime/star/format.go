package star

import (
	"fmt"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
)

// formatter is one call of text.format(…). Its cases and texts are those of
// the interpreter.
type formatter struct {
	writer
	args         starlark.Tuple
	kwargs       []starlark.Tuple
	next         int
	auto, manual bool
}

func stringFormat(t *starlark.Thread, x starlark.Value, _ string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	f := formatter{writer: writer{m: meter{t: t}}, args: args, kwargs: kwargs}
	if err := f.run(string(x.(starlark.String))); err != nil {
		return nil, err
	}
	return f.result()
}

func (f *formatter) run(format string) error {
	for {
		literal, rest, field := strings.Cut(format, "{")
		if err := f.literal(literal); err != nil {
			return err
		}
		if !field {
			return nil
		}
		if strings.HasPrefix(rest, "{") {
			if err := f.str("{"); err != nil {
				return err
			}
			format = rest[1:]
			continue
		}
		spec, rest, ok := strings.Cut(rest, "}")
		if !ok {
			return fmt.Errorf("format: unmatched '{' in format")
		}
		if err := f.field(spec); err != nil {
			return err
		}
		format = rest
	}
}

// literal writes what is outside of fields; "}}" stands for "}".
func (f *formatter) literal(s string) error {
	for {
		before, after, ok := strings.Cut(s, "}")
		if !ok {
			return f.str(s)
		}
		if !strings.HasPrefix(after, "}") {
			return fmt.Errorf("format: single '}' in format")
		}
		if err := f.str(before + "}"); err != nil {
			return err
		}
		s = after[1:]
	}
}

// field writes {name!conv:spec}.
func (f *formatter) field(field string) error {
	if err := f.m.add(len(field) / 16); err != nil {
		return err
	}
	name, conv, spec := field, "s", ""
	if n, rest, ok := strings.Cut(field, "!"); ok {
		name = n
		conv, spec, _ = strings.Cut(rest, ":")
	} else {
		name, spec, _ = strings.Cut(field, ":")
	}
	arg, err := f.arg(name)
	if err != nil {
		return err
	}
	if spec != "" {
		return fmt.Errorf("format spec features not supported in replacement fields: %s", spec)
	}
	switch conv {
	case "s":
		return f.plain(arg)
	case "r":
		return f.value(arg, maxNesting)
	}
	return fmt.Errorf("format: unknown conversion %q", conv)
}

func (f *formatter) arg(name string) (starlark.Value, error) {
	index := f.next
	switch num, ok := decimal(name); {
	case name == "":
		if f.manual {
			return nil, fmt.Errorf("format: cannot switch from manual field specification to automatic field numbering")
		}
		f.auto = true
		f.next++
	case ok:
		if f.auto {
			return nil, fmt.Errorf("format: cannot switch from automatic field numbering to manual field specification")
		}
		f.manual, index = true, num
	default:
		for _, kv := range f.kwargs {
			if err := f.m.add(1); err != nil {
				return nil, err
			}
			if string(kv[0].(starlark.String)) == name {
				return kv[1], nil
			}
		}
		return nil, unknownField(name)
	}
	if index >= len(f.args) {
		return nil, fmt.Errorf("format: tuple index out of range")
	}
	return f.args[index], nil
}

func unknownField(name string) error {
	switch {
	case strings.Contains(name, "."):
		return fmt.Errorf("format: attribute syntax x.y is not supported in replacement fields: %s", name)
	case strings.Contains(name, "["):
		return fmt.Errorf("format: element syntax a[i] is not supported in replacement fields: %s", name)
	case strings.Contains(name, "{"):
		return fmt.Errorf("format: nested replacement fields not supported")
	}
	return fmt.Errorf("format: keyword %s not found", name)
}

// decimal reads a number without a sign.
func decimal(s string) (int, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
