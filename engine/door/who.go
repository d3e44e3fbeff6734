package door

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/permit"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// audience is whose doing counts, by id. The zero value is everybody.
type audience struct{ users, groups []string }

// memberTime is how long a click waits for Slack to say who is in a group;
// most often that is known.
const memberTime = 2 * time.Second

// audience finds the people and groups of who. One that cannot be found is an
// error: it must not come to mean that nobody, or everybody, may answer.
func (l *live) audience(ctx context.Context, r *Run, e runtime.Effect) (audience, error) {
	var a audience
	for _, name := range texts(e.Args, "who") {
		user, group, err := l.whoIs(ctx, name, behalf(r.Event))
		switch {
		case err != nil:
			return audience{}, fmt.Errorf("who: %q cannot be looked up: %w", name, err)
		case group != "":
			a.groups = append(a.groups, group)
		default:
			a.users = append(a.users, user)
		}
	}
	return a, nil
}

// whoIs tells a person from a user group. Of a name the group is meant: people
// choose the names that they are shown by themselves.
func (l *live) whoIs(ctx context.Context, name string, o slackapi.CallOptions) (user, group string, err error) {
	name = strings.TrimSpace(name)
	switch {
	case strings.HasPrefix(name, "<!subteam^") || isID(name, "S"):
		group, err = l.Slack.UsergroupID(ctx, name, o)
		return "", group, err
	case strings.HasPrefix(name, "<@") || isID(name, "UW") || strings.LastIndexByte(name, '@') > 0:
		user, err = l.Slack.UserID(ctx, name, o)
		return user, "", err
	}
	group, err = l.Slack.UsergroupID(ctx, name, o)
	if err == nil {
		return "", group, nil
	}
	var refused *slackapi.Error
	if !errors.As(err, &refused) || refused.Passing {
		return "", "", err
	}
	user, err = l.Slack.UserID(ctx, name, o)
	return user, "", err
}

// isID reports whether s is an id of Slack's that begins with one of the letters.
func isID(s, letters string) bool {
	return len(s) > 1 && strings.IndexByte(letters, s[0]) >= 0 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// everybody reports whether nobody is left out.
func (a audience) everybody() bool { return len(a.users)+len(a.groups) == 0 }

// allows reports whether the user of an event may. An error says that it
// cannot be found out now; then he may not.
func (l *live) allows(ctx context.Context, a audience, ev *event.Event) (bool, error) {
	if ev.User == "" {
		return false, nil
	}
	if a.everybody() || slices.Contains(a.users, ev.User) {
		return true, nil
	}
	if len(a.groups) == 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, memberTime)
	defer cancel()
	asker := permit.Asker{Team: ev.Team, Enterprise: ev.Enterprise, Bot: ev.Bot, User: ev.User, Channel: ev.Channel}
	var doubt error
	for _, g := range a.groups {
		in, err := l.People.Member(ctx, asker, g, true)
		if in && err == nil {
			return true, nil
		}
		doubt = errors.Join(doubt, err)
	}
	return false, doubt
}

// mention names the audience as Slack shows it.
func (a audience) mention() string {
	const most = 5
	var names []string
	for _, u := range a.users {
		names = append(names, "<@"+u+">")
	}
	for _, g := range a.groups {
		names = append(names, "<!subteam^"+g+">")
	}
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("%d others", len(names)-most))
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// put and audienceOf keep an audience in a dict.
func (a audience) put(d *runtime.Dict) {
	if len(a.users) > 0 {
		d.Set("users", textList(a.users))
	}
	if len(a.groups) > 0 {
		d.Set("groups", textList(a.groups))
	}
}

func audienceOf(d *runtime.Dict) audience {
	return audience{users: texts(d, "users"), groups: texts(d, "groups")}
}

func textList(list []string) runtime.List {
	out := make(runtime.List, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// texts is an argument that is a list of texts, or one.
func texts(d *runtime.Dict, name string) []string {
	v, _ := d.Get(name)
	switch v := plain(v).(type) {
	case string:
		return []string{v}
	case runtime.List:
		out := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}
