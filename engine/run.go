package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Run loads the rules and serves until ctx ends; then it stops taking events
// in, lets runs under way finish within Options.Drain, and closes everything.
// What is not finished goes on at the next start. It can be called once.
func (e *Engine) Run(ctx context.Context) error {
	base := context.WithoutCancel(ctx)
	defer e.shut(base)
	var parts group
	serving, stopServing := context.WithCancel(base)
	defer stopServing()
	consuming, stopConsuming := context.WithCancel(base)
	defer stopConsuming()
	// Operators can ask while rules load and while runs are finished.
	operating, stopOperating := context.WithCancel(base)
	defer stopOperating()
	failed := make(chan error, 16) // room for each part: none waits to say that it has failed
	if e.admin != nil {
		parts.start(failed, "serve admin", func() error { return e.admin.Run(operating) })
	}
	if err := e.load(ctx); err != nil {
		stopOperating()
		parts.wait()
		return err
	}
	served := make(chan struct{})
	parts.start(failed, "serve", func() error {
		defer close(served)
		return e.server.Run(serving)
	})
	e.startAround(serving, &parts, failed)
	dispatched := make(chan struct{})
	parts.start(failed, "dispatch", func() error {
		defer close(dispatched)
		return e.disp.Run(consuming)
	})
	socketed := make(chan struct{})
	if e.socket == nil {
		close(socketed)
	} else {
		parts.start(failed, "Socket Mode", func() error {
			defer close(socketed)
			return e.runSocket(serving)
		})
	}
	close(e.started)
	ready := []any{"listen", e.Addr().String(), "rules", e.loader.Current().Len()}
	if https := e.SecureAddr(); https != nil {
		ready = append(ready, "https", https.String())
	}
	e.log.Info("ready", ready...)

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	e.ending.Store(true)
	e.server.Drain()
	stopServing()
	<-socketed
	<-served // requests in flight may wait for the answer of a rule: events go on being consumed
	stopConsuming()
	<-dispatched
	stopOperating()
	parts.wait()
	return err
}

// startAround starts what goes on beside taking events in and dispatching them,
// until ctx ends.
func (e *Engine) startAround(ctx context.Context, parts *group, failed chan<- error) {
	parts.start(failed, "watch rules", func() error { return e.loader.Watch(ctx) })
	if e.pair != nil {
		parts.start(failed, "watch certificate", func() error { return e.pair.Run(ctx) })
	}
	parts.start(failed, "fetch rules", func() error { return e.followRepo(ctx) })
	parts.start(failed, "introduce", func() error { return e.introduce(ctx) })
	parts.start(failed, "schedule", func() error { return e.schedules.run(ctx) })
	if e.shared() {
		parts.start(failed, "follow look-ups", func() error { return e.shelf.Follow(ctx, followEvery, e.forget) })
	}
	if e.shared() && e.installs != nil {
		parts.start(failed, "follow installations", func() error { return e.installs.Follow(ctx, followEvery) })
	}
	if e.oauth != nil {
		parts.start(failed, "renew tokens", func() error { return e.oauth.rotator.Run(ctx) })
	}
	parts.start(failed, "breaker", func() error { return e.breaker.Run(ctx) })
}

// load reads the rules. Broken files do not keep the others from running, but
// a start without a single rule is reported by readyz until there is one.
func (e *Engine) load(ctx context.Context) error {
	if e.o.OnRules != nil {
		e.loader.OnReport(func(rep *rules.Report) { e.o.OnRules(e.loader.Current(), rep) })
	}
	if err := e.breaker.Load(ctx); err != nil {
		return err
	}
	e.firstPull(ctx)
	e.loader.OnSwap(func(_, set *rules.Set) {
		e.hits.keep(set)
		if set.Len() > 0 {
			e.loaded.Store(true)
		}
		e.breaker.Changed(func(id string) (runtime.Digest, bool) {
			if r := set.Rule(id); r != nil {
				return r.Digest, true
			}
			return runtime.Digest{}, false
		})
	})
	if _, _, err := e.loader.Load(ctx); err != nil {
		return fmt.Errorf("load rules: %w", err)
	}
	return nil
}

// ready is nil, or why no events should be sent here now.
func (e *Engine) ready() error {
	if e.ending.Load() {
		return errors.New("draining")
	}
	if !e.loaded.Load() {
		rep := e.loader.Report()
		switch {
		case rep.Loaded.IsZero():
			return errors.New("rules are not loaded yet")
		case len(rep.Problems) > 0:
			return fmt.Errorf("no rules loaded: %w", rep.Problems[0])
		}
		return fmt.Errorf("no rules loaded: %d rule files, %d with errors", len(rep.Files), rep.Errors)
	}
	if err := e.store.Health(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if e.socket != nil && e.onlySocket() && !e.socket.Ready() {
		return errors.New("no socket: " + e.socket.State()[0].String())
	}
	return nil
}

// readiness is what operators are told beside whether events can be taken.
func (e *Engine) readiness() map[string]any {
	more := map[string]any{}
	if n := e.loader.Report().Errors; n > 0 {
		more["rule_file_errors"] = n
	}
	if e.socket != nil {
		more["socket"] = e.socket.State()
	}
	if e.oauth != nil {
		if troubles := e.oauth.rotator.Problems(); len(troubles) > 0 {
			more["tokens_not_renewed"] = troubles
		}
	}
	return more
}

// shut closes what New opened, once.
func (e *Engine) shut(ctx context.Context) {
	e.close.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if e.server != nil {
			_ = e.server.Shutdown(ctx)
		}
		if e.admin != nil {
			_ = e.admin.Shutdown(ctx)
		}
		if e.endJobs != nil {
			e.endJobs()
		}
		e.jobs.Wait()
		if e.pool != nil {
			if err := e.pool.Close(ctx); err != nil {
				e.log.Warn("close the pool", "err", err)
			}
		}
		if e.breaker != nil {
			e.breaker.Close(ctx)
		}
		if e.shelf != nil {
			e.shelf.Close()
		}
		if e.store != nil {
			if err := e.store.Close(ctx); err != nil {
				e.log.Error("close the store", "err", err)
			}
		}
	})
}

// group waits for the parts of a running engine.
type group struct{ wg sync.WaitGroup }

func (g *group) start(failed chan<- error, what string, f func() error) {
	g.wg.Go(func() {
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			failed <- fmt.Errorf("%s: %w", what, err)
		}
	})
}

func (g *group) wait() { g.wg.Wait() }
