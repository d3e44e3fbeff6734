package lua

import (
	"errors"
	"strings"
)

// matcher matches a pattern of Lua 5.1. It pays for each step it takes, and
// its recursion is bounded: neither time nor stack can run away.
type matcher struct {
	src, pat string
	spend    func(steps uint64) bool // false: stop
	caps     [maxCaptures]capture
	level    int
	depth    int
	deepest  int // the bound of depth
	err      error
}

// Bounds of patterns, those of the original.
const (
	maxCaptures = 32
	unclosed    = -1
	position    = -2
)

type capture struct{ start, len int }

var (
	errPattern  = errors.New("malformed pattern")
	errCaptures = errors.New("too many captures in the pattern")
	errDepth    = errors.New("the pattern is too complex")
	errFuel     = errors.New("stopped")
)

// match tries the pattern at position s of the text. It returns the end of the
// match, or -1.
func (m *matcher) match(s int) int {
	m.level, m.depth = 0, 0
	return m.do(s, m.start())
}

// start is where the pattern begins behind its anchor.
func (m *matcher) start() int {
	if m.anchored() {
		return 1
	}
	return 0
}

func (m *matcher) anchored() bool { return strings.HasPrefix(m.pat, "^") }

func (m *matcher) fail(err error) int {
	if m.err == nil {
		m.err = err
	}
	return -1
}

func (m *matcher) do(s, p int) int {
	if m.depth++; m.depth > m.deepest {
		return m.fail(errDepth)
	}
	defer func() { m.depth-- }()
	for {
		if m.err != nil {
			return -1
		}
		if !m.spend(1) {
			return m.fail(errFuel)
		}
		if p >= len(m.pat) {
			return s
		}
		switch c := m.pat[p]; {
		case c == '(':
			if p+1 < len(m.pat) && m.pat[p+1] == ')' {
				return m.open(s, p+2, position)
			}
			return m.open(s, p+1, unclosed)
		case c == ')':
			return m.close(s, p+1)
		case c == '$' && p+1 == len(m.pat):
			if s == len(m.src) {
				return s
			}
			return -1
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] == 'b':
			if s = m.balance(s, p+2); s < 0 {
				return -1
			}
			p += 4
			continue
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] == 'f':
			end, ok := m.frontier(s, p+2)
			if !ok {
				return -1
			}
			p = end
			continue
		case c == '%' && p+1 < len(m.pat) && isDigit(m.pat[p+1]):
			if s = m.back(s, int(m.pat[p+1]-'1')); s < 0 {
				return -1
			}
			p += 2
			continue
		}
		end := m.classEnd(p)
		if end < 0 {
			return -1
		}
		suffix := byte(0)
		if end < len(m.pat) {
			suffix = m.pat[end]
		}
		switch suffix {
		case '?':
			if m.single(s, p, end) {
				if r := m.do(s+1, end+1); r >= 0 {
					return r
				}
			}
			p = end + 1
		case '*':
			return m.longest(s, p, end, 0)
		case '+':
			return m.longest(s, p, end, 1)
		case '-':
			return m.shortest(s, p, end)
		default:
			if !m.single(s, p, end) {
				return -1
			}
			s, p = s+1, end
		}
	}
}

// classEnd returns the end of the single-character class at p.
func (m *matcher) classEnd(p int) int {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p >= len(m.pat) {
			return m.fail(errPattern)
		}
		return p + 1
	case '[':
		if p < len(m.pat) && m.pat[p] == '^' {
			p++
		}
		for first := true; ; first = false {
			if p >= len(m.pat) {
				return m.fail(errPattern)
			}
			c := m.pat[p]
			if c == ']' && !first {
				return p + 1
			}
			p++
			if c == '%' {
				p++
			}
		}
	}
	return p
}

func (m *matcher) single(s, p, end int) bool {
	if s >= len(m.src) {
		return false
	}
	c := m.src[s]
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		m.spend(uint64(end-p) / 8)
		return m.inSet(c, p, end-1)
	}
	return m.pat[p] == c
}

// inSet tells whether c is in the set [p, end], end at the closing bracket.
func (m *matcher) inSet(c byte, p, end int) bool {
	want := true
	if p++; m.pat[p] == '^' {
		want = false
		p++
	}
	for ; p < end; p++ {
		switch {
		case m.pat[p] == '%' && p+1 < end:
			p++
			if inClass(c, m.pat[p]) {
				return want
			}
		case p+2 < end && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return want
			}
			p += 2
		case m.pat[p] == c:
			return want
		}
	}
	return !want
}

// inClass tells whether c is in the class %cl. Letters are those of ASCII.
func inClass(c, cl byte) bool {
	var ok bool
	switch cl | 0x20 {
	case 'a':
		ok = isWord(c) && !isDigit(c) && c != '_'
	case 'c':
		ok = c < 0x20 || c == 0x7f
	case 'd':
		ok = isDigit(c)
	case 'l':
		ok = 'a' <= c && c <= 'z'
	case 'p':
		ok = 0x20 < c && c < 0x7f && (!isWord(c) || c == '_')
	case 's':
		ok = c == ' ' || '\t' <= c && c <= '\r'
	case 'u':
		ok = 'A' <= c && c <= 'Z'
	case 'w':
		ok = isWord(c) && c != '_'
	case 'x':
		ok = isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
	case 'z':
		ok = c == 0
	default:
		return cl == c
	}
	if 'A' <= cl && cl <= 'Z' {
		return !ok
	}
	return ok
}

func (m *matcher) longest(s, p, end, least int) int {
	n := 0
	for m.single(s+n, p, end) {
		n++
		if n%16 == 0 && !m.spend(4) {
			return m.fail(errFuel)
		}
	}
	for ; n >= least; n-- {
		if r := m.do(s+n, end+1); r >= 0 || m.err != nil {
			return r
		}
	}
	return -1
}

func (m *matcher) shortest(s, p, end int) int {
	for {
		if r := m.do(s, end+1); r >= 0 || m.err != nil {
			return r
		}
		if !m.single(s, p, end) {
			return -1
		}
		s++
	}
}

func (m *matcher) open(s, p, what int) int {
	if m.level >= maxCaptures {
		return m.fail(errCaptures)
	}
	m.caps[m.level] = capture{s, what}
	m.level++
	r := m.do(s, p)
	if r < 0 {
		m.level--
	}
	return r
}

func (m *matcher) close(s, p int) int {
	i := m.level - 1
	for ; i >= 0 && m.caps[i].len != unclosed; i-- {
	}
	if i < 0 {
		return m.fail(errPattern)
	}
	m.caps[i].len = s - m.caps[i].start
	r := m.do(s, p)
	if r < 0 {
		m.caps[i].len = unclosed
	}
	return r
}

// balance matches %bxy.
func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		return m.fail(errPattern)
	}
	if s >= len(m.src) || m.src[s] != m.pat[p] {
		return -1
	}
	open, shut, depth := m.pat[p], m.pat[p+1], 1
	for i := s + 1; i < len(m.src); i++ {
		if i%16 == 0 && !m.spend(1) {
			return m.fail(errFuel)
		}
		switch m.src[i] {
		case shut:
			if depth--; depth == 0 {
				return i + 1
			}
		case open:
			depth++
		}
	}
	return -1
}

// frontier matches %f[set]; it returns the end of the set.
func (m *matcher) frontier(s, p int) (int, bool) {
	if p >= len(m.pat) || m.pat[p] != '[' {
		m.fail(errPattern)
		return 0, false
	}
	end := m.classEnd(p)
	if end < 0 {
		return 0, false
	}
	m.spend(uint64(end-p) / 4)
	at := func(i int) byte {
		if i < 0 || i >= len(m.src) {
			return 0
		}
		return m.src[i]
	}
	return end, !m.inSet(at(s-1), p, end-1) && m.inSet(at(s), p, end-1)
}

// back matches what capture i has matched.
func (m *matcher) back(s, i int) int {
	if i < 0 || i >= m.level || m.caps[i].len < 0 {
		return m.fail(errPattern)
	}
	c := m.caps[i]
	m.spend(charText(c.len))
	if strings.HasPrefix(m.src[s:], m.src[c.start:c.start+c.len]) {
		return s + c.len
	}
	return -1
}
