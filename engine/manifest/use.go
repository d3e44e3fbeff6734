package manifest

import (
	"slices"

	"github.com/starling-rules/starling/runtime"
)

// Use is a call of a built-in that needs something of Slack.
type Use struct {
	Name string // "post", "slack_action"
	// Method is that of slack_action and slack_pages; empty if only running
	// could tell.
	Method string
	// AsUser tells that the user token is used; Maybe that only running could tell.
	AsUser, Maybe bool
	Pos           runtime.Position
	// Wait is what a call that waits is for; nil for others.
	Wait *Wait
	// Parse are the kinds of names in texts that are looked up: users, channels.
	Parse []string
}

// Uses lists the calls of a file that matter.
func Uses(a *runtime.Analysis) []Use {
	var out []Use
	for _, c := range a.Calls {
		u := Use{Name: c.Name, Pos: c.Pos, Wait: waitOf(c)}
		if _, plain := botScopes[c.Name]; !plain && c.Name != "slack_action" && c.Name != "slack_pages" {
			continue
		}
		for i, arg := range c.Args {
			switch {
			case arg.Spread:
				u.Maybe = true
			case arg.Name == "method" || arg.Name == "" && i == 0 && !plain(c.Name):
				u.Method, _ = arg.Value.(string)
			case arg.Name == "as_user":
				if on, known := arg.Value.(bool); known {
					u.AsUser = on
				} else {
					u.Maybe = true
				}
			case arg.Name == "parse":
				u.Parse = parsed(arg.Value)
			}
		}
		out = append(out, u)
	}
	return out
}

func plain(name string) bool { _, ok := botScopes[name]; return ok }

// parsed are the kinds of names that parse= looks up; all if it cannot be told.
func parsed(v runtime.Value) []string {
	d, ok := v.(*runtime.Dict)
	if !ok {
		if _, text := v.(string); text {
			return nil // Slack's own argument of that name
		}
		return []string{"users", "channels"}
	}
	var kinds []string
	for i := 0; i < d.Len(); i++ {
		list, ok := d.Fields[i].Value.(runtime.List)
		if !ok {
			return []string{"users", "channels"}
		}
		for _, k := range list {
			if s, ok := k.(string); ok {
				kinds = append(kinds, s)
			} else {
				kinds = append(kinds, "users", "channels")
			}
		}
	}
	return kinds
}

// use takes up what a call needs.
func (b *builder) use(u Use) {
	why := u.Name + " at " + u.Pos.String()
	if u.Pos.Path != "" && u.Pos.Line > 0 {
		why = u.Name + " at " + place(u.Pos)
	}
	if slices.Contains(u.Parse, "users") {
		b.scope("bot", why, "users:read", "usergroups:read")
	}
	if slices.Contains(u.Parse, "channels") {
		b.scope("bot", why, each("read", "channels", "groups")...)
	}
	if scopes, ok := botScopes[u.Name]; ok {
		b.scope("bot", why, scopes...)
	} else {
		b.method(u, why)
	}
	if u.Wait != nil {
		b.wait(u, why)
	}
	if slices.Contains(posts, u.Name) && (u.Name != "slack_action" || u.Method == "chat.postMessage") {
		b.scope("bot_optional", why, lookupScopes...)
	}
}

// place is a position without its column.
func place(p runtime.Position) string {
	return runtime.Position{Path: p.Path, Line: p.Line}.String()
}

// method takes up what a method of the Web API needs.
func (b *builder) method(u Use, why string) {
	if u.Method == "" {
		b.note("%s: which method it calls is only known when it runs; add its scopes by hand", why)
		return
	}
	why = u.Method + " at " + place(u.Pos)
	scopes, user, ok := methodScopes(u.Method)
	switch {
	case !ok:
		b.note("%s: Starling does not know which scopes the method needs; add them by hand", why)
		return
	case user && !u.AsUser && !u.Maybe:
		b.note("%s: only a user token can call this method; write as_user=True", why)
	case u.Maybe:
		b.note("%s: whether it uses the user token is only known when it runs; the scopes are asked for the bot", why)
	}
	list := "bot"
	if user || u.AsUser {
		list = "user"
	}
	b.scope(list, why, scopes...)
}
