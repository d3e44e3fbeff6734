package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Parked is a run that is not under way: it waits, or it has ended and is kept
// to be looked at.
type Parked struct {
	// Run is the id of the run, and of the row.
	Run string
	// Mark is short text (MaxMark bytes, no line breaks): what List and Watch
	// show of a row.
	Mark string
	// Body is opaque; List and Watch leave it out.
	Body []byte
	// Rev is the revision that was read; Put writes if it is still the present
	// one, 0 if there must be no row.
	Rev uint64
	// At is when the row was written; Put takes no notice of it.
	At time.Time
}

// MaxMark is how many bytes Parked.Mark may have.
const MaxMark = 1024

// Waits are the parked runs of a store, one row each. All methods are safe for
// concurrent use and work in every process: a run that one parks, another may
// find and take up. What changes a row names the revision that it read, so that
// of several who want to go on with a run one wins, and the others are told.
type Waits interface {
	// Put writes a row in the place of revision p.Rev and returns the new
	// revision, or ErrChanged. With ttl the row goes away after that time, or
	// somewhat later, unless it is written again; 0: it stays.
	// Errors besides are those of Store.Put; after ErrUnavailable the row may
	// have been written.
	Put(ctx context.Context, p Parked, ttl time.Duration) (rev uint64, err error)
	// Get returns a row, or ErrNotFound.
	Get(ctx context.Context, run string) (Parked, error)
	// Drop removes a row if its revision is still rev; there need be none.
	Drop(ctx context.Context, run string, rev uint64) error
	// List calls f with every row, without bodies, in no order.
	List(ctx context.Context, f func(Parked)) error
	// Watch is List, calls all, and goes on with every row that is written until
	// ctx ends. Of a store that no other process writes to there are none: who
	// writes here knows. It returns an error if it lost track.
	Watch(ctx context.Context, f func(Parked), all func()) error
	// Shared reports whether other processes may write to the store as well.
	Shared() bool
	// Room is how many bytes all rows may take; 0: no bound.
	Room() int64
}

// RowOverhead is about what a row takes beside its body and mark.
const RowOverhead = 256

// waits implements Waits on a table.
type waits struct {
	core  *core
	table table
}

// Waits implements Store.
func (c *core) Waits() Waits { return &waits{c, c.table.wait} }

func (w *waits) Put(ctx context.Context, p Parked, ttl time.Duration) (uint64, error) {
	if err := checkKey(p.Run); err != nil {
		return 0, fmt.Errorf("park run: %w", err)
	}
	if len(p.Body)+len(p.Mark)+2*maxKey > w.core.maxEvent || len(p.Mark) > MaxMark {
		return 0, fmt.Errorf("park run %s of %d bytes: %w", p.Run, len(p.Body), ErrTooLarge)
	}
	rev, err := w.table.put(ctx, p.Run, append([]byte{formatVersion}, p.Body...), p.Mark, p.Rev, ttl)
	if errors.Is(err, errConflict) {
		err = ErrChanged
	}
	if err != nil {
		return 0, fmt.Errorf("park run %s: %w", p.Run, err)
	}
	return rev, nil
}

func (w *waits) Get(ctx context.Context, run string) (Parked, error) {
	if err := checkKey(run); err != nil {
		return Parked{}, fmt.Errorf("read parked run: %w", err)
	}
	r, err := w.table.get(ctx, run)
	if err != nil {
		return Parked{}, fmt.Errorf("read parked run %s: %w", run, err)
	}
	m, err := openMessage(r.data)
	if err != nil {
		return Parked{}, fmt.Errorf("read parked run %s: %w", run, err)
	}
	// Whoever appends to it has a copy: others may have been given the same.
	return Parked{Run: run, Mark: r.mark, Body: slices.Clip(m.b), Rev: r.rev, At: r.at}, nil
}

func (w *waits) Drop(ctx context.Context, run string, rev uint64) error {
	if err := checkKey(run); err != nil {
		return fmt.Errorf("drop parked run: %w", err)
	}
	if err := w.table.dropAt(ctx, run, rev); err != nil {
		return fmt.Errorf("drop parked run %s: %w", run, err)
	}
	return nil
}

func (w *waits) List(ctx context.Context, f func(Parked)) error {
	if err := w.table.list(ctx, "", w.show(f)); err != nil {
		return fmt.Errorf("list parked runs: %w", err)
	}
	return nil
}

func (w *waits) Watch(ctx context.Context, f func(Parked), all func()) error {
	if !w.core.shared {
		if err := w.List(ctx, f); err != nil {
			return err
		}
		all()
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if err := w.table.watch(ctx, "", w.show(f), all); err != nil {
		return fmt.Errorf("follow parked runs: %w", err)
	}
	return nil
}

func (w *waits) Shared() bool { return w.core.shared }

func (w *waits) Room() int64 { return w.core.room }

func (w *waits) show(f func(Parked)) func(row) {
	return func(r row) { f(Parked{Run: r.key, Mark: r.mark, Rev: r.rev, At: r.at}) }
}
