package engine

import (
	"context"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/omnibot"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/slackapi"
)

// omnibotSource makes the script of the handlers of the configuration.
func (o *Options) omnibotSource() *omnibot.Source {
	return omnibot.NewSource(o.Config, o.Scripts, o.Reload, nil)
}

// secretOf returns the value of a configured secret, or of one that the
// handlers of the configuration hold.
func (e *Engine) secretOf(name string) (string, bool) {
	if v, ok := e.config().Secrets[name]; ok {
		return v, true
	}
	return e.o.handlers.Secret(name)
}

// textKnown reports whether the names of what a text refers to are known.
func (n *names) textKnown(e *event.Event) bool {
	known := true
	n.eachRef(e, func(kind event.TokenKind, key string) {
		ok := false
		switch kind {
		case event.UserRef:
			_, ok = n.users[key]
		case event.ChannelRef:
			_, ok = n.channels[key]
		default:
			_, ok = n.groups[key]
		}
		known = known && ok
	})
	return known
}

// eachRef calls f for what a text refers to without saying its name.
func (n *names) eachRef(e *event.Event, f func(kind event.TokenKind, key string)) {
	if e.Kind != event.Message && e.Kind != event.Mention {
		return
	}
	event.Tokens(e.Text, func(t event.Token) bool {
		switch t.Kind {
		case event.UserRef, event.ChannelRef, event.GroupRef:
			if t.Label == "" {
				f(t.Kind, e.Team+"/"+t.ID)
			}
		}
		return true
	})
}

var _ rules.GroupNames = (*names)(nil)

// GroupName implements rules.GroupNames.
func (n *names) GroupName(team, id string) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.groups[team+"/"+id]
}

func (n *names) setGroup(key, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.groups) >= maxNames {
		clear(n.groups)
	}
	n.groups[key] = name
}

// knowText looks up the names of what a text refers to. One that cannot be
// looked up has no name: it is matched as it stands.
func (e *Engine) knowText(ctx context.Context, ev *event.Event, o slackapi.CallOptions) {
	type ref struct {
		kind event.TokenKind
		key  string
	}
	var missing []ref
	e.known.mu.RLock()
	e.known.eachRef(ev, func(kind event.TokenKind, key string) { missing = append(missing, ref{kind, key}) })
	e.known.mu.RUnlock()
	for _, r := range missing {
		id := r.key[len(ev.Team)+1:]
		var err error
		switch r.kind {
		case event.UserRef:
			if name, _ := e.known.UserName(ev.Team, id); name != "" {
				continue
			}
			obj, lookErr := e.slack.User(ctx, id, o)
			err = lookErr
			e.known.setUser(r.key, userName{textField(obj, "name"), profileField(obj, "email")})
		case event.ChannelRef:
			if e.known.ChannelName(ev.Team, id) != "" {
				continue
			}
			obj, lookErr := e.slack.Channel(ctx, id, o)
			err = lookErr
			e.known.setChannel(r.key, textField(obj, "name"))
		default:
			if e.known.GroupName(ev.Team, id) != "" {
				continue
			}
			obj, lookErr := e.slack.Usergroup(ctx, id, o)
			err = lookErr
			e.known.setGroup(r.key, textField(obj, "handle"))
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			e.log.Debug("name in a text is not known", "event_id", ev.ID, "err", err)
		}
	}
}
