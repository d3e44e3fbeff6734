package doc

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// StarTypes writes the built-ins as a stub in the syntax of .pyi, for editors
// that know Python: modules are classes of which there is one value each.
func (r *Reader) StarTypes(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "# Declarations of Starling's built-ins, for editors. Made by `starling types`:\n# nothing here runs, and changes are lost.\n\n"+
		"from typing import Any, Callable, Literal, NoReturn\n")
	starClasses(out, r.Library.All())
	r.starModule(out, treeOf(r.Library.All()), "")
	return flush(out)
}

func starClasses(w io.Writer, list []*runtime.Builtin) {
	fmt.Fprint(w, "\nclass Event:\n    \"\"\"The event that handlers are called with.\"\"\"\n")
	for _, f := range EventFields() {
		typ := starType(kind(f.Type))
		if f.Of != "" && typ != "Any" {
			typ += " | None"
		}
		text := f.Doc
		if f.Of != "" {
			text += " Of: " + f.Of + "."
		}
		fmt.Fprintf(w, "    %s: %s\n    %s\n", f.Name, typ, docstring(text, "    "))
	}
	fmt.Fprint(w, "\nclass Secret:\n    \"\"\"A secret of the configuration: it prints as ***.\"\"\"\n"+
		"    def __add__(self, other: Any) -> Secret: ...\n    def __radd__(self, other: Any) -> Secret: ...\n")
	fmt.Fprint(w, "\nclass Regexp:\n    \"\"\"A regular expression that re.compile has made.\"\"\"\n")
	for _, c := range resultClasses(list) {
		fmt.Fprintf(w, "\nclass %s:\n", c.name)
		for _, f := range c.fields {
			typ := "Any"
			if k, ok := fieldKinds[f]; ok {
				typ = starType(k)
			}
			if f == "error" {
				typ += " | None"
			}
			fmt.Fprintf(w, "    %s: %s\n", f, typ)
		}
		fmt.Fprint(w, "    def __getattr__(self, name: str) -> Any: ...\n")
	}
}

func (r *Reader) starModule(w io.Writer, t *tree, indent string) {
	for _, b := range t.own {
		switch {
		case b.Purity == runtime.Constant:
			fmt.Fprintf(w, "\n%s%s: %s\n%s%s\n", indent, last(b.Name), starUnion(resultKinds(b), ""), indent, docstring(starDoc(b), indent))
		default:
			r.starFunction(w, b, indent)
		}
	}
	for _, m := range t.below {
		name := last(m.name)
		fmt.Fprintf(w, "\n%sclass _%s:\n", indent, name)
		r.starModule(w, m, indent+"    ")
		if r.Library.Lookup(m.name) != nil {
			continue // the class of what that built-in returns
		}
		fmt.Fprintf(w, "\n%s%s: _%s\n", indent, pyName(name), name)
		if pyName(name) != name {
			fmt.Fprintf(w, "%s# It is %s in Starlark; Python keeps the word for itself.\n", indent, name)
		}
	}
}

// starClass is the class of what a built-in returns, as the whole file knows it.
func starClass(name string) string { return "_" + strings.ReplaceAll(name, ".", "._") }

func (r *Reader) starFunction(w io.Writer, b *runtime.Builtin, indent string) {
	var params []string
	starred := false
	for _, p := range ordered(b) {
		typ := starParamType(b, *p)
		switch {
		case p.Variadic:
			params, starred = append(params, "*"+pyName(p.Name)+": "+typ), true
			continue
		case p.Rest:
			params = append(params, "**"+pyName(p.Name)+": "+typ)
			continue
		case p.Named && !starred:
			params, starred = append(params, "*"), true
		}
		one := pyName(p.Name) + ": " + typ
		if p.Optional {
			if p.Default == nil && typ != "Any" && !strings.HasSuffix(typ, "| None") {
				one += " | None"
			}
			one += " = " + literal(p.Default)
		}
		params = append(params, one)
	}
	fmt.Fprintln(w)
	if strings.Contains(b.Name, ".") {
		fmt.Fprintf(w, "%s@staticmethod\n", indent)
	}
	fmt.Fprintf(w, "%sdef %s(%s) -> %s:\n%s    %s\n", indent, pyName(last(b.Name)), strings.Join(params, ", "), r.starResult(b), indent, docstring(starDoc(b), indent+"    "))
}

// starDoc is all the text about a built-in.
func starDoc(b *runtime.Builtin) string {
	text := unmark(b.Doc)
	if b.Long != "" {
		text += "\n\n" + unmark(b.Long)
	}
	if b.Purity != runtime.Constant {
		var lines []string
		for _, p := range b.Params {
			lines = append(lines, p.Name+": "+unmark(p.Doc))
		}
		if len(lines) > 0 {
			text += "\n\n" + strings.Join(lines, "\n")
		}
		text += "\n\nReturns " + unmark(b.Result) + "."
	}
	return text
}

// docstring writes text in triple quotes, further lines with indent.
func docstring(text, indent string) string {
	text = strings.ReplaceAll(text, `\`, `\\`)
	text = strings.ReplaceAll(text, `"""`, `\"\"\"`)
	if strings.HasSuffix(text, `"`) {
		text += " "
	}
	lines := strings.Split(text, "\n")
	for i := range lines[1:] {
		if lines[i+1] != "" {
			lines[i+1] = indent + lines[i+1]
		}
	}
	if len(lines) > 1 {
		lines = append(lines, indent)
	}
	return `"""` + strings.Join(lines, "\n") + `"""`
}

func (r *Reader) starResult(b *runtime.Builtin) string {
	if name := r.resultModule(b); name != "" {
		return starClass(name)
	}
	if strings.HasPrefix(b.Result, "two ") {
		return "tuple[Any, str | None]"
	}
	return starUnion(resultKinds(b), resultClass(b).name)
}

func starParamType(b *runtime.Builtin, p runtime.Param) string {
	if len(p.Values) > 0 {
		quoted := make([]string, len(p.Values))
		for i, v := range p.Values {
			quoted[i] = fmt.Sprintf("%q", v)
		}
		return "Literal[" + strings.Join(quoted, ", ") + "]"
	}
	return starUnion(kindsOf(b, p), "")
}

// starUnion joins kinds; result is the class of a result. None is last.
func starUnion(kinds []kind, result string) string {
	var out []string
	for _, k := range kinds {
		t := starType(k)
		if k == kResult {
			t = result
		}
		if k != kNone && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	if slices.Contains(kinds, kNone) {
		out = append(out, "None")
	}
	return strings.Join(out, " | ")
}

func starType(k kind) string {
	switch k {
	case kNone:
		return "None"
	case kBool, kInt, kFloat, kBytes:
		return string(k)
	case kString:
		return "str"
	case kList:
		return "list[Any]"
	case kStrings:
		return "list[str]"
	case kDicts:
		return "list[dict[str, Any]]"
	case kDict:
		return "dict[str, Any]"
	case kFunc:
		return "Callable[..., Any]"
	case kHandler:
		return "Callable[[Event], Any]"
	case kSecret:
		return "Secret"
	case kRegexp:
		return "Regexp"
	case kDuration:
		return "str | int | float"
	case kEvent:
		return "Event"
	case kNever:
		return "NoReturn"
	}
	return "Any"
}

var pyKeywords = strings.Fields("False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield")

// pyName keeps a name clear of Python's keywords: such a parameter cannot be
// given by name in Starlark either.
func pyName(name string) string {
	if slices.Contains(pyKeywords, name) {
		return name + "_"
	}
	return name
}
