package door

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// conversationTTL is how long the state of a conversation is kept after the
// last change, if the script does not say.
const conversationTTL = 24 * time.Hour

// conversationKey is where the state of the event's conversation is kept: one
// dict for a script and, by scope, a person in a channel and thread, all in a
// thread, all in a channel, or a person wherever. Whose it is is taken from the
// event: a script cannot ask for that of others.
func conversationKey(r *Run, e runtime.Effect) (string, error) {
	ev := r.Event
	user, channel, thread := ev.User, ev.Channel, ev.ThreadTS
	if thread == ev.TS { // the message that a thread stands under
		thread = ""
	}
	scope := e.Args.Text("scope")
	switch scope {
	case "":
		scope = "person"
	case "person":
	case "thread":
		user = ""
		if thread == "" {
			thread = ev.TS // the message that answers in a thread stand under
		}
	case "channel":
		user, thread = "", ""
	case "user":
		channel, thread = "", ""
	default:
		return "", fmt.Errorf("%s: scope: want person, thread, channel or user (got %q)", e.Kind, scope)
	}
	if user == "" && channel == "" {
		return "", fmt.Errorf("%s: the event is of nobody's conversation: it has no user and no channel", e.Kind)
	}
	team := ev.Team
	if scope == "user" && ev.Enterprise != "" {
		team = ev.Enterprise
	}
	parts := []string{scope, team, channel, thread, user}
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	key := conversationSpace + KVSpace(r.Script, false) + strings.Join(parts, "/")
	if len(key) > maxConversationKey {
		return "", fmt.Errorf("%s: the ids of the conversation are too long", e.Kind)
	}
	return key, nil
}

// maxConversationKey is what a key of the store may have.
const maxConversationKey = 1024

// conversationState decodes what is stored: a dict.
func conversationState(b []byte, ok bool) (*runtime.Dict, error) {
	v, err := present(b, ok)
	if err != nil {
		return nil, err
	}
	d, _ := plain(v).(*runtime.Dict)
	return d, nil
}

func (l *live) conversationGet(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	key, err := conversationKey(r, e)
	if err != nil {
		return nil, err
	}
	b, err := l.State.Get(ctx, key)
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", e.Kind, err)
	}
	d, err := conversationState(b, err == nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Kind, err)
	}
	def, given := e.Args.Get("default")
	if name := e.Args.Text("name"); name != "" {
		if v, ok := d.Get(name); ok {
			return v, nil
		}
		return def, nil
	}
	if d == nil && given {
		return def, nil
	}
	return d.Clone(), nil
}

func (l *live) conversationSet(e runtime.Effect, b []byte, ok bool) (queue.Change, runtime.Value, error) {
	d, err := conversationState(b, ok)
	if err != nil {
		return queue.Change{}, nil, err
	}
	name := e.Args.Text("name")
	if name == "" || len(name) > l.MaxKey {
		return queue.Change{}, nil, fmt.Errorf("name: want 1 to %d bytes", l.MaxKey)
	}
	d = d.Clone()
	if v, _ := e.Args.Get("value"); v != nil {
		d.Set(name, v)
	} else {
		d.Delete(name)
	}
	c, err := l.stored(e, d)
	return c, nil, err
}

func (l *live) conversationDelete(e runtime.Effect, b []byte, ok bool) (queue.Change, runtime.Value, error) {
	name := e.Args.Text("name")
	if name == "" {
		return queue.Change{Delete: ok, Keep: !ok}, ok, nil
	}
	d, err := conversationState(b, ok)
	if err != nil {
		return queue.Change{}, nil, err
	}
	if _, there := d.Get(name); !there {
		return queue.Change{Keep: true}, false, nil
	}
	d = d.Clone()
	d.Delete(name)
	c, err := l.stored(e, d)
	return c, true, err
}
