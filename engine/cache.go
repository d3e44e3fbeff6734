package engine

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/starling-rules/starling/engine/api"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/lookup"
	"github.com/starling-rules/starling/engine/slackapi"
)

// CacheReport is what is remembered of Slack.
type CacheReport struct {
	// Process is what the running server keeps; absent if none was asked.
	Process []slackapi.CacheStats `json:"process,omitempty"`
	// Stored is what the store keeps, for the next start and other processes.
	Stored []lookup.Entry `json:"stored"`
}

// PurgeReport says what was forgotten.
type PurgeReport struct {
	Process int `json:"process"`
	Stored  int `json:"stored"`
}

// Cache reports what is remembered of Slack, of one team (a name or an id) if
// that is not empty.
func (o *Operator) Cache(ctx context.Context, team string) (CacheReport, error) {
	var rep CacheReport
	if o.Slack != nil {
		rep.Process = o.Slack.CacheStats()
	}
	var err error
	rep.Stored, err = lookup.New(o.Store.State(), nil).List(ctx, o.teamID(team))
	return rep, err
}

// PurgeCache forgets what is remembered of Slack, of one team if that is not
// empty. It is looked up again when it is needed.
func (o *Operator) PurgeCache(ctx context.Context, team string) (PurgeReport, error) {
	var rep PurgeReport
	var err error
	// The store first: what is not in the process any more is read from there.
	if rep.Stored, err = lookup.New(o.Store.State(), nil).Purge(ctx, o.teamID(team)); err != nil {
		return rep, err
	}
	if o.Slack != nil {
		rep.Process = o.Slack.Purge(o.teamID(team))
	}
	return rep, nil
}

func (o *Operator) teamID(team string) string {
	if id, ok := o.Teams[team]; ok {
		return id
	}
	return team
}

// followEvery is how often the look-ups that other processes have found out of
// date are asked for.
const followEvery = time.Second

// shared reports whether other processes may use the same store.
func (e *Engine) shared() bool { return e.o.Config.Queue.URL != "" }

// forget drops what another process has found out of date.
func (e *Engine) forget(kind, team, id string) {
	e.slack.Forget(kind, team, id)
	e.known.drop(kind, team, id)
}

// teamID is the id of a team that is named in the configuration in force.
func (e *Engine) teamID(team string) string { return (&Operator{Teams: e.config().Teams}).teamID(team) }

func (e *Engine) mountCache(op *Operator) {
	e.admin.Handle(http.MethodGet, "/cache", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return reply(op.Cache(ctx, e.teamID(r.Query["team"])))
	})
	e.admin.Handle(http.MethodPost, "/cache/purge", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return reply(op.PurgeCache(ctx, e.teamID(r.Query["team"])))
	})
}

// serveAPI adds omnibot's HTTP API to the way in.
func (e *Engine) serveAPI(o *ingress.Options) error {
	var err error
	if e.api, err = api.New(api.Options{Config: e.o.Config, Slack: e.slack, Logger: e.log, Now: e.o.Now}); err != nil {
		return fmt.Errorf("authorization: %w", err)
	}
	o.Mounts, o.Guarded = append(append(e.api.Mounts(), e.repoMounts()...), e.oauthMounts()...), e.api.Guarded()
	for _, text := range e.o.Config.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return fmt.Errorf("trusted_proxies: %w", err)
			}
			addr = addr.Unmap()
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		o.TrustedProxies = append(o.TrustedProxies, p)
	}
	return nil
}
