package install

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// OrgWide says what is known of whether an event is for an org-wide
// installation: Slack's is_enterprise_install.
type OrgWide uint8

// What an event says. Some kinds of payloads say nothing.
const (
	Unsaid OrgWide = iota
	Yes
	No
)

// Query asks for an installation. Team or Enterprise is needed; an empty App is
// the only app that is installed there.
type Query struct {
	App, Team, Enterprise string
	// OrgWide, if No, keeps an org-wide installation from being used for a team
	// that has not installed the app itself.
	OrgWide OrgWide
}

// String names what is asked for.
func (q Query) String() string {
	var parts []string
	for _, p := range []struct{ name, id string }{{"app", q.App}, {"team", q.Team}, {"enterprise", q.Enterprise}} {
		if p.id != "" {
			parts = append(parts, p.name+" "+p.id)
		}
	}
	return strings.Join(parts, ", ")
}

// Find returns the installation that an event or a call is for: that of the
// team, else the org-wide one of its enterprise. The team's own is found by its
// id alone, which is unique: a workspace may have joined an organisation, or
// left it, since. The result is shared. ErrNotFound if nobody has installed the
// app there; whether there is a token to use, Installation.Usable says.
func (s *Store) Find(ctx context.Context, q Query) (*Installation, error) {
	if q.Team == "" && q.Enterprise == "" {
		return nil, fmt.Errorf("find installation: neither team nor enterprise is known: %w", ErrNotFound)
	}
	for _, place := range q.places() {
		in, err := s.at(ctx, q.App, place)
		if err != nil {
			return nil, fmt.Errorf("find installation of %s: %w", q, err)
		}
		if in != nil {
			return in, nil
		}
	}
	if q.Enterprise != "" && q.Team != "" && q.OrgWide == No {
		return nil, fmt.Errorf("no installation for %s: the workspace has not installed the app, and the event is for no org-wide installation: %w", q, ErrNotFound)
	}
	return nil, fmt.Errorf("no installation for %s: %w", q, ErrNotFound)
}

// missTimeout bounds the look into the state for what the table has not.
const missTimeout = 2 * time.Second

// places are where to look, in order.
func (q Query) places() []string {
	var out []string
	if q.Team != "" {
		out = append(out, q.Team)
	}
	if q.Enterprise != "" && (q.Team == "" || q.OrgWide != No) {
		out = append(out, q.Enterprise)
	}
	return slices.DeleteFunc(out, func(id string) bool { return !validID(id) })
}

// at returns the installation of an app at a place; nil if there is none.
func (s *Store) at(ctx context.Context, app, place string) (*Installation, error) {
	if app == "" {
		return s.only(place)
	}
	if !validID(app) {
		return nil, nil
	}
	id := ID{app, place}
	s.mu.RLock()
	in := s.table[id]
	s.mu.RUnlock()
	if in != nil || !s.o.Shared {
		return in, nil
	}
	// Another process may have stored it a moment ago.
	ctx, cancel := context.WithTimeout(ctx, missTimeout)
	defer cancel()
	return s.take(ctx, id)
}

// only returns the installation of whatever app is at a place, if it is one.
func (s *Store) only(place string) (*Installation, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found *Installation
	for id, in := range s.table {
		if id.Place != place {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("several apps are installed in %s: say which", place)
		}
		found = in
	}
	return found, nil
}

// Now is the time, by the clock of the Store.
func (s *Store) Now() time.Time { return s.o.Now() }
