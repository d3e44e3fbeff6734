package omnibot

import (
	"slices"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/literal"
	"github.com/starling-rules/starling/runtime"
)

// starLiteral writes a value in Starlark.
func starLiteral(v runtime.Value) string {
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
		return literal.Starlark(v)
	case config.SecretRef:
		return "secret(" + literal.Starlark(string(v)) + ")"
	case runtime.List:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = starLiteral(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *runtime.Dict:
		parts := make([]string, 0, v.Len())
		for _, f := range v.Fields {
			parts = append(parts, literal.Starlark(f.Key)+": "+starLiteral(f.Value))
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
		return literal.Lua(v)
	case config.SecretRef:
		return "secret(" + literal.Lua(string(v)) + ")"
	case runtime.List:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = luaLiteral(e)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case *runtime.Dict:
		parts := make([]string, 0, v.Len())
		for _, f := range v.Fields {
			parts = append(parts, "["+literal.Lua(f.Key)+"] = "+luaLiteral(f.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return starLiteral(v) // numbers
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
