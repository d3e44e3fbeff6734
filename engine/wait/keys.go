package wait

import (
	"strings"

	"github.com/starling-rules/starling/engine/event"
)

// Key joins the parts of an index key. A key that a wait shares with an event
// makes the event be tested, no more: it need not say everything.
func Key(kind string, parts ...string) string {
	return kind + "\x00" + strings.Join(parts, "\x00")
}

// KeysOf returns the keys that an event bears: a number of them that does not
// depend on who waits. A wait_event has one of those of its kind, the most
// telling that its condition has:
//
//	event    team, kind                 of any event
//	         team, kind, field, value   channel, user, thread, command, action,
//	                                    callback, path, type, reaction
//	reply    team, channel, thread      of a message in a thread
//	reaction team, channel, ts          of a reaction to a message
func KeysOf(e *event.Event) []string {
	kind := string(e.Kind)
	keys := make([]string, 0, 8)
	add := func(field, value string) {
		if value != "" {
			keys = append(keys, Key("event", e.Team, kind, field, value))
		}
	}
	keys = append(keys, Key("event", e.Team, kind))
	add("channel", e.Channel)
	add("user", e.User)
	if e.ThreadTS != "" {
		add("thread", e.Channel+"/"+e.ThreadTS)
	}
	add("command", e.Command)
	for i := range e.Actions[:min(len(e.Actions), 4)] {
		add("action", e.Actions[i].ActionID)
	}
	add("callback", e.CallbackID)
	add("reaction", e.Reaction)
	if e.Request != nil {
		add("path", e.Request.Path)
	}
	add("type", e.Type)
	switch e.Kind {
	case event.Message, event.Mention:
		if e.ThreadTS != "" {
			keys = append(keys, Key("reply", e.Team, e.Channel, e.ThreadTS))
		}
	case event.Reaction:
		keys = append(keys, Key("reaction", e.Team, e.Channel, e.TS))
	}
	return keys
}

// RefOf returns the wait that an event names: the button pressed, or the form
// submitted, was made for it.
func RefOf(e *event.Event) (run string, at Point, ok bool) {
	for i := range e.Actions {
		if run, at, _, ok := ParseRef(e.Actions[i].ActionID); ok {
			return run, at, true
		}
	}
	run, at, _, ok = ParseRef(e.CallbackID)
	return run, at, ok
}
