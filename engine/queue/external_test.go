package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/queue/queuetest"
)

func external(url string) queue.Options {
	return queue.Options{URL: url, Shards: 2, MaxBytes: 64 << 20, Lease: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)}
}

func TestExternal(t *testing.T) {
	t.Parallel()
	url := queuetest.Server(t)
	var n atomic.Int64
	queuetest.Run(t, func(t *testing.T) (queue.Store, func() queue.Store) {
		o := external(url)
		o.Prefix = fmt.Sprint("t", n.Add(1))
		o.MaxBytes = 24 << 20
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

type received struct {
	who string
	queue.Delivery
}

// process is one dispatch process on the shared servers.
func process(t *testing.T, s *queue.JetStream, who string, to chan received) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- s.Consume(ctx, 1000, func(d queue.Delivery) { to <- received{who, d} })
	}()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			<-done
		}
	}
	t.Cleanup(stop)
	return stop
}

func next(t *testing.T, ch chan received) received {
	t.Helper()
	select {
	case r := <-ch:
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("no delivery")
		return received{}
	}
}

func TestShardsAreSharedByProcesses(t *testing.T) {
	t.Parallel()
	url := queuetest.Server(t)
	ingress := open(t, external(url))
	a, b := open(t, external(url)), open(t, external(url))
	ch := make(chan received, 1000)
	process(t, a, "a", ch)
	process(t, b, "b", ch)
	// Both get a part once each knows of the other.
	seen := make(map[string]bool)
	ids := make(map[string]bool)
	deadline := time.Now().Add(30 * time.Second)
	for i := 0; len(seen) < 2; i++ {
		if time.Now().After(deadline) {
			t.Fatalf("only %v get events", seen)
		}
		id := fmt.Sprint("e", i)
		if err := ingress.Put(context.Background(), queue.Record{ID: id, Key: id, Body: []byte(id)}); err != nil {
			t.Fatal(err)
		}
		r := next(t, ch)
		if r.Attempt() == 1 && ids[r.ID()] {
			t.Errorf("%s delivered twice", r.ID())
		}
		ids[r.ID()] = true
		seen[r.who] = true
		r.Settle()
	}
	if err := errors.Join(a.Flush(context.Background()), b.Flush(context.Background())); err != nil {
		t.Error(err)
	}
}

func TestDuplicateOverTwoIngressProcesses(t *testing.T) {
	t.Parallel()
	url := queuetest.Server(t)
	a, b := open(t, external(url)), open(t, external(url))
	for _, s := range []*queue.JetStream{a, b} {
		err := s.Put(context.Background(), queue.Record{ID: "same", Key: "k", Body: []byte("x")})
		if err != nil && !errors.Is(err, queue.ErrDuplicate) {
			t.Fatal(err)
		}
	}
	ch := make(chan received, 10)
	process(t, b, "b", ch)
	r := next(t, ch)
	r.Settle()
	if err := a.Put(context.Background(), queue.Record{ID: "fence", Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if r := next(t, ch); r.ID() != "fence" {
		t.Errorf("delivered %s again", r.ID())
	}
}

func TestTakeOverFencesTheOldOwner(t *testing.T) {
	t.Parallel()
	url := queuetest.Server(t)
	old, young := open(t, external(url)), open(t, external(url))
	ctx := context.Background()
	ch := make(chan received, 100)
	process(t, old, "old", ch)
	if err := young.Put(ctx, queue.Record{ID: "a", Key: "k", Body: []byte("body")}); err != nil {
		t.Fatal(err)
	}
	first := next(t, ch)
	if err := first.Append(ctx, queue.Entry{Type: 1, Body: []byte("one")}); err != nil {
		t.Fatal(err)
	}
	// The old owner stalls: its lease is not renewed, the other takes over.
	if err := queue.StopLeases(old); err != nil {
		t.Fatal(err)
	}
	process(t, young, "young", ch)
	second := next(t, ch)
	if second.who != "young" || second.ID() != "a" || second.Attempt() != 2 || string(second.Body()) != "body" {
		t.Fatalf("%s got %s, attempt %d, %q", second.who, second.ID(), second.Attempt(), second.Body())
	}
	if h := second.History(); len(h) != 1 || string(h[0].Body) != "one" {
		t.Errorf("history %v", h)
	}
	if err := first.Append(ctx, queue.Entry{Type: 1, Body: []byte("late")}); !errors.Is(err, queue.ErrFenced) {
		t.Errorf("Append of the old owner: %v, want ErrFenced", err)
	}
	if err := second.Append(ctx, queue.Entry{Type: 1, Body: []byte("two")}); err != nil {
		t.Errorf("Append of the new owner: %v", err)
	}
	second.Settle()
	if err := young.Flush(ctx); err != nil {
		t.Error(err)
	}
}

func TestAnswersBetweenProcesses(t *testing.T) {
	t.Parallel()
	url := queuetest.Server(t)
	a, b := open(t, external(url)), open(t, external(url))
	got := make(chan string, 1)
	a.OnAnswer(func(id string, body []byte) { got <- id + "=" + string(body) })
	if a.Address() == b.Address() {
		t.Fatal("one address for two processes")
	}
	if err := b.SendAnswer(context.Background(), a.Address(), "e1", []byte("yes")); err != nil {
		t.Fatal(err)
	}
	select {
	case s := <-got:
		if s != "e1=yes" {
			t.Errorf("got %q", s)
		}
	case <-time.After(10 * time.Second):
		t.Error("no answer")
	}
	if err := b.SendAnswer(context.Background(), "gone", "e1", []byte("yes")); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("SendAnswer to a process that is not there: %v", err)
	}
	if err := b.SendAnswer(context.Background(), "bad address", "e1", nil); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("SendAnswer to a bad address: %v", err)
	}
}
