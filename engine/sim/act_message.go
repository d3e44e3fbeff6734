package sim

import (
	"context"
	"strings"
)

// Say is what a person types.
type Say struct {
	User    string `json:"user"`
	Channel string `json:"channel"` // id or #name
	Text    string `json:"text"`
	Thread  string `json:"thread_ts,omitempty"`
	// Raw takes Text as Slack's markup; otherwise @name, #channel and links
	// are turned into it and the rest is escaped.
	Raw bool `json:"raw,omitempty"`
}

// Say posts a message as a person. Text that begins with "/" is a slash
// command, as in Slack; it waits for the app's answer, and the message is
// then empty.
func (s *Server) Say(ctx context.Context, in Say) (Message, error) {
	if name, args, ok := splitCommand(in.Text); ok && in.Thread == "" && !in.Raw {
		return Message{}, s.Command(ctx, Command{User: in.User, Channel: in.Channel, Command: name, Text: args})
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, c, err := w.actorIn(in.User, in.Channel)
	if err != nil {
		return Message{}, err
	}
	if strings.TrimSpace(in.Text) == "" {
		return Message{}, Code("no_text")
	}
	text := in.Text
	if !in.Raw {
		text = w.markup(text, false)
	}
	m, err := w.post(c, Message{
		User: u.ID, Text: text, Blocks: w.richText(text), ThreadTS: in.Thread, ClientMsgID: strings.ToLower(w.random(26)),
	})
	if err != nil {
		return Message{}, err
	}
	return *m, nil
}

// splitCommand recognises "/name args". A path ("/etc/hosts") is none.
func splitCommand(text string) (name, args string, ok bool) {
	if !strings.HasPrefix(text, "/") {
		return "", "", false
	}
	name, args, _ = strings.Cut(text, " ")
	if len(name) < 2 || strings.Contains(name[1:], "/") {
		return "", "", false
	}
	return name, strings.TrimSpace(args), true
}

// actorIn finds the person who acts and the channel, which they must be in.
func (w *World) actorIn(user, channel string) (*User, *Channel, error) {
	u, err := w.actor(user)
	if err != nil {
		return nil, nil, err
	}
	c := w.address(channel, u.ID)
	if c == nil {
		return nil, nil, Code("channel_not_found")
	}
	if !c.has(u.ID) {
		return nil, nil, Code("not_in_channel")
	}
	return u, c, nil
}

// Target names a message and who acts on it.
type Target struct {
	User    string `json:"user"`
	Channel string `json:"channel"`
	TS      string `json:"ts"`
}

func (w *World) target(t Target) (*User, *Channel, *Message, error) {
	u, c, err := w.actorIn(t.User, t.Channel)
	if err != nil {
		return nil, nil, nil, err
	}
	m := w.find(c.ID, t.TS, u.ID)
	if m == nil {
		return nil, nil, nil, Code("message_not_found")
	}
	return u, c, m, nil
}

// EditMessage changes a person's own message.
func (s *Server) EditMessage(t Target, text string) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, c, m, err := w.target(t)
	switch {
	case err != nil:
		return err
	case m.User != u.ID || m.BotID != "":
		return Code("cant_update_message")
	case strings.TrimSpace(text) == "":
		return Code("no_text")
	}
	text = w.markup(text, false)
	w.edit(c, m, u.ID, Message{Text: text, Blocks: w.richText(text)})
	return nil
}

// DeleteMessage deletes a person's own message, or dismisses an ephemeral one.
func (s *Server) DeleteMessage(t Target) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, c, m, err := w.target(t)
	if err != nil {
		return err
	}
	if m.Viewer == "" && !u.Admin && (m.User != u.ID || m.BotID != "") {
		return Code("cant_delete_message")
	}
	w.remove(c, m)
	return nil
}

// React adds a person's emoji to a message, or takes it away.
func (s *Server) React(t Target, name string, remove bool) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, c, m, err := w.target(t)
	if err != nil {
		return err
	}
	if m.Viewer != "" || !emojiName.MatchString(name) {
		return Code("invalid_name")
	}
	return w.react(c, m, u.ID, name, remove)
}

// Join adds a user to a channel, or removes it.
func (s *Server) Join(user, channel string, leave bool) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.address(channel, user)
	switch {
	case w.user(user) == nil:
		return Code("user_not_found")
	case c == nil || c.IM || c.MPIM:
		return Code("channel_not_found")
	}
	w.join(c, user, leave)
	return nil
}

// OpenDM opens the direct message of a person with others and returns its id.
func (s *Server) OpenDM(user string, with ...string) (string, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.actor(user); err != nil {
		return "", err
	}
	for _, id := range with {
		if w.user(id) == nil {
			return "", Code("user_not_found")
		}
	}
	return w.open(append([]string{user}, with...)...).ID, nil
}

// OpenHome shows a person the app's Home tab and tells the app.
func (s *Server) OpenHome(user string) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, err := w.actor(user)
	if err != nil {
		return err
	}
	c := w.open(u.ID, w.app.UserID)
	e := Block{"type": "app_home_opened", "user": u.ID, "channel": c.ID, "tab": "home", "event_ts": w.nextTS()}
	if v := w.homes[u.ID]; v != nil {
		e["view"] = v.wire(w)
	}
	w.event(c, e)
	return nil
}
