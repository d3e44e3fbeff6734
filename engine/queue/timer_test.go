package queue_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/queue/queuetest"
)

// rang is a timer that a process was handed.
type rang struct {
	who string
	queue.Timer
}

func rings(s *queue.JetStream, who string, to chan rang) {
	s.OnTimer(func(_ context.Context, t queue.Timer) error {
		to <- rang{who, t}
		return nil
	})
}

func collect(t *testing.T, ch chan rang, n int) map[string]string {
	t.Helper()
	got := map[string]string{}
	for len(got) < n {
		select {
		case r := <-ch:
			if got[r.ID] != "" {
				t.Errorf("%s was handed to %s and to %s", r.ID, got[r.ID], r.who)
			}
			got[r.ID] = r.who
		case <-time.After(30 * time.Second):
			t.Fatalf("%d of %d timers", len(got), n)
		}
	}
	return got
}

func TestTimersAreSharedByProcesses(t *testing.T) {
	t.Parallel()
	url := queuetest.Server(t)
	setter, a, b := open(t, external(url)), open(t, external(url)), open(t, external(url))
	ch := make(chan rang, 1000)
	rings(a, "a", ch)
	rings(b, "b", ch)
	events := make(chan received, 1000)
	stopA := process(t, a, "a", events)
	process(t, b, "b", events)
	set := func(round int) {
		t.Helper()
		for i := range 20 {
			err := setter.Timers().Set(context.Background(), queue.Timer{
				ID: fmt.Sprint(round, "/", i), Key: fmt.Sprint("k", i), At: time.Now().Add(time.Duration(i) * 10 * time.Millisecond), Body: []byte("x"),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	// Once each knows of the other, both get their part, and no timer comes twice.
	who := map[string]bool{}
	for round, deadline := 0, time.Now().Add(30*time.Second); len(who) < 2; round++ {
		if time.Now().After(deadline) {
			t.Fatalf("only %v get timers", who)
		}
		set(round)
		for _, w := range collect(t, ch, 20) {
			who[w] = true
		}
	}
	// One leaves while timers wait: the other has them all.
	set(-1)
	stopA()
	set(-2)
	late := 0
	for _, w := range collect(t, ch, 40) {
		if w == "b" {
			late++
		}
	}
	if late < 20 {
		t.Errorf("the one that stays got %d timers", late)
	}
}

// TestTimersWaitWithoutWork lets a clock run for a year: nothing happens but
// what is due, at its time.
func TestTimersWaitWithoutWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := queue.NewMemory(queue.MemoryOptions{})
		began := time.Now()
		ctx, cancel := context.WithCancel(context.Background())
		var at []time.Duration
		s.OnTimer(func(_ context.Context, v queue.Timer) error {
			at = append(at, time.Since(began))
			if v.ID == "fails" && len(at) < 4 {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		done := make(chan error, 1)
		go func() { done <- s.Consume(ctx, 1, func(queue.Delivery) {}) }()
		for id, in := range map[string]time.Duration{"minute": time.Minute, "fails": time.Hour, "day": 24*time.Hour + time.Nanosecond} {
			if err := s.Timers().Set(ctx, queue.Timer{ID: id, At: began.Add(in)}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(365 * time.Hour)
		cancel()
		<-done
		want := []time.Duration{
			time.Minute, time.Hour, time.Hour + time.Second, time.Hour + 3*time.Second, 24*time.Hour + time.Nanosecond,
		}
		if fmt.Sprint(at) != fmt.Sprint(want) {
			t.Errorf("handed over after %v, want %v", at, want)
		}
	})
}

func BenchmarkTimerSet(b *testing.B) {
	for _, waiting := range []int{0, 100_000} {
		b.Run(fmt.Sprint(waiting, " waiting"), func(b *testing.B) {
			s := queue.NewMemory(queue.MemoryOptions{})
			ctx, cancel := context.WithCancel(context.Background())
			s.OnTimer(func(context.Context, queue.Timer) error { return nil })
			done := make(chan error, 1)
			go func() { done <- s.Consume(ctx, 1, func(queue.Delivery) {}) }()
			at := time.Now().Add(time.Hour)
			for i := range waiting {
				_ = s.Timers().Set(ctx, queue.Timer{ID: fmt.Sprint("w", i), At: at.Add(time.Duration(i))})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := s.Timers().Set(ctx, queue.Timer{ID: fmt.Sprint("t", i%1000), At: at}); err != nil {
					b.Fatal(err)
				}
			}
			cancel()
			<-done
		})
	}
}
