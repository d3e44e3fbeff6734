package wait_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
)

// slow is a store that calls something between reading its rows and handing
// them over.
type slow struct {
	queue.Store
	meanwhile func() error
}

func (s *slow) Waits() queue.Waits { return &slowWaits{s.Store.Waits(), s} }

type slowWaits struct {
	queue.Waits
	s *slow
}

func (w *slowWaits) List(ctx context.Context, f func(queue.Parked)) error {
	var all []queue.Parked
	if err := w.Waits.List(ctx, func(p queue.Parked) { all = append(all, p) }); err != nil {
		return err
	}
	if err := w.s.meanwhile(); err != nil {
		return err
	}
	for _, p := range all {
		f(p)
	}
	return nil
}

func (w *slowWaits) Watch(ctx context.Context, f func(queue.Parked), all func()) error {
	if err := w.List(ctx, f); err != nil {
		return err
	}
	all()
	<-ctx.Done()
	return context.Cause(ctx)
}

// What goes on while the rows are read is not taken back by what was read.
func TestARunThatGoesOnWhileTheIndexIsReadWaitsNoMore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := &slow{Store: memory(t)}
	before := wait.NewRegistry(wait.Options{Store: s.Store})
	for n := range 3 {
		if err := before.Park(ctx, rowOf(n)); err != nil {
			t.Fatal(err)
		}
	}
	g := wait.NewRegistry(wait.Options{Store: s})
	s.meanwhile = func() error {
		if _, won, err := g.Claim(ctx, rowOf(1).Run, wait.Point{Step: 2}, &wait.Answer{By: wait.ByTimeout, At: time.Now()}); err != nil || !won {
			t.Errorf("claim: %v, %v", won, err)
		}
		if err := g.Park(ctx, rowOf(3)); err != nil {
			t.Error(err)
		}
		return nil
	}
	if err := g.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if g.Len() != 3 || len(g.Find(message("1"))) != 0 || len(g.Find(message("3"))) != 1 {
		t.Errorf("%d wait; found %v and %v", g.Len(), g.Find(message("1")), g.Find(message("3")))
	}
}

// A store that fails is read again, and whoever is answered is told to go on,
// again if the store failed. One that cannot go on is no reason to begin anew.
func TestFollowGoesOnAfterFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store := queue.NewMemory(queue.MemoryOptions{})
		defer store.Close(ctx)
		before := wait.NewRegistry(wait.Options{Store: store, Continue: func(context.Context, *wait.Row) error { return nil }})
		for n := range 3 {
			if err := before.Park(ctx, rowOf(n)); err != nil {
				t.Fatal(err)
			}
		}
		for n := range 2 {
			if _, _, err := before.Claim(ctx, rowOf(n).Run, wait.Point{Step: 2}, &wait.Answer{By: wait.ByOperator, Who: "U1", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		failure := fmt.Errorf("disk full: %w", queue.ErrUnavailable)
		var reads, told atomic.Int64
		var runs []string
		g := wait.NewRegistry(wait.Options{
			Store: &slow{store, func() error {
				if reads.Add(1) == 1 {
					return failure
				}
				return nil
			}},
			Continue: func(_ context.Context, r *wait.Row) error {
				if r.Run == rowOf(0).Run {
					return errors.New("unreadable")
				}
				if told.Add(1) == 1 {
					return failure
				}
				runs = append(runs, r.Run)
				return nil
			},
		})
		select {
		case <-g.Loaded():
			t.Error("loaded before anything was read")
		default:
		}
		done := make(chan struct{})
		go func() { defer close(done); g.Follow(ctx) }()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		<-g.Loaded()
		if reads.Load() != 3 || !slices.Equal(runs, []string{rowOf(1).Run}) || g.Len() != 1 {
			t.Errorf("%d reads, told %v, %d wait", reads.Load(), runs, g.Len())
		}
		cancel()
		<-done
	})
}
