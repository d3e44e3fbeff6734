package rules

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// versions keeps what is loaded in the pool: the versions in force, those that
// runs under way refer to, and for a while those that nobody refers to, since
// a run may be about to.
type versions struct {
	mu    sync.Mutex
	held  map[runtime.Digest]*held
	grace time.Duration
}

type held struct {
	version *Version
	refs    int
	wanted  bool // in force, or waiting for a conflict to go
	idle    time.Time
}

func (vs *versions) add(v *Version, now time.Time) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if h := vs.held[v.Digest]; h != nil {
		h.version, h.idle = v, now
		return
	}
	vs.held[v.Digest] = &held{version: v, idle: now}
}

// want marks exactly these versions as wanted.
func (vs *versions) want(wanted map[runtime.Digest]bool, now time.Time) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for d, h := range vs.held {
		if h.wanted && !wanted[d] {
			h.idle = now
		}
		h.wanted = wanted[d]
	}
}

// sweep removes and returns the versions that nobody has referred to for the
// time of grace.
func (vs *versions) sweep(now time.Time) []runtime.Digest {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	var gone []runtime.Digest
	for d, h := range vs.held {
		if !h.wanted && h.refs == 0 && now.Sub(h.idle) >= vs.grace {
			gone = append(gone, d)
			delete(vs.held, d)
		}
	}
	return gone
}

// Acquire keeps a version loaded until Release is called as often. Versions
// of the current Set are loaded, and stay so for LoaderOptions.Grace after they have
// been replaced: time enough to acquire what Match returned.
func (l *Loader) Acquire(d runtime.Digest) {
	l.versions.mu.Lock()
	defer l.versions.mu.Unlock()
	if h := l.versions.held[d]; h != nil {
		h.refs++
	}
}

// Release is the counterpart of Acquire.
func (l *Loader) Release(d runtime.Digest) {
	l.versions.mu.Lock()
	defer l.versions.mu.Unlock()
	if h := l.versions.held[d]; h != nil && h.refs > 0 {
		h.refs--
		h.idle = l.now()
	}
}

// Bundle returns the sources of a version that is loaded.
func (l *Loader) Bundle(d runtime.Digest) (*runtime.Bundle, bool) {
	v, ok := l.Version(d)
	if !ok {
		return nil, false
	}
	return v.Bundle, true
}

// Version returns a version that is loaded.
func (l *Loader) Version(d runtime.Digest) (*Version, bool) {
	l.versions.mu.Lock()
	defer l.versions.mu.Unlock()
	h := l.versions.held[d]
	if h == nil {
		return nil, false
	}
	return h.version, true
}

// Restore loads a version from its sources, for a run that began on it. The
// caller acquires it within LoaderOptions.Grace.
func (l *Loader) Restore(ctx context.Context, b *runtime.Bundle) error {
	if _, ok := l.Version(b.Digest); ok {
		return nil
	}
	// Options may have become stricter since: the run goes by function
	// numbers, so the version is good for it even if its rules are not.
	man, err := l.opts.Pool.Load(ctx, b)
	if err != nil {
		return fmt.Errorf("restore %s: %w", b.Main, err)
	}
	if len(man.Missing) > 0 {
		return fmt.Errorf("restore %s: its sources lack %s", b.Main, man.Missing[0].Name)
	}
	rules, _ := compile(b, man.Registrations, l.opts.Names, nil)
	l.versions.add(&Version{Path: b.Main, Digest: b.Digest, Bundle: b, Rules: rules, Logs: man.Logs, Loaded: l.now()}, l.now())
	return nil
}

// sweep forgets versions whose time is over.
func (l *Loader) sweep() {
	for _, d := range l.versions.sweep(l.now()) {
		l.opts.Pool.Forget(d)
	}
}
