package engine

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/oauth"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// ScopesFunc works out which scopes rules need, of the bot's token and of a
// user's. bundle gives the sources of a version in force.
type ScopesFunc func(set *rules.Set, bundle func(runtime.Digest) (*runtime.Bundle, bool)) (bot, user []string, err error)

// authorizer is what an engine has for OAuth; nil without a client id.
type authorizer struct {
	flow    *oauth.Flow
	rotator *oauth.Rotator
	revoker *oauth.Revoker
}

// openOAuth prepares the install page and the renewal of tokens. Installations
// are open: without a key for them the configuration is refused.
func (e *Engine) openOAuth() {
	c := e.o.Config.Slack.OAuth
	if !c.On() || e.installs == nil {
		return
	}
	app := oauth.App{ClientID: c.ClientID, ClientSecret: c.ClientSecret}
	at := c.AuthorizeURL
	if at == "" {
		at = oauth.AuthorizeURL(e.o.Config.Slack.APIURL)
	}
	learn := func(...string) {}
	if h, ok := e.log.Handler().(interface{ Add(secrets ...string) }); ok {
		learn = h.Add
	}
	wanted := &wantedScopes{e: e}
	e.oauth = &authorizer{
		flow: oauth.NewFlow(oauth.FlowOptions{
			App: app, Slack: e.slack, Store: e.installs, State: e.store.State(), AuthorizeURL: at, Scopes: wanted.now,
			RedirectURL: c.RedirectURL, Direct: c.Direct, Team: c.Team, SuccessURL: c.SuccessURL,
			Now: e.o.Now, Logger: e.log, Metrics: e.metrics,
		}),
		rotator: oauth.NewRotator(oauth.RotatorOptions{
			App: app, Slack: e.slack, Store: e.installs, State: e.store.State(), Exchange: c.TokenRotation, Learn: learn,
			Now: e.o.Now, Logger: e.log, Metrics: e.metrics,
		}),
		revoker: &oauth.Revoker{App: app, Slack: e.slack, Logger: e.log, Metrics: e.metrics},
	}
	r := e.oauth.rotator
	e.OnRefused(func(ctx context.Context, id install.ID, user string, token install.Token, _ string) bool {
		fresh, err := r.Renew(ctx, id, user, token)
		if err != nil && ctx.Err() == nil {
			e.log.Warn("Slack refuses a token, and there is no other", "installation", id.String(), "user", user, "err", err)
		}
		return err == nil && fresh != token
	})
	e.installs.Subscribe(func(c install.Change) {
		if c.Installation == nil {
			r.Forget(c.ID)
		}
	})
	e.metrics.Func("tokens_not_renewed", "Tokens of installations that could not be renewed.", func() float64 { return float64(len(r.Problems())) })
	e.metrics.Func("token_first_end_seconds", "Time until the first of the tokens that expire does; 0 if none does.", func() float64 {
		end := r.NextEnd()
		if end.IsZero() {
			return 0
		}
		return max(end.Sub(e.o.Now()).Seconds(), 0)
	})
}

// oauthMounts are the routes of OAuth: for browsers, so they need no signature.
func (e *Engine) oauthMounts() []ingress.Mount {
	if e.oauth == nil {
		return nil
	}
	c := e.o.Config.Slack.OAuth
	serve := func(f func(context.Context, *oauth.Request) oauth.Response) func(context.Context, *ingress.APIRequest) ingress.AdminResponse {
		return func(ctx context.Context, r *ingress.APIRequest) ingress.AdminResponse {
			cookies, _ := r.Header("Cookie")
			host, _ := r.Header("Host")
			out := f(ctx, &oauth.Request{Query: r.Query, Cookie: cookies, Host: host, Secure: r.Secure, Path: c.InstallPath})
			return ingress.AdminResponse{Status: out.Status, ContentType: out.Header["Content-Type"], Header: out.Header, Body: out.Body}
		}
	}
	return []ingress.Mount{
		{Method: http.MethodGet, Path: c.InstallPath, Handle: serve(e.oauth.flow.Install)},
		{Method: http.MethodGet, Path: c.ReturnPath(), Handle: serve(e.oauth.flow.Redirect)},
	}
}

// wantedScopes are those that are configured, or those that the rules in force
// need; these are worked out once for each set of rules.
type wantedScopes struct {
	e         *Engine
	mu        sync.Mutex
	set       *rules.Set
	bot, user []string
}

func (w *wantedScopes) now() (bot, user []string) {
	c := w.e.o.Config.Slack.OAuth
	if len(c.Scopes)+len(c.UserScopes) > 0 || w.e.o.Scopes == nil {
		return c.Scopes, c.UserScopes
	}
	set := w.e.loader.Current()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set == set {
		return w.bot, w.user
	}
	bot, user, err := w.e.o.Scopes(set, w.e.loader.Bundle)
	if err != nil {
		w.e.log.Error("work out which scopes the rules need", "err", err)
		return nil, nil
	}
	w.set, w.bot, w.user = set, bot, user
	return bot, user
}

// Revoke ends the tokens of an installation at Slack; with uninstall it takes
// the app out of the workspace. What is stored stays: Slack tells of it, and
// whoever asks removes it. queue.ErrNotFound and install.ErrNotFound apart, the
// error is what Slack has refused.
func (e *Engine) Revoke(ctx context.Context, id install.ID, uninstall bool) error {
	if e.installs == nil {
		return errNoKey
	}
	revoker := &oauth.Revoker{Slack: e.slack, Logger: e.log, Metrics: e.metrics}
	if e.oauth != nil {
		revoker = e.oauth.revoker
	}
	in, err := e.installs.Get(ctx, id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return revoker.Revoke(ctx, in, uninstall)
}
