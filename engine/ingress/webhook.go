package ingress

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/starling-rules/starling/engine/event"
)

// Webhooks are the routes that rules registered. Safe for concurrent use.
type Webhooks interface {
	// Route looks a request up. If the path is known but not with this method,
	// found is false and allow lists the methods it is known with.
	Route(method, path string) (r Route, found bool, allow []string)
}

// The signature schemes of a Route.
const (
	// SignatureGitHub is X-Hub-Signature-256: sha256= and hexadecimal digits.
	SignatureGitHub = "github"
	// SignatureHMAC is hexadecimal HMAC-SHA256 of the body in Route.Header,
	// with or without sha256= in front.
	SignatureHMAC = "hmac-sha256"
)

// Route is what the way in needs to know of a webhook. A Route that is neither
// Open nor has a Secret lets nobody in.
type Route struct {
	Open      bool
	Secret    string
	Signature string // SignatureGitHub (also "") or SignatureHMAC
	Header    string // for SignatureHMAC; "" is X-Signature
	MaxBody   int    // bytes; 0 or more than the server's own limit: that limit
	// Hits, if not nil, counts what comes and what is answered.
	Hits *Hits
}

// webhook answers whatever is not Slack's.
func (s *Server) webhook(ctx *fasthttp.RequestCtx) {
	if s.o.Webhooks == nil {
		say(ctx, fasthttp.StatusNotFound, "not found")
		return
	}
	method, path := string(ctx.Method()), string(ctx.URI().PathOriginal())
	r, found, allow := s.o.Webhooks.Route(method, path)
	switch {
	case !found && len(allow) > 0:
		ctx.Response.Header.Set("Allow", strings.Join(allow, ", "))
		say(ctx, fasthttp.StatusMethodNotAllowed, "method not allowed")
		return
	case !found:
		say(ctx, fasthttp.StatusNotFound, "not found")
		return
	case s.draining.Load():
		say(ctx, fasthttp.StatusServiceUnavailable, "draining")
		ctx.SetConnectionClose()
		return
	}
	defer r.Hits.count(ctx, s.o.Now)
	body := ctx.PostBody()
	if r.MaxBody > 0 && len(body) > r.MaxBody {
		say(ctx, fasthttp.StatusRequestEntityTooLarge, "body too large")
		return
	}
	if !r.authentic(&ctx.Request.Header, body) {
		s.counts.byKind[event.Webhook].refused.Inc()
		say(ctx, fasthttp.StatusUnauthorized, "not authentic")
		return
	}
	if !plainEncoding(ctx.Request.Header.Peek("Content-Encoding")) {
		s.counts.byKind[event.Webhook].refused.Inc()
		say(ctx, fasthttp.StatusUnsupportedMediaType, "unsupported encoding")
		return
	}
	s.accept(ctx, s.webhookEvent(ctx, method, path, body))
}

func (r Route) authentic(h *fasthttp.RequestHeader, body []byte) bool {
	if r.Open {
		return true
	}
	name := "X-Hub-Signature-256"
	switch r.Signature {
	case "", SignatureGitHub:
	case SignatureHMAC:
		if name = r.Header; name == "" {
			name = "X-Signature"
		}
	default:
		return false
	}
	given, once := only(h.PeekAll(name))
	if r.Secret == "" || !once {
		return false
	}
	digits, prefixed := bytes.CutPrefix(given, []byte("sha256="))
	if !prefixed && r.Signature != SignatureHMAC {
		return false
	}
	var want [sha256.Size]byte
	if !decodeHex(want[:], digits) {
		return false
	}
	mac := hmac.New(sha256.New, []byte(r.Secret))
	mac.Write(body)
	return hmac.Equal(mac.Sum(nil), want[:])
}

// webhookEvent copies the request into an event.
func (s *Server) webhookEvent(ctx *fasthttp.RequestCtx, method, path string, body []byte) *event.Event {
	req := &event.Request{
		Method: method, Path: path,
		Query: string(ctx.URI().QueryString()), Remote: s.origin(ctx).Client.String(),
	}
	for k, v := range ctx.Request.Header.All() {
		req.Headers = append(req.Headers, event.Header{Name: strings.ToLower(string(k)), Value: string(v)})
	}
	return &event.Event{
		ID: s.webhookID(req, body), Kind: event.Webhook, Type: "webhook",
		Received: s.o.Now(), Via: "http", Encoding: event.HTTP,
		Raw: append([]byte(nil), body...), Request: req,
	}
}

// deliveryHeaders name a delivery; a repeated delivery repeats them.
var deliveryHeaders = [...]string{"x-github-delivery", "x-gitlab-event-uuid", "webhook-id", "idempotency-key"}

// webhookID is the same for a delivery that is sent again under its own id, and
// different for any two others: a sender may well mean the same thing twice.
func (s *Server) webhookID(r *event.Request, body []byte) string {
	h := sha256.New()
	part := func(text string) {
		h.Write([]byte(text))
		h.Write([]byte{0})
	}
	part(r.Method)
	part(r.Path)
	part(r.Query)
	named := false
	for _, want := range deliveryHeaders {
		for _, have := range r.Headers {
			if have.Name == want && have.Value != "" {
				part(have.Name)
				part(have.Value)
				named = true
			}
		}
	}
	if !named {
		part(s.o.Nonce())
	}
	h.Write(body)
	return "wh-" + hex.EncodeToString(h.Sum(nil)[:16])
}
