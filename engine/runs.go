package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/redact"
)

// maxScan bounds how far back a run is looked for by its id.
const maxScan = 10_000

// Runs lists events that had runs, newest first, at most limit.
func (o *Operator) Runs(ctx context.Context, limit int) ([]dispatch.EventReport, error) {
	infos, err := o.Store.Recent(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return o.reports(infos)
}

// Run finds an event by its id, or by the id of one of its runs, with the time
// lines of its runs. It returns queue.ErrNotFound if there is none.
func (o *Operator) Run(ctx context.Context, id string) (dispatch.EventReport, error) {
	info, err := o.Store.Event(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		info, err = o.eventOf(ctx, id)
	}
	if err != nil {
		return dispatch.EventReport{}, fmt.Errorf("look up run: %w", err)
	}
	rep, err := dispatch.Detail(info)
	if err != nil {
		return rep, fmt.Errorf("read event %s: %w", info.ID, err)
	}
	if e, err := event.Decode(info.Body); err == nil {
		rep.About, rep.User, rep.Channel = explain.Headline(e), e.User, e.Channel
	}
	rep.Clean(o.clean())
	return rep, nil
}

// eventOf looks for the event of a run among the latest ones.
func (o *Operator) eventOf(ctx context.Context, run string) (queue.EventInfo, error) {
	infos, err := o.Store.Recent(ctx, maxScan)
	if err != nil {
		return queue.EventInfo{}, err
	}
	for _, info := range infos {
		rep, err := dispatch.Report(info)
		if err != nil {
			continue // a damaged one is not what is looked for
		}
		for _, r := range rep.Runs {
			if r.ID == run {
				return info, nil
			}
		}
	}
	return queue.EventInfo{}, fmt.Errorf("run %s: %w", run, queue.ErrNotFound)
}

func (o *Operator) reports(infos []queue.EventInfo) ([]dispatch.EventReport, error) {
	out, clean := make([]dispatch.EventReport, 0, len(infos)), o.clean()
	for _, info := range infos {
		rep, err := dispatch.Report(info)
		if err != nil {
			return out, fmt.Errorf("read event %s: %w", info.ID, err)
		}
		rep.Clean(clean)
		out = append(out, rep)
	}
	return out, nil
}

// clean masks secrets in what is shown.
func (o *Operator) clean() func(string) string {
	var secrets []string
	if o.Secrets != nil {
		secrets = o.Secrets()
	}
	return redact.NewSet(secrets...).Clean
}
