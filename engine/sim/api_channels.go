package sim

import (
	"regexp"
	"unicode/utf8"
)

// What Slack takes as the name of a channel, and as a topic. The pattern leaves
// the length of the name to badChannelName: with a bound it would hold its large
// classes of characters as often, in every process that starts, workers included.
var channelName = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]+$`)

const maxTopic = 250 // characters

func conversationsCreate(c *call) (Block, error) {
	name := c.str("name")
	if err := c.w.badChannelName(name); err != nil {
		return nil, err
	}
	ch := &Channel{ID: c.w.newID("C"), Name: name, Private: c.flag("is_private"), Members: []string{c.user}, Created: c.w.now().Unix()}
	c.w.channels = append(c.w.channels, ch)
	c.w.log.add("channel", ch)
	if !ch.Private {
		c.w.event(ch, Block{
			"type": "channel_created", "event_ts": c.w.nextTS(),
			"channel": Block{"id": ch.ID, "name": ch.Name, "created": ch.Created, "creator": c.user},
		})
	}
	return Block{"channel": ch.wire(c.user)}, nil
}

// changeable finds a channel that the caller is in and may change.
func (c *call) changeable() (*Channel, error) {
	ch, err := c.public()
	switch {
	case err != nil:
		return nil, err
	case !ch.has(c.user):
		return nil, Code("not_in_channel")
	case ch.Archived:
		return nil, Code("is_archived")
	}
	return ch, nil
}

func conversationsSetTopic(c *call) (Block, error) {
	return c.describe("topic", func(ch *Channel, text string) { ch.Topic = text })
}

func conversationsSetPurpose(c *call) (Block, error) {
	return c.describe("purpose", func(ch *Channel, text string) { ch.Purpose = text })
}

func (c *call) describe(what string, set func(*Channel, string)) (Block, error) {
	ch, err := c.changeable()
	if err != nil {
		return nil, err
	}
	text := c.str(what)
	if utf8.RuneCountInString(text) > maxTopic {
		return nil, Code("too_long")
	}
	set(ch, text)
	c.w.log.add("channel", ch)
	return Block{what: text, "channel": ch.wire(c.user)}, nil
}

func conversationsArchive(c *call) (Block, error) {
	ch, err := c.changeable()
	switch code, _ := err.(Code); {
	case code == "is_archived":
		return nil, Code("already_archived")
	case err != nil:
		return nil, err
	case ch.General:
		return nil, Code("cant_archive_general")
	}
	ch.Archived = true
	c.w.log.add("channel", ch)
	if !ch.Private {
		c.w.event(ch, Block{"type": "channel_archive", "channel": ch.ID, "user": c.user, "event_ts": c.w.nextTS()})
	}
	return Block{}, nil
}

// badChannelName says what Slack finds wrong with the name of a channel.
func (w *World) badChannelName(name string) error {
	switch {
	case name == "":
		return Code("invalid_name_required")
	case utf8.RuneCountInString(name) > 80:
		return Code("invalid_name_maxlength")
	case !channelName.MatchString(name):
		return Code("invalid_name_specials")
	}
	for _, ch := range w.channels {
		if ch.Name == name {
			return Code("name_taken")
		}
	}
	return nil
}

func conversationsRename(c *call) (Block, error) {
	ch, err := c.changeable()
	if err != nil {
		return nil, err
	}
	if err := c.w.badChannelName(c.str("name")); err != nil {
		return nil, err
	}
	ch.Name = c.str("name")
	c.w.log.add("channel", ch)
	c.w.event(ch, Block{
		"type": "channel_rename", "event_ts": c.w.nextTS(), "channel": Block{"id": ch.ID, "name": ch.Name, "created": ch.Created},
	})
	return Block{"channel": ch.wire(c.user)}, nil
}

func conversationsUnarchive(c *call) (Block, error) {
	ch, err := c.public()
	switch {
	case err != nil:
		return nil, err
	case !ch.Archived:
		return nil, Code("not_archived")
	}
	ch.Archived = false
	c.w.log.add("channel", ch)
	c.w.event(ch, Block{"type": "channel_unarchive", "channel": ch.ID, "user": c.user, "event_ts": c.w.nextTS()})
	return Block{}, nil
}

func conversationsKick(c *call) (Block, error) {
	ch, err := c.changeable()
	user := c.str("user")
	switch {
	case err != nil:
		return nil, err
	case c.w.user(user) == nil:
		return nil, Code("user_not_found")
	case user == c.user:
		return nil, Code("cant_kick_self")
	case ch.General:
		return nil, Code("cant_kick_from_general")
	case !ch.has(user):
		return nil, Code("not_in_channel")
	}
	c.w.join(ch, user, true)
	return Block{"errors": Block{}}, nil
}

func conversationsClose(c *call) (Block, error) {
	ch := c.w.channel(c.str("channel"))
	switch {
	case ch == nil || !ch.has(c.user):
		return nil, Code("channel_not_found")
	case !ch.IM && !ch.MPIM:
		return nil, Code("method_not_supported_for_channel_type")
	}
	return Block{}, nil
}

func conversationsMark(c *call) (Block, error) {
	if _, err := c.history(); err != nil {
		return nil, err
	}
	if tsMicros(c.str("ts")) == 0 {
		return nil, Code("invalid_timestamp")
	}
	return Block{}, nil // a bot's mark is nowhere to be seen
}
