package sim

import (
	"slices"
	"strings"
)

// Channel is a conversation: a channel, or a direct message of two or more.
type Channel struct {
	ID      string   `json:"id"`
	Name    string   `json:"name,omitempty"`
	Topic   string   `json:"topic,omitempty"`
	Purpose string   `json:"purpose,omitempty"`
	Members []string `json:"members"`
	Created int64    `json:"created"` // Unix seconds
	General bool     `json:"is_general,omitempty"`
	Private bool     `json:"is_private,omitempty"`
	IM      bool     `json:"is_im,omitempty"`
	MPIM    bool     `json:"is_mpim,omitempty"`
	// Archived channels take no messages any more.
	Archived bool `json:"is_archived,omitempty"`
}

func (c *Channel) has(user string) bool { return slices.Contains(c.Members, user) }

// kind is the channel_type of events.
func (c *Channel) kind() string {
	switch {
	case c.IM:
		return "im"
	case c.MPIM:
		return "mpim"
	case c.Private:
		return "group"
	}
	return "channel"
}

// commandName is the channel_name of slash commands and interactions.
func (c *Channel) commandName() string {
	switch {
	case c.IM:
		return "directmessage"
	case c.Private || c.MPIM:
		return "privategroup"
	}
	return c.Name
}

// wire is the channel as the Web API shows it to viewer.
func (c *Channel) wire(viewer string) Block {
	if c.IM {
		other := c.Members[0]
		if other == viewer && len(c.Members) > 1 {
			other = c.Members[1]
		}
		return Block{
			"id": c.ID, "created": c.Created, "is_archived": false, "is_im": true, "is_org_shared": false,
			"user": other, "is_user_deleted": false, "priority": 0, "is_open": true,
		}
	}
	return Block{
		"id": c.ID, "name": c.Name, "name_normalized": c.Name, "created": c.Created, "creator": c.creator(),
		"is_channel": !c.Private && !c.MPIM, "is_group": c.Private && !c.MPIM, "is_im": false, "is_mpim": c.MPIM,
		"is_private": c.Private || c.MPIM, "is_general": c.General, "is_archived": c.Archived, "is_shared": false,
		"is_ext_shared": false, "is_org_shared": false, "is_member": c.has(viewer), "num_members": len(c.Members),
		"topic":   Block{"value": c.Topic, "creator": "", "last_set": 0},
		"purpose": Block{"value": c.Purpose, "creator": "", "last_set": 0}, "previous_names": []string{},
	}
}

// creator is the first member, or "".
func (c *Channel) creator() string {
	if len(c.Members) == 0 {
		return ""
	}
	return c.Members[0]
}

func (w *World) channel(id string) *Channel {
	for _, c := range w.channels {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// address finds what a message may be sent to: an id, a name with or without
// "#", or a user, whose direct message with `from` is opened.
func (w *World) address(to, from string) *Channel {
	if c := w.channel(to); c != nil {
		return c
	}
	if u := w.user(to); u != nil && u.ID != from {
		return w.open(from, u.ID)
	}
	name := strings.TrimPrefix(to, "#")
	for _, c := range w.channels {
		if name != "" && c.Name == name {
			return c
		}
	}
	return nil
}

// open returns the direct message of these users, new if need be.
func (w *World) open(users ...string) *Channel {
	slices.Sort(users)
	users = slices.Compact(users)
	for _, c := range w.channels {
		if c.IM || c.MPIM {
			m := slices.Clone(c.Members)
			slices.Sort(m)
			if slices.Equal(m, users) {
				return c
			}
		}
	}
	c := &Channel{ID: w.newID("D"), IM: true, Members: users, Created: w.now().Unix()}
	if len(users) > 2 {
		names := make([]string, len(users))
		for i, u := range users {
			names[i] = w.user(u).Name
		}
		c.ID, c.IM, c.MPIM = w.newID("G"), false, true
		c.Name = "mpdm-" + strings.Join(names, "--") + "-1"
	}
	w.channels = append(w.channels, c)
	w.log.add("channel", c)
	return c
}

// join adds a member, or with out removes it, and tells the app.
func (w *World) join(c *Channel, user string, out bool) {
	if c.has(user) != out {
		return
	}
	kind, tell := "member_joined_channel", c.has(w.app.UserID)
	if out {
		kind = "member_left_channel"
		c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m string) bool { return m == user })
	} else {
		c.Members = append(slices.Clone(c.Members), user)
	}
	w.log.add("channel", c)
	if tell || user == w.app.UserID {
		w.event(c, Block{
			"type": kind, "user": user, "channel": c.ID, "channel_type": strings.ToUpper(c.ID[:1]),
			"team": w.team.ID, "event_ts": w.nextTS(),
		})
	}
}
