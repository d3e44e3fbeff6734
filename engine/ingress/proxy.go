package ingress

import (
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// origin is where a request came from, as far as it can be believed.
type origin struct {
	// client is who sent it: the other end of the connection, or who a trusted
	// proxy there says it was.
	client netip.Addr
	// secure says that the client spoke HTTPS, with this server or with a
	// trusted proxy in front of it.
	secure bool
}

// origin believes x-forwarded-for and x-forwarded-proto of trusted proxies and
// of nobody else.
func (s *Server) origin(ctx *fasthttp.RequestCtx) origin {
	o := origin{client: s.client(ctx), secure: ctx.IsTLS()}
	if peer, ok := netip.AddrFromSlice(ctx.RemoteIP()); !ok || !s.trusts(peer.Unmap()) {
		return o
	}
	if values := ctx.Request.Header.PeekAll("X-Forwarded-Proto"); len(values) > 0 {
		// The proxy that answers for the connection is the last to write.
		last := string(values[len(values)-1])
		last = last[strings.LastIndexByte(last, ',')+1:]
		o.secure = strings.EqualFold(strings.TrimSpace(last), "https")
	}
	return o
}

// trusts reports whether an address is that of a trusted proxy.
func (s *Server) trusts(a netip.Addr) bool {
	for _, p := range s.o.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
