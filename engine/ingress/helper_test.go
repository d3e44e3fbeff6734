package ingress_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/ingress"
)

const secret = "starling-test-secret-0123456789"

// at is the time of every test; 50 ms short of the next second.
var at = time.Unix(1700000000, 950_000_000)

// sink records what it is given.
type sink struct {
	mu     sync.Mutex
	events []*event.Event
	err    error
	answer *event.Answer
	// hold, if not nil, keeps Accept from returning; entered says that it is there.
	hold    chan struct{}
	entered chan struct{}
}

func (s *sink) Accept(_ context.Context, e *event.Event) error {
	if s.hold != nil {
		s.entered <- struct{}{}
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return s.err
}

func (s *sink) AcceptAnswered(ctx context.Context, e *event.Event) (*event.Answer, error) {
	if _, ok := ctx.Deadline(); !ok {
		panic("no deadline for an answered event")
	}
	return s.answer, s.Accept(ctx, e)
}

func (s *sink) all() []*event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*event.Event(nil), s.events...)
}

// last returns the only event, or fails.
func (s *sink) one(t *testing.T) *event.Event {
	t.Helper()
	all := s.all()
	if len(all) != 1 {
		t.Fatalf("%d events, want 1", len(all))
	}
	return all[0]
}

// start runs a server on a free port of 127.0.0.1.
func start(t *testing.T, s *sink, change func(*ingress.Options)) *ingress.Server {
	t.Helper()
	o := ingress.Options{
		Addr:    "127.0.0.1:0",
		Secrets: []ingress.Secret{{App: "helper", Value: secret}},
		Sink:    s,
		Now:     func() time.Time { return at },
	}
	if change != nil {
		change(&o)
	}
	srv, err := ingress.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return srv
}

// request is one request as bytes on the wire.
type request struct {
	method, path string
	header       []string // "Name: value", after the defaults
	body         string
	unsigned     bool
	chunked      bool
	mediaType    string // "-" for none
}

func (r request) bytes() []byte {
	if r.method == "" {
		r.method = "POST"
	}
	if r.path == "" {
		r.path = "/slack/events"
	}
	if r.mediaType == "" {
		r.mediaType = "application/json"
		if !strings.HasPrefix(r.body, "{") {
			r.mediaType = "application/x-www-form-urlencoded"
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\n", r.method, r.path)
	if r.mediaType != "-" {
		fmt.Fprintf(&b, "Content-Type: %s\r\n", r.mediaType)
	}
	if !r.unsigned {
		ts := strconv.FormatInt(at.Unix(), 10)
		fmt.Fprintf(&b, "X-Slack-Request-Timestamp: %s\r\nX-Slack-Signature: %s\r\n", ts, ingress.Sign(secret, ts, []byte(r.body)))
	}
	for _, h := range r.header {
		b.WriteString(h + "\r\n")
	}
	if r.chunked {
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for rest := r.body; rest != ""; {
			n := min(len(rest), 1000)
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		b.WriteString("0\r\n\r\n")
		return b.Bytes()
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.body), r.body)
	return b.Bytes()
}

// response is what came back.
type response struct {
	status int
	header http.Header
	body   string
}

// conn is a client's connection that fails the test instead of hanging.
type conn struct {
	net.Conn
	r *bufio.Reader
	t *testing.T
}

func dial(t *testing.T, addr net.Addr) *conn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &conn{c, bufio.NewReader(c), t}
}

func (c *conn) send(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *conn) receive(method string) response {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read response: %v", err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("read body: %v", err)
	}
	return response{r.StatusCode, r.Header, string(b)}
}

// closed waits until the server has closed the connection.
func (c *conn) closed() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil {
		c.t.Fatalf("connection is open and says %q", b)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatal("connection was not closed")
	}
}

// do sends one request on a connection of its own.
func do(t *testing.T, srv interface{ Addr() net.Addr }, r request) response {
	t.Helper()
	c := dial(t, srv.Addr())
	c.send(r.bytes())
	m := r.method
	if m == "" {
		m = "POST"
	}
	return c.receive(m)
}

const message = `{"type":"event_callback","team_id":"T1","api_app_id":"A1","event_id":"Ev1","event":{"type":"message","channel":"C1","user":"U1","text":"hi","ts":"1700000000.000100"}}`
