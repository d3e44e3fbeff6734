// Package admin performs the effects admin.*: what a server's admins may do
// from a chat. Whoever is no admin, or asks from a rule that is not for admins
// alone, is refused here, at the door.
//
//	Operations   what the server can do; those that are nil it cannot
//	Handlers     the live handlers, for the door
//
// The package knows neither the engine nor Slack.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/runtime"
)

// Operations are what the server does on behalf of admins. What they return is
// shown to scripts as JSON. Safe for concurrent use.
type Operations struct {
	Rules     func(ctx context.Context) (any, error)
	Enable    func(ctx context.Context, rule string) (id string, err error)
	Disable   func(ctx context.Context, rule, reason string) (id string, err error)
	Reload    func(ctx context.Context) (any, error)
	Status    func(ctx context.Context) (any, error)
	Runs      func(ctx context.Context, limit int) (any, error)
	Schedules func(ctx context.Context) (any, error)
	Webhooks  func(ctx context.Context) (any, error)
	// TestWebhook changes nothing.
	TestWebhook func(ctx context.Context, method, path, body string) (any, error)
	Certificate func(ctx context.Context, hosts []string) (any, error)
	// Logger gets a line for all that changes anything: who, what, from where.
	Logger *slog.Logger
}

// maxRuns bounds what runs lists.
const maxRuns = 200

// ErrNotHere says that the server cannot do what is asked.
var ErrNotHere = errors.New("this is not known here")

// Handlers are the live handlers of admin.*.
func (o Operations) Handlers() door.Live {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	list := func(f func(context.Context) (any, error)) door.Handler {
		return o.handler(true, door.Again, func(ctx context.Context, _ runtime.Effect) (any, error) {
			if f == nil {
				return nil, ErrNotHere
			}
			return f(ctx)
		})
	}
	live := door.Live{
		"admin.rules": list(o.Rules), "admin.status": list(o.Status),
		"admin.schedules": list(o.Schedules), "admin.webhooks": list(o.Webhooks),
	}
	maps.Copy(live, door.Live{
		"admin.runs": o.handler(true, door.Again, func(ctx context.Context, e runtime.Effect) (any, error) {
			limit := int64(20)
			if v, _ := e.Args.Get("limit"); v != nil {
				limit, _ = v.(int64)
			}
			if o.Runs == nil {
				return nil, ErrNotHere
			}
			return o.Runs(ctx, int(min(max(limit, 1), maxRuns)))
		}),
		"admin.test_webhook": o.handler(true, door.Again, func(ctx context.Context, e runtime.Effect) (any, error) {
			if o.TestWebhook == nil {
				return nil, ErrNotHere
			}
			return outcome(o.TestWebhook(ctx, e.Args.Text("method"), e.Args.Text("path"), e.Args.Text("body")))
		}),
		"admin.enable":      o.handler(false, door.Again, o.enable),
		"admin.disable":     o.handler(false, door.Again, o.disable),
		"admin.reload":      o.handler(false, door.Again, o.reload),
		"admin.certificate": o.handler(false, door.Never, o.certificate),
	})
	return live
}

// handler lets through what an admin asks, and turns the result into what
// scripts see.
func (o Operations) handler(read bool, repeat door.Repeat, do func(context.Context, runtime.Effect) (any, error)) door.Handler {
	return door.Handler{
		// Not Read: a hook, which nobody asked, may not look either.
		Repeat: door.Always(repeat),
		Do: func(ctx context.Context, r *door.Run, e runtime.Effect) (runtime.Value, error) {
			if !r.Admin {
				if !read {
					o.audit(r, e, "refused")
				}
				return nil, fmt.Errorf("%s: %w: only a rule with admin=True may, run by an admin", e.Kind, door.ErrRefused)
			}
			if r.DryRun {
				if read {
					return runtime.JSON(`[]`), nil
				}
				return runtime.NewDict("ok", true), nil
			}
			v, err := do(ctx, e)
			if !read {
				result := "done"
				if m, is := v.(map[string]any); is && m["ok"] == false {
					result, _ = m["error"].(string)
				}
				if err != nil {
					result = err.Error()
				}
				o.audit(r, e, result)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.Kind, err)
			}
			text, err := json.Marshal(v)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.Kind, err)
			}
			return runtime.JSON(text), nil
		},
	}
}

// audit writes down who did what.
func (o Operations) audit(r *door.Run, e runtime.Effect, result string) {
	by, team := "", ""
	if r.Event != nil {
		by, team = r.Event.User, r.Event.Team
	}
	o.Logger.Warn("admin", "do", e.Kind, "what", e.Args.Text("rule"), "reason", e.Args.Text("reason"),
		"by", by, "team", team, "rule", r.Rule, "run", r.ID, "result", result)
}

// outcome puts ok and error beside the fields of a result: what failed is the
// admin's to read, and no failure of the rule.
func outcome(v any, err error) (any, error) {
	if err != nil {
		return map[string]any{"ok": false, "error": err.Error()}, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	fields["ok"], fields["error"] = true, nil
	return fields, nil
}

func (o Operations) enable(ctx context.Context, e runtime.Effect) (any, error) {
	if o.Enable == nil {
		return nil, ErrNotHere
	}
	id, err := o.Enable(ctx, e.Args.Text("rule"))
	return outcome(map[string]string{"rule": id}, err)
}

func (o Operations) disable(ctx context.Context, e runtime.Effect) (any, error) {
	if o.Disable == nil {
		return nil, ErrNotHere
	}
	id, err := o.Disable(ctx, e.Args.Text("rule"), e.Args.Text("reason"))
	return outcome(map[string]string{"rule": id}, err)
}

func (o Operations) reload(ctx context.Context, _ runtime.Effect) (any, error) {
	if o.Reload == nil {
		return nil, ErrNotHere
	}
	return outcome(o.Reload(ctx))
}

func (o Operations) certificate(ctx context.Context, e runtime.Effect) (any, error) {
	if o.Certificate == nil {
		return nil, ErrNotHere
	}
	var hosts []string
	v, _ := e.Args.Get("hosts")
	switch v := v.(type) {
	case string:
		hosts = []string{v}
	case runtime.List:
		for _, h := range v {
			if s, ok := h.(string); ok {
				hosts = append(hosts, s)
			}
		}
	}
	return outcome(o.Certificate(ctx, hosts))
}
