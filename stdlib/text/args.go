package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// closers are the quotes that end what a quote began, "" if r is none. Phones
// and word processors turn straight quotes into curly ones, and not always in
// pairs.
func closers(r rune) string {
	switch r {
	case '"':
		return "\""
	case '\'':
		return "'"
	case '“':
		return "”“\""
	case '”':
		return "”\""
	case '„':
		return "“”\""
	case '«':
		return "»"
	case '»':
		return "«"
	case '‘':
		return "’‘'"
	case '’':
		return "’'"
	case '‚':
		return "‘’'"
	}
	return ""
}

// SplitArgs cuts a command line into words at white space. Quotes, straight or
// curly, keep words together; they count only at the start of a word or after
// =, so that "it's" stays what it is. A backslash takes the next quote,
// backslash or space as it is. A dash that Slack made long at the start of a
// word is -- again. A quote without its end is a character, or an error if
// strict.
func SplitArgs(s string, strict bool) ([]string, error) {
	var words []string
	c := cutter{strict: strict}
	for {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
		if s == "" {
			return words, nil
		}
		word, rest, err := c.word(s)
		if err != nil {
			return nil, err
		}
		words, s = append(words, word), rest
	}
}

// cutter reads words. Once a quote has no end, no later quote of its kind has
// one: hopeless remembers that, or many quotes would be searched many times.
type cutter struct {
	strict   bool
	hopeless map[rune]bool
}

// word reads the word that s begins with.
func (c *cutter) word(s string) (word, rest string, err error) {
	var b strings.Builder
	if long, ok := cutLongDash(s); ok {
		b.WriteString("--")
		s = long
	}
	quotable := true
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case unicode.IsSpace(r):
			return b.String(), s, nil
		case r == '\\' && escapes(s[n:]):
			_, m := utf8.DecodeRuneInString(s[n:])
			b.WriteString(s[n : n+m])
			s, quotable = s[n+m:], false
			continue
		case quotable && closers(r) != "" && !c.hopeless[r]:
			inner, after, ok := quoted(s[n:], closers(r))
			if ok {
				b.WriteString(inner)
				s, quotable = after, false
				continue
			}
			if c.hopeless == nil {
				c.hopeless = map[rune]bool{}
			}
			c.hopeless[r] = true
			if c.strict {
				return "", "", fmt.Errorf("the quote %c is not closed", r)
			}
		}
		b.WriteString(s[:n])
		quotable = r == '='
		s = s[n:]
	}
	return b.String(), "", nil
}

// cutLongDash takes an em or en dash off a word that goes on after it.
func cutLongDash(s string) (string, bool) {
	for _, dash := range []string{"—", "–"} {
		if rest, ok := strings.CutPrefix(s, dash); ok {
			if r, _ := utf8.DecodeRuneInString(rest); unicode.IsLetter(r) {
				return rest, true
			}
		}
	}
	return s, false
}

// escapes tells whether a backslash before s means something.
func escapes(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && (r == '\\' || r == ' ' || closers(r) != "")
}

// quoted reads up to the first of the closing quotes that ends a word.
func quoted(s, ends string) (inner, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == '\\' && escapes(s[i+n:]) {
			_, m := utf8.DecodeRuneInString(s[i+n:])
			b.WriteString(s[i+n : i+n+m])
			i += n + m
			continue
		}
		if strings.ContainsRune(ends, r) {
			// An apostrophe inside single quotes does not end them.
			next, m := utf8.DecodeRuneInString(s[i+n:])
			if m == 0 || unicode.IsSpace(next) || !strings.ContainsRune("'’‘", r) || !unicode.IsLetter(next) {
				return b.String(), s[i+n:], true
			}
		}
		b.WriteString(s[i : i+n])
		i += n
	}
	return "", "", false
}
