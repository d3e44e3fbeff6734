// Package dispatch takes stored events to their outcomes: it leases an event,
// matches it, starts a run for each rule, performs what the runs ask for
// through the door, answers whoever waits, and settles the event.
//
//	Dispatcher   Accept (from ingress) and Run (from the store)
//	activity     one event under way: its runs, its journal
//	run          one rule on one event: pass, effects, pass, …, outcome
//	answer       what a handler's return value means for each kind of event
//	record       the journal of an event, decoded (starling runs)
//
// The states of a run:
//
//	           ┌────────── results ──────────┐
//	           ▼                             │
//	started ► pass ── asks for effects ──► waiting
//	           │
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
	"slices"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
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

	Limits runtime.Limits
	// RunLimit bounds a whole run (default 15 min); AnswerLimit is how long the
	// sender of an event waits for its answer (default 2.5 s).
	RunLimit    time.Duration
	AnswerLimit time.Duration
	// MaxAttempts is how often an event that was cut off by a crash is taken
	// up before it is dead (default 5).
	MaxAttempts int
	// MaxUnsettled bounds the events under way at a time (default 4096).
	MaxUnsettled int
	// Drain is how long Run waits for runs under way when it is told to stop
	// (default 20 s). What is not finished by then goes on at the next start.
	Drain time.Duration

	// Names makes the names of the event's channel and user known, for rules
	// that go by them, and reports whether they are; without wait it only
	// looks. May be nil.
	Names func(ctx context.Context, e *event.Event, wait bool) bool
	// Complete fills in what only the server knows of an event (the bot's
	// user id, the bot's name) before it is stored. May be nil.
	Complete func(*event.Event)

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
	lookups   lookups
	sources   sync.Map // runtime.Digest → struct{}: stored by this process
	running   sync.WaitGroup
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
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = metric.New("")
	}
	d := &Dispatcher{Options: o}
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
	err := d.Store.Put(ctx, queue.Record{ID: e.ID, Key: e.Conversation(), Body: *buf})
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
	err := d.Store.Consume(ctx, d.MaxUnsettled, d.handle)
	if ctx.Err() != nil {
		err = nil
	}
	done := make(chan struct{})
	go func() { d.running.Wait(); close(done) }()
	timer := time.NewTimer(d.Drain)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		d.Logger.Warn("drain is over: unfinished runs go on at the next start")
		d.stop(errDrained)
		<-done
	}
	return err
}

// Abort ends the runs under way at once; they go on at the next start.
func (d *Dispatcher) Abort() { d.stop(errDrained) }

// handle takes up one delivered event. It must not wait: it is called from the
// one goroutine that reads a shard.
func (d *Dispatcher) handle(del queue.Delivery) {
	e, err := event.Decode(del.Body())
	if err != nil {
		d.running.Go(func() { d.bury(del, "decode event: "+err.Error()) })
		return
	}
	if del.Attempt() > 1 || len(del.History()) > 0 {
		d.running.Go(func() { d.resume(del, e) })
		return
	}
	set := d.Rules.Current()
	if d.Names == nil || !(set.NeedsChannelNames() || set.NeedsUserNames()) {
		d.fresh(del, e)
		return
	}
	d.lookups.do(e.Conversation(), d.running.Go,
		func() bool { return d.Names(d.runCtx, e, false) },
		func() { d.Names(d.runCtx, e, true) },
		func() { d.fresh(del, e) })
}

// fresh starts the runs of an event that is seen for the first time.
func (d *Dispatcher) fresh(del queue.Delivery, e *event.Event) {
	set := d.Rules.Current()
	matches := d.claim(del, e, set.Match(e, nil))
	d.trace(set, e)
	if !slices.ContainsFunc(matches, func(m rules.Match) bool { return m.Rule.Answers }) {
		d.unanswered(e)
	}
	if len(matches) == 0 {
		del.Settle()
		return
	}
	act := newActivity(d, del, e)
	for i := range matches {
		act.add(d.describe(e, matches, i))
	}
	act.start()
}

// claim leaves out the rules that are cooling down, and those that have
// already run for the same message under another event id.
func (d *Dispatcher) claim(del queue.Delivery, e *event.Event, matches []rules.Match) []rules.Match {
	kept := matches[:0]
	for _, m := range matches {
		if m.Usage != "" {
			d.deliver(e, jsonAnswer(runtime.NewDict("response_type", "ephemeral", "text", m.Usage)))
			continue
		}
		if m.Rule.Cooldown > 0 && !d.cooldowns.pass(m.Rule.ID+"\x00"+e.Conversation(), m.Rule.Cooldown, d.Now()) {
			continue
		}
		kept = append(kept, m)
	}
	if len(kept) == 0 || e.RunKey() == e.ID {
		return kept
	}
	names := make([]string, len(kept))
	for i := range kept {
		names[i] = runID(e, kept[i].Rule.ID)
	}
	held := del.Claim(names)
	out := kept[:0]
	for i := range kept {
		if held[i] {
			out = append(out, kept[i])
		}
	}
	return out
}

// describe says of match i what the journal keeps.
func (d *Dispatcher) describe(e *event.Event, matches []rules.Match, i int) openRun {
	r := matches[i].Rule
	after := -1
	for j := range matches[:i] {
		if matches[j].Rule == matches[i].After {
			after = j
		}
	}
	limit := d.RunLimit
	if r.Timeout > 0 {
		limit = r.Timeout
	}
	return openRun{
		ID: runID(e, r.ID), Rule: r.ID, Script: r.Script, Digest: r.Digest, Func: r.Func, When: r.When,
		Hosts: r.Hosts, Answer: r.Answers, DryRun: r.DryRun, Limit: limit, ErrorOf: -1, After: after, Match: matches[i].Groups,
	}
}

// resume takes up an event that was cut off: the runs are those of its first
// record, on the versions they began with, with the results recorded so far.
func (d *Dispatcher) resume(del queue.Delivery, e *event.Event) {
	rec, err := decodeRecord(del.History())
	if err != nil {
		d.bury(del, "decode journal: "+err.Error())
		return
	}
	if rec.Attempts >= d.MaxAttempts {
		d.bury(del, "interrupted too often: every attempt ended with the server")
		return
	}
	if rec.Runs == nil {
		// Nothing but reads can have happened. The attempt need not be on disk
		// first: it counts events that end the server before their first record.
		del.AppendLater(queue.Entry{Type: entryAttempt})
		d.fresh(del, e)
		return
	}
	if err := appendRetry(d.runCtx, del, queue.Entry{Type: entryAttempt}); err != nil {
		return
	}
	act := newActivity(d, del, e)
	act.opened, act.onDisk, act.resumed = true, true, true
	for i, open := range rec.Runs {
		act.addRecorded(open, rec.Steps[i], rec.Ends[i])
	}
	act.start()
}

func (d *Dispatcher) bury(del queue.Delivery, reason string) {
	if err := del.Dead(d.runCtx, reason); err != nil {
		d.Logger.Error("move event to the dead letters", "event_id", del.ID(), "err", err)
		return
	}
	d.Metrics.Runs.WithLabelValues("", string(Dead)).Inc()
	d.Logger.Error("event is dead", "event_id", del.ID(), "reason", reason)
}

// unanswered answers an event that no rule will answer.
func (d *Dispatcher) unanswered(e *event.Event) {
	if !e.Answered() {
		return
	}
	var a *event.Answer
	if e.Kind == event.Command {
		a = jsonAnswer(runtime.NewDict("response_type", "ephemeral", "text", "No rule answers "+e.Command+"."))
	}
	if e.Kind == event.Options {
		a = jsonAnswer(runtime.NewDict("options", runtime.List{}))
	}
	d.deliver(e, a)
}

// deliver hands the answer to whoever waits for it, and reports whether
// somebody does.
func (d *Dispatcher) deliver(e *event.Event, a *event.Answer) bool {
	if e.Reply == "" {
		return false
	}
	if e.Reply == d.Store.Address() {
		return d.waiters.deliver(e.ID, a)
	}
	// The other process stops waiting at the limit; leave it time to answer.
	left := d.AnswerLimit - 200*time.Millisecond - d.Now().Sub(e.Received)
	if left <= 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(d.runCtx, left)
	defer cancel()
	return d.Store.SendAnswer(ctx, e.Reply, e.ID, encodeAnswer(a)) == nil
}

// ensureSource keeps the sources of a version in the store while runs refer to it.
func (d *Dispatcher) ensureSource(ctx context.Context, digest runtime.Digest) error {
	if _, ok := d.sources.Load(digest); ok {
		return nil
	}
	b, ok := d.Rules.Bundle(digest)
	if !ok {
		return runtime.ErrUnknownScript
	}
	if err := d.Store.PutSource(ctx, digest.String(), runtime.AppendBundle(nil, b)); err != nil {
		return err
	}
	d.sources.Store(digest, struct{}{})
	return nil
}

// restore makes a version of the past usable, or says why it is not.
func (d *Dispatcher) restore(ctx context.Context, digest runtime.Digest) error {
	if _, ok := d.Rules.Bundle(digest); ok {
		return nil
	}
	text, err := d.Store.Source(ctx, digest.String())
	if err != nil {
		return err
	}
	b, err := runtime.DecodeBundle(text)
	if err != nil {
		return err
	}
	return d.Rules.Restore(ctx, b)
}

// appendRetry appends until the store takes it, the context ends or the shard
// is lost: an effect whose intent is not on disk must not happen.
func appendRetry(ctx context.Context, del queue.Delivery, entries ...queue.Entry) error {
	wait := 100 * time.Millisecond
	for {
		err := del.Append(ctx, entries...)
		if err == nil || errors.Is(err, queue.ErrFenced) || errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrTooLarge) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
			wait = min(2*wait, 5*time.Second)
		}
	}
}
