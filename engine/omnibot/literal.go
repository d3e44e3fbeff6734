package omnibot

import (
	"strconv"
	"strings"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/runtime"
)

// literal writes a value in Starlark.
func literal(v runtime.Value) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return boolean(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(s, ".eE") {
			s += ".0"
		}
		return s
	case string:
		return quote(v)
	case config.SecretRef:
		return "secret(" + quote(string(v)) + ")"
	case runtime.List:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = literal(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *runtime.Dict:
		parts := make([]string, 0, v.Len())
		for _, f := range v.Fields {
			parts = append(parts, quote(f.Key)+": "+literal(f.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "None"
}

func boolean(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// quote writes a text in Starlark: on one line, whatever it holds.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 || r == 0x85:
			b.WriteString(`\u` + strconv.FormatInt(0x10000+int64(r), 16)[1:])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func list(texts []string) string {
	parts := make([]string, len(texts))
	for i, t := range texts {
		parts[i] = quote(t)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func texts(list []string) runtime.List {
	out := make(runtime.List, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
