// Package format lays out Starlark files the one way that buildifier does,
// without any of its rewriting: only spaces, line ends, and the quotes of
// texts change.
//
//	Star   formats a file, or refuses
//
// What it makes is parsed again by the language itself: a file whose meaning
// or comments would change is refused rather than changed.
package format

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bazelbuild/buildtools/build"

	"github.com/starling-rules/starling/cmd/starling/internal/lex"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/star"
)

// Star returns the text in the standard layout. A text that does not parse is
// a runtime.Errors with position; so is one that the formatter cannot keep.
func Star(path string, text []byte) (out []byte, err error) {
	before, err := star.Parse(path, text)
	if err != nil {
		return nil, err
	}
	out = text
	for range rounds {
		was := out
		if out, err = layOut(path, out, before); err != nil || string(out) == string(was) {
			break
		}
	}
	return out, err
}

// rounds bounds how often a text is laid out until it stays as it is: where
// comments stand at odd places, the printer needs more than one.
const rounds = 4

// layOut formats once; before is the syntax that must come out again.
func layOut(path string, text []byte, before *star.Tree) (out []byte, err error) {
	defer func() {
		// The printer is not ours, and files are from anywhere.
		if p := recover(); p != nil {
			out, err = nil, refuse(path, text, 0, 0, fmt.Sprintf("the formatter fails on this file: %v", p))
		}
	}()
	d := disguise(string(text))
	f, err := build.ParseDefault(path, []byte(d.text))
	if err != nil {
		if pe, ok := errors.AsType[build.ParseError](err); ok {
			return nil, refuse(path, text, pe.Pos.Line, pe.Pos.LineRune, "the formatter does not know this form: "+pe.Message)
		}
		return nil, refuse(path, text, 0, 0, err.Error())
	}
	out = []byte(d.reveal(string(build.FormatWithoutRewriting(f))))
	after, err := star.Parse(path, out)
	if err != nil || !before.Same(after) {
		return nil, refuse(path, text, 0, 0, "formatting would change what this file means: it is left as it is")
	}
	if !slices.Equal(comments(string(text)), comments(string(out))) {
		return nil, refuse(path, text, 0, 0, "formatting would lose a comment of this file: it is left as it is")
	}
	return out, nil
}

func refuse(path string, text []byte, line, col int, msg string) error {
	e := &runtime.Error{Kind: runtime.SyntaxError, Msg: msg, Pos: runtime.Position{Path: path, Line: line, Col: col}}
	e.SetLine(text)
	return runtime.Errors{e}
}

// disguised is a text in which everything that buildtools' parser lacks, or
// prints in another way than the language reads it, is hidden behind what it
// knows: texts behind plain ones, `while` behind `if`.
type disguised struct {
	text   string
	mark   string
	hidden []string
}

const whileMark = "while_"

func disguise(text string) *disguised {
	d := &disguised{mark: "starling"}
	for strings.Contains(text, d.mark) {
		d.mark += "_"
	}
	var b strings.Builder
	at := 0
	for _, t := range lex.Star(text) {
		switch {
		case t.Kind == lex.String:
			b.WriteString(text[at:t.Start] + `"` + d.mark + strconv.Itoa(len(d.hidden)) + `"`)
			d.hidden = append(d.hidden, requote(t, text))
			at = t.End
		case t.Kind == lex.Ident && t.Text(text) == "while":
			b.WriteString(text[at:t.Start] + "if " + d.mark + whileMark + " and")
			at = t.End
		}
	}
	b.WriteString(text[at:])
	d.text = b.String()
	return d
}

// reveal puts back what was hidden.
func (d *disguised) reveal(text string) string {
	text = strings.ReplaceAll(text, "if "+d.mark+whileMark+" and", "while")
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, `"`+d.mark)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		num, tail, _ := strings.Cut(rest, `"`)
		n, err := strconv.Atoi(num)
		if err != nil || n < 0 || n >= len(d.hidden) {
			panic("a text was lost")
		}
		b.WriteString(d.hidden[n])
		text = tail
	}
}

// requote writes a literal with double quotes, where that needs no more
// escapes than it had.
func requote(t lex.Token, text string) string {
	whole, body := t.Text(text), t.Body(text)
	if t.Close == 0 || strings.HasSuffix(whole, `"`) || strings.Contains(body, `"`) {
		return whole
	}
	prefix := whole[:t.Open-t.Close]
	quotes := strings.Repeat(`"`, t.Close)
	if !strings.ContainsAny(prefix, "rR") {
		body = strings.ReplaceAll(body, `\\`, "\x00")
		body = strings.ReplaceAll(body, `\'`, `'`)
		body = strings.ReplaceAll(body, "\x00", `\\`)
	}
	return prefix + quotes + body + quotes
}

// comments are the comments of a text in a form that layout does not change,
// sorted: the printer may move one past a bracket.
func comments(text string) []string {
	var out []string
	for _, t := range lex.Star(text) {
		if t.Kind == lex.Comment {
			out = append(out, strings.Join(strings.Fields(strings.TrimLeft(t.Text(text), "#")), " "))
		}
	}
	slices.Sort(out)
	return out
}
