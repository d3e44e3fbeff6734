package sim

import (
	"regexp"
	"strings"
)

func usersList(c *call) (Block, error) {
	page, next, err := paged(c, c.w.users, 200)
	if err != nil {
		return nil, err
	}
	out := make([]Block, len(page))
	for i, u := range page {
		out[i] = u.wire(c.w.team.ID)
	}
	return Block{"members": out, "cache_ts": c.w.now().Unix(), "response_metadata": cursor(next)}, nil
}

func usersInfo(c *call) (Block, error) {
	u := c.w.user(c.str("user"))
	if u == nil {
		return nil, Code("user_not_found")
	}
	return Block{"user": u.wire(c.w.team.ID)}, nil
}

func usersLookupByEmail(c *call) (Block, error) {
	for _, u := range c.w.users {
		if u.Email != "" && strings.EqualFold(u.Email, c.str("email")) {
			return Block{"user": u.wire(c.w.team.ID)}, nil
		}
	}
	return nil, Code("users_not_found")
}

// emojiName is what Slack takes as a name: with a skin tone, if any.
var emojiName = regexp.MustCompile(`^[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?$`)

// reactable finds the message that a reactions call means.
func (c *call) reactable() (*Channel, *Message, error) {
	ch, err := c.readable()
	if err != nil {
		return nil, nil, err
	}
	if !ch.has(c.user) {
		return nil, nil, Code("not_in_channel")
	}
	m := c.w.find(ch.ID, c.str("timestamp"), "")
	if m == nil {
		return nil, nil, Code("message_not_found")
	}
	return ch, m, nil
}

func reactionsAdd(c *call) (Block, error) { return c.react(false) }

func reactionsRemove(c *call) (Block, error) { return c.react(true) }

func (c *call) react(out bool) (Block, error) {
	name := strings.Trim(c.str("name"), ":")
	if !emojiName.MatchString(name) {
		return nil, Code("invalid_name")
	}
	ch, m, err := c.reactable()
	if err != nil {
		return nil, err
	}
	return Block{}, c.w.react(ch, m, c.user, name, out)
}

func reactionsGet(c *call) (Block, error) {
	ch, m, err := c.reactable()
	if err != nil {
		return nil, err
	}
	return Block{"type": "message", "channel": ch.ID, "message": m.wire(false)}, nil
}
