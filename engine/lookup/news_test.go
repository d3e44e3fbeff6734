package lookup_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/lookup"
	"github.com/starling-rules/starling/engine/queue"
)

// forgotten is what a process has been told to forget.
type forgotten struct {
	mu   sync.Mutex
	list []string
}

func (f *forgotten) add(kind, team, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, fmt.Sprintf("%s %s %s", kind, team, id))
}

func (f *forgotten) wait(t *testing.T, ok func([]string) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		list := slices.Clone(f.list)
		f.mu.Unlock()
		if ok(list) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %q", list)
		}
	}
}

// follow is another process on the same store.
func follow(t *testing.T, store queue.Store) (*lookup.Shelf, *forgotten) {
	s, f := lookup.New(store.State(), nil), &forgotten{}
	s.Share()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Follow(ctx, 2*time.Millisecond, f.add) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return s, f
}

func TestOtherProcessesForgetWhatOneHasFoundOutOfDate(t *testing.T) {
	stores(t, func(t *testing.T, store queue.Store) {
		one, first := follow(t, store)
		two, second := follow(t, store)
		// Whether two is following already shows in what it hears.
		second.wait(t, func(list []string) bool {
			one.Drop("channel", "T1", "C1")
			return slices.Contains(list, "channel T1 C1")
		})
		two.Drop("user", "", "u@x.example")
		first.wait(t, func(list []string) bool { return slices.Contains(list, "user  u@x.example") })
		if _, err := lookup.New(store.State(), nil).Purge(t.Context(), "T2"); err != nil {
			t.Fatal(err)
		}
		for _, f := range []*forgotten{first, second} {
			f.wait(t, func(list []string) bool { return slices.Contains(list, " T2 ") })
		}
		first.wait(t, func(list []string) bool {
			if slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, "channel") }) {
				t.Errorf("a process is told of its own drops: %q", list)
			}
			return true
		})
	})
}

// slow is a state whose readers are kept waiting.
type slow struct {
	queue.State
	gate sync.RWMutex
}

func (s *slow) Get(ctx context.Context, key string) ([]byte, error) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.State.Get(ctx, key)
}

func TestWhoHasMissedTooMuchForgetsEverything(t *testing.T) {
	t.Parallel()
	state := &slow{State: queue.NewMemory(queue.MemoryOptions{}).State()}
	other := lookup.New(state.State, nil)
	f, s := &forgotten{}, lookup.New(state, nil)
	purge := func() {
		if _, err := other.Purge(t.Context(), "T1"); err != nil {
			t.Error(err)
		}
	}
	purge()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Follow(ctx, time.Millisecond, f.add) }()
	f.wait(t, func(list []string) bool { purge(); return len(list) > 0 })
	state.gate.Lock()
	for range 300 {
		purge()
	}
	state.gate.Unlock()
	f.wait(t, func(list []string) bool { return slices.Contains(list, "  ") })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
