package engine

import (
	"context"
	"sync"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// names knows the names that rules go by: of teams from the configuration, of
// channels and users from Slack. It implements rules.Names: matching only
// looks, the dispatcher makes sure beforehand that the names are there.
type names struct {
	mu       sync.RWMutex
	teams    map[string]string
	channels map[string]string   // team/id → name
	users    map[string]userName // team/id
	groups   map[string]string   // team/id → handle
}

type userName struct{ name, email string }

var _ rules.Names = (*names)(nil)

func newNames(teams map[string]string) *names {
	return &names{teams: teams, channels: map[string]string{}, users: map[string]userName{}, groups: map[string]string{}}
}

// ChannelName implements rules.Names.
func (n *names) ChannelName(team, id string) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.channels[team+"/"+id]
}

// UserName implements rules.Names.
func (n *names) UserName(team, id string) (name, email string) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	u := n.users[team+"/"+id]
	return u.name, u.email
}

// TeamID implements rules.Names.
func (n *names) TeamID(name string) (string, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	id, ok := n.teams[name]
	return id, ok
}

// setTeams takes up the teams of another configuration.
func (n *names) setTeams(teams map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.teams = teams
}

// drop forgets a name that another process has found out of date; empty
// arguments stand for all.
func (n *names) drop(kind, team, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if kind == "" || team == "" || id == "" {
		clear(n.channels)
		clear(n.users)
		clear(n.groups)
		return
	}
	switch kind {
	case "channel":
		delete(n.channels, team+"/"+id)
	case "user":
		delete(n.users, team+"/"+id)
	case "usergroups":
		clear(n.groups)
	}
}

// maxNames bounds the names kept; Slack's own events and Client's cache
// refresh them.
const maxNames = 100_000

func (n *names) setChannel(key, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.channels) >= maxNames {
		clear(n.channels)
	}
	n.channels[key] = name
}

func (n *names) setUser(key string, u userName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.users) >= maxNames {
		clear(n.users)
	}
	n.users[key] = u
}

func (n *names) known(e *event.Event, set *rules.Set) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if set.NeedsChannelNames() && e.Channel != "" {
		if _, ok := n.channels[e.Team+"/"+e.Channel]; !ok {
			return false
		}
	}
	if set.NeedsUserNames() && e.User != "" {
		if _, ok := n.users[e.Team+"/"+e.User]; !ok {
			return false
		}
	}
	return !set.NeedsTextNames() || n.textKnown(e)
}

// forget drops what a renaming event says is out of date.
func (n *names) forget(e *event.Event) {
	switch e.Type {
	case "channel_rename", "group_rename", "channel_deleted", "channel_unarchive":
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.channels, e.Team+"/"+e.Channel)
	case "subteam_updated", "subteam_created":
		n.mu.Lock()
		defer n.mu.Unlock()
		clear(n.groups)
	case "user_change", "user_profile_changed":
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.users, e.Team+"/"+e.User)
	}
}

// observe implements dispatch.Options.Observe: what Slack says has changed is
// looked up again when it is needed.
func (e *Engine) observe(ev *event.Event) {
	e.recent.Add(ev)
	e.lag(ev, "taken")
	e.known.forget(ev)
	e.slack.Observe(ev)
	e.people.Forget(ev.Type)
}

// knowNames implements dispatch.Options.Names.
func (e *Engine) knowNames(ctx context.Context, ev *event.Event, wait bool) bool {
	set := e.loader.Current()
	if e.known.known(ev, set) {
		return true
	}
	if !wait {
		return false
	}
	o := slackapi.CallOptions{Team: ev.Team, Enterprise: ev.Enterprise, Bot: ev.Bot}
	if set.NeedsChannelNames() && ev.Channel != "" && e.known.ChannelName(ev.Team, ev.Channel) == "" {
		// A channel that cannot be looked up has no name: rules that go by
		// names do not match it.
		obj, err := e.slack.Channel(ctx, ev.Channel, o)
		if ctx.Err() != nil {
			return false // nothing is known of it
		}
		if err != nil {
			e.log.Warn("look up the channel's name, for rules that go by it", "event_id", ev.ID, "err", err)
		}
		e.known.setChannel(ev.Team+"/"+ev.Channel, textField(obj, "name"))
	}
	if set.NeedsUserNames() && ev.User != "" {
		obj, err := e.slack.User(ctx, ev.User, o)
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			e.log.Warn("look up the user's name, for rules that go by it", "event_id", ev.ID, "err", err)
		}
		e.known.setUser(ev.Team+"/"+ev.User, userName{textField(obj, "name"), profileField(obj, "email")})
	}
	if set.NeedsTextNames() {
		e.knowText(ctx, ev, o)
		return ctx.Err() == nil
	}
	return true
}

func textField(obj runtime.JSON, key string) string {
	if len(obj) == 0 {
		return ""
	}
	w, err := runtime.ParseView(obj)
	if err != nil {
		return ""
	}
	v, _ := w.Get(key)
	s, _ := v.(string)
	return s
}

func profileField(obj runtime.JSON, key string) string {
	if len(obj) == 0 {
		return ""
	}
	w, err := runtime.ParseView(obj)
	if err != nil {
		return ""
	}
	p, _ := w.Get("profile")
	profile, ok := p.(*runtime.View)
	if !ok {
		return ""
	}
	v, _ := profile.Get(key)
	s, _ := v.(string)
	return s
}
