package slackapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// ErrNotFound says that Slack knows no such user or channel.
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
	case "user_not_found", "users_not_found", "user_not_visible", "channel_not_found", "not_found", "bot_not_found":
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
	return c.dms.get(ctx, o.who()+" "+user, time.Time{}, func(ctx context.Context) (string, error) {
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
	return in.get(ctx, o.who()+" "+key, time.Time{}, func(ctx context.Context) (runtime.JSON, error) {
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

// index maps the names of a team's users or channels to their ids.
type index struct{ ids map[string]string }

// kindOf describes one of the two indexes.
type kindOf struct {
	method, field, missing string
	args                   func() *runtime.Dict
	names                  func(*runtime.View) []string
}

var (
	users = kindOf{
		"users.list", "members", "user_not_found",
		func() *runtime.Dict { return runtime.NewDict("limit", int64(1000)) },
		func(w *runtime.View) []string {
			names := []string{str(w, "name")}
			if p, ok := w.Get("profile"); ok {
				if p, ok := p.(*runtime.View); ok {
					names = append(names, str(p, "display_name"), str(p, "display_name_normalized"))
				}
			}
			return names
		},
	}
	channels = kindOf{
		"conversations.list", "channels", "channel_not_found",
		func() *runtime.Dict {
			return runtime.NewDict("types", "public_channel,private_channel", "exclude_archived", true, "limit", int64(1000))
		},
		func(w *runtime.View) []string { return []string{str(w, "name"), str(w, "name_normalized")} },
	}
)

// byName finds a name in the index, which is loaded anew if it is older than
// a minute and lacks the name: somebody may have just made it.
func (c *Client) byName(ctx context.Context, k kindOf, name string, o CallOptions) (string, error) {
	name = strings.ToLower(name)
	if name == "" {
		return "", &Error{Method: k.method, Code: k.missing}
	}
	key, since := k.method+" "+o.who(), time.Time{}
	for range 2 {
		ix, err := c.indexes.get(ctx, key, since, func(ctx context.Context) (*index, error) { return c.loadIndex(ctx, k, o) })
		if err != nil {
			return "", err
		}
		if id := ix.ids[name]; id != "" {
			return id, nil
		}
		since = c.o.Now().Add(-time.Minute)
	}
	return "", &Error{Method: k.method, Code: k.missing}
}

func (c *Client) loadIndex(ctx context.Context, k kindOf, o CallOptions) (*index, error) {
	ix := &index{ids: map[string]string{}}
	last, _, err := c.Pages(ctx, k.method, k.args(), o, DefaultMaxPages, func(page Result) bool {
		w, err := runtime.ParseView(page.Body)
		if err != nil {
			return false
		}
		list, _ := w.Get(k.field)
		items, ok := list.(*runtime.View)
		for i := 0; ok && i < items.Len(); i++ {
			if item, ok := items.Index(i).(*runtime.View); ok {
				c.indexOne(ix, k, item, o)
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if !last.OK {
		return nil, refused(k.method, last)
	}
	return ix, nil
}

func (c *Client) indexOne(ix *index, k kindOf, item *runtime.View, o CallOptions) {
	id := str(item, "id")
	if gone, _ := item.Get("deleted"); id == "" || gone == true {
		return
	}
	for i, n := range k.names(item) {
		n = strings.ToLower(n)
		// The handle of one user is stronger than the display name of another.
		if n != "" && (i == 0 || ix.ids[n] == "") {
			ix.ids[n] = id
		}
	}
	if k.method == channels.method {
		c.channels.put(o.who()+" "+id, item.JSON())
	}
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
	return c.selves.get(ctx, o.who(), time.Time{}, func(ctx context.Context) (Identity, error) {
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

// Observe drops what an event shows to be out of date. Call it for each event.
func (c *Client) Observe(e *event.Event) {
	if e.Kind != event.Other {
		return
	}
	var ids []string
	switch {
	case strings.HasPrefix(e.Type, "channel_"), strings.HasPrefix(e.Type, "group_"), strings.HasPrefix(e.Type, "im_"):
		ids = []string{e.Channel, text(dig(e.Raw, "event", "channel")), text(dig(e.Raw, "event", "channel", "id"))}
		c.drop(c.channels, e.Team, ids)
		c.indexes.forgetIf(func(key string) bool { return strings.HasPrefix(key, channels.method) && ofTeam(key, e.Team) })
	case e.Type == "user_change", e.Type == "user_profile_changed", e.Type == "team_join":
		ids = []string{e.User, text(dig(e.Raw, "event", "user", "id")), strings.ToLower(text(dig(e.Raw, "event", "user", "profile", "email")))}
		c.drop(c.users, e.Team, ids)
		c.indexes.forgetIf(func(key string) bool { return strings.HasPrefix(key, users.method) && ofTeam(key, e.Team) })
	case e.Type == "tokens_revoked", e.Type == "app_uninstalled":
		c.selves.forgetIf(func(key string) bool { return ofTeam(key, e.Team) })
	}
}

// Result is the refusal as a Result.
func (e *Error) Result() Result { return failure(e.Code, e.Error()) }

// drop forgets objects of a team, whichever bot looked them up.
func (c *Client) drop(in *cache[runtime.JSON], team string, ids []string) {
	in.forgetIf(func(key string) bool {
		_, id, _ := strings.Cut(key, " ")
		for _, want := range ids {
			if want != "" && id == want {
				return ofTeam(key, team)
			}
		}
		return false
	})
}

// ofTeam reports whether a cache key is of a team: keys hold CallOptions.who.
func ofTeam(key, team string) bool { return team == "" || strings.Contains(key, "/"+team+"/") }

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
