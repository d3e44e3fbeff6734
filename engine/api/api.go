// Package api is omnibot's HTTP API: other services look things up at Slack,
// and act there as one of the bots.
//
//	API        the routes, for ingress.Options.Mounts and Guarded
//	operation  one route: who may use it is decided before it runs
//	Document   the API as OpenAPI 3.1, served at /api/openapi.json
//
// How a request goes:
//
//	ingress ─► authz (caller, path) ─► bot (configured? may the caller use it?)
//	        ─► look-up or Slack method ─► answer ─► one audit line
//
// The package holds no token and knows no script.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/authz"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/slackapi"
)

// Options say what an API is made of. Config and Slack are required.
type Options struct {
	Config *config.Config
	Slack  *slackapi.Client
	// Timeout bounds a request, its waits for rate limits included: 25 s.
	Timeout time.Duration
	// Logger takes the audit: a line for each call.
	Logger *slog.Logger
	Now    func() time.Time
}

// API is the HTTP API. Safe for concurrent use.
type API struct {
	o   Options
	log *slog.Logger
	now atomic.Pointer[Access]
}

// Access is who may do what, and as which bots, by one configuration. It is
// immutable.
type Access struct {
	config *config.Config
	policy *authz.Policy
	bots   map[string]map[string]config.Bot // team, bot
}

// New makes the API of a configuration. Its error is one of the authorization.
func New(o Options) (*API, error) {
	if o.Timeout == 0 {
		o.Timeout = 25 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &API{o: o, log: o.Logger}
	access, err := a.Prepare(o.Config)
	if err != nil {
		return nil, err
	}
	a.Use(access)
	return a, nil
}

// Prepare makes the Access of a configuration, for Use.
func (a *API) Prepare(c *config.Config) (*Access, error) {
	policy, err := authz.New(c.Authorization)
	if err != nil {
		return nil, err
	}
	out := &Access{config: c, policy: policy, bots: map[string]map[string]config.Bot{}}
	for _, b := range c.BotList() {
		if c.Disabled(b) != "" {
			continue // as omnibot: it is as if it were not there
		}
		if out.bots[b.Team] == nil {
			out.bots[b.Team] = map[string]config.Bot{}
		}
		out.bots[b.Team][b.Name] = b
	}
	return out, nil
}

// Use makes an Access the one in force: for requests that come from now on.
func (a *API) Use(access *Access) { a.now.Store(access) }

// operation is one route. The handler runs for callers that may use it, with
// the bot of the path if the path names one.
type operation struct {
	method, path string
	handle       func(a *API, ctx context.Context, r *request) ingress.AdminResponse
}

// operations are the routes; Document describes each.
var operations = []operation{
	{http.MethodGet, "/api/v1/slack/get_team/{team}", (*API).getTeam},
	{http.MethodGet, "/api/v1/slack/get_user/{team}/{bot}/{email}", (*API).getUser},
	{http.MethodGet, "/api/v1/slack/get_channel/{team}/{bot}/{channel}", (*API).getChannel},
	{http.MethodGet, "/api/v1/slack/get_ims/{team}/{bot}", (*API).getIMs},
	{http.MethodPost, "/api/v1/slack/send_im/{team}/{bot}/{email}", (*API).sendIM},
	{http.MethodGet, "/api/v1/slack/send_im/{team}/{bot}/{email}", (*API).sendIM},
	{http.MethodPost, "/api/v1/slack/action/{team}/{bot}", (*API).action},
	{http.MethodPost, "/api/v2/slack/action/{team}/{bot}", (*API).action},
	{http.MethodGet, "/api/openapi.json", (*API).document},
}

// request is a request that has been let in.
type request struct {
	*ingress.APIRequest
	access   *Access
	decision authz.Decision
	team     string // names, as in the path
	bot      config.Bot
	// slack is the method that was called, for the audit.
	slack string
}

func (r *request) options() slackapi.CallOptions {
	return slackapi.CallOptions{Team: r.bot.TeamID, Bot: r.bot.Name}
}

// Mounts returns the routes.
func (a *API) Mounts() []ingress.Mount {
	out := make([]ingress.Mount, len(operations))
	for i, op := range operations {
		out[i] = ingress.Mount{Method: op.method, Path: op.path, Handle: func(ctx context.Context, r *ingress.APIRequest) ingress.AdminResponse {
			return a.serve(ctx, op, r)
		}}
	}
	return out
}

// Guarded returns what lets Slack use omnibot's three routes.
func (a *API) Guarded() *ingress.Guarded {
	return &ingress.Guarded{Authorize: a.authorize, Admit: a.admit}
}

// serve decides, answers, and writes the audit line.
func (a *API) serve(ctx context.Context, op operation, in *ingress.APIRequest) ingress.AdminResponse {
	start := a.o.Now()
	ctx, cancel := context.WithTimeout(ctx, a.o.Timeout)
	defer cancel()
	r := &request{APIRequest: in, access: a.now.Load(), team: in.Params["team"]}
	resp := a.answer(ctx, op, r)
	a.audit(op.path, r, resp, start)
	return resp
}

func (a *API) answer(ctx context.Context, op operation, r *request) ingress.AdminResponse {
	path, ok := served(op.path, r.Params)
	if !ok {
		return ingress.Problem(http.StatusNotFound, "not found")
	}
	r.decision = r.access.decide(r.APIRequest, path)
	if !r.decision.Allowed {
		return refusal(r.decision)
	}
	name, isBot := r.Params["bot"]
	if !isBot {
		return op.handle(a, ctx, r)
	}
	if !r.decision.MayUse(r.team, name) {
		r.decision.Allowed, r.decision.Reason = false, "bot not allowed for the key"
		return refusal(r.decision)
	}
	if r.bot, ok = r.access.bots[r.team][name]; !ok {
		return ingress.Problem(http.StatusNotFound, r.access.noBot(r.team, name))
	}
	return op.handle(a, ctx, r)
}

func (a *Access) noBot(team, bot string) string {
	if _, ok := a.config.Teams[team]; !ok {
		return "provided team name is not configured"
	}
	if _, ok := a.config.Bots[team][bot]; ok {
		return "provided bot name has no credentials"
	}
	return "provided bot name is not configured for the team"
}

// served is the path that a request asks for, without escapes: what the
// patterns of the authorization are compared with is what is served. A
// parameter that could be read as two is refused.
func served(pattern string, params map[string]string) (string, bool) {
	for name, v := range params {
		if v == "" || v == "." || v == ".." || strings.ContainsFunc(v, func(r rune) bool { return r == '/' || r == '\\' || r < ' ' || r == 0x7f }) {
			return "", false
		}
		pattern = strings.ReplaceAll(pattern, "{"+name+"}", v)
	}
	return pattern, true
}

func (a *Access) decide(r *ingress.APIRequest, path string) authz.Decision {
	return a.policy.Decide(authz.Request{Method: r.Method, Path: path, Header: r.Header, Trusted: r.Trusted})
}

func refusal(d authz.Decision) ingress.AdminResponse {
	if d.Unknown {
		return ingress.Problem(http.StatusUnauthorized, "not authentic")
	}
	return ingress.Problem(http.StatusForbidden, "forbidden")
}

// audit writes the line of a call. It holds no address, no text and no key.
func (a *API) audit(route string, r *request, resp ingress.AdminResponse, start time.Time) {
	a.log.Info("api call",
		"method", r.Method, "route", route, "caller", short(r.decision.Caller), "allowed", r.decision.Allowed, "reason", r.decision.Reason,
		"team", short(r.team), "bot", short(r.Params["bot"]), "slack_method", short(r.slack), "status", resp.Status,
		"remote", r.Remote.String(), "dur_ms", a.o.Now().Sub(start).Milliseconds())
}

// short bounds what callers can write into the log.
func short(s string) string {
	const longest = 80
	if len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// authorize decides on a request of Slack's. Those that are let in are as many
// as there are events, and are logged as such: their line is for debugging.
func (a *API) authorize(in *ingress.APIRequest) *ingress.AdminResponse {
	d := a.now.Load().decide(in, in.Path)
	level := slog.LevelDebug
	if !d.Allowed {
		level = slog.LevelInfo
	}
	a.log.Log(context.Background(), level, "api call", "method", in.Method, "route", in.Path, "caller", short(d.Caller), "allowed", d.Allowed,
		"reason", d.Reason, "remote", in.Remote.String())
	if d.Allowed {
		return nil
	}
	resp := refusal(d)
	return &resp
}

// admit refuses what is of a team or an app that is not configured, with
// omnibot's words.
func (a *API) admit(e *event.Event) *ingress.AdminResponse {
	team, now := "", a.now.Load()
	for name, id := range now.config.Teams {
		if id == e.Team || e.Enterprise != "" && id == e.Enterprise {
			team = name
		}
	}
	if team == "" {
		resp := ingress.JSON(http.StatusForbidden, map[string]string{"status": "failure", "error": "Unsupported team"})
		return &resp
	}
	for _, b := range now.bots[team] {
		if b.App == e.App {
			return nil
		}
	}
	resp := ingress.JSON(http.StatusOK, map[string]string{"status": "ignored", "warning": "Unsupported bot"})
	return &resp
}

// refused answers a look-up that failed: 404 if there is no such thing, 400 if
// Slack refused, 502 if it did not answer.
func refused(err error, what string) ingress.AdminResponse {
	var slack *slackapi.Error
	switch {
	case errors.Is(err, slackapi.ErrNotFound):
		return ingress.Problem(http.StatusNotFound, what+" could not be found")
	case errors.As(err, &slack) && !slack.Passing:
		return ingress.Problem(http.StatusBadRequest, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return ingress.Problem(http.StatusGatewayTimeout, "Slack did not answer in time")
	case errors.As(err, &slack):
		return ingress.Problem(http.StatusBadGateway, err.Error())
	}
	return ingress.Problem(http.StatusInternalServerError, "the look-up failed")
}
