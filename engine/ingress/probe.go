package ingress

import (
	"context"
	"net"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/starling-rules/starling/engine/event"
)

// Probe answers requests for webhooks as a Server does, without a socket: for
// operators who try a hook out. Who may call it is not checked, an operator
// may. Safe for concurrent use.
type Probe struct {
	s      *Server
	handle fasthttp.RequestHandler
}

// ProbeRequest is a request as it would come over HTTP.
type ProbeRequest struct {
	Method string
	// Target is the path with the query, as on the first line of a request.
	Target  string
	Headers []event.Header
	Body    []byte
	// Client is who is said to send it; nil is 127.0.0.1.
	Client net.IP
}

// ProbeResponse is what the sender would be told. Header names are lower case.
type ProbeResponse struct {
	Status  int
	Headers []event.Header
	Body    []byte
}

// Header returns the first value of a header, by its lower-case name.
func (r ProbeResponse) Header(name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// NewProbe opens no socket. Of the options, Sink and Webhooks are required;
// those that concern sockets are not used.
func NewProbe(o Options) *Probe {
	o.complete()
	o.Webhooks = admitting{o.Webhooks}
	s := &Server{o: o, log: o.Logger, counts: newCounts(nil), listener: &listener{limits: o.Limits.orDefault()}}
	s.base, s.cancel = context.WithCancel(context.Background())
	return &Probe{s: s, handle: guard(o.Logger, s.webhook)}
}

// Close ends requests that still wait.
func (p *Probe) Close() { p.s.cancel() }

// Do answers one request.
func (p *Probe) Do(r ProbeRequest) ProbeResponse {
	var req fasthttp.Request
	req.Header.SetMethod(r.Method)
	req.SetRequestURI(r.Target)
	req.Header.SetHost("localhost")
	req.Header.SetNoDefaultContentType(true)
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, "host") {
			req.Header.SetHost(h.Value)
			continue
		}
		req.Header.Add(h.Name, h.Value)
	}
	req.SetBodyRaw(r.Body)
	if r.Client == nil {
		r.Client = net.IPv4(127, 0, 0, 1)
	}
	var ctx fasthttp.RequestCtx
	ctx.Init(&req, &net.TCPAddr{IP: r.Client}, quietLogger{p.s.log})
	ctx.Response.Header.SetNoDefaultContentType(true)
	if len(r.Body) > p.s.limits.MaxBody {
		say(&ctx, fasthttp.StatusRequestEntityTooLarge, "body too large")
	} else {
		p.handle(&ctx)
	}
	out := ProbeResponse{Status: ctx.Response.StatusCode(), Body: slices.Clone(ctx.Response.Body())}
	for k, v := range ctx.Response.Header.All() {
		if name := strings.ToLower(string(k)); !framing(name) && name != "server" && name != "date" {
			out.Headers = append(out.Headers, event.Header{Name: name, Value: string(v)})
		}
	}
	return out
}

// admitting lets everybody in, and counts nothing.
type admitting struct{ Webhooks }

// Route implements Webhooks.
func (a admitting) Route(method, path string) (*Route, []string) {
	r, allow := a.Webhooks.Route(method, path)
	if r == nil {
		return nil, allow
	}
	open := *r
	open.Lock.Open, open.Limiter, open.Hits = true, nil, nil
	return &open, allow
}
