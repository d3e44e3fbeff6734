package lsp

import (
	"strings"

	"github.com/starling-rules/starling/cmd/starling/internal/lex"
)

// definition is a name that a file gives something.
type definition struct {
	name  string
	token int // of the name
	// function tells that it is one; params are the names of its parameters.
	function bool
	params   []string
	// value is the token after =, for other names.
	value int
	// from and symbol tell where a loaded name comes from.
	from, symbol string
	top          bool // at the top level
}

// definitions finds what a file defines, in the order of the text.
func (d *document) definitions() []definition {
	if d.lua() {
		return d.luaDefinitions()
	}
	var out []definition
	depth := 0
	for i, t := range d.tokens {
		text := ""
		if t.Kind == lex.Ident || t.Kind == lex.Op {
			text = t.Text(d.text)
		}
		switch text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth = max(0, depth-1)
		case "def":
			depth = 0 // no bracket reaches across a definition
			if name := d.ident(i + 1); name != "" {
				out = append(out, definition{name: name, token: i + 1, function: true, params: d.params(i + 2), top: d.column0(i)})
			}
		case "load":
			if d.is(i+1, "(") {
				out = append(out, d.loaded(i+1)...)
			}
		case "=":
			if name := d.ident(i - 1); depth == 0 && name != "" && (i == 1 || d.tokens[i-2].Kind == lex.Newline) {
				out = append(out, definition{name: name, token: i - 1, value: d.after(i), top: d.column0(i - 1)})
			}
		}
	}
	return out
}

func (d *document) column0(i int) bool {
	at := d.tokens[i].Start
	return at == 0 || d.text[at-1] == '\n' || d.text[at-1] == '\r'
}

// params reads the names of parameters from an opening parenthesis on.
func (d *document) params(open int) []string {
	var out []string
	if !d.is(open, "(") {
		return nil
	}
	for i := open + 1; i < d.pair[open]; i++ {
		switch {
		case d.is(i, "("), d.is(i, "["), d.is(i, "{"):
			i = d.pair[i]
		case d.ident(i) != "":
			if p := d.before(i); d.is(p, "(") || d.is(p, ",") || d.is(p, "*") || d.is(p, "**") {
				out = append(out, d.ident(i))
			}
		}
	}
	return out
}

// loaded reads the names of load("file", "a", b = "c").
func (d *document) loaded(open int) []definition {
	file, out := "", []definition(nil)
	for i := open + 1; i < len(d.tokens) && !d.is(i, ")"); i++ {
		t := d.tokens[i]
		if t.Kind != lex.String {
			continue
		}
		body := t.Body(d.text)
		if file == "" {
			file = body
			continue
		}
		name, at := body, i
		if eq := d.before(i); d.is(eq, "=") {
			if own := d.before(eq); d.ident(own) != "" {
				name, at = d.ident(own), own
			}
		}
		out = append(out, definition{name: name, token: at, from: file, symbol: body, top: true})
	}
	return out
}

func (d *document) luaDefinitions() []definition {
	var out []definition
	for i := range d.tokens {
		switch {
		case d.is(i, "function"):
			if d.ident(i+1) == "" {
				continue
			}
			end := i + 1
			for d.is(end+1, ".") && d.ident(end+2) != "" {
				end += 2
			}
			name, _ := d.chain(end)
			out = append(out, definition{name: name, token: end, function: true, params: d.params(end + 1), top: d.luaTop(i)})
		case d.is(i, "="):
			name, first := d.chain(i - 1)
			if name == "" || !d.startsStatement(first) {
				continue
			}
			def := definition{name: name, token: i - 1, value: d.after(i), top: d.luaTop(first)}
			switch {
			case d.is(def.value, "function"):
				def.function, def.params = true, d.params(def.value+1)
			case d.is(def.value, "require"):
				for j := def.value + 1; j <= def.value+2 && j < len(d.tokens); j++ {
					if d.tokens[j].Kind == lex.String {
						def.from = d.tokens[j].Body(d.text)
					}
				}
			}
			out = append(out, def)
		}
	}
	return out
}

// startsStatement tells that a name of Lua is what is assigned to, and no key
// of a table.
func (d *document) startsStatement(i int) bool {
	if d.is(i-1, "local") {
		return true
	}
	p := d.before(i)
	return !d.is(p, "{") && !d.is(p, ",") && !d.is(p, ";") && !d.is(p, "(")
}

// luaTop tells that a token is at the top level: what begins there begins its line.
func (d *document) luaTop(i int) bool {
	if d.is(i-1, "local") {
		i--
	}
	return d.column0(i)
}

// events are the names of the file that stand for an event: the first
// parameters of functions that on.… registers, and e by custom.
func (d *document) events() map[string]bool {
	out := map[string]bool{"e": true}
	first := map[string]string{}
	for _, def := range d.definitions() {
		if def.function && len(def.params) > 0 {
			first[def.name] = def.params[0]
		}
	}
	for i := range d.tokens {
		if !d.is(i, "(") {
			continue
		}
		c := d.callAt(i)
		if c == nil || !strings.HasPrefix(c.name, "on.") {
			continue
		}
		for _, arg := range d.arguments(i) {
			switch {
			case d.is(arg, "lambda"):
				if name := d.ident(arg + 1); name != "" {
					out[name] = true
				}
			case d.is(arg, "function"):
				if params := d.params(arg + 1); len(params) > 0 {
					out[params[0]] = true
				}
			case d.ident(arg) != "":
				if name, ok := first[d.ident(arg)]; ok {
					out[name] = true
				}
			}
		}
	}
	return out
}

// arguments are the first tokens of the arguments of a call, by its opening
// parenthesis.
func (d *document) arguments(open int) []int {
	var out []int
	for i := open; i < d.pair[open]; i++ {
		switch {
		case i > open && (d.is(i, "(") || d.is(i, "[") || d.is(i, "{")):
			i = d.pair[i]
		case i == open, d.is(i, ","):
			if next := d.after(i); next < d.pair[open] {
				out = append(out, next)
			}
		}
	}
	return out
}
