package wait_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
)

// However many runs park at once, what is told last is how many wait.
func TestChangedIsToldTheNewestLast(t *testing.T) {
	t.Parallel()
	var told atomic.Int64
	g := wait.NewRegistry(wait.Options{Store: queue.NewMemory(queue.MemoryOptions{}), Changed: func(n int) {
		for range n % 7 {
			runtime.Gosched() // the next one overtakes, if it can
		}
		told.Store(int64(n))
	}})
	for round := range 50 {
		var wg sync.WaitGroup
		for k := range 20 {
			wg.Go(func() {
				if err := g.Park(context.Background(), rowOf(round*20+k)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if want := (round + 1) * 20; told.Load() != int64(want) || g.Len() != want {
			t.Fatalf("told %d of %d that wait (%d indexed)", told.Load(), want, g.Len())
		}
	}
}
