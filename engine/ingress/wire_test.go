package ingress_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/ingress"
)

// numbered is a message whose event id and text hold n.
func numbered(n int) string {
	m := strings.Replace(message, `"Ev1"`, fmt.Sprintf(`"Ev%d"`, n), 1)
	return strings.Replace(m, `"hi"`, fmt.Sprintf(`"%s"`, strings.Repeat(string(rune('a'+n%26)), 10+n)), 1)
}

func TestKeepAliveAndPipeliningKeepRequestsApart(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := start(t, s, nil)
	c := dial(t, srv.Addr())
	const n = 60
	var all bytes.Buffer
	for i := range n {
		r := request{body: numbered(i), chunked: i%3 == 1}
		if i%5 == 4 {
			r.unsigned = true
		}
		all.Write(r.bytes())
	}
	go func() { _, _ = c.Write(all.Bytes()) }()
	for i := range n {
		want := 200
		if i%5 == 4 {
			want = 401
		}
		if r := c.receive("POST"); r.status != want {
			t.Fatalf("answer %d: %+v", i, r)
		}
	}
	// The events must own their memory: the buffers were used again since.
	events := s.all()
	k := 0
	for i := range n {
		if i%5 == 4 {
			continue
		}
		if e := events[k]; string(e.Raw) != numbered(i) || e.ID != fmt.Sprintf("Ev%d", i) || len(e.Text) != 10+i || e.Channel != "C1" {
			t.Fatalf("event %d: %+v", i, e)
		}
		k++
	}
	if k != len(events) {
		t.Fatalf("%d events, want %d", len(events), k)
	}
}

func TestARequestInPiecesIsPutTogether(t *testing.T) {
	t.Parallel()
	s := &sink{}
	c := dial(t, start(t, s, nil).Addr())
	for _, b := range (request{body: message, chunked: true}).bytes() {
		c.send([]byte{b})
	}
	if r := c.receive("POST"); r.status != 200 {
		t.Fatalf("%+v", r)
	}
	if e := s.one(t); string(e.Raw) != message {
		t.Fatalf("%s", e.Raw)
	}
}

func TestSlowClientsAreCut(t *testing.T) {
	t.Parallel()
	full := request{body: message}.bytes()
	for name, part := range map[string][]byte{
		"nothing":     nil,
		"header":      full[:40],
		"half a body": full[:len(full)-10],
	} {
		s := &sink{}
		srv := start(t, s, func(o *ingress.Options) { o.Limits.ReadTimeout = 50 * time.Millisecond })
		c := dial(t, srv.Addr())
		if part != nil {
			c.send(part)
			if r := c.receive("POST"); r.status != 408 {
				t.Errorf("%s: %+v", name, r)
			}
			c.closed()
		} else if b, err := c.r.ReadByte(); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Errorf("%s: not cut", name)
			}
		} else if b != 'H' {
			t.Errorf("%s: %q", name, b)
		}
		if len(s.all()) != 0 {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTricklingDoesNotExtendTheTime(t *testing.T) {
	t.Parallel()
	srv := start(t, &sink{}, func(o *ingress.Options) { o.Limits.ReadTimeout = 150 * time.Millisecond })
	c := dial(t, srv.Addr())
	begun := time.Now()
	go func() {
		for _, b := range (request{body: message}).bytes() {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if r := c.receive("POST"); r.status != 408 {
		t.Errorf("%+v", r)
	}
	if d := time.Since(begun); d > 2*time.Second {
		t.Errorf("cut after %v", d)
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	srv := start(t, &sink{}, func(o *ingress.Options) { o.Limits.IdleTimeout = 30 * time.Millisecond })
	c := dial(t, srv.Addr())
	c.send(request{body: message}.bytes())
	if r := c.receive("POST"); r.status != 200 {
		t.Fatalf("%+v", r)
	}
	c.closed()
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := &sink{hold: make(chan struct{}), entered: make(chan struct{}, 1)}
	srv := start(t, s, func(o *ingress.Options) { o.Limits.MaxConns = 1 })
	first := dial(t, srv.Addr())
	first.send(request{body: message}.bytes())
	<-s.entered
	if r := dial(t, srv.Addr()).receive("GET"); r.status != 503 {
		t.Errorf("second connection: %+v", r)
	}
	close(s.hold)
	if r := first.receive("POST"); r.status != 200 {
		t.Errorf("first connection: %+v", r)
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := start(t, s, func(o *ingress.Options) { o.Limits.MaxBody = 1000 })
	full := string(request{body: message, header: []string{"Expect: 100-continue"}}.bytes())
	head, body, _ := strings.Cut(full, "\r\n\r\n")
	c := dial(t, srv.Addr())
	c.send([]byte(head + "\r\n\r\n"))
	if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	_, _ = c.r.ReadString('\n')
	c.send([]byte(body))
	if r := c.receive("POST"); r.status != 200 {
		t.Errorf("%+v", r)
	}
	s.one(t)
	c = dial(t, srv.Addr())
	c.send([]byte("POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n"))
	if r := c.receive("POST"); r.status != 413 {
		t.Errorf("too large: %+v", r)
	}
	c.closed()
}

// Each of these can be read in two ways by two parsers in a row. None may
// reach the sink, and nothing behind it may be taken for a request.
func TestAmbiguousRequestsAreRefused(t *testing.T) {
	t.Parallel()
	smuggled := string(request{body: message}.bytes())
	signed := func(body string) string {
		r := string(request{body: body}.bytes())
		_, h, _ := strings.Cut(r, "\r\n")
		h, _, _ = strings.Cut(h, "Content-Length")
		return h
	}
	post := "POST /slack/events HTTP/1.1\r\n"
	for name, wire := range map[string]string{
		"length and chunked":     post + signed("") + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked and length":     post + signed("") + "Transfer-Encoding: chunked\r\ncontent-LENGTH: 5\r\n\r\n0\r\n\r\n",
		"two lengths":            post + signed("") + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
		"two equal lengths":      post + signed("") + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"signed length":          post + signed("") + "Content-Length: +0\r\n\r\n",
		"negative length":        post + signed("") + "Content-Length: -1\r\n\r\n",
		"hexadecimal length":     post + signed("") + "Content-Length: 0x0\r\n\r\n",
		"list of lengths":        post + signed("") + "Content-Length: 0, 0\r\n\r\n",
		"unknown encoding":       post + signed("") + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"encoding list":          post + signed("") + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"two encodings":          post + signed("") + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"space before the colon": post + signed("") + "Content-Length : 0\r\n\r\n",
		"folded header":          post + signed("") + "X: a\r\n Content-Length: 0\r\n\r\n",
		"bad chunk size":         post + signed("") + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
		"negative chunk size":    post + signed("") + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
		"huge chunk size":        post + signed("") + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n\r\n",
		"no host":                post + strings.Replace(signed(""), "Host: x\r\n", "", 1) + "Content-Length: 0\r\n\r\n",
		"two hosts":              post + signed("") + "Host: y\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0 chunked":       "POST /slack/events HTTP/1.0\r\n" + signed("") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/2 preface":         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"no version":             "POST /slack/events\r\n" + signed("") + "\r\n",
		"binary":                 "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sink{}
			c := dial(t, start(t, s, func(o *ingress.Options) { o.Limits.ReadTimeout = time.Second }).Addr())
			// The bytes behind it are a signed request: must not be run.
			_, _ = c.Write([]byte(wire + smuggled))
			r := c.receive("POST")
			if r.status < 400 || r.status == 401 {
				t.Errorf("status %d", r.status)
			}
			c.closed()
			if len(s.all()) != 0 {
				t.Error("something was dispatched")
			}
		})
	}
}

func TestALengthThatLiesIsNoRequest(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := start(t, s, func(o *ingress.Options) { o.Limits.ReadTimeout = 50 * time.Millisecond })
	// Announces more than it sends.
	c := dial(t, srv.Addr())
	c.send([]byte(strings.Replace(string(request{body: message}.bytes()), "Content-Length: ", "Content-Length: 9", 1)))
	if r := c.receive("POST"); r.status != 408 {
		t.Errorf("%+v", r)
	}
	// Announces less: the signature is not that of the part.
	c = dial(t, srv.Addr())
	wire := string(request{body: message}.bytes())
	head, body, _ := strings.Cut(wire, "Content-Length: ")
	_, body, _ = strings.Cut(body, "\r\n\r\n")
	c.send([]byte(head + "Content-Length: 10\r\n\r\n" + body))
	if r := c.receive("POST"); r.status != 401 {
		t.Errorf("%+v", r)
	}
	if len(s.all()) != 0 {
		t.Error("accepted")
	}
}
