package ingress

import (
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// Origin is where a request came from, as far as it can be believed.
type Origin struct {
	// Client is who sent it: the other end of the connection, or who a trusted
	// proxy there says it was. Invalid if the connection has no address.
	Client netip.Addr
	// Secure says that the client spoke HTTPS, with this server or with a
	// trusted proxy in front of it.
	Secure bool
	// Proxied says that the other end of the connection is a trusted proxy.
	Proxied bool
}

// origin believes x-forwarded-for and x-forwarded-proto of trusted proxies and
// of nobody else. Each proxy adds the address it was asked from at the right
// end of x-forwarded-for, so the list is read from there, and the first address
// that is no trusted proxy is the client's: what stands left of it is only what
// the client has claimed.
func (s *Server) origin(ctx *fasthttp.RequestCtx) Origin {
	o := Origin{Secure: ctx.IsTLS()}
	ip, ok := netip.AddrFromSlice(ctx.RemoteIP())
	if !ok {
		return o
	}
	o.Client = ip.Unmap()
	if o.Proxied = s.trusts(o.Client); !o.Proxied {
		return o
	}
	h := &ctx.Request.Header
	if values := h.PeekAll("X-Forwarded-Proto"); len(values) > 0 {
		// The proxy that answers for the connection is the last to write.
		last := string(values[len(values)-1])
		last = last[strings.LastIndexByte(last, ',')+1:]
		o.Secure = strings.EqualFold(strings.TrimSpace(last), "https")
	}
	values := h.PeekAll("X-Forwarded-For")
	for i := len(values) - 1; i >= 0; i-- {
		for rest := string(values[i]); rest != ""; {
			cut := strings.LastIndexByte(rest, ',')
			addr, ok := forwardedAddr(rest[cut+1:])
			if !ok {
				return o // an address that cannot be read ends what can be believed
			}
			if o.Client = addr; !s.trusts(addr) {
				return o
			}
			rest = rest[:max(cut, 0)]
		}
	}
	return o
}

// forwardedAddr reads one address of x-forwarded-for; some proxies add a port.
func forwardedAddr(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if p, err := netip.ParseAddrPort(text); err == nil {
		return p.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
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
