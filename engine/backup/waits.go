package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
)

// Runs that wait are rows of their own in a store, and the versions of scripts
// that they wait on are kept by name. One that has ended is nothing to restore.

// elsewhere reports whether a kind is not kept in the state of a store.
func elsewhere(kind string) bool { return kind == Timer || kind == Wait || kind == Source }

// waits exports the runs that wait, and those that have been answered and have
// yet to go on. One that has ended since it was listed is left out.
func (s *Store) waits(ctx context.Context, only Filter, f func(*Record) error) error {
	if !only.letsKind(Wait) {
		return nil
	}
	var runs []string
	if err := s.Queue.Waits().List(ctx, func(p queue.Parked) { runs = append(runs, p.Run) }); err != nil {
		return err
	}
	slices.Sort(runs)
	for _, run := range runs {
		p, err := s.Queue.Waits().Get(ctx, run)
		if errors.Is(err, queue.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		r := &Record{Kind: Wait, Key: run}
		if !only.NoValues {
			r.Data = bytes.Clone(p.Body) // the row shares the memory of the other
		}
		_, _, err = wait.Parked(run, p.Body)
		if errors.Is(err, wait.ErrOver) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read wait %s: %w", run, err)
		}
		if !only.Lets(r) {
			continue
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// sources exports the versions that the runs wait on, once each.
func (s *Store) sources(ctx context.Context, only Filter, f func(*Record) error) error {
	if !only.letsKind(Source) {
		return nil
	}
	names, err := wait.Versions(ctx, s.Queue.Waits())
	if err != nil {
		return err
	}
	for _, name := range names {
		r := &Record{Kind: Source, Key: name}
		if !only.Lets(r) {
			continue
		}
		b, err := s.Queue.Source(ctx, name)
		if errors.Is(err, queue.ErrNotFound) {
			continue // the run will say so
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", r, err)
		}
		if !only.NoValues {
			r.Data = bytes.Clone(b)
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// putWait stores a run that is not there. One that is goes on from where it is,
// whatever the archive says: else it would do again what it has done since.
func (s *Store) putWait(ctx context.Context, r *Record, dry bool) (Change, error) {
	p, _, err := wait.Parked(r.Key, bytes.Clone(r.Data))
	if err != nil {
		return "", err
	}
	_, err = s.Queue.Waits().Get(ctx, r.Key)
	switch {
	case err == nil:
		return Same, nil
	case !errors.Is(err, queue.ErrNotFound):
		return "", err
	case dry:
		return Added, nil
	}
	_, err = s.Queue.Waits().Put(ctx, p, 0)
	if errors.Is(err, queue.ErrChanged) {
		return Same, nil
	}
	return Added, err
}

// putSource stores a version; its name says what it is, so it does not change.
func (s *Store) putSource(ctx context.Context, r *Record, dry bool) (Change, error) {
	_, err := s.Queue.Source(ctx, r.Key)
	switch {
	case err == nil:
		return Same, nil
	case !errors.Is(err, queue.ErrNotFound):
		return "", err
	case dry:
		return Added, nil
	}
	return Added, s.Queue.PutSource(ctx, r.Key, r.Data)
}

func (s *Store) deleteElsewhere(ctx context.Context, r *Record) error {
	switch r.Kind {
	case Timer:
		return s.Queue.Timers().Cancel(ctx, r.Owner, r.Key)
	case Wait:
		p, err := s.Queue.Waits().Get(ctx, r.Key)
		if errors.Is(err, queue.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.Queue.Waits().Drop(ctx, r.Key, p.Rev)
	}
	return nil // a version is of no harm, and other runs may need it
}
