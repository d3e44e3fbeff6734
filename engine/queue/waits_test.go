package queue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/queue/queuetest"
)

// What one process parks, another sees at once, and of two that go on with it
// one wins.
func TestParkedRunsAreFollowedByProcesses(t *testing.T) {
	t.Parallel()
	url := queuetest.Server(t)
	a, b := open(t, external(url)), open(t, external(url))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := make(chan queue.Parked, 10)
	go func() { _ = b.Waits().Watch(ctx, func(p queue.Parked) { seen <- p }, func() {}) }()
	next := func(run, mark string) queue.Parked {
		t.Helper()
		select {
		case p := <-seen:
			if p.Run != run || p.Mark != mark {
				t.Errorf("got %+v, want %s %s", p, run, mark)
			}
			return p
		case <-time.After(20 * time.Second):
			t.Fatalf("%s is not seen", run)
		}
		return queue.Parked{}
	}
	rev, err := a.Waits().Put(ctx, queue.Parked{Run: "r", Mark: "waiting"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if p := next("r", "waiting"); p.Rev != rev {
		t.Errorf("revision %d, want %d", p.Rev, rev)
	}
	if _, err := b.Waits().Put(ctx, queue.Parked{Run: "r", Mark: "answered", Rev: rev}, time.Hour); err != nil {
		t.Error(err)
	}
	if _, err := a.Waits().Put(ctx, queue.Parked{Run: "r", Mark: "late", Rev: rev}, 0); !errors.Is(err, queue.ErrChanged) {
		t.Errorf("the second of two: %v, want ErrChanged", err)
	}
	next("r", "answered")
}
