package omnibot

import (
	"fmt"
	"strings"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/literal"
	"github.com/starling-rules/starling/runtime"
)

// dialect is how the script is written in one of the languages of callbacks.
type dialect struct {
	// name is the language's, suffix what the script's path has behind the
	// name of the configuration file.
	name, suffix string
	// head loads the functions of omnibot/handlers; prefix stands before each.
	head, prefix string
	literal      func(runtime.Value) string
	// list, define, handler and register write a list of parts, the n-th
	// definition, a handler that makes a call, and a registration.
	list     func(parts []string) string
	define   func(n int, value string) (statement, name string)
	handler  func(call string) string
	register func(on, pattern, fn string, options []option) string
	// load loads the n-th callback, from a file.
	load func(n int, file string, cb config.Callback) (statement, name string)
}

// option is a named argument of a registration, as code.
type option struct{ name, code string }

var starlark = &dialect{
	name:    "starlark",
	head:    `load("@starling//omnibot/handlers.star", "acknowledge", "help", "interact", "legacy", "message", "mine", "modern", "slash", "synchronous")`,
	literal: starLiteral,
	list:    func(parts []string) string { return "[" + strings.Join(parts, ", ") + "]" },
	define: func(n int, value string) (statement, name string) {
		name = fmt.Sprintf("PART_%d", n)
		return name + " = " + value, name
	},
	handler: func(call string) string { return "lambda e: " + call },
	register: func(on, pattern, fn string, options []option) string {
		args := []string{pattern, fn}
		for _, o := range options {
			args = append(args, o.name+" = "+o.code)
		}
		return "on." + on + "(" + strings.Join(args, ", ") + ")"
	},
	load: func(n int, file string, cb config.Callback) (statement, name string) {
		name = fmt.Sprintf("callback_%d", n)
		return fmt.Sprintf("load(%s, %s = %s)", literal.Starlark(file), name, literal.Starlark(cb.Function)), name
	},
}

// lua keeps what it defines in two tables: a function of Lua has 200 locals.
var lua = &dialect{
	name:    "lua",
	suffix:  ".lua",
	head:    `local omnibot, PART, CALLBACK = require("@starling//omnibot/handlers.lua"), {}, {}`,
	prefix:  "omnibot.",
	literal: luaLiteral,
	list:    func(parts []string) string { return "{" + strings.Join(parts, ", ") + "}" },
	define: func(n int, value string) (statement, name string) {
		name = fmt.Sprintf("PART[%d]", n)
		return name + " = " + value, name
	},
	handler: func(call string) string { return "function(e) return " + call + " end" },
	register: func(on, pattern, fn string, options []option) string {
		parts := make([]string, len(options))
		for i, o := range options {
			parts[i] = o.name + " = " + o.code
		}
		return "on." + on + "(" + pattern + ", " + fn + ", {" + strings.Join(parts, ", ") + "})"
	},
	load: func(n int, file string, cb config.Callback) (statement, name string) {
		name = fmt.Sprintf("CALLBACK[%d]", n)
		return fmt.Sprintf("%s = require(%s)[%s]; if type(%s) ~= \"function\" then fail(%s) end",
			name, literal.Lua(file), literal.Lua(cb.Function), name, literal.Lua(file+" has no function "+cb.Function)), name
	},
}
