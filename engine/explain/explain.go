// Package explain says what the rules make of an event: of each rule, whether it
// matches or the first condition that fails, and of those that match, what they
// would do. The event goes the way of every other one, through the dispatcher,
// the pool and the door; only that the store is one in memory, thrown away
// afterwards, and the handlers behind the door perform nothing.
//
//	Read       an event from what Slack sends, or from what was stored
//	Explainer  one event through the rules in force
//	Report     what came of it; Write shows it to a person
//	Skeleton   a rule that matches an event, to begin with
//	Ring       the latest events of a server
//
// The package knows no HTTP, no Slack and no interpreter.
package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
)

// Report is what the rules make of one event.
type Report struct {
	Event Summary `json:"event"`
	// Notes are remarks on how the event was read.
	Notes   []string `json:"notes,omitempty"`
	Matched int      `json:"matched"`
	// Rules are all rules, in the order in which they run; behind them the
	// on.error rules that would be told of a failure.
	Rules []Rule `json:"rules"`
	// Answer is what the sender would be told; nil if nobody waits for it.
	Answer *Answer `json:"answer,omitempty"`
	// Skeletons are rules that match the event, by language, if none did.
	Skeletons map[string]Skeleton `json:"skeletons,omitempty"`
}

// Summary is an event in a few fields.
type Summary struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Type     string    `json:"type,omitempty"`
	Subtype  string    `json:"subtype,omitempty"`
	Team     string    `json:"team,omitempty"`
	User     string    `json:"user,omitempty"`
	Channel  string    `json:"channel,omitempty"`
	Thread   string    `json:"thread_ts,omitempty"`
	Headline string    `json:"headline,omitempty"`
	Received time.Time `json:"received"`
}

// Rule is what one rule makes of the event.
type Rule struct {
	ID string `json:"rule"`
	// On is the registration as written: on.message("deploy").
	On       string `json:"on"`
	Kind     string `json:"kind"`
	Script   string `json:"script"`
	Position string `json:"position"`
	Matched  bool   `json:"matched"`
	// Why is the first condition that failed; of a rule that matches, what
	// still decides.
	Why  string `json:"why,omitempty"`
	Runs []Run  `json:"runs,omitempty"`
}

// Run is what a rule would do.
type Run struct {
	Outcome string   `json:"outcome"`
	Error   string   `json:"error,omitempty"`
	Effects []Effect `json:"effects,omitempty"`
	Logs    []string `json:"logs,omitempty"`
	Steps   uint64   `json:"steps"`
	Ms      float64  `json:"dur_ms"`
}

// Effect is one effect that a run would have.
type Effect struct {
	Kind string          `json:"kind"`
	Args json.RawMessage `json:"args"`
	At   string          `json:"at,omitempty"`
	// Error is set if the effect was refused before it came to performing it.
	Error string `json:"error,omitempty"`
}

// Answer is what the sender of the event would be told.
type Answer struct {
	Status      int               `json:"status"`
	ContentType string            `json:"content_type,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	Body        string            `json:"body,omitempty"`
}

// Explainer takes events through the rules in force without effects. Safe for
// concurrent use; a few events at a time, others wait.
type Explainer struct {
	base dispatch.Options
	// off is asked which rules are switched off; may be nil. The runs of an
	// explanation are not counted against a rule.
	off  *breaker.Breaker
	free chan struct{}
}

// atOnce is how many events are explained at a time: the pool is there for
// events that are real.
const atOnce = 2

// giveUp bounds one explanation, longer than any pass may take.
const giveUp = 30 * time.Second

// New returns an Explainer on the rules, the pool and the limits of a
// dispatcher. Of the options, Store, Metrics, Logger and Inspector are not used.
func New(o dispatch.Options) *Explainer {
	off := o.Breaker
	o.Live, o.Breaker = o.Live.Dry(), nil
	o.Complete, o.Observe, o.Metrics, o.Logger = nil, nil, nil, nil
	return &Explainer{base: o, off: off, free: make(chan struct{}, atOnce)}
}

// Event explains one event. The error tells that nothing could be found out:
// ctx ended, or the pool is closed.
func (x *Explainer) Event(ctx context.Context, e *event.Event) (*Report, error) {
	rep, _, err := x.Answer(ctx, e)
	return rep, err
}

// Answer explains one event as Event does, and returns what its sender would
// get as it would get it: nil is an empty 200, or nobody waits.
func (x *Explainer) Answer(ctx context.Context, e *event.Event) (*Report, *event.Answer, error) {
	select {
	case x.free <- struct{}{}:
		defer func() { <-x.free }()
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	c := &collector{set: x.base.Rules.Current(), seen: make(chan struct{})}
	answer, err := x.run(ctx, e, c)
	if err != nil {
		return nil, nil, fmt.Errorf("explain event %s: %w", e.ID, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	x.switchedOff(c.verdicts)
	return c.report(e, answer), answer, nil
}

// switchedOff marks the rules that the breaker or an operator has switched off.
func (x *Explainer) switchedOff(verdicts []rules.Verdict) {
	if x.off == nil {
		return
	}
	for i := range verdicts {
		v := &verdicts[i]
		if s, off := x.off.Off(v.Rule.ID, v.Rule.Digest); off && v.Matched {
			v.Matched, v.Why = false, s.Why
		}
	}
}

// Verdicts says which rules match an event, and why the others do not, without
// running any.
func (x *Explainer) Verdicts(ctx context.Context, e *event.Event) []rules.Verdict {
	if x.base.Names != nil {
		x.base.Names(ctx, e, false)
	}
	verdicts := x.base.Rules.Current().Explain(e)
	x.switchedOff(verdicts)
	return verdicts
}

// run takes the event through a dispatcher of its own.
func (x *Explainer) run(ctx context.Context, e *event.Event, c *collector) (*event.Answer, error) {
	// The event is seen at the time at which it came, so that a stored one
	// gives today what it gave then.
	start, received := time.Now(), e.Received
	if received.IsZero() {
		received = start
	}
	now := func() time.Time { return received.Add(time.Since(start)) }
	store := queue.NewMemory(queue.MemoryOptions{Now: now, MaxBytes: 64 << 20})
	defer func() { _ = store.Close(context.WithoutCancel(ctx)) }()

	copied := *e
	copied.Received, copied.Reply = received, ""
	o := x.base
	// Nobody waits at the other end: a busy machine must not turn an answer
	// into one that came too late.
	o.Store, o.Inspector, o.Now, o.AnswerLimit, o.Drain, o.MaxUnsettled = store, c, now, giveUp, giveUp, 16
	d := dispatch.New(o)
	consuming, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(consuming) }()
	abort := context.AfterFunc(ctx, d.Abort)
	defer abort()

	var answer *event.Answer
	var err error
	if copied.Answered() {
		answer, err = d.AcceptAnswered(ctx, &copied)
	} else {
		err = d.Accept(ctx, &copied)
	}
	if err == nil {
		select {
		case <-c.seen:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	stop()
	if runErr := <-ended; err == nil {
		err = runErr // it has waited for the runs
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return answer, err
}

// collector is the inspector of one explanation.
type collector struct {
	set  *rules.Set
	seen chan struct{}
	once sync.Once

	mu       sync.Mutex
	verdicts []rules.Verdict
	runs     []dispatch.RunTrace
}

// Event implements dispatch.Inspector.
func (c *collector) Event(t dispatch.EventTrace) {
	c.mu.Lock()
	c.verdicts = t.Verdicts
	c.mu.Unlock()
	c.once.Do(func() { close(c.seen) })
}

// Run implements dispatch.Inspector.
func (c *collector) Run(t dispatch.RunTrace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs = append(c.runs, t)
}

// report puts together what was collected. Called with mu held.
func (c *collector) report(e *event.Event, a *event.Answer) *Report {
	rep := &Report{Event: Summarize(e), Rules: make([]Rule, 0, len(c.verdicts))}
	runs := map[string][]Run{}
	for _, t := range c.runs {
		runs[t.Rule] = append(runs[t.Rule], newRun(t))
	}
	for _, v := range c.verdicts {
		r := verdict(v)
		if r.Matched {
			r.Runs = runs[r.ID]
		}
		delete(runs, r.ID)
		if r.Matched && r.Runs == nil {
			r.skipped(v)
		}
		if r.Matched {
			rep.Matched++
		}
		rep.Rules = append(rep.Rules, r)
	}
	refused := false
	for _, t := range c.runs { // what is left are on.error rules, and a guard that has refused the event
		left := runs[t.Rule]
		if left == nil {
			continue
		}
		delete(runs, t.Rule)
		if r := c.set.Rule(t.Rule); r != nil && r.Kind == rules.Guard {
			refused = true
			rep.Rules = append(rep.Rules, Rule{
				ID: r.ID, On: r.String(), Kind: string(r.Kind), Script: r.Script, Position: r.Pos.String(),
				Matched: true, Why: "asked before all rules, and refuses the event", Runs: left,
			})
			continue
		}
		rep.Rules = append(rep.Rules, Rule{ID: t.Rule, On: "on.error", Kind: string(rules.Failure), Matched: true, Why: "told of the failure", Runs: left})
	}
	if e.Answered() {
		rep.Answer = newAnswer(a)
	}
	if rep.Matched == 0 && !refused {
		rep.Skeletons = Skeletons(e)
	}
	return rep
}

func verdict(v rules.Verdict) Rule {
	return Rule{
		ID: v.Rule.ID, On: v.Rule.String(), Kind: string(v.Rule.Kind), Script: v.Rule.Script, Position: v.Rule.Pos.String(),
		Matched: v.Matched, Why: v.Why,
	}
}

// skipped says why a rule that matches did not run.
func (r *Rule) skipped(v rules.Verdict) {
	switch {
	case v.Usage != "":
	case strings.HasPrefix(v.Why, "if the predicate of"):
		r.Matched, r.Why = false, "a rule before it stops the list"
	case v.Rule.When >= 0:
		r.Matched, r.Why = false, "its predicate (when) says no"
	default:
		r.Why = "its run did not end in time"
	}
}

func newRun(t dispatch.RunTrace) Run {
	r := Run{Outcome: string(t.Outcome), Error: t.Error, Logs: t.Logs, Steps: t.Steps, Ms: float64(t.Took.Microseconds()) / 1000}
	for _, e := range t.Effects {
		out := Effect{Kind: e.Kind, At: e.At, Args: json.RawMessage(e.Args)}
		if !json.Valid(out.Args) {
			out.Args = json.RawMessage("null")
		}
		if !json.Valid([]byte(e.Result)) {
			out.Error = e.Result
		}
		r.Effects = append(r.Effects, out)
	}
	return r
}

func newAnswer(a *event.Answer) *Answer {
	if a == nil {
		return &Answer{Status: 200}
	}
	out := &Answer{Status: a.Status, ContentType: a.ContentType, Body: string(a.Body)}
	if out.Status == 0 {
		out.Status = 200
	}
	if !utf8.Valid(a.Body) {
		out.Body = fmt.Sprintf("%d bytes that are no text", len(a.Body))
	}
	for _, h := range a.Headers {
		if out.Headers == nil {
			out.Headers = map[string]string{}
		}
		out.Headers[h.Name] = h.Value
	}
	return out
}

// Summarize gives the fields by which a person knows an event again.
func Summarize(e *event.Event) Summary {
	return Summary{
		ID: e.ID, Kind: string(e.Kind), Type: e.Type, Subtype: e.Subtype, Team: e.Team, User: e.User, Channel: e.Channel,
		Thread: e.ThreadTS, Headline: Headline(e), Received: e.Received.UTC(),
	}
}

// ErrNotAnEvent is wrapped by errors of Read for payloads that no rule ever
// sees, such as Slack's check of the address.
var ErrNotAnEvent = errors.New("no event")
