package door

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
)

// names resolves what people write into Slack's ids.
type names struct {
	user, channel, group func(name string) (id string, ok bool)
	specials             bool
}

// unparseFields turns names into markup in the fields that parse lists: texts,
// blocks, attachments. A field that names a conversation gets its id.
func (l *live) unparseFields(ctx context.Context, c call, parse *runtime.Dict) error {
	for _, f := range parse.Fields {
		kinds, ok := plain(f.Value).([]runtime.Value)
		if !ok {
			return fmt.Errorf("parse[%q] is a %s, want a list", f.Key, runtime.TypeName(f.Value))
		}
		n, err := l.namesFor(ctx, kinds, c.o)
		if err != nil {
			return fmt.Errorf("parse[%q]: %w", f.Key, err)
		}
		v, given := c.args.Get(f.Key)
		if !given {
			note(ctx, "found no "+f.Key+" to parse")
			continue
		}
		text, isText := v.(string)
		switch name, sign := strings.CutPrefix(text, "#"); {
		case v == nil:
		case isText && f.Key == "channel" && sign && n.channel != nil:
			if id, ok := n.channel(name); ok {
				c.args.Set(f.Key, id)
			}
		case isText && f.Key == "channel":
		default:
			c.args.Set(f.Key, unparseContent(v, n))
		}
	}
	return nil
}

func (l *live) resolved(ctx context.Context, what string, err error) bool {
	if err != nil {
		note(ctx, "left an unknown "+what+" alone")
		l.Logger.Debug("name in text is not resolved", "what", what, "error", err)
	}
	return err == nil
}

// unparse turns @ann into <@U1>, #ops into <#C1> and @here into <!here>.
// Only whole tokens count: not the @ of an address, not what stands in code or
// in markup. Names that are unknown stay as they are. Characters that would
// begin markup by accident are escaped, once: what is markup already, and what
// is escaped already, is left alone.
func unparse(text string, n names) string {
	var b strings.Builder
	b.Grow(len(text) + 16)
	prev := ' '
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '`':
			end := codeEnd(text, i)
			b.WriteString(text[i:end])
			prev, i = '`', end
			continue
		case c == '<':
			if end := markupEnd(text, i); end > 0 {
				b.WriteString(text[i:end])
				prev, i = '>', end
			} else {
				b.WriteString("&lt;")
				prev, i = '<', i+1
			}
			continue
		case c == '>': // escaped, it still quotes at the start of a line
			b.WriteString("&gt;")
			prev, i = '>', i+1
			continue
		case c == '&':
			if end := entityEnd(text, i); end > 0 {
				b.WriteString(text[i:end])
				prev, i = ';', end
			} else {
				b.WriteString("&amp;")
				prev, i = '&', i+1
			}
			continue
		case (c == '@' || c == '#') && boundary(prev):
			if markup, end := token(text, i, n); end > 0 {
				b.WriteString(markup)
				prev, i = '>', end
				continue
			}
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		b.WriteString(text[i : i+size])
		prev, i = r, i+size
	}
	return b.String()
}

// token reads the name at i and returns its markup and where it ends, or 0.
func token(text string, i int, n names) (markup string, end int) {
	end = i + 1
	for end < len(text) {
		r, size := utf8.DecodeRuneInString(text[end:])
		if !nameRune(r) {
			break
		}
		end += size
	}
	if end < len(text) && (text[end] == '@' || text[end] == '#' || text[end] == '/') {
		return "", 0 // @bob@host, @scope/package
	}
	// A full stop or a dash at the end may belong to the name or to the sentence.
	for full := end; end > i+1; {
		if m := resolve(text[i], text[i+1:end], n); m != "" {
			return m, end
		}
		if last := text[end-1]; last != '.' && last != '-' && last != '_' || full-end > 8 {
			break
		}
		end--
	}
	return "", 0
}

func resolve(sign byte, name string, n names) string {
	if len(name) > 80 {
		return ""
	}
	if sign == '#' {
		if n.channel != nil {
			if id, ok := n.channel(name); ok {
				return "<#" + id + ">"
			}
		}
		return ""
	}
	if n.specials {
		switch strings.ToLower(name) {
		case "here", "channel", "everyone":
			return "<!" + strings.ToLower(name) + ">"
		}
	}
	if n.user != nil {
		if id, ok := n.user(name); ok {
			return "<@" + id + ">"
		}
	}
	if n.group != nil {
		if id, ok := n.group(name); ok {
			return "<!subteam^" + id + ">"
		}
	}
	return ""
}

func nameRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '.' || r == '-' || r == '_'
}

// boundary reports whether a token may begin after this character.
func boundary(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(`([{"'*_~,;:!?|>—–`, r)
}

// codeEnd returns the end of the code that begins at i; an open one is a
// plain backtick.
func codeEnd(text string, i int) int {
	fence := "`"
	if strings.HasPrefix(text[i:], "```") {
		fence = "```"
	}
	rest := text[i+len(fence):]
	j := strings.Index(rest, fence)
	if j < 0 || fence == "`" && strings.Contains(rest[:j], "\n") {
		return i + len(fence)
	}
	return i + len(fence) + j + len(fence)
}

// markupEnd returns the end of the markup that begins at i, or 0.
func markupEnd(text string, i int) int {
	j := strings.IndexAny(text[i+1:], "<>\n")
	if j <= 0 || text[i+1+j] != '>' {
		return 0
	}
	inner := text[i+1 : i+1+j]
	for _, p := range []string{"@U", "@W", "@B", "#C", "#G", "#D", "!", "http://", "https://", "mailto:", "tel:", "slack://"} {
		if strings.HasPrefix(inner, p) && len(inner) > len(p) {
			return i + 1 + j + 1
		}
	}
	return 0
}

// entityEnd returns the end of the escaped character at i, or 0.
func entityEnd(text string, i int) int {
	for _, e := range []string{"&amp;", "&lt;", "&gt;"} {
		if strings.HasPrefix(text[i:], e) {
			return i + len(e)
		}
	}
	return 0
}
