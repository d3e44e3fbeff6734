package engine

import (
	"fmt"
	"net"

	"github.com/starling-rules/starling/engine/cert"
	"github.com/starling-rules/starling/engine/ingress"
)

// secure loads the certificate that the configuration names. HTTPS takes the
// place of plain HTTP, or stands beside it if it has an address of its own.
func (e *Engine) secure(o *ingress.Options) error {
	c := e.o.Config.TLS
	if c.Cert == "" {
		return nil
	}
	var err error
	if e.pair, err = cert.Open(c.Cert, c.Key, e.log, e.o.Now); err != nil {
		return fmt.Errorf("%w (starling cert makes a pair)", err)
	}
	if c.Listen == "" {
		o.TLS = e.pair.Config()
	} else {
		o.Secure = ingress.SecureListener{Addr: c.Listen, TLS: e.pair.Config()}
	}
	e.metrics.Func("certificate_not_after_seconds", "End of the certificate that is served, in seconds since 1970.", func() float64 {
		return float64(e.pair.NotAfter().Unix())
	})
	return nil
}

// SecureAddr is where HTTPS is taken beside plain HTTP; nil unless tls.listen
// is set.
func (e *Engine) SecureAddr() net.Addr { return e.server.SecureAddr() }
