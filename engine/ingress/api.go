package ingress

import (
	"context"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// Mount is a route beside Slack's and those of webhooks: one of the HTTP API.
type Mount struct {
	Method, Path string // the path may hold {name} parts
	Handle       func(ctx context.Context, r *APIRequest) AdminResponse
}

// APIRequest is a request to a Mount; it owns its memory.
type APIRequest struct {
	AdminRequest
	// Remote is the other end of the connection; Trusted says that it is one
	// of Options.TrustedProxies.
	Remote  netip.Addr
	Trusted bool
	// Secure says that the client spoke HTTPS, with this server or a trusted
	// proxy in front of it.
	Secure  bool
	headers map[string][]string // by lower-case name
}

// Header returns the first value of a header, and whether it was sent exactly once.
func (r *APIRequest) Header(name string) (value string, once bool) {
	values := r.headers[strings.ToLower(name)]
	if len(values) == 0 {
		return "", false
	}
	return values[0], len(values) == 1
}

// Guarded are the three routes under which omnibot takes in what Slack sends.
// They need the signature, as all of Slack's, and the authorization of the API.
type Guarded struct {
	// Authorize returns nil to let a request in, or what to answer. The body
	// of the request is not there.
	Authorize func(*APIRequest) *AdminResponse
	// Admit returns nil to take an event in, or what to answer.
	Admit func(*event.Event) *AdminResponse
}

// The routes of Guarded.
const (
	GuardedEvent       = "/api/v1/slack/event"
	GuardedCommand     = "/api/v1/slack/slash_command"
	GuardedInteractive = "/api/v1/slack/interactive"
)

// mounts adds the routes of the API.
func (s *Server) mounts(add func(method, path string, h fasthttp.RequestHandler)) {
	for _, m := range s.o.Mounts {
		add(m.Method, m.Path, func(ctx *fasthttp.RequestCtx) {
			if s.draining.Load() {
				writeAPI(ctx, Problem(fasthttp.StatusServiceUnavailable, errDraining.Error()))
				ctx.SetConnectionClose()
				return
			}
			writeAPI(ctx, m.Handle(s.base, s.apiRequest(ctx, true)))
		})
	}
	if s.o.Guarded == nil {
		return
	}
	for _, path := range []string{GuardedEvent, GuardedCommand, GuardedInteractive} {
		add(fasthttp.MethodPost, path, func(ctx *fasthttp.RequestCtx) { s.guarded(ctx, path == GuardedEvent) })
	}
}

// guarded takes in what Slack sends as omnibot does: its statuses and bodies.
func (s *Server) guarded(ctx *fasthttp.RequestCtx, events bool) {
	if refusal := s.o.Guarded.Authorize(s.apiRequest(ctx, false)); refusal != nil {
		writeAPI(ctx, *refusal)
		return
	}
	s.take(ctx, s.o.Guarded.Admit)
	status := ctx.Response.StatusCode()
	switch {
	case status == fasthttp.StatusOK && events && len(ctx.Response.Body()) == 0:
		sayJSON(ctx, status, []byte(`{"status":"success"}`))
	case status >= 400:
		if status == fasthttp.StatusUnauthorized {
			status = fasthttp.StatusForbidden
		}
		if why, is := strings.CutSuffix(string(ctx.Response.Body()), "\n"); is && !strings.HasPrefix(why, "{") {
			b, _ := runtime.AppendJSON([]byte(`{"status":"failure","error":`), why)
			sayJSON(ctx, status, append(b, '}'))
		}
	}
}

func (s *Server) apiRequest(ctx *fasthttp.RequestCtx, body bool) *APIRequest {
	r := &APIRequest{headers: map[string][]string{}, Secure: s.origin(ctx).secure}
	if body {
		r.AdminRequest = *adminRequest(ctx)
	} else {
		r.Method, r.Path = string(ctx.Method()), string(ctx.Path())
	}
	for k, v := range ctx.Request.Header.All() {
		name := strings.ToLower(string(k))
		r.headers[name] = append(r.headers[name], string(v))
	}
	if ip, ok := netip.AddrFromSlice(ctx.RemoteIP()); ok {
		r.Remote = ip.Unmap()
		for _, p := range s.o.TrustedProxies {
			r.Trusted = r.Trusted || p.Contains(r.Remote)
		}
	}
	return r
}

// writeAPI writes an answer of the API.
func writeAPI(ctx *fasthttp.RequestCtx, r AdminResponse) {
	if r.Status != 0 {
		ctx.Response.SetStatusCode(r.Status)
	}
	if r.ContentType == "" {
		r.ContentType = "application/json"
	}
	for name, value := range r.Header {
		ctx.Response.Header.Set(name, value)
	}
	ctx.Response.Header.SetContentType(r.ContentType)
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.SetBodyRaw(r.Body)
}
