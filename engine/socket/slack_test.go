package socket_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/socket"
)

const token = "xapp-1-A0APP-123456-abcdef0123456789"

// fakeSlack opens sockets, greets them, and notes what comes back.
type fakeSlack struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	open    func(w http.ResponseWriter, n int) bool // answers the n-th apps.connections.open; false: the usual way
	greet   func(p *peer) bool                      // what is said instead of hello; false: the usual way
	opens   int
	greeted []*peer // in order
	mute    bool    // no pings, no pongs
	numbers func(open int) int

	acks  chan ack
	hello chan *peer
	gone  chan *peer
	pings chan *peer
	pongs chan *peer
}

// peer is Slack's end of a connection.
type peer struct {
	*websocket.Conn
	f   *fakeSlack
	n   int
	mu  sync.Mutex
	end error // set before it is gone
}

type ack struct {
	EnvelopeID string          `json:"envelope_id"`
	Payload    json.RawMessage `json:"payload"`
	peer       *peer
	size       int
}

func newFakeSlack(t *testing.T) *fakeSlack {
	f := &fakeSlack{t: t, acks: make(chan ack, 10_000), hello: make(chan *peer, 100), gone: make(chan *peer, 100), pings: make(chan *peer, 10_000), pongs: make(chan *peer, 100)}
	f.server = httptest.NewUnstartedServer(f.routes())
	f.server.Start()
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeSlack) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/apps.connections.open", f.connectionsOpen)
	mux.HandleFunc("/link", f.link)
	return mux
}

func (f *fakeSlack) connectionsOpen(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.opens++
	n, open := f.opens, f.open
	f.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+token {
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		return
	}
	if open != nil && open(w, n) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"ok":true,"url":"ws%s/link?ticket=secret-ticket-%d&app_id=A0APP"}`, strings.TrimPrefix(f.server.URL, "http"), n)
}

func (f *fakeSlack) link(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	f.mu.Lock()
	p := &peer{Conn: conn, f: f, n: len(f.greeted) + 1}
	f.greeted = append(f.greeted, p)
	number := p.n
	if f.numbers != nil {
		number = f.numbers(p.n)
	}
	mute, greet := f.mute, f.greet
	f.mu.Unlock()
	if greet != nil && greet(p) {
		_ = conn.Close()
		return
	}
	answer := conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		f.pings <- p
		if mute {
			return nil
		}
		return answer(data)
	})
	conn.SetPongHandler(func(string) error { f.pongs <- p; return nil })
	p.send(`{"type":"hello","num_connections":%d,"debug_info":{"host":"applink-%d","build_number":12,"approximate_connection_time":18060},"connection_info":{"app_id":"A0APP"}}`, number, p.n)
	f.hello <- p
	for {
		typ, frame, err := conn.ReadMessage()
		if err != nil {
			p.end = err
			f.gone <- p
			return
		}
		a := ack{peer: p, size: len(frame)}
		if err := json.Unmarshal(frame, &a); err != nil || typ != websocket.TextMessage {
			f.t.Errorf("Slack got %q: %v", frame, err)
		}
		f.acks <- a
	}
}

func (p *peer) send(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, format, args...))
}

// wasRead waits until the client has read what was sent before.
func (p *peer) wasRead() {
	p.f.t.Helper()
	_ = p.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
	next(p.f.t, p.f.pongs, "pong")
}

func (p *peer) message(id, text string) {
	p.send(`{"envelope_id":"env-%s","type":"events_api","accepts_response_payload":false,"retry_attempt":0,"retry_reason":"","payload":`+
		`{"type":"event_callback","team_id":"T1","api_app_id":"A0APP","event_id":"%s","event":{"type":"message","channel":"C1","user":"U1","text":"%s","ts":"1.0001","event_ts":"1.0001"}}}`, id, id, text)
}

func (p *peer) command(id string, accepts bool) {
	p.send(`{"envelope_id":"env-%s","type":"slash_commands","accepts_response_payload":%t,"payload":`+
		`{"command":"/x","text":"hi","team_id":"T1","channel_id":"C1","user_id":"U1","trigger_id":"%s","api_app_id":"A0APP","response_url":"https://hooks.slack.com/commands/T1/1/secret"}}`, id, accepts, id)
}

// sink keeps the ids of events, as the store does.
type sink struct {
	mu     sync.Mutex
	events []*event.Event
	seen   map[string]bool
	fail   error
	hold   chan struct{} // if not nil, nothing is stored before it is closed
	answer func(*event.Event) *event.Answer
}

func (s *sink) Accept(ctx context.Context, e *event.Event) error {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if s.seen[e.ID] {
		return queue.ErrDuplicate
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[e.ID] = true
	s.events = append(s.events, e)
	return nil
}

func (s *sink) AcceptAnswered(ctx context.Context, e *event.Event) (*event.Answer, error) {
	if err := s.Accept(ctx, e); err != nil || s.answer == nil {
		return nil, err
	}
	return s.answer(e), nil
}

func (s *sink) stored() []*event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*event.Event(nil), s.events...)
}

// rig is a client at work.
type rig struct {
	*fakeSlack
	sink   *sink
	client *socket.Client
	lives  chan socket.Life
	log    *bytes.Buffer
	stop   context.CancelFunc
	ended  chan error
}

// connect starts a client with so many connections and waits for their greetings.
func connect(t *testing.T, f *fakeSlack, o socket.Options, changes ...func(*socket.Options)) *rig {
	t.Helper()
	r := &rig{fakeSlack: f, lives: make(chan socket.Life, 10_000), log: &bytes.Buffer{}, ended: make(chan error, 1)}
	if o.Sink == nil {
		o.Sink = &sink{}
	}
	r.sink, _ = o.Sink.(*sink)
	o.Token, o.Bot = token, "helper"
	if o.APIURL == "" {
		o.APIURL = f.server.URL + "/api"
	}
	o.MinBackoff, o.Stagger = time.Millisecond, time.Millisecond
	if o.AnswerLimit == 0 {
		o.AnswerLimit = time.Minute // the machine may be slow
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 20 * time.Millisecond
	}
	if o.Connections == 0 {
		o.Connections = 1
	}
	o.Logger = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.OnLife = func(l socket.Life) { r.lives <- l }
	for _, change := range changes {
		change(&o)
	}
	var err error
	if r.client, err = socket.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.ended <- r.client.Run(ctx) }()
	t.Cleanup(func() { cancel(); r.end(t) })
	return r
}

func (r *rig) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- err
	case <-time.After(20 * time.Second):
		t.Error("Run does not end")
	}
}

func next[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

// life waits for something to happen.
func (r *rig) life(t *testing.T, typ string) socket.Life {
	t.Helper()
	for {
		if l := next(t, r.lives, typ); l.Type == typ {
			return l
		}
	}
}

var errFull = errors.New("the store is full")
