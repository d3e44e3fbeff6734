package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

// cpu is the processor time of this process and its ended children.
func cpu(who int) time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(who, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkHop is the cost of a pass that does nothing, with a 1.2 KB event.
// server-us/op is the processor time of the server's side alone.
func BenchmarkHop(b *testing.B) {
	input := []byte("echo " + strings.Repeat("x", 1200))
	call := func(d runtime.Digest) *runtime.Call {
		return &runtime.Call{Script: d, When: -1, Input: input, RunID: "r1", Now: time.Unix(1e9, 0)}
	}
	b.Run("inprocess", func(b *testing.B) {
		x := runtime.NewExecutor(lang{})
		bd := bundle("a.test", "x")
		if _, err := x.Load(b.Context(), bd, runtime.DefaultLimits); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := x.Run(b.Context(), call(bd.Digest)); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, callers := range []int{1, 4, 32} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			p := newPool(b, worker.Options{})
			d := load(b, p, "x")
			b.ReportAllocs()
			start := cpu(syscall.RUSAGE_SELF)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := p.Run(context.Background(), call(d)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64((cpu(syscall.RUSAGE_SELF)-start).Microseconds())/float64(b.N), "server-us/op")
		})
	}
}

// BenchmarkLoad is 1,000 small scripts from 32 callers.
func BenchmarkLoad(b *testing.B) {
	p := newPool(b, worker.Options{})
	n := 0
	for b.Loop() {
		var wg sync.WaitGroup
		for c := range 32 {
			wg.Go(func() {
				for i := range 1000 / 32 {
					if _, err := p.Load(context.Background(), bundle(fmt.Sprintf("%d-%d-%d.test", n, c, i), "x")); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		n++
	}
}

// BenchmarkStart is a process from its start until it is ready, and its end.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		p, err := worker.New(worker.Options{Workers: 1, Spare: -1, Burst: -1, Memory: memory})
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
