//go:build linux

package worker_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

// A worker that computes for long stands back, so that the server and short
// passes need not wait for it; with its next pass it is like the others again.
func TestLongPassesStandBack(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: time.Minute}})
	d := load(t, p, "x")
	pid := int(run(t, p, d, "pid").Return.(int64))
	scheduled := func() *unix.SchedAttr {
		attr, err := unix.SchedGetAttr(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		return attr
	}
	usual := scheduled()
	if usual.Runtime == 0 {
		t.Skip("this kernel has one length of slice for everybody")
	}
	if own, err := unix.SchedGetAttr(0, 0); err != nil || usual.Policy != unix.SCHED_NORMAL || usual.Runtime <= own.Runtime {
		t.Errorf("a worker has policy %d and slices of %v, the server %v: %v", usual.Policy, time.Duration(usual.Runtime), time.Duration(own.Runtime), err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		_, _ = p.Run(ctx, &runtime.Call{Script: d, Func: 7, When: -1, Input: []byte("spin"), RunID: "r2"})
	})
	eventually(t, "the worker to stand back", func() bool {
		now := scheduled()
		return now.Policy == unix.SCHED_IDLE || now.Runtime > usual.Runtime
	})
	cancel()
	wg.Wait()
}

// A long pass that is left no processor, here because it sleeps then, stands back
// only for a while: others that want the processor must not have it miss its deadline.
func TestWhoIsLeftNothingStandsBackNoMore(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: time.Minute}})
	d := load(t, p, "x")
	pid := int(run(t, p, d, "pid").Return.(int64))
	usual, err := unix.SchedGetAttr(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	if usual.Runtime == 0 {
		t.Skip("this kernel has one length of slice for everybody")
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		_, _ = p.Run(ctx, &runtime.Call{Script: d, Func: 7, When: -1, Input: []byte("tire 20ms"), RunID: "r2"})
	})
	eventually(t, "long slices", func() bool {
		now, err := unix.SchedGetAttr(pid, 0)
		return err == nil && now.Policy == unix.SCHED_NORMAL && now.Runtime > usual.Runtime
	})
	cancel()
	wg.Wait()
}

// So does one that is left nothing while another one that stands back has enough.
func TestWhoAloneIsLeftNothingStandsBackNoMore(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2, Burst: -1, Limits: runtime.Limits{Deadline: time.Minute}})
	d := load(t, p, "x")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	begin := func(cmd string) {
		wg.Go(func() {
			_, _ = p.Run(ctx, &runtime.Call{Script: d, Func: 7, When: -1, Input: []byte(cmd), RunID: cmd})
		})
	}
	begin("spin")
	eventually(t, "a long pass", func() bool { return p.Stats().Busy == 1 })
	pid := int(run(t, p, d, "pid").Return.(int64)) // of the other one
	usual, err := unix.SchedGetAttr(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	if usual.Runtime == 0 {
		t.Skip("this kernel has one length of slice for everybody")
	}
	begin("tire 20ms")
	eventually(t, "long slices", func() bool {
		now, err := unix.SchedGetAttr(pid, 0)
		return err == nil && now.Policy == unix.SCHED_NORMAL && now.Runtime > usual.Runtime
	})
	cancel()
	wg.Wait()
}

// Whoever had a long pass is among the others again when it is known to be quick,
// and until then stands back from the beginning.
func TestUsualSlicesAfterALongPass(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: time.Minute}})
	d := load(t, p, "x")
	pid := int(run(t, p, d, "pid").Return.(int64))
	before, err := unix.SchedGetAttr(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	wantReturn(t, p, d, "burn 60ms", "burnt")
	warm(t, p, d)
	wantReturn(t, p, d, "pid", int64(pid))
	if after, err := unix.SchedGetAttr(pid, 0); err != nil || after.Policy != before.Policy || after.Runtime != before.Runtime {
		t.Errorf("slices were %d ns and are %d ns: %v", before.Runtime, after.Runtime, err)
	}
}
