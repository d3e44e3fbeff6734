package doc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
)

// ErrUnknown is wrapped by the errors for a name that is no built-in, module or topic.
var ErrUnknown = errors.New("no such built-in or topic")

// width is how long the lines of Text are.
const width = 88

// Text writes about one built-in, or lists those of a module, or all if name
// is empty, or tells a topic, for a terminal. An unknown name is an error that
// wraps ErrUnknown and names the nearest known one.
func (r *Reader) Text(w io.Writer, name string) error {
	out := bufio.NewWriter(w)
	listed, err := r.choose(name)
	if err != nil {
		return err
	}
	topic, _ := Topic(name)
	switch {
	case len(listed) == 0:
		out.WriteString(topic)
	case len(listed) == 1 && listed[0].Name == name:
		r.writeOne(out, listed[0])
	default:
		r.writeList(out, listed, name == "")
	}
	if name == "" {
		r.writeTopics(out)
	}
	return flush(out)
}

func flush(out *bufio.Writer) error {
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write reference: %w", err)
	}
	return nil
}

// choose returns the built-ins that a name stands for: itself, or those of a
// module; none for a topic.
func (r *Reader) choose(name string) ([]*runtime.Builtin, error) {
	if name == "" {
		return r.Library.All(), nil
	}
	if one := r.Library.Lookup(name); one != nil {
		return []*runtime.Builtin{one}, nil
	}
	var listed []*runtime.Builtin
	for _, b := range r.Library.All() {
		if strings.HasPrefix(b.Name, name+".") {
			listed = append(listed, b)
		}
	}
	if _, ok := Topic(name); !ok && len(listed) == 0 {
		return nil, r.unknown(name)
	}
	return listed, nil
}

// Names returns every name that Text takes: built-ins, modules, topics, sorted.
func (r *Reader) Names() []string {
	names := Topics()
	for _, b := range r.Library.All() {
		names = append(names, b.Name)
		if m := module(b.Name); m != "" {
			names = append(names, m)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *Reader) unknown(name string) error {
	if n := runtime.Nearest(name, r.Names()); n != "" {
		return fmt.Errorf("%w: %s; did you mean %s?", ErrUnknown, name, n)
	}
	// The right name in the wrong module is the next best guess.
	_, last, dotted := strings.Cut(name, ".")
	if !dotted {
		last = name
	}
	for _, b := range r.Library.All() {
		if strings.HasSuffix(b.Name, "."+last) {
			return fmt.Errorf("%w: %s; did you mean %s?", ErrUnknown, name, b.Name)
		}
	}
	return fmt.Errorf("%w: %s; starling docs --search %s looks for the word", ErrUnknown, name, name)
}

// writeList writes a line for each built-in; with headings, those without a
// module come first and each module has its own part.
func (r *Reader) writeList(w io.Writer, list []*runtime.Builtin, headings bool) {
	longest := 0
	for _, b := range list {
		longest = max(longest, len(b.Name))
	}
	part := func(of string) {
		for _, b := range list {
			if !headings || module(b.Name) == of {
				fmt.Fprintf(w, "  %-*s  %s\n", longest, b.Name, unmark(b.Doc))
			}
		}
	}
	if !headings {
		part("")
		return
	}
	for i, m := range modules(list) {
		if i > 0 {
			fmt.Fprintln(w)
		}
		of := m
		if m == "" {
			m = "everywhere"
		}
		fmt.Fprintln(w, r.head(m))
		part(of)
	}
}

func (r *Reader) writeTopics(w io.Writer) {
	fmt.Fprintln(w, "\n"+r.head("topics"))
	for _, name := range Topics() {
		text, _ := Topic(name)
		title, _, _ := strings.Cut(strings.TrimPrefix(text, "# "), "\n")
		fmt.Fprintf(w, "  %-19s  %s\n", name, title)
	}
}

// head paints a heading.
func (r *Reader) head(text string) string {
	if r.Bold == nil {
		return text
	}
	return r.Bold(text)
}

// modules lists the modules in the order of the names, "" first.
func modules(list []*runtime.Builtin) []string {
	out, seen := []string{""}, map[string]bool{"": true}
	for _, b := range list {
		if m := module(b.Name); !seen[m] {
			seen[m] = true
			out = append(out, m)
		}
	}
	return out
}

func (r *Reader) writeOne(w io.Writer, b *runtime.Builtin) {
	r.writeSignature(w, b)
	fmt.Fprintf(w, "\n%s\n", wrapped(unmark(b.Doc), ""))
	if b.Long != "" {
		fmt.Fprintf(w, "\n%s\n", wrapped(unmark(b.Long), ""))
	}
	if len(b.Params) > 0 {
		fmt.Fprintln(w, "\n"+r.head("parameters"))
	}
	for _, p := range b.Params {
		note := p.Type.String()
		switch {
		case p.Variadic:
			note += ", any number"
		case p.Rest:
			note += ", by any other name"
		case !p.Optional:
			note += ", required"
		case p.Default != nil:
			note += ", default " + r.literal(p.Default)
		}
		fmt.Fprintf(w, "  %s (%s)\n%s\n", p.Name, note, wrapped(unmark(p.Doc), "      "))
		if len(p.Values) > 0 {
			fmt.Fprintf(w, "%s\n", wrapped("One of "+strings.Join(p.Values, ", ")+".", "      "))
		}
	}
	fmt.Fprintf(w, "\nresult      %s\n", unmark(b.Result))
	fmt.Fprintf(w, "kind        %s, since %s\n", b.Purity, b.Since)
	if b.Repeat != "" {
		fmt.Fprintf(w, "crash       %s\n", wrapped(unmark(b.Repeat), "            ")[len("            "):])
	}
	if len(b.Examples) > 0 {
		fmt.Fprintln(w, "\n"+r.head("examples"))
	}
	for _, e := range b.Examples {
		fmt.Fprintln(w, "  "+strings.ReplaceAll(r.example(e), "\n", "\n  "))
		switch {
		case e.Fails:
			fmt.Fprintln(w, "      fails: "+e.Want)
		case e.Want != "":
			fmt.Fprintln(w, "      → "+e.Want)
		}
	}
}

// writeSignature breaks a long signature after commas.
func (r *Reader) writeSignature(w io.Writer, b *runtime.Builtin) {
	s, params := Signature(b), parameters(b)
	if r.Lua {
		s, params = LuaSignature(b), luaParameters(b)
	}
	if utf8.RuneCountInString(s) <= width || b.Purity == runtime.Constant {
		fmt.Fprintln(w, r.head(s))
		return
	}
	fmt.Fprintln(w, r.head(b.Name)+"(")
	fmt.Fprintln(w, wrapped(strings.Join(params, ", "), "    "))
	fmt.Fprintln(w, ")")
}

// example is the text of an example in the reader's language.
func (r *Reader) example(e runtime.Example) string {
	if r.Lua && e.Lua != "" {
		return e.Lua
	}
	return e.Star
}

// unmark takes the backquotes of Markdown away.
func unmark(s string) string { return strings.ReplaceAll(s, "`", "") }

// wrapped breaks text at spaces, each line beginning with indent.
func wrapped(text, indent string) string { return wrappedTo(text, indent, width) }

// wrappedTo is wrapped for lines of at most so many characters. Empty lines
// part paragraphs.
func wrappedTo(text, indent string, most int) string {
	var b strings.Builder
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			b.WriteString("\n\n")
		}
		wrapParagraph(&b, paragraph, indent, most)
	}
	return b.String()
}

func wrapParagraph(b *strings.Builder, text, indent string, most int) {
	line := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			b.WriteString(indent)
			line = len(indent)
		case line+1+n > most:
			b.WriteString("\n" + indent)
			line = len(indent)
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += n
	}
}
