package lsp

import (
	"context"
	"slices"
	"strings"

	"go.lsp.dev/protocol"

	"github.com/starling-rules/starling/cmd/starling/internal/lex"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/doc"
)

// completer gathers what fits at a site.
type completer struct {
	*site
	s     *server
	lib   *runtime.Library
	items []protocol.CompletionItem
	seen  map[string]bool
}

func (s *server) completion(_ context.Context, p *at) (any, error) {
	d, err := s.open(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	c := &completer{site: d.site(d.offset(p.Position)), s: s, lib: s.library(d), seen: map[string]bool{}}
	if d.tokens != nil {
		c.complete()
	}
	if c.items == nil {
		c.items = []protocol.CompletionItem{}
	}
	return protocol.CompletionList{Items: c.items}, nil
}

func (c *completer) complete() {
	switch {
	case c.inComment:
	case c.inText:
		c.texts()
	default:
		_, owner, dotted := c.prefix()
		if dotted {
			c.members(owner)
			return
		}
		c.options()
		c.names()
	}
}

// add puts in an item, once. Those of an earlier rank are shown first.
func (c *completer) add(rank int, item protocol.CompletionItem) {
	if c.seen[item.Label] {
		return
	}
	c.seen[item.Label] = true
	item.SortText = string(rune('a'+rank)) + item.Label
	c.items = append(c.items, item)
}

func (c *completer) reader() *doc.Reader { return &doc.Reader{Library: c.lib, Lua: c.d.lua()} }

func markdown(text string) *protocol.MarkupContent {
	return &protocol.MarkupContent{Kind: protocol.Markdown, Value: text}
}

// members completes after a dot: built-ins of a module, fields of an event or
// of a result.
func (c *completer) members(owner string) {
	if owner == "" {
		return
	}
	for _, b := range c.lib.All() {
		rest, ok := strings.CutPrefix(b.Name, owner+".")
		if !ok {
			continue
		}
		if module, _, deeper := strings.Cut(rest, "."); deeper {
			c.add(1, protocol.CompletionItem{Label: module, Kind: protocol.CompletionItemKindModule})
			continue
		}
		c.builtin(0, rest, b)
	}
	if len(c.items) > 0 {
		return
	}
	if c.d.events()[owner] {
		for _, f := range doc.EventFields() {
			c.add(0, protocol.CompletionItem{
				Label: f.Name, Kind: protocol.CompletionItemKindField, Detail: f.Type, Documentation: markdown(fieldText(f)),
			})
		}
		return
	}
	fields := c.d.resultFields(owner, c.lib)
	if b := c.lib.Lookup(owner); b != nil { // what was called just here
		fields = doc.ResultFields(b)
	}
	for _, f := range fields {
		c.add(0, protocol.CompletionItem{Label: f, Kind: protocol.CompletionItemKindField})
	}
}

func fieldText(f doc.Field) string {
	if f.Of != "" {
		return f.Doc + "\n\nOf: " + f.Of + "."
	}
	return f.Doc
}

// resultFields are the fields of what a name was given by a built-in.
func (d *document) resultFields(name string, lib *runtime.Library) []string {
	for _, def := range slices.Backward(d.definitions()) {
		if def.name != name || def.function || def.value == 0 {
			continue
		}
		i := def.value
		for d.is(i+1, ".") {
			i += 2
		}
		called, _ := d.chain(i)
		if b := lib.Lookup(called); b != nil && d.is(i+1, "(") {
			return doc.ResultFields(b)
		}
	}
	return nil
}

func (c *completer) builtin(rank int, label string, b *runtime.Builtin) {
	kind := protocol.CompletionItemKindFunction
	if b.Purity == runtime.Constant {
		kind = protocol.CompletionItemKindConstant
	}
	c.add(rank, protocol.CompletionItem{Label: label, Kind: kind, Detail: b.Doc, Documentation: markdown(c.reader().Card(b))})
}

// options completes the names of arguments where an argument begins.
func (c *completer) options() {
	call := c.call()
	if call == nil || call.name == "" || !c.startsArgument() {
		return
	}
	b := c.lib.Lookup(call.name)
	if b == nil || call.inner != call.open && !call.table || c.d.lua() && !call.table {
		return
	}
	for _, p := range b.Params {
		if p.Variadic || p.Rest || c.d.lua() && !p.Optional {
			continue
		}
		rank := 0
		if !p.Named { // it may be given by position as well
			rank = 1
		}
		c.add(rank, protocol.CompletionItem{
			Label: p.Name, Kind: protocol.CompletionItemKindProperty, Detail: p.Type.String(),
			InsertText: p.Name + " = ", Documentation: markdown(c.reader().ParamDoc(p)),
		})
	}
}

// names completes what can be called by its name: what the file defines, the
// built-ins, the words of the language.
func (c *completer) names() {
	defs := c.d.definitions()
	for _, def := range defs {
		c.params(def)
		if strings.Contains(def.name, ".") {
			continue
		}
		kind := protocol.CompletionItemKindVariable
		if def.function {
			kind = protocol.CompletionItemKindFunction
		}
		c.add(2, protocol.CompletionItem{Label: def.name, Kind: kind, Detail: "in this file"})
	}
	for _, b := range c.lib.All() {
		module, _, dotted := strings.Cut(b.Name, ".")
		if dotted {
			c.add(3, protocol.CompletionItem{Label: module, Kind: protocol.CompletionItemKindModule, Detail: "module"})
			continue
		}
		c.builtin(3, b.Name, b)
	}
	words, functions := starWords, starFunctions
	if c.d.lua() {
		words, functions = luaWords, luaFunctions
	}
	for _, w := range functions {
		c.add(4, protocol.CompletionItem{Label: w, Kind: protocol.CompletionItemKindFunction})
	}
	for _, w := range words {
		c.add(5, protocol.CompletionItem{Label: w, Kind: protocol.CompletionItemKindKeyword})
	}
}

// params completes the parameters of the function that the site follows.
func (c *completer) params(def definition) {
	if !def.function || c.d.tokens[def.token].Start > c.offset {
		return
	}
	for _, p := range def.params {
		c.add(2, protocol.CompletionItem{Label: p, Kind: protocol.CompletionItemKindVariable, Detail: "parameter of " + def.name})
	}
}

var (
	starWords     = strings.Fields("and break continue def elif else for if in lambda load not or pass return while True False None")
	starFunctions = strings.Fields("all any bool bytes dict dir enumerate float getattr hasattr hash int len list max min range repr reversed set sorted str tuple zip")
	luaWords      = strings.Fields("and break do else elseif end false for function if in local nil not or repeat return then true until while")
	luaFunctions  = strings.Fields("assert error ipairs next pairs pcall rawequal rawget rawset require select setmetatable getmetatable string table tonumber tostring unpack xpcall coroutine")
)

// texts completes within quotes: names of Slack's methods, the values that a
// parameter allows.
func (c *completer) texts() {
	call := c.call()
	if call == nil {
		return
	}
	t := c.d.tokens[c.token]
	whole := c.d.span(t.Start+t.Open, t.End-t.Close)
	if !c.d.lua() && call.name == "load" || c.d.lua() && call.name == "require" {
		c.files(call, whole)
		return
	}
	b := c.lib.Lookup(call.name)
	if b == nil {
		return
	}
	p := call.param(b)
	if p == nil || call.inner != call.open && !call.table {
		return
	}
	values, kind := p.Values, protocol.CompletionItemKindEnumMember
	if p.Name == "method" && (b.Name == "slack_action" || b.Name == "slack_pages") {
		values, kind = c.s.o.Methods, protocol.CompletionItemKindMethod
	}
	for _, v := range values {
		c.text(v, kind, whole)
	}
}

// text puts in an item that takes the place of a whole text.
func (c *completer) text(v string, kind protocol.CompletionItemKind, whole protocol.Range) {
	c.add(0, protocol.CompletionItem{Label: v, Kind: kind, FilterText: v, TextEdit: &protocol.TextEdit{Range: whole, NewText: v}})
}

// files completes what can be loaded: files, and the names that a file gives.
func (c *completer) files(call *call, whole protocol.Range) {
	if call.commas > 0 {
		first := c.d.after(call.open)
		if c.d.tokens[first].Kind != lex.String {
			return
		}
		if other := c.s.loaded(c.d, c.d.tokens[first].Body(c.d.text)); other != nil {
			for _, def := range other.definitions() {
				if def.top && !strings.HasPrefix(def.name, "_") {
					c.text(def.name, protocol.CompletionItemKindFunction, whole)
				}
			}
		}
		return
	}
	for _, rel := range c.s.modules(c.d) {
		c.text(rel, protocol.CompletionItemKindFile, whole)
	}
}
