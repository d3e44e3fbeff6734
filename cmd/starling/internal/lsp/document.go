package lsp

import (
	"net/url"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"

	"go.lsp.dev/protocol"

	"github.com/starling-rules/starling/cmd/starling/internal/lex"
	"github.com/starling-rules/starling/runtime"
)

// document is one version of an open file. It is immutable.
type document struct {
	uri     string
	path    string // on disk; empty if the client keeps it elsewhere
	version int32
	text    string
	lines   []int // where each line begins, in bytes
	tokens  []lex.Token
	pair    []int // of each bracket the token of its other half; see pairs
}

func newDocument(uri string, version int32, text string) *document {
	d := &document{uri: uri, path: pathOf(uri), version: version, text: text, lines: []int{0}}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\n', text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n'):
			d.lines = append(d.lines, i+1)
		}
	}
	d.tokens = lex.For(d.name(), text)
	d.pair = pairs(text, d.tokens)
	return d
}

// pairs matches brackets, whatever their kinds: an opening one that nothing
// closes has the last token, a closing one that nothing opens the first.
func pairs(text string, tokens []lex.Token) []int {
	out := make([]int, len(tokens))
	var open []int
	for i, t := range tokens {
		if t.Kind != lex.Op {
			continue
		}
		switch t.Text(text) {
		case "(", "[", "{":
			open = append(open, i)
			out[i] = len(tokens) - 1
		case ")", "]", "}":
			if n := len(open); n > 0 {
				out[i], out[open[n-1]] = open[n-1], i
				open = open[:n-1]
			}
		}
	}
	return out
}

// name is what tells the language of the file.
func (d *document) name() string {
	if d.path != "" {
		return d.path
	}
	return d.uri
}

func (d *document) lua() bool { return strings.HasSuffix(d.name(), ".lua") }

func (d *document) test() bool {
	name := d.name()
	return strings.HasSuffix(strings.TrimSuffix(name, filepath.Ext(name)), "_test")
}

// pathOf is the path of a file: URI; empty for any other.
func pathOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" {
		return ""
	}
	p := u.Path
	// file:///C:/x is C:/x
	if len(p) > 2 && p[0] == '/' && p[2] == ':' {
		p = p[1:]
	}
	return filepath.FromSlash(p)
}

func uriOf(path string) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	return (&url.URL{Scheme: "file", Path: p}).String()
}

// offset returns the byte that a position names. A position counts UTF-16
// units; one past the end of a line or of the text is that end, and one within
// a character its start.
func (d *document) offset(p protocol.Position) int {
	if int(p.Line) >= len(d.lines) {
		return len(d.text)
	}
	at, end := d.lines[p.Line], d.lineEnd(int(p.Line))
	for units := uint32(0); at < end && units < p.Character; {
		r, n := utf8.DecodeRuneInString(d.text[at:end])
		if units += width16(r); units > p.Character {
			break
		}
		at += n
	}
	return at
}

// lineEnd is where a line ends, without what ends it.
func (d *document) lineEnd(line int) int {
	if line+1 == len(d.lines) {
		return len(d.text)
	}
	end := d.lines[line+1] - 1
	if end > d.lines[line] && d.text[end] == '\n' && d.text[end-1] == '\r' {
		end--
	}
	return end
}

// position returns the place of a byte.
func (d *document) position(offset int) protocol.Position {
	offset = max(0, min(offset, len(d.text)))
	line := sort.SearchInts(d.lines, offset+1) - 1
	units := uint32(0)
	for at, end := d.lines[line], min(offset, d.lineEnd(line)); at < end; {
		r, n := utf8.DecodeRuneInString(d.text[at:])
		if at+n > end {
			break
		}
		units += width16(r)
		at += n
	}
	return protocol.Position{Line: uint32(line), Character: units}
}

// width16 is how many UTF-16 units a character takes.
func width16(r rune) uint32 {
	if r >= 0x10000 {
		return 2
	}
	return 1
}

func (d *document) span(start, end int) protocol.Range {
	return protocol.Range{Start: d.position(start), End: d.position(end)}
}

// place returns the byte of a runtime.Position, whose lines end with \n.
func (d *document) place(p runtime.Position) int {
	at := 0
	for range p.Line - 1 {
		i := strings.IndexByte(d.text[at:], '\n')
		if i < 0 {
			return len(d.text)
		}
		at += i + 1
	}
	end := strings.IndexByte(d.text[at:], '\n')
	if end < 0 {
		end = len(d.text) - at
	}
	return min(at+max(0, p.Col-1), at+end)
}

// change is one of a didChange: without a range it is the whole text.
type change struct {
	Range *protocol.Range `json:"range"`
	Text  string          `json:"text"`
}

// apply makes the next version of a document.
func (d *document) apply(version int32, changes []change) *document {
	for _, c := range changes {
		text := c.Text
		if c.Range != nil {
			start, end := d.offset(c.Range.Start), d.offset(c.Range.End)
			if end < start {
				start, end = end, start
			}
			text = d.text[:start] + c.Text + d.text[end:]
		}
		d = newDocument(d.uri, version, text)
	}
	if d.version != version {
		d = newDocument(d.uri, version, d.text)
	}
	return d
}
