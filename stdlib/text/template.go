package text

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

func template(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	values := declare.Dict(a, "values").Clone()
	if more := declare.Dict(a, "more"); more != nil {
		for _, f := range more.Fields {
			values.Set(f.Key, f.Value)
		}
	}
	steps := strings.Count(a.Text("text"), "{") * (4 + values.Len()/4)
	if err := declare.Charge(x, steps); err != nil {
		return nil, err
	}
	parts, err := Expand(a.Text("text"), values)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	hidden := false
	for _, p := range parts {
		b.WriteString(p.Text)
		hidden = hidden || p.Name != ""
	}
	if err := declare.ChargeText(x, b.Len()); err != nil {
		return nil, err
	}
	if b.Len() > declare.MaxText {
		return nil, declare.Hint("", "text.template: the result has %d bytes, which are too many", b.Len())
	}
	if hidden {
		return runtime.Secret{Parts: parts}, nil
	}
	return b.String(), nil
}

// Expand puts values into a template. The parts are text, and the names of the
// secrets that were among the values.
func Expand(s string, values *runtime.Dict) ([]runtime.SecretPart, error) {
	var parts []runtime.SecretPart
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		brace := s[i]
		s = s[i+1:]
		if s != "" && s[0] == brace {
			b.WriteByte(brace)
			s = s[1:]
			continue
		}
		name, rest, ok := strings.Cut(s, "}")
		if brace == '}' || !ok || strings.Contains(name, "{") {
			return nil, declare.Hint("a brace itself is written twice", "text.template: a brace has no partner")
		}
		s = rest
		name, form, _ := strings.Cut(name, ":")
		if form != "" && form != "raw" {
			return nil, declare.Hint("there is {name} and {name:raw}", "text.template: {%s:%s} has no such form", clip(name), clip(form))
		}
		v, err := lookup(values, name)
		if err != nil {
			return nil, err
		}
		if sec, is := v.(runtime.Secret); is {
			parts = append(append(parts, runtime.SecretPart{Text: b.String()}), sec.Parts...)
			b.Reset()
			continue
		}
		shown := show(v)
		if form != "raw" {
			shown = Escape(shown)
		}
		b.WriteString(shown)
		if b.Len() > declare.MaxText {
			return nil, declare.Hint("", "text.template: the result is too long")
		}
	}
	return append(parts, runtime.SecretPart{Text: b.String()}), nil
}

// lookup follows a dotted path through dicts and lists.
func lookup(values *runtime.Dict, path string) (runtime.Value, error) {
	var v runtime.Value = values
	for _, step := range strings.Split(path, ".") {
		var next runtime.Value
		ok := false
		if j, is := v.(runtime.JSON); is {
			v = declare.Plain(j)
		}
		switch c := v.(type) {
		case *runtime.View:
			if n, err := strconv.Atoi(step); c.IsList() && err == nil && n >= 0 && n < c.Len() {
				next, ok = c.Index(n), true
			} else if c.IsDict() {
				next, ok = c.Get(step)
			}
		case *runtime.Dict:
			next, ok = c.Get(step)
		case runtime.List:
			if n, err := strconv.Atoi(step); err == nil && n >= 0 && n < len(c) {
				next, ok = c[n], true
			}
		case runtime.Object:
			next, ok = c.Field(step)
		}
		if !ok {
			return nil, declare.Hint(nearest(path, values), "text.template: no value for {%s}", clip(path))
		}
		v = next
	}
	return v, nil
}

func nearest(name string, values *runtime.Dict) string {
	names := make([]string, 0, values.Len())
	for i := range values.Len() {
		names = append(names, values.Fields[i].Key)
	}
	if n := runtime.Nearest(name, names); n != "" {
		return "did you mean {" + n + "}?"
	}
	return ""
}

// show writes a value as people expect it.
func show(v runtime.Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	if declare.Size(v, declare.MaxText) > declare.MaxText {
		return fmt.Sprintf("<%s>", runtime.TypeName(v))
	}
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		return fmt.Sprintf("<%s>", runtime.TypeName(v))
	}
	return string(b)
}
