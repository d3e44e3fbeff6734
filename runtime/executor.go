package runtime

import (
	"context"
	"fmt"
	"sync"
)

// Executor keeps loaded scripts by digest and runs passes over them in the
// calling goroutine. It is what a Pool has inside: Local in this process, a
// worker in its own. It queues nothing. Safe for concurrent use.
type Executor struct {
	langs map[string]Language

	mu      sync.RWMutex
	scripts map[Digest]*loaded
}

// loaded is one version that is ready to run.
type loaded struct {
	module   Module
	manifest *Manifest
}

// NewExecutor returns an executor for scripts of the given languages.
func NewExecutor(langs ...Language) *Executor {
	x := &Executor{langs: make(map[string]Language, len(langs)), scripts: map[Digest]*loaded{}}
	for _, l := range langs {
		x.langs[l.Name()] = l
	}
	return x
}

// Load compiles a bundle, runs its top level under lim and keeps it until
// Forget. A digest that is loaded already yields its first manifest: callers
// must not change manifests. With Manifest.Missing nothing is kept. A script's
// own faults come back as Errors.
func (x *Executor) Load(ctx context.Context, b *Bundle, lim Limits) (*Manifest, error) {
	if l := x.lookup(b.Digest); l != nil {
		return l.manifest, nil
	}
	lang := x.langs[b.Language]
	if lang == nil {
		return nil, fmt.Errorf("load %s: no language %q", b.Main, b.Language)
	}
	mod, man, err := lang.Load(ctx, b, lim.OrDefault())
	if err != nil {
		return nil, err
	}
	man.Digest = b.Digest
	if len(man.Missing) > 0 {
		return man, nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if l := x.scripts[b.Digest]; l != nil {
		return l.manifest, nil
	}
	x.scripts[b.Digest] = &loaded{mod, man}
	return man, nil
}

// Run makes one pass. A script's own faults are in Reply.Err; the error is
// ErrUnknownScript if the digest is not loaded. Zero limits take the defaults.
// A panic of a language's own code becomes an InternalError in the reply.
func (x *Executor) Run(ctx context.Context, c *Call) (reply *Reply, err error) {
	l := x.lookup(c.Script)
	if l == nil {
		return nil, ErrUnknownScript
	}
	defer func() {
		if p := recover(); p != nil {
			reply, err = &Reply{Status: Failed, Err: &Error{Kind: InternalError, Msg: fmt.Sprintf("panic: %v", p)}}, nil
		}
	}()
	return l.module.Run(ctx, c), nil
}

// Forget drops a version; passes under way finish.
func (x *Executor) Forget(d Digest) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.scripts, d)
}

// Len returns the number of versions loaded.
func (x *Executor) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.scripts)
}

func (x *Executor) lookup(d Digest) *loaded {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.scripts[d]
}
