package ingress

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/hook"
)

// Webhooks are the routes that rules registered. Safe for concurrent use.
type Webhooks interface {
	// Route looks a request up. If the path is known but not with this method,
	// r is nil and allow lists the methods it is known with. The Route is not
	// changed.
	Route(method, path string) (r *Route, allow []string)
}

// Route is what the way in needs to know of a webhook.
type Route struct {
	// Lock says who may call; the zero one lets nobody in.
	Lock hook.Lock
	// MaxBody bounds the body, in bytes; 0, or more than the server's own
	// limit, is that limit.
	MaxBody int
	// Limiter bounds how often it is called, in this process; nil is no bound.
	Limiter *hook.Limiter
	// Dedupe says what names a delivery.
	Dedupe hook.Dedupe
	// CheckBody says why a body cannot be decoded, as the sender is told; nil
	// takes every body in.
	CheckBody func(contentType string, body []byte) error
	// Hits, if not nil, counts what comes and how it is answered.
	Hits *Hits
}

// webhook answers whatever is not Slack's.
func (s *Server) webhook(ctx *fasthttp.RequestCtx) {
	if s.o.Webhooks == nil {
		say(ctx, fasthttp.StatusNotFound, "not found")
		return
	}
	method, path := string(ctx.Method()), string(ctx.URI().PathOriginal())
	r, allow := s.o.Webhooks.Route(method, path)
	switch {
	case r == nil && len(allow) > 0:
		ctx.Response.Header.Set("Allow", strings.Join(allow, ", "))
		say(ctx, fasthttp.StatusMethodNotAllowed, "method not allowed")
		return
	case r == nil:
		say(ctx, fasthttp.StatusNotFound, "not found")
		return
	case s.draining.Load():
		say(ctx, fasthttp.StatusServiceUnavailable, "draining")
		ctx.SetConnectionClose()
		return
	}
	defer r.Hits.count(ctx, s.o.Now)
	q := hookRequest{ctx, s.client(ctx)}
	if !s.admit(r, q) {
		s.counts.byKind[event.Webhook].refused.Inc()
		return
	}
	s.accept(ctx, s.webhookEvent(r, q, method, path))
}

// admit applies what a route asks of a request, before anything of it is
// decoded, and then whether it can be. It answers what it refuses.
//
// The rate comes after the lock: else strangers could use up what the sender
// may do. It comes before the body is looked at.
func (s *Server) admit(r *Route, q hookRequest) bool {
	ctx, body := q.ctx, q.ctx.PostBody()
	if r.MaxBody > 0 && len(body) > r.MaxBody {
		say(ctx, fasthttp.StatusRequestEntityTooLarge, "body too large")
		return false
	}
	now := s.o.Now()
	if !r.Lock.Admits(q.proof(), now) {
		if c := r.Lock.Challenge(); c != "" {
			ctx.Response.Header.Set("WWW-Authenticate", c)
		}
		say(ctx, fasthttp.StatusUnauthorized, "not authentic")
		return false
	}
	if ok, wait := r.Limiter.Take(now); !ok {
		seconds := (wait + time.Second - 1) / time.Second
		ctx.Response.Header.Set("Retry-After", strconv.Itoa(int(seconds)))
		say(ctx, fasthttp.StatusTooManyRequests, "too many requests")
		return false
	}
	if !plainEncoding(ctx.Request.Header.Peek("Content-Encoding")) {
		say(ctx, fasthttp.StatusUnsupportedMediaType, "unsupported encoding")
		return false
	}
	if r.CheckBody != nil {
		if err := r.CheckBody(string(ctx.Request.Header.ContentType()), body); err != nil {
			say(ctx, fasthttp.StatusBadRequest, err.Error())
			return false
		}
	}
	return true
}

// hookRequest is a request to a webhook, and where it comes from.
type hookRequest struct {
	ctx    *fasthttp.RequestCtx
	client netip.Addr
}

// proof is the request as a lock sees it; it refers to the request's buffers.
func (q hookRequest) proof() *hook.Request {
	return &hook.Request{Header: q.header, Body: q.ctx.PostBody(), Remote: q.client}
}

func (q hookRequest) header(name string) []string {
	values := q.ctx.Request.Header.PeekAll(name)
	if len(values) == 0 {
		return nil
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// client is the address of the client, behind the proxies that are trusted.
func (s *Server) client(ctx *fasthttp.RequestCtx) netip.Addr {
	peer, ok := netip.AddrFromSlice(ctx.RemoteIP())
	if !ok || len(s.o.TrustedProxies) == 0 {
		return peer.Unmap()
	}
	return hook.Client(peer, s.o.TrustedProxies, hookRequest{ctx: ctx}.header("X-Forwarded-For"))
}

// remote is the text of an address, "" of none.
func remote(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// webhookEvent copies the request into an event.
func (s *Server) webhookEvent(r *Route, q hookRequest, method, path string) *event.Event {
	ctx := q.ctx
	body := append([]byte(nil), ctx.PostBody()...)
	req := &event.Request{Method: method, Path: path, Query: string(ctx.URI().QueryString()), Remote: remote(q.client)}
	for k, v := range ctx.Request.Header.All() {
		h := event.Header{Name: strings.ToLower(string(k)), Value: string(v)}
		if r.Lock.Holds(h.Name) {
			h.Value = hook.Hidden
		}
		req.Headers = append(req.Headers, h)
	}
	return &event.Event{
		ID: r.Dedupe.ID(r.Lock.Signature.Scheme, q.proof(), method, path, req.Query, s.o.Nonce), Kind: event.Webhook, Type: "webhook",
		Received: s.o.Now(), Via: "http", Encoding: event.HTTP, Raw: body, Request: req,
	}
}
