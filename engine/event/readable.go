package event

import "strings"

// Namer tells what ids are called, without @ and #; "" if it does not know.
// A nil function knows nothing.
type Namer struct {
	User, Channel, Group func(id string) string
}

// Label is a piece of markup and what people read in its place; Label is empty
// if that is not known.
type Label struct{ Raw, Label string }

// Readable is a text with names in the place of ids, and what was replaced,
// each piece of markup once and in the order of the text.
type Readable struct {
	Text                                                        string
	Users, Channels, Groups, Specials, Emoji, Emails, Addresses []Label
}

// Read parses Slack's markup token by token: nothing but whole tokens is
// replaced. Labels that Slack sends come before names that are looked up; what
// has neither stays as it is. Entities are not decoded, emoji stay :names:.
func Read(text string, n Namer) Readable {
	if strings.IndexByte(text, '<') < 0 && strings.IndexByte(text, ':') < 0 {
		return Readable{Text: text}
	}
	r := Readable{}
	var b strings.Builder
	b.Grow(len(text))
	Tokens(text, func(t Token) bool {
		b.WriteString(r.read(t, n))
		return true
	})
	r.Text = b.String()
	return r
}

// read notes a token, and returns what stands in its place.
func (r *Readable) read(t Token, n Namer) string {
	var list *[]Label
	sign, label := "", t.Label
	look := func(name func(string) string) {
		if label == "" && name != nil {
			label = name(t.ID)
		}
	}
	switch t.Kind {
	case UserRef:
		list, sign = &r.Users, "@"
		look(n.User)
	case ChannelRef:
		list, sign = &r.Channels, "#"
		look(n.Channel)
	case GroupRef:
		list, sign = &r.Groups, "@"
		look(n.Group)
	case SpecialRef:
		list, sign, label = &r.Specials, "@", t.ID
	case EmailRef:
		list, label = &r.Emails, t.ID
	case LinkRef:
		list, label = &r.Addresses, t.ID
	case DateRef:
		if label == "" {
			return t.Raw
		}
		return label
	case EmojiRef:
		note(&r.Emoji, t.Raw, t.ID)
		return t.Raw
	default:
		return t.Raw
	}
	label = strings.TrimPrefix(label, sign)
	if label == "" {
		note(list, t.Raw, "")
		return t.Raw
	}
	if t.Kind == SpecialRef {
		note(list, t.Raw, sign+label)
	} else {
		note(list, t.Raw, label)
	}
	return sign + label
}

func note(list *[]Label, raw, label string) {
	for _, l := range *list {
		if l.Raw == raw {
			return
		}
	}
	*list = append(*list, Label{raw, label})
}

// Addressed reports whether a message is directed at the bot, that is, begins
// with its mention or is a direct message, and whether it mentions the bot
// anywhere. command is what is asked of the bot: the text behind the leading
// mention; else every line behind its last mention of the bot; still with
// markup, without white space around it.
func (e *Event) Addressed() (directed, mentioned bool, command string) {
	directed, mentioned = e.Directed(), e.Mentioned()
	if rest, ok := e.afterMention(); ok {
		return directed, true, rest
	}
	if !mentioned || e.BotUser == "" {
		return directed, mentioned, strings.TrimSpace(e.Text)
	}
	lines := strings.Split(e.Text, "\n")
	for i, line := range lines {
		at := 0
		Tokens(line, func(t Token) bool {
			at += len(t.Raw)
			if t.Kind == UserRef && t.ID == e.BotUser {
				lines[i] = line[at:]
			}
			return true
		})
	}
	return directed, mentioned, strings.TrimSpace(strings.Join(lines, "\n"))
}
