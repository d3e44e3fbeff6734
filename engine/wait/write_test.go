package wait_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
)

// during is a store that calls something before and behind each write of a row.
type during struct {
	queue.Store
	before func()
	behind func(rev uint64, err error) (uint64, error)
}

func (s *during) Waits() queue.Waits { return &duringWaits{s.Store.Waits(), s} }

type duringWaits struct {
	queue.Waits
	s *during
}

func (w *duringWaits) Put(ctx context.Context, p queue.Parked, ttl time.Duration) (uint64, error) {
	if w.s.before != nil {
		w.s.before()
	}
	rev, err := w.Waits.Put(ctx, p, ttl)
	if w.s.behind != nil {
		rev, err = w.s.behind(rev, err)
	}
	return rev, err
}

func memory(t *testing.T) queue.Store {
	s := queue.NewMemory(queue.MemoryOptions{})
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func message(n string) *event.Event {
	return &event.Event{Kind: event.Message, Team: "T1", Channel: "C" + n}
}

// What comes while a row is written finds the run, and not if that failed.
func TestARunIsFoundWhileItsRowIsWritten(t *testing.T) {
	t.Parallel()
	failure := errors.New("disk full")
	for name, fail := range map[string]error{"written": nil, "failed": failure} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var g *wait.Registry
			found := 0
			look := func() {
				if slices.Equal(g.Find(message("7")), []string{rowOf(7).Run}) && g.Expected(rowOf(7).Run) {
					found++
				}
			}
			g = wait.NewRegistry(wait.Options{Store: &during{memory(t), look, func(rev uint64, err error) (uint64, error) {
				look()
				return rev, errors.Join(err, fail)
			}}})
			if err := g.Park(t.Context(), rowOf(7)); !errors.Is(err, fail) {
				t.Fatal(err)
			}
			if found != 2 {
				t.Errorf("found %d times of 2", found)
			}
			if got, want := len(g.Find(message("7"))) == 1, fail == nil; got != want {
				t.Errorf("afterwards it is found: %v", got)
			}
			if g.Expected(rowOf(7).Run) {
				t.Error("it is expected for ever")
			}
		})
	}
}

// Whoever finds a run before its writer comes back may answer it: the index
// does not take it for one that waits thereafter.
func TestARunMayBeAnsweredBeforeItsWriterIsTold(t *testing.T) {
	t.Parallel()
	var g *wait.Registry
	first := true
	g = wait.NewRegistry(wait.Options{Store: &during{Store: memory(t), behind: func(rev uint64, err error) (uint64, error) {
		if first {
			first = false
			if _, won, err := g.Claim(context.Background(), rowOf(7).Run, wait.Point{Step: 2}, &wait.Answer{By: wait.ByOperator, At: time.Now()}); !won || err != nil {
				t.Error(won, err)
			}
		}
		return rev, err
	}}})
	if err := g.Park(t.Context(), rowOf(7)); err != nil {
		t.Fatal(err)
	}
	if g.Len() != 0 || len(g.Find(message("7"))) != 0 {
		t.Errorf("%d runs wait, found %v", g.Len(), g.Find(message("7")))
	}
}

// A row that was written, though the store said that it does not know, is found
// once the run is parked again.
func TestARowOfAnUncertainWriteIsFound(t *testing.T) {
	t.Parallel()
	first := true
	g := wait.NewRegistry(wait.Options{Store: &during{Store: memory(t), behind: func(rev uint64, err error) (uint64, error) {
		if first {
			first = false
			return 0, queue.ErrUnavailable
		}
		return rev, err
	}}})
	if err := g.Park(t.Context(), rowOf(7)); !errors.Is(err, queue.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := g.Park(t.Context(), rowOf(7)); err != nil {
		t.Fatal(err)
	}
	if g.Len() != 1 || len(g.Find(message("7"))) != 1 {
		t.Errorf("%d runs wait, found %v", g.Len(), g.Find(message("7")))
	}
}

// Looking for a row that is not there yet does not forget the one that comes.
func TestARowThatIsLookedForTooEarlyIsNotForgotten(t *testing.T) {
	t.Parallel()
	var g *wait.Registry
	g = wait.NewRegistry(wait.Options{Store: &early{memory(t), func() {
		if err := g.Park(context.Background(), rowOf(7)); err != nil {
			t.Error(err)
		}
	}}})
	if _, err := g.Get(t.Context(), rowOf(7).Run); !errors.Is(err, queue.ErrNotFound) {
		t.Fatal(err)
	}
	if len(g.Find(message("7"))) != 1 {
		t.Error("it is not found")
	}
}

// early is a store that calls something between a read of a row and its result.
type early struct {
	queue.Store
	then func()
}

func (s *early) Waits() queue.Waits { return &earlyWaits{s.Store.Waits(), s} }

type earlyWaits struct {
	queue.Waits
	s *early
}

func (w *earlyWaits) Get(ctx context.Context, run string) (queue.Parked, error) {
	p, err := w.Waits.Get(ctx, run)
	w.s.then()
	return p, err
}

// What an event has to be tested against is bounded.
func TestNoMoreThanSoManyRunsWaitForTheSame(t *testing.T) {
	t.Parallel()
	g := wait.NewRegistry(wait.Options{Store: memory(t)})
	park := func(n int) error {
		r := rowOf(n)
		r.Wait.Keys, r.Base = []string{wait.Key("event", "T1", "message")}, nil
		return g.Park(t.Context(), r)
	}
	for n := range wait.MaxPerKey + 1 {
		if err := park(n); err != nil {
			t.Fatalf("run %d: %v", n, err)
		}
	}
	if err := park(wait.MaxPerKey + 1); !errors.Is(err, wait.ErrCrowded) {
		t.Errorf("one too many: %v", err)
	}
	if err := g.Park(t.Context(), rowOf(1<<20)); err != nil {
		t.Errorf("of another key: %v", err)
	}
}
