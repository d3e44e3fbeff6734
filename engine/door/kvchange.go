package door

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// kvChange performs kv.update and conversation.update. Without a value it tells
// what is there and, as "was", which version that is; with one it stores it,
// if that version is there still, and else tells what is there now.
//
//	{found, value, was}        for the first
//	{done: true}               stored
//	{done: false, found, …}    changed by somebody else: ask again with this
func (l *live) kvChange(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	key, err := l.kvKey(r, e)
	if err != nil {
		return nil, err
	}
	value, storing := e.Args.Get("value")
	if !storing {
		l.lines.wait(ctx, key, r.ID)
		b, err := l.State.Get(ctx, key)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return nil, fmt.Errorf("%s: %w", e.Kind, err)
		}
		return cellNow(bytes.Clone(b), err == nil, nil)
	}
	v, err := l.kvUpdate(ctx, r, e, func(e runtime.Effect, old []byte, ok bool) (queue.Change, runtime.Value, error) {
		if version(old, ok) != e.Args.Text("was") {
			now, err := cellNow(old, ok, false)
			return queue.Change{Keep: true}, now, err
		}
		done := runtime.NewDict("done", true)
		if value == nil {
			return queue.Change{Delete: ok, Keep: !ok}, done, nil
		}
		c, err := l.stored(e, value)
		return c, done, err
	})
	if d, ok := v.(*runtime.Dict); err != nil || ok && flag(d, "done", false) {
		l.lines.leave(key, r.ID)
	}
	return v, err
}

// version names what is stored under a key: the same bytes are the same version.
func version(b []byte, ok bool) string {
	if !ok {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// cellNow tells what is there.
func cellNow(b []byte, ok bool, done runtime.Value) (runtime.Value, error) {
	v, err := present(b, ok)
	if err != nil {
		return nil, err
	}
	d := runtime.NewDict("found", ok, "value", v, "was", version(b, ok))
	if done != nil {
		d.Set("done", done)
	}
	return d, nil
}

// lines let the runs that update a key stand in line, so that a hundred at once
// do not each find a hundred times that another was faster. It is courtesy: a
// run that takes longer than turnFor is passed by, and what keeps changes from
// being lost is the comparison of versions.
type lines struct {
	mu sync.Mutex
	m  map[string][]place // by key; the first has the turn
}

// place is that of one run.
type place struct {
	run   string
	turn  chan struct{} // closed when its turn begins
	timer *time.Timer   // ends its turn
}

// turnFor is how long a run may take from reading a key to storing it: a pass
// of its script, and the wait for a worker. waitFor bounds the time in line.
const (
	turnFor = 500 * time.Millisecond
	waitFor = 30 * time.Second
)

// wait returns when it is the turn of the run, or it has waited for long.
func (l *lines) wait(ctx context.Context, key, run string) {
	turn, ahead := l.join(key, run)
	if !ahead {
		return
	}
	timer := time.NewTimer(waitFor)
	defer timer.Stop()
	select {
	case <-turn:
	case <-ctx.Done():
		l.leave(key, run)
	case <-timer.C:
		l.leave(key, run)
	}
}

// join takes a place in line; ahead tells that others come first, until the
// channel is closed.
func (l *lines) join(key, run string) (turn chan struct{}, ahead bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = map[string][]place{}
	}
	for i, p := range l.m[key] {
		if p.run == run {
			return p.turn, i > 0
		}
	}
	p := place{run: run, turn: make(chan struct{})}
	l.m[key] = append(l.m[key], p)
	if len(l.m[key]) == 1 {
		l.begin(key)
		return p.turn, false
	}
	return p.turn, true
}

// begin gives the turn to the first in line. l.mu is held.
func (l *lines) begin(key string) {
	first := &l.m[key][0]
	run := first.run
	first.timer = time.AfterFunc(turnFor, func() { l.leave(key, run) })
	close(first.turn)
}

// leave takes a run out of the line; if it was its turn, the next one has it.
func (l *lines) leave(key, run string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := l.m[key]
	i := slices.IndexFunc(line, func(p place) bool { return p.run == run })
	if i < 0 {
		return
	}
	if line[i].timer != nil {
		line[i].timer.Stop()
	}
	l.m[key] = slices.Delete(line, i, i+1)
	switch {
	case len(l.m[key]) == 0:
		delete(l.m, key)
	case i == 0:
		l.begin(key)
	}
}
