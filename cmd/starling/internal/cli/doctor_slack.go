package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/manifest"
)

// slackSays is what doctor wants to know of an answer.
type slackSays struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
	User  string `json:"user"`
	Team  string `json:"team"`
	Needs string `json:"needed"`

	scopes []string // granted, of the header; nil if it is not there
	date   time.Time
	took   time.Duration
}

// ask calls a method with a token, which is shown to nobody.
func (d *doctor) ask(ctx context.Context, method, token string) (*slackSays, error) {
	return d.post(ctx, method, token, nil)
}

// post calls a method with a form, and a token unless that is empty.
func (d *doctor) post(ctx context.Context, method, token string, form url.Values) (*slackSays, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	base := strings.TrimSuffix(d.cfg.Slack.APIURL, "/") + "/"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+method, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	start := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	says := &slackSays{took: time.Since(start)}
	says.date, _ = http.ParseTime(res.Header.Get("Date"))
	if h := res.Header.Values("X-OAuth-Scopes"); len(h) > 0 {
		says.scopes = strings.FieldsFunc(strings.Join(h, ","), func(r rune) bool { return r == ',' || r == ' ' })
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, says); err != nil {
		return nil, fmt.Errorf("%s answered %s, and no JSON: this is not Slack's Web API", base, res.Status)
	}
	return says, nil
}

var slackSecret = regexp.MustCompile(`^[0-9a-f]{32}$`)

// signing looks at the signing secrets.
func (d *doctor) signing() {
	const check = "signing secret"
	secrets := d.cfg.Slack.SigningSecrets
	odd := slices.ContainsFunc(secrets, func(s string) bool { return !slackSecret.MatchString(s) })
	switch {
	case len(secrets) == 0 && d.cfg.Slack.AppToken != "":
		d.ok(check, "none, and none is needed: Slack is reached by Socket Mode")
	case len(secrets) == 0:
		d.fail(check, "none: a server that takes HTTP refuses to start", "set SLACK_SIGNING_SECRET: api.slack.com/apps, Basic Information, Signing Secret")
	case odd:
		d.warn(check, "it does not look like one of Slack's, which have 32 hexadecimal digits", "compare it with api.slack.com/apps, Basic Information, Signing Secret")
	default:
		d.ok(check, "%s", counted(len(secrets), "secret", "secrets"))
	}
}

// tokens looks at the tokens, the scopes of the bot's, and Slack's clock.
func (d *doctor) tokens(ctx context.Context, need *manifest.Result) {
	s := d.cfg.Slack
	var first *slackSays
	if s.BotToken == "" && s.OAuth.On() {
		d.ok("bot token", "none, and none is needed: workspaces install the app by OAuth")
	} else if s.BotToken == "" {
		d.warn("bot token", "none: rules can answer, but call no method of Slack's", "set SLACK_BOT_TOKEN: api.slack.com/apps, OAuth & Permissions, Bot User OAuth Token")
	} else if says := d.token(ctx, "bot token", s.BotToken, "xoxb-", "xoxe.xoxb-"); says != nil {
		first = says
		if says.OK {
			d.scopes(need, says)
		}
	}
	if s.UserToken != "" {
		if says := d.token(ctx, "user token", s.UserToken, "xoxp-", "xoxe.xoxp-"); first == nil {
			first = says
		}
	} else if need != nil && len(need.Manifest.OAuth.Scopes.User) > 0 && !s.OAuth.On() {
		d.fail("user token", "none, and rules call methods that need one: "+because(need, "user "+need.Manifest.OAuth.Scopes.User[0]), "set SLACK_USER_TOKEN: api.slack.com/apps, OAuth & Permissions, User OAuth Token")
	}
	if s.AppToken != "" {
		d.appToken(ctx)
	}
	d.clock(first)
}

func because(need *manifest.Result, key string) string { return strings.Join(need.Reasons[key], ", ") }

// token asks Slack whose a token is; nil if Slack did not answer.
func (d *doctor) token(ctx context.Context, check, token string, prefixes ...string) *slackSays {
	if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(token, p) }) {
		d.warn(check, "it does not begin with "+prefixes[0], "look whether this is the right token")
	}
	says, err := d.ask(ctx, "auth.test", token)
	switch {
	case err != nil:
		d.fail(check, "Slack cannot be asked: "+unwrapped(err), "look at the network, the proxy and SLACK_API_URL ("+d.cfg.Slack.APIURL+")")
		return nil
	case !says.OK:
		d.fail(check, "Slack refuses it: "+says.Error, tokenAdvice(says.Error))
	default:
		d.ok(check, "%s in %s (%d ms)", or(says.User, "someone"), or(says.Team, "a team without a name"), says.took.Milliseconds())
	}
	return says
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// tokenAdvice says what to do about an error of auth.test.
func tokenAdvice(code string) string {
	switch code {
	case "invalid_auth", "not_authed":
		return "copy it again from api.slack.com/apps, and mind blanks and line ends"
	case "account_inactive", "token_revoked":
		return "the app was removed or its token revoked: install it again"
	case "token_expired":
		return "the token is rotated: get a fresh one, or switch rotation off"
	case "ratelimited":
		return "try again in a minute"
	}
	return "see docs.slack.dev/reference/methods/auth.test"
}

// unwrapped is the cause of a failed request, without the URL.
func unwrapped(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
		if _, ok := err.(interface{ Timeout() bool }); ok {
			break
		}
	}
	return err.Error()
}

// scopes compares those granted with those that the rules need.
func (d *doctor) scopes(need *manifest.Result, says *slackSays) {
	const check = "scopes"
	if need == nil {
		return
	}
	want := need.Manifest.OAuth.Scopes
	if says.scopes == nil {
		d.warn(check, "Slack does not say which the bot token has", "compare with starling manifest")
		return
	}
	var missing, reasons []string
	for _, s := range want.Bot {
		if !slices.Contains(says.scopes, s) {
			missing = append(missing, s)
			reasons = append(reasons, s+" for "+shorten(because(need, "bot "+s), 60))
		}
	}
	var optional []string
	for _, s := range want.BotOptional {
		if !slices.Contains(says.scopes, s) {
			optional = append(optional, s)
		}
	}
	switch {
	case len(missing) > 0:
		d.fail(check, "missing: "+strings.Join(reasons, "\n         "), "add them under api.slack.com/apps, OAuth & Permissions, and install the app again (starling manifest prints all)")
	case len(optional) > 0:
		d.warn(check, "the rules have what they need; without "+strings.Join(optional, ", ")+" a message in doubt after a crash is not sent again", "add them if that matters")
	default:
		d.ok(check, "%d granted, %d needed by the rules", len(says.scopes), len(want.Bot))
	}
}

// appToken asks whether a socket can be opened, and opens none.
func (d *doctor) appToken(ctx context.Context) {
	const check = "app token"
	if !strings.HasPrefix(d.cfg.Slack.AppToken, "xapp-") {
		d.warn(check, "it does not begin with xapp-", "Socket Mode wants an app-level token: api.slack.com/apps, Basic Information, App-Level Tokens")
	}
	says, err := d.ask(ctx, "apps.connections.open", d.cfg.Slack.AppToken)
	switch {
	case err != nil:
		d.fail(check, "Slack cannot be asked: "+unwrapped(err), "look at the network, the proxy and SLACK_API_URL")
	case says.OK:
		d.ok(check, "a socket can be opened")
	case says.Error == "missing_scope":
		d.fail(check, "it lacks connections:write", "make a new app-level token with this scope")
	case says.Error == "unknown_method":
		d.warn(check, "Slack does not know apps.connections.open here", "a stand-in for Slack may have no Socket Mode")
	default:
		d.fail(check, "Slack refuses it: "+says.Error, tokenAdvice(says.Error))
	}
}

// clock compares the clock here with Slack's: signatures carry the time.
func (d *doctor) clock(says *slackSays) {
	const check = "clock"
	if says == nil || says.date.IsZero() {
		if says != nil {
			d.warn(check, "Slack does not say what time it is", "look whether the clock here is right")
		}
		return
	}
	// The header has whole seconds, and the answer was on its way for a while.
	skew := d.c.env.Now().Sub(says.date) - says.took/2
	size := skew.Abs().Round(time.Second)
	way := "ahead of"
	if skew < 0 {
		way = "behind"
	}
	switch {
	case size > d.cfg.Slack.MaxSkew:
		d.fail(check, fmt.Sprintf("%s %s Slack's: requests would be refused as stale (slack.max_skew is %s)", size, way, d.cfg.Slack.MaxSkew), "set the clock, and keep it with NTP")
	case size > 30*time.Second:
		d.warn(check, fmt.Sprintf("%s %s Slack's", size, way), "set the clock, and keep it with NTP")
	default:
		d.ok(check, "within %s of Slack's", max(size, time.Second))
	}
}
