package star

import (
	"bytes"
	"errors"
	"reflect"
	"unicode/utf8"

	"go.starlark.net/syntax"
)

// The parser counts columns in characters; runtime.Position, which Lua and the
// places of carets share, in bytes. So the positions of a parsed file are
// changed once, before anything reads them: the resolver, the compiler and the
// stack of an error then speak of bytes as well.

// parse is the parser with columns in bytes, in its tree and in its error.
func parse(path string, text []byte) (*syntax.File, error) {
	f, err := options.Parse(path, text, 0)
	if isASCII(text) {
		return f, err
	}
	c := &columns{lines: bytes.Split(text, []byte("\n"))}
	if e, ok := errors.AsType[syntax.Error](err); ok {
		c.change(&e.Pos)
		return f, e
	}
	if err == nil {
		c.changeTree(f)
	}
	return f, err
}

func isASCII(text []byte) bool {
	return !bytes.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

// columns knows the lines of a file that is not ASCII.
type columns struct{ lines [][]byte }

// change makes a column of characters one of bytes. A line that ends in \r\n has
// one character less for the parser, behind which no position is.
func (c *columns) change(p *syntax.Position) {
	if p.Line < 1 || int(p.Line) > len(c.lines) {
		return
	}
	at, line := 0, c.lines[p.Line-1]
	for n := int32(1); n < p.Col; n++ {
		if at >= len(line) {
			at++
			continue
		}
		_, size := utf8.DecodeRune(line[at:])
		at += size
	}
	if p.Col > 0 {
		p.Col = int32(at) + 1
	}
}

// changeTree changes each position that the nodes of a file hold.
func (c *columns) changeTree(f *syntax.File) {
	syntax.Walk(f, func(n syntax.Node) bool {
		if n == nil { // Walk leaves a node
			return false
		}
		v := reflect.ValueOf(n).Elem()
		for i := range v.NumField() {
			if field := v.Field(i); field.Type() == positionType && field.CanAddr() {
				c.change(field.Addr().Interface().(*syntax.Position))
			}
		}
		return true
	})
}
