package oauth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// FlowOptions are what a Flow is made of. App, Slack, Store, State and
// AuthorizeURL are required.
type FlowOptions struct {
	App   App
	Slack Slack
	// Store takes the installations, State remembers used states.
	Store *install.Store
	State queue.State
	// AuthorizeURL is where Slack asks people; see AuthorizeURL.
	AuthorizeURL string
	// Scopes are asked when somebody installs: those of the bot's token, and of
	// the token of the person who installs.
	Scopes func() (bot, user []string)
	// RedirectURL is where Slack sends browsers back to, as it is registered
	// there; empty: what is registered there first.
	RedirectURL string
	// Direct sends browsers on without showing them a page first.
	Direct bool
	// Team is the workspace that Slack offers first; empty: the browser's.
	Team string
	// SuccessURL is where browsers go when the app is installed; empty: a page
	// that says so.
	SuccessURL string
	// Name is what the app is called on pages.
	Name    string
	Now     func() time.Time // time.Now
	Rand    func([]byte)     // crypto/rand
	Logger  *slog.Logger
	Metrics *metric.Set
}

// Flow lets people install the app. Safe for concurrent use.
type Flow struct {
	o      FlowOptions
	log    *slog.Logger
	states *states
}

// Request is what a Flow needs to know of an HTTP request.
type Request struct {
	Query map[string]string
	// Cookie is the header of that name.
	Cookie string
	// Host is what the browser has asked for; Secure says that it spoke HTTPS,
	// with us or with a proxy that is trusted.
	Host   string
	Secure bool
	// Path is that of the request: the page's links lead there.
	Path string
}

// Response is the answer to a Request.
type Response struct {
	Status int
	Header map[string]string
	Body   []byte // HTML
}

// NewFlow makes a Flow.
func NewFlow(o FlowOptions) *Flow {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = func(b []byte) { _, _ = rand.Read(b) } // never fails
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = metric.New("")
	}
	if o.Name == "" {
		o.Name = "Starling"
	}
	return &Flow{o: o, log: o.Logger, states: newStates(o.App, o.Rand, o.Now)}
}

// The cookies that bind a state to a browser. The first name makes browsers
// refuse one that is not Secure, or that another host has set; it is for HTTPS.
const (
	cookieName      = "__Host-starling-oauth"
	plainCookieName = "starling-oauth"
)

var placeID = regexp.MustCompile(`^[TE][A-Z0-9]{1,40}$`)

// Install answers GET /slack/install: a page with a button, or the way to Slack.
func (f *Flow) Install(_ context.Context, r *Request) Response {
	team := r.Query["team"]
	if team != "" && !placeID.MatchString(team) {
		return f.page(http.StatusBadRequest, view{Title: "Not installed", Problem: "The workspace in the address is none of Slack's.", Detail: "bad_team"})
	}
	bot, user := f.o.Scopes()
	if len(bot)+len(user) == 0 {
		f.log.Warn("nobody can install the app: it asks for no scope", "do", "set slack.oauth.scopes, or load rules")
		return f.page(http.StatusServiceUnavailable, view{Title: "Not ready yet", Problem: "The app does not know yet what it needs. Try again when its rules are loaded.", Detail: "no_scopes"})
	}
	if r.Query["start"] == "" && !f.o.Direct {
		start := r.Path + "?start=1"
		if team != "" {
			start += "&team=" + team
		}
		return f.page(http.StatusOK, view{Title: "Install " + f.o.Name, Start: start, Bot: bot, User: user})
	}
	name, secure := cookieFor(r)
	binding := readBinding(cookie(r.Cookie, name))
	if binding == nil {
		binding = make([]byte, bindingSize)
		f.o.Rand(binding)
	}
	q := url.Values{"client_id": {f.o.App.ClientID}, "state": {f.states.make(binding, f.o.RedirectURL)}}
	for k, v := range map[string]string{
		"scope": strings.Join(bot, ","), "user_scope": strings.Join(user, ","), "redirect_uri": f.o.RedirectURL, "team": or(team, f.o.Team),
	} {
		if v != "" {
			q.Set(k, v)
		}
	}
	f.count("start", "ok")
	to := f.o.AuthorizeURL + "?" + q.Encode()
	if strings.Contains(f.o.AuthorizeURL, "?") {
		to = f.o.AuthorizeURL + "&" + q.Encode()
	}
	out := f.page(http.StatusFound, view{Title: "To Slack", Start: to})
	out.Header["Location"] = to
	out.Header["Set-Cookie"] = setCookie(name, base64.RawURLEncoding.EncodeToString(binding), secure, stateLife)
	return out
}

// Redirect answers GET /slack/oauth_redirect, where Slack sends browsers back
// to: with a code, or with an error.
func (f *Flow) Redirect(ctx context.Context, r *Request) Response {
	in, why := f.redirect(ctx, r)
	if why != nil {
		f.count("install", why.outcome())
		if why.log != nil {
			f.log.Error("the app could not be installed", "reason", why.Detail, "err", why.log)
		} else {
			f.log.Info("the app was not installed", "reason", why.Detail)
		}
		return f.page(why.status, why.view)
	}
	f.count("install", "ok")
	f.log.Info("the app was installed", "installation", in.ID().String(), "name", in.Name(), "org_wide", in.OrgWide,
		"scopes", strings.Join(in.Bot.Scopes, ","), "user_tokens", len(in.Users), "rotates", in.Bot.Refresh != "")
	out := f.page(http.StatusOK, view{Title: "Installed", Place: in.Name(), OrgWide: in.OrgWide, Open: openURL(in)})
	if f.o.SuccessURL != "" {
		out.Status, out.Header["Location"] = http.StatusFound, f.o.SuccessURL
	}
	name, secure := cookieFor(r)
	out.Header["Set-Cookie"] = setCookie(name, "", secure, -1)
	return out
}

// failed is why nothing was installed: what the person reads, and what is logged.
type failed struct {
	view
	status int
	log    error // for the operator; nil: nothing is wrong here
	said   bool  // Detail is what the address said
}

func fail(v view, status int, log error) *failed { return &failed{view: v, status: status, log: log} }

// outcome is the label of a metric: not what a stranger has put into an address.
func (w *failed) outcome() string {
	if w.said && w.Detail != "access_denied" {
		return "refused"
	}
	return w.Detail
}

// redirect checks the state, and only then looks at anything else.
func (f *Flow) redirect(ctx context.Context, r *Request) (*install.Installation, *failed) {
	name, _ := cookieFor(r)
	binding := readBinding(cookie(r.Cookie, name))
	t, err := f.states.open(r.Query["state"], binding, f.o.RedirectURL)
	if err == nil {
		err = f.states.use(ctx, f.o.State, t)
	}
	if err != nil {
		return nil, stateFailed(err, binding == nil)
	}
	if code := r.Query["error"]; code != "" {
		return nil, declined(code)
	}
	code := r.Query["code"]
	if code == "" || len(code) > 1000 {
		return nil, fail(view{Problem: "Slack has sent no code.", Detail: "no_code"}, http.StatusBadRequest, nil)
	}
	// From here on what Slack gives has to be kept, whoever has gone away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	body, err := f.o.App.access(ctx, f.o.Slack, code, f.o.RedirectURL)
	if err != nil {
		return nil, refused(err)
	}
	in, err := install.FromAnswer(body, f.o.Now())
	if err != nil {
		return nil, fail(view{Problem: "Slack's answer cannot be understood.", Detail: "bad_answer"}, http.StatusBadGateway, err)
	}
	stored, err := f.o.Store.Install(ctx, in)
	if err != nil {
		return nil, fail(view{Problem: "The installation could not be stored. Install the app again in a while.", Detail: "not_stored"}, http.StatusServiceUnavailable, err)
	}
	return f.complete(ctx, stored), nil
}

// complete finds out the bot's id, which Slack does not send with its token.
// Without it the installation works all the same: it is not lost for that.
func (f *Flow) complete(ctx context.Context, in *install.Installation) *install.Installation {
	if !in.Bot.Usable() {
		return in
	}
	res, err := f.o.Slack.CallWith(ctx, "auth.test", string(in.Bot.Token), runtime.NewDict())
	if err != nil || !res.OK {
		f.log.Warn("ask Slack for the id of the bot", "installation", in.ID().String(), "err", err, "code", res.Error)
		return in
	}
	id, user := res.Text("bot_id"), res.Text("user_id")
	if id == in.BotID && (user == "" || user == in.BotUser) {
		return in
	}
	token := in.Bot.Token
	out, err := f.o.Store.Update(ctx, in.ID(), func(now *install.Installation) (*install.Installation, error) {
		if now.Bot.Token != token {
			return nil, nil // installed again meanwhile
		}
		now.BotID, now.BotUser = or(id, now.BotID), or(now.BotUser, user)
		return now, nil
	})
	if err != nil {
		f.log.Warn("store the id of the bot", "installation", in.ID().String(), "err", err)
		return in
	}
	return out
}

func (f *Flow) count(what, outcome string) { f.o.Metrics.Tokens.WithLabelValues(what, outcome).Inc() }

// openURL is where people find the app in Slack.
func openURL(in *install.Installation) string {
	q := url.Values{"app": {in.App}}
	if in.Team != "" {
		q.Set("team", in.Team)
	}
	return "https://slack.com/app_redirect?" + q.Encode()
}

// cookieFor is the cookie's name for a request, and whether it is Secure: it is
// unless a browser on this machine has asked a loopback address over plain HTTP,
// which is how the app is developed.
func cookieFor(r *Request) (name string, secure bool) {
	if !r.Secure && loopback(r.Host) {
		return plainCookieName, false
	}
	return cookieName, true
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// setCookie writes a cookie: HttpOnly, and Lax since the browser comes back
// from Slack's site. A negative life removes it.
func setCookie(name, value string, secure bool, life time.Duration) string {
	c := http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second), HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
	if life < 0 {
		c.MaxAge = -1
	}
	return c.String()
}

// cookie reads one of a request's cookies. One that comes twice counts for
// nothing: who knows which of them is ours.
func cookie(header, name string) string {
	cookies, err := http.ParseCookie(header)
	if err != nil {
		return ""
	}
	value, found := "", false
	for _, c := range cookies {
		if c.Name != name {
			continue
		}
		if found {
			return ""
		}
		value, found = c.Value, true
	}
	return value
}

func stateFailed(err error, noCookie bool) *failed {
	switch {
	case errors.Is(err, errStateExpired):
		return fail(view{Problem: "The link is too old: there are ten minutes to decide.", Detail: "state_expired"}, http.StatusBadRequest, nil)
	case errors.Is(err, errStateUsed):
		return fail(view{Problem: "This page was opened already. Look in Slack whether the app is there.", Detail: "state_used"}, http.StatusBadRequest, nil)
	case errors.Is(err, errStateBad):
		v := view{Problem: "This was not begun in this browser, or long ago.", Detail: "state_mismatch"}
		if noCookie {
			v.Problem += " The browser has sent no cookie: begin at the address under which Slack sends it back here, over HTTPS, and let it keep cookies."
		}
		return fail(v, http.StatusBadRequest, nil)
	}
	return fail(view{Problem: "The installation could not be begun. Try again in a while.", Detail: "store_unavailable"}, http.StatusServiceUnavailable, err)
}

// declined is Slack's own word on why there is no code.
func declined(code string) *failed {
	code = word(code)
	if code == "access_denied" {
		return &failed{view: view{Title: "Not installed", Problem: "You have chosen not to install the app. Nothing was changed.", Detail: code}, status: http.StatusForbidden, said: true}
	}
	return &failed{view: view{Problem: "Slack has refused to install the app.", Detail: code}, status: http.StatusBadRequest, said: true}
}

// refused is why the code could not be exchanged.
func refused(err error) *failed {
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		return fail(view{Problem: "Slack cannot be reached. Try again in a while.", Detail: "unreachable"}, http.StatusBadGateway, err)
	}
	code := word(refusal.Code)
	switch refusal.Code {
	case "invalid_code", "code_already_used", "code_expired":
		return fail(view{Problem: "The code from Slack is used up or too old. Begin again.", Detail: code}, http.StatusBadRequest, nil)
	case "invalid_client_id", "bad_client_secret", "bad_redirect_uri", "invalid_grant_type", "invalid_team_for_non_distributed_app":
		return fail(view{Problem: "The app is not set up right. Its operator finds the reason in the log.", Detail: code}, http.StatusInternalServerError, fmt.Errorf("%w: %s", err, advice(refusal.Code)))
	case "timeout", "connection_failed", "ratelimited", "invalid_response":
		return fail(view{Problem: "Slack cannot be reached. Try again in a while.", Detail: code}, http.StatusBadGateway, err)
	}
	if refusal.Doubt {
		return fail(view{Problem: "Slack has trouble. Look there whether the app is installed, else begin again.", Detail: code}, http.StatusBadGateway, err)
	}
	return fail(view{Problem: "Slack has refused to install the app.", Detail: code}, http.StatusBadRequest, err)
}

// advice is what an operator can do about an error of the configuration.
func advice(code string) string {
	switch code {
	case "invalid_client_id":
		return "slack.oauth.client_id is not that of an app"
	case "bad_client_secret":
		return "slack.oauth.client_secret is not that of the app"
	case "bad_redirect_uri":
		return "slack.oauth.redirect_url is not registered under OAuth & Permissions"
	case "invalid_team_for_non_distributed_app":
		return "the app can be installed in its own workspace only, until it is distributed"
	}
	return "see docs.slack.dev/reference/methods/oauth.v2.access"
}

// word keeps what strangers can put into an address from being more than one of
// Slack's codes.
func word(code string) string {
	if code == "" || len(code) > 60 || strings.ContainsFunc(code, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' }) {
		return "unknown_error"
	}
	return code
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
