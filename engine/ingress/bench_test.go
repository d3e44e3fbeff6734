package ingress_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/ingress"
)

// drop takes events and forgets them.
type drop struct{}

func (drop) Accept(context.Context, *event.Event) error { return nil }

func (drop) AcceptAnswered(context.Context, *event.Event) (*event.Answer, error) { return nil, nil }

// typical is a message of 1.2 KB with a rich_text block, as Slack sends it.
var typical = strings.Replace(message, `"ts"`, `"client_msg_id":"00000000-0000-4000-8000-000000000000","team":"T1","blocks":[{"type":"rich_text","block_id":"b1","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"`+
	strings.Repeat("deploy api to prod ", 34)+`"}]}]}],"channel_type":"channel","event_ts":"1700000000.000100","ts"`, 1)

// benchServe drives one keep-alive connection over an in-memory listener, so
// that what is measured is parsing, checking and answering, not the kernel.
func benchServe(b *testing.B, ln *fasthttputil.InmemoryListener, wire []byte) {
	b.Helper()
	c, err := ln.Dial()
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	buf := make([]byte, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		if _, err := c.Write(wire); err != nil {
			b.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200")) {
			b.Fatalf("%v %s", err, buf[:n])
		}
	}
}

func BenchmarkServe(b *testing.B) {
	wire := request{body: typical}.bytes()
	b.Run("fasthttp", func(b *testing.B) {
		benchServe(b, bare(b, func(*fasthttp.RequestCtx) {}), wire)
	})
	b.Run("fasthttp+hmac", func(b *testing.B) {
		benchServe(b, bare(b, checkOnly()), wire)
	})
	b.Run("ingress", func(b *testing.B) {
		ln := fasthttputil.NewInmemoryListener()
		srv, err := ingress.New(ingress.Options{
			Listener: ln, Sink: drop{}, Secrets: []ingress.Secret{{App: "a", Value: secret}}, Now: func() time.Time { return at },
		})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = srv.Run(ctx) })
		benchServe(b, ln, wire)
		cancel()
		done.Wait()
	})
}

// bare serves h with nothing around it.
func bare(b *testing.B, h fasthttp.RequestHandler) *fasthttputil.InmemoryListener {
	b.Helper()
	ln := fasthttputil.NewInmemoryListener()
	s := &fasthttp.Server{Handler: h, NoDefaultServerHeader: true}
	go func() { _ = s.Serve(net.Listener(ln)) }()
	b.Cleanup(func() { _ = ln.Close() })
	return ln
}

// checkOnly is the least that has to be done for a signed request.
func checkOnly() fasthttp.RequestHandler {
	pool := sync.Pool{New: func() any { return hmac.New(sha256.New, []byte(secret)) }}
	return func(ctx *fasthttp.RequestCtx) {
		ts, sig := ctx.Request.Header.Peek("X-Slack-Request-Timestamp"), ctx.Request.Header.Peek("X-Slack-Signature")
		if n, err := strconv.ParseInt(string(ts), 10, 64); err != nil || at.Unix()-n > 300 {
			ctx.SetStatusCode(401)
			return
		}
		m := pool.Get().(interface {
			Reset()
			Write([]byte) (int, error)
			Sum([]byte) []byte
		})
		m.Reset()
		_, _ = m.Write([]byte("v0:"))
		_, _ = m.Write(ts)
		_, _ = m.Write([]byte(":"))
		_, _ = m.Write(ctx.PostBody())
		var sum [32]byte
		var text [64]byte
		hex.Encode(text[:], m.Sum(sum[:0]))
		pool.Put(m)
		if len(sig) != 67 || subtle.ConstantTimeCompare(text[:], sig[3:]) != 1 {
			ctx.SetStatusCode(401)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	ts := []byte("1700000000")
	sig, now := []byte(ingress.Sign(secret, string(ts), []byte(typical))), time.Unix(1700000000, 0)
	body := []byte(typical)
	for _, n := range []int{1, 3} {
		secrets := make([]ingress.Secret, n)
		for i := range secrets {
			secrets[i] = ingress.Secret{App: "a", Value: secret + strings.Repeat("x", n-1-i)}
		}
		v := ingress.NewVerifier(5*time.Minute, secrets...)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, ok := v.Verify(sig, ts, body, now); !ok {
					b.Fatal("not verified")
				}
			}
		})
	}
}
