package worker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

func loadAs(t testing.TB, p *worker.Pool, name, src string) runtime.Digest {
	t.Helper()
	b := bundle(name, src)
	if _, err := p.Load(t.Context(), b); err != nil {
		t.Fatalf("load %s: %v", name, err)
	}
	return b.Digest
}

func TestOffendersRunAtLowPriorityUntilForgiven(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2})
	bad, good := loadAs(t, p, "bad.test", "x"), loadAs(t, p, "good.test", "x")
	wantReturn(t, p, bad, "nice", "0 <nil>")
	wantError(t, p, bad, "spin", runtime.LimitError, runtime.LimitDeadline)
	if s := p.Stats(); s.Slowed != 1 {
		t.Fatalf("got %+v: want one slow script", s)
	}
	wantReturn(t, p, bad, "nice", "10 <nil>")
	wantReturn(t, p, good, "nice", "0 <nil>")
	wantError(t, p, bad, "spin", runtime.LimitError, runtime.LimitDeadline)
	for i := range 20 {
		wantReturn(t, p, good, "nice", "0 <nil>")
		wantReturn(t, p, bad, "nice", "10 <nil>")
		if s := p.Stats(); i < 19 && s.Slowed != 1 {
			t.Fatalf("forgiven after %d good passes: %+v", i+1, s)
		}
	}
	wantReturn(t, p, bad, "nice", "0 <nil>")

	// A change of its file is a new beginning as well.
	wantError(t, p, bad, "spin", runtime.LimitError, runtime.LimitDeadline)
	wantReturn(t, p, bad, "nice", "10 <nil>")
	wantReturn(t, p, loadAs(t, p, "bad.test", "y"), "nice", "0 <nil>")
	eventually(t, "workers of low priority to leave", func() bool { return p.Stats().Workers == 2 })
}

func TestScriptsThatBurnWithoutABreachAreSlowToo(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2, Limits: runtime.Limits{Deadline: 20 * time.Second}})
	burn, good := loadAs(t, p, "burn.test", "x"), loadAs(t, p, "good.test", "x")
	for i := 0; p.Stats().Slowed == 0; i++ {
		if i > 20 {
			t.Fatal("20 passes of 200 ms in a row are not found too many")
		}
		wantReturn(t, p, burn, "burn 200ms", "burnt")
	}
	wantReturn(t, p, burn, "nice", "10 <nil>")
	wantReturn(t, p, good, "nice", "0 <nil>")
}

// On a machine that others keep busy a pass takes long because it waits for a
// processor. A script whose passes do that all day is no offender.
func TestPassesThatWaitForAProcessorAreNoOffence(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2, Limits: runtime.Limits{Deadline: 20 * time.Second}})
	d := load(t, p, "x")
	for range 8 { // two seconds and more, of which a quarter would be too much
		wantReturn(t, p, d, "sleep 250ms", "slept")
	}
	if n := p.Stats().Slowed; n != 0 {
		t.Errorf("%d scripts are slow", n)
	}
	wantReturn(t, p, d, "nice", "0 <nil>")
}

func TestManyShortPassesAreNoOffence(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2})
	d := load(t, p, "x")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				wantReturn(t, p, d, fmt.Sprint("echo ", i), fmt.Sprint(i))
			}
		})
	}
	wg.Wait()
	wantReturn(t, p, d, "nice", "0 <nil>")
}

func TestOffendersLeaveTheOtherWorkersAlone(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2, Burst: -1})
	good := loadAs(t, p, "good.test", "x")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 2 {
		d := loadAs(t, p, fmt.Sprintf("bad%d.test", i), "x")
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = p.Run(ctx, call(d, short, "spin"))
				}
			})
		}
	}
	eventually(t, "both to be slow", func() bool { return p.Stats().Slowed == 2 })
	var slowest time.Duration
	for i := range 200 {
		start := time.Now()
		wantReturn(t, p, good, fmt.Sprint("echo ", i), fmt.Sprint(i))
		slowest = max(slowest, time.Since(start))
		if s := p.Stats(); i > 50 && s.Busy > 2 {
			t.Fatalf("got %+v: want one place for all slow scripts", s)
		}
	}
	cancel()
	wg.Wait()
	t.Logf("200 good passes, the slowest %v; %+v", slowest, p.Stats())
}

func TestBacklogOfSlowScriptsIsBounded(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2})
	d := load(t, p, "x")
	wantError(t, p, d, "spin", runtime.LimitError, runtime.LimitDeadline)
	ctx, cancel := context.WithCancel(t.Context())
	waits := []func() (*runtime.Reply, error){p.Queue(ctx, call(d, short, "spin"))}
	for range 1001 {
		waits = append(waits, p.Queue(ctx, call(d, short, "echo x")))
	}
	r, err := waits[len(waits)-1]()
	if err != nil || r.Err == nil || r.Err.Limit != runtime.LimitBacklog {
		t.Errorf("beyond the bound: %+v, %v", r, err)
	}
	// Another script, which has had bad luck, is not made to pay for that.
	unlucky := loadAs(t, p, "unlucky.test", "x")
	wantError(t, p, unlucky, "spin", runtime.LimitError, runtime.LimitDeadline)
	ended := make(chan *runtime.Reply, 1)
	waits = append(waits, p.Queue(ctx, call(unlucky, short, "echo x")))
	go func() {
		r, _ := waits[len(waits)-1]()
		ended <- r
	}()
	select {
	case r := <-ended:
		if r != nil && r.Err != nil {
			t.Errorf("beside the backlog of another: %v", r.Err)
		}
	default: // it waits
	}
	cancel()
	for _, wait := range waits[:len(waits)-2] {
		_, _ = wait()
	}
}

// What has gone well a thousand times is no offender by being unlucky once; what
// is so again is.
func TestOneBreachIsForgivenToWhatHasGoneWellForLong(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2})
	d := loadAs(t, p, "good.test", "x")
	var waits []func() (*runtime.Reply, error)
	for range 1000 {
		waits = append(waits, p.Queue(t.Context(), call(d, short, "echo 1")))
	}
	for _, wait := range waits {
		if r, err := wait(); err != nil || r.Err != nil {
			t.Fatal(r, err)
		}
	}
	wantError(t, p, d, "spin", runtime.LimitError, runtime.LimitDeadline)
	wantReturn(t, p, d, "nice", "0 <nil>")
	wantError(t, p, d, "spin", runtime.LimitError, runtime.LimitDeadline)
	wantReturn(t, p, d, "nice", "10 <nil>")
}

// Whoever is forgiven need not wait for its turn among offenders any more.
func TestWhatWaitsIsForgivenToo(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2})
	bad, good := loadAs(t, p, "bad.test", "x"), loadAs(t, p, "good.test", "x")
	warm(t, p, good)
	var wg sync.WaitGroup
	for _, d := range []runtime.Digest{bad, good} {
		wg.Go(func() { _, _ = p.Run(t.Context(), call(d, long, "spin")) })
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		wg.Go(func() { _, _ = p.Run(ctx, call(bad, short, "spin")) })
	}
	waits := make([]func() (*runtime.Reply, error), 100)
	for i := range waits {
		waits[i] = p.Queue(ctx, call(good, short, "nice"))
	}
	forgiven := 0
	for _, wait := range waits {
		switch r, err := wait(); {
		case err != nil || r.Err != nil:
			t.Fatal(r, err)
		case r.Return == "0 <nil>":
			forgiven++
		}
	}
	if forgiven < 25 {
		t.Errorf("%d of 100 passes were made as others are, want those after the twentieth", forgiven)
	}
	cancel()
	wg.Wait()
}
