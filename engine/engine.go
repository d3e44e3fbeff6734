// Package engine is Starling as a library: from a request to effects done.
//
//	Engine    New puts the parts together, Run serves until its context ends
//	Options   what the parts are made of; the zero value of most will do
//	Builtin   a function of yours that scripts can call
//	Operator  what operators ask: runs, queue, dead letters
//
// How an event goes through the parts:
//
//	Slack ─► ingress ─► queue ─► dispatch ─► rules (which match?)
//	            ▲                   │
//	            └─── answer ────────┼─► runtime.Pool (one pass of a script)
//	                                └─► door ─► Slack, HTTP, state
//
// The package and those below it do not know the built-ins (package stdlib) or
// an interpreter: whoever embeds the engine passes them in, as cmd/starling does.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/api"
	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/cert"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/help"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/lookup"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/omnibot"
	"github.com/starling-rules/starling/engine/permit"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/repo"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/engine/socket"
	"github.com/starling-rules/starling/runtime"
)

// Options say what an Engine is made of. Config, Library and Pool are required.
type Options struct {
	Config *config.Config
	// Library declares what scripts can call; Builtins are added to it.
	Library  *runtime.Library
	Builtins []Builtin
	// Pool makes the pool that runs scripts, given the complete library and
	// event.Host: worker processes, or runtime.NewLocal in this process. The
	// engine closes it.
	Pool func(host runtime.Host) (runtime.Pool, error)
	// Exts are the file name endings of scripts and the languages they are in;
	// nil means ".star": "starlark" and ".lua": "lua".
	Exts map[string]string
	// Scripts are the library scripts behind "@starling//"; may be nil.
	Scripts fs.FS
	// Reload reads the configuration again when its file has changed: what can
	// change without a restart is taken up at once, whole or not at all. May be nil.
	Reload func() (*config.Config, error)
	// Store keeps events and state; nil opens the one that Config names. The
	// engine closes it either way.
	Store queue.Store
	// Listener and Admin take the place of Config.Listen and Config.Admin.
	Listener, Admin net.Listener
	// Inspector is told of every event and run; may be nil.
	Inspector dispatch.Inspector
	// OnRules is told of the rules in force whenever they or the errors of
	// rule files change; may be nil.
	OnRules func(*rules.Set, *rules.Report)
	// Lint says what is questionable in a version of a script that has become
	// live, for the log and the report; it reads the sources. May be nil.
	Lint func(*rules.Version) []*runtime.Error
	// Scopes works out what scopes the rules need, for those who install the app
	// by OAuth; nil: those of the configuration.
	Scopes ScopesFunc
	// Socket changes how Socket Mode connects: its dialer, TLS, HTTP client or
	// time-outs. May be nil.
	Socket func(*socket.Options)
	// Drain is how long Run waits for runs under way when it ends: 20 s.
	Drain   time.Duration
	Version string
	Logger  *slog.Logger
	Now     func() time.Time

	handlers *omnibot.Source
}

// Engine is one Starling server. Its methods are safe for concurrent use.
type Engine struct {
	o       Options
	log     *slog.Logger
	metrics *metric.Set
	store   queue.Store
	pool    runtime.Pool
	slack   *slackapi.Client
	bots    *bots
	shelf   *lookup.Shelf
	known   *names
	loader  *rules.Loader
	live    door.Live
	breaker *breaker.Breaker
	// elsewhere tells the door what operators change of the state of scripts.
	elsewhere door.Elsewhere
	// permit says who may run rules, by what people says of them.
	permit *permit.Policy
	people *permit.Slack
	repo   *repo.Repo // nil without rules_git
	born   time.Time
	// jobs go on beside requests, until jobCtx ends.
	jobs    sync.WaitGroup
	jobCtx  context.Context
	endJobs context.CancelFunc
	owners  owners
	disp    *dispatch.Dispatcher
	guide   *help.Guide
	server  *ingress.Server
	admin   *ingress.Admin
	// schedules keeps the timers of on.schedule.
	schedules *scheduler
	socket    *socket.Client // nil: no Socket Mode
	lives     chan socket.Life
	pair      *cert.Keeper // nil: plain HTTP
	hits      hooksHit
	loaded    atomic.Bool // a rule has been in force
	ending    atomic.Bool
	self      atomic.Pointer[slackapi.Identity]
	// cfg is the configuration in force: Options.Config until its file changes.
	cfg atomic.Pointer[config.Config]
	// newcomers is told when there may be bots that nobody knows yet.
	newcomers chan struct{}
	late      occasional // lines about late deliveries
	strangers occasional // lines about events for those who have not installed the app
	// installs are the workspaces that have installed an app by OAuth; nil
	// without a key to keep them with.
	installs *install.Store
	// oauth lets workspaces install the app, and renews its tokens; nil without
	// a client id.
	oauth   *authorizer
	api     *api.API
	web     *door.HTTP
	started chan struct{}
	close   sync.Once
	// recent are the latest events, explainer says what the rules make of one.
	recent    *explain.Ring
	explainer *explain.Explainer
}

// New opens the store, starts the pool and opens the listening sockets. Nothing
// is accepted before Run. On error everything that was opened is closed.
func New(ctx context.Context, o Options) (_ *Engine, err error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	e := &Engine{o: o, log: o.Logger, metrics: metric.New(o.Version), known: newNames(o.Config.Teams), started: make(chan struct{}), newcomers: make(chan struct{}, 1), born: o.Now()}
	e.jobCtx, e.endJobs = context.WithCancel(context.WithoutCancel(ctx))
	e.cfg.Store(o.Config)
	o.handlers.Tell(e.reconfigure)
	defer func() {
		if err != nil {
			e.shut(context.WithoutCancel(ctx))
		}
	}()
	lib, own, err := e.library()
	if err != nil {
		return nil, err
	}
	if e.store = o.Store; e.store == nil {
		if e.store, err = openStore(ctx, o.Config, o.Now, o.Logger); err != nil {
			return nil, err
		}
	}
	if e.pool, err = o.Pool(runtime.Host{Library: lib, Input: event.Host}); err != nil {
		return nil, fmt.Errorf("start the pool: %w", err)
	}
	if e.live, err = e.handlers(own); err != nil {
		return nil, err
	}
	if err := e.openInstalls(ctx); err != nil {
		return nil, fmt.Errorf("open installations: %w", err)
	}
	e.openOAuth()
	e.loader = e.newLoader()
	e.repo = e.newRepo()
	e.breaker = e.newBreaker()
	e.permit = e.newPolicy()
	e.disp = dispatch.New(dispatch.Options{
		Store: e.store, Pool: e.pool, Rules: e.loader, Live: e.live, Breaker: e.breaker, Permit: e.permit, Failed: e.ruleFailed,
		Limits: o.Config.Limits.Runtime(), RunLimit: o.Config.Limits.Run, AnswerLimit: o.Config.Limits.Answer,
		Drain: o.Drain, Complete: e.complete, Observe: e.observe, Names: e.knowNames, Now: o.Now, Logger: o.Logger, Metrics: e.metrics, Inspector: o.Inspector,
		Advise: e.guide.Advise, Retention: o.Config.Runs.Retention, RetentionBytes: int64(o.Config.Runs.RetentionBytes),
	})
	e.schedules = newScheduler(e)
	e.store.OnTimer(e.timer)
	e.prepareExplain()
	if err := e.listen(); err != nil {
		return nil, err
	}
	if e.socket, err = e.newSocket(); err != nil {
		return nil, err
	}
	e.gauges()
	return e, nil
}

// complete sets the defaults.
func (o *Options) complete() error {
	if o.Config == nil || o.Library == nil || o.Pool == nil {
		return errors.New("engine: Options.Config, Library and Pool are required")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Drain == 0 {
		o.Drain = 20 * time.Second
	}
	if o.Exts == nil {
		o.Exts = map[string]string{".star": "starlark", ".lua": "lua"}
	}
	o.handlers = o.omnibotSource()
	return nil
}

// LoadRules returns the rules that an engine of these options would have in
// force at its start. It opens no store and no socket.
func LoadRules(ctx context.Context, o Options) (*rules.Set, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	pool, err := o.Pool(runtime.Host{Library: o.Library, Input: event.Host})
	if err != nil {
		return nil, fmt.Errorf("start the pool: %w", err)
	}
	set, _, err := newLoader(o, pool, newNames(o.Config.Teams), metric.New(o.Version)).Load(ctx)
	return set, errors.Join(err, pool.Close(ctx))
}

// OpenStore opens the store that the configuration names: a NATS cluster, the
// embedded store, or memory if neither is set. A nil logger discards.
func OpenStore(ctx context.Context, c *config.Config, log *slog.Logger) (queue.Store, error) {
	return openStore(ctx, c, time.Now, log)
}

// openStore opens it with the engine's clock, by which timers ring.
func openStore(ctx context.Context, c *config.Config, now func() time.Time, log *slog.Logger) (queue.Store, error) {
	if c.Queue.URL == "" && c.Data == "" {
		return queue.NewMemory(queue.MemoryOptions{Now: now}), nil
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	dir := c.Data
	if c.Queue.URL != "" {
		dir = "" // the servers keep what is stored
	}
	s, err := queue.Open(ctx, queue.Options{
		Dir: dir, URL: c.Queue.URL, Replicas: c.Queue.Replicas, Shards: c.Queue.Shards,
		MaxBytes: int64(c.Queue.MaxBytes), Retain: c.Runs.Retention, Logger: log, Now: now,
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// handlers makes the handlers of all effects.
func (e *Engine) handlers(own door.Live) (door.Live, error) {
	c := e.o.Config
	var err error
	e.bots, e.shelf = newBots(c), lookup.New(e.store.State(), e.log)
	if e.shared() {
		e.shelf.Share()
	}
	e.slack, err = slackapi.New(slackapi.Options{
		BaseURL: c.Slack.APIURL, Tokens: e.bots, Shelf: e.shelf, Logger: e.log, Metrics: e.metrics,
	})
	if err != nil {
		return nil, err
	}
	e.web, err = door.NewHTTP(door.HTTPOptions{Allow: slices.Concat(c.HTTP.Allow, c.Handlers.Hosts), Proxy: c.HTTP.Proxy, Logger: e.log, Metrics: e.metrics})
	if err != nil {
		return nil, err
	}
	live := door.NewLive(door.Deps{
		Slack: e.slack, HTTP: e.web, State: e.store.State(), Now: e.o.Now, Logger: e.log,
		Secrets: e.secretOf, People: e.directory(),
		MaxKeys: c.Limits.KVKeys, MaxBytes: int64(c.Limits.KVBytes), SharedStore: c.Queue.URL != "", Elsewhere: &e.elsewhere, Metrics: e.metrics,
	})
	e.guide = e.newGuide()
	maps.Copy(live, e.guide.Handlers())
	maps.Copy(live, e.operations().Handlers())
	for kind, h := range own {
		live[kind] = h
	}
	return live, nil
}

func (e *Engine) newLoader() *rules.Loader { return newLoader(e.o, e.pool, e.known, e.metrics) }

func newLoader(o Options, pool runtime.Pool, known *names, m *metric.Set) *rules.Loader {
	c := o.Config
	cfg := make(map[string]runtime.Value, len(c.RulesConfig))
	for name, v := range c.RulesConfig {
		cfg[name] = v
	}
	return rules.NewLoader(rules.LoaderOptions{
		Dirs: ruleDirs(c), Pool: pool, Languages: o.Exts, Library: o.Scripts, Config: cfg,
		Limits: c.Limits.Runtime(), Logger: o.Logger, Metrics: m, Names: known, HasSecret: c.HasSecret, Lint: o.Lint,
		Virtual: o.handlers.Scripts, Files: o.handlers.Files(), Made: o.handlers.Made,
		// More than there are processors: a pool of processes is asked ahead,
		// so that no worker waits for the next file.
		Parallel: 32,
	})
}

// complete fills in what only the server knows of an event.
func (e *Engine) complete(ev *event.Event) {
	if configured := e.bots.configured(); configured || e.installs != nil {
		e.bots.complete(ev)
		if configured || ev.Bot != "" {
			return
		}
	}
	if id := e.self.Load(); id != nil {
		if ev.BotUser == "" {
			ev.BotUser = id.User
		}
	}
}

// introduce finds out who the bot is, so that rules can tell its own messages
// and mentions of it. It tries until Slack answers or says no.
func (e *Engine) introduce(ctx context.Context) error {
	var each sync.WaitGroup
	defer each.Wait()
	for round, stop := context.WithCancel(ctx); ; round, stop = context.WithCancel(ctx) {
		for _, bot := range e.bots.strangers() {
			each.Go(func() {
				o := slackapi.CallOptions{Team: bot.TeamID, Bot: bot.Name}
				_ = e.introduceOne(round, o, func(id slackapi.Identity) { e.bots.introduced(bot, id) })
			})
		}
		each.Go(func() { e.nameInstalls(round) })
		if !e.bots.configured() && e.config().Slack.BotToken != "" {
			each.Go(func() {
				_ = e.introduceOne(round, slackapi.CallOptions{}, func(id slackapi.Identity) { e.self.Store(&id) })
			})
		}
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-e.newcomers:
			stop()
		}
	}
}

func (e *Engine) introduceOne(ctx context.Context, o slackapi.CallOptions, known func(slackapi.Identity)) error {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		id, err := e.slack.Identity(ctx, o)
		if err == nil {
			known(id)
			return nil
		}
		if refusal, ok := errors.AsType[*slackapi.Error](err); ok && !refusal.Passing {
			e.log.Error("Slack refuses the bot token", "team", o.Team, "bot", o.Bot, "err", err)
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		e.log.Warn("ask Slack who the bot is", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Addr is where Slack's requests are taken, AdminAddr the operators'; nil if
// there is no admin port.
func (e *Engine) Addr() net.Addr { return e.server.Addr() }

// AdminAddr is where operators' requests are taken; nil without an admin port.
func (e *Engine) AdminAddr() net.Addr {
	if e.admin == nil {
		return nil
	}
	return e.admin.Addr()
}

// Started is closed when the rules are loaded and events are taken in.
func (e *Engine) Started() <-chan struct{} { return e.started }

// Accept stores an event that did not come over HTTP: it is matched and run
// like any other. Its errors are those of queue.Store.Put. The engine keeps ev.
func (e *Engine) Accept(ctx context.Context, ev *event.Event) error {
	if ev.Received.IsZero() {
		ev.Received = e.o.Now()
	}
	return e.disp.Accept(ctx, ev)
}

// Reload reads the rules and the configuration again, at once; before, it
// fetches the repository of rules, if there is one.
func (e *Engine) Reload(ctx context.Context) error {
	_, err := e.reloadAll(ctx)
	return err
}

// Report says how each rule file fares.
func (e *Engine) Report() *rules.Report { return e.loader.Report() }
