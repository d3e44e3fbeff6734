package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

// Store is the Target that a store is. Safe for concurrent use.
type Store struct {
	Queue queue.Store
	Now   func() time.Time
	// Done is called when something was stored, by Finish; may be nil.
	Done func(ctx context.Context) error

	count atomic.Int64 // of operations, for their names
}

var _ Target = (*Store)(nil)

// Export implements Target. The keys are listed at once, their values read one
// by one: what expires or is deleted meanwhile is left out.
func (s *Store) Export(ctx context.Context, only Filter, f func(*Record) error) error {
	byKind := map[string][]*Record{}
	keys, err := s.keys(ctx, only)
	if err != nil {
		return err
	}
	for _, k := range keys {
		r := recordAt(k.Key)
		if r == nil || !only.Lets(r) {
			continue
		}
		if !k.Expires.IsZero() {
			at := k.Expires.UTC()
			r.Expires = &at
		}
		byKind[r.Kind] = append(byKind[r.Kind], r)
	}
	for _, kind := range Kinds {
		switch kind {
		case Timer:
			err = s.timers(ctx, only, f)
		case Wait:
			err = s.waits(ctx, only, f)
		case Source:
			err = s.sources(ctx, only, f)
		}
		if err != nil {
			return err
		}
		for _, r := range byKind[kind] {
			if err := s.read(ctx, r, only.NoValues, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// keys lists the keys that the filter may let through: of one key it asks for
// that alone.
func (s *Store) keys(ctx context.Context, only Filter) ([]queue.KeyInfo, error) {
	if only.Key == "" || len(only.Kinds) != 1 || elsewhere(only.Kinds[0]) {
		return s.Queue.State().Keys(ctx, "")
	}
	r := Record{Kind: only.Kinds[0], Script: only.Script, Key: only.Key}
	if err := r.checkNames(); err != nil {
		return nil, err
	}
	_, expires, err := s.Queue.State().Look(ctx, r.place())
	if errors.Is(err, queue.ErrNotFound) {
		return nil, nil
	}
	return []queue.KeyInfo{{Key: r.place(), Expires: expires}}, err
}

func (s *Store) read(ctx context.Context, r *Record, bare bool, f func(*Record) error) error {
	if bare {
		return f(r)
	}
	b, err := s.Queue.State().Get(ctx, r.place())
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", r, err)
	}
	r.hold(b)
	return f(r)
}

func (s *Store) timers(ctx context.Context, only Filter, f func(*Record) error) error {
	if !only.letsKind(Timer) {
		return nil
	}
	all, err := s.Queue.Timers().All(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b queue.Timer) int { return strings.Compare(a.ID, b.ID) })
	for _, t := range all {
		at := t.At.UTC()
		r := &Record{Kind: Timer, Key: t.ID, Owner: t.Key, At: &at}
		if !only.NoValues {
			r.hold(t.Body)
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

// Put implements Target. Records are checked again: they may come from anyone
// who reaches the admin port.
func (s *Store) Put(ctx context.Context, records []*Record, dry bool) ([]Change, error) {
	for _, r := range records {
		if err := r.Check(); err != nil {
			return nil, fmt.Errorf("%s: %w", r, err)
		}
	}
	changes := make([]Change, 0, len(records))
	for _, r := range records {
		put := s.put
		switch r.Kind {
		case Timer:
			put = s.putTimer
		case Wait:
			put = s.putWait
		case Source:
			put = s.putSource
		}
		c, err := put(ctx, r, dry)
		if err != nil {
			return changes, fmt.Errorf("store %s: %w", r, err)
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func (s *Store) put(ctx context.Context, r *Record, dry bool) (Change, error) {
	now := s.Now()
	if r.over(now) {
		return Expired, nil
	}
	b, err := r.held()
	if err != nil {
		return "", err
	}
	change := queue.Change{Value: b}
	if r.Expires != nil {
		change.TTL = r.Expires.Sub(now)
	}
	news, err := s.news(ctx, r, b)
	if err != nil || news == Same || dry {
		return news, err
	}
	_, err = s.Queue.State().Update(ctx, r.place(), s.operation(), false, func([]byte, bool) (queue.Change, error) { return change, nil })
	return news, err
}

func (s *Store) operation() string {
	return fmt.Sprintf("operator.%d.%d", s.Now().UnixNano(), s.count.Add(1))
}

// news is what storing the record makes of what is there.
func (s *Store) news(ctx context.Context, r *Record, b []byte) (Change, error) {
	old, expires, err := s.Queue.State().Look(ctx, r.place())
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return Added, nil
	case err != nil:
		return "", err
	case bytes.Equal(old, b) && (r.Expires == nil && expires.IsZero() || r.Expires != nil && near(*r.Expires, expires)):
		return Same, nil
	}
	return Changed, nil
}

// near tells that two times are those of one record: a store counts from when
// it writes.
func near(a, b time.Time) bool { return a.Sub(b).Abs() < time.Second }

func (s *Store) putTimer(ctx context.Context, r *Record, dry bool) (Change, error) {
	body, err := r.held()
	if err != nil {
		return "", err
	}
	change := Added
	old, err := s.Queue.Timers().Get(ctx, r.Owner, r.Key)
	switch {
	case errors.Is(err, queue.ErrNotFound):
	case err != nil:
		return "", err
	case old.At.Equal(*r.At) && bytes.Equal(old.Body, body):
		return Same, nil
	default:
		change = Changed
	}
	if dry {
		return change, nil
	}
	return change, s.Queue.Timers().Set(ctx, queue.Timer{ID: r.Key, Key: r.Owner, At: *r.At, Body: body})
}

// Delete implements Target.
func (s *Store) Delete(ctx context.Context, records []*Record) error {
	for _, r := range records {
		if err := r.checkNames(); err != nil || !slices.Contains(Kinds, r.Kind) {
			return fmt.Errorf("delete %s: no such record", r)
		}
		if elsewhere(r.Kind) {
			if err := s.deleteElsewhere(ctx, r); err != nil {
				return err
			}
			continue
		}
		_, err := s.Queue.State().Update(ctx, r.place(), s.operation(), false, func(_ []byte, ok bool) (queue.Change, error) {
			return queue.Change{Delete: ok, Keep: !ok}, nil
		})
		if err != nil {
			return fmt.Errorf("delete %s: %w", r, err)
		}
	}
	return nil
}

// Finish implements Target.
func (s *Store) Finish(ctx context.Context) error {
	if s.Done == nil {
		return nil
	}
	return s.Done(ctx)
}
