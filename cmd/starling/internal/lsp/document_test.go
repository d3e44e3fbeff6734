package lsp

import (
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"go.lsp.dev/protocol"

	"github.com/starling-rules/starling/runtime"
)

func TestPositionsCountUTF16Units(t *testing.T) {
	t.Parallel()
	d := newDocument("file:///a.star", 1, "a🚀b\r\né\rx\n\n")
	for _, c := range []struct {
		line, char uint32
		offset     int
	}{
		{0, 0, 0},
		{0, 1, 1},
		{0, 3, 5}, // behind the rocket, which is two units and four bytes
		{0, 4, 6},
		{1, 0, 8},
		{1, 1, 10},
		{2, 0, 11},
		{3, 0, 13},
		{4, 0, 14},
	} {
		p := protocol.Position{Line: c.line, Character: c.char}
		if got := d.offset(p); got != c.offset {
			t.Errorf("offset of %d:%d is %d, want %d", c.line, c.char, got, c.offset)
		}
		if got := d.position(c.offset); got != p {
			t.Errorf("position of %d is %v, want %v", c.offset, got, p)
		}
	}
	// What is no place is the nearest one before it.
	for _, c := range []struct {
		line, char uint32
		offset     int
	}{{0, 2, 1}, {0, 99, 6}, {1, 99, 10}, {99, 0, 14}, {1<<32 - 1, 1<<32 - 1, 14}} {
		if got := d.offset(protocol.Position{Line: c.line, Character: c.char}); got != c.offset {
			t.Errorf("offset of %d:%d is %d, want %d", c.line, c.char, got, c.offset)
		}
	}
}

func TestPlacesOfProblems(t *testing.T) {
	t.Parallel()
	const text = "é🚀 = wrong\nx"
	for uri, col := range map[string]int{"file:///a.star": 10, "file:///a.yaml": 10, "file:///a.lua": 10} {
		d := newDocument(uri, 1, text)
		got := d.diagnostic(&runtime.Error{Pos: runtime.Position{Line: 1, Col: col}})
		if got.Range.Start.Character != 6 || strings.HasSuffix(uri, ".star") && got.Range.End.Character != 11 {
			t.Errorf("%s: %v", uri, got.Range)
		}
		for _, p := range []runtime.Position{{}, {Line: 9, Col: 9}, {Line: 1, Col: 999}, {Line: 2}, {Line: 1, Col: -1}} {
			d.diagnostic(&runtime.Error{Pos: p})
		}
	}
}

func TestChangesOfADocument(t *testing.T) {
	t.Parallel()
	at := func(l, c uint32) protocol.Position { return protocol.Position{Line: l, Character: c} }
	d := newDocument("file:///a.star", 1, "x = '🚀'\ny = 2\n")
	d = d.apply(2, []change{
		{Range: &protocol.Range{Start: at(0, 5), End: at(0, 7)}, Text: "abc"}, // the rocket
		{Range: &protocol.Range{Start: at(1, 4), End: at(1, 5)}, Text: "3"},   // counted in the text so far
		{Range: &protocol.Range{Start: at(9, 9), End: at(9, 9)}, Text: "z"},
	})
	if want := "x = 'abc'\ny = 3\nz"; d.text != want || d.version != 2 {
		t.Fatalf("got %q, version %d", d.text, d.version)
	}
	if d = d.apply(3, []change{{Text: "new"}}); d.text != "new" {
		t.Fatalf("got %q", d.text)
	}
	if d = d.apply(4, nil); d.text != "new" || d.version != 4 {
		t.Fatalf("got %q, version %d", d.text, d.version)
	}
}

// Any edit at any place gives the text that a client has, which counts in
// UTF-16 itself; and whatever the text, nothing that is asked of it panics.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{"on.message(\"🚀\", f, {a = 1})\r\nx", "def f(e):\n  e.", "local x = [[\n", "load('a', b = 'c')\nkv.shared.get(", "--[[ x", "\"\"\"\\"} {
		f.Add(s, "y", uint32(0), uint32(3), uint32(1), uint32(2), true)
		f.Add(s, "", uint32(1), uint32(0), uint32(0), uint32(0), false)
	}
	f.Fuzz(func(t *testing.T, text, insert string, l1, c1, l2, c2 uint32, lua bool) {
		if !utf8.ValidString(text) || !utf8.ValidString(insert) {
			t.Skip("JSON carries no such text")
		}
		uri := "file:///a.star"
		if lua {
			uri = "file:///a.lua"
		}
		d := newDocument(uri, 1, text)
		r := protocol.Range{Start: protocol.Position{Line: l1, Character: c1}, End: protocol.Position{Line: l2, Character: c2}}
		start, end := d.offset(r.Start), d.offset(r.End)
		for _, at := range []int{start, end} {
			if !utf8.ValidString(d.text[:at]) {
				t.Fatalf("offset %d is within a character", at)
			}
			if got := d.offset(d.position(at)); got != at {
				t.Fatalf("offset %d comes back as %d", at, got)
			}
			if p := d.position(at); p.Character != uint32(len(utf16.Encode([]rune(text[d.lines[p.Line]:min(at, d.lineEnd(int(p.Line)))])))) {
				t.Fatalf("position of %d is %v", at, p)
			}
		}
		if end < start {
			start, end = end, start
		}
		d = d.apply(2, []change{{Range: &r, Text: insert}})
		if want := text[:start] + insert + text[end:]; d.text != want {
			t.Fatalf("got %q, want %q", d.text, want)
		}
		askEverything(d, start+len(insert))
	})
}

// askEverything looks at a place in every way that a request does.
func askEverything(d *document, offset int) {
	s := d.site(offset)
	s.prefix()
	s.call()
	s.startsArgument()
	for _, def := range d.definitions() {
		d.tellDefinition(&def)
		if def.function {
			d.functionSymbol(&def)
		}
	}
	d.events()
	for i := range d.tokens {
		d.chain(i)
		if d.is(i, "(") {
			if c := d.callAt(i); c != nil {
				d.ruleSymbol(c)
			}
		}
	}
	d.edit(strings.ToUpper(d.text))
}

// What is asked of a file takes time in proportion to its length, also of one
// that nobody would write.
func TestLongFilesAreAnsweredSoon(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"chain":     "x = a" + strings.Repeat("().a", 60_000),
		"nested":    strings.Repeat("on.message(", 20_000),
		"closed":    strings.Repeat("f(", 40_000) + strings.Repeat(").y", 40_000),
		"functions": strings.Repeat("def f(a, b):\n    return a\n\non.message('x', f)\n", 5_000),
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			d := newDocument("file:///a.star", 1, text)
			d.site(len(text)).call()
			d.events()
			for i := range d.tokens {
				if d.is(i, "(") {
					d.callAt(i)
				}
			}
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second): // it takes milliseconds
			t.Errorf("%s: it takes too long", name)
		}
	}
}
