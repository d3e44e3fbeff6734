// Package dispatch takes stored events to their outcomes: it leases an event,
// matches it, starts a run for each rule, performs what the runs ask for
// through the door, answers whoever waits, and settles the event.
//
//	Dispatcher   Accept (from ingress) and Run (from the store)
//	handle       a delivered event: matched, planned, or resumed (intake.go)
//	activity     one event under way: its runs, its journal
//	run          one rule on one event: pass, effects, pass, …, outcome
//	             (off.go: of a rule that is switched off)
//	base         a run that waits, as its row holds it: parked (park.go), found by
//	             an event (hear.go) or a time, continued (continue.go)
//	answer       what a handler's return value means for each kind of event
//	record       the journal of an event, decoded (starling runs)
//
// The states of a run:
//
//	           ┌────────── results ──────────┐
//	           ▼                             │
//	started ► pass ── asks for effects ──► performing ── one that waits ──► parked
//	           │ ▲                                                            │
//	           │ └──────────────────── an answer, or a time ──────────────────┘
//	           └► done | failed | cancelled          (dead: the event was given up)
//
// A run interrupted by a crash starts again at the first pass, with the
// results that its journal holds.
//
// The package knows no HTTP, no NATS and no interpreter.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/permit"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// Rules is what the dispatcher needs of the rule loader.
type Rules interface {
	// Current is the index in force.
	Current() *rules.Set
	// Acquire keeps a version usable until Release is called as often.
	Acquire(d runtime.Digest)
	Release(d runtime.Digest)
	// Bundle returns the sources of a version that is loaded.
	Bundle(d runtime.Digest) (*runtime.Bundle, bool)
	// Restore loads a version from its sources, for a run that began on it.
	Restore(ctx context.Context, b *runtime.Bundle) error
}

// Options configure a Dispatcher. Store, Pool, Rules and Live are required.
type Options struct {
	Store queue.Store
	Pool  runtime.Pool
	Rules Rules
	Live  door.Live
	// Breaker says which rules are off, and is told how runs end. Nil makes one
	// that keeps what it switches off in Store.
	Breaker *breaker.Breaker

	Limits runtime.Limits
	// RunLimit bounds a whole run (default 15 min); AnswerLimit is how long the
	// sender of an event waits for its answer (default 2.5 s).
	RunLimit    time.Duration
	AnswerLimit time.Duration
	// MaxAttempts is how often an event that was cut off by a crash is taken
	// up without getting any further before it is dead (default 5).
	MaxAttempts int
	// MaxUnsettled bounds the events under way at a time (default 4096).
	MaxUnsettled int
	// Drain is how long Run waits for runs under way when it is told to stop
	// (default 20 s). What is not finished by then goes on at the next start.
	Drain time.Duration

	// Failed is told of runs that failed, of rules that somebody looks after. It
	// must not wait. May be nil.
	Failed func(Failure)
	// Retention is how long runs that waited are kept after their end, default
	// 14 days, RetentionBytes how much of them, default 128 MiB.
	Retention      time.Duration
	RetentionBytes int64
	// KeepSources is how often the sources of versions that runs wait on, and of
	// those that are loaded, are made the newest of the store, so that of many
	// edits the sources of others go first (default 6 h).
	KeepSources time.Duration
	// ParkGrace is how long a click is kept that names a run which cannot be
	// found: another process may be about to park it (default 5 s).
	ParkGrace time.Duration
	// Permit says who may run rules that are not for everybody. Nil: nobody.
	Permit *permit.Policy

	// Names makes the names of the event's channel and user known, for rules
	// that go by them, and reports whether they are; without wait it only
	// looks. May be nil.
	Names func(ctx context.Context, e *event.Event, wait bool) bool
	// Advise says what to tell whoever gives a slash command that no rule
	// answers, as Slack's markup; "" for no advice. It must not wait. May be nil.
	Advise func(set *rules.Set, e *event.Event) string
	// Complete fills in what only the server knows of an event (the bot's
	// user id, the bot's name) before it is stored. May be nil.
	Complete func(*event.Event)
	// Observe is told of each delivered event before it is matched, so that
	// what is known of users and channels keeps up. It must not wait. May be nil.
	Observe func(*event.Event)

	Now       func() time.Time
	Logger    *slog.Logger
	Metrics   *metric.Set
	Inspector Inspector // may be nil
}

// Dispatcher is safe for concurrent use.
type Dispatcher struct {
	Options
	waiters   waiters
	cooldowns cooldowns
	lookups   inOrder  // by conversation
	clicks    inOrder  // by the run that they name
	sources   sync.Map // runtime.Digest → struct{}: stored by this process
	running   sync.WaitGroup
	waiting   *wait.Registry
	crowd     crowd
	following context.Context // of Run: ends when it is told to stop
	active    sync.Map        // ids of the runs under way here
	suspects  chan struct{}
	isOff     func(*rules.Rule) bool
	// stop ends the context of runs under way when the drain is over.
	runCtx context.Context
	stop   context.CancelCauseFunc
}

// errDrained is the cause of the end of runs that outlive the drain.
var errDrained = errors.New("server is stopping")

// New returns a dispatcher. Call Run to make it work.
func New(o Options) *Dispatcher {
	o.Limits = o.Limits.OrDefault()
	setDefault(&o.RunLimit, 15*time.Minute)
	setDefault(&o.AnswerLimit, 2500*time.Millisecond)
	setDefault(&o.MaxAttempts, 5)
	setDefault(&o.MaxUnsettled, 4096)
	setDefault(&o.Drain, 20*time.Second)
	setDefault(&o.ParkGrace, 5*time.Second)
	setDefault(&o.KeepSources, 6*time.Hour)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = metric.New("")
	}
	if o.Breaker == nil {
		o.Breaker = breaker.New(breaker.Options{State: o.Store.State(), Now: o.Now, Logger: o.Logger, Metrics: o.Metrics})
	}
	d := &Dispatcher{Options: o}
	d.isOff = func(r *rules.Rule) bool {
		_, off := o.Breaker.Off(r.ID, r.Digest)
		return off
	}
	d.waiting = wait.NewRegistry(wait.Options{
		Store: o.Store, Continue: d.goOn, Retention: o.Retention, RetentionBytes: o.RetentionBytes,
		Changed: func(n int) { o.Metrics.Waiting.Set(float64(n)) }, Now: o.Now, Logger: o.Logger,
	})
	d.suspects = make(chan struct{}, maxSuspects)
	d.runCtx, d.stop = context.WithCancelCause(context.Background())
	o.Store.OnAnswer(func(id string, body []byte) {
		if a, err := decodeAnswer(body); err == nil {
			d.waiters.deliver(id, a)
		}
	})
	return d
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Accept stores an event. Its errors are those of queue.Store.Put.
// It implements ingress.Sink.
func (d *Dispatcher) Accept(ctx context.Context, e *event.Event) error {
	if d.Complete != nil {
		d.Complete(e)
	}
	return d.put(ctx, e)
}

func (d *Dispatcher) put(ctx context.Context, e *event.Event) error {
	buf := encodeBuffers.Get().(*[]byte)
	*buf = e.Encode((*buf)[:0])
	err := d.Store.Put(ctx, queue.Record{ID: e.ID, Key: e.Conversation(), Body: *buf, Local: e})
	if err == nil || errors.Is(err, queue.ErrDuplicate) {
		// After an error the store may still be reading the buffer.
		encodeBuffers.Put(buf)
	}
	return err
}

var encodeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// AcceptAnswered stores an event and waits for the answer that a rule gives,
// at most AnswerLimit from when the event was received. A nil answer is an
// empty 200. It implements ingress.Sink.
func (d *Dispatcher) AcceptAnswered(ctx context.Context, e *event.Event) (*event.Answer, error) {
	if d.Complete != nil {
		d.Complete(e)
	}
	e.Reply = d.Store.Address()
	w := d.waiters.add(e.ID)
	if w == nil { // a copy of an event whose first copy is being answered
		return nil, d.put(ctx, e)
	}
	if err := d.put(ctx, e); err != nil {
		d.waiters.remove(e.ID, w)
		return nil, err
	}
	timer := time.NewTimer(d.AnswerLimit - d.Now().Sub(e.Received))
	defer timer.Stop()
	select {
	case a := <-w:
		return a, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	if d.waiters.remove(e.ID, w) {
		return nil, nil
	}
	return <-w, nil // it was being delivered at that moment
}

// Run delivers events until ctx ends, then lets the runs under way finish for
// at most Options.Drain. Events that are not settled stay in the store.
func (d *Dispatcher) Run(ctx context.Context) error {
	following, stop := context.WithCancel(ctx)
	d.following = following
	d.running.Go(func() { d.waiting.Follow(following) })
	d.running.Go(func() { d.keepSources(following) })
	err := d.Store.Consume(ctx, d.MaxUnsettled, d.handle)
	stop()
	if ctx.Err() != nil {
		err = nil
	}
	over := time.AfterFunc(d.Drain, func() {
		d.Logger.Warn("drain is over: unfinished runs go on at the next start")
		d.stop(errDrained)
	})
	defer over.Stop()
	d.running.Wait()
	return err
}

// Abort ends the runs under way at once; they go on at the next start.
func (d *Dispatcher) Abort() { d.stop(errDrained) }
