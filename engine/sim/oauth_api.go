package sim

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"
)

// oauthMethods are those that name the app by its client id and secret, or
// take a token only to end it.
var oauthMethods = map[string]func(a *oauthSide, in tokenCall) (Block, error){
	"oauth.v2.access": (*oauthSide).access, "oauth.v2.exchange": (*oauthSide).exchange,
	"auth.revoke": (*oauthSide).revoke, "apps.uninstall": (*oauthSide).uninstallBy,
}

// tokenCall is a call of one of oauthMethods.
type tokenCall struct {
	args
	id, secret string // of the app
	token      string
}

// serveTokens answers one of oauthMethods, with the faults of the local Slack.
func (s *Server) serveTokens(w http.ResponseWriter, r *http.Request, name, token string, in args) (status int, body Block, err error) {
	a := s.oauth
	c := tokenCall{args: in, token: token}
	defer func() {
		for _, k := range []string{"client_secret", "code", "refresh_token", "token"} {
			delete(in.values, k) // the record of calls is for everybody
		}
	}()
	if id, secret, ok := r.BasicAuth(); ok {
		c.id, c.secret, c.token = id, secret, in.str("token")
	} else {
		c.id, c.secret = in.str("client_id"), in.str("client_secret")
	}
	if status, body, err = s.fault(r, name, w.Header()); body != nil || err != nil {
		return status, body, err
	}
	body, err = oauthMethods[name](a, c)
	a.mu.Lock()
	lost := a.lose > 0
	if lost {
		a.lose--
	}
	a.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler) // the connection breaks, without an answer
	}
	return status, body, err
}

// known checks who the app says it is.
func (a *oauthSide) known(in tokenCall) error {
	switch {
	case in.id == "" || in.id != a.o.ClientID:
		return Code("invalid_client_id")
	case in.secret != a.o.ClientSecret:
		return Code("bad_client_secret")
	}
	return nil
}

// access is oauth.v2.access: a code or a refresh token becomes tokens.
func (a *oauthSide) access(in tokenCall) (Block, error) {
	if err := a.known(in); err != nil {
		return nil, err
	}
	switch in.str("grant_type") {
	case "refresh_token":
		return a.refreshed(in.str("refresh_token"))
	case "", "authorization_code":
	default:
		return nil, Code("invalid_grant_type")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.codes[in.str("code")]
	switch {
	case c == nil || a.s.now().Sub(c.made) >= a.o.CodeLifetime:
		return nil, Code("invalid_code")
	case c.used:
		return nil, Code("code_already_used")
	case c.redirect != in.str("redirect_uri"):
		return nil, Code("bad_redirect_uri")
	}
	c.used = true
	user := Block{"id": c.user}
	out := a.describe(c.where)
	out["authed_user"] = user
	if len(c.userScopes) > 0 {
		a.fill(user, a.grant(&grant{user: c.user, scopes: c.userScopes, at: c.where}))
	}
	if len(c.scopes) > 0 {
		a.fill(out, a.grant(&grant{bot: true, scopes: a.cumulated(c.where, c.scopes), at: c.where}))
	}
	return out, nil
}

// cumulated are the scopes of a bot: Slack adds those of a new installation to
// those that it had.
func (a *oauthSide) cumulated(at *Server, scopes []string) []string {
	out := slices.Clone(scopes)
	for _, g := range a.grants {
		if g.bot && g.at == at && g.why == "" {
			for _, s := range g.scopes {
				if !slices.Contains(out, s) {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// grant hands out a token. Under mu.
func (a *oauthSide) grant(g *grant) *grant {
	kind := "xoxp-"
	if g.bot {
		kind = "xoxb-"
	}
	g.token = kind + rand.Text()
	if a.o.Rotate {
		g.token, g.refresh = "xoxe."+kind+"1-"+rand.Text(), "xoxe-1-"+rand.Text()
		g.expires = a.s.now().Add(a.o.Lifetime)
		a.refresh[g.refresh] = g
	}
	a.grants[g.token] = g
	return g
}

// fill writes a token and what goes with it.
func (a *oauthSide) fill(out Block, g *grant) {
	out["access_token"], out["scope"], out["token_type"] = g.token, strings.Join(g.scopes, ","), "user"
	if g.bot {
		out["token_type"] = "bot"
		if at := cmp.Or(g.at, a.s); at != nil {
			out["bot_user_id"] = at.world.app.UserID
		}
	}
	if g.refresh != "" {
		out["refresh_token"], out["expires_in"] = g.refresh, int(a.o.Lifetime/time.Second)
	}
}

// describe says where the app is installed; nil: in the whole organization.
func (a *oauthSide) describe(at *Server) Block {
	out := Block{"app_id": a.s.world.app.ID, "team": nil, "enterprise": nil, "is_enterprise_install": at == nil}
	if at == nil || a.o.Org.has(at.world.team.ID) {
		out["enterprise"] = Block{"id": a.o.Org.ID, "name": a.o.Org.Name}
	}
	if at != nil {
		out["team"] = Block{"id": at.world.team.ID, "name": at.world.team.Name}
	}
	return out
}

// refreshed makes a new pair of a refresh token, which dies.
func (a *oauthSide) refreshed(token string) (Block, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.refresh[token]
	if old == nil || old.spent || old.why != "" {
		return nil, Code("invalid_refresh_token")
	}
	return a.replace(old), nil
}

// replace hands out a new pair for an old one. Under mu.
func (a *oauthSide) replace(old *grant) Block {
	old.spent = true
	if a.o.KillOld {
		old.why = "token_revoked"
	}
	g := a.grant(&grant{bot: old.bot, user: old.user, scopes: old.scopes, at: old.at})
	a.made++
	out := a.describe(g.at)
	a.fill(out, g)
	return out
}

// exchange is oauth.v2.exchange: a token that lives for ever becomes a pair.
func (a *oauthSide) exchange(in tokenCall) (Block, error) {
	if err := a.known(in); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.grants[in.token]
	if in.token == a.s.opt.BotToken && g == nil && a.dead[in.token] == "" {
		g = &grant{token: in.token, bot: true, scopes: a.s.opt.Scopes, at: a.s}
		a.grants[in.token] = g
	}
	switch {
	case !a.o.Rotate:
		return nil, Code("token_rotation_not_enabled")
	case g == nil || g.why != "" && !g.spent:
		return nil, Code("invalid_token")
	case g.spent || g.refresh != "":
		return nil, Code("token_already_exchanged")
	}
	out := a.replace(g)
	a.made--
	// What lived for ever lives on for a while: the app may still be using it.
	g.expires = a.s.now().Add(a.o.Lifetime)
	return out, nil
}

// revoke is auth.revoke: the end of one token.
func (a *oauthSide) revoke(in tokenCall) (Block, error) {
	g, err := a.living(in.token)
	if err != nil {
		return nil, err
	}
	if in.flag("test") {
		return Block{"revoked": false}, nil
	}
	a.mu.Lock()
	at := a.s
	if g == nil {
		a.dead[in.token] = "token_revoked"
		g = &grant{bot: in.token == a.s.opt.BotToken, user: a.s.opt.UserTokenUser}
	} else {
		at = g.at
		for _, other := range a.grants { // the pair before goes with it
			if other == g || other.at == g.at && other.bot == g.bot && other.user == g.user && other.spent {
				other.why = "token_revoked"
			}
		}
	}
	a.mu.Unlock()
	a.tellRevoked(at, []*grant{g})
	return Block{"revoked": true}, nil
}

// living returns the grant of a token that works; nil for a fixed one.
func (a *oauthSide) living(token string) (*grant, error) {
	g, bad := a.find(token)
	switch {
	case bad != "":
		return nil, bad
	case token == "":
		return nil, Code("not_authed")
	case g == nil && token != a.s.opt.BotToken && token != a.s.opt.UserToken:
		return nil, Code("invalid_auth")
	}
	return g, nil
}

// uninstallBy is apps.uninstall.
func (a *oauthSide) uninstallBy(in tokenCall) (Block, error) {
	g, err := a.living(in.token)
	if err != nil {
		return nil, err
	}
	if err := a.known(in); err != nil {
		return nil, err
	}
	at := a.s
	if g != nil {
		at = g.at
	}
	a.uninstall(at)
	return Block{}, nil
}

// Uninstall takes the app out of a workspace, or out of the organization, as an
// administrator does. The first workspace's fixed tokens die with it.
func (s *Server) Uninstall(team string) error {
	a := s.oauth
	if a.o.Org.ID != "" && team == a.o.Org.ID {
		a.uninstall(nil)
		return nil
	}
	at := a.workspace(team)
	if at == nil {
		return Code("team_not_found")
	}
	a.uninstall(at)
	return nil
}

// uninstall ends all tokens of a workspace, or of the organization's (nil), and
// tells the app.
func (a *oauthSide) uninstall(at *Server) {
	a.mu.Lock()
	var ended []*grant
	for _, g := range a.grants {
		if g.at == at && g.why == "" {
			ended = append(ended, g)
		}
	}
	for _, g := range ended {
		g.why = "account_inactive"
	}
	if at == a.s {
		for _, t := range []string{a.s.opt.BotToken, a.s.opt.UserToken} {
			if a.grants[t] == nil {
				a.dead[t] = "account_inactive"
			}
		}
		ended = append(ended, &grant{bot: true, at: at})
	}
	a.mu.Unlock()
	a.tell(at, Block{"type": "app_uninstalled"})
	a.tellRevoked(at, ended)
}

func (a *oauthSide) tellRevoked(at *Server, ended []*grant) {
	users, bots := []string{}, []string{}
	for _, g := range ended {
		id, list := g.user, &users
		if g.bot {
			id, list = cmp.Or(at, a.s).world.app.UserID, &bots
		}
		if !slices.Contains(*list, id) {
			*list = append(*list, id)
		}
	}
	slices.Sort(users)
	a.tell(at, Block{"type": "tokens_revoked", "tokens": Block{"oauth": users, "bot": bots}})
}

// tell sends an event about the installation itself: it comes although the app
// is not installed any more. Of an organization's it comes by the workspace
// that is first.
func (a *oauthSide) tell(at *Server, inner Block) {
	wide := at == nil
	if wide {
		at = a.workspace(a.o.Org.Teams[0])
	}
	w := at.world
	w.mu.Lock()
	defer w.mu.Unlock()
	inner["event_ts"] = w.nextTS()
	told := w.told()
	told.Wide = wide
	at.enqueue(nil, inner, told)
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// compareText orders objects by text fields.
func compareText(x, y Block, fields ...string) int {
	for _, f := range fields {
		a, _ := x[f].(string)
		b, _ := y[f].(string)
		if c := strings.Compare(a, b); c != 0 {
			return c
		}
	}
	return 0
}
