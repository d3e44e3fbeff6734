package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

// cpu is the processor time this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func measure(b *testing.B, f func()) {
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	f()
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
}

var body = bytes.Repeat([]byte("slack-ish "), 119)

func benchStore(b *testing.B, o queue.Options) *queue.JetStream {
	o.Dir, o.MinFreeDisk = b.TempDir(), -1
	s, err := queue.Open(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// drain settles every event as it comes.
func drain(b *testing.B, s queue.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Consume(ctx, 100_000, func(d queue.Delivery) { d.Settle() }) }()
	b.Cleanup(func() { cancel(); <-done })
}

func benchPut(b *testing.B, s queue.Store, putters int) {
	drain(b, s)
	var n atomic.Int64
	measure(b, func() {
		done := make(chan error, putters)
		for range putters {
			go func() {
				for {
					i := n.Add(1)
					if i > int64(b.N) {
						done <- nil
						return
					}
					r := queue.Record{ID: fmt.Sprint("Ev", i), Key: fmt.Sprint("T1/C", i%97), Body: body}
					if err := s.Put(context.Background(), r); err != nil {
						done <- err
						return
					}
				}
			}()
		}
		for range putters {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
	})
	if st := s.Stats(); st.Groups > 0 {
		b.ReportMetric(float64(st.Events)/float64(st.Groups), "events/group")
	}
}

func BenchmarkPut(b *testing.B) {
	for _, putters := range []int{1, 32} {
		b.Run(fmt.Sprintf("jetstream/%d", putters), func(b *testing.B) { benchPut(b, benchStore(b, queue.Options{}), putters) })
		b.Run(fmt.Sprintf("nosync/%d", putters), func(b *testing.B) { benchPut(b, benchStore(b, queue.Options{NoSync: true}), putters) })
		b.Run(fmt.Sprintf("memory/%d", putters), func(b *testing.B) { benchPut(b, queue.NewMemory(queue.MemoryOptions{}), putters) })
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, events := range []int{1, 32} {
		b.Run(fmt.Sprintf("jetstream/%d", events), func(b *testing.B) {
			s := benchStore(b, queue.Options{})
			ds := make(chan queue.Delivery, events)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- s.Consume(ctx, 1000, func(d queue.Delivery) { ds <- d }) }()
			b.Cleanup(func() { cancel(); <-done })
			for i := range events {
				if err := s.Put(ctx, queue.Record{ID: fmt.Sprint(i), Key: fmt.Sprint(i), Body: body}); err != nil {
					b.Fatal(err)
				}
			}
			var n atomic.Int64
			e := queue.Entry{Type: 1, Body: body[:300]}
			measure(b, func() {
				errs := make(chan error, events)
				for range events {
					d := <-ds
					go func() {
						var err error
						for err == nil && n.Add(1) <= int64(b.N) {
							err = d.Append(ctx, e)
						}
						errs <- err
					}()
				}
				for range events {
					if err := <-errs; err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkRecent lists the latest of many events: it has the lock of the store
// as long as it looks for them.
func BenchmarkRecent(b *testing.B) {
	s := queue.NewMemory(queue.MemoryOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	const events = 100_000
	go func() {
		done <- s.Consume(ctx, events, func(d queue.Delivery) { d.Settle(queue.Entry{Type: 1, Body: body[:100]}) })
	}()
	b.Cleanup(func() { cancel(); <-done })
	for i := range events {
		if err := s.Put(ctx, queue.Record{ID: fmt.Sprint("Ev", i), Key: fmt.Sprint("T1/C", i%97), Body: body}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	measure(b, func() {
		for range b.N {
			if infos, err := s.Recent(ctx, 50); err != nil || len(infos) != 50 {
				b.Fatalf("%d %v", len(infos), err)
			}
		}
	})
}

func BenchmarkStateUpdate(b *testing.B) {
	s := benchStore(b, queue.Options{})
	i := 0
	measure(b, func() {
		for range b.N {
			i++
			_, err := s.State().Update(context.Background(), "ns/key", fmt.Sprint("run/", i), false, func([]byte, bool) (queue.Change, error) {
				return queue.Change{Value: body[:400]}, nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkNewMemory is what a test of a script pays for its store.
func BenchmarkNewMemory(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s := queue.NewMemory(queue.MemoryOptions{})
		if err := s.Put(context.Background(), queue.Record{ID: "a", Body: body}); err != nil {
			b.Fatal(err)
		}
		_ = s.Close(context.Background())
	}
}

// BenchmarkOpen opens a store in which 100,000 events wait, most of them alone
// in their message: the slowest way to have them.
func BenchmarkOpen(b *testing.B) {
	for _, putters := range []int{1, 64} {
		b.Run(fmt.Sprintf("put by %d", putters), func(b *testing.B) {
			o := queue.Options{Dir: b.TempDir(), MinFreeDisk: -1, NoSync: true}
			s, err := queue.Open(context.Background(), o)
			if err != nil {
				b.Fatal(err)
			}
			fill(b, s, 100_000, putters)
			if err := s.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
			o.NoSync = false
			for b.Loop() {
				s, err := queue.Open(context.Background(), o)
				if err != nil {
					b.Fatal(err)
				}
				if n := s.Stats().Pending; n != 100_000 {
					b.Fatalf("%d pending", n)
				}
				b.StopTimer()
				_ = s.Close(context.Background())
				b.StartTimer()
			}
		})
	}
}

func fill(tb testing.TB, s queue.Store, events, putters int) {
	tb.Helper()
	var n atomic.Int64
	done := make(chan error, putters)
	for range putters {
		go func() {
			var err error
			for i := n.Add(1); err == nil && i <= int64(events); i = n.Add(1) {
				err = s.Put(context.Background(), queue.Record{ID: fmt.Sprint("Ev", i), Key: fmt.Sprint("T1/C", i%97), Body: body})
			}
			done <- err
		}()
	}
	for range putters {
		if err := <-done; err != nil {
			tb.Fatal(err)
		}
	}
}
