package slackapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// ErrNotFound says that Slack knows no such user, channel, user group, …
var ErrNotFound = errors.New("not found")

// Error is an answer that is not ok, where a look-up has no other result.
type Error struct {
	Method, Code string
	// Needed names the scope that is missing.
	Needed string
	// Passing faults are not remembered: a rate limit, a time-out.
	Passing bool
}

// Error names method and code.
func (e *Error) Error() string {
	s := e.Method + ": " + e.Code
	if e.Needed != "" {
		s += " (needs " + e.Needed + ")"
	}
	return s
}

// Is makes the codes for what does not exist match ErrNotFound.
func (e *Error) Is(target error) bool {
	if target != ErrNotFound {
		return false
	}
	switch e.Code {
	case "user_not_found", "users_not_found", "user_not_visible", "channel_not_found", "not_found", "bot_not_found", "message_not_found",
		"no_such_subteam", "emoji_not_found":
		return true
	}
	return false
}

func refused(method string, r Result) *Error {
	return &Error{Method: method, Code: r.Error, Needed: r.Text("needed"), Passing: r.Doubt || r.Status == 0 || r.Status == 429}
}

// User looks a user up by id, mention, e-mail address or @name, and returns
// Slack's user object. A user who does not exist is ErrNotFound.
func (c *Client) User(ctx context.Context, who string, o CallOptions) (runtime.JSON, error) {
	who = bare(strings.TrimSpace(who), "@")
	switch {
	case isID(who, "UW"):
		return c.object(ctx, c.users, who, o, "users.info", "user", who, "user")
	case strings.Contains(who, "@"):
		return c.object(ctx, c.users, strings.ToLower(who), o, "users.lookupByEmail", "email", who, "user")
	case who == "":
		return nil, &Error{Method: "users.info", Code: "user_not_found"}
	}
	id, err := c.UserID(ctx, who, o)
	if err != nil {
		return nil, err
	}
	return c.User(ctx, id, o)
}

// Channel looks a conversation up by id, link or #name, and returns Slack's
// channel object. One that does not exist, or that the bot cannot see, is ErrNotFound.
func (c *Client) Channel(ctx context.Context, name string, o CallOptions) (runtime.JSON, error) {
	name = bare(strings.TrimSpace(name), "#")
	if isID(name, "CGD") {
		return c.object(ctx, c.channels, name, o, "conversations.info", "channel", name, "channel")
	}
	id, err := c.ChannelID(ctx, name, o)
	if err != nil {
		return nil, err
	}
	return c.object(ctx, c.channels, id, o, "conversations.info", "channel", id, "channel")
}

// UserID returns the id of the user with that name, display name, e-mail
// address, mention or id.
func (c *Client) UserID(ctx context.Context, who string, o CallOptions) (string, error) {
	who = bare(strings.TrimSpace(who), "@")
	if isID(who, "UW") {
		return who, nil
	}
	if strings.Contains(who, "@") {
		u, err := c.User(ctx, who, o)
		if err != nil {
			return "", err
		}
		id, _ := dig(u, "id").(string)
		return id, nil
	}
	return c.byName(ctx, users, who, o)
}

// ChannelID returns the id of the conversation with that #name, link or id.
func (c *Client) ChannelID(ctx context.Context, name string, o CallOptions) (string, error) {
	name = bare(strings.TrimSpace(name), "#")
	if isID(name, "CGD") {
		return name, nil
	}
	return c.byName(ctx, channels, name, o)
}

// DM opens the direct conversation with a user and returns its channel id.
func (c *Client) DM(ctx context.Context, user string, o CallOptions) (string, error) {
	return c.dms.get(ctx, keyOf(o, user), time.Time{}, func(ctx context.Context) (string, error) {
		// To open one that is open returns it: safe to repeat.
		o := o
		o.Idempotent = true
		r, err := c.Call(ctx, "conversations.open", runtime.NewDict("users", user), o)
		if err != nil {
			return "", err
		}
		if !r.OK {
			return "", refused("conversations.open", r)
		}
		id := r.Text("channel", "id")
		if id == "" {
			return "", &Error{Method: "conversations.open", Code: "invalid_response"}
		}
		return id, nil
	})
}

// object is one cached object, loaded by one call.
func (c *Client) object(ctx context.Context, in *cache[runtime.JSON], key string, o CallOptions, method, arg, value, field string) (runtime.JSON, error) {
	return in.get(ctx, keyOf(o, key), time.Time{}, func(ctx context.Context) (runtime.JSON, error) {
		r, err := c.Call(ctx, method, runtime.NewDict(arg, value), o)
		if err != nil {
			return nil, err
		}
		if !r.OK {
			return nil, refused(method, r)
		}
		obj, _ := r.Get(field).(runtime.JSON)
		if obj == nil {
			return nil, &Error{Method: method, Code: "invalid_response"}
		}
		return obj, nil
	})
}

func str(w *runtime.View, key string) string {
	v, _ := w.Get(key)
	s, _ := v.(string)
	return s
}

// Identity is who a token belongs to.
type Identity struct {
	User, Bot, App, Team, Enterprise string
}

// Identity asks auth.test, and for a bot's app bots.info, once per token and
// hour. App is empty if the scope for bots.info is missing.
func (c *Client) Identity(ctx context.Context, o CallOptions) (Identity, error) {
	return c.selves.get(ctx, keyOf(o, "self"), time.Time{}, func(ctx context.Context) (Identity, error) {
		r, err := c.Call(ctx, "auth.test", nil, o)
		if err != nil {
			return Identity{}, err
		}
		if !r.OK {
			return Identity{}, refused("auth.test", r)
		}
		id := Identity{
			User: r.Text("user_id"), Bot: r.Text("bot_id"), App: r.Text("app_id"),
			Team: r.Text("team_id"), Enterprise: r.Text("enterprise_id"),
		}
		if id.Bot != "" && id.App == "" {
			if b, err := c.Call(ctx, "bots.info", runtime.NewDict("bot", id.Bot), o); err == nil {
				id.App = b.Text("bot", "app_id")
			}
		}
		return id, nil
	})
}

// Bot looks a bot up by its id (B…), and returns Slack's bot object.
func (c *Client) Bot(ctx context.Context, id string, o CallOptions) (runtime.JSON, error) {
	return c.object(ctx, c.bots, id, o, "bots.info", "bot", id, "bot")
}

// Result is the refusal as a Result.
func (e *Error) Result() Result { return failure(e.Code, e.Error()) }

func text(v runtime.Value) string { s, _ := v.(string); return s }

// bare takes the id out of <@U1|name> and <#C1|name>, and the sign off @name and #name.
func bare(s, sign string) string {
	if inner, ok := strings.CutPrefix(s, "<"+sign); ok {
		inner = strings.TrimSuffix(inner, ">")
		id, _, _ := strings.Cut(inner, "|")
		return id
	}
	return strings.TrimPrefix(s, sign)
}

// isID reports whether s is an id that begins with one of the letters. Names
// of channels and users have no capitals, so nothing is both.
func isID(s, letters string) bool {
	if len(s) < 2 || strings.IndexByte(letters, s[0]) < 0 {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
