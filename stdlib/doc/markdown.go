package doc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Markdown writes the reference of what a name stands for, the whole one if it
// is empty: a part for each module, a heading for each built-in.
func (r *Reader) Markdown(w io.Writer, name string) error {
	list, err := r.choose(name)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if len(list) == 0 {
		text, _ := Topic(name)
		out.WriteString(text)
		return flush(out)
	}
	title := "Built-ins"
	if name != "" {
		title = name
	}
	fmt.Fprintf(out, "# %s\n", title)
	for _, m := range modules(list) {
		of := r.of(list, m)
		switch {
		case len(of) == 0 || name != "":
		case m == "":
			fmt.Fprint(out, "\n## Everywhere\n")
		default:
			fmt.Fprintf(out, "\n## %s\n", m)
		}
		for _, b := range of {
			r.markdownOne(out, b)
		}
	}
	if name == "" {
		for _, topic := range Topics() {
			text, _ := Topic(topic)
			// Its headings move below those of the reference.
			fmt.Fprintf(out, "\n#%s", strings.ReplaceAll(text, "\n#", "\n##"))
		}
	}
	return flush(out)
}

// of are those of a list that belong to a module.
func (r *Reader) of(list []*runtime.Builtin, m string) (out []*runtime.Builtin) {
	for _, b := range list {
		if module(b.Name) == m {
			out = append(out, b)
		}
	}
	return out
}

func (r *Reader) markdownOne(w io.Writer, b *runtime.Builtin) {
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

// JSON writes the Entries that a name stands for, all if it is empty, as an
// indented array; a topic as an object with its name and text.
func (r *Reader) JSON(w io.Writer, name string) error {
	list, err := r.choose(name)
	if err != nil {
		return err
	}
	var v any = entries(list)
	if len(list) == 0 {
		text, _ := Topic(name)
		v = struct {
			Topic string `json:"topic"`
			Text  string `json:"text"`
		}{name, text}
	}
	return writeJSON(w, v)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write reference: %w", err)
	}
	return nil
}
