package rules

import (
	"strings"

	"github.com/starling-rules/starling/engine/event"
)

// subject is an event while it is matched, with what is computed from it once
// and used for many rules.
type subject struct {
	e     *event.Event
	names Names
	meter *meter

	// addressed and after are for mention rules: whether the event is
	// addressed to the bot, and its text without the leading mention.
	addressed bool
	after     string

	// witness: rules of messages are tried on a mention, so that what no rule
	// is for is known to be that. They do not run on it.
	witness bool

	// readable is for rules with a match option.
	readable readable

	channel, user, mail string
	channelKnown        bool
	userKnown           bool
}

func (s *subject) reset(e *event.Event, names Names, m *meter) {
	*s = subject{e: e, names: names, meter: m}
	if e.Kind == event.Message || e.Kind == event.Mention {
		s.after, s.addressed = address(e)
	}
}

func (s *subject) channelName() string {
	if !s.channelKnown && s.names != nil && s.e.Channel != "" {
		s.channel = s.names.ChannelName(s.e.Team, s.e.Channel)
	}
	s.channelKnown = true
	return s.channel
}

func (s *subject) userName() (name, mail string) {
	if !s.userKnown && s.names != nil && s.e.User != "" {
		s.user, s.mail = s.names.UserName(s.e.Team, s.e.User)
	}
	s.userKnown = true
	return s.user, s.mail
}

// address reports whether a message is addressed to the bot: it begins with
// the bot's mention, or is a direct message. It returns the text without that
// mention. An app_mention whose bot is not known counts if it begins with any.
func address(e *event.Event) (after string, ok bool) {
	text := strings.TrimLeft(e.Text, " \t\n")
	if inner, found := strings.CutPrefix(text, "<@"); found {
		if id, rest, closed := strings.Cut(inner, ">"); closed {
			id, _, _ = strings.Cut(id, "|")
			if id != "" && (id == e.BotUser || e.BotUser == "" && e.Kind == event.Mention) {
				rest = strings.TrimLeft(rest, " \t\n\u00a0")
				if rest != "" && (rest[0] == ':' || rest[0] == ',') {
					rest = strings.TrimLeft(rest[1:], " \t\n\u00a0")
				}
				return rest, true
			}
		}
	}
	return e.Text, e.IM
}

// ids calls f with the texts that rules of the kind compare with their id or
// pattern.
func (s *subject) ids(kind event.Kind, f func(string)) {
	e := s.e
	switch kind {
	case event.Command:
		f(e.Command)
	case event.Action, event.Options:
		for i := range e.Actions {
			f(e.Actions[i].ActionID)
		}
		if legacy(e) {
			f(e.CallbackID)
		}
	case event.Submit, event.ViewClosed, event.Shortcut, event.Schedule:
		f(e.CallbackID)
	case event.Reaction:
		f(e.Reaction)
		if base := baseEmoji(e.Reaction); base != e.Reaction {
			f(base)
		}
	case event.Other:
		f(e.Type)
	}
}

// text returns what the regexes of message and mention rules are tried on.
func (s *subject) text(kind event.Kind) string {
	if kind == event.Mention {
		return s.after
	}
	return s.e.Text
}

// legacy reports whether the event is of attachments or dialogs, whose rules
// go by callback_id.
func legacy(e *event.Event) bool {
	return e.Type == "interactive_message" || strings.HasPrefix(e.Type, "dialog_")
}
