package queue_test

import (
	"context"
	"testing"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/queue/queuetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(*testing.T) (queue.Store, func() queue.Store) {
		return queue.NewMemory(queue.MemoryOptions{}), nil
	})
}

// A Memory reopened on the same logs runs the whole recovery without a disk.
func TestMemoryReopened(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) (queue.Store, func() queue.Store) {
		m := queue.NewMemory(queue.MemoryOptions{Shards: 3})
		return m, func() queue.Store {
			n, err := queue.Reopen(m)
			if err != nil {
				t.Fatal(err)
			}
			m = n
			return n
		}
	})
}

func open(t *testing.T, o queue.Options) *queue.JetStream {
	t.Helper()
	if o.MinFreeDisk == 0 {
		o.MinFreeDisk = -1
	}
	s, err := queue.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func TestJetStream(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) (queue.Store, func() queue.Store) {
		o := queue.Options{Dir: t.TempDir()}
		s := open(t, o)
		return s, func() queue.Store {
			if err := s.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			s = open(t, o)
			return s
		}
	})
}
