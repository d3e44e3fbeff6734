package slackapi

import (
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// Observe drops what an event shows to be out of date. Call it for each event;
// it does not wait.
func (c *Client) Observe(e *event.Event) {
	if e.Subtype == "message_changed" || e.Subtype == "message_deleted" {
		for _, field := range []string{"message", "previous_message"} {
			c.messages.forget(e.Team, e.Channel+"/"+text(dig(e.Raw, "event", field, "ts")))
		}
	}
	if e.Kind != event.Other {
		return
	}
	switch {
	case strings.HasPrefix(e.Type, "channel_"), strings.HasPrefix(e.Type, "group_"), strings.HasPrefix(e.Type, "im_"):
		c.forgetChannel(e)
		if strings.HasPrefix(e.Type, "im_") {
			c.ims.forget(e.Team, "list")
			return
		}
		c.indexes.forget(e.Team, channels.method)
	case e.Type == "member_joined_channel", e.Type == "member_left_channel":
		c.forgetChannel(e)
		if e.User != "" && e.User == e.BotUser {
			// What the bot can see has changed: a private channel came or went.
			c.indexes.forget(e.Team, channels.method)
		}
	case e.Type == "user_change", e.Type == "user_profile_changed", e.Type == "team_join":
		c.userChanged(e)
	case e.Type == "emoji_changed":
		c.emoji.forget(e.Team, "list")
	case strings.HasPrefix(e.Type, "subteam_"):
		c.groups.forget(e.Team, "list")
	case e.Type == "tokens_revoked", e.Type == "app_uninstalled":
		c.selves.forget(e.Team, "self")
	}
}

func (c *Client) forgetChannel(e *event.Event) {
	ids := map[string]bool{e.Channel: true, text(dig(e.Raw, "event", "channel")): true, text(dig(e.Raw, "event", "channel", "id")): true}
	for id := range ids {
		c.channels.forget(e.Team, id)
	}
}

// userChanged brings the names of a user up to date in the indexes that are
// there: users change their status all day long, and to load a list of
// thousands anew each time would use up the rate limit.
func (c *Client) userChanged(e *event.Event) {
	user, _ := dig(e.Raw, "event", "user").(runtime.JSON)
	id := text(dig(user, "id"))
	if id == "" {
		id = e.User
	}
	c.users.forget(e.Team, id)
	c.users.forget(e.Team, strings.ToLower(text(dig(user, "profile", "email"))))
	w, err := runtime.ParseView(user)
	if err != nil || id == "" || !w.IsDict() {
		return
	}
	changed := false
	// Without a name the event says nothing of the names.
	if gone, _ := w.Get("deleted"); gone != true && str(w, "name") == "" {
		return
	}
	c.indexes.each(e.Team, func(ix *index) {
		if ix.users {
			changed = ix.set(id, users.namesOf(w)) || changed
		}
	})
	if changed {
		c.indexes.outdate(e.Team, users.method)
	}
}
