package lua

import (
	"fmt"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// token is a word of the source and where it stands.
type token struct {
	text      string
	line, col int
	newline   bool // it is the first of its line
}

// spot is a line and a column.
type spot struct{ line, col int32 }

// source is a file cut into tokens. The interpreter's parser knows lines and
// no columns; so it is given the tokens a line each, and what it takes for the
// number of a line is the place of a token (at).
type source struct {
	path   string
	tokens []token
	// byLine is the index of the token on each line of the text for the parser.
	byLine []int
	// places, once the file is loaded, are those of the tokens by the line of
	// the text for the parser; the tokens themselves are gone.
	places []spot
	errs   runtime.Errors
	broken bool // a string or comment has no end: the rest says nothing
}

// at returns the place that the parser calls line n.
func (s *source) at(n int) runtime.Position {
	if n >= 1 && n <= len(s.places) {
		p := s.places[n-1]
		return runtime.Position{Path: s.path, Line: int(p.line), Col: int(p.col)}
	}
	if t := s.token(n); t != nil {
		return runtime.Position{Path: s.path, Line: t.line, Col: t.col}
	}
	return runtime.Position{Path: s.path}
}

// settle keeps the places and lets go of the tokens.
func (s *source) settle() {
	s.places = make([]spot, len(s.byLine))
	for n, i := range s.byLine {
		s.places[n] = spot{int32(s.tokens[i].line), int32(s.tokens[i].col)}
	}
	s.tokens, s.byLine, s.errs = nil, nil, nil
}

// again returns the tokens of a source that is settled.
func (s *source) again(text []byte) *source {
	full := scan(s.path, text)
	_ = full.text() // which counts the lines
	return full
}

// index returns the token on the parser's line n, or -1.
func (s *source) index(n int) int {
	if n < 1 || n > len(s.byLine) {
		return -1
	}
	return s.byLine[n-1]
}

func (s *source) token(n int) *token {
	if i := s.index(n); i >= 0 {
		return &s.tokens[i]
	}
	return nil
}

// end is the place behind the last token.
func (s *source) end() runtime.Position {
	if len(s.tokens) == 0 {
		return runtime.Position{Path: s.path, Line: 1, Col: 1}
	}
	t := s.tokens[len(s.tokens)-1]
	return runtime.Position{Path: s.path, Line: t.line, Col: t.col + len(t.text)}
}

// text returns the tokens a line each. An opening bracket after a closing one
// stays on its line, because Lua takes a line break there for an ambiguity.
func (s *source) text() string {
	var b strings.Builder
	line := 1
	for i, t := range s.tokens {
		same := i > 0 && !t.newline && t.text == "(" && s.tokens[i-1].text == ")"
		if i > 0 && !same {
			b.WriteByte('\n')
			line++
		}
		for len(s.byLine) < line {
			s.byLine = append(s.byLine, i)
		}
		b.WriteString(t.text)
		line += strings.Count(t.text, "\n")
	}
	for len(s.tokens) > 0 && len(s.byLine) < line {
		s.byLine = append(s.byLine, len(s.tokens)-1)
	}
	return b.String()
}

// lexer cuts a text into tokens.
type lexer struct {
	*source
	text      string
	i         int
	line, bol int // the number of the line, and where it begins
	fresh     bool
}

// scan cuts a text into tokens. Problems are in the source's errs: strings and
// comments without an end, and escapes that Lua would drop without a word.
func scan(path string, text []byte) *source {
	norm := strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\r", "\n")
	lx := &lexer{source: &source{path: path}, text: strings.TrimPrefix(norm, "\ufeff"), line: 1, fresh: true}
	if strings.HasPrefix(lx.text, "#!") {
		lx.i = strings.IndexByte(lx.text+"\n", '\n')
	}
	for lx.next() {
	}
	return lx.source
}

func (lx *lexer) fail(i int, msg, hint string) {
	lx.errs = append(lx.errs, &runtime.Error{
		Kind: runtime.SyntaxError, Msg: msg, Hint: hint,
		Pos: runtime.Position{Path: lx.path, Line: lx.line, Col: i - lx.bol + 1},
	})
}

// next reads a token or a gap; false at the end.
func (lx *lexer) next() bool {
	if lx.i >= len(lx.text) {
		return false
	}
	c, start, line, bol := lx.text[lx.i], lx.i, lx.line, lx.bol
	switch {
	case c == '\n':
		lx.i++
		lx.line, lx.bol, lx.fresh = lx.line+1, lx.i, true
		return true
	case c == ' ' || c == '\t' || c == '\v' || c == '\f':
		lx.i++
		return true
	case strings.HasPrefix(lx.text[lx.i:], "--"):
		lx.comment()
		return true
	case c == '"' || c == '\'':
		lx.quoted(c)
	case c == '[' && lx.longLevel(lx.i) >= 0:
		lx.long()
	case isWord(c) && !isDigit(c):
		for lx.i < len(lx.text) && isWord(lx.text[lx.i]) {
			lx.i++
		}
	case isDigit(c) || c == '.' && lx.i+1 < len(lx.text) && isDigit(lx.text[lx.i+1]):
		lx.number()
	default:
		lx.i++
		for _, op := range [...]string{"...", "..", "==", "~=", "<=", ">=", "::"} {
			if strings.HasPrefix(lx.text[start:], op) {
				lx.i = start + len(op)
				break
			}
		}
	}
	lx.tokens = append(lx.tokens, token{lx.text[start:lx.i], line, start - bol + 1, lx.fresh})
	lx.fresh = false
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWord(c byte) bool {
	return c == '_' || isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func (lx *lexer) number() {
	for lx.i < len(lx.text) {
		c := lx.text[lx.i]
		switch {
		case isWord(c):
		case c == '.' && !strings.HasPrefix(lx.text[lx.i:], ".."):
		case (c == '-' || c == '+') && strings.ContainsRune("eE", rune(lx.text[lx.i-1])) && lx.i > 1 && !isHex(lx.text, lx.i):
		default:
			return
		}
		lx.i++
	}
}

// isHex tells whether the number that ends before i began with 0x.
func isHex(text string, i int) bool {
	start := i
	for start > 0 && (isWord(text[start-1]) || text[start-1] == '.') {
		start--
	}
	return strings.HasPrefix(text[start:], "0x") || strings.HasPrefix(text[start:], "0X")
}

func (lx *lexer) comment() {
	lx.i += 2
	if lx.i < len(lx.text) && lx.text[lx.i] == '[' && lx.longLevel(lx.i) >= 0 {
		lx.long()
		return
	}
	n := strings.IndexByte(lx.text[lx.i:], '\n')
	if n < 0 {
		n = len(lx.text) - lx.i
	}
	lx.i += n
}

// longLevel returns the number of = of a long bracket at i, or -1.
func (lx *lexer) longLevel(i int) int {
	n := 0
	for i++; i < len(lx.text) && lx.text[i] == '='; i++ {
		n++
	}
	if i < len(lx.text) && lx.text[i] == '[' {
		return n
	}
	return -1
}

// long skips a long string or comment.
func (lx *lexer) long() {
	start := lx.i
	closing := "]" + strings.Repeat("=", lx.longLevel(lx.i)) + "]"
	n := strings.Index(lx.text[lx.i:], closing)
	if n < 0 {
		lx.broken = true
		lx.fail(start, "this long string or comment has no end", "close it with "+closing)
		lx.i = len(lx.text)
		return
	}
	lx.i += n + len(closing)
	lx.line += strings.Count(lx.text[start:lx.i], "\n")
	if nl := strings.LastIndexByte(lx.text[:lx.i], '\n'); nl >= start {
		lx.bol = nl + 1
	}
}

// quoted skips a string and looks at its escapes.
func (lx *lexer) quoted(quote byte) {
	start := lx.i
	for lx.i++; lx.i < len(lx.text); lx.i++ {
		switch c := lx.text[lx.i]; {
		case c == quote:
			lx.i++
			return
		case c == '\n':
			lx.broken = true
			lx.fail(start, "this string has no end", "close it with "+string(quote))
			return
		case c == '\\' && lx.i+1 < len(lx.text):
			lx.escape()
		}
	}
	lx.broken = true
	lx.fail(start, "this string has no end", "close it with "+string(quote))
}

func (lx *lexer) escape() {
	lx.i++
	switch c := lx.text[lx.i]; {
	case strings.IndexByte("abfnrtv\\\"'", c) >= 0:
	case c == '\n':
		lx.line, lx.bol = lx.line+1, lx.i+1
	case isDigit(c):
		n, k := 0, 0
		for ; k < 3 && lx.i+k < len(lx.text) && isDigit(lx.text[lx.i+k]); k++ {
			n = n*10 + int(lx.text[lx.i+k]-'0')
		}
		if n > 255 {
			lx.fail(lx.i-1, fmt.Sprintf("escape \\%d is more than 255", n), "")
		}
		lx.i += k - 1
	default:
		r := []rune(lx.text[lx.i:min(lx.i+4, len(lx.text))])[0]
		lx.fail(lx.i-1, fmt.Sprintf("unknown escape \\%c: Lua would drop the backslash", r),
			fmt.Sprintf(`write "\\%c", or a long string without escapes: [[\%c]]`, r, r))
	}
}
