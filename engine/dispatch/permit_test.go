package dispatch_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/permit"
)

// crew is a directory in which U1 is on call; it knows nothing without asking.
type crew struct{ fail error }

func (c crew) Member(_ context.Context, a permit.Asker, group string, wait bool) (bool, error) {
	if !wait {
		return false, permit.ErrUnknown
	}
	return group == "@oncall" && a.User == "U1", c.fail
}

func (c crew) Email(context.Context, permit.Asker, bool) (string, error)   { return "", c.fail }
func (c crew) Channel(context.Context, permit.Asker, bool) (string, error) { return "", c.fail }

const restricted = `
on.message("go", lambda e: probe.again(key = "open") and None, priority = -1)
on.message("go", lambda e: probe.again(key = "group") and None, groups = "@oncall", name = "group")
on.message("go", lambda e: probe.again(key = "admin") and None, admin = True, name = "admin")
on.command("/deploy", lambda e: "deployed " + e.args.env, args = "<env>", name = "deploy")
`

func TestOnlyThoseRunARuleWhoMay(t *testing.T) {
	t.Parallel()
	policy := func(admins []string, fail error) func(*dispatch.Options) {
		access := []config.Access{
			{Rules: []string{"*:deploy"}, Groups: []string{"@oncall"}},
			{Rules: []string{"*:deploy"}, Users: []string{"U2"}, Args: map[string][]string{"env": {"staging"}}, Say: "Ask #ops."},
		}
		return func(o *dispatch.Options) { o.Permit = permit.New(admins, access, crew{fail}) }
	}
	user := func(id string) func(*event.Event) { return func(e *event.Event) { e.User = id } }
	for _, c := range []struct {
		name, user string
		change     func(*dispatch.Options)
		want       []string
	}{
		{"in the group", "U1", policy([]string{"U9"}, nil), []string{"Only admins may use this.", "group", "open"}},
		{"admin", "U9", policy([]string{"U9"}, nil), []string{"This is for members of @oncall.", "admin", "open"}},
		{"no admins configured", "U9", policy(nil, nil), []string{"Only admins may use this.", "This is for members of @oncall.", "open"}},
		{"look-up fails", "U1", policy([]string{"U9"}, errors.New("missing_scope")), []string{"Only admins may use this.", "This is for members of @oncall.", "open"}},
		{"no policy", "U1", nil, []string{"You may not use this.", "You may not use this.", "open"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]string{"a.star": restricted})
			s := w.start(func(o *dispatch.Options) {
				if c.change != nil {
					c.change(o)
				}
			})
			s.say("1", "go", user(c.user))
			w.settled()
			got := w.far.keys()
			slices.Sort(got)
			same(t, "effects", got, c.want)
		})
	}
	w := newWorld(t, map[string]string{"a.star": restricted})
	s := w.start(policy(nil, nil))
	for _, c := range []struct{ id, user, env, want string }{
		{"1", "U1", "prod", "deployed prod"},
		{"2", "U2", "staging", "deployed staging"},
		{"3", "U2", "prod", "Ask #ops."},
		{"4", "U3", "staging", "Ask #ops."},
	} {
		a, err := s.AcceptAnswered(context.Background(), command(c.id, "/deploy", func(e *event.Event) { e.User, e.Text = c.user, c.env }))
		if err != nil || a == nil || !strings.Contains(string(a.Body), c.want) {
			t.Errorf("%s deploys to %s: %+v %v, want %q", c.user, c.env, a, err, c.want)
		}
	}
	w.settled()
	if got := w.reasonOf("3"); !strings.Contains(got, `not permitted: access entry 1: user U2 is not among @oncall; access entry 2: the argument env is "prod"`) {
		t.Errorf("the reason is not recorded: %q", got)
	}
	if got := w.outcomes("4"); len(got) != 1 || got[0] != dispatch.Cancelled {
		t.Errorf("got %v", got)
	}
	var why []string
	for _, v := range s.Explain(command("5", "/deploy", func(e *event.Event) { e.User, e.Text = "U3", "x" })) {
		if v.Rule.Name == "deploy" {
			why = append(why, v.Why)
		}
	}
	if len(why) != 1 || !strings.Contains(why[0], "if it is permitted") {
		t.Errorf("explained as %q", why)
	}
}

func TestARuleWithStopThatOneMayNotRunStillStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
on.message("go", lambda e: probe.again(key = "admin") and None, admin = True, stop = True, priority = 1)
on.message("go", lambda e: probe.again(key = "behind") and None)
on.schedule("every 1h", lambda e: probe.again(key = "timed") and None, admin = True, name = "timed")
`})
	s := w.start(func(o *dispatch.Options) { o.Permit = permit.New([]string{"U9"}, nil, nil) })
	s.say("1", "go")
	w.settled()
	same(t, "effects", w.far.keys(), []string{"Only admins may use this."})
	// Nobody asks for what is due: it is the server's own.
	s.say("2", "", func(e *event.Event) {
		e.Kind, e.CallbackID, e.User, e.Channel = event.Schedule, "a.star:timed", "", ""
	})
	w.settled()
	same(t, "effects", w.far.keys(), []string{"Only admins may use this.", "timed"})
}
