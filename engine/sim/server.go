package sim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how a local Slack is built. The zero value is a Slack with the
// default workspace and no app connected.
type Options struct {
	// EventsURL is where the app takes events; CommandsURL, InteractiveURL and
	// OptionsURL default to it. Loopback addresses only.
	EventsURL, CommandsURL, InteractiveURL, OptionsURL string
	// SocketMode delivers everything over the connections that the app opens by
	// apps.connections.open, and nothing to the addresses above. AppToken is the
	// token for that; DevAppToken if empty.
	SocketMode bool
	AppToken   string
	// SigningSecret signs deliveries; DevSigningSecret if empty.
	SigningSecret string
	// BotToken and UserToken are the tokens that the Web API takes;
	// DevBotToken and DevUserToken if empty. UserTokenUser is the person whom
	// the user token speaks for: the first of Seed if empty.
	BotToken, UserToken, UserTokenUser string
	// Scopes are those that the bot token is said to have; nil says nothing
	// about them, and everything is permitted either way (see Faults.MissingScope).
	Scopes []string
	// SharedClock says that the app lives on the workspace's clock (Server.Now):
	// deliveries are signed by that, not by the machine's.
	SharedClock bool
	// AckWithin is how long the app has to answer, on the machine's clock: 3 s
	// if 0, as Slack gives it.
	AckWithin time.Duration
	// URL is where this server is reached, without a trailing slash. Run finds
	// it out by itself; with Handler, set it here or by SetURL.
	URL string
	// Seed is the workspace; DefaultSeed if it has no users.
	Seed Seed
	// OAuth says how apps are installed, and where beside this workspace.
	OAuth OAuth
	// OnDelivery, if not nil, is told of each attempt to deliver, from any
	// goroutine; it must not wait.
	OnDelivery func(Delivery)
	// Now is the machine's clock, on which the workspace's runs (see Clock), and
	// Rand the source of ids: time.Now and crypto/rand.Reader if nil. Sleep waits
	// for retries and slow answers, so that a test compresses time here; if nil,
	// retries go by the workspace's clock and slow answers by the machine's.
	Now   func() time.Time
	Rand  io.Reader
	Sleep func(ctx context.Context, d time.Duration) error
}

// Server is a local Slack. Its methods are safe for concurrent use.
type Server struct {
	opt     Options
	world   *World
	clock   *movable
	client  *http.Client
	out     *outbox
	sockets *socketMode
	// subscribed says whether events are delivered, of all workspaces.
	subscribed *subscription
	oauth      *oauthSide
	parent     *Server      // of a workspace beside the first; else nil
	url        atomic.Value // string
	history    history

	faultMu sync.Mutex
	faults  Faults

	catalogMu sync.Mutex // guards these
	catalog   Catalog
	rules     RuleSheet
	helper    Helper
	keeper    RunKeeper
}

// Catalog is what the page offers: completion of slash commands, and
// shortcuts.
type Catalog struct {
	Commands       []CatalogItem `json:"commands"`
	Shortcuts      []CatalogItem `json:"shortcuts"`       // global
	MessageActions []CatalogItem `json:"message_actions"` // of a message
}

// CatalogItem is one entry of a Catalog: Name is the command with its slash,
// or the callback_id.
type CatalogItem struct {
	Name  string `json:"name"`
	Usage string `json:"usage,omitempty"` // "<app> [env]"
	Help  string `json:"help,omitempty"`
}

// New makes a local Slack. Call Close when done, unless Run is used.
func New(opt Options) (*Server, error) {
	opt.CommandsURL = or(opt.CommandsURL, opt.EventsURL)
	opt.InteractiveURL, opt.OptionsURL = or(opt.InteractiveURL, opt.EventsURL), or(opt.OptionsURL, opt.EventsURL)
	opt.SigningSecret = or(opt.SigningSecret, DevSigningSecret)
	opt.AppToken = or(opt.AppToken, DevAppToken)
	opt.BotToken, opt.UserToken = or(opt.BotToken, DevBotToken), or(opt.UserToken, DevUserToken)
	for _, u := range []string{opt.EventsURL, opt.CommandsURL, opt.InteractiveURL, opt.OptionsURL} {
		if err := checkLocal(u); err != nil {
			return nil, err
		}
	}
	if opt.Seed.Users == nil {
		opt.Seed = DefaultSeed()
	}
	opt.UserTokenUser = or(opt.UserTokenUser, opt.Seed.Users[0].ID)
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.AckWithin <= 0 {
		opt.AckWithin = ackWithin
	}
	if opt.Rand == nil {
		opt.Rand = rand.Reader
	}
	clock := newMovable(opt.Now)
	retrySleep := clock.sleep
	if opt.Sleep == nil {
		opt.Sleep = sleep
	} else {
		retrySleep = func(ctx context.Context, _ time.Time, d time.Duration) error { return opt.Sleep(ctx, d) }
	}
	w, err := newWorld(opt.Seed, clock.now, opt.Rand)
	if err != nil {
		return nil, fmt.Errorf("make local workspace: %w", err)
	}
	s := &Server{opt: opt, world: w, clock: clock, out: newOutbox(), catalog: Catalog{}}
	s.sockets, s.subscribed = newSocketMode(s), &subscription{}
	s.client = &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second}, // no proxy: local only
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if len(via) > 2 {
				return errRedirects
			}
			return checkLocal(to.URL.String())
		},
	}
	s.out.send, s.out.sleep, s.out.off = s.send, retrySleep, s.subscribed.isOff
	w.event = s.enqueueEvent
	s.SetURL(opt.URL)
	if s.oauth, err = newOAuthSide(s, opt.OAuth); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// checkLocal refuses to deliver to another machine.
func checkLocal(raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !loopbackHost(u.Hostname()) {
		return fmt.Errorf("deliver to %q: not an http address of this machine", raw)
	}
	return nil
}

// SetURL tells the server where it is reached.
func (s *Server) SetURL(u string) { s.url.Store(u) }

// URL is where the server is reached, without a trailing slash.
func (s *Server) URL() string {
	if s.parent != nil {
		return s.parent.URL() + "/workspaces/" + s.world.team.ID
	}
	return s.url.Load().(string)
}

// APIURL is what clients of the Web API are configured with.
func (s *Server) APIURL() string { return s.URL() + "/api/" }

// App is the app that is installed in the workspace.
func (s *Server) App() App { return s.world.app }

// Team is the workspace.
func (s *Server) Team() Team { return s.world.team }

// SigningSecret is what deliveries are signed with.
func (s *Server) SigningSecret() string { return s.opt.SigningSecret }

// SetCatalog tells the page which commands and shortcuts there are.
func (s *Server) SetCatalog(c Catalog) {
	s.catalogMu.Lock()
	defer s.catalogMu.Unlock()
	s.catalog = c
	s.world.log.add("catalog", c)
}

// Now is the workspace's time, which an app of this process can live by: see
// Options.SharedClock.
func (s *Server) Now() time.Time { return s.clock.now() }

// now is the same within this package.
func (s *Server) now() time.Time { return s.clock.now() }

// Handler serves the page, the Web API and the response URLs. It answers
// requests to loopback hosts only.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.serveAPI)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) { // as Slack answers what is no method
		writeJSON(w, http.StatusOK, finish(nil, Code("unknown_method"), ""))
	})
	mux.HandleFunc("POST /response/{id}", s.serveResponse)
	mux.HandleFunc("POST /upload/{id}", s.serveUpload)
	mux.HandleFunc("GET /files/{id}", s.serveFile)
	mux.HandleFunc("GET /link/", s.sockets.serveLink)
	s.routePage(mux)
	s.routeSim(mux)
	s.routeHelper(mux)
	s.routeRuns(mux)
	s.routeOAuth(mux)
	return s.guard(mux)
}

// Run serves on ln until ctx ends, then closes the server. It refuses
// listeners that other machines can reach.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		_ = ln.Close()
		return fmt.Errorf("serve local Slack on %s: not a loopback address", ln.Addr())
	}
	if s.URL() == "" {
		s.SetURL("http://" + ln.Addr().String())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends the streams
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		last, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer done()
		_ = h.Shutdown(last)
	})
	err := h.Serve(ln)
	if stop() { // Serve failed by itself
		close(ended)
	}
	<-ended
	s.Close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve local Slack: %w", err)
}

// connected reports whether an app is to get anything, by way of an address.
func (s *Server) connected(url string) bool { return url != "" || s.opt.SocketMode }

// Close stops deliveries and waits for those under way. It may be repeated.
func (s *Server) Close() {
	s.out.close()
	s.sockets.close()
	s.client.CloseIdleConnections()
}
