package sim

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/payload"
)

// maxText is where Slack cuts the text of a message, in characters.
const maxText = 40_000

// appMessage reads the content of a message that the app sends.
func (w *World) appMessage(a args) (Message, error) {
	m := Message{User: w.app.UserID, BotID: w.app.BotID, AppID: w.app.ID, Text: a.str("text")}
	var err error
	if m.Blocks, err = a.objects("blocks"); err != nil {
		return m, &Invalid{"invalid_blocks_format", []string{"[ERROR] " + err.Error()}}
	}
	if m.Attachments, err = a.objects("attachments"); err != nil {
		return m, Code("invalid_attachments")
	}
	if m.Metadata, err = a.object("metadata"); err != nil {
		return m, Code("invalid_metadata_format")
	}
	if m.Metadata != nil && text(m.Metadata["event_type"]) == "" {
		return m, Code("invalid_metadata_schema")
	}
	if strings.TrimSpace(m.Text) == "" && len(m.Blocks) == 0 && len(m.Attachments) == 0 {
		return m, Code("no_text")
	}
	if len(m.Attachments) > 100 {
		return m, Code("too_many_attachments")
	}
	if utf8.RuneCountInString(m.Text) > maxText {
		m.Text = string([]rune(m.Text)[:maxText])
	}
	if err := w.checkBlocks(m.Blocks, maxBlocks); err != nil {
		return m, err
	}
	for i, at := range m.Attachments {
		if at["id"] == nil {
			at["id"] = i + 1
		}
		if err := w.checkBlocks(payload.Objects(at["blocks"]), maxBlocks); err != nil {
			return m, err
		}
	}
	return m, nil
}

// speaker finds the channel that a call may write to.
func (c *call) speaker() (*Channel, error) {
	ch := c.w.address(c.str("channel"), c.user)
	switch {
	case ch == nil:
		return nil, Code("channel_not_found")
	case !ch.has(c.user):
		if ch.IM || ch.MPIM || ch.Private {
			return nil, Code("channel_not_found")
		}
		return nil, Code("not_in_channel")
	case ch.Archived:
		return nil, Code("is_archived")
	}
	return ch, nil
}

func chatPostMessage(c *call) (Block, error) {
	ch, err := c.speaker()
	if err != nil {
		return nil, err
	}
	m, err := c.content()
	if err != nil {
		return nil, err
	}
	m.ThreadTS = c.str("thread_ts")
	if name := c.str("username"); name != "" && c.bot {
		m.Subtype, m.Username = "bot_message", name
		if e := c.str("icon_emoji"); e != "" {
			m.Icons = Block{"emoji": e}
		}
	}
	p, err := c.w.post(ch, m)
	if err != nil {
		return nil, err
	}
	return Block{"channel": ch.ID, "ts": p.TS, "message": p.wire(true)}, nil
}

// content reads a message and signs it with whom the token speaks for.
func (c *call) content() (Message, error) {
	m, err := c.w.appMessage(c.args)
	m.User = c.user
	if !c.bot && err == nil && len(m.Blocks) == 0 {
		m.Blocks = c.w.richText(m.Text)
	}
	return m, err
}

func chatPostEphemeral(c *call) (Block, error) {
	ch, err := c.speaker()
	if err != nil {
		return nil, err
	}
	u := c.w.user(c.str("user"))
	switch {
	case u == nil:
		return nil, Code("user_not_found")
	case !ch.has(u.ID):
		return nil, Code("user_not_in_channel")
	}
	m, err := c.content()
	if err != nil {
		return nil, err
	}
	m.Viewer, m.ThreadTS = u.ID, c.str("thread_ts")
	p, err := c.w.post(ch, m)
	if err != nil {
		return nil, err
	}
	return Block{"message_ts": p.TS}, nil
}

// own finds a message of the caller's.
func (c *call) own(refused Code) (*Channel, *Message, error) {
	ch, err := c.speaker()
	if err != nil {
		return nil, nil, err
	}
	m := c.w.find(ch.ID, c.str("ts"), "")
	switch {
	case m == nil:
		return nil, nil, Code("message_not_found")
	case m.User != c.user:
		return nil, nil, refused
	}
	return ch, m, nil
}

func chatUpdate(c *call) (Block, error) {
	ch, m, err := c.own("cant_update_message")
	if err != nil {
		return nil, err
	}
	fresh, err := c.content()
	if err != nil {
		return nil, err
	}
	// What an update leaves out stays, except that new text without blocks
	// takes the old ones away.
	if !c.has("text") {
		fresh.Text = m.Text
	}
	if !c.has("attachments") && !c.has("blocks") && !c.has("text") {
		fresh.Attachments = m.Attachments
	}
	by := ""
	if fresh.Text != m.Text {
		by = c.user
	}
	c.w.edit(ch, m, by, fresh)
	return Block{"channel": ch.ID, "ts": m.TS, "text": m.Text, "message": m.wire(true)}, nil
}

func chatDelete(c *call) (Block, error) {
	ch, m, err := c.own("cant_delete_message")
	if err != nil {
		return nil, err
	}
	ts := m.TS
	c.w.remove(ch, m)
	return Block{"channel": ch.ID, "ts": ts}, nil
}

func chatGetPermalink(c *call) (Block, error) {
	ch := c.w.channel(c.str("channel"))
	if ch == nil {
		return nil, Code("channel_not_found")
	}
	m := c.w.find(ch.ID, c.str("message_ts"), "")
	if m == nil {
		return nil, Code("message_not_found")
	}
	link := c.s.URL() + "/archives/" + ch.ID + "/p" + strings.Replace(m.TS, ".", "", 1)
	if m.reply() {
		link += "?thread_ts=" + m.ThreadTS + "&cid=" + ch.ID
	}
	return Block{"channel": ch.ID, "permalink": link}, nil
}

// visible lists the messages of a channel that the Web API shows.
func (w *World) visible(channel string) []*Message {
	return slices.DeleteFunc(slices.Clone(w.messages[channel]), func(m *Message) bool { return m.Viewer != "" })
}
