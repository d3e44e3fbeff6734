package manifest

import (
	"net/url"
)

// defaultRedirect is where browsers come back to unless the configuration says
// otherwise.
const defaultRedirect = "/slack/oauth_redirect"

// install takes up what it needs to be installed by OAuth: the address to come
// back to, and to be told when a workspace removes the app.
func (b *builder) install() {
	switch {
	case b.o.Rotation && !b.o.Install:
		b.note("with token rotation tokens expire after 12 hours, and only those of apps that are installed by OAuth are renewed: set slack.oauth")
	case b.o.Rotation:
		b.note("token rotation cannot be switched off again; tokens that live for ever are exchanged at the next start")
	}
	if !b.o.Install {
		return
	}
	const why = "installing by OAuth"
	b.subscribe(why, "app_uninstalled", "tokens_revoked")
	b.scope("bot", "slack.oauth.scopes", b.o.Scopes.Bot...)
	b.scope("user", "slack.oauth.user_scopes", b.o.Scopes.User...)
	to := b.o.RedirectURL
	if to == "" && !b.o.Socket {
		to = b.o.URL + defaultRedirect
	}
	if to == "" {
		b.note("Slack sends browsers back to an address of yours even with Socket Mode: set slack.oauth.redirect_url, and put it under OAuth & Permissions")
		return
	}
	if u, err := url.Parse(to); err == nil && u.Scheme != "https" {
		b.note("Slack takes redirect URLs with https alone: %s is for the local Slack", to)
		return
	}
	b.r.Manifest.OAuth.RedirectURLs = []string{to}
	if b.o.Org {
		b.note("an organization's administrator installs the app for all workspaces from the same page")
	}
}
