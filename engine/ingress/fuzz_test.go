package ingress_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/starling-rules/starling/engine/ingress"
)

// FuzzWire throws bytes at a connection. Whatever they are, nothing is
// dispatched (they cannot be signed), the server answers something or closes,
// and it goes on serving.
func FuzzWire(f *testing.F) {
	f.Add(request{body: message, unsigned: true}.bytes())
	f.Add(request{body: message, unsigned: true, chunked: true}.bytes())
	f.Add([]byte("POST /slack HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"))
	f.Add([]byte("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.0\r\n\r\n"))
	f.Add([]byte("POST /slack/events HTTP/1.1\r\nHost: x\r\nX-Slack-Signature: v0=\r\nX-Slack-Request-Timestamp: 1700000000\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\nssl_check=1"))
	s := &sink{}
	ln := fasthttputil.NewInmemoryListener()
	srv, err := ingress.New(ingress.Options{
		Listener: ln, Sink: s, Secrets: []ingress.Secret{{App: "a", Value: secret}},
		Limits: ingress.Limits{ReadTimeout: 50 * time.Millisecond, IdleTimeout: 50 * time.Millisecond}, Grace: time.Second,
	})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		<-done
	})
	f.Fuzz(func(t *testing.T, wire []byte) {
		c, err := ln.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		go func() { _, _ = c.Write(append(wire, "\r\n\r\n"...)) }()
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, &http.Request{Method: "GET"})
		if err == nil && (resp.StatusCode < 100 || resp.StatusCode == 500) {
			t.Errorf("status %d for %q", resp.StatusCode, wire)
		}
		if len(s.all()) != 0 {
			t.Errorf("dispatched by %q", wire)
		}
		probe(t, ln.Dial)
	})
}

// probe asks whether the server still answers.
func probe(t *testing.T, dial func() (net.Conn, error)) {
	t.Helper()
	c, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	var write sync.WaitGroup
	write.Go(func() { _, _ = c.Write([]byte("GET /healthcheck HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) })
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "GET"})
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("the server does not answer any more: %v", err)
	}
	write.Wait()
}
