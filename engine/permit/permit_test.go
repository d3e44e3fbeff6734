package permit_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/permit"
)

// directory knows what it is told, and asks nobody.
type directory struct {
	members map[string][]string
	mails   map[string]string
	names   map[string]string
	sick    bool
}

var errSick = errors.New("missing_scope")

func (d directory) Member(_ context.Context, a permit.Asker, group string, wait bool) (bool, error) {
	switch {
	case !wait:
		return false, permit.ErrUnknown
	case d.sick:
		return false, errSick
	}
	for _, u := range d.members[group] {
		if u == a.User {
			return true, nil
		}
	}
	return false, nil
}

func (d directory) Email(_ context.Context, a permit.Asker, wait bool) (string, error) {
	if !wait {
		return "", permit.ErrUnknown
	}
	if d.sick {
		return "", errSick
	}
	return d.mails[a.User], nil
}

func (d directory) Channel(_ context.Context, a permit.Asker, wait bool) (string, error) {
	if !wait {
		return "", permit.ErrUnknown
	}
	if d.sick {
		return "", errSick
	}
	return d.names[a.Channel], nil
}

func TestWhoMayRunARule(t *testing.T) {
	t.Parallel()
	known := directory{
		members: map[string][]string{"@oncall": {"U1"}, "S9": {"U2"}},
		mails:   map[string]string{"U3": "Ann@Example.com"},
		names:   map[string]string{"C1": "ops-eu"},
	}
	sick := known
	sick.sick = true
	access := []config.Access{
		{Rules: []string{"deploy.star:*"}, Groups: []string{"@oncall"}, Deny: []string{"U8"}},
		{Rules: []string{"deploy.star:*"}, Users: []string{"ann@example.com", "U4"}, Args: map[string][]string{"env": {"staging", "dev-*"}}, Say: "Ask #ops."},
		{Rules: []string{"*:here"}, Channels: []string{"#ops-*", "C2"}},
		{Rules: []string{"open.star:not_for_all"}, Deny: []string{"U8", "@oncall"}},
	}
	for _, c := range []struct {
		name  string
		rule  permit.Rule
		user  string
		chann string
		env   string
		dir   permit.Directory
		want  string // "" is allowed
	}{
		{name: "no entry names it", rule: permit.Rule{ID: "x.star:y"}, user: "U7"},
		{name: "member of a group", rule: permit.Rule{ID: "deploy.star:go"}, user: "U1", env: "prod"},
		{name: "by address, with an allowed argument", rule: permit.Rule{ID: "deploy.star:go"}, user: "U3", env: "dev-7"},
		{name: "with another argument", rule: permit.Rule{ID: "deploy.star:go"}, user: "U4", env: "prod", want: `the argument env is "prod", not staging or dev-*`},
		{name: "without the argument", rule: permit.Rule{ID: "deploy.star:go"}, user: "U4", want: "the argument env is not given"},
		{name: "somebody else", rule: permit.Rule{ID: "deploy.star:go"}, user: "U7", env: "staging", want: "user U7 is not among @oncall"},
		{name: "denied, though in the group", rule: permit.Rule{ID: "deploy.star:go"}, user: "U8", env: "staging", want: "denied by access entry 1"},
		{name: "nobody", rule: permit.Rule{ID: "deploy.star:go"}, env: "staging", want: "no user"},
		{name: "a look-up fails", rule: permit.Rule{ID: "deploy.star:go"}, user: "U1", dir: sick, want: "cannot be looked up: missing_scope"},
		{name: "a look-up for a denial fails", rule: permit.Rule{ID: "open.star:not_for_all"}, user: "U7", dir: sick, want: "cannot be looked up"},
		{name: "only denials, others may", rule: permit.Rule{ID: "open.star:not_for_all"}, user: "U7"},
		{name: "only denials", rule: permit.Rule{ID: "open.star:not_for_all"}, user: "U1", want: "denied"},
		{name: "channel by name", rule: permit.Rule{ID: "a.star:here"}, user: "U7", chann: "C1"},
		{name: "channel by id", rule: permit.Rule{ID: "a.star:here"}, user: "U7", chann: "C2"},
		{name: "another channel", rule: permit.Rule{ID: "a.star:here"}, user: "U7", chann: "C3", want: "channel C3 is not among"},
		{name: "no channel", rule: permit.Rule{ID: "a.star:here"}, user: "U7", want: "(none)"},
		{name: "groups of the rule", rule: permit.Rule{ID: "x.star:y", Groups: []string{"S9"}}, user: "U2"},
		{name: "none of the groups", rule: permit.Rule{ID: "x.star:y", Groups: []string{"S9"}}, user: "U1", want: "user U1 is in none of S9"},
		{name: "admin", rule: permit.Rule{ID: "x.star:y", Admin: true}, user: "UADM"},
		{name: "admin by group", rule: permit.Rule{ID: "x.star:y", Admin: true}, user: "U2"},
		{name: "no admin", rule: permit.Rule{ID: "x.star:y", Admin: true}, user: "U1", want: "user U1 is no admin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := c.dir
			if dir == nil {
				dir = known
			}
			p := permit.New([]string{"UADM", "S9"}, access, dir)
			arg := func(name string) (string, bool) { return c.env, name == "env" && c.env != "" }
			v, ok := p.Decide(t.Context(), c.rule, permit.Asker{Team: "T1", User: c.user, Channel: c.chann}, arg, true)
			if !ok || v.Allowed != (c.want == "") || !strings.Contains(v.Why, c.want) {
				t.Errorf("got %+v %v, want %q", v, ok, c.want)
			}
			if !v.Allowed && v.Text == "" {
				t.Error("who asked is told nothing")
			}
		})
	}
}

func TestWithoutAdminsNobodyIsOne(t *testing.T) {
	t.Parallel()
	a := permit.Asker{Team: "T1", User: "U1"}
	for name, p := range map[string]*permit.Policy{"none configured": permit.New(nil, nil, nil), "no policy": nil} {
		if v, _ := p.Decide(t.Context(), permit.Rule{ID: "a", Admin: true}, a, nil, true); v.Allowed || p.Admin(t.Context(), a) {
			t.Errorf("%s: U1 is an admin", name)
		}
	}
	if v, _ := (*permit.Policy)(nil).Decide(t.Context(), permit.Rule{ID: "a"}, a, nil, true); !v.Allowed {
		t.Error("what nobody restricts is refused")
	}
}

func TestWithoutWaitingWhatTakesALookUpIsNotDecided(t *testing.T) {
	t.Parallel()
	p := permit.New([]string{"@oncall"}, nil, directory{})
	v, known := p.Decide(t.Context(), permit.Rule{ID: "a", Admin: true}, permit.Asker{User: "U1"}, nil, false)
	if known || v.Allowed {
		t.Errorf("got %+v %v", v, known)
	}
	if _, known := p.Decide(t.Context(), permit.Rule{ID: "a"}, permit.Asker{User: "U1"}, nil, false); !known {
		t.Error("what is open to all waits for a look-up")
	}
}

func TestHelpGoesByThePersonAndThePlace(t *testing.T) {
	t.Parallel()
	p := permit.New(nil, []config.Access{{Rules: []string{"d:*"}, Users: []string{"U1"}, Args: map[string][]string{"env": {"staging"}}}}, nil)
	if !p.May(t.Context(), permit.Rule{ID: "d:x"}, permit.Asker{User: "U1"}) || p.May(t.Context(), permit.Rule{ID: "d:x"}, permit.Asker{User: "U2"}) {
		t.Error("help shows what one may not, or hides what one may")
	}
}
