package lsp

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.lsp.dev/protocol"

	"github.com/starling-rules/starling/cmd/starling/internal/lex"
	"github.com/starling-rules/starling/runtime"
)

func (s *server) definition(_ context.Context, p *at) (any, error) {
	d, err := s.open(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	offset := d.offset(p.Position)
	i := slices.IndexFunc(d.tokens, func(t lex.Token) bool {
		return t.Start <= offset && offset <= t.End && t.Kind != lex.Op && t.Kind != lex.Newline
	})
	if i < 0 {
		return []protocol.Location{}, nil
	}
	if d.tokens[i].Kind == lex.String {
		return s.loadedAt(d, i), nil
	}
	if name, _ := d.chain(i); name != "" {
		return s.locate(d, name, d.tokens[i].Start), nil
	}
	return []protocol.Location{}, nil
}

// locate finds where a name comes from, in this file or in one that it loads.
func (s *server) locate(d *document, name string, offset int) []protocol.Location {
	def := d.find(name, offset)
	if def == nil {
		// lib.fn is fn of what lib was required from.
		owner, field, ok := strings.Cut(name, ".")
		if !ok {
			return []protocol.Location{}
		}
		def = d.find(owner, offset)
		if def == nil || def.from == "" {
			return []protocol.Location{}
		}
		other := s.loaded(d, def.from)
		if other == nil {
			return []protocol.Location{}
		}
		for _, x := range other.definitions() {
			if x.name == field || strings.HasSuffix(x.name, "."+field) {
				return other.locations(x.token)
			}
		}
		return other.locations(-1)
	}
	if def.symbol != "" {
		if other := s.loaded(d, def.from); other != nil {
			if x := other.find(def.symbol, len(other.text)); x != nil {
				return other.locations(x.token)
			}
			return other.locations(-1)
		}
	}
	return d.locations(def.token)
}

// loadedAt is where a text in load or require leads.
func (s *server) loadedAt(d *document, i int) []protocol.Location {
	body := d.tokens[i].Body(d.text)
	for _, def := range d.definitions() {
		if def.from == "" {
			continue
		}
		if def.symbol == body && (def.token == i || d.is(d.before(i), "=")) {
			return s.locate(d, def.name, d.tokens[i].Start)
		}
		if def.from == body {
			if other := s.loaded(d, body); other != nil {
				return other.locations(-1)
			}
		}
	}
	return []protocol.Location{}
}

// locations is the place of a token; of the file's beginning if it is negative.
func (d *document) locations(token int) []protocol.Location {
	span := protocol.Range{}
	if token >= 0 {
		span = d.span(d.tokens[token].Start, d.tokens[token].End)
	}
	return []protocol.Location{{URI: protocol.DocumentURI(d.uri), Range: span}}
}

// maxFile bounds the files that are read for a definition.
const maxFile = 1 << 20

// loaded is the file that load or require names, as it is in the editor or
// on disk; nil if there is none. Paths are below a rules directory, or, for a
// file outside of those, below the file's own or one above it.
func (s *server) loaded(d *document, name string) *document {
	rel := name
	if d.lua() {
		rel = strings.ReplaceAll(strings.TrimSuffix(name, ".lua"), ".", "/") + ".lua"
	}
	if d.path == "" || strings.HasPrefix(name, "@") || !filepath.IsLocal(filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(rel, "./"), "../"))) {
		return nil
	}
	dirs := []string{filepath.Dir(d.path)}
	if !strings.HasPrefix(rel, ".") {
		s.mu.Lock()
		dirs = slices.Clone(s.project.Rules)
		s.mu.Unlock()
		for dir := filepath.Dir(d.path); ; dir = filepath.Dir(dir) {
			dirs = append(dirs, dir)
			if filepath.Dir(dir) == dir {
				break
			}
		}
	}
	for _, dir := range dirs {
		if other := s.fileAt(filepath.Join(dir, filepath.FromSlash(rel))); other != nil {
			return other
		}
	}
	return nil
}

func (s *server) fileAt(path string) *document {
	uri := uriOf(path)
	s.mu.Lock()
	d := s.docs[uri]
	s.mu.Unlock()
	if d != nil {
		return d
	}
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() || st.Size() > maxFile {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return newDocument(uri, 0, string(text))
}

// maxModules bounds the files that are offered to load.
const maxModules = 500

// modules are the files of the rules directories that a document can load, as
// load or require names them.
func (s *server) modules(d *document) []string {
	ext := filepath.Ext(d.name())
	s.mu.Lock()
	dirs := slices.Clone(s.project.Rules)
	s.mu.Unlock()
	var out []string
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil // what cannot be read is not offered
			case len(out) >= maxModules:
				return fs.SkipAll
			case e.IsDir() && p != dir && strings.HasPrefix(e.Name(), "."):
				return fs.SkipDir
			case p == d.path || !e.Type().IsRegular() || filepath.Ext(p) != ext || strings.HasSuffix(strings.TrimSuffix(p, ext), "_test"):
				return nil
			}
			rel, err := filepath.Rel(dir, p)
			if err != nil {
				return nil
			}
			rel = filepath.ToSlash(rel)
			if d.lua() {
				rel = strings.ReplaceAll(strings.TrimSuffix(rel, ext), "/", ".")
			}
			out = append(out, rel)
			return nil
		})
	}
	return out
}

// maxSymbols bounds what is listed of one file.
const maxSymbols = 2000

func (s *server) documentSymbol(_ context.Context, p *at) (any, error) {
	d, err := s.open(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	out := []protocol.DocumentSymbol{}
	lib := s.library(d)
	for i := range d.tokens {
		if !d.is(i, "(") || len(out) == maxSymbols {
			continue
		}
		c := d.callAt(i)
		if c == nil {
			continue
		}
		if b := lib.Lookup(c.name); b != nil && b.Purity == runtime.Register {
			out = append(out, d.ruleSymbol(c))
		}
	}
	for _, def := range d.definitions() {
		if def.function && (def.top || d.lua()) && len(out) < maxSymbols {
			out = append(out, d.functionSymbol(&def))
		}
	}
	slices.SortStableFunc(out, func(a, b protocol.DocumentSymbol) int {
		if a.Range.Start.Line != b.Range.Start.Line {
			return int(a.Range.Start.Line) - int(b.Range.Start.Line)
		}
		return int(a.Range.Start.Character) - int(b.Range.Start.Character)
	})
	return out, nil
}

// ruleSymbol is a rule: what registers it and its pattern.
func (d *document) ruleSymbol(c *call) protocol.DocumentSymbol {
	_, first := d.chain(c.open - 1)
	name := c.name
	if next := d.after(c.open); next < len(d.tokens) && d.tokens[next].Kind == lex.String {
		name += " " + d.tokens[next].Text(d.text)
	}
	return protocol.DocumentSymbol{
		Name: name, Kind: protocol.SymbolKindEvent,
		Range:          d.span(d.tokens[first].Start, d.tokens[d.pair[c.open]].End),
		SelectionRange: d.span(d.tokens[first].Start, d.tokens[c.open].Start),
	}
}

func (d *document) functionSymbol(def *definition) protocol.DocumentSymbol {
	begin := d.tokens[def.token].Start
	line := int(d.position(begin).Line)
	start := d.lines[line]
	for start < begin && (d.text[start] == ' ' || d.text[start] == '\t') {
		start++
	}
	return protocol.DocumentSymbol{
		Name: def.name, Detail: "(" + strings.Join(def.params, ", ") + ")", Kind: protocol.SymbolKindFunction,
		Range: d.span(start, d.functionEnd(def, start)), SelectionRange: d.span(begin, d.tokens[def.token].End),
	}
}

// functionEnd is where a function ends: in Starlark before the next line that
// is indented no further, in Lua at its end.
func (d *document) functionEnd(def *definition, start int) int {
	last := def.token
	if !d.lua() {
		column := start - d.lines[d.position(start).Line]
		depth := 0
		for i := def.token + 1; i < len(d.tokens); i++ {
			t := d.tokens[i]
			switch {
			case t.Kind == lex.Newline || t.Kind == lex.Comment:
				continue
			case d.is(i, "("), d.is(i, "["), d.is(i, "{"):
				depth++
			case d.is(i, ")"), d.is(i, "]"), d.is(i, "}"):
				depth--
			}
			if depth <= 0 && d.tokens[i-1].Kind == lex.Newline && t.Start-d.lines[d.position(t.Start).Line] <= column {
				break
			}
			last = i
		}
		return d.tokens[last].End
	}
	depth := 1
	i := def.token + 1
	if d.is(def.value, "function") && def.value > 0 {
		i = def.value + 1
	}
	for ; i < len(d.tokens) && depth > 0; i++ {
		last = i
		switch d.ident(i) {
		case "function", "if", "do", "repeat":
			depth++
		case "end", "until":
			depth--
		}
	}
	return d.tokens[last].End
}

// formatting lays out a .star file. A file that does not parse is left alone:
// its diagnostics say why.
func (s *server) formatting(_ context.Context, p *at) (any, error) {
	d, err := s.open(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	edits := []protocol.TextEdit{}
	if s.o.Format == nil || !strings.HasSuffix(d.name(), ".star") {
		return edits, nil
	}
	out, err := s.o.Format(d.name(), []byte(d.text))
	if err != nil || string(out) == d.text {
		return edits, nil
	}
	return append(edits, d.edit(string(out))), nil
}

// edit is the change of the lines that differ.
func (d *document) edit(text string) protocol.TextEdit {
	start, end := 0, len(d.text)
	newEnd := len(text)
	for start < end && start < newEnd && d.text[start] == text[start] {
		start++
	}
	for start > 0 && d.text[start-1] != '\n' {
		start--
	}
	for end > start && newEnd > start && d.text[end-1] == text[newEnd-1] {
		end, newEnd = end-1, newEnd-1
	}
	for end < len(d.text) && end > 0 && d.text[end-1] != '\n' {
		end, newEnd = end+1, newEnd+1
	}
	return protocol.TextEdit{Range: d.span(start, end), NewText: text[start:newEnd]}
}
