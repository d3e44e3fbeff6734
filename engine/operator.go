package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/engine/wait"
)

// Operator answers what operators ask of the store: past and waiting runs, the
// queue, its dead letters, which rules are off. The admin API and the command
// line share it. Safe for concurrent use.
type Operator struct {
	Store queue.Store
	Now   func() time.Time
	// Set returns the rules in force, or those on disk; Breaker knows which are
	// off. Only the methods about rules need them.
	Set     func(ctx context.Context) (*rules.Set, error)
	Breaker *breaker.Breaker
	// Accept takes an event in; nil if there is no server. Only RunSchedule
	// needs it.
	Accept func(ctx context.Context, ev *event.Event) error
	// Slack has the look-ups that a server keeps; nil if there is no server.
	// Teams are the configured names of teams. Only the methods about the cache
	// need them.
	Slack *slackapi.Client
	Teams map[string]string
	// Hits counts the requests for the webhook of a rule; nil if there is no
	// server.
	Hits func(rule string) ingress.Seen
	// Secrets are values that must not be shown, beside what looks like one; may
	// be nil.
	Secrets func() []string
	// Waiting are the runs that wait; nil reads those of Store.
	Waiting *wait.Registry
	// Restart makes the row of a run that begins again on the version in force;
	// nil if there is no server.
	Restart func(ctx context.Context, past *dispatch.Past, who string, now time.Time) (*wait.Row, error)
	// Config is the configuration, Installs the installations of a running
	// server, which alone can revoke tokens. Only Installations needs them.
	Config   *config.Config
	Installs *install.Store
	Revoke   func(ctx context.Context, id install.ID, uninstall bool) error
	// Changed is called when State has changed what scripts keep; may be nil.
	Changed func()
}

// RuleReport is a rule as operators see it.
type RuleReport struct {
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Kind    string `json:"kind"`
	Pattern string `json:"pattern"`
	Owner   string `json:"owner,omitempty"`
	// State is on, off (by the breaker) or disabled (by an operator, or by
	// enabled = False in the script).
	State breaker.State `json:"state"`
	Why   string        `json:"why,omitempty"`
	Since *time.Time    `json:"since,omitempty"`
	// Run is the id of the last run that went beyond its limits.
	Run string `json:"run,omitempty"`
	// Version names what runs: the digest of the script and all it loads.
	Version string `json:"version,omitempty"`
	// LastFire is when it ran last, of the latest events that the store still
	// has, LastOutcome how that ended; LastError is the last failure.
	LastFire     *time.Time `json:"last_fire,omitempty"`
	LastOutcome  string     `json:"last_outcome,omitempty"`
	LastRun      string     `json:"last_run,omitempty"`
	LastError    string     `json:"last_error,omitempty"`
	LastErrorAt  *time.Time `json:"last_error_at,omitempty"`
	LastErrorRun string     `json:"last_error_run,omitempty"`
	// Next is when a rule of on.schedule fires next.
	Next *time.Time `json:"next,omitempty"`
}

// QueueReport is the state of the queue.
type QueueReport struct {
	Pending   int                    `json:"pending"`
	OldestAge float64                `json:"oldest_age_seconds"`
	Dead      int                    `json:"dead"`
	Bytes     int64                  `json:"bytes"`
	MaxBytes  int64                  `json:"max_bytes"`
	Health    string                 `json:"health"`
	Events    []dispatch.EventReport `json:"events,omitempty"`
}

// Queue reports the queue and up to limit unsettled events, oldest first.
func (o *Operator) Queue(ctx context.Context, limit int) (QueueReport, error) {
	rep := o.queue()
	infos, err := o.Store.Pending(ctx, limit)
	if err != nil {
		return rep, fmt.Errorf("list queue: %w", err)
	}
	rep.Events, err = o.reports(infos)
	return rep, err
}

// queue reports the queue without its events, which would have to be read.
func (o *Operator) queue() QueueReport {
	s := o.Store.Stats()
	rep := QueueReport{Pending: s.Pending, Dead: s.Dead, Bytes: s.Bytes, MaxBytes: s.MaxBytes, Health: "ok"}
	if !s.Oldest.IsZero() {
		rep.OldestAge = o.Now().Sub(s.Oldest).Seconds()
	}
	if err := o.Store.Health(); err != nil {
		rep.Health = err.Error()
	}
	return rep
}

// Dead lists the dead letters, newest first, at most limit.
func (o *Operator) Dead(ctx context.Context, limit int) ([]dispatch.EventReport, error) {
	infos, err := o.Store.DeadLetters(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return o.reports(infos)
}

// Retry stores a dead event again; Drop forgets it.
func (o *Operator) Retry(ctx context.Context, id string) error { return o.Store.RetryDead(ctx, id) }

// Drop forgets a dead event.
func (o *Operator) Drop(ctx context.Context, id string) error { return o.Store.DropDead(ctx, id) }

// Rules lists the rules in force in the order in which they run, then those
// that are off and not there.
func (o *Operator) Rules(ctx context.Context) ([]RuleReport, error) {
	set, err := o.Set(ctx)
	if err != nil {
		return nil, err
	}
	past, err := o.lastRuns(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]RuleReport, 0, set.Len())
	for _, r := range set.Rules() {
		rep := RuleReport{
			ID: r.ID, Name: r.Name, File: r.Pos.Path, Line: r.Pos.Line, Kind: string(r.Kind), Pattern: r.Pattern, Owner: r.Owner, State: breaker.On,
			Version: r.Digest.String(),
		}
		past[r.ID].put(&rep)
		if s, off := o.Breaker.Off(r.ID, r.Digest); off {
			rep.off(s)
		} else if !r.Enabled {
			rep.State, rep.Why = breaker.Disabled, "enabled is False in the script"
		}
		if r.Schedule != nil {
			if next, err := o.scheduleOf(ctx, r); err == nil {
				rep.Next = next.Next
			}
		}
		out = append(out, rep)
	}
	for _, s := range o.Breaker.All() {
		if set.Rule(s.Rule) == nil {
			rep := RuleReport{ID: s.Rule, Owner: s.Owner}
			rep.off(s)
			out = append(out, rep)
		}
	}
	return out, nil
}

func (r *RuleReport) off(s breaker.Switch) {
	r.State, r.Why, r.Since, r.Run = s.State, s.Why, &s.Since, s.Run
}

// RulesOff lists what the breaker or an operator has switched off.
func (o *Operator) RulesOff(context.Context) ([]breaker.Switch, error) { return o.Breaker.All(), nil }

// EnableRule switches a rule on. It returns queue.ErrNotFound if it was not off.
func (o *Operator) EnableRule(ctx context.Context, id string) error {
	return o.Breaker.Enable(ctx, id)
}

// DisableRule switches a rule off until EnableRule, also over changes of its
// file. It returns queue.ErrNotFound if there is no such rule.
func (o *Operator) DisableRule(ctx context.Context, id, reason string) error {
	set, err := o.Set(ctx)
	if err != nil {
		return err
	}
	if set.Rule(id) == nil {
		return fmt.Errorf("rule %s: %w", id, queue.ErrNotFound)
	}
	return o.Breaker.Disable(ctx, id, reason)
}
