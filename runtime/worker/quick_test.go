package worker_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

// What is known to be quick waits neither for its turn behind passes that may
// take long, nor for the end of one: there is always a worker left for it.
func TestQuickPassesDoNotWaitBehindOthers(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2, Burst: 2, Limits: runtime.Limits{Deadline: 20 * time.Second}})
	good := loadAs(t, p, "good.test", "x")
	warm(t, p, good)
	const n = 24
	var burnt atomic.Int64
	var waits [n]func() (*runtime.Reply, error)
	for i := range n {
		waits[i] = p.Queue(t.Context(), call(loadAs(t, p, fmt.Sprintf("burn%d.test", i), "x"), long, "burn 60ms"))
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, wait := range waits {
			if r, err := wait(); err != nil || r.Err != nil {
				t.Error(r, err)
			}
			burnt.Add(1)
		}
	}()
	for range 5 {
		wantReturn(t, p, good, "echo 1", "1")
	}
	if done := burnt.Load(); done > n/2 {
		t.Errorf("five quick passes waited for %d of %d long ones", done, n)
	}
	<-ended
}

// In a lane nothing overtakes: not even what is quick.
func TestQuickPassesKeepTheirLane(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Burst: -1})
	good, other := loadAs(t, p, "good.test", "x"), loadAs(t, p, "other.test", "x")
	warm(t, p, good)
	lane := func(d runtime.Digest, fn int, lane string) func() (*runtime.Reply, error) {
		c := call(d, fn, "stamp")
		c.Lane = lane
		return p.Queue(t.Context(), c)
	}
	for round := range 20 {
		began := time.Now()
		head := p.Queue(t.Context(), call(good, short, "sleep 10ms"))
		unknown := 1000 + 2*round // functions that nothing is known of
		waits := []func() (*runtime.Reply, error){
			lane(good, short, "C1"), lane(other, unknown, "C1"), lane(good, short, "C1"), lane(good, short, "C2"), lane(other, unknown+1, "C1"),
		}
		if _, err := head(); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		var at [5]int64
		for i, wait := range waits {
			r, err := wait()
			if err != nil || r.Err != nil {
				t.Fatal(r, err)
			}
			at[i], _ = r.Return.(int64)
		}
		if at[0] > at[1] || at[1] > at[2] || at[2] > at[4] {
			t.Fatalf("round %d: passes of a lane were made at %v", round, at)
		}
		if at[3] > at[1] && took < 40*time.Millisecond && time.Duration(at[1]-at[0]) < 40*time.Millisecond { // else it is the turn of what has waited for long
			t.Fatalf("round %d: a quick pass of another lane waited: %v", round, at)
		}
	}
}

// What is not known to be quick has its turn, however much that is quick comes in.
func TestTheRestHaveTheirTurn(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Burst: -1})
	good, other := loadAs(t, p, "good.test", "x"), loadAs(t, p, "other.test", "x")
	warm(t, p, good)
	var left atomic.Int64
	head := p.Queue(t.Context(), call(good, short, "sleep 80ms"))
	rest := make([]func() (*runtime.Reply, error), 10)
	for i := range rest {
		rest[i] = p.Queue(t.Context(), call(other, 1000+i, "echo 1"))
	}
	quick := make([]func() (*runtime.Reply, error), 2000)
	for i := range quick {
		quick[i] = p.Queue(t.Context(), call(good, short, "burn 50us"))
	}
	left.Store(int64(len(quick)))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, wait := range quick {
			if _, err := wait(); err != nil {
				t.Error(err)
			}
			left.Add(-1)
		}
	}()
	if _, err := head(); err != nil {
		t.Fatal(err)
	}
	for _, wait := range rest {
		if r, err := wait(); err != nil || r.Err != nil {
			t.Fatal(r, err)
		}
	}
	if left.Load() < int64(len(quick))/2 {
		t.Errorf("%d of %d quick passes were made first", int64(len(quick))-left.Load(), len(quick))
	}
	<-ended
}

// What has to be loaded first, however quick its passes are, holds up nobody
// whose script is there.
func TestQuickPassesDoNotWaitForLoads(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Burst: -1, Modules: 1})
	var others [10]runtime.Digest
	for i := range others {
		others[i] = loadAs(t, p, fmt.Sprintf("other%d.test", i), "x")
		wantReturn(t, p, others[i], "echo 1", "1")
	}
	good := loadAs(t, p, "good.test", "x")
	for range 20 {
		wantReturn(t, p, good, "echo 1", "1")
		queued := time.Now()
		waits := []func() (*runtime.Reply, error){p.Queue(t.Context(), call(good, long, "sleep 10ms"))}
		for _, d := range others {
			waits = append(waits, p.Queue(t.Context(), call(d, short, "stamp")))
		}
		waits = append(waits, p.Queue(t.Context(), call(good, short, "stamp")))
		var at []int64
		for _, wait := range waits {
			r, err := wait()
			if err != nil || r.Err != nil {
				t.Fatal(r, err)
			}
			stamp, _ := r.Return.(int64)
			at = append(at, stamp)
		}
		took := time.Since(queued)
		for i, other := range at[1 : len(at)-1] {
			if other < at[len(at)-1] && took < 40*time.Millisecond { // else it is the turn of what has waited for long
				t.Fatalf("other %d was loaded and made before a pass whose script was there: %v", i, at)
			}
		}
	}
}
