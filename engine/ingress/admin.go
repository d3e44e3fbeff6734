package ingress

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/fasthttp/router"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/starling-rules/starling/engine/metric"
)

// AdminOptions configure an Admin.
type AdminOptions struct {
	Addr     string
	Listener net.Listener
	Limits   Limits
	Ready    func() error
	// Detail is what /readyz tells beside that: fields of its object. May be nil.
	Detail  func() map[string]any
	Metrics *metric.Set
	Logger  *slog.Logger
	Now     func() time.Time
	// Hosts are further names under which mounted handlers may be asked for,
	// beside localhost and IP addresses (which no web page can be named after).
	Hosts []string
	// Remote lets mounted handlers be used from other machines.
	Remote bool
	// Grace is how long Run waits for requests in flight when it ends; 5 s.
	Grace time.Duration
}

// Admin serves health, metrics and mounted JSON endpoints to operators. Its
// methods are safe for concurrent use, except that Handle comes before Run.
type Admin struct {
	*listener
	o      AdminOptions
	router *router.Router
	// base is the context of requests: fasthttp's own must not be used after the
	// request, and what is derived from it may look at it once more.
	base   context.Context
	cancel context.CancelFunc
}

// AdminRequest is a request to a mounted handler; it owns its memory.
type AdminRequest struct {
	Method string
	Path   string
	Params map[string]string // of the path pattern "/runs/{id}", percent escapes decoded
	Query  map[string]string
	Body   []byte
}

// AdminResponse is the answer of a mounted handler. Status 0 is 200; an empty
// ContentType with a body is application/json.
type AdminResponse struct {
	Status      int
	ContentType string
	Body        []byte
	// Header is sent beside ContentType, by routes of the way in (Mount); may be nil.
	Header map[string]string
	// Stream, if not nil, writes the body, of any length. What it returns an
	// error for ends early: the format has to show that.
	Stream func(w io.Writer) error
}

// AdminHandler answers one request. ctx ends when the server shuts down.
type AdminHandler func(ctx context.Context, r *AdminRequest) AdminResponse

// JSON makes a response of any value that encoding/json takes.
func JSON(status int, v any) AdminResponse {
	b, err := json.Marshal(v)
	if err != nil {
		return Problem(fasthttp.StatusInternalServerError, "the answer has no JSON form")
	}
	return AdminResponse{Status: status, Body: append(b, '\n')}
}

// Problem makes a response {"error": text}.
func Problem(status int, text string) AdminResponse {
	return JSON(status, map[string]string{"error": text})
}

// NewAdmin opens the listening socket; nothing is accepted before Run.
func NewAdmin(o AdminOptions) (*Admin, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.Grace == 0 {
		o.Grace = 5 * time.Second
	}
	ln, err := listen(o.Listener, o.Addr, nil)
	if err != nil {
		return nil, err
	}
	a := &Admin{o: o, router: newRouter()}
	a.base, a.cancel = context.WithCancel(context.Background())
	healthRoutes(a.router, a.ready, o.Detail, o.Now)
	if o.Metrics != nil {
		h := promhttp.HandlerFor(o.Metrics.Registry, promhttp.HandlerOpts{})
		a.router.GET("/metrics", fasthttpadaptor.NewFastHTTPHandler(h))
	}
	a.listener = newListener(ln, o.Limits, o.Logger, a.router.Handler)
	return a, nil
}

// Handle mounts a handler. The path may hold {name} parts. It panics if the
// route is there already, or the server runs: programmer errors.
func (a *Admin) Handle(method, path string, h AdminHandler) {
	if a.started.Load() {
		panic("ingress: Admin.Handle after Run")
	}
	a.router.Handle(method, path, func(ctx *fasthttp.RequestCtx) {
		if why := a.forbidden(ctx); why != "" {
			say(ctx, fasthttp.StatusForbidden, why)
			return
		}
		r := h(a.base, adminRequest(ctx))
		if r.Status != 0 {
			ctx.Response.SetStatusCode(r.Status)
		}
		if r.ContentType == "" && len(r.Body) > 0 {
			r.ContentType = "application/json"
		}
		if r.ContentType != "" {
			ctx.Response.Header.SetContentType(r.ContentType)
		}
		ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
		ctx.Response.Header.Set("Cache-Control", "no-store")
		ctx.Response.Header.Set("X-Frame-Options", "DENY") // another site's page could have an operator click through it
		if r.Stream != nil {
			ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
				if err := r.Stream(w); err != nil {
					a.o.Logger.Warn("answer an operator", "path", path, "err", err)
				}
			})
			return
		}
		ctx.Response.SetBodyRaw(r.Body)
	})
}

// forbidden says why a request is refused. A page in the operator's browser
// can reach this port too; it is told apart by Host (rebound names) and Origin.
func (a *Admin) forbidden(ctx *fasthttp.RequestCtx) string {
	if ip := ctx.RemoteIP(); !a.o.Remote && !ip.IsLoopback() {
		return "this address is not let in"
	}
	host := string(ctx.Host())
	if !a.knownHost(host) {
		return "unknown host name"
	}
	if origin := string(ctx.Request.Header.Peek("Origin")); origin != "" {
		if _, rest, ok := strings.Cut(origin, "://"); !ok || rest != host {
			return "another site's page"
		}
	}
	return ""
}

func (a *Admin) knownHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || net.ParseIP(host) != nil {
		return true
	}
	for _, h := range a.o.Hosts {
		if strings.ToLower(h) == host {
			return true
		}
	}
	return false
}

func adminRequest(ctx *fasthttp.RequestCtx) *AdminRequest {
	r := &AdminRequest{
		Method: string(ctx.Method()), Path: string(ctx.Path()),
		Params: map[string]string{}, Query: map[string]string{},
		Body: append([]byte(nil), ctx.PostBody()...),
	}
	ctx.VisitUserValues(func(k []byte, v any) {
		s, ok := v.(string)
		if !ok {
			return
		}
		if d, err := url.PathUnescape(s); err == nil {
			s = d
		}
		r.Params[string(k)] = strings.Clone(s)
	})
	for k, v := range ctx.QueryArgs().All() {
		if _, ok := r.Query[string(k)]; !ok {
			r.Query[string(k)] = string(v)
		}
	}
	return r
}

func (a *Admin) ready() error {
	if a.draining.Load() {
		return errDraining
	}
	return a.o.Ready()
}

// Addr is where the server listens.
func (a *Admin) Addr() net.Addr { return a.ln.Addr() }

// Run serves until ctx ends. It can be called once.
func (a *Admin) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, a.cancel)()
	return a.run(ctx, a.o.Grace)
}

// Shutdown stops listening and waits for requests in flight, until ctx ends.
func (a *Admin) Shutdown(ctx context.Context) error {
	a.cancel()
	return a.shutdown(ctx)
}
