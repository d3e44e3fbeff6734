package event

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// MaxNesting is how deeply the objects and lists of a payload may be nested.
// Slack's own stay below 20; scripts can encode what is within this bound.
const MaxNesting = 64

// checkJSON refuses whatever is not exactly one strict JSON document of valid
// Unicode. Lenient parsers (raw control characters, odd numbers, lone
// surrogates) disagree about such a payload, and two readers that disagree are
// how one thing is verified and another done.
func checkJSON(b []byte) error {
	s := scanner{b: b}
	return s.document()
}

// scanner walks over a JSON text. It builds nothing but, if doc is set, notes
// the places of known values there.
type scanner struct {
	b       []byte
	i       int
	escaped bool // the last string had escapes
	doc     *document
}

// document reads the whole text.
func (s *scanner) document() error {
	b := s.b
	if len(b) >= 3 && b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF {
		return fmt.Errorf("begins with a byte order mark")
	}
	s.space()
	if s.i == len(b) {
		return fmt.Errorf("is empty")
	}
	if err := s.noted(-1, 0); err != nil {
		return err
	}
	s.space()
	if s.i < len(b) {
		return s.fault("something follows the document")
	}
	return nil
}

// noted reads a value and notes it, if values are noted.
func (s *scanner) noted(key, depth int) error {
	if s.doc == nil {
		return s.value(depth, false)
	}
	s.space()
	n := s.doc.begin(key, s.i)
	s.escaped = false
	if err := s.value(depth, depth < keepDepth); err != nil {
		return err
	}
	s.doc.close(n, s.i, s.escaped)
	return nil
}

func (s *scanner) fault(format string, args ...any) error {
	return fmt.Errorf("%s at byte %d", fmt.Sprintf(format, args...), s.i)
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek skips white space and returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.b) && s.b[s.i] > ' ' {
		return s.b[s.i]
	}
	s.space()
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// value reads a value; with keep, it notes those of known keys in it.
func (s *scanner) value(depth int, keep bool) error {
	if depth > MaxNesting {
		return s.fault("nested deeper than %d", MaxNesting)
	}
	switch c := s.peek(); {
	case c == '{':
		return s.object(depth, keep)
	case c == '[':
		return s.list(depth, keep)
	case c == '"':
		return s.text()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case s.i >= len(s.b):
		return s.fault("ends early")
	}
	return s.fault("unexpected character")
}

func (s *scanner) object(depth int, keep bool) error {
	self := 0
	if keep {
		self = len(s.doc.nodes) - 1
	}
	seen := uint64(0) // known keys
	s.i++
	if s.peek() == '}' {
		s.i++
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.fault("want a key")
		}
		start := s.i
		s.escaped = false
		if err := s.text(); err != nil {
			return err
		}
		key := -1
		if keep {
			key = s.known(start, self, &seen)
		}
		if s.peek() != ':' {
			return s.fault("want a colon")
		}
		s.i++
		var err error
		if key >= 0 {
			err = s.noted(key, depth+1)
		} else {
			err = s.value(depth+1, false)
		}
		if err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.i++
		case '}':
			s.i++
			return nil
		default:
			return s.fault("want a comma or }")
		}
	}
}

// known returns the index of the key that has just been read, if its value is
// to be noted: the first one of a key.
func (s *scanner) known(start, self int, seen *uint64) int {
	name := s.b[start+1 : s.i-1]
	if s.escaped {
		name = s.doc.unescape(name)
	}
	key := keyIndex(name)
	if key < 0 {
		return -1
	}
	if bit := uint64(1) << key; *seen&bit == 0 {
		*seen |= bit
		return key
	}
	s.doc.nodes[self].twice = int16(key)
	return -1
}

func (s *scanner) list(depth int, keep bool) error {
	s.i++
	if s.peek() == ']' {
		s.i++
		return nil
	}
	for n := 0; ; n++ {
		var err error
		if keep && n < keepElements {
			err = s.noted(-1, depth+1)
		} else {
			err = s.value(depth+1, false)
		}
		if err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.i++
		case ']':
			s.i++
			return nil
		default:
			return s.fault("want a comma or ]")
		}
	}
}

// plain marks the bytes of a string that need no second look.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// plain8 is plain for eight bytes at once: it says no if any of them is below a
// space, beyond ASCII, a quote or a backslash.
func plain8(x uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, slash := x^'"'*ones, x^'\\'*ones
	return (x|(x-' '*ones)|(quote-ones)&^quote|(slash-ones)&^slash)&tops == 0
}

func (s *scanner) text() error {
	b, i := s.b, s.i+1
	for {
		for i+8 <= len(b) && plain8(binary.LittleEndian.Uint64(b[i:])) {
			i += 8
		}
		for i < len(b) && plain[b[i]] {
			i++
		}
		s.i = i
		if i >= len(b) {
			return s.fault("ends in a string")
		}
		switch c := b[i]; {
		case c == '"':
			s.i++
			return nil
		case c == '\\':
			s.escaped = true
			if err := s.escape(); err != nil {
				return err
			}
			i = s.i
		case c < 0x20:
			return s.fault("control character in a string")
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return s.fault("invalid UTF-8")
			}
			i += n
		}
	}
}

func (s *scanner) escape() error {
	if s.i+1 >= len(s.b) {
		return s.fault("ends in a string")
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return nil
	case 'u':
		r, ok := s.hex4(s.i)
		switch {
		case !ok:
			return s.fault("bad escape")
		case r == 0:
			return s.fault("NUL in a string")
		case r >= 0xDC00 && r < 0xE000:
			return s.fault("lone surrogate")
		case r >= 0xD800 && r < 0xDC00:
			if lo, ok := s.hex4(s.i + 6); !ok || lo < 0xDC00 || lo >= 0xE000 {
				return s.fault("lone surrogate")
			}
			s.i += 6
		}
		s.i += 6
		return nil
	}
	return s.fault("bad escape")
}

// hex4 reads the \u and four digits at byte i.
func (s *scanner) hex4(i int) (r rune, ok bool) {
	if i+6 > len(s.b) || s.b[i] != '\\' || s.b[i+1] != 'u' {
		return 0, false
	}
	for _, c := range s.b[i+2 : i+6] {
		d := unhex(c)
		if d < 0 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

func (s *scanner) word(w string) error {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return s.fault("unexpected character")
	}
	s.i += len(w)
	return nil
}

// maxDigits bounds a number; what is longer is no number that Slack sends.
const maxDigits = 40

func (s *scanner) number() error {
	start := s.i
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if s.digits() == 0 {
		return s.fault("bad number")
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if s.digits() == 0 {
			return s.fault("bad number")
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		// Exponents beyond two digits overflow, or are nearly zero.
		if n := s.digits(); n == 0 || n > 2 {
			return s.fault("number out of range")
		}
	}
	if s.i-start > maxDigits {
		return s.fault("number out of range")
	}
	return nil
}

func (s *scanner) digits() (n int) {
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
		n++
	}
	return n
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
