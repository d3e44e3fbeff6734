package wait

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

// reading is one reading of all rows.
type reading struct {
	g        *Registry
	reads    bool     // it has not come to its end
	all      bool     // they have been read: what comes now is news
	answered []string // runs to be told to go on
	bytes    int64    // of ended rows
}

// read begins one: end it.
func (g *Registry) read() *reading {
	g.index.keepGone(1)
	g.ended.Store(0) // what ends from now on is counted as it does
	return &reading{g: g, reads: true}
}

func (r *reading) end() {
	if r.reads {
		r.reads = false
		r.g.index.keepGone(-1)
	}
}

// row takes a row that was read, or written by somebody.
func (r *reading) row(p queue.Parked) {
	g := r.g
	s, err := readMark(p, false)
	if err != nil {
		g.o.Logger.Error("a parked run cannot be read", "run", p.Run, "err", err)
		return
	}
	g.index.set(s)
	switch {
	case r.all:
		g.tell()
	case s.State == Answered:
		r.answered = append(r.answered, s.Run)
	case s.State == Ended:
		r.bytes += int64(s.Bytes)
	}
}

// over says that all rows have been read.
func (r *reading) over() {
	g := r.g
	r.all = true
	r.end()
	g.ended.Add(r.bytes)
	g.tell()
	g.loading.Do(func() { close(g.loaded) })
}

// goOn has the runs go on that are answered: who answered them may not have
// come so far. A run that cannot is no reason to leave the others.
func (r *reading) goOn(ctx context.Context) error {
	for _, run := range r.answered {
		row, err := r.g.Get(ctx, run)
		if errors.Is(err, queue.ErrNotFound) || err == nil && row.State != Answered {
			continue
		}
		if err == nil {
			err = r.g.Continue(ctx, row)
		}
		switch {
		case err == nil:
		case errors.Is(err, queue.ErrUnavailable), errors.Is(err, queue.ErrFull), errors.Is(err, queue.ErrClosed), ctx.Err() != nil:
			return err
		default:
			r.g.o.Logger.Error("an answered run cannot go on", "run", run, "err", err)
		}
	}
	return nil
}

// Load reads the rows: the index is full then, and those have been told to go
// on whose answer an earlier process could not pass on.
func (g *Registry) Load(ctx context.Context) error {
	r := g.read()
	defer r.end()
	if err := g.rows.List(ctx, r.row); err != nil {
		return err
	}
	r.over()
	return r.goOn(ctx)
}

// Loaded is closed when the rows have been read once: until then Find may miss
// runs that parked before this process began.
func (g *Registry) Loaded() <-chan struct{} { return g.loaded }

// Follow does what Load does, and goes on with what other processes write until
// ctx ends. After a failure it begins anew.
func (g *Registry) Follow(ctx context.Context) {
	for ctx.Err() == nil {
		failed := make(chan error, 1)
		reading, stop := context.WithCancelCause(ctx)
		r := g.read()
		err := g.rows.Watch(reading, r.row, func() {
			r.over()
			go func() { // whoever writes meanwhile is not kept waiting
				err := r.goOn(reading)
				if err != nil {
					stop(err)
				}
				failed <- err
			}()
		})
		stop(err)
		r.end()
		if r.all {
			err = errors.Join(<-failed, err)
		}
		if ctx.Err() != nil {
			return
		}
		g.o.Logger.Warn("parked runs are read anew", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// Versions are those that runs wait on, or have yet to go on with, sorted.
func Versions(ctx context.Context, rows queue.Waits) ([]string, error) {
	needed := map[string]struct{}{}
	err := rows.List(ctx, func(p queue.Parked) {
		if s, err := Summarize(p); err == nil && s.State != Ended {
			needed[s.Digest] = struct{}{}
		}
	})
	return slices.Sorted(maps.Keys(needed)), err
}
