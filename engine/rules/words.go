package rules

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/event"
)

// token is one word of what somebody typed.
type token struct {
	text string
	// gap is the white space before it.
	gap string
	// quoted: it began with a quotation mark or a backslash, so it is no option.
	quoted bool
}

// splitLine cuts what somebody typed into words at white space, as
// text.split_args does, so that both read a line alike. Quotation marks,
// straight or curly, keep words together; they count only at the start of a
// word or after =, so that "it's" stays what it is. A backslash takes the next
// mark, backslash or space as it is; a dash that a phone made long is -- again.
// A single mark without its end is an apostrophe; a double one is a problem.
//
// What Slack writes in angle brackets is one word, whatever is inside: mentions
// stay as they are, links become what was typed.
func splitLine(s string) (tokens []token, problem string) {
	c := cutter{}
	for {
		rest := strings.TrimLeftFunc(s, unicode.IsSpace)
		gap := s[:len(s)-len(rest)]
		if rest == "" {
			return tokens, ""
		}
		var t token
		if t, s, problem = c.word(rest); problem != "" {
			return nil, problem
		}
		t.gap = gap
		tokens = append(tokens, t)
	}
}

// closers are the marks that end what a mark began, "" if r is none. Phones
// and word processors turn straight marks into curly ones, and not always in
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

// apostrophe reports whether a mark that nothing closes may stand in a text.
func apostrophe(r rune) bool { return r == '\'' || r == '‘' || r == '’' || r == '‚' }

// cutter reads words. Once a mark has no end, no later one of its kind has:
// hopeless remembers that, or many marks would be looked up many times.
type cutter struct{ hopeless map[rune]bool }

// word reads the word that s begins with.
func (c *cutter) word(s string) (t token, rest, problem string) {
	var b strings.Builder
	if long, ok := cutLongDash(s); ok {
		b.WriteString("--")
		s = long
	}
	quotable, first := true, true
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case unicode.IsSpace(r):
			t.text = b.String()
			return t, s, ""
		case r == '\\' && escapes(s[n:]):
			_, m := utf8.DecodeRuneInString(s[n:])
			b.WriteString(s[n : n+m])
			s, quotable = s[n+m:], false
			t.quoted = t.quoted || first
			first = false
			continue
		case r == '<':
			if raw := bracketed(s); raw != "" {
				b.WriteString(typed(raw))
				s, quotable, first = s[len(raw):], false, false
				continue
			}
		case quotable && closers(r) != "" && !c.hopeless[r]:
			inner, after, ok := quotedText(s[n:], closers(r))
			if ok {
				b.WriteString(inner)
				t.quoted = t.quoted || first
				s, quotable, first = after, false, false
				continue
			}
			if !apostrophe(r) {
				return t, "", fmt.Sprintf("the quotation mark %c is not closed", r)
			}
			if c.hopeless == nil {
				c.hopeless = map[rune]bool{}
			}
			c.hopeless[r] = true
		}
		b.WriteString(s[:n])
		quotable, first = r == '=', false
		s = s[n:]
	}
	t.text = b.String()
	return t, "", ""
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

// quotedText reads up to the first of the closing marks that ends a word.
func quotedText(s, ends string) (inner, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\\' && escapes(s[i+n:]):
			_, m := utf8.DecodeRuneInString(s[i+n:])
			b.WriteString(s[i+n : i+n+m])
			i += n + m
			continue
		case r == '<':
			if raw := bracketed(s[i:]); raw != "" {
				b.WriteString(typed(raw))
				i += len(raw)
				continue
			}
		case strings.ContainsRune(ends, r):
			// An apostrophe inside single marks does not end them.
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

// bracketed returns the piece of Slack's markup that s begins with, or "".
func bracketed(s string) string {
	end := strings.IndexAny(s[1:], "<>\n")
	if end <= 0 || s[1+end] != '>' {
		return ""
	}
	return s[:end+2]
}

// typed is what somebody typed where Slack has written a link; other markup is
// itself. Entities stay as Slack sends them, so that what goes back to Slack
// means no more than it did; an address has its & again.
func typed(raw string) string {
	out := raw
	event.Tokens(raw, func(t event.Token) bool {
		if t.Kind != event.LinkRef && t.Kind != event.EmailRef {
			return false
		}
		out, _, _ = strings.Cut(raw[1:len(raw)-1], "|")
		out = strings.ReplaceAll(strings.TrimPrefix(out, "mailto:"), "&amp;", "&")
		for _, scheme := range []string{"http://", "https://"} {
			if t.Label != "" && strings.TrimPrefix(out, scheme) == t.Label {
				out = t.Label
			}
		}
		return false
	})
	return out
}
