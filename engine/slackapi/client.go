// Package slackapi is Slack's Web API: any method by name, with tokens, rate
// limits, safe retries and cached look-ups.
//
//	Client    Call, Pages, Respond; one for all teams and bots
//	Result    what Slack answered, good or bad, as raw JSON
//	Tokens    where tokens come from
//	Method    what is known of a method: may it be repeated, what it needs
//	User, Channel, Identity   cached look-ups
//
// Each call waits in the lane of its method and team (for posts: and channel):
//
//	Call ──► lane (in order; all of it paused for Retry-After on 429) ──► HTTP
//
// The package does not know scripts, runs or the door, and never puts a token
// into an error, a result or a log.
package slackapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/runtime"
)

// Options configure a Client. Zero fields take the defaults named.
type Options struct {
	// BaseURL is where the methods are; https://slack.com/api/ by default. A
	// missing slash at its end is added.
	BaseURL string
	// HTTP carries the requests; redirects are refused whatever it says.
	HTTP *http.Client
	// Tokens is required.
	Tokens Tokens
	// Timeout bounds one attempt: 10 s.
	Timeout time.Duration
	// MaxResponse bounds an answer in bytes: 8 MiB.
	MaxResponse int64
	// Throttles is how many 429 one call takes before it gives up: 10.
	// Retries is how often a read or a refused connection is tried again: 3.
	Throttles, Retries int
	// MaxWaiting bounds the calls that wait in one lane: 1000.
	MaxWaiting int
	// CacheTTL is how long look-ups are kept: 10 min; CacheSize how many of a kind: 10,000.
	CacheTTL  time.Duration
	CacheSize int
	// Shelf keeps look-ups beyond the process; nil: nothing does.
	Shelf Shelf
	// Now and AfterFunc are the clock; time.Now and time.AfterFunc by default.
	Now       func() time.Time
	AfterFunc func(time.Duration, func()) (stop func() bool)
	// Rand spreads retries: a number in [0, 1).
	Rand    func() float64
	Logger  *slog.Logger
	Metrics *metric.Set
}

// The defaults of Options.
const (
	DefaultBaseURL     = "https://slack.com/api/"
	DefaultTimeout     = 10 * time.Second
	DefaultMaxResponse = 8 << 20
	DefaultThrottles   = 10
	DefaultRetries     = 3
	DefaultMaxWaiting  = 1000
	DefaultCacheTTL    = 10 * time.Minute
	DefaultCacheSize   = 10_000
)

// pauseWithoutHeader is how long a lane rests after a 429 without Retry-After.
const pauseWithoutHeader = 30 * time.Second

// Client calls the Web API. Safe for concurrent use.
type Client struct {
	o     Options
	base  *url.URL
	http  *http.Client
	lanes *lanes
	log   *slog.Logger

	users    *cache[runtime.JSON]
	channels *cache[runtime.JSON]
	bots     *cache[runtime.JSON]
	dms      *cache[string]
	ims      *cache[runtime.JSON]
	groups   *cache[*roster]
	emoji    *cache[map[string]emoji]
	indexes  *cache[*index]
	messages *cache[runtime.JSON]
	selves   *cache[Identity]
}

// New makes a client. The error names a BaseURL that is none.
func New(o Options) (*Client, error) {
	setDefaults(&o)
	base, err := url.Parse(o.BaseURL)
	if err != nil || (base.Scheme != "https" && base.Scheme != "http") || base.Host == "" || base.User != nil {
		return nil, fmt.Errorf("parse Slack API URL: want https://host/path/")
	}
	if !strings.HasSuffix(base.Path, "/") {
		base.Path += "/"
	}
	base.RawQuery, base.Fragment = "", ""
	if o.Tokens == nil {
		return nil, errors.New("slack client: no source of tokens")
	}
	h := http.Client{}
	if o.HTTP != nil {
		h = *o.HTTP
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.Jar = nil
	c := &Client{
		o: o, base: base, http: &h, log: o.Logger,
		lanes: newLanes(o.Now, o.AfterFunc, o.MaxWaiting),
	}
	c.makeCaches()
	return c, nil
}

func (c *Client) makeCaches() {
	o := c.o
	c.users = newCache[runtime.JSON]("user", o.Now, o.CacheTTL, o.CacheSize).on(o.Shelf, encodeJSON, decodeJSON)
	c.channels = newCache[runtime.JSON]("channel", o.Now, o.CacheTTL, o.CacheSize).on(o.Shelf, encodeJSON, decodeJSON)
	c.bots = newCache[runtime.JSON]("bot", o.Now, o.CacheTTL, o.CacheSize).on(o.Shelf, encodeJSON, decodeJSON)
	c.dms = newCache[string]("dm", o.Now, time.Hour, o.CacheSize).on(o.Shelf, encodeText, decodeText)
	c.ims = newCache[runtime.JSON]("ims", o.Now, o.CacheTTL, 100).on(o.Shelf, encodeJSON, decodeJSON)
	c.groups = newCache[*roster]("usergroups", o.Now, o.CacheTTL, 100).on(o.Shelf, encodeRoster, decodeRoster)
	c.emoji = newCache[map[string]emoji]("emoji", o.Now, o.CacheTTL, 100).on(o.Shelf, encodeEmoji, decodeEmoji)
	c.indexes = newCache[*index]("names", o.Now, o.CacheTTL, 100).on(o.Shelf, encodeIndex, decodeIndex)
	// Messages are of no use for long, and their texts are for nobody else's eyes.
	c.messages = newCache[runtime.JSON]("message", o.Now, min(o.CacheTTL, messageTTL), 2000)
	// Who a token belongs to is asked anew at each start: the token may be another.
	c.selves = newCache[Identity]("identity", o.Now, time.Hour, 1000)
}

func setDefaults(o *Options) {
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	orDefault(&o.Timeout, DefaultTimeout)
	orDefault(&o.MaxResponse, DefaultMaxResponse)
	orDefault(&o.Throttles, DefaultThrottles)
	orDefault(&o.Retries, DefaultRetries)
	orDefault(&o.MaxWaiting, DefaultMaxWaiting)
	orDefault(&o.CacheTTL, DefaultCacheTTL)
	orDefault(&o.CacheSize, DefaultCacheSize)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.AfterFunc == nil {
		o.AfterFunc = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// CallOptions say on whose behalf a call is made.
type CallOptions struct {
	Team, Enterprise string
	// Bot is the configured name of the bot; empty for the primary one.
	Bot string
	// AsUser takes the user token.
	AsUser bool
	// Idempotent lets a call in doubt be sent again.
	Idempotent bool
	// UserFallback repeats a call with the user token, once, if Slack refuses
	// the bot's for what a user's may be allowed: see Fallback.
	UserFallback bool
}

// who identifies the token that the options choose.
func (o CallOptions) who() string {
	kind := "b"
	if o.AsUser {
		kind = "u"
	}
	if o.Team != "" {
		// A bot of a workspace has one token, however it was installed.
		return o.Team + "/" + o.Bot + "/" + kind
	}
	return o.Enterprise + "//" + o.Bot + "/" + kind
}

// ErrMethod is wrapped when a method's name cannot be one of Slack's.
var ErrMethod = errors.New("not the name of a Web API method")

// Call calls a method. The error is non-nil only if there is no answer to
// tell of: the context ended, the arguments have no JSON form, or the method's
// name is impossible. Whatever went wrong on the way to Slack or there is in
// the Result.
func (c *Client) Call(ctx context.Context, method string, args *runtime.Dict, o CallOptions) (Result, error) {
	res, err := c.call(ctx, method, args, o)
	if err != nil || !o.UserFallback || o.AsUser || res.OK || !Fallback(res.Error) {
		return res, err
	}
	o.AsUser = true
	if _, err := c.o.Tokens.Token(ctx, o.Team, o.Enterprise, o.Bot, true); err != nil {
		return res, nil
	}
	return c.call(ctx, method, args, o)
}

// Fallback reports whether an error of a bot's call may go away with the token
// of a user: scope, kind of token, or a channel that the bot is not in.
func Fallback(code string) bool {
	switch code {
	case "missing_scope", "not_allowed_token_type", "channel_not_found", "not_in_channel":
		return true
	}
	return false
}

func (c *Client) call(ctx context.Context, method string, args *runtime.Dict, o CallOptions) (Result, error) {
	if !validMethod(method) {
		return Result{}, fmt.Errorf("call %.100q: %w", method, ErrMethod)
	}
	start := c.o.Now()
	token := func(ctx context.Context) (string, error) {
		return c.o.Tokens.Token(ctx, o.Team, o.Enterprise, o.Bot, o.AsUser)
	}
	if _, err := token(ctx); err != nil {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		return c.done(method, o, start, failure("not_authed", err.Error())), nil
	}
	m := Known(method)
	if m.Has(NeedTeam) && o.Enterprise != "" && o.Team != "" {
		if _, ok := args.Get("team_id"); !ok {
			args = args.Clone()
			args.Set("team_id", o.Team)
		}
	}
	body, contentType, err := encode(m, args)
	if err != nil {
		return Result{}, fmt.Errorf("call %s: %w", method, err)
	}
	r := &request{
		url: c.base.JoinPath(method).String(), tokens: token, body: body, contentType: contentType,
		label: m.Label(), repeat: m.Class == Read || o.Idempotent,
	}
	key, width := laneOf(method, m, args, o)
	res, err := c.carry(ctx, key, width, r)
	if err != nil {
		return Result{}, err
	}
	for try := 0; try < maxTokens && c.renewed(ctx, o, res, r.token); try++ {
		if res, err = c.carry(ctx, key, width, r); err != nil {
			return Result{}, err
		}
	}
	return c.done(method, o, start, res), nil
}

// maxTokens is how often a call is made again with another token: while it
// waits for its turn, the next one may end as well.
const maxTokens = 3

// renewed reports whether Slack has refused the token of a call, and there is
// another one now: the call was not carried out, and is made again.
func (c *Client) renewed(ctx context.Context, o CallOptions, res Result, token string) bool {
	renewer, ok := c.o.Tokens.(Renewer)
	if !ok || res.OK || token == "" || !Refused(res.Error) {
		return false
	}
	return renewer.Renew(ctx, o.Team, o.Enterprise, o.Bot, o.AsUser, token, res.Error)
}

// Refused reports whether an error of Slack's says that the token itself is no
// good, whatever the call.
func Refused(code string) bool {
	switch code {
	case "token_expired", "token_revoked", "account_inactive", "invalid_auth":
		return true
	}
	return false
}

// done counts and logs a finished call.
func (c *Client) done(method string, o CallOptions, start time.Time, res Result) Result {
	outcome := "ok"
	if !res.OK {
		outcome = errorLabel(res.Error)
	}
	label := Known(method).Label()
	if c.o.Metrics != nil {
		c.o.Metrics.Slack.WithLabelValues(label, outcome).Inc()
		c.o.Metrics.SlackTime.WithLabelValues(label).Observe(c.o.Now().Sub(start).Seconds())
	}
	c.log.Debug("slack call", "method", method, "team", o.Team, "status", res.Status, "outcome", outcome,
		"dur_ms", c.o.Now().Sub(start).Milliseconds())
	return res
}

// laneOf names the lane of a call, and how many calls of it may be out at a time.
func laneOf(method string, m Method, args *runtime.Dict, o CallOptions) (key string, width int) {
	key = method + " " + o.who()
	if m.Has(PerChannel) {
		if ch := args.Text("channel"); ch != "" {
			// One at a time, so that messages appear in the order they were sent.
			return key + " " + ch, 1
		}
	}
	return key, 16
}

// carry takes a request through its lane, again after each 429. The request's
// token is the last one that it went with.
func (c *Client) carry(ctx context.Context, key string, width int, r *request) (Result, error) {
	t, err := c.lanes.enter(ctx, key, width)
	if errors.Is(err, errLaneFull) {
		return failure("ratelimited", "too many calls wait already"), nil
	}
	if err != nil {
		return Result{}, err
	}
	for throttles, retries := 0, 0; ; {
		if r.tokens != nil {
			// A call may have waited for long: its token may have been renewed
			// meanwhile, or the app been removed.
			if r.token, err = r.tokens(ctx); err != nil {
				c.lanes.leave(t, false)
				if ctx.Err() != nil {
					return Result{}, context.Cause(ctx)
				}
				return failure("not_authed", err.Error()), nil
			}
		}
		res, fate := c.send(ctx, *r)
		if ctx.Err() != nil {
			c.lanes.leave(t, false)
			return Result{}, context.Cause(ctx)
		}
		switch {
		case fate == throttled:
			if c.o.Metrics != nil {
				c.o.Metrics.Throttled.WithLabelValues(r.label).Inc()
			}
			c.log.Info("slack asks to wait", "method", r.label, "seconds", res.RetryAfter.Seconds())
			throttles++
			c.lanes.pause(t, res.RetryAfter)
			if throttles >= c.o.Throttles {
				c.lanes.leave(t, false)
				return res, nil
			}
			if err := c.lanes.again(ctx, t); err != nil {
				return Result{}, err
			}
		case retries < c.o.Retries && (fate == unsent || fate == doubtful && r.repeat):
			wait := time.Duration(float64(200*time.Millisecond) * float64(int(1)<<retries) * (0.5 + c.o.Rand()))
			retries++
			if err := c.sleep(ctx, wait); err != nil {
				c.lanes.leave(t, false)
				return Result{}, err
			}
		default:
			c.lanes.leave(t, fate == answered)
			return res, nil
		}
	}
}

func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	done := make(chan struct{})
	stop := c.o.AfterFunc(d, func() { close(done) })
	defer stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// validMethod keeps a method's name from being another path.
func validMethod(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '_' && (c != '.' || s[i-1] == '.')) {
			return false
		}
	}
	return true
}

// errorLabel bounds what a metric's label can hold: Slack's codes are words.
func errorLabel(code string) string {
	if code == "" || len(code) > 40 {
		return "other"
	}
	for i := 0; i < len(code); i++ {
		if c := code[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return "other"
		}
	}
	return code
}
