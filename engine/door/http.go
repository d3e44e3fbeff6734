package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/runtime"
)

// HTTPOptions configure outgoing HTTP. Zero fields take the defaults named.
type HTTPOptions struct {
	// Allow lists destinations beyond the public internet: "host:port",
	// "host", an address, or a CIDR.
	Allow []string
	// Proxy carries all requests if it is not empty. Names are then resolved
	// by the proxy: it has to refuse internal ones itself. Addresses written
	// out in a URL are still refused here.
	Proxy string
	// MaxBody bounds a response in bytes: 1 MiB.
	MaxBody int64
	// Timeout is that of one attempt without timeout=: 10 s; MaxTimeout what
	// timeout= may say: 60 s.
	Timeout, MaxTimeout time.Duration
	// MaxRedirects is how many are followed: 5.
	MaxRedirects int
	// Resolver looks names up; the system's by default.
	Resolver *net.Resolver
	// Transport takes the place of the network: recorders of tests. No address
	// is resolved then; what a URL says is still refused.
	Transport http.RoundTripper
	// Sleep waits between attempts; Rand spreads them, in [0, 1).
	Sleep   func(context.Context, time.Duration) error
	Rand    func() float64
	Logger  *slog.Logger
	Metrics *metric.Set
}

// The defaults and bounds of HTTPOptions.
const (
	DefaultMaxBody      = 1 << 20
	DefaultHTTPTimeout  = 10 * time.Second
	DefaultMaxTimeout   = time.Minute
	DefaultMaxRedirects = 5
	maxRetry            = 5
	maxRetryWait        = 30 * time.Second
)

// HTTP makes the requests of scripts. Safe for concurrent use.
type HTTP struct {
	o         HTTPOptions
	guard     *guard
	transport http.RoundTripper
}

// NewHTTP makes an HTTP. Its errors name the option that is wrong.
func NewHTTP(o HTTPOptions) (*HTTP, error) {
	set(&o.MaxBody, DefaultMaxBody)
	set(&o.Timeout, DefaultHTTPTimeout)
	set(&o.MaxTimeout, DefaultMaxTimeout)
	set(&o.MaxRedirects, DefaultMaxRedirects)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	g, err := newGuard(o.Allow)
	if err != nil {
		return nil, err
	}
	if o.Transport != nil {
		return &HTTP{o: o, guard: g, transport: o.Transport}, nil
	}
	dialer := &net.Dialer{Timeout: o.MaxTimeout, KeepAlive: 30 * time.Second, Resolver: o.Resolver}
	t := &http.Transport{
		ForceAttemptHTTP2: true, MaxIdleConns: 100, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
	trusted := ""
	if o.Proxy != "" {
		p, err := url.Parse(o.Proxy)
		if err != nil || p.Hostname() == "" || p.Scheme != "http" && p.Scheme != "https" {
			return nil, errors.New("http.proxy: want http://host:port")
		}
		t.Proxy = http.ProxyURL(p)
		trusted = net.JoinHostPort(p.Hostname(), portOf(p))
	}
	t.DialContext = g.dial(dialer, trusted)
	return &HTTP{o: o, guard: g, transport: t}, nil
}

// SetAllow replaces HTTPOptions.Allow for the requests that begin from now on.
func (h *HTTP) SetAllow(allow []string) error { return h.guard.set(allow) }

func set[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close drops idle connections.
func (h *HTTP) Close() { (&http.Client{Transport: h.transport}).CloseIdleConnections() }

func (l *live) httpHandlers(all Live) {
	kinds := []struct {
		kind, method string
		read         bool
	}{
		{"http_get", http.MethodGet, true},
		{"http_post", http.MethodPost, false},
		{"http_put", http.MethodPut, false},
		{"http_patch", http.MethodPatch, false},
		{"http_delete", http.MethodDelete, false},
		{"http_request", "", false},
	}
	for _, k := range kinds {
		all[k.kind] = Handler{
			Read: k.read,
			Do: func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
				v, err := l.HTTP.do(ctx, k.method, r, e)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", k.kind, err)
				}
				return v, nil
			},
			Repeat: func(e runtime.Effect) Repeat { return repeatHTTP(k.method, e.Args) },
		}
	}
}

// repeatHTTP: methods that may be sent twice by their definition, and what the
// author says may be.
func repeatHTTP(method string, args *runtime.Dict) Repeat {
	if method == "" {
		method = strings.ToUpper(args.Text("method"))
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return Again
	}
	if flag(args, "idempotent", false) {
		return Again
	}
	return Never
}

// do sends a request, again as often as retry= asks.
func (h *HTTP) do(ctx context.Context, method string, r *Run, e runtime.Effect) (runtime.Value, error) {
	args := e.Args
	spec, err := h.spec(method, r.Key(e), args)
	if err != nil {
		return nil, err
	}
	spec.hosts = r.Hosts
	retries := int(min(max(integer(args, "retry", 0), 0), maxRetry))
	for attempt := 0; ; attempt++ {
		res := h.attempt(ctx, spec)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if h.o.Metrics != nil {
			h.o.Metrics.HTTP.WithLabelValues(spec.method, res.label()).Inc()
		}
		h.o.Logger.Debug("http call", "method", spec.method, "status", res.status, "error", res.code)
		if attempt >= retries || !res.again() {
			return res.value(), nil
		}
		if err := h.o.Sleep(ctx, h.pause(attempt, res.after)); err != nil {
			return nil, err
		}
	}
}

// pause is the wait before the next attempt: what the server asked for, else
// growing from half a second.
func (h *HTTP) pause(attempt int, asked time.Duration) time.Duration {
	if asked > 0 {
		return min(asked, maxRetryWait)
	}
	return time.Duration(float64(500*time.Millisecond) * float64(int(1)<<attempt) * (0.5 + h.o.Rand()))
}
