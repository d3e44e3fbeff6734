// Package log declares the module log: lines in the server's log, which carry
// the run and the rule. They are no effects: a line is given once, and counts
// against the output limit.
package log

import (
	"log/slog"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return []*runtime.Builtin{
		level("debug", "Log a line that is shown only when somebody looks for trouble.", slog.LevelDebug),
		level("info", "Log a line.", slog.LevelInfo),
		level("warn", "Log a line about something that should not be so.", slog.LevelWarn),
		level("error", "Log a line about a failure.", slog.LevelError),
	}
}

func level(name, doc string, l slog.Level) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "log." + name, Doc: doc,
		Params: []runtime.Param{
			declare.Arg("msg", runtime.TAny, "The text; other values are written as JSON."),
			declare.Rest("attrs", "Further facts, by name."),
		},
		Result: "None", Purity: runtime.Ambient, Since: declare.Since,
		Examples: []runtime.Example{{
			Star: `log.` + name + `("voted", user="U1", count=3)`, Lua: `log.` + name + `("voted", {user = "U1", count = 3})`, Want: `null`,
		}},
		Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
			line := runtime.LogLine{Level: l, Text: text(a)}
			if attrs := declare.Dict(a, "attrs"); attrs.Len() > 0 {
				line.Attrs = visible(attrs).(*runtime.Dict)
			}
			if x.Pos != nil {
				line.Pos = x.Pos()
			}
			if err := declare.ChargeText(x, len(line.Text)); err != nil {
				return nil, err
			}
			if x.Log == nil {
				return nil, nil
			}
			return nil, x.Log(line)
		},
	}
}

func text(a *runtime.Args) string {
	v, _ := a.Get("msg")
	if s, ok := v.(string); ok {
		return s
	}
	b, err := runtime.AppendJSON(nil, visible(v))
	if err != nil {
		return "<" + runtime.TypeName(v) + ">"
	}
	return string(b)
}

// visible replaces what cannot be shown, secrets above all.
func visible(v runtime.Value) runtime.Value {
	switch v := declare.Plain(v).(type) {
	case nil, bool, int64, float64, string:
		return v
	case []byte:
		return string(v)
	case runtime.List:
		out := make(runtime.List, len(v))
		for i := range v {
			out[i] = visible(v[i])
		}
		return out
	case *runtime.Dict:
		out := &runtime.Dict{Fields: make([]runtime.Field, v.Len())}
		for i := range out.Fields {
			out.Fields[i] = runtime.Field{Key: v.Fields[i].Key, Value: visible(v.Fields[i].Value)}
		}
		return out
	case runtime.Secret:
		return v.String()
	default:
		return "<" + runtime.TypeName(v) + ">"
	}
}
