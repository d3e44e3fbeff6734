package dispatch

import (
	"context"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// keepSources keeps the sources that are needed, now and then, until ctx ends.
func (d *Dispatcher) keepSources(ctx context.Context) {
	every := time.NewTicker(d.KeepSources)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if err := d.keepNeeded(ctx); err != nil && ctx.Err() == nil {
			d.Logger.Warn("sources of versions in use are not kept: if there are many more edits, runs may lose theirs", "err", err)
		}
	}
}

// keepNeeded keeps the sources of versions that runs wait on, and of those that
// this process has stored and not dropped since.
func (d *Dispatcher) keepNeeded(ctx context.Context) error {
	needed, err := wait.Versions(ctx, d.Store.Waits())
	if err != nil {
		return err
	}
	d.sources.Range(func(key, _ any) bool {
		digest := key.(runtime.Digest)
		if _, ok := d.Rules.Bundle(digest); ok {
			needed = append(needed, digest.String())
		} else {
			d.sources.Delete(digest) // to be stored anew, should it come back
		}
		return true
	})
	slices.Sort(needed)
	for _, digest := range slices.Compact(needed) {
		if err := d.Store.KeepSource(ctx, digest); err != nil {
			return err
		}
	}
	return nil
}
