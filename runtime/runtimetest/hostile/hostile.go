// Package hostile is a corpus of scripts that try to take time, memory or
// stack, to poison what others use, to outlive a limit, or to learn what is
// not theirs. Tests run it against each language, against the worker processes
// and against a whole server.
//
//	Script   one file of rules
//	Star     those in Starlark
//	Lua      those in Lua
//
// The scripts use on.message, catch, kv, json, re and secret, which the library
// of package runtimetest and the real one both have.
package hostile

import (
	"slices"
	"strings"
)

// Script is a file of rules that wants too much.
type Script struct {
	// Name is unique in its language.
	Name string
	// Language is "starlark" or "lua".
	Language string
	// Source is the whole file. It has one rule, for any message, unless Load is set.
	Source string
	// Load tells that the script is hostile while it is loaded. Some of these
	// load nevertheless, within bounds, and may have a rule.
	Load bool
	// Ends tells how the pass (or load) ends with the library of runtimetest,
	// guards on: the name of a limit, "ok" if it succeeds, or a part of the
	// error; alternatives are parted by "|". Empty: any end within the bounds.
	Ends string
}

// Text is the text of a message that every rule of the corpus answers to.
const Text = "hi"

// Input is an event of that text as the library of runtimetest reads it.
const Input = `{"kind": "message", "text": "hi", "user": "U1", "channel": "C1", "tags": ["a", "b"], "blocks": [{"a": 1}]}`

// File is a name for the script's file: lower case, with the language's ending.
func (s Script) File() string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(s.Name))
	if s.Language == "lua" {
		return name + ".lua"
	}
	return name + ".star"
}

// EndsLike tells whether an ending is one of those that are wanted. Where the
// machine is slow the deadline may come before another limit.
func (s Script) EndsLike(limit, msg string) bool {
	if s.Ends == "" {
		return true
	}
	for w := range strings.SplitSeq(s.Ends, "|") {
		switch {
		case w == "ok" && limit == "" && msg == "", w != "ok" && strings.Contains(limit+" "+msg, w):
			return true
		case limit == "deadline" && (w == "steps" || w == "memory" || w == "ok"):
			return true
		}
	}
	return false
}

// row is a line of a table: name, ending, and the body of a handler, or a whole
// file behind "#load".
type row struct{ name, ends, src string }

// Star returns the scripts in Starlark.
func Star() []Script {
	out := make([]Script, len(starRows))
	for i, r := range starRows {
		src := grown.Replace(r.src)
		body, load := strings.CutPrefix(src, "#load\n")
		if !load {
			body = "def handle(e):\n    " + strings.ReplaceAll(src, "\n", "\n    ") + "\n\non.message(\".\", handle)\n"
		}
		out[i] = Script{Name: r.name, Language: "starlark", Source: body, Load: load, Ends: r.ends}
	}
	return out
}

// Lua returns the scripts in Lua.
func Lua() []Script {
	rows := slices.Concat(luaRows, luaFiles, luaFound)
	out := make([]Script, 0, len(rows))
	for _, r := range rows {
		body, load := strings.CutPrefix(r.src, "#load\n")
		if !load {
			body = "local function handle(e)\n" + r.src + "\nend\non.message(\".\", handle)\n"
		}
		out = append(out, Script{Name: r.name, Language: "lua", Source: body, Load: load, Ends: r.ends})
	}
	return out
}
