package ingress

import (
	"crypto/tls"
	"errors"
	"net"
)

// SecureListener is where HTTPS is taken beside plain HTTP, by the same server:
// routes, limits and the end are shared.
type SecureListener struct {
	// Addr is where to listen, "host:port"; Listener, if not nil, is taken instead.
	Addr     string
	Listener net.Listener
	TLS      *tls.Config
}

// open opens the socket; nil if there is nothing to open.
func (l SecureListener) open() (net.Listener, error) {
	if l.Addr == "" && l.Listener == nil {
		return nil, nil
	}
	if l.TLS == nil {
		return nil, errors.New("listen: HTTPS without a certificate")
	}
	return listen(l.Listener, l.Addr, l.TLS)
}

// SecureAddr is where HTTPS is taken beside plain HTTP; nil without
// Options.Secure.
func (s *Server) SecureAddr() net.Addr {
	if s.second == nil {
		return nil
	}
	return s.second.Addr()
}
