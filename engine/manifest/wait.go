package manifest

import (
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// Wait is what a call that waits for people or events is for, as far as the
// text tells.
type Wait struct {
	Kind, Type string   // of wait_event: the kind of the event, and its type
	Who        []string // who may answer; "?" if only running could tell
	Removed    bool     // of wait_reaction
}

// waits are the built-ins that wait for people or events.
var waits = []string{"ask", "ask_form", "wait_event", "wait_reply", "wait_reaction"}

// waitOf reads the arguments of a call that waits; nil for others.
func waitOf(c runtime.CallSite) *Wait {
	if !slices.Contains(waits, c.Name) {
		return nil
	}
	w := &Wait{}
	for i, a := range c.Args {
		switch {
		case a.Name == "who":
			w.Who = namesIn(a.Value)
		case a.Name == "removed":
			w.Removed, _ = a.Value.(bool)
		case c.Name != "wait_event":
		case a.Name == "kind" || a.Name == "" && i == 0:
			w.Kind, _ = a.Value.(string)
		case a.Name == "match" || a.Name == "" && i == 1:
			d, _ := a.Value.(*runtime.Dict)
			w.Type = d.Text("type")
			if d.Text("user") != "" || d.Text("channel") != "" {
				w.Who = append(w.Who, d.Text("user"), d.Text("channel"))
			}
		}
	}
	return w
}

// namesIn are the texts of a value: one, or those of a list.
func namesIn(v runtime.Value) []string {
	list, ok := v.(runtime.List)
	if !ok {
		list = runtime.List{v}
	}
	out := make([]string, len(list))
	for i, e := range list {
		if out[i], ok = e.(string); !ok {
			out[i] = "?"
		}
	}
	return out
}

// wait takes up what a call needs to be told of what it waits for.
func (b *builder) wait(u Use, why string) {
	for _, who := range u.Wait.Who {
		b.named(who, why)
	}
	switch u.Name {
	case "ask", "ask_form":
		b.interactive = true
	case "wait_reply":
		b.subscribe(why, prefixAll("message.", all)...)
	case "wait_reaction":
		if u.Wait.Removed {
			b.subscribe(why, "reaction_removed")
			return
		}
		b.subscribe(why, "reaction_added")
	case "wait_event":
		b.waitEvent(u, why)
	}
}

// named asks for what it takes to find who is meant by a name.
func (b *builder) named(who, why string) {
	switch {
	case strings.LastIndexByte(who, '@') > 0:
		b.scope("bot", why, "users:read", "users:read.email")
	case strings.HasPrefix(who, "@"), who == "?": // a person or a group
		b.scope("bot", why, "users:read", "usergroups:read")
	case strings.HasPrefix(who, "S"):
		b.scope("bot", why, "usergroups:read")
	case strings.HasPrefix(who, "#"):
		b.scope("bot", why, each("read", "channels", "groups")...)
	}
}

func (b *builder) waitEvent(u Use, why string) {
	switch event.Kind(u.Wait.Kind) {
	case event.Message:
		b.subscribe(why, prefixAll("message.", all)...)
	case event.Mention:
		b.subscribe(why, "app_mention", "message.im")
	case event.Reaction:
		b.subscribe(why, "reaction_added")
	case event.Home:
		b.subscribe(why, "app_home_opened")
	case event.Action, event.Submit, event.ViewClosed, event.Shortcut:
		b.interactive = true
	case event.Other:
		if known(u.Wait.Type) {
			b.subscribe(why, u.Wait.Type)
			return
		}
		b.note("%s: which events it waits for is not written there; subscribe to them by hand", why)
	}
}
