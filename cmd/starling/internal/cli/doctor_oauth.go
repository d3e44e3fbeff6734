package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/manifest"
)

// oauth looks at how workspaces install the app, and at those that have.
func (d *doctor) oauth(ctx context.Context, need *manifest.Result) {
	if c := d.cfg.Slack.OAuth; c.On() {
		if c.ClientSecret != "" { // else the configuration is wrong, and said so
			d.client(ctx)
		}
		d.redirect()
	}
	if len(d.cfg.Installs.Keys) > 0 || d.cfg.Slack.OAuth.On() {
		d.installations(ctx, need)
	}
}

// client asks Slack for what no code stands for: the error tells whether the
// id and secret are those of an app.
func (d *doctor) client(ctx context.Context) {
	const check = "oauth client"
	c := d.cfg.Slack.OAuth
	says, err := d.post(ctx, "oauth.v2.access", "", url.Values{"client_id": {c.ClientID}, "client_secret": {c.ClientSecret}, "code": {"starling-doctor"}})
	switch {
	case err != nil:
		d.fail(check, "Slack cannot be asked: "+unwrapped(err), "look at the network, the proxy and SLACK_API_URL ("+d.cfg.Slack.APIURL+")")
	case says.Error == "invalid_code":
		d.ok(check, "Slack knows %s and its secret", c.ClientID)
	case says.Error == "invalid_client_id":
		d.fail(check, "Slack knows no app "+c.ClientID, "set SLACK_CLIENT_ID: api.slack.com/apps, Basic Information, Client ID")
	case says.Error == "bad_client_secret":
		d.fail(check, "the secret is not that of "+c.ClientID, "set SLACK_CLIENT_SECRET: api.slack.com/apps, Basic Information, Client Secret")
	default:
		d.warn(check, "Slack does not say whether id and secret are right: "+says.Error, "")
	}
}

// redirect looks at where browsers come back to.
func (d *doctor) redirect() {
	const check = "redirect url"
	c := d.cfg.Slack.OAuth
	u, err := url.Parse(c.RedirectURL)
	switch {
	case c.RedirectURL == "":
		d.warn(check, "none: Slack sends browsers to the first one that is registered, which has to lead to "+c.ReturnPath()+" here", "set slack.oauth.redirect_url")
	case err != nil: // said with the configuration
	case u.Scheme != "https" && strings.HasPrefix(d.cfg.Slack.APIURL, "https://slack"):
		d.fail(check, c.RedirectURL+": Slack takes https alone", "register an https address that leads here, and set slack.oauth.redirect_url to it")
	case u.Path != c.ReturnPath():
		d.ok(check, "%s, which a proxy has to lead to %s here", c.RedirectURL, c.ReturnPath())
	default:
		d.ok(check, "%s; people install the app at %s://%s%s", c.RedirectURL, u.Scheme, u.Host, c.InstallPath)
	}
}

// installations looks at the workspaces that have installed the app. A server
// that runs is asked, for it has the store.
func (d *doctor) installations(ctx context.Context, need *manifest.Result) {
	const check = "installations"
	if _, err := os.Stat(d.cfg.Data); d.cfg.Queue.URL == "" && (d.cfg.Data == "" || errors.Is(err, os.ErrNotExist)) {
		d.ok(check, "none yet")
		return
	}
	var list []engine.InstallReport
	err := d.c.withOperator(ctx, d.cfg, func(op operator) (err error) {
		list, err = op.Installations().List(ctx)
		return err
	})
	if err != nil {
		d.warn(check, "they cannot be listed: "+err.Error(), "")
		return
	}
	if len(list) == 0 {
		d.ok(check, "none yet")
		return
	}
	old := 0
	for _, in := range list {
		d.installation(in, need)
		if in.OldKey {
			old++
		}
	}
	if old > 0 {
		d.warn(check, fmt.Sprintf("%d of %d are sealed with a key that is not the first", old, len(list)), "starling installs reseal")
	}
}

// installation looks at one of them.
func (d *doctor) installation(in engine.InstallReport, need *manifest.Result) {
	check := "installed " + in.ID.Place
	if in.Installation == nil {
		d.fail(check, "it cannot be read: "+in.Why, "")
		return
	}
	name := in.Name()
	again := "install the app again there"
	if in.State != "good" {
		d.fail(check, name+": "+in.Why, again)
		return
	}
	if missing := lacks(in.Installation, need); len(missing) > 0 {
		d.fail(check, name+" has not granted "+strings.Join(missing, "\n         "), again+": the install page asks for what the rules need")
		return
	}
	g := in.Bot
	switch {
	case g.Expires == nil:
		d.ok(check, "%s, %s", name, counted(len(g.Scopes), "scope", "scopes"))
	case g.Expires.Before(d.c.env.Now()):
		d.fail(check, name+": its token expired at "+g.Expires.Format(time.RFC3339), "start the server, which renews it if it still can; else "+again)
	case g.Refresh == "":
		d.warn(check, name+": its token expires at "+g.Expires.Format(time.RFC3339)+", and there is nothing to renew it with", again)
	default:
		d.ok(check, "%s, %s, token until %s", name, counted(len(g.Scopes), "scope", "scopes"), g.Expires.Format(time.RFC3339))
	}
}

// lacks lists the scopes that rules need and an installation has not, with what
// needs them.
func lacks(in *install.Installation, need *manifest.Result) []string {
	if need == nil {
		return nil
	}
	var out []string
	want := need.Manifest.OAuth.Scopes
	if in.Bot.Usable() {
		for _, s := range want.Bot {
			if !slices.Contains(in.Bot.Scopes, s) {
				out = append(out, s+" for "+shorten(because(need, "bot "+s), 60))
			}
		}
	}
	granted := in.Users[in.Installer].Scopes
	for _, s := range want.User {
		if !slices.Contains(granted, s) {
			out = append(out, s+" (of a user) for "+shorten(because(need, "user "+s), 60))
		}
	}
	return out
}
