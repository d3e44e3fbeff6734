package sim

import (
	"regexp"
	"strings"

	"github.com/starling-rules/starling/engine/payload"
)

// typed finds what people type and Slack turns into markup. A mention or a
// link begins at the start or after a blank or an opening bracket, so that
// e-mail addresses and paths stay text.
var typed = regexp.MustCompile(`(?:^|[\s(\[])(?:(@[\w.-]+)|(#[\w-]+)|(https?://[^\s<>|]+))`)

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// markup turns typed text into Slack's markup: @ada, #general, @here and
// links become <…>, the rest is escaped. named adds the names, as in the text
// of slash commands: <@U1|ada>.
func (w *World) markup(text string, named bool) string {
	var b strings.Builder
	for {
		at := typed.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		start, end := at[1], at[1]
		for g := 2; g < 8; g += 2 {
			if at[g] >= 0 {
				start, end = at[g], at[g+1]
			}
		}
		word := text[start:end]
		trimmed := strings.TrimRight(word, ".,;:!?)")
		mark := w.mark(trimmed, named)
		b.WriteString(escaper.Replace(text[:start]))
		b.WriteString(mark)
		text = text[start+len(trimmed):]
		if len(trimmed) == 0 { // only punctuation: keep moving
			b.WriteString(escaper.Replace(text[:len(word)]))
			text = text[len(word):]
		}
	}
	b.WriteString(escaper.Replace(text))
	return b.String()
}

// mark is the markup of one typed mention or link, or the escaped word.
func (w *World) mark(word string, named bool) string {
	label := func(name string) string {
		if named {
			return "|" + name
		}
		return ""
	}
	if word == "" {
		return ""
	}
	switch name := word[1:]; word[0] {
	case '@':
		switch name {
		case "here", "channel", "everyone":
			return "<!" + name + ">"
		}
		for _, u := range w.users {
			if strings.EqualFold(u.Name, name) {
				return "<@" + u.ID + label(u.Name) + ">"
			}
		}
		for _, g := range w.groups {
			if g.Handle == name {
				return "<!subteam^" + g.ID + label("@"+name) + ">"
			}
		}
	case '#':
		for _, c := range w.channels {
			if c.Name == name && !c.MPIM {
				return "<#" + c.ID + "|" + c.Name + ">"
			}
		}
	case 'h':
		return "<" + escaper.Replace(word) + ">"
	}
	return escaper.Replace(word)
}

// richText is the rich_text block that Slack adds to what people type.
func (w *World) richText(text string) []Block { return []Block{payload.RichText(text, w.random(5))} }
