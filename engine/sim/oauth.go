package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// The fixed credentials of the local Slack's app in OAuth.
const (
	DevClientID     = "1111111111.2222222222"
	DevClientSecret = "local-development-client-secret"
)

// OAuth says how apps are installed. The zero value takes DevClientID and
// DevClientSecret, sends browsers back to any address of this machine, and
// hands out tokens that live for ever, in the one workspace there is.
type OAuth struct {
	ClientID, ClientSecret string
	// RedirectURLs are the addresses that the app has registered: a
	// redirect_uri is one of them or lies below one. None: any of this machine.
	RedirectURLs []string
	// Rotate makes tokens expire after Lifetime (12 h), with a token to refresh
	// them. CodeLifetime is how long a code can be exchanged: 10 min.
	Rotate                 bool
	Lifetime, CodeLifetime time.Duration
	// KillOld ends a token with its refresh. Slack lets it live until it expires.
	KillOld bool
	// Workspaces are there beside that of Options.Seed; their App takes what
	// it does not say from the app there. See NewWorkspace.
	Workspaces []Seed
	// Org is an organization of some of the workspaces.
	Org Org
}

// Org is an organization (Enterprise Grid). No ID: there is none.
type Org struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"`
	Teams []string `json:"teams"` // ids of workspaces
}

func (o Org) has(team string) bool { return o.ID != "" && slices.Contains(o.Teams, team) }

// oauthSide is what Slack knows of the installations of the app.
type oauthSide struct {
	s *Server

	// mu is taken after the lock of a World, never before it.
	mu      sync.Mutex
	o       OAuth
	pending map[string]*asked  // by the id of the form that a person sees
	codes   map[string]*code   // by code
	grants  map[string]*grant  // by access token, dead ones included
	refresh map[string]*grant  // by refresh token, spent ones included
	dead    map[string]Code    // fixed tokens that were revoked
	lose    int                // answers about tokens that get lost
	made    int                // how many pairs were made by refreshing
	subs    map[string]*Server // workspaces beside the first, by team id
}

// grant is an access token and what it is good for.
type grant struct {
	token, refresh string
	bot            bool
	user           string // whom it speaks for: a person, unless bot
	scopes         []string
	at             *Server // the workspace; nil: the whole organization
	expires        time.Time
	spent          bool // refreshed: its refresh token is dead
	why            Code // why it is dead; "" while it lives
}

func newOAuthSide(s *Server, o OAuth) (*oauthSide, error) {
	o.ClientID, o.ClientSecret = or(o.ClientID, DevClientID), or(o.ClientSecret, DevClientSecret)
	if o.Lifetime == 0 {
		o.Lifetime = 12 * time.Hour
	}
	if o.CodeLifetime == 0 {
		o.CodeLifetime = 10 * time.Minute
	}
	a := &oauthSide{
		s: s, o: o, pending: map[string]*asked{}, codes: map[string]*code{}, grants: map[string]*grant{},
		refresh: map[string]*grant{}, dead: map[string]Code{}, subs: map[string]*Server{},
	}
	for _, u := range o.RedirectURLs {
		if err := checkLocal(u); err != nil {
			return nil, err
		}
	}
	for _, seed := range o.Workspaces {
		if err := a.addWorkspace(seed); err != nil {
			return nil, err
		}
	}
	for _, team := range o.Org.Teams {
		at := a.workspace(team)
		if at == nil {
			return nil, fmt.Errorf("organization %s: there is no workspace %s", o.Org.ID, team)
		}
		at.world.enterprise = func() (string, bool) { return a.enterprise(at) }
	}
	return a, nil
}

// SetRotation switches the rotation of tokens on or off, for tokens that are
// handed out from now on.
func (s *Server) SetRotation(on bool) {
	s.oauth.mu.Lock()
	defer s.oauth.mu.Unlock()
	s.oauth.o.Rotate = on
}

// ExpireTokens lets every token that rotates expire after d, in a workspace or,
// if team is empty, everywhere. It returns how many there are.
func (s *Server) ExpireTokens(team string, d time.Duration) int {
	a := s.oauth
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, g := range a.grants {
		if g.why == "" && g.refresh != "" && !g.spent && (team == "" || g.at != nil && g.at.world.team.ID == team) {
			g.expires = s.now().Add(d)
			n++
		}
	}
	return n
}

// LoseTokenAnswers makes the next n answers about tokens get lost on their way
// to the app: what was asked is done.
func (s *Server) LoseTokenAnswers(n int) {
	s.oauth.mu.Lock()
	defer s.oauth.mu.Unlock()
	s.oauth.lose = n
}

// Refreshed is how many times tokens were refreshed.
func (s *Server) Refreshed() int {
	s.oauth.mu.Lock()
	defer s.oauth.mu.Unlock()
	return s.oauth.made
}

// Installed lists where the app is installed by OAuth: ids of workspaces, and
// of the organization, sorted.
func (s *Server) Installed() []string {
	a := s.oauth
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := map[string]bool{}
	for _, g := range a.grants {
		if a.state(g) != "" {
			continue
		}
		if g.at == nil {
			seen[a.o.Org.ID] = true
		} else {
			seen[g.at.world.team.ID] = true
		}
	}
	out := make([]string, 0, len(seen))
	for id := range seen {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// state is "" if a token lives, or Slack's error about it. Under mu.
func (a *oauthSide) state(g *grant) Code {
	switch {
	case g.why != "":
		return g.why
	case !g.expires.IsZero() && !a.s.now().Before(g.expires):
		return "token_expired"
	}
	return ""
}

// find returns the grant of a token; nil if OAuth knows of none. The code says
// that the token is not good, also of a fixed one.
func (a *oauthSide) find(token string) (*grant, Code) {
	if token == "" {
		return nil, ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if g := a.grants[token]; g != nil {
		return g, a.state(g)
	}
	return nil, a.dead[token]
}

// call runs a method with a token that OAuth has handed out.
func (a *oauthSide) call(g *grant, name string, args args) (Block, error) {
	f := methods[name]
	if _, known := methods[name]; !known {
		return nil, Code("unknown_method")
	}
	if name == "apps.connections.open" {
		return nil, Code("not_allowed_token_type")
	}
	at := g.at
	if at == nil {
		var err error
		if at, err = a.place(name, args); err != nil {
			return nil, err
		}
	}
	w := at.world
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &call{args: args, w: w, s: at, user: g.user, bot: g.bot}
	if g.bot {
		c.user = w.app.UserID
	}
	out, err := f(c)
	if err == nil && name == "auth.test" {
		a.introduce(g, out)
	}
	return out, err
}

// introduce adds to the answer of auth.test what only organizations have.
func (a *oauthSide) introduce(g *grant, out Block) {
	if o := a.o.Org; g.at == nil {
		out["is_enterprise_install"], out["enterprise_id"] = true, o.ID
		out["team_id"], out["team"] = o.ID, o.Name
	} else if o.has(g.at.world.team.ID) {
		out["enterprise_id"] = o.ID
	}
}

// needTeam are the methods that want to know from an organization's token
// which workspace is meant.
var needTeam = map[string]bool{
	"conversations.list": true, "conversations.create": true, "users.list": true, "usergroups.list": true,
	"users.conversations": true, "emoji.list": true, "team.info": false,
}

// place finds the workspace that a call with an organization's token is about:
// that of team_id, of the channel or of the user, else the first one.
func (a *oauthSide) place(name string, args args) (*Server, error) {
	team := args.str("team_id")
	if team == "" && needTeam[name] {
		return nil, Code("missing_argument")
	}
	var first *Server
	for _, id := range a.o.Org.Teams {
		at := a.workspace(id)
		if id == team {
			return at, nil
		}
		if team != "" {
			continue
		}
		if first == nil {
			first = at
		}
		if at.holds(or(args.str("channel"), args.str("channel_id")), or(args.str("user"), args.str("user_id")), args.str("trigger_id"), args.str("view_id")) {
			return at, nil
		}
	}
	if team != "" || first == nil {
		return nil, Code("team_not_found")
	}
	return first, nil
}

// holds reports whether a workspace has a channel, a user, a trigger or a view.
func (s *Server) holds(channel, user, trigger, view string) bool {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.channels {
		if channel != "" && c.ID == channel {
			return true
		}
	}
	if strings.HasPrefix(channel, "U") {
		user = channel
	}
	if u := w.user(user); u != nil && u.person() {
		return true
	}
	if trigger != "" {
		_, ok := w.triggers[trigger]
		return ok
	}
	for _, stack := range w.modals {
		for _, v := range stack {
			if view != "" && v.ID == view {
				return true
			}
		}
	}
	return false
}
