package lsp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.lsp.dev/protocol"

	"github.com/starling-rules/starling/cmd/starling/internal/lex"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/doc"
)

func (s *server) hover(_ context.Context, p *at) (any, error) {
	d, err := s.open(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	offset := d.offset(p.Position)
	i := slices.IndexFunc(d.tokens, func(t lex.Token) bool { return t.Start <= offset && offset < t.End })
	if i < 0 {
		return nil, nil
	}
	text := s.tell(d, i)
	if text == "" {
		return nil, nil
	}
	span := d.span(d.tokens[i].Start, d.tokens[i].End)
	return protocol.Hover{Contents: *markdown(text), Range: &span}, nil
}

// tell is what is known of the token at i, in Markdown.
func (s *server) tell(d *document, i int) string {
	lib := s.library(d)
	name, first := d.chain(i)
	if name == "" {
		return ""
	}
	r := &doc.Reader{Library: lib, Lua: d.lua()}
	here := d.site(d.tokens[i].End)
	if d.is(d.after(i), "=") && first == i {
		if c := here.call(); c != nil && here.startsArgument() {
			if b := lib.Lookup(c.name); b != nil {
				if p := (&call{keyword: name}).param(b); p != nil && p.Name == name {
					return fmt.Sprintf("`%s` of `%s`, %s\n\n%s", p.Name, b.Name, p.Type, r.ParamDoc(*p))
				}
			}
		}
	}
	if b := lib.Lookup(name); b != nil {
		return r.Card(b)
	}
	if owner, field, ok := strings.Cut(name, "."); ok && d.events()[owner] {
		for _, f := range doc.EventFields() {
			if f.Name == field {
				return fmt.Sprintf("`%s` of the event, %s\n\n%s", f.Name, f.Type, fieldText(f))
			}
		}
		return ""
	}
	if def := d.find(name, d.tokens[i].Start); def != nil {
		return d.tellDefinition(def)
	}
	return moduleText(lib, name)
}

// moduleText lists the built-ins of a module.
func moduleText(lib *runtime.Library, name string) string {
	var b strings.Builder
	for _, x := range lib.All() {
		if strings.HasPrefix(x.Name, name+".") {
			fmt.Fprintf(&b, "- `%s` %s\n", x.Name, x.Doc)
		}
	}
	return b.String()
}

// find is the definition of a name that holds at a place: the last one before
// it, or else the first one after it.
func (d *document) find(name string, offset int) *definition {
	var found *definition
	defs := d.definitions()
	for i := range defs {
		def := &defs[i]
		if def.name != name {
			continue
		}
		if found == nil || d.tokens[def.token].Start <= offset {
			found = def
		}
	}
	return found
}

// tellDefinition shows the line of a definition, and the comment above it or
// the text that documents it.
func (d *document) tellDefinition(def *definition) string {
	lang := "python"
	if d.lua() {
		lang = "lua"
	}
	line := int(d.position(d.tokens[def.token].Start).Line)
	out := "```" + lang + "\n" + strings.TrimSpace(d.text[d.lines[line]:d.lineEnd(line)]) + "\n```\n"
	if text := d.docText(def, line); text != "" {
		out += "\n" + text + "\n"
	}
	return out
}

func (d *document) docText(def *definition, line int) string {
	if def.function && !d.lua() {
		// def name(…): """text"""
		open := def.token + 1
		if d.is(open, "(") {
			i := d.after(d.pair[open])
			for d.is(i, ":") || d.is(i, "->") || d.ident(i) != "" {
				i = d.after(i)
			}
			if i < len(d.tokens) && d.tokens[i].Kind == lex.String && d.is(d.before(i), ":") {
				return strings.TrimSpace(d.tokens[i].Body(d.text))
			}
		}
	}
	var lines []string
	for at := line - 1; at >= 0; at-- {
		text := strings.TrimSpace(d.text[d.lines[at]:d.lineEnd(at)])
		mark := "#"
		if d.lua() {
			mark = "--"
		}
		if !strings.HasPrefix(text, mark) {
			break
		}
		lines = append([]string{strings.TrimSpace(strings.TrimLeft(text, mark))}, lines...)
	}
	return strings.Join(lines, "\n")
}

func (s *server) signatureHelp(_ context.Context, p *at) (any, error) {
	d, err := s.open(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	here := d.site(d.offset(p.Position))
	if here.inComment {
		return nil, nil
	}
	c := here.call()
	if c == nil {
		return nil, nil
	}
	lib := s.library(d)
	b := lib.Lookup(c.name)
	if b == nil {
		return s.ownSignature(d, c), nil
	}
	r := &doc.Reader{Library: lib, Lua: d.lua()}
	sig := protocol.SignatureInformation{Label: r.Signature(b), Documentation: markdown(b.Doc)}
	active := r.Active(b, c.commas, c.keyword, c.table)
	for i, label := range r.Parameters(b) {
		info := protocol.ParameterInformation{Label: label}
		if q := r.Described(b, i, c.keyword); q != nil {
			info.Documentation = markdown(r.ParamDoc(*q))
		}
		sig.Parameters = append(sig.Parameters, info)
	}
	if active < 0 { // none: an index beyond the last one
		active = len(sig.Parameters)
	}
	sig.ActiveParameter = uint32(active)
	return protocol.SignatureHelp{Signatures: []protocol.SignatureInformation{sig}, ActiveParameter: uint32(active)}, nil
}

// ownSignature is that of a function of the file.
func (s *server) ownSignature(d *document, c *call) any {
	def := d.find(c.name, d.tokens[c.open].Start)
	if def == nil || !def.function {
		return nil
	}
	sig := protocol.SignatureInformation{Label: def.name + "(" + strings.Join(def.params, ", ") + ")"}
	active := c.commas
	for i, p := range def.params {
		sig.Parameters = append(sig.Parameters, protocol.ParameterInformation{Label: p})
		if p == c.keyword {
			active = i
		}
	}
	return protocol.SignatureHelp{Signatures: []protocol.SignatureInformation{sig}, ActiveParameter: uint32(active)}
}
