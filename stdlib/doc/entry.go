// Package doc renders a library for readers: for a person at a terminal, as
// Markdown, as JSON for programs, and for editors. It reads declarations and
// nothing else, so that the reference cannot differ from what scripts can call.
//
//	Reader        Text, Markdown, JSON of a built-in, a module, a topic or all; Search
//	Topic         essays on what is no built-in
//	EventFields   the fields of the event
//	LuaTypes      annotations for Lua's language server
//	StarTypes     a stub in the syntax of .pyi
//	Card          one built-in as an editor shows it; Signature how it is called
//
// It knows no module of the standard library by name.
package doc

import (
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Reader shows a library to somebody. Safe for concurrent use.
type Reader struct {
	Library *runtime.Library
	// Lua shows signatures and examples as Lua has them.
	Lua bool
	// Bold paints headings at a terminal; nil leaves them plain.
	Bold func(string) string
}

// literal writes a default as the reader's language does.
func (r *Reader) literal(v runtime.Value) string {
	if r.Lua {
		return luaLiteral(v)
	}
	return literal(v)
}

// Entry is one built-in as programs read it.
type Entry struct {
	Name      string    `json:"name"`
	Module    string    `json:"module,omitempty"`
	Signature string    `json:"signature"`
	Lua       string    `json:"lua_signature"`
	Doc       string    `json:"doc"`
	Long      string    `json:"long,omitempty"`
	Kind      string    `json:"kind"`
	Params    []Param   `json:"params"`
	Result    string    `json:"result"`
	Since     string    `json:"since"`
	Repeat    string    `json:"repeat,omitempty"`
	Examples  []Example `json:"examples"`
}

// Param is one parameter of an Entry.
type Param struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Doc      string   `json:"doc"`
	Optional bool     `json:"optional,omitempty"`
	Default  string   `json:"default,omitempty"`
	Keyword  bool     `json:"keyword,omitempty"`
	Variadic bool     `json:"variadic,omitempty"`
	Rest     bool     `json:"rest,omitempty"`
	Values   []string `json:"values,omitempty"`
}

// Example is a use of an Entry, in both languages.
type Example struct {
	Starlark string `json:"starlark"`
	Lua      string `json:"lua"`
	Want     string `json:"want,omitempty"`
	Fails    bool   `json:"fails,omitempty"`
}

func entries(list []*runtime.Builtin) []Entry {
	out := make([]Entry, 0, len(list))
	for _, b := range list {
		out = append(out, entry(b))
	}
	return out
}

func entry(b *runtime.Builtin) Entry {
	e := Entry{
		Name: b.Name, Module: module(b.Name), Signature: Signature(b), Lua: LuaSignature(b), Doc: b.Doc, Long: b.Long, Kind: b.Purity.String(),
		Params: make([]Param, 0, len(b.Params)), Result: b.Result, Since: b.Since, Repeat: b.Repeat,
		Examples: make([]Example, 0, len(b.Examples)),
	}
	for _, p := range b.Params {
		q := Param{
			Name: p.Name, Type: p.Type.String(), Doc: p.Doc, Optional: p.Optional,
			Keyword: p.Named, Variadic: p.Variadic, Rest: p.Rest, Values: p.Values,
		}
		if p.Optional && p.Default != nil {
			q.Default = literal(p.Default)
		}
		e.Params = append(e.Params, q)
	}
	for _, x := range b.Examples {
		lua := x.Lua
		if lua == "" {
			lua = x.Star
		}
		e.Examples = append(e.Examples, Example{x.Star, lua, x.Want, x.Fails})
	}
	return e
}

// module is what stands before the last dot of a name.
func module(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i]
	}
	return ""
}

// Signature is how a built-in is called: post(channel, text=None, *, blocks=None).
// A constant is its name alone.
func Signature(b *runtime.Builtin) string {
	if b.Purity == runtime.Constant {
		return b.Name
	}
	return b.Name + "(" + strings.Join(parameters(b), ", ") + ")"
}

// ordered are the parameters in the order of a signature: what takes all other
// names is last.
func ordered(b *runtime.Builtin) []*runtime.Param {
	var out, last []*runtime.Param
	for i := range b.Params {
		if p := &b.Params[i]; p.Rest {
			last = append(last, p)
		} else {
			out = append(out, p)
		}
	}
	return append(out, last...)
}

// parameters are those of a signature, with the star before keywords.
func parameters(b *runtime.Builtin) []string {
	var out []string
	starred := false
	for _, p := range ordered(b) {
		switch {
		case p.Variadic:
			out, starred = append(out, "*"+p.Name), true
			continue
		case p.Rest:
			out = append(out, "**"+p.Name)
			continue
		case p.Named && !starred:
			out, starred = append(out, "*"), true
		}
		if p.Optional {
			out = append(out, p.Name+"="+literal(p.Default))
		} else {
			out = append(out, p.Name)
		}
	}
	return out
}

// literal writes a default as a script would.
func literal(v runtime.Value) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return strconv.Quote(v)
	}
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		return "…"
	}
	return string(b)
}
