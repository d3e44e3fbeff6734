package doc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Markdown writes the whole reference: a part for each module, a heading for
// each built-in.
func Markdown(w io.Writer, lib *runtime.Library) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "# Built-ins\n")
	for _, m := range modules(lib.All()) {
		if m == "" {
			fmt.Fprint(out, "\n## Everywhere\n")
		} else {
			fmt.Fprintf(out, "\n## %s\n", m)
		}
		for _, b := range lib.All() {
			if module(b.Name) == m {
				markdownOne(out, b)
			}
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write reference: %w", err)
	}
	return nil
}

func markdownOne(w io.Writer, b *runtime.Builtin) {
	fmt.Fprintf(w, "\n### %s\n\n```python\n%s\n```\n\n%s\n", b.Name, Signature(b), b.Doc)
	if b.Long != "" {
		fmt.Fprintf(w, "\n%s\n", b.Long)
	}
	if len(b.Params) > 0 {
		fmt.Fprint(w, "\n| parameter | type | default | |\n| --- | --- | --- | --- |\n")
	}
	for _, p := range b.Params {
		name, def := p.Name, ""
		switch {
		case p.Variadic:
			name = "*" + name
		case p.Rest:
			name = "**" + name
		case !p.Optional:
			def = "required"
		default:
			def = code(literal(p.Default))
		}
		text := p.Doc
		if len(p.Values) > 0 {
			text += " One of `" + strings.Join(p.Values, "`, `") + "`."
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", code(name), p.Type, def, cell(text))
	}
	fmt.Fprintf(w, "\nReturns %s. Kind: %s. Since %s.", b.Result, b.Purity, b.Since)
	if b.Repeat != "" {
		fmt.Fprint(w, " "+b.Repeat)
	}
	fmt.Fprint(w, "\n")
	for _, e := range b.Examples {
		lua := e.Lua
		if lua == "" {
			lua = e.Star
		}
		fmt.Fprintf(w, "\n```python\n%s\n```\n", e.Star)
		if lua != e.Star {
			fmt.Fprintf(w, "\n```lua\n%s\n```\n", lua)
		}
		switch {
		case e.Fails:
			fmt.Fprintf(w, "\nfails: %s\n", code(e.Want))
		case e.Want != "":
			fmt.Fprintf(w, "\n→ %s\n", code(e.Want))
		}
	}
}

// code is a code span, also of text with backquotes in it.
func code(s string) string {
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}

// cell escapes what would end a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// JSON writes the whole reference as an array of Entries, indented.
func JSON(w io.Writer, lib *runtime.Library) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(Entries(lib)); err != nil {
		return fmt.Errorf("write reference: %w", err)
	}
	return nil
}
