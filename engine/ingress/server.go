package ingress

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/metric"
)

// Sink takes events in. Its errors are those of package queue: ErrDuplicate is
// answered 200, ErrTooLarge 413, every other one 503.
type Sink interface {
	// Accept returns nil when the event is stored.
	Accept(ctx context.Context, e *event.Event) error
	// AcceptAnswered stores the event and waits for the answer of its rule, as
	// long as the Sink sees fit and at most until ctx ends. A nil answer means:
	// stored, nothing to say.
	AcceptAnswered(ctx context.Context, e *event.Event) (*event.Answer, error)
}

// Options configure a Server.
type Options struct {
	// Addr is where to listen, "host:port"; Listener, if not nil, is taken instead.
	Addr     string
	Listener net.Listener
	// TLS, if not nil, makes it HTTPS.
	TLS *tls.Config
	// Secure is where HTTPS is taken beside plain HTTP on Addr; its zero value:
	// nowhere.
	Secure SecureListener
	// Secrets are the signing secrets; without any, nothing of Slack's is let in.
	Secrets []Secret
	// VerificationTokens are the deprecated tokens of apps that have no signing
	// secret: a request that holds one is let in. Empty, none is.
	VerificationTokens []Secret
	// MaxSkew is how far a signature's time may be off, either way; 5 min.
	MaxSkew time.Duration
	// AnswerLimit is how long a request waits for its rule's answer; 2.5 s.
	AnswerLimit time.Duration
	// Grace is how long Run waits for requests in flight when it ends; 20 s.
	Grace  time.Duration
	Limits Limits

	Sink Sink
	// Webhooks are the routes beside Slack's; nil: none.
	Webhooks Webhooks
	// Mounts are the routes of the HTTP API, Guarded what Slack may use under
	// its paths; nil: none. TrustedProxies are the peers whose word on who
	// calls counts.
	Mounts         []Mount
	Guarded        *Guarded
	TrustedProxies []netip.Prefix
	// AccessLog logs each request at info level; else at debug level.
	AccessLog bool
	// Ready is nil, or says why the process cannot take events now.
	Ready   func() error
	Logger  *slog.Logger
	Metrics *metric.Set
	// Now is the clock that signatures are checked against; time.Now.
	Now func() time.Time
	// Nonce names a webhook delivery that has no id of its own; random.
	Nonce func() string
}

// Server takes in what Slack and webhooks send. Its methods are safe for
// concurrent use.
type Server struct {
	*listener
	o        Options
	log      *slog.Logger
	verifier *Verifier
	tokens   atomic.Pointer[[]Secret] // Options.VerificationTokens
	counts   counts
	quiet    rateLimited
	base     context.Context
	cancel   context.CancelFunc
}

// New opens the listening socket; nothing is accepted before Run.
func New(o Options) (*Server, error) {
	if o.Sink == nil {
		return nil, errors.New("ingress: Options.Sink is missing")
	}
	o.complete()
	ln, err := listen(o.Listener, o.Addr, o.TLS)
	if err != nil {
		return nil, err
	}
	second, err := o.Secure.open()
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	s := &Server{o: o, log: o.Logger, verifier: NewVerifier(o.MaxSkew, o.Secrets...), counts: newCounts(o.Metrics)}
	s.SetVerificationTokens(o.VerificationTokens...)
	s.base, s.cancel = context.WithCancel(context.Background())
	s.listener = newListener(ln, o.Limits, o.Logger, s.accessLog(s.routes().Handler))
	s.second = second
	return s, nil
}

// complete sets the defaults.
func (o *Options) complete() {
	if o.MaxSkew == 0 {
		o.MaxSkew = 5 * time.Minute
	}
	if o.AnswerLimit == 0 {
		o.AnswerLimit = 2500 * time.Millisecond
	}
	if o.Grace == 0 {
		o.Grace = 20 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Nonce == nil {
		o.Nonce = rand.Text
	}
}

// slackPaths each take every kind of payload.
var slackPaths = []string{"/slack", "/slack/events", "/slack/commands", "/slack/interactive", "/slack/options"}

func (s *Server) routes() *router.Router {
	r := newRouter()
	for _, p := range slackPaths {
		r.POST(p, s.slack)
	}
	healthRoutes(r, s.ready, nil, s.o.Now)
	s.mounts(r.Handle)
	r.NotFound = s.webhook
	return r
}

// newRouter makes a router that never redirects: Slack follows two at most,
// and a signed request has one address.
func newRouter() *router.Router {
	r := router.New()
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	r.HandleOPTIONS = false
	r.MethodNotAllowed = func(ctx *fasthttp.RequestCtx) {
		// The router names OPTIONS whether or not it is answered.
		allow := slices.DeleteFunc(strings.Split(string(ctx.Response.Header.Peek("Allow")), ", "), func(m string) bool {
			return m == fasthttp.MethodOptions
		})
		ctx.Response.Header.Set("Allow", strings.Join(allow, ", "))
		say(ctx, fasthttp.StatusMethodNotAllowed, "method not allowed")
	}
	r.NotFound = func(ctx *fasthttp.RequestCtx) { say(ctx, fasthttp.StatusNotFound, "not found") }
	return r
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// SetSecrets replaces the signing secrets.
func (s *Server) SetSecrets(secrets ...Secret) { s.verifier.SetSecrets(secrets...) }

// Run serves until ctx ends, then shuts down as Shutdown does, within
// Options.Grace. It returns nil if that went well. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	defer s.cancel()
	return s.run(ctx, s.o.Grace)
}

// Drain makes readyz fail and refuses new events with 503, while the requests
// in flight go on. Shutdown does it too.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown drains, stops listening, and waits until the requests in flight are
// answered or ctx ends. It is safe to call before Run, and twice.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cancel()
	return s.shutdown(ctx)
}

var errDraining = errors.New("draining")

func (s *Server) ready() error {
	if s.draining.Load() {
		return errDraining
	}
	if s.o.Ready != nil {
		return s.o.Ready()
	}
	return nil
}

// accessLog logs each request: no query, no body, no header. It does so at
// debug level, and at info level with Options.AccessLog.
func (s *Server) accessLog(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	level := slog.LevelDebug
	if s.o.AccessLog {
		level = slog.LevelInfo
	}
	return func(ctx *fasthttp.RequestCtx) {
		next(ctx)
		if !s.log.Enabled(s.base, level) {
			return
		}
		from := s.origin(ctx)
		s.log.LogAttrs(s.base, level, "http request",
			slog.String("method", string(ctx.Method())), slog.String("path", string(ctx.Path())), slog.Int("status", ctx.Response.StatusCode()),
			slog.Int("bytes", len(ctx.PostBody())), slog.Int("sent", len(ctx.Response.Body())),
			slog.Float64("dur_ms", float64(time.Since(ctx.Time()).Microseconds())/1000),
			slog.String("client", from.client.String()), slog.Bool("https", from.secure))
	}
}
