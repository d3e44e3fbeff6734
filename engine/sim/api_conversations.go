package sim

import (
	"slices"
	"strings"
)

func conversationsList(c *call) (Block, error) { return listChannels(c, false) }

func usersConversations(c *call) (Block, error) { return listChannels(c, true) }

func listChannels(c *call, mine bool) (Block, error) {
	types := strings.Split(c.str("types"), ",")
	if c.str("types") == "" {
		types = []string{"public_channel"}
	}
	names := map[string]string{"channel": "public_channel", "group": "private_channel", "im": "im", "mpim": "mpim"}
	for i, t := range types {
		types[i] = strings.TrimSpace(t)
		if !slices.Contains([]string{"public_channel", "private_channel", "im", "mpim"}, types[i]) {
			return nil, Code("invalid_types")
		}
	}
	user := c.user
	if u := c.str("user"); mine && u != "" {
		user = u
	}
	var all []*Channel
	for _, ch := range c.w.channels {
		if !slices.Contains(types, names[ch.kind()]) || (ch.kind() != "channel" || mine) && !ch.has(user) {
			continue
		}
		all = append(all, ch)
	}
	page, next, err := paged(c, all, 100)
	if err != nil {
		return nil, err
	}
	out := make([]Block, len(page))
	for i, ch := range page {
		out[i] = ch.wire(c.user)
	}
	return Block{"channels": out, "response_metadata": cursor(next)}, nil
}

// readable finds a channel that a call may look at.
func (c *call) readable() (*Channel, error) {
	ch := c.w.channel(c.str("channel"))
	if ch == nil || (ch.kind() != "channel" && !ch.has(c.user)) {
		return nil, Code("channel_not_found")
	}
	return ch, nil
}

func conversationsInfo(c *call) (Block, error) {
	ch, err := c.readable()
	if err != nil {
		return nil, err
	}
	return Block{"channel": ch.wire(c.user)}, nil
}

func conversationsMembers(c *call) (Block, error) {
	ch, err := c.readable()
	if err != nil {
		return nil, err
	}
	page, next, err := paged(c, ch.Members, 100)
	if err != nil {
		return nil, err
	}
	return Block{"members": page, "response_metadata": cursor(next)}, nil
}

// between keeps the messages within oldest and latest.
func (c *call) between(all []*Message) ([]*Message, error) {
	oldest, latest, inclusive := c.str("oldest"), c.str("latest"), c.flag("inclusive")
	if oldest != "" && oldest != "0" && tsMicros(oldest) == 0 {
		return nil, Code("invalid_ts_oldest")
	}
	if latest != "" && tsMicros(latest) == 0 {
		return nil, Code("invalid_ts_latest")
	}
	lo, hi := tsMicros(oldest), tsMicros(latest)
	return slices.DeleteFunc(all, func(m *Message) bool {
		t := tsMicros(m.TS)
		out := oldest != "" && (t < lo || t == lo && !inclusive)
		return out || latest != "" && (t > hi || t == hi && !inclusive)
	}), nil
}

// history finds a channel whose messages a call may read.
func (c *call) history() (*Channel, error) {
	ch, err := c.readable()
	if err != nil {
		return nil, err
	}
	if !ch.has(c.user) {
		return nil, Code("not_in_channel")
	}
	return ch, nil
}

func conversationsHistory(c *call) (Block, error) {
	ch, err := c.history()
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(c.w.visible(ch.ID), func(m *Message) bool { return m.reply() })
	slices.Reverse(all)
	if all, err = c.between(all); err != nil {
		return nil, err
	}
	return c.messages(all)
}

func conversationsReplies(c *call) (Block, error) {
	ch, err := c.history()
	if err != nil {
		return nil, err
	}
	m := c.w.find(ch.ID, c.str("ts"), "")
	if m == nil {
		return nil, Code("thread_not_found")
	}
	root := m.TS
	if m.reply() {
		root = m.ThreadTS
	}
	var parent, replies []*Message
	for _, x := range c.w.visible(ch.ID) {
		if x.TS == root {
			parent = append(parent, x)
		} else if x.ThreadTS == root {
			replies = append(replies, x)
		}
	}
	if replies, err = c.between(replies); err != nil {
		return nil, err
	}
	return c.messages(append(parent, replies...))
}

func (c *call) messages(all []*Message) (Block, error) {
	page, next, err := paged(c, all, 100)
	if err != nil {
		return nil, err
	}
	out := make([]Block, len(page))
	for i, m := range page {
		out[i] = m.wire(c.flag("include_all_metadata"))
	}
	b := Block{"messages": out, "has_more": next != "", "pin_count": 0}
	if next != "" {
		b["response_metadata"] = cursor(next)
	}
	return b, nil
}

func conversationsOpen(c *call) (Block, error) {
	if id := c.str("channel"); id != "" {
		ch := c.w.channel(id)
		if ch == nil || !ch.has(c.user) || !ch.IM && !ch.MPIM {
			return nil, Code("channel_not_found")
		}
		return Block{"channel": Block{"id": ch.ID}, "no_op": true, "already_open": true}, nil
	}
	if c.str("users") == "" {
		return nil, Code("users_list_not_supplied")
	}
	users := strings.Split(c.str("users"), ",")
	for i, id := range users {
		users[i] = strings.TrimSpace(id)
		if c.w.user(users[i]) == nil {
			return nil, Code("user_not_found")
		}
	}
	if len(users) > 8 {
		return nil, Code("too_many_users")
	}
	n := len(c.w.channels)
	ch := c.w.open(append(users, c.user)...)
	known := len(c.w.channels) == n
	out := Block{"channel": Block{"id": ch.ID}, "no_op": known, "already_open": known}
	if c.flag("return_im") {
		out["channel"] = ch.wire(c.user)
	}
	return out, nil
}

// public finds a channel that people join and leave.
func (c *call) public() (*Channel, error) {
	ch := c.w.channel(c.str("channel"))
	switch {
	case ch == nil:
		return nil, Code("channel_not_found")
	case ch.IM || ch.MPIM:
		return nil, Code("method_not_supported_for_channel_type")
	}
	return ch, nil
}

func conversationsJoin(c *call) (Block, error) {
	ch, err := c.public()
	if err != nil {
		return nil, err
	}
	out := Block{}
	if ch.has(c.user) {
		out["warning"] = "already_in_channel"
		out["response_metadata"] = Block{"warnings": []string{"already_in_channel"}}
	} else if ch.Private {
		return nil, Code("channel_not_found")
	}
	c.w.join(ch, c.user, false)
	out["channel"] = ch.wire(c.user)
	return out, nil
}

func conversationsLeave(c *call) (Block, error) {
	ch, err := c.public()
	switch {
	case err != nil:
		return nil, err
	case ch.General:
		return nil, Code("cant_leave_general")
	case !ch.has(c.user):
		return Block{"not_in_channel": true}, nil
	}
	c.w.join(ch, c.user, true)
	return Block{}, nil
}

func conversationsInvite(c *call) (Block, error) {
	ch, err := c.public()
	switch {
	case err != nil:
		return nil, err
	case !ch.has(c.user):
		return nil, Code("not_in_channel")
	}
	for id := range strings.SplitSeq(c.str("users"), ",") {
		id = strings.TrimSpace(id)
		switch {
		case id == c.user:
			return nil, Code("cant_invite_self")
		case c.w.user(id) == nil:
			return nil, Code("user_not_found")
		case ch.has(id):
			return nil, Code("already_in_channel")
		}
		c.w.join(ch, id, false)
	}
	return Block{"channel": ch.wire(c.user)}, nil
}
