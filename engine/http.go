package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
)

// listen opens the sockets and mounts the admin API.
func (e *Engine) listen() error {
	c := e.o.Config
	secrets, tokens := credentials(c)
	o := ingress.Options{
		Addr: c.Listen, Listener: e.o.Listener, Secrets: secrets, VerificationTokens: tokens, MaxSkew: c.Slack.MaxSkew,
		AnswerLimit: c.Limits.Answer, Grace: e.o.Drain, Limits: ingress.Limits{MaxBody: int(c.Limits.Body)}, AccessLog: c.Log.Access,
		Sink: arrivals{e}, Webhooks: &webhooks{e: e}, Ready: e.ready, Logger: e.log, Metrics: e.metrics, Now: e.o.Now,
	}
	if err := e.secure(&o); err != nil {
		return err
	}
	if err := e.serveAPI(&o); err != nil {
		return err
	}
	var err error
	if e.server, err = ingress.New(o); err != nil {
		return fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	if c.Admin == "" && e.o.Admin == nil {
		return nil
	}
	e.admin, err = ingress.NewAdmin(ingress.AdminOptions{
		Addr: c.Admin, Listener: e.o.Admin, Ready: e.ready, Detail: e.readiness, Metrics: e.metrics, Logger: e.log, Now: e.o.Now,
		Limits: ingress.Limits{MaxBody: 8 << 20}, // a batch of records, one of them large
	})
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Admin, err)
	}
	e.mount()
	e.mountExplain()
	return nil
}

// mount adds the endpoints that the command line uses.
func (e *Engine) mount() {
	op := e.Operator()
	op.Accept = e.Accept
	op.Changed = e.elsewhere.Changed
	e.mountState(op)
	e.mountCache(op)
	e.mountSchedules(op)
	e.mountInstalls(op)
	e.mountWebhooks(op)
	e.mountRuns(op)
	e.admin.Handle(http.MethodGet, "/queue", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return reply(op.Queue(ctx, limitOf(r)))
	})
	e.admin.Handle(http.MethodGet, "/queue/dead", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return reply(op.Dead(ctx, limitOf(r)))
	})
	e.admin.Handle(http.MethodPost, "/queue/retry/{id}", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return reply(done, op.Retry(ctx, r.Params["id"]))
	})
	e.admin.Handle(http.MethodPost, "/queue/drop/{id}", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return reply(done, op.Drop(ctx, r.Params["id"]))
	})
	e.admin.Handle(http.MethodGet, "/status", func(context.Context, *ingress.AdminRequest) ingress.AdminResponse {
		return ingress.JSON(http.StatusOK, e.Status())
	})
	e.admin.Handle(http.MethodGet, "/rules", func(ctx context.Context, _ *ingress.AdminRequest) ingress.AdminResponse {
		list, err := op.Rules(ctx)
		return reply(&rulesPage{e.Report(), list}, err)
	})
	e.admin.Handle(http.MethodGet, "/rules/off", func(ctx context.Context, _ *ingress.AdminRequest) ingress.AdminResponse {
		return reply(op.RulesOff(ctx))
	})
	e.admin.Handle(http.MethodPost, "/rules/enable/{id}", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return reply(done, op.EnableRule(ctx, r.Params["id"]))
	})
	e.admin.Handle(http.MethodPost, "/rules/disable/{id}", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return reply(done, op.DisableRule(ctx, r.Params["id"], r.Query["reason"]))
	})
	e.admin.Handle(http.MethodPost, "/reload", func(ctx context.Context, _ *ingress.AdminRequest) ingress.AdminResponse {
		return reply(done, e.Reload(ctx))
	})
}

var done = map[string]bool{"ok": true}

// rulesPage is the report of the last load, with each rule under "list".
type rulesPage struct {
	report *rules.Report
	list   []RuleReport
}

// MarshalJSON implements json.Marshaler.
func (p *rulesPage) MarshalJSON() ([]byte, error) {
	report, err := json.Marshal(p.report)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(report, &fields); err != nil {
		return nil, err
	}
	fields["list"] = p.list
	return json.Marshal(fields)
}

// maxListed bounds what one request lists.
const maxListed = 10_000

func limitOf(r *ingress.AdminRequest) int {
	n, err := strconv.Atoi(r.Query["limit"])
	if err != nil || n < 1 {
		return 50
	}
	return min(n, maxListed)
}

func reply[T any](v T, err error) ingress.AdminResponse {
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return ingress.Problem(http.StatusNotFound, "not found")
	case err != nil:
		return ingress.Problem(http.StatusInternalServerError, err.Error())
	}
	return ingress.JSON(http.StatusOK, v)
}

// gauges are read when metrics are scraped.
func (e *Engine) gauges() {
	m := e.metrics
	m.Func("queue_depth", "Events stored and not settled.", func() float64 { return float64(e.store.Stats().Pending) })
	m.Func("queue_oldest_age_seconds", "Age of the oldest event that is not settled.", func() float64 {
		if s := e.store.Stats(); !s.Oldest.IsZero() {
			return e.o.Now().Sub(s.Oldest).Seconds()
		}
		return 0
	})
	m.Func("queue_bytes", "Bytes that the store uses.", func() float64 { return float64(e.store.Stats().Bytes) })
	m.Func("dead_runs", "Events that were given up.", func() float64 { return float64(e.store.Stats().Dead) })
	m.Func("rules_off", "Rules that the breaker or an operator has switched off.", func() float64 {
		n := 0
		for _, r := range e.loader.Current().Rules() {
			if _, off := e.breaker.Off(r.ID, r.Digest); off {
				n++
			}
		}
		return float64(n)
	})
	m.Func("pool_busy", "Workers that run a script now.", func() float64 { return float64(e.pool.Stats().Busy) })
	m.Func("pool_waiting", "Passes that wait for a worker.", func() float64 { return float64(e.pool.Stats().Waiting) })
	m.Func("pool_workers", "Workers.", func() float64 { return float64(e.pool.Stats().Workers) })
	m.Func("pool_killed_total", "Workers that were killed for a limit.", func() float64 { return float64(e.pool.Stats().Killed) })
	m.Func("pool_excused_total", "Quick passes and loads that were tried again after a deadline, because the machine stood still.", func() float64 { return float64(e.pool.Stats().Excused) })
	m.Func("pool_died_total", "Workers that died by themselves.", func() float64 { return float64(e.pool.Stats().Died) })
}
