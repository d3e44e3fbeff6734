package explain

import (
	"fmt"
	"strings"

	"github.com/starling-rules/starling/engine/literal"
)

// star writes the rule in Starlark.
func (p *plan) star() Skeleton {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\ndef %s(e):\n    log.info(\"%s\", %s = e.%s)\n", p.comment, p.name, p.on, p.log, p.log)
	switch p.reply {
	case text:
		b.WriteString("    return \"It works.\"\n")
	case respond:
		b.WriteString("    respond(\"You chose %s.\" % e.value)\n")
	case thread:
		b.WriteString("    reply(\"Thank you.\")\n")
	case closes:
		b.WriteString("    return None\n")
	case choices:
		b.WriteString("    return [ui.option(\"One\"), ui.option(\"Two\")]\n")
	case home:
		b.WriteString("    publish_home(ui.home([ui.header(\"Welcome\")]))\n")
	}
	fmt.Fprintf(&b, "\non.%s(%s%s", p.on, p.patternText(literal.Starlark), p.name)
	for _, o := range p.options {
		value := "True"
		if s, ok := o.value.(string); ok {
			value = literal.Starlark(s)
		}
		fmt.Fprintf(&b, ", %s = %s", o.name, value)
	}
	b.WriteString(")\n")
	return Skeleton{File: p.script + ".star", Text: b.String()}
}

// lua writes it in Lua.
func (p *plan) lua() Skeleton {
	var b strings.Builder
	fmt.Fprintf(&b, "-- %s\nlocal function %s(e)\n  log.info(\"%s\", {%s = e.%s})\n", strings.Replace(p.comment, "None", "nil", 1), p.name, p.on, p.log, p.log)
	switch p.reply {
	case text:
		b.WriteString("  return \"It works.\"\n")
	case respond:
		b.WriteString("  respond(\"You chose \" .. tostring(e.value) .. \".\")\n")
	case thread:
		b.WriteString("  reply(\"Thank you.\")\n")
	case closes:
		b.WriteString("  return nil\n")
	case choices:
		b.WriteString("  return {ui.option(\"One\"), ui.option(\"Two\")}\n")
	case home:
		b.WriteString("  publish_home(ui.home({ui.header(\"Welcome\")}))\n")
	}
	fmt.Fprintf(&b, "end\n\non.%s(%s%s", p.on, p.patternText(literal.Lua), p.name)
	if len(p.options) > 0 {
		parts := make([]string, len(p.options))
		for i, o := range p.options {
			value := "true"
			if s, ok := o.value.(string); ok {
				value = literal.Lua(s)
			}
			parts[i] = o.name + " = " + value
		}
		b.WriteString(", {" + strings.Join(parts, ", ") + "}")
	}
	b.WriteString(")\n")
	return Skeleton{File: p.script + ".lua", Text: b.String()}
}

// patternText is the first argument, quoted, with the comma behind it.
func (p *plan) patternText(quote func(string) string) string {
	switch {
	case p.pattern == "":
		return ""
	case p.regex:
		return "re.compile(" + quote(p.pattern) + "), "
	}
	return quote(p.pattern) + ", "
}
