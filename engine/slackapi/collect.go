package slackapi

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// index maps the names of a team's users or channels to their ids. Safe for
// concurrent use: events change it while it is in the cache.
type index struct {
	users bool // of users, not channels
	mu    sync.RWMutex
	ids   map[string]string   // name, in lower case → id
	names map[string][]string // id → its names, the handle first
}

func newIndex(users bool) *index {
	return &index{users: users, ids: map[string]string{}, names: map[string][]string{}}
}

func (ix *index) id(name string) string {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.ids[name]
}

// set gives an id its names, none for one that is gone. It reports whether
// anything changed.
func (ix *index) set(id string, names []string) bool {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for i, n := range names {
		names[i] = strings.ToLower(n)
	}
	if slices.Equal(ix.names[id], names) {
		return false
	}
	for _, n := range ix.names[id] {
		if ix.ids[n] == id {
			delete(ix.ids, n)
		}
	}
	delete(ix.names, id)
	if len(names) == 0 {
		return true
	}
	ix.names[id] = names
	for i, n := range names {
		// The handle of one user is stronger than the display name of another.
		if n != "" && (i == 0 || ix.ids[n] == "") {
			ix.ids[n] = id
		}
	}
	return true
}

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

// namesOf are the names that an object goes by, none if it is gone.
func (k kindOf) namesOf(item *runtime.View) []string {
	if gone, _ := item.Get("deleted"); gone == true {
		return nil
	}
	return k.names(item)
}

// byName finds a name in the index, which is loaded anew if it is older than
// a minute and lacks the name: somebody may have just made it.
func (c *Client) byName(ctx context.Context, k kindOf, name string, o CallOptions) (string, error) {
	name = strings.ToLower(name)
	if name == "" {
		return "", &Error{Method: k.method, Code: k.missing}
	}
	since := time.Time{}
	for range 2 {
		ix, err := c.indexes.get(ctx, keyOf(o, k.method), since, func(ctx context.Context) (*index, error) { return c.loadIndex(ctx, k, o) })
		if err != nil {
			return "", err
		}
		if id := ix.id(name); id != "" {
			return id, nil
		}
		since = c.o.Now().Add(-time.Minute)
	}
	return "", &Error{Method: k.method, Code: k.missing}
}

func (c *Client) loadIndex(ctx context.Context, k kindOf, o CallOptions) (*index, error) {
	ix := newIndex(k.method == users.method)
	err := c.walk(ctx, k.method, k.field, k.args(), o, func(item *runtime.View) {
		id := str(item, "id")
		if id == "" {
			return
		}
		ix.set(id, k.namesOf(item))
		if k.method == channels.method {
			c.channels.put(keyOf(o, id), item.JSON())
		}
	})
	return ix, err
}

// walk calls f with each object that a method lists, page by page.
func (c *Client) walk(ctx context.Context, method, field string, args *runtime.Dict, o CallOptions, f func(*runtime.View)) error {
	last, _, err := c.Pages(ctx, method, args, o, DefaultMaxPages, func(page Result) bool {
		w, err := runtime.ParseView(page.Body)
		if err != nil {
			return false
		}
		list, _ := w.Get(field)
		items, ok := list.(*runtime.View)
		for i := 0; ok && i < items.Len(); i++ {
			if item, ok := items.Index(i).(*runtime.View); ok {
				f(item)
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	if !last.OK {
		return refused(method, last)
	}
	return nil
}

// IMs returns the direct conversations of the bot: a JSON list of Slack's objects.
func (c *Client) IMs(ctx context.Context, o CallOptions) (runtime.JSON, error) {
	return c.ims.get(ctx, keyOf(o, "list"), time.Time{}, func(ctx context.Context) (runtime.JSON, error) {
		out := runtime.JSON{'['}
		err := c.walk(ctx, "conversations.list", "channels", runtime.NewDict("types", "im", "limit", int64(1000)), o, func(item *runtime.View) {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, item.JSON()...)
		})
		return append(out, ']'), err
	})
}

// roster is the user groups of a team.
type roster struct {
	list runtime.JSON // as Slack lists them
	by   map[string]runtime.JSON
}

func newRoster(list runtime.JSON) (*roster, error) {
	w, err := runtime.ParseView(list)
	if err != nil {
		return nil, err
	}
	r := &roster{list: list, by: map[string]runtime.JSON{}}
	// The id of one is stronger than the handle of another, that than a name.
	for _, field := range []string{"name", "handle", "id"} {
		for i := range w.Len() {
			g, ok := w.Index(i).(*runtime.View)
			if !ok {
				continue
			}
			if name := str(g, field); name != "" {
				r.by[strings.ToLower(name)] = g.JSON()
			}
		}
	}
	return r, nil
}

// Usergroup looks a user group up by id, mention, @handle or name, and returns
// Slack's object. One that does not exist, or is disabled, is ErrNotFound.
func (c *Client) Usergroup(ctx context.Context, name string, o CallOptions) (runtime.JSON, error) {
	const method = "usergroups.list"
	name = strings.ToLower(bare(strings.TrimSpace(name), "!subteam^"))
	name = strings.TrimPrefix(name, "@")
	since := time.Time{}
	for range 2 {
		if name == "" {
			break
		}
		all, err := c.groups.get(ctx, keyOf(o, "list"), since, func(ctx context.Context) (*roster, error) {
			r, err := c.Call(ctx, method, nil, o)
			if err != nil {
				return nil, err
			}
			if !r.OK {
				return nil, refused(method, r)
			}
			list, _ := r.Get("usergroups").(runtime.JSON)
			if list == nil {
				return nil, &Error{Method: method, Code: "invalid_response"}
			}
			return newRoster(list)
		})
		if err != nil {
			return nil, err
		}
		if g := all.by[name]; g != nil {
			return g, nil
		}
		since = c.o.Now().Add(-time.Minute)
	}
	return nil, &Error{Method: method, Code: "no_such_subteam"}
}

// UsergroupID is Usergroup for who wants the id alone.
func (c *Client) UsergroupID(ctx context.Context, name string, o CallOptions) (string, error) {
	g, err := c.Usergroup(ctx, name, o)
	return text(dig(g, "id")), err
}

// emoji is a custom emoji: an image, or another name of a standard emoji.
type emoji struct {
	URL   string `json:"url,omitempty"`
	Alias string `json:"alias,omitempty"`
}

// Emoji looks a custom emoji up by its name, with or without colons. The result
// has name and url; an alias of a standard emoji, which has no image, has
// alias in place of url. A standard emoji itself is ErrNotFound: Slack does not list them.
func (c *Client) Emoji(ctx context.Context, name string, o CallOptions) (runtime.JSON, error) {
	const method = "emoji.list"
	name = strings.Trim(strings.TrimSpace(name), ":")
	since := time.Time{}
	for range 2 {
		if name == "" {
			break
		}
		all, err := c.emoji.get(ctx, keyOf(o, "list"), since, func(ctx context.Context) (map[string]emoji, error) {
			r, err := c.Call(ctx, method, nil, o)
			if err != nil {
				return nil, err
			}
			if !r.OK {
				return nil, refused(method, r)
			}
			list, _ := r.Get("emoji").(runtime.JSON)
			var raw map[string]string
			if list == nil || json.Unmarshal(list, &raw) != nil {
				return nil, &Error{Method: method, Code: "invalid_response"}
			}
			return resolveEmoji(raw), nil
		})
		if err != nil {
			return nil, err
		}
		if e, ok := all[name]; ok {
			d := runtime.NewDict("name", name)
			if e.URL != "" {
				d.Set("url", e.URL)
			} else {
				d.Set("url", nil)
				d.Set("alias", e.Alias)
			}
			return runtime.AppendJSON(nil, d)
		}
		since = c.o.Now().Add(-time.Minute)
	}
	return nil, &Error{Method: method, Code: "emoji_not_found"}
}

// resolveEmoji follows aliases to their images. An alias that only leads back
// to itself names nothing and is left out.
func resolveEmoji(raw map[string]string) map[string]emoji {
	out := make(map[string]emoji, len(raw))
	for name, v := range raw {
		to := name
		// A chain without a cycle has at most as many links as there are names.
		for range len(raw) + 1 {
			next, alias := strings.CutPrefix(v, "alias:")
			if !alias {
				out[name] = emoji{URL: v}
				break
			}
			to = next
			var custom bool
			if v, custom = raw[to]; !custom {
				out[name] = emoji{Alias: to}
				break
			}
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
