package sim

import (
	"slices"
	"sort"
)

// Message is one message, in the spelling of Slack's own objects. An
// ephemeral one has a Viewer and is seen by nobody else, not by the Web API.
type Message struct {
	Type        string     `json:"type"`
	Subtype     string     `json:"subtype,omitempty"`
	Channel     string     `json:"channel,omitempty"`
	User        string     `json:"user,omitempty"`
	BotID       string     `json:"bot_id,omitempty"`
	AppID       string     `json:"app_id,omitempty"`
	Username    string     `json:"username,omitempty"`
	Icons       Block      `json:"icons,omitempty"`
	Team        string     `json:"team,omitempty"`
	ClientMsgID string     `json:"client_msg_id,omitempty"`
	Text        string     `json:"text"`
	TS          string     `json:"ts"`
	ThreadTS    string     `json:"thread_ts,omitempty"`
	ParentUser  string     `json:"parent_user_id,omitempty"`
	Blocks      []Block    `json:"blocks,omitempty"`
	Attachments []Block    `json:"attachments,omitempty"`
	Metadata    Block      `json:"metadata,omitempty"`
	Edited      *Edited    `json:"edited,omitempty"`
	Reactions   []Reaction `json:"reactions,omitempty"`
	ReplyCount  int        `json:"reply_count,omitempty"`
	ReplyUsers  []string   `json:"reply_users,omitempty"`
	LatestReply string     `json:"latest_reply,omitempty"`
	Viewer      string     `json:"viewer,omitempty"`
}

// Edited says who changed a message last, and when.
type Edited struct {
	User string `json:"user"`
	TS   string `json:"ts"`
}

// Reaction is one emoji below a message.
type Reaction struct {
	Name  string   `json:"name"`
	Users []string `json:"users"`
	Count int      `json:"count"`
}

// reply reports whether the message is in a thread without being its parent.
func (m *Message) reply() bool { return m.ThreadTS != "" && m.ThreadTS != m.TS }

// wire is the message as the app sees it.
func (m *Message) wire(metadata bool) Block {
	c := *m
	c.Channel, c.Viewer = "", ""
	if !metadata {
		c.Metadata = nil
	}
	b := object(c)
	if c.ReplyCount > 0 {
		b["reply_users_count"] = len(c.ReplyUsers)
	}
	return b
}

// find returns a message that viewer may see; ephemeral ones only if viewer
// is named.
func (w *World) find(channel, ts, viewer string) *Message {
	list := w.messages[channel]
	i := sort.Search(len(list), func(i int) bool { return tsMicros(list[i].TS) >= tsMicros(ts) })
	if i == len(list) || list[i].TS != ts {
		return nil
	}
	if m := list[i]; m.Viewer == "" || m.Viewer == viewer {
		return m
	}
	return nil
}

// post adds a message to c and tells everyone. m's ts, type, team and
// channel are set here.
func (w *World) post(c *Channel, m Message) (*Message, error) {
	m.Type, m.Channel, m.TS = "message", c.ID, w.nextTS()
	if m.Viewer == "" {
		m.Team = w.team.ID
	}
	if m.ThreadTS != "" && m.Viewer == "" {
		parent := w.find(c.ID, m.ThreadTS, "")
		if parent == nil {
			return nil, Code("thread_not_found")
		}
		if parent.reply() { // Slack threads have one level
			m.ThreadTS = parent.ThreadTS
			parent = w.find(c.ID, m.ThreadTS, "")
		}
		if parent != nil {
			m.ParentUser = parent.User
			w.addReply(parent, &m)
		}
	}
	list := append(w.messages[c.ID], &m)
	if len(list) > maxMessages {
		list = slices.Clone(list[maxMessages/10:])
	}
	w.messages[c.ID] = list
	w.log.add("message", &m)
	if m.Viewer == "" {
		w.tellMessage(c, &m)
	}
	return &m, nil
}

// addReply counts a reply at its thread's parent.
func (w *World) addReply(parent, m *Message) {
	parent.ThreadTS = parent.TS
	parent.ReplyCount++
	parent.LatestReply = m.TS
	if m.User != "" && !slices.Contains(parent.ReplyUsers, m.User) {
		parent.ReplyUsers = append(slices.Clone(parent.ReplyUsers), m.User)
	}
	w.log.add("message", parent)
}

// edit replaces the content of a message, by the user who may.
func (w *World) edit(c *Channel, m *Message, by string, content Message) {
	before := *m
	m.Text, m.Blocks, m.Attachments = content.Text, content.Blocks, content.Attachments
	if content.Metadata != nil {
		m.Metadata = content.Metadata
	}
	ts := w.nextTS()
	if by != "" {
		m.Edited = &Edited{by, ts[:len(ts)-6] + "000000"}
	}
	w.log.add("message", m)
	if m.Viewer == "" {
		w.tellChanged(c, m, &before, ts)
	}
}

// remove deletes a message; the parent of a thread leaves a tombstone.
func (w *World) remove(c *Channel, m *Message) {
	before := *m
	if m.ReplyCount > 0 && m.Viewer == "" {
		m.Subtype, m.Text, m.User, m.BotID = "tombstone", "This message was deleted.", slackbot, ""
		m.Blocks, m.Attachments, m.Reactions, m.Edited, m.Metadata = nil, nil, nil, nil, nil
		w.log.add("message", m)
		w.tellChanged(c, m, &before, w.nextTS())
		return
	}
	w.messages[c.ID] = slices.DeleteFunc(slices.Clone(w.messages[c.ID]), func(x *Message) bool { return x == m })
	w.log.add("delete", Block{"channel": c.ID, "ts": m.TS})
	if m.Viewer != "" {
		return
	}
	if m.reply() {
		w.dropReply(m)
	}
	w.tellDeleted(c, &before)
}

// dropReply takes a deleted reply off its parent's count.
func (w *World) dropReply(m *Message) {
	parent := w.find(m.Channel, m.ThreadTS, "")
	if parent == nil {
		return
	}
	parent.ReplyCount, parent.ReplyUsers, parent.LatestReply = 0, nil, ""
	for _, x := range w.messages[m.Channel] {
		if x.Viewer == "" && x.reply() && x.ThreadTS == parent.TS {
			parent.ReplyCount++
			parent.LatestReply = x.TS
			if x.User != "" && !slices.Contains(parent.ReplyUsers, x.User) {
				parent.ReplyUsers = append(parent.ReplyUsers, x.User)
			}
		}
	}
	if parent.ReplyCount == 0 {
		parent.ThreadTS = ""
	}
	w.log.add("message", parent)
}

// react adds a user's emoji, or takes it away.
func (w *World) react(c *Channel, m *Message, user, name string, out bool) error {
	i := slices.IndexFunc(m.Reactions, func(r Reaction) bool { return r.Name == name })
	has := i >= 0 && slices.Contains(m.Reactions[i].Users, user)
	switch {
	case out && !has:
		return Code("no_reaction")
	case !out && has:
		return Code("already_reacted")
	}
	all := slices.Clone(m.Reactions)
	switch {
	case i < 0:
		all = append(all, Reaction{Name: name, Users: []string{user}, Count: 1})
	case out && all[i].Count == 1:
		all = slices.Delete(all, i, i+1)
	case out:
		all[i].Users = slices.DeleteFunc(slices.Clone(all[i].Users), func(u string) bool { return u == user })
		all[i].Count--
	default:
		all[i].Users = append(slices.Clone(all[i].Users), user)
		all[i].Count++
	}
	m.Reactions = all
	w.log.add("message", m)
	kind := "reaction_added"
	if out {
		kind = "reaction_removed"
	}
	w.event(c, Block{
		"type": kind, "user": user, "reaction": name, "item_user": m.User,
		"item": Block{"type": "message", "channel": c.ID, "ts": m.TS}, "event_ts": w.nextTS(),
	})
	return nil
}
