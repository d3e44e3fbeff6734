package doc

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// luaOwn are built-ins that Lua's language server knows already.
var luaOwn = []string{"print", "type"}

// LuaTypes writes annotations of all built-ins for Lua's language server
// (LuaLS): it completes and checks calls, options and fields of the event.
func (r *Reader) LuaTypes(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "---@meta starling\n\n-- Declarations of Starling's built-ins, for editors. Made by `starling types`:\n-- nothing here runs, and changes are lost.\n")
	luaClasses(out, r.Library.All())
	r.luaModule(out, treeOf(r.Library.All()))
	return flush(out)
}

func luaClasses(w io.Writer, list []*runtime.Builtin) {
	fmt.Fprint(w, "\n---The event that handlers are called with.\n---@class starling.Event\n")
	for _, f := range EventFields() {
		text := f.Doc
		if f.Of != "" {
			text += " Of: " + f.Of + "."
		}
		typ := luaType(kind(f.Type))
		if f.Of != "" && typ != "any" {
			typ += "?"
		}
		fmt.Fprintf(w, "---@field %s %s %s\n", f.Name, typ, text)
	}
	fmt.Fprint(w, "\n---A secret of the configuration: it prints as ***.\n---@class starling.Secret\n---@operator concat(any): starling.Secret\n")
	fmt.Fprint(w, "\n---A regular expression that `re.compile` has made.\n---@class starling.Regexp\n")
	for _, c := range resultClasses(list) {
		fmt.Fprintf(w, "\n---@class starling.%s\n", c.name)
		for _, f := range c.fields {
			typ := "any"
			if k, ok := fieldKinds[f]; ok {
				typ = luaType(k)
			}
			if f == "error" {
				typ += "?"
			}
			fmt.Fprintf(w, "---@field %s %s\n", f, typ)
		}
		fmt.Fprint(w, "---@field [string] any\n")
	}
}

func (r *Reader) luaModule(w io.Writer, t *tree) {
	if t.name != "" {
		fmt.Fprintf(w, "\n---@class %s\n", luaClass(t.name))
		switch {
		case t.name == "assert": // Lua has a function of that name
			fmt.Fprintf(w, "---@operator call(any): any\n%s = {}\n", t.name)
		case r.Library.Lookup(t.name) != nil: // what the built-in of that name returns
			fmt.Fprintf(w, "local %s = {}\n", luaLocal(t.name))
		default:
			fmt.Fprintf(w, "%s = {}\n", t.name)
		}
	}
	for _, b := range t.own {
		switch {
		case slices.Contains(luaOwn, b.Name):
		case b.Purity == runtime.Constant:
			luaText(w, b)
			fmt.Fprintf(w, "---@type %s\n%s = nil\n", luaUnion(resultKinds(b), ""), b.Name)
		default:
			r.luaFunction(w, b)
		}
	}
	for _, m := range t.below {
		r.luaModule(w, m)
	}
}

// luaClass is the class of a module, or of what the built-in of that name returns.
func luaClass(name string) string { return "starling.module." + name }

// luaLocal stands for a value of such a class.
func luaLocal(name string) string { return strings.ReplaceAll(name, ".", "_") }

// luaText is the documentation as comments.
func luaText(w io.Writer, b *runtime.Builtin) {
	fmt.Fprintf(w, "\n---%s\n", b.Doc)
	if b.Long != "" {
		fmt.Fprintf(w, "---\n---%s\n", strings.ReplaceAll(b.Long, "\n", "\n---"))
	}
	for _, e := range b.Examples {
		if e.Fails {
			continue
		}
		text := e.Lua
		if text == "" {
			text = e.Star
		}
		fmt.Fprintf(w, "---\n---```lua\n---%s\n---```\n", strings.ReplaceAll(text, "\n", "\n---"))
		break
	}
}

func (r *Reader) luaFunction(w io.Writer, b *runtime.Builtin) {
	class := "starling." + b.Name + ".options"
	hasOptions := luaOptions(w, b, class)
	luaText(w, b)
	var names, required []string
	optional := false
	for _, p := range b.Params {
		typ := luaParamType(b, p)
		switch {
		case p.Variadic:
			names = append(names, "...")
			fmt.Fprintf(w, "---@param ... %s %s\n", typ, p.Doc)
		case p.Rest || p.Named:
		case p.Optional:
			optional = true
			names = append(names, luaName(p.Name))
			fmt.Fprintf(w, "---@param %s? %s %s\n", luaName(p.Name), typ, p.Doc)
		default:
			names = append(names, luaName(p.Name))
			required = append(required, luaName(p.Name)+": "+typ)
			fmt.Fprintf(w, "---@param %s %s %s\n", luaName(p.Name), typ, p.Doc)
		}
	}
	result := r.luaResult(b)
	if hasOptions {
		if n := len(names); n > 0 && names[n-1] == "..." {
			// Nothing can be declared after the rest: options are one of them.
			hasOptions = false
		} else {
			names = append(names, "options")
			fmt.Fprintf(w, "---@param options? %s\n", class)
		}
	}
	if hasOptions && optional {
		fmt.Fprintf(w, "---@overload fun(%s): %s\n", strings.Join(append(required, "options: "+class), ", "), result)
	}
	fmt.Fprintf(w, "---@return %s\n", result)
	owner, name := module(b.Name), last(b.Name)
	if r.Library.Lookup(owner) != nil {
		owner = luaLocal(owner)
	}
	switch {
	case slices.Contains(luaKeywords, name):
		fmt.Fprintf(w, "%s[%q] = function(%s) end\n", owner, name, strings.Join(names, ", "))
	case owner == "":
		fmt.Fprintf(w, "function %s(%s) end\n", name, strings.Join(names, ", "))
	default:
		fmt.Fprintf(w, "function %s.%s(%s) end\n", owner, name, strings.Join(names, ", "))
	}
}

// luaOptions declares the class of a built-in's last table, if it takes one.
func luaOptions(w io.Writer, b *runtime.Builtin, class string) bool {
	if !slices.ContainsFunc(b.Params, func(p runtime.Param) bool { return p.Named || p.Rest }) {
		return false
	}
	fmt.Fprintf(w, "\n---@class %s\n", class)
	for _, p := range b.Params {
		switch {
		case p.Rest:
			fmt.Fprintf(w, "---@field [string] any %s\n", p.Doc)
		case p.Optional && !p.Variadic:
			text := p.Doc
			if p.Default != nil {
				text += " Default " + luaLiteral(p.Default) + "."
			}
			fmt.Fprintf(w, "---@field %s? %s %s\n", luaField(p.Name), luaParamType(b, p), text)
		}
	}
	return true
}

func (r *Reader) luaResult(b *runtime.Builtin) string {
	if name := r.resultModule(b); name != "" {
		return luaClass(name)
	}
	if strings.HasPrefix(b.Result, "two ") {
		return "any, string?"
	}
	return luaUnion(resultKinds(b), resultClass(b).name)
}

func luaParamType(b *runtime.Builtin, p runtime.Param) string {
	if len(p.Values) > 0 {
		quoted := make([]string, len(p.Values))
		for i, v := range p.Values {
			quoted[i] = fmt.Sprintf("%q", v)
		}
		return strings.Join(quoted, "|")
	}
	return luaUnion(kindsOf(b, p), "")
}

// luaUnion joins kinds; result is the class of a result.
func luaUnion(kinds []kind, result string) string {
	var out []string
	for _, k := range kinds {
		t := luaType(k)
		if k == kResult {
			t = "starling." + result
		}
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return strings.Join(out, "|")
}

func luaType(k kind) string {
	switch k {
	case kNone, kNever:
		return "nil"
	case kBool:
		return "boolean"
	case kInt:
		return "integer"
	case kFloat:
		return "number"
	case kString, kBytes:
		return "string"
	case kList:
		return "any[]"
	case kStrings:
		return "string[]"
	case kDicts:
		return "table<string, any>[]"
	case kDict:
		return "table<string, any>"
	case kFunc:
		return "function"
	case kHandler:
		return "fun(e: starling.Event): any"
	case kSecret:
		return "starling.Secret"
	case kRegexp:
		return "starling.Regexp"
	case kDuration:
		return "string|number"
	case kEvent:
		return "starling.Event"
	}
	return "any"
}

var luaKeywords = strings.Fields("and break do else elseif end false for function goto if in local nil not or repeat return then true until while")

// luaName is the name of a parameter, kept clear of keywords.
func luaName(name string) string {
	if slices.Contains(luaKeywords, name) {
		return name + "_"
	}
	return name
}

func luaField(name string) string {
	if slices.Contains(luaKeywords, name) {
		return `["` + name + `"]`
	}
	return name
}
