package ingress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Limits bound what a client can take. Zero fields take the default.
type Limits struct {
	MaxBody      int           // bytes of a request body; 1 MiB
	MaxHeader    int           // bytes of a request's header; 16 KiB
	MaxConns     int           // connections at a time; 10,000
	ReadTimeout  time.Duration // for one whole request, from its first byte; 10 s
	WriteTimeout time.Duration // for one response; 10 s
	IdleTimeout  time.Duration // between the requests of a connection; 75 s
}

func (l Limits) orDefault() Limits {
	if l.MaxBody == 0 {
		l.MaxBody = 1 << 20
	}
	if l.MaxHeader == 0 {
		l.MaxHeader = 16 << 10
	}
	if l.MaxConns == 0 {
		l.MaxConns = 10_000
	}
	if l.ReadTimeout == 0 {
		l.ReadTimeout = 10 * time.Second
	}
	if l.WriteTimeout == 0 {
		l.WriteTimeout = 10 * time.Second
	}
	if l.IdleTimeout == 0 {
		l.IdleTimeout = 75 * time.Second
	}
	return l
}

// listener is one HTTP server on one listening socket or two, started once and
// stopped once; stopping before starting, or twice, is fine.
type listener struct {
	srv      *fasthttp.Server
	ln       net.Listener
	second   net.Listener // HTTPS beside ln; may be nil
	limits   Limits
	draining atomic.Bool
	stopped  chan struct{} // closed when Serve has returned
	started  atomic.Bool
}

// listen opens the socket. ln, if not nil, is taken instead of addr.
func listen(ln net.Listener, addr string, conf *tls.Config) (net.Listener, error) {
	if ln == nil {
		var err error
		if ln, err = net.Listen("tcp", addr); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	if conf != nil {
		ln = tls.NewListener(ln, conf)
	}
	return ln, nil
}

func newListener(ln net.Listener, limits Limits, log *slog.Logger, handler fasthttp.RequestHandler) *listener {
	limits = limits.orDefault()
	l := &listener{ln: ln, limits: limits, stopped: make(chan struct{})}
	l.srv = &fasthttp.Server{
		Handler:            guard(log, handler),
		ErrorHandler:       refuseRequest,
		ExpectHandler:      l.expect,
		Logger:             quietLogger{log},
		MaxRequestBodySize: limits.MaxBody,
		ReadBufferSize:     limits.MaxHeader,
		Concurrency:        limits.MaxConns,
		ReadTimeout:        limits.ReadTimeout,
		WriteTimeout:       limits.WriteTimeout,
		IdleTimeout:        limits.IdleTimeout,
		// The body is wanted as it was sent, multipart or not.
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
	}
	return l
}

// serve accepts connections until shutdown.
func (l *listener) serve() error {
	if l.started.Swap(true) {
		return errors.New("server was started before")
	}
	defer close(l.stopped)
	if l.draining.Load() {
		l.closeAll() // shutdown may have done it
		return nil
	}
	served := make(chan error, 1)
	if l.second != nil {
		go func() {
			served <- l.srv.Serve(l.second)
			_ = l.ln.Close() // one does not go on without the other
		}()
	}
	err := l.srv.Serve(l.ln)
	if l.second != nil {
		_ = l.second.Close()
		// Which of the two ended first is not known: the cause is what is no
		// closed listener.
		if other := <-served; err == nil || errors.Is(err, net.ErrClosed) {
			err = other
		}
	}
	if l.draining.Load() || errors.Is(err, net.ErrClosed) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// shutdown stops accepting connections and waits until the requests in flight
// are answered, or ctx ends.
func (l *listener) shutdown(ctx context.Context) error {
	l.draining.Store(true)
	// Serve may not have reached its listener yet: then it finds it closed.
	l.closeAll()
	err := l.srv.ShutdownWithContext(ctx)
	if l.started.Load() {
		select {
		case <-l.stopped:
		case <-ctx.Done():
		}
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("shut down HTTP: %w", err)
	}
	return nil
}

// closeAll closes the sockets; they may be closed already.
func (l *listener) closeAll() {
	_ = l.ln.Close()
	if l.second != nil {
		_ = l.second.Close()
	}
}

// run serves until ctx ends, then shuts down within grace.
func (l *listener) run(ctx context.Context, grace time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- l.serve() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := l.shutdown(end)
	return errors.Join(err, <-failed)
}

// expect answers `Expect: 100-continue` before the body is sent.
func (l *listener) expect(ctx *fasthttp.RequestCtx) int {
	switch {
	case l.draining.Load():
		return fasthttp.StatusServiceUnavailable
	case ctx.Request.Header.ContentLength() > l.limits.MaxBody:
		return fasthttp.StatusRequestEntityTooLarge
	}
	return fasthttp.StatusContinue
}

// refuseRequest answers what could not be read as a request. The connection is
// closed behind it, because nobody can tell where the next request begins.
func refuseRequest(ctx *fasthttp.RequestCtx, err error) {
	ctx.Response.Reset()
	var header *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		discard(ctx.Conn())
		say(ctx, fasthttp.StatusRequestEntityTooLarge, "body too large")
	case errors.As(err, &header):
		say(ctx, fasthttp.StatusRequestHeaderFieldsTooLarge, "header too large")
	case errors.As(err, &timeout) && timeout.Timeout():
		say(ctx, fasthttp.StatusRequestTimeout, "request took too long")
	default:
		say(ctx, fasthttp.StatusBadRequest, "bad request")
	}
	ctx.SetConnectionClose()
}

// discard reads the rest of a body that is too large, for a moment: who is still
// writing when the connection is closed gets a reset in the place of the answer.
func discard(c net.Conn) {
	const atMost, pause, inAll = 8 << 20, 50 * time.Millisecond, time.Second
	buf := make([]byte, 32<<10)
	for read, end := 0, time.Now().Add(inAll); read < atMost && time.Now().Before(end); {
		if c.SetReadDeadline(time.Now().Add(pause)) != nil {
			return
		}
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		read += n
	}
}

// guard refuses requests that two parsers could read differently, and keeps a
// panic from taking the process with it.
func guard(log *slog.Logger, next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		defer func() {
			if r := recover(); r != nil {
				log.Error("panic while answering a request", "panic", r)
				ctx.Response.Reset()
				say(ctx, fasthttp.StatusInternalServerError, "internal error")
				ctx.SetConnectionClose()
			}
		}()
		h := &ctx.Request.Header
		if ambiguous(h.RawHeaders()) || h.IsHTTP11() && len(h.Host()) == 0 {
			say(ctx, fasthttp.StatusBadRequest, "bad request")
			ctx.SetConnectionClose()
			return
		}
		next(ctx)
	}
}

// ambiguous reports whether a request's header, as it was sent, tells the
// length of the body twice, in two ways, or has folded lines. The parser
// settles these silently, and a proxy in front may have settled them otherwise.
func ambiguous(raw []byte) bool {
	length, encoding := false, false
	for len(raw) > 0 {
		var line []byte
		line, raw, _ = bytes.Cut(raw, []byte{'\n'})
		if len(line) == 0 {
			continue
		}
		switch line[0] {
		case ' ', '\t':
			return true
		case 'c', 'C':
			const name = "content-length"
			length = length || len(line) > len(name) && equalFold(line[:len(name)], name)
		case 't', 'T':
			const name = "transfer-encoding"
			encoding = encoding || len(line) > len(name) && equalFold(line[:len(name)], name)
		}
	}
	return length && encoding
}

// equalFold compares ASCII; lower is in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// say answers a status with one line of text.
func say(ctx *fasthttp.RequestCtx, status int, text string) {
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.SetContentType("text/plain; charset=utf-8")
	ctx.Response.SetBodyString(text + "\n")
}

// sayJSON answers a status with JSON.
func sayJSON(ctx *fasthttp.RequestCtx, status int, body []byte) {
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.SetBody(body)
}

// quietLogger takes fasthttp's own messages, which are about clients that
// break off: nothing an operator can act on.
type quietLogger struct{ log *slog.Logger }

// Printf logs at debug level.
func (q quietLogger) Printf(format string, args ...any) {
	if q.log.Enabled(context.Background(), slog.LevelDebug) {
		q.log.Debug("http server", "message", fmt.Sprintf(format, args...))
	}
}
