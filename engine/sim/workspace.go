package sim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// NewWorkspace is a small workspace to install the app in beside the first: a
// person, two channels, and a direct message of the person with the app. Its
// ids begin with those of the letters that id has after "T": the workspace
// T0SECOND has the channel C0SECOND1, #general, and the person U0SECOND1.
func NewWorkspace(id, name string) Seed {
	rest := id
	if len(id) > 1 {
		rest = id[1:]
	}
	app := App{BotID: "B" + rest, UserID: "U" + rest + "BOT"}
	person := User{ID: "U" + rest + "1", Name: "wanda", RealName: "Wanda of " + name, Email: "wanda@" + strings.ToLower(rest) + ".example.com", TZ: "Europe/Paris", Color: "1f6f8b", Admin: true}
	everyone := []string{person.ID, app.UserID}
	return Seed{
		Team: Team{ID: id, Name: name, Domain: strings.ToLower(rest)}, App: app, Users: []User{person},
		Channels: []Channel{
			{ID: "C" + rest + "1", Name: "general", General: true, Members: everyone},
			{ID: "C" + rest + "2", Name: "ops", Members: everyone},
			{ID: "D" + rest + "1", IM: true, Members: everyone},
		},
	}
}

// Workspace is the server of a workspace: people act there, and the app is told
// of it once it is installed. It returns nil if there is none. Over HTTP its API
// for people is below /workspaces/<team id>/sim/.
func (s *Server) Workspace(team string) *Server { return s.oauth.workspace(team) }

func (a *oauthSide) workspace(team string) *Server {
	if team == a.s.world.team.ID {
		return a.s
	}
	return a.subs[team]
}

// workspaces lists them, the first one first.
func (a *oauthSide) workspaces() []*Server {
	out := []*Server{a.s}
	for _, seed := range a.o.Workspaces {
		out = append(out, a.subs[seed.Team.ID])
	}
	return out
}

// addWorkspace makes a workspace beside the first. It shares the app, the
// deliveries and the connections of Socket Mode with it.
func (a *oauthSide) addWorkspace(seed Seed) error {
	p, id := a.s, seed.Team.ID
	if id == "" || a.workspace(id) != nil {
		return fmt.Errorf("workspace %q: its id is missing or taken", id)
	}
	app := p.world.app
	seed.App = App{ID: or(seed.App.ID, app.ID), Name: or(seed.App.Name, app.Name), BotID: or(seed.App.BotID, app.BotID), UserID: or(seed.App.UserID, app.UserID)}
	w, err := newWorld(seed, p.world.now, p.opt.Rand)
	if err != nil {
		return fmt.Errorf("make workspace %s: %w", id, err)
	}
	opt := p.opt
	opt.Seed, opt.BotToken, opt.UserToken, opt.UserTokenUser = seed, "", "", ""
	sub := &Server{opt: opt, world: w, clock: p.clock, client: p.client, out: p.out, sockets: p.sockets, subscribed: p.subscribed, oauth: a, parent: p}
	w.event = func(c *Channel, inner Block) {
		if a.told(sub) {
			sub.enqueueEvent(c, inner)
		}
	}
	a.subs[id] = sub
	return nil
}

// told reports whether the app gets the events of a workspace. The first one's
// it always gets: there it is installed without OAuth.
func (a *oauthSide) told(at *Server) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range a.grants {
		if g.why == "" && (g.at == at || g.at == nil && a.o.Org.has(at.world.team.ID)) {
			return true
		}
	}
	return false
}

// enterprise is the organization that a workspace belongs to, and whether the
// app came into it by an installation for the whole organization.
func (a *oauthSide) enterprise(at *Server) (id string, wide bool) {
	if !a.o.Org.has(at.world.team.ID) {
		return "", false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range a.grants {
		if g.why != "" {
			continue
		}
		switch g.at {
		case nil:
			wide = true
		case at:
			return a.o.Org.ID, false
		}
	}
	return a.o.Org.ID, wide
}

// routeOAuth adds what installing apps needs, and the other workspaces.
func (s *Server) routeOAuth(mux *http.ServeMux) {
	if s.parent != nil {
		return
	}
	mux.HandleFunc("GET /oauth/v2/authorize", s.oauth.serveAsk)
	mux.HandleFunc("POST /oauth/v2/authorize", s.oauth.serveDecision)
	for _, at := range s.oauth.workspaces()[1:] {
		prefix := "/workspaces/" + at.world.team.ID
		mux.Handle(prefix+"/", http.StripPrefix(prefix, at.Handler()))
	}
	mux.HandleFunc("GET /sim/oauth", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.oauth.overview()) })
	act(mux, "oauth", func(_ *http.Request, in oauthSwitch) (Block, error) { return s.oauth.turn(in) })
}

// oauthSwitch is the body of /sim/oauth: what is there is done.
type oauthSwitch struct {
	Rotate *bool `json:"rotate"`
	// Expire is in how many seconds the tokens that rotate expire, those of
	// Team only if it is not empty.
	Expire *int   `json:"expire"`
	Team   string `json:"team"`
	// Lose is how many answers about tokens get lost.
	Lose *int `json:"lose"`
	// Uninstall takes the app out of Team, which may be the organization.
	Uninstall bool `json:"uninstall"`
}

func (a *oauthSide) turn(in oauthSwitch) (Block, error) {
	out := Block{}
	if in.Rotate != nil {
		a.s.SetRotation(*in.Rotate)
	}
	if in.Expire != nil {
		out["expiring"] = a.s.ExpireTokens(in.Team, seconds(*in.Expire))
	}
	if in.Lose != nil {
		a.s.LoseTokenAnswers(*in.Lose)
	}
	if in.Uninstall {
		if err := a.s.Uninstall(in.Team); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// overview is who is there and where the app is installed; no token is shown.
func (a *oauthSide) overview() Block {
	teams := []Team{}
	for _, at := range a.workspaces() {
		teams = append(teams, at.world.team)
	}
	a.mu.Lock()
	tokens := []Block{}
	for _, g := range a.grants {
		t := Block{"bot": g.bot, "user": g.user, "scopes": g.scopes, "state": or(string(a.state(g)), "live"), "team": a.o.Org.ID}
		if g.at != nil {
			t["team"] = g.at.world.team.ID
		}
		if !g.expires.IsZero() {
			t["expires"] = g.expires.Unix()
		}
		tokens = append(tokens, t)
	}
	rotate, org, made := a.o.Rotate, a.o.Org, a.made
	a.mu.Unlock()
	slices.SortFunc(tokens, func(x, y Block) int { return compareText(x, y, "team", "user", "state") })
	return Block{"workspaces": teams, "org": org, "rotate": rotate, "refreshed": made, "installed": a.s.Installed(), "tokens": tokens}
}
