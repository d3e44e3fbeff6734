package doc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
)

// ErrUnknown is wrapped by the error of Text for a name that the library lacks.
var ErrUnknown = errors.New("no such built-in")

// width is how long the lines of Text are.
const width = 88

// Text writes about one built-in, or lists those of a module, or all if name
// is empty, for a terminal. An unknown name is an error that wraps ErrUnknown
// and names the nearest known one.
func Text(w io.Writer, lib *runtime.Library, name string) error {
	out := bufio.NewWriter(w)
	var listed []*runtime.Builtin
	one := lib.Lookup(name)
	for _, b := range lib.All() {
		if name == "" || strings.HasPrefix(b.Name, name+".") {
			listed = append(listed, b)
		}
	}
	if one == nil && len(listed) == 0 {
		return unknown(lib, name)
	}
	if one != nil {
		writeOne(out, one)
	} else {
		writeList(out, listed, name == "")
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write reference: %w", err)
	}
	return nil
}

func unknown(lib *runtime.Library, name string) error {
	var names []string
	seen := map[string]bool{}
	for _, b := range lib.All() {
		names = append(names, b.Name)
		if m := module(b.Name); m != "" && !seen[m] {
			seen[m] = true
			names = append(names, m)
		}
	}
	if n := runtime.Nearest(name, names); n != "" {
		return fmt.Errorf("%w: %s; did you mean %s?", ErrUnknown, name, n)
	}
	// The right name in the wrong module is the next best guess.
	_, last, dotted := strings.Cut(name, ".")
	if !dotted {
		last = name
	}
	for _, b := range lib.All() {
		if strings.HasSuffix(b.Name, "."+last) {
			return fmt.Errorf("%w: %s; did you mean %s?", ErrUnknown, name, b.Name)
		}
	}
	return fmt.Errorf("%w: %s", ErrUnknown, name)
}

// writeList writes a line for each built-in; with headings, those without a
// module come first and each module has its own part.
func writeList(w io.Writer, list []*runtime.Builtin, headings bool) {
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
		if m == "" {
			fmt.Fprintln(w, "everywhere")
		} else {
			fmt.Fprintln(w, m)
		}
		part(m)
	}
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

func writeOne(w io.Writer, b *runtime.Builtin) {
	writeSignature(w, b)
	fmt.Fprintf(w, "\n%s\n", wrapped(unmark(b.Doc), ""))
	if b.Long != "" {
		fmt.Fprintf(w, "\n%s\n", wrapped(unmark(b.Long), ""))
	}
	if len(b.Params) > 0 {
		fmt.Fprintln(w, "\nparameters")
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
			note += ", default " + literal(p.Default)
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
		fmt.Fprintln(w, "\nexamples")
	}
	for _, e := range b.Examples {
		fmt.Fprintln(w, "  "+strings.ReplaceAll(e.Star, "\n", "\n  "))
		switch {
		case e.Fails:
			fmt.Fprintln(w, "      fails: "+e.Want)
		case e.Want != "":
			fmt.Fprintln(w, "      → "+e.Want)
		}
	}
}

// writeSignature breaks a long signature after commas.
func writeSignature(w io.Writer, b *runtime.Builtin) {
	if s := Signature(b); utf8.RuneCountInString(s) <= width || b.Purity == runtime.Constant {
		fmt.Fprintln(w, s)
		return
	}
	fmt.Fprintln(w, b.Name+"(")
	fmt.Fprintln(w, wrapped(strings.Join(parameters(b), ", "), "    "))
	fmt.Fprintln(w, ")")
}

// unmark takes the backquotes of Markdown away.
func unmark(s string) string { return strings.ReplaceAll(s, "`", "") }

// wrapped breaks text at spaces, each line beginning with indent.
func wrapped(text, indent string) string {
	var b strings.Builder
	line := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			b.WriteString(indent)
			line = len(indent)
		case line+1+n > width:
			b.WriteString("\n" + indent)
			line = len(indent)
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += n
	}
	return b.String()
}
