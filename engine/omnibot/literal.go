package omnibot

import (
	"slices"
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

func texts(list []string) runtime.List {
	out := make(runtime.List, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// luaLiteral writes a value in Lua. A null in a dict is not there.
func luaLiteral(v runtime.Value) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return luaQuote(v)
	case config.SecretRef:
		return "secret(" + luaQuote(string(v)) + ")"
	case runtime.List:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = luaLiteral(e)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case *runtime.Dict:
		parts := make([]string, 0, v.Len())
		for _, f := range v.Fields {
			parts = append(parts, "["+luaQuote(f.Key)+"] = "+luaLiteral(f.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return literal(v) // numbers
}

// luaQuote writes a text in Lua: on one line, byte by byte where it must be.
func luaQuote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			b.WriteString(`\` + strconv.Itoa(1000 + int(c))[1:])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// nullInList reports whether a list somewhere in a value holds null.
func nullInList(v runtime.Value) bool {
	switch v := v.(type) {
	case runtime.List:
		return slices.ContainsFunc(v, func(e runtime.Value) bool { return e == nil || nullInList(e) })
	case *runtime.Dict:
		return slices.ContainsFunc(v.Fields, func(f runtime.Field) bool { return nullInList(f.Value) })
	}
	return false
}
