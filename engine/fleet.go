package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/admin"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/socket"
)

// maxPast bounds the events that are looked at for when rules ran last.
const maxPast = 1000

// past is what the latest events say of a rule.
type past struct{ fire, failure *lastRun }

type lastRun struct {
	at  time.Time
	run dispatch.RunReport
}

// put writes into a report what is known; a nil past knows nothing.
func (p *past) put(rep *RuleReport) {
	if p == nil {
		return
	}
	if f := p.fire; f != nil {
		rep.LastFire, rep.LastOutcome, rep.LastRun = &f.at, string(f.run.Outcome), f.run.ID
	}
	if f := p.failure; f != nil {
		rep.LastErrorAt, rep.LastErrorRun = &f.at, f.run.ID
		rep.LastError = f.run.Error.Error()
	}
}

// lastRuns finds, by rule, when it ran last and failed last.
func (o *Operator) lastRuns(ctx context.Context) (map[string]*past, error) {
	infos, err := o.Store.Recent(ctx, maxPast)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	out := map[string]*past{}
	for _, info := range infos { // newest first
		rep, err := dispatch.Report(info)
		if err != nil {
			continue // starling runs shows what is wrong with it
		}
		for _, run := range rep.Runs {
			p := out[run.Rule]
			if p == nil {
				p = &past{}
				out[run.Rule] = p
			}
			if p.fire == nil {
				p.fire = &lastRun{info.Stored, run}
			}
			if p.failure == nil && run.Error != nil {
				p.failure = &lastRun{info.Stored, run}
			}
		}
	}
	return out, nil
}

// PickRule finds the rule that is meant: by its id, its name, the id without
// the file, or what only one of these begins with.
func PickRule(list []RuleReport, text string) (RuleReport, error) {
	label := func(r RuleReport) string { return r.ID[strings.Index(r.ID, ":")+1:] }
	for _, means := range []func(RuleReport) bool{
		func(r RuleReport) bool { return r.ID == text },
		func(r RuleReport) bool { return r.Name == text || label(r) == text },
		func(r RuleReport) bool {
			return strings.HasPrefix(r.ID, text) || strings.HasPrefix(label(r), text)
		},
	} {
		var found []RuleReport
		for _, r := range list {
			if means(r) {
				found = append(found, r)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			ids := make([]string, 0, 6)
			for _, r := range found[:min(len(found), 5)] {
				ids = append(ids, r.ID)
			}
			if len(found) > len(ids) {
				ids = append(ids, "…")
			}
			return RuleReport{}, fmt.Errorf("%q is the beginning of %d rules: %s", text, len(found), strings.Join(ids, ", "))
		}
	}
	return RuleReport{}, fmt.Errorf("no rule %q: starling rules lists them", text)
}

// Status is how a server is, in short.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Rules   int       `json:"rules"`
	Off     int       `json:"off"`
	// Pending and OldestAge are those of the queue, Dead its dead letters,
	// Health that of the store.
	Pending   int     `json:"pending"`
	OldestAge float64 `json:"oldest_age_seconds"`
	Dead      int     `json:"dead"`
	Health    string  `json:"health"`
	// Revision is that of the repository of rules; empty if there is none.
	Revision string `json:"revision,omitempty"`
	// Files are the rule files with errors, or that are questionable.
	Files []FileTrouble `json:"files"`
	// Socket are the connections of Socket Mode; empty without it.
	Socket []socket.ConnState `json:"socket,omitempty"`
}

// FileTrouble is what is wrong with a rule file.
type FileTrouble struct {
	Path string `json:"path"`
	// Version is what runs; Previous if that is an earlier one than on disk.
	Version  string `json:"version,omitempty"`
	Previous bool   `json:"previous"`
	Errors   string `json:"errors,omitempty"`
	Warnings string `json:"warnings,omitempty"`
}

// Status tells how the server is.
func (e *Engine) Status() *Status {
	q, rep := e.Operator().queue(), e.Report()
	s := &Status{
		Version: e.o.Version, Started: e.born, Rules: rep.Rules, Off: len(e.SwitchedOff()),
		Pending: q.Pending, OldestAge: q.OldestAge, Dead: q.Dead, Health: q.Health, Revision: e.revision(), Files: []FileTrouble{},
	}
	if e.socket != nil {
		s.Socket = e.socket.State()
	}
	for _, f := range rep.Files {
		if len(f.Errors)+len(f.Warnings) == 0 {
			continue
		}
		t := FileTrouble{Path: f.Path, Previous: f.Previous, Errors: f.Errors.Detail(), Warnings: f.Warnings.Detail()}
		if !f.Digest.IsZero() {
			t.Version = f.Digest.String()
		}
		s.Files = append(s.Files, t)
	}
	return s
}

// Reloaded is what a reload came to.
type Reloaded struct {
	Rules    int    `json:"rules"`
	Errors   int    `json:"errors"`
	Revision string `json:"revision,omitempty"`
}

// reloadAll fetches the repository of rules, if there is one, and reads all
// rule files again.
func (e *Engine) reloadAll(ctx context.Context) (*Reloaded, error) {
	err := e.Pull(ctx)
	e.o.handlers.Again()
	err = errors.Join(err, e.loader.Reload(ctx))
	rep := e.Report()
	return &Reloaded{Rules: rep.Rules, Errors: rep.Errors, Revision: e.revision()}, err
}

// operations are what admins can do from a chat.
func (e *Engine) operations() admin.Operations {
	ops := OperatorOperations(e.Operator)
	ops.Logger = e.log
	ops.Status = func(context.Context) (any, error) { return e.Status(), nil }
	ops.Reload = func(ctx context.Context) (any, error) { return e.reloadAll(ctx) }
	ops.TestWebhook = func(ctx context.Context, method, path, body string) (any, error) {
		return e.TestWebhook(ctx, HookRequest{Method: method, Path: path, Body: body})
	}
	ops.Certificate = func(ctx context.Context, hosts []string) (any, error) {
		return e.GenerateCertificate(ctx, CertificateRequest{Hosts: hosts})
	}
	return ops
}

// OperatorOperations are what admins can do with a store and rules alone.
func OperatorOperations(operator func() *Operator) admin.Operations {
	pick := func(ctx context.Context, text string) (RuleReport, error) {
		list, err := operator().Rules(ctx)
		if err != nil {
			return RuleReport{}, err
		}
		return PickRule(list, text)
	}
	return admin.Operations{
		Rules: func(ctx context.Context) (any, error) { return operator().Rules(ctx) },
		Enable: func(ctx context.Context, text string) (string, error) {
			r, err := pick(ctx, text)
			if err != nil {
				return "", err
			}
			err = operator().EnableRule(ctx, r.ID)
			if errors.Is(err, queue.ErrNotFound) {
				if r.State != "on" {
					return "", fmt.Errorf("%s is off because of enabled = False in %s:%d", r.ID, r.File, r.Line)
				}
				err = nil // it is on already
			}
			return r.ID, err
		},
		Disable: func(ctx context.Context, text, reason string) (string, error) {
			r, err := pick(ctx, text)
			if err != nil {
				return "", err
			}
			return r.ID, operator().DisableRule(ctx, r.ID, reason)
		},
		Runs:      func(ctx context.Context, limit int) (any, error) { return operator().Runs(ctx, limit) },
		Schedules: func(ctx context.Context) (any, error) { return operator().Schedules(ctx) },
		Webhooks:  func(ctx context.Context) (any, error) { return operator().Webhooks(ctx) },
	}
}
