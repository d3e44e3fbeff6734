package engine

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/starling-rules/starling/engine/backup"
	"github.com/starling-rules/starling/engine/ingress"
)

// State is what the store keeps, to be looked at, changed, archived and
// restored.
func (o *Operator) State() backup.Target {
	return &backup.Store{Queue: o.Store, Now: o.Now, Done: func(ctx context.Context) error {
		if o.Changed != nil {
			o.Changed()
		}
		var err error
		if o.Installs != nil {
			err = o.Installs.Reload(ctx)
		}
		if o.Breaker != nil {
			err = errors.Join(err, o.Breaker.Load(ctx))
		}
		if o.Waiting != nil { // runs that came in with the archive
			err = errors.Join(err, o.Waiting.Load(ctx))
		}
		return err
	}}
}

// mountState adds the endpoints of starling kv and starling backup.
func (e *Engine) mountState(op *Operator) {
	state := op.State()
	e.admin.Handle(http.MethodGet, backup.PathState, func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		only := backup.ReadQuery(r.Query)
		return ingress.AdminResponse{ContentType: "application/jsonl", Stream: func(w io.Writer) error {
			return backup.Stream(ctx, w, state, only)
		}}
	})
	e.admin.Handle(http.MethodPost, backup.PathState, func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return onBatch(r, func(records []*backup.Record) (any, error) {
			return state.Put(ctx, records, r.Query["dry"] == "yes")
		})
	})
	e.admin.Handle(http.MethodPost, backup.PathDelete, func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return onBatch(r, func(records []*backup.Record) (any, error) { return done, state.Delete(ctx, records) })
	})
	e.admin.Handle(http.MethodPost, backup.PathFinish, func(ctx context.Context, _ *ingress.AdminRequest) ingress.AdminResponse {
		return reply(done, state.Finish(ctx))
	})
}

// onBatch does something with the records of a request. What is wrong with
// them is the sender's fault.
func onBatch(r *ingress.AdminRequest, do func([]*backup.Record) (any, error)) ingress.AdminResponse {
	records, err := backup.ReadBatch(r.Body)
	if err != nil {
		return ingress.Problem(http.StatusBadRequest, err.Error())
	}
	return reply(do(records))
}
