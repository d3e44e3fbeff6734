// Package socket is Slack's Socket Mode: events over WebSockets that this side
// opens, for servers that no request from outside can reach.
//
//	Options  where to connect and where events go
//	Client   keeps several connections open: Run, State
//	Life     what happens to connections
//	Fatal    why Run gave up
//
// Each of the connections is kept up by a loop of its own. When Slack wants one
// replaced, the next is opened and greeted before the old one is left, and what
// had arrived on the old one is stored and acked there:
//
//	link 1  ────hello──events──disconnect──acks──close
//	link 2                         hello──events──…
//
// An envelope is acked when its event is stored, with the answer of its rule if
// its kind takes one. What is not acked Slack sends again, and the store knows
// it by its id.
//
// The names of what happens, the frames and the call that opens a connection
// are those of slack-go's socketmode. Its managed connection is not used: it
// leaves a connection before it opens the next, keeps the reason of a disconnect
// to itself, and does not ack envelopes of types that it does not know.
//
// The package knows no store, no rules and no HTTP server.
package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/starling-rules/starling/engine/event"
)

// Sink takes events. Safe for concurrent use; its methods return soon after ctx
// has ended.
type Sink interface {
	// Accept returns nil when the event is stored.
	Accept(ctx context.Context, e *event.Event) error
	// AcceptAnswered stores the event and waits for the answer of its rule, at
	// most until ctx ends; a nil answer means that there is nothing to say.
	AcceptAnswered(ctx context.Context, e *event.Event) (*event.Answer, error)
}

// MaxFrame is how long a frame to Slack may be, in bytes: a longer one is
// dropped without a word.
const MaxFrame = 20_480 - 1

// Options configure a Client. Zero fields take the defaults named.
type Options struct {
	// Token is the app-level token (xapp-…), required. It is sent to
	// apps.connections.open alone and never logged.
	Token string
	// Bot is the configured name of the app, for events and logs.
	Bot string
	// APIURL is where the Web API is; "https://slack.com/api/".
	APIURL string
	// HTTP carries the call that opens a connection; 30 s time-out.
	HTTP *http.Client
	// Proxy is asked for the proxy of the WebSocket; http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// Dial opens the connection below the WebSocket, and TLS configures it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	TLS  *tls.Config
	// Sink takes the events; required.
	Sink Sink
	// Connections is how many are kept open; 2. Slack allows 10 for an app.
	Connections int
	// Stagger is how long after one connection the next is opened, so that
	// Slack does not want all of them replaced at the same time; 10 s.
	Stagger time.Duration
	// AnswerLimit bounds the wait for a rule's answer; 2.5 s of Slack's 3.
	AnswerLimit time.Duration
	// Silence is how long a connection may be without any sign of Slack, a ping
	// or pong included, before it is given up; 30 s.
	Silence time.Duration
	// Drain bounds the time that a connection which is replaced is kept for
	// what is under way on it; 10 s.
	Drain time.Duration
	// MinBackoff and MaxBackoff bound the wait between attempts; 500 ms, 1 min.
	MinBackoff, MaxBackoff time.Duration
	// InFlight bounds the envelopes that are stored or answered at the same
	// time; what comes beyond is not acked, so Slack sends it again. 1000.
	InFlight int
	// MaxMessage bounds a frame from Slack, in bytes; 16 MiB.
	MaxMessage int64
	// Debug logs every frame, without tokens and addresses.
	Debug bool
	// Shared says that other processes of the same server have connections of
	// their own: that there are others is no reason for a warning.
	Shared bool
	// OnLife, if not nil, is told what happens to connections, one after the
	// other. Connections wait for it: it must not.
	OnLife func(Life)
	// OnAck, if not nil, is told how long an envelope has waited for its ack,
	// from any goroutine.
	OnAck func(e *event.Event, took time.Duration)
	// Now is the clock; Rand spreads waits: a number in [0, 1).
	Now    func() time.Time
	Rand   func() float64
	Logger *slog.Logger
}

// Client keeps connections to Slack open. Safe for concurrent use.
type Client struct {
	o   Options
	api *slack.Client

	told  sync.Mutex // over calls of OnLife
	mu    sync.Mutex
	links map[*link]struct{} // greeted and not closed
	slots []ConnState
	alone int // connections of others that have been warned of
	said  answers
	lanes lanes
	busy  chan struct{} // a token for each envelope under way

	retiring sync.WaitGroup // links that are left
	// taking are the envelopes under way, until the context ends: when all links
	// are closed, nobody can be told that an event is stored.
	taking   sync.WaitGroup
	ctx      context.Context
	stopSink context.CancelFunc
}

// ConnState is the state of one of the connections that are kept open.
type ConnState struct {
	Number int `json:"number"` // from 1
	// State is a Life.Type: "connecting", "connected", "hello", "disconnect",
	// "connection_error" or "invalid_auth".
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Reason is that of a disconnect.
	Reason string `json:"reason,omitempty"`
	// Host is Slack's, as hello names it; Opened how often one was opened.
	Host   string `json:"host,omitempty"`
	Opened int    `json:"opened"`
	Error  string `json:"error,omitempty"`
}

// New makes a Client that is not connected.
func New(o Options) (*Client, error) {
	switch {
	case o.Token == "":
		return nil, errors.New("socket: no app-level token")
	case o.Sink == nil:
		return nil, errors.New("socket: no sink")
	}
	defaults(&o)
	c := &Client{
		o: o, links: map[*link]struct{}{}, slots: make([]ConnState, o.Connections), busy: make(chan struct{}, o.InFlight),
	}
	c.ctx, c.stopSink = context.WithCancel(context.Background())
	for i := range c.slots {
		c.slots[i] = ConnState{Number: i + 1, State: string(socketmode.EventTypeConnecting), Since: o.Now()}
	}
	opts := []slack.Option{slack.OptionAppLevelToken(o.Token), slack.OptionHTTPClient(o.HTTP)}
	if o.APIURL != "" {
		u := o.APIURL
		if u[len(u)-1] != '/' { // slack-go puts the name of the method right behind it
			u += "/"
		}
		opts = append(opts, slack.OptionAPIURL(u))
	}
	c.api = slack.New("", opts...)
	return c, nil
}

func defaults(o *Options) {
	set(&o.HTTP, o.HTTP == nil, &http.Client{Timeout: 30 * time.Second})
	set(&o.Proxy, o.Proxy == nil, http.ProxyFromEnvironment)
	set(&o.Connections, o.Connections <= 0, 2)
	set(&o.Stagger, o.Stagger <= 0, 10*time.Second)
	set(&o.AnswerLimit, o.AnswerLimit <= 0, 2500*time.Millisecond)
	set(&o.Silence, o.Silence <= 0, 30*time.Second)
	set(&o.Drain, o.Drain <= 0, 10*time.Second)
	set(&o.MinBackoff, o.MinBackoff <= 0, 500*time.Millisecond)
	set(&o.MaxBackoff, o.MaxBackoff <= 0, time.Minute)
	set(&o.InFlight, o.InFlight <= 0, 1000)
	set(&o.MaxMessage, o.MaxMessage <= 0, 16<<20)
	set(&o.Now, o.Now == nil, time.Now)
	set(&o.Rand, o.Rand == nil, rand.Float64)
	set(&o.Logger, o.Logger == nil, slog.New(slog.DiscardHandler))
}

func set[T any](field *T, missing bool, def T) {
	if missing {
		*field = def
	}
}

// dialer makes the WebSocket. Its buffer holds the longest frame: Slack does
// not put frames together again.
func (c *Client) dialer() *websocket.Dialer {
	return &websocket.Dialer{
		Proxy: c.o.Proxy, NetDialContext: c.o.Dial, TLSClientConfig: c.o.TLS,
		HandshakeTimeout: 30 * time.Second, WriteBufferSize: 2 * (MaxFrame + 1),
	}
}

// Fatal is an error that no further attempt can mend.
type Fatal struct {
	// Reason is Slack's word for it, such as "invalid_auth" or "link_disabled".
	Reason string
}

// Error names the reason and what to do.
func (f *Fatal) Error() string {
	if f.Reason == reasonDisabled {
		return "Socket Mode is switched off for this app (link_disabled): switch it on in the app's settings, under Socket Mode"
	}
	return "Slack refuses the app-level token: " + f.Reason
}

// Run keeps the connections open until ctx ends, which is no error; then what
// is under way is stored and acked, for at most Options.Drain. An error is
// Fatal: Slack refuses the token, or Socket Mode is switched off. It can be
// called once.
func (c *Client) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range c.slots {
		up := make(chan struct{})
		wg.Go(func() {
			s := &slot{c: c, number: i, up: up}
			if err := s.run(ctx); err != nil {
				cancel(err)
			}
		})
		if i == len(c.slots)-1 {
			break
		}
		select {
		case <-up:
			pause(ctx, c.o.Stagger)
		case <-time.After(c.o.Stagger):
		case <-ctx.Done():
		}
	}
	wg.Wait()
	c.retiring.Wait()
	c.stopSink()
	c.taking.Wait()
	if f, ok := errors.AsType[*Fatal](context.Cause(ctx)); ok {
		c.giveUp(f)
		return f
	}
	return nil
}

// giveUp notes that no connection is opened any more.
func (c *Client) giveUp(up *Fatal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.slots {
		s := &c.slots[i]
		s.State, s.Reason, s.Error = string(socketmode.EventTypeInvalidAuth), "", up.Reason
		if up.Reason == reasonDisabled {
			s.State, s.Reason, s.Error = string(socketmode.EventTypeDisconnect), up.Reason, ""
		}
	}
}

// State tells how the connections are; Ready whether one of them can be used.
func (c *Client) State() []ConnState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]ConnState(nil), c.slots...)
}

// Open is how many connections Slack has greeted that are still open.
func (c *Client) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.links)
}

// Ready reports whether Slack has greeted a connection that is still open.
func (c *Client) Ready() bool { return c.Open() > 0 }

// pause waits, and reports whether the context still stands.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
