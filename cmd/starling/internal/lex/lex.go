// Package lex cuts scripts into tokens, also scripts that are broken or only
// half typed, as an editor holds them most of the time. It never fails: what
// is no token of the language is an Op of one character.
//
//	Star, Lua   the tokens of a text
//	Token       where a token is and what it is
//
// It knows no built-in and no grammar: the languages themselves judge scripts.
package lex

import (
	"strings"
	"unicode/utf8"
)

// Kind is the kind of a token.
type Kind uint8

// The kinds of tokens.
const (
	Ident Kind = iota // names and keywords
	Number
	String
	Op
	Comment
	Newline // ends of lines, also inside brackets
)

// Token is a piece of a text, in bytes.
type Token struct {
	Kind       Kind
	Start, End int
	// Open and Close are how many bytes at its ends delimit a String, with
	// the letters before its quotes. Close is 0 if the end is missing.
	Open, Close int
}

// Text returns what the token is in its text.
func (t Token) Text(text string) string { return text[t.Start:t.End] }

// Body returns what is between the quotes of a String, as written.
func (t Token) Body(text string) string { return text[t.Start+t.Open : t.End-t.Close] }

// Star returns the tokens of Starlark text.
func Star(text string) []Token {
	s := scanner{text: text}
	for s.pos < len(text) {
		start, c := s.pos, text[s.pos]
		switch {
		case s.common(c):
		case c == '#':
			s.comment(1)
		case c == '"' || c == '\'':
			s.starString(0)
		case isLetter(c):
			s.word()
			prefix := strings.ToLower(text[start:s.pos])
			if s.pos < len(text) && (text[s.pos] == '"' || text[s.pos] == '\'') && (prefix == "r" || prefix == "b" || prefix == "rb" || prefix == "br") {
				s.pos = start
				s.starString(len(prefix))
				continue
			}
			s.add(Ident, start)
		default:
			s.operator(starOps)
		}
	}
	return s.out
}

// Lua returns the tokens of Lua text.
func Lua(text string) []Token {
	s := scanner{text: text}
	for s.pos < len(text) {
		start, c := s.pos, text[s.pos]
		switch {
		case s.common(c):
		case strings.HasPrefix(text[s.pos:], "--"):
			if level, ok := s.long(s.pos + 2); ok {
				s.longEnd(level)
				s.add(Comment, start)
				continue
			}
			s.comment(2)
		case c == '"' || c == '\'':
			s.pos++
			s.quoted(c, start, 1)
		case c == '[':
			if level, ok := s.long(s.pos); ok {
				open := s.pos - start
				closed := s.longEnd(level)
				s.add(String, start)
				t := &s.out[len(s.out)-1]
				if t.Open = open; closed {
					t.Close = level + 2
				}
				continue
			}
			s.operator(luaOps)
		case isLetter(c):
			s.word()
			s.add(Ident, start)
		default:
			s.operator(luaOps)
		}
	}
	return s.out
}

// For returns the tokens of a file by its name; of other files none.
func For(path, text string) []Token {
	switch {
	case strings.HasSuffix(path, ".star"):
		return Star(text)
	case strings.HasSuffix(path, ".lua"):
		return Lua(text)
	}
	return nil
}

var (
	starOps = []string{"**=", "//=", "<<=", ">>=", "==", "!=", "<=", ">=", "//", "<<", ">>", "**", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "->"}
	luaOps  = []string{"...", "..", "==", "~=", "<=", ">="}
)

type scanner struct {
	text string
	pos  int
	out  []Token
}

func (s *scanner) add(k Kind, start int) {
	s.out = append(s.out, Token{Kind: k, Start: start, End: s.pos})
}

// common takes what both languages share: space, ends of lines, numbers.
func (s *scanner) common(c byte) bool {
	start := s.pos
	switch {
	case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
		s.pos++
	case c == '\n':
		s.pos++
		s.add(Newline, start)
	case isDigit(c) || c == '.' && s.pos+1 < len(s.text) && isDigit(s.text[s.pos+1]):
		hex := strings.HasPrefix(s.text[s.pos:], "0x") || strings.HasPrefix(s.text[s.pos:], "0X")
		for s.pos < len(s.text) {
			c := s.text[s.pos]
			exponent := !hex && s.pos > start && (c == '+' || c == '-') && s.text[s.pos-1]|0x20 == 'e'
			dots := c == '.' && s.pos+1 < len(s.text) && s.text[s.pos+1] == '.' // Lua's ..
			if dots || !isDigit(c) && !isLetter(c) && c != '.' && !exponent {
				break
			}
			s.pos++
		}
		s.add(Number, start)
	default:
		return false
	}
	return true
}

// word takes a name; characters beyond ASCII belong to it, so that they are
// seen as one wrong name.
func (s *scanner) word() {
	for s.pos < len(s.text) && (isLetter(s.text[s.pos]) || isDigit(s.text[s.pos])) {
		s.pos++
	}
}

func (s *scanner) comment(skip int) {
	start := s.pos
	s.pos += skip
	for s.pos < len(s.text) && s.text[s.pos] != '\n' {
		s.pos++
	}
	s.add(Comment, start)
	t := &s.out[len(s.out)-1]
	if strings.HasSuffix(s.text[t.Start:t.End], "\r") {
		t.End--
	}
}

// starString takes a literal whose quotes come after prefix letters.
func (s *scanner) starString(prefix int) {
	start := s.pos
	s.pos += prefix
	q := s.text[s.pos]
	triple := strings.Repeat(string(q), 3)
	if !strings.HasPrefix(s.text[s.pos:], triple) {
		s.pos++
		s.quoted(q, start, prefix+1)
		return
	}
	s.pos += 3
	closed := false
	for s.pos < len(s.text) {
		if s.text[s.pos] == '\\' {
			s.pos = min(s.pos+2, len(s.text))
			continue
		}
		if strings.HasPrefix(s.text[s.pos:], triple) {
			s.pos, closed = s.pos+3, true
			break
		}
		s.pos++
	}
	s.add(String, start)
	t := &s.out[len(s.out)-1]
	if t.Open = prefix + 3; closed {
		t.Close = 3
	}
}

// quoted takes the rest of a literal of one line. A backslash hides what is
// after it, also in raw literals, also the end of the line.
func (s *scanner) quoted(q byte, start, open int) {
	closed := false
	for s.pos < len(s.text) && s.text[s.pos] != '\n' {
		c := s.text[s.pos]
		s.pos++
		if c == '\\' && s.pos < len(s.text) {
			if s.text[s.pos] == '\r' && s.pos+1 < len(s.text) && s.text[s.pos+1] == '\n' {
				s.pos++
			}
			s.pos++
			continue
		}
		if c == q {
			closed = true
			break
		}
	}
	s.add(String, start)
	t := &s.out[len(s.out)-1]
	if t.Open = open; closed {
		t.Close = 1
	}
}

// long recognises [[, [=[ and so on at a place, and moves behind it.
func (s *scanner) long(at int) (level int, ok bool) {
	i := at
	if i >= len(s.text) || s.text[i] != '[' {
		return 0, false
	}
	for i++; i < len(s.text) && s.text[i] == '='; i++ {
		level++
	}
	if i >= len(s.text) || s.text[i] != '[' {
		return 0, false
	}
	s.pos = i + 1
	return level, true
}

func (s *scanner) longEnd(level int) bool {
	end := "]" + strings.Repeat("=", level) + "]"
	i := strings.Index(s.text[s.pos:], end)
	if i < 0 {
		s.pos = len(s.text)
		return false
	}
	s.pos += i + len(end)
	return true
}

func (s *scanner) operator(ops []string) {
	start := s.pos
	for _, op := range ops {
		if strings.HasPrefix(s.text[s.pos:], op) {
			s.pos += len(op)
			s.add(Op, start)
			return
		}
	}
	_, n := utf8.DecodeRuneInString(s.text[s.pos:])
	s.pos += n
	s.add(Op, start)
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
