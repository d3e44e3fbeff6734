package event

import (
	"strings"
	"unicode/utf8"
)

// Slack's markup, as it arrives: every <, > and & that a person typed is an
// entity, so an angle bracket always begins or ends a token.
//
//	<@U1> <@U1|name>            a person
//	<#C1> <#C1|name> <#C1|>     a channel
//	<!subteam^S1> <!subteam^S1|@h>
//	<!here> <!channel> <!everyone> <!here|here>
//	<!date^unix^format^link|fallback>
//	<https://x|label> <https://x> <mailto:a@b|a@b>
//	:emoji: :wave::skin-tone-2:

// TokenKind is what a Token is.
type TokenKind uint8

// The kinds of tokens.
const (
	Literal     TokenKind = iota // text between tokens, entities not decoded
	UserRef                      // ID, Label
	ChannelRef                   // ID, Label
	GroupRef                     // ID, Label
	SpecialRef                   // ID is here, channel, everyone or another word
	DateRef                      // ID is the Unix time, Label the fallback
	LinkRef                      // ID is the address, entities decoded; Label
	EmailRef                     // ID is the address without mailto:; Label
	EmojiRef                     // ID is the name without colons
	unknownKind                  // a bracketed token of no known form
)

// Token is one piece of a text.
type Token struct {
	Kind  TokenKind
	ID    string
	Label string // as sent, entities not decoded
	Raw   string // the piece as it stands in the text
}

// Tokens calls yield for each piece of text in order, until it returns false.
// The pieces' Raw parts together are the text.
func Tokens(text string, yield func(Token) bool) {
	lit := 0 // where the literal not yet yielded begins
	for i := 0; i < len(text); {
		var tok Token
		switch text[i] {
		case '<':
			tok = bracketToken(text[i:])
		case ':':
			tok = emojiToken(text, i)
		}
		if tok.Raw == "" {
			i++
			continue
		}
		if lit < i && !yield(Token{Kind: Literal, Raw: text[lit:i]}) {
			return
		}
		if !yield(tok) {
			return
		}
		i += len(tok.Raw)
		lit = i
	}
	if lit < len(text) {
		yield(Token{Kind: Literal, Raw: text[lit:]})
	}
}

// bracketToken reads the token at the start of s, which begins with <.
// What is no token has an empty Raw.
func bracketToken(s string) Token {
	end := strings.IndexAny(s[1:], "<>\n")
	if end <= 0 || s[1+end] != '>' {
		return Token{}
	}
	body, raw := s[1:1+end], s[:end+2]
	id, label, _ := strings.Cut(body, "|")
	switch body[0] {
	case '@':
		if isID(id[1:], "UWB") {
			return Token{UserRef, id[1:], label, raw}
		}
	case '#':
		if isID(id[1:], "CGD") {
			return Token{ChannelRef, id[1:], label, raw}
		}
	case '!':
		return specialToken(id[1:], label, raw)
	default:
		if addr, ok := strings.CutPrefix(id, "mailto:"); ok && addr != "" {
			return Token{EmailRef, Unescape(addr), label, raw}
		}
		if isLink(id) {
			return Token{LinkRef, Unescape(id), label, raw}
		}
	}
	return Token{Kind: unknownKind, Label: label, Raw: raw}
}

func specialToken(id, label, raw string) Token {
	if group, ok := strings.CutPrefix(id, "subteam^"); ok {
		group, old, _ := strings.Cut(group, "^")
		if isID(group, "S") {
			if label == "" {
				label = old
			}
			return Token{GroupRef, group, label, raw}
		}
	}
	if date, ok := strings.CutPrefix(id, "date^"); ok {
		unix, _, _ := strings.Cut(date, "^")
		return Token{DateRef, unix, label, raw}
	}
	if isWord(id) {
		return Token{SpecialRef, id, label, raw}
	}
	return Token{Kind: unknownKind, Label: label, Raw: raw}
}

// isID reports whether s is an id of Slack's that begins with one of first.
func isID(s, first string) bool {
	if s == "" || strings.IndexByte(first, s[0]) < 0 {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func isWord(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}

// isLink reports whether s is an address with a scheme.
func isLink(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || scheme == "" {
		return false
	}
	for i := 0; i < len(scheme); i++ {
		c := scheme[i] | 0x20
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return true
}

// emojiToken reads the emoji whose first colon is at i. A colon inside a word
// or a time of day begins none.
func emojiToken(s string, i int) Token {
	if i > 0 && isWordByte(s[i-1]) {
		return Token{}
	}
	end := emojiEnd(s, i)
	if end == 0 {
		return Token{}
	}
	name := s[i+1 : end-1]
	if strings.HasPrefix(s[end:], ":skin-tone-") {
		if tone := emojiEnd(s, end); tone > 0 {
			name, end = s[i+1:tone-1], tone
		}
	}
	if end < len(s) && isWordByte(s[end]) {
		return Token{}
	}
	return Token{EmojiRef, name, "", s[i:end]}
}

// emojiEnd returns the end of the :name: that begins at i, or 0.
func emojiEnd(s string, i int) int {
	const longest = 100
	for j := i + 1; j < len(s) && j-i <= longest; j++ {
		c := s[j]
		switch {
		case c == ':' && j > i+1:
			return j + 1
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '+' || c == '\'':
		case c >= utf8.RuneSelf:
		default:
			return 0
		}
	}
	return 0
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// Refs returns the ids of the tokens of one kind, in order, each once.
func Refs(text string, kind TokenKind) []string {
	// Most texts have no token at all.
	if kind == EmojiRef && strings.IndexByte(text, ':') < 0 || kind != EmojiRef && strings.IndexByte(text, '<') < 0 {
		return nil
	}
	var out []string
	Tokens(text, func(t Token) bool {
		if t.Kind != kind {
			return true
		}
		for _, have := range out {
			if have == t.ID {
				return true
			}
		}
		out = append(out, t.ID)
		return true
	})
	return out
}

// Plain renders text as a person reads it: labels instead of tokens, entities
// decoded once. Emoji stay as :names:.
func Plain(text string) string {
	if strings.IndexByte(text, '<') < 0 {
		return Unescape(text)
	}
	var b strings.Builder
	b.Grow(len(text))
	Tokens(text, func(t Token) bool {
		label := Unescape(t.Label)
		switch t.Kind {
		case UserRef:
			b.WriteByte('@')
			b.WriteString(orElse(strings.TrimPrefix(label, "@"), t.ID))
		case ChannelRef:
			b.WriteByte('#')
			b.WriteString(orElse(strings.TrimPrefix(label, "#"), t.ID))
		case GroupRef:
			b.WriteByte('@')
			b.WriteString(orElse(strings.TrimPrefix(label, "@"), t.ID))
		case SpecialRef:
			b.WriteByte('@')
			b.WriteString(orElse(strings.TrimPrefix(label, "@"), t.ID))
		case LinkRef, EmailRef, DateRef:
			b.WriteString(orElse(label, t.ID))
		case unknownKind:
			b.WriteString(orElse(label, Unescape(t.Raw)))
		default:
			b.WriteString(Unescape(t.Raw))
		}
		return true
	})
	return b.String()
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

var (
	unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
	escaper   = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
)

// Unescape decodes &amp; &lt; &gt;, once.
func Unescape(s string) string {
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	return unescaper.Replace(s)
}

// Escape makes s literal text: its & < > become entities.
func Escape(s string) string {
	if !strings.ContainsAny(s, "&<>") {
		return s
	}
	return escaper.Replace(s)
}

// Directed reports whether a message is addressed to the bot: it begins with
// the bot's mention, or it is a direct message.
func (e *Event) Directed() bool {
	if e.Kind != Message && e.Kind != Mention {
		return false
	}
	if e.IM {
		return true
	}
	_, ok := e.afterMention()
	return ok
}

// Mentioned reports whether a message mentions the bot anywhere.
func (e *Event) Mentioned() bool {
	if e.Kind == Mention {
		return true
	}
	if e.Kind != Message || e.BotUser == "" || !strings.Contains(e.Text, "<@"+e.BotUser) {
		return false
	}
	found := false
	Tokens(e.Text, func(t Token) bool {
		found = t.Kind == UserRef && t.ID == e.BotUser
		return !found
	})
	return found
}

// Body is the text without the bot's mention in front of it, and without
// white space around it: what `mention` rules match.
func (e *Event) Body() string {
	if e.Kind == Message || e.Kind == Mention {
		if rest, ok := e.afterMention(); ok {
			return rest
		}
	}
	return strings.TrimSpace(e.Text)
}

// afterMention returns the text behind the bot's leading mention. An
// app_mention that does not say who the bot is means whoever it begins with.
func (e *Event) afterMention() (string, bool) {
	s := strings.TrimSpace(e.Text)
	if !strings.HasPrefix(s, "<@") {
		return "", false
	}
	t := bracketToken(s)
	if t.Kind != UserRef || t.ID != e.BotUser && (e.BotUser != "" || e.Kind != Mention) {
		return "", false
	}
	s = strings.TrimSpace(s[len(t.Raw):])
	if s != "" && (s[0] == ':' && emojiEnd(s, 0) == 0 || s[0] == ',') {
		s = strings.TrimSpace(s[1:])
	}
	return s, true
}

// Cut shortens a text to about that many bytes, between characters.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && text[most]&0xc0 == 0x80 {
		most--
	}
	return text[:most] + "…"
}
