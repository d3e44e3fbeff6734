// Package lang declares the built-ins that each language's adapter makes for
// itself, because they need the interpreter: struct, catch, fail, print, type.
// What is here is their contract; the adapters hold the code.
package lang

import (
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return []*runtime.Builtin{
		native("struct", "Make a value with fields.", "Fields are read as `s.name` and cannot be changed.", "struct",
			[]runtime.Param{declare.Rest("fields", "The fields.")},
			runtime.Example{Star: `struct(a=1).a`, Lua: `struct({a = 1}).a`, Want: `1`}),
		native("catch", "Call a function and return its error instead of failing.",
			"In Starlark `value, err = catch(…)`. An exceeded limit and a wait for an effect are not caught.", "two values: what the function returned and None, or None and the text of its error",
			[]runtime.Param{
				declare.Arg("fn", runtime.TFunc, "The function."),
				declare.More("args", runtime.TAny, "Its arguments."),
				declare.Rest("kwargs", "Its keyword arguments."),
			},
			runtime.Example{Star: `catch(lambda: json.decode("["))[0]`, Lua: `(catch(function() return json.decode("[") end))`, Want: `null`},
			runtime.Example{Star: `catch(lambda x: x + 1, 2)[0]`, Lua: `(catch(function(x) return x + 1 end, 2))`, Want: `3`}),
		native("fail", "End the run with an error.", "", "never returns",
			[]runtime.Param{declare.More("args", runtime.TAny, "The message: values, written with a space between them.")},
			runtime.Example{Star: `fail("no such app")`, Fails: true, Want: "no such app"}),
		native("print", "Log a line at level info.", "", "None",
			[]runtime.Param{declare.More("args", runtime.TAny, "Values, written with a space between them.")},
			runtime.Example{Star: `print("hello", 1)`}),
		native("type", "Name the type of a value.", "", "string",
			[]runtime.Param{declare.Arg("x", runtime.TAny, "The value.")},
			runtime.Example{Star: `type("a")`, Want: `"string"`}),
	}
}

func native(name, doc, long, result string, params []runtime.Param, ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: name, Doc: doc, Long: long, Params: params, Result: result,
		Purity: runtime.Native, Since: declare.Since, Examples: ex,
	}
}
