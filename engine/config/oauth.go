package config

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"
)

// OAuth lets workspaces install the app: with a client id there is an install
// page, and tokens that rotate are renewed. It needs installs.keys.
type OAuth struct {
	// ClientID and ClientSecret are those of the app, under Basic Information.
	ClientID     string `key:"client_id"`
	ClientSecret string `key:"client_secret"`
	// Scopes of the bot's token and UserScopes of the installing person's; with
	// neither, those that the loaded rules need.
	Scopes     []string `key:"scopes"`
	UserScopes []string `key:"user_scopes"`
	// RedirectURL is where Slack sends browsers back to, as registered under
	// OAuth & Permissions; empty: what is registered there first.
	RedirectURL string `key:"redirect_url"`
	// InstallPath is that of the install page; RedirectPath that of RedirectURL
	// on this server, unless a proxy in front changes it.
	InstallPath  string `key:"install_path"`
	RedirectPath string `key:"redirect_path"`
	// AuthorizeURL is where people are asked: beside slack.api_url if empty.
	AuthorizeURL string `key:"authorize_url"`
	// SuccessURL is where browsers go in the end; empty: a page that says so.
	SuccessURL string `key:"success_url"`
	// Direct sends browsers to Slack without a page first. Team is the workspace
	// that Slack offers first.
	Direct bool   `key:"direct"`
	Team   string `key:"team"`
	// TokenRotation says that the app has rotation switched on: tokens that live
	// for ever are exchanged, once. Tokens that expire are renewed in any case.
	TokenRotation bool `key:"token_rotation"`
	// OrgDeploy says that organizations may install the app as a whole.
	OrgDeploy bool `key:"org_deploy"`
}

// On reports whether the app can be installed by OAuth.
func (o OAuth) On() bool { return o.ClientID != "" }

// The paths of OAuth.
const (
	defaultInstallPath  = "/slack/install"
	defaultRedirectPath = "/slack/oauth_redirect"
)

// ReturnPath is the path on this server that Slack sends browsers back to.
func (o OAuth) ReturnPath() string {
	if o.RedirectPath != "" {
		return o.RedirectPath
	}
	if u, err := url.Parse(o.RedirectURL); err == nil && len(u.Path) > 1 {
		return u.Path
	}
	return defaultRedirectPath
}

// takenPaths are those that Slack's requests come by, and health.
var takenPaths = map[string]bool{
	"/slack": true, "/slack/events": true, "/slack/commands": true, "/slack/interactive": true, "/slack/options": true,
	"/healthz": true, "/readyz": true, "/healthcheck": true, "/": true,
}

// validateOAuth checks what belongs together.
func (c *Config) validateOAuth(bad func(key, msg, hint string)) {
	o := c.Slack.OAuth
	switch {
	case o.ClientID != "" && o.ClientSecret == "":
		bad("slack.oauth.client_id", "id and secret go together", "add slack.oauth.client_secret, or SLACK_CLIENT_SECRET: api.slack.com/apps, Basic Information")
	case o.ClientID == "" && o.ClientSecret != "":
		bad("slack.oauth.client_secret", "id and secret go together", "add slack.oauth.client_id, or SLACK_CLIENT_ID")
	case strings.ContainsFunc(o.ClientID, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }):
		bad("slack.oauth.client_id", fmt.Sprintf("%q is no client id", o.ClientID), "such as 1234567890.1234567890")
	}
	if o.On() && len(c.Installs.Keys) == 0 {
		bad("slack.oauth", "there is no key to encrypt tokens with", "set STARLING_KEY; starling installs key makes one")
	}
	for key, p := range map[string]string{"install_path": o.InstallPath, "redirect_path": o.ReturnPath()} {
		switch {
		case !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "{}?#% ") || strings.Contains(p, "//"):
			bad("slack.oauth."+key, fmt.Sprintf("%q is no path", p), "such as "+map[string]string{"install_path": defaultInstallPath, "redirect_path": defaultRedirectPath}[key])
		case takenPaths[p] || strings.HasPrefix(p, "/api/"):
			bad("slack.oauth."+key, p+" is taken", "")
		}
	}
	if o.InstallPath == o.ReturnPath() {
		bad("slack.oauth.redirect_path", o.InstallPath+" is that of the install page", "")
	}
	if o.RedirectURL != "" && !webAddress(o.RedirectURL) {
		bad("slack.oauth.redirect_url", fmt.Sprintf("want https://HOST/PATH (got %q)", o.RedirectURL), "plain http is for addresses of this machine, in development")
	}
	for key, u := range map[string]string{"authorize_url": o.AuthorizeURL, "success_url": o.SuccessURL} {
		if u != "" && !webAddress(u) {
			bad("slack.oauth."+key, fmt.Sprintf("want https://HOST/PATH (got %q)", u), "")
		}
	}
	for key, scopes := range map[string][]string{"scopes": o.Scopes, "user_scopes": o.UserScopes} {
		for _, s := range scopes {
			if s == "" || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsLower(r) && !strings.ContainsRune(".:_-", r) }) {
				bad("slack.oauth."+key, fmt.Sprintf("%q is no scope", s), "such as chat:write")
			}
		}
	}
	if o.Team != "" && !teamID.MatchString(o.Team) {
		bad("slack.oauth.team", fmt.Sprintf("%q is not the id of a workspace", o.Team), "such as T0123ABCD")
	}
}

// webAddress reports whether an address is one that browsers may be sent to:
// https, or http on this machine.
func webAddress(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (strings.EqualFold(u.Hostname(), "localhost") || ip != nil && ip.IsLoopback())
}
