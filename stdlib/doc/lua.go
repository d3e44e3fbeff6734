package doc

import (
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// LuaSignature is how a built-in is called in Lua: post(channel, text?, {blocks, …}).
// Options go into a last table.
func LuaSignature(b *runtime.Builtin) string {
	if b.Purity == runtime.Constant {
		return b.Name
	}
	return b.Name + "(" + strings.Join(luaParameters(b), ", ") + ")"
}

// luaParameters are those of a signature, the table of options as one.
func luaParameters(b *runtime.Builtin) []string {
	var out, options []string
	for _, p := range b.Params {
		switch {
		case p.Variadic:
			out = append(out, "...")
		case p.Rest:
			options = append(options, "…")
		case p.Named:
			options = append(options, p.Name)
		case p.Optional:
			out = append(out, p.Name+"?")
		default:
			out = append(out, p.Name)
		}
	}
	if len(options) > 0 {
		out = append(out, "{"+strings.Join(options, ", ")+"}?")
	}
	return out
}

// luaLiteral writes a default as Lua does.
func luaLiteral(v runtime.Value) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return strconv.Quote(v)
	case runtime.List:
		if len(v) == 0 {
			return "{}"
		}
	case *runtime.Dict:
		if len(v.Fields) == 0 {
			return "{}"
		}
	}
	return literal(v)
}
