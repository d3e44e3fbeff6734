package doc

import (
	"fmt"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Card tells of one built-in in Markdown, as an editor shows it beside the
// text: how it is called, what it does, its parameters, an example.
func (r *Reader) Card(b *runtime.Builtin) string {
	var out strings.Builder
	lang, sign := "python", Signature(b)
	if r.Lua {
		lang, sign = "lua", LuaSignature(b)
	}
	fmt.Fprintf(&out, "```%s\n%s\n```\n\n%s\n", lang, sign, b.Doc)
	if b.Long != "" {
		fmt.Fprintf(&out, "\n%s\n", b.Long)
	}
	if len(b.Params) > 0 {
		out.WriteString("\n")
	}
	for _, p := range b.Params {
		fmt.Fprintf(&out, "- `%s` %s: %s\n", p.Name, p.Type, r.ParamDoc(p))
	}
	if b.Purity != runtime.Constant {
		fmt.Fprintf(&out, "\nReturns %s.\n", b.Result)
	}
	for _, e := range b.Examples {
		if !e.Fails {
			fmt.Fprintf(&out, "\n```%s\n%s\n```\n", lang, r.example(e))
			break
		}
	}
	return out.String()
}

// ParamDoc tells of a parameter on one line of Markdown: what it is for, its
// values, its default.
func (r *Reader) ParamDoc(p runtime.Param) string {
	text := p.Doc
	if len(p.Values) > 0 {
		text += " One of `" + strings.Join(p.Values, "`, `") + "`."
	}
	if p.Optional && p.Default != nil {
		text += " Default " + code(r.literal(p.Default)) + "."
	}
	return text
}

// Parameters returns the parameters of a signature as its text has them, for
// editors that mark the one being written. In Lua all options are one.
func (r *Reader) Parameters(b *runtime.Builtin) []string {
	if r.Lua {
		return luaParameters(b)
	}
	return parameters(b)
}

// Signature is the signature in the reader's language.
func (r *Reader) Signature(b *runtime.Builtin) string {
	if r.Lua {
		return LuaSignature(b)
	}
	return Signature(b)
}

// Active returns the index, among Parameters, of the argument that is being
// written: after so many commas, or the one of that name, or in Lua's last
// table; -1 if there is none.
func (r *Reader) Active(b *runtime.Builtin, commas int, keyword string, table bool) int {
	labels := r.Parameters(b)
	if r.Lua && table {
		return len(labels) - 1
	}
	for i := range labels {
		p := r.Described(b, i, keyword)
		switch {
		case p == nil:
		case keyword != "" && (p.Name == keyword || p.Rest):
			return i
		case keyword != "" || p.Named && !r.Lua || p.Rest:
		case p.Variadic && commas >= i, commas == i:
			return i
		}
	}
	return -1
}

// Described returns the parameter that label i of Parameters stands for; nil
// for the star. Lua's table of options stands for the one of that name.
func (r *Reader) Described(b *runtime.Builtin, i int, keyword string) *runtime.Param {
	if r.Lua {
		n := 0
		for j := range b.Params {
			p := &b.Params[j]
			if p.Named || p.Rest {
				continue
			}
			if n == i {
				return p
			}
			n++
		}
		for j := range b.Params {
			if p := &b.Params[j]; p.Name == keyword {
				return p
			}
		}
		return nil
	}
	starred := false
	for _, p := range ordered(b) {
		if p.Named && !starred {
			starred = true
			if i == 0 {
				return nil
			}
			i--
		}
		starred = starred || p.Variadic
		if i == 0 {
			return p
		}
		i--
	}
	return nil
}

// ResultFields returns the fields of what a built-in returns, as far as its
// documentation names them.
func ResultFields(b *runtime.Builtin) []string { return resultFields(b) }
