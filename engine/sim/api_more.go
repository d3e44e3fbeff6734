package sim

import "slices"

func chatMeMessage(c *call) (Block, error) {
	ch, err := c.speaker()
	if err != nil {
		return nil, err
	}
	m, err := c.content()
	if err != nil {
		return nil, err
	}
	m.Subtype = "me_message"
	p, err := c.w.post(ch, m)
	if err != nil {
		return nil, err
	}
	return Block{"channel": ch.ID, "ts": p.TS}, nil
}

func usersGetPresence(c *call) (Block, error) {
	id := or(c.str("user"), c.user)
	if c.w.user(id) == nil {
		return nil, Code("user_not_found")
	}
	return Block{"presence": "active"}, nil
}

func usersProfileGet(c *call) (Block, error) {
	u := c.w.user(or(c.str("user"), c.user))
	if u == nil {
		return nil, Code("user_not_found")
	}
	return Block{"profile": u.wire(c.w.team.ID)["profile"]}, nil
}

func reactionsList(c *call) (Block, error) {
	user := or(c.str("user"), c.user)
	var all []Block
	for _, ch := range c.w.channels {
		if !ch.has(c.user) {
			continue
		}
		for _, m := range c.w.visible(ch.ID) {
			if slices.ContainsFunc(m.Reactions, func(r Reaction) bool { return slices.Contains(r.Users, user) }) {
				all = append(all, Block{"type": "message", "channel": ch.ID, "message": m.wire(false)})
			}
		}
	}
	page, next, err := paged(c, all, 100)
	if err != nil {
		return nil, err
	}
	return Block{"items": append([]Block{}, page...), "response_metadata": cursor(next)}, nil
}

// pinned is a message that is pinned to its channel.
type pinned struct {
	channel, ts, by string
	at              int64
}

func (c *call) pin(out bool) (Block, error) {
	ch, m, err := c.reactable()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(c.w.pins, func(p pinned) bool { return p.channel == ch.ID && p.ts == m.TS })
	switch {
	case out && i < 0:
		return nil, Code("no_pin")
	case !out && i >= 0:
		return nil, Code("already_pinned")
	}
	kind := "pin_added"
	if out {
		kind = "pin_removed"
		c.w.pins = slices.Delete(c.w.pins, i, i+1)
	} else {
		c.w.pins = append(c.w.pins, pinned{ch.ID, m.TS, c.user, c.w.now().Unix()})
	}
	c.w.event(ch, Block{
		"type": kind, "user": c.user, "channel_id": ch.ID, "event_ts": c.w.nextTS(), "has_pins": len(c.w.pins) > 0,
		"item": Block{"type": "message", "channel": ch.ID, "message": m.wire(false), "created": c.w.now().Unix()},
	})
	return Block{}, nil
}

func pinsAdd(c *call) (Block, error) { return c.pin(false) }

func pinsRemove(c *call) (Block, error) { return c.pin(true) }

func pinsList(c *call) (Block, error) {
	ch, err := c.readable()
	if err != nil {
		return nil, err
	}
	items := []Block{}
	for _, p := range c.w.pins {
		if m := c.w.find(ch.ID, p.ts, ""); p.channel == ch.ID && m != nil {
			items = append(items, Block{"type": "message", "channel": ch.ID, "message": m.wire(false), "created": p.at, "created_by": p.by})
		}
	}
	return Block{"items": items}, nil
}
