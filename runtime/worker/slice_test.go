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

// A worker that computes for long asks for the processor in long slices, so that
// the server and short passes need not wait for it; with its next pass it is
// like the others again.
func TestLongPassesTakeLongSlices(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: time.Minute}})
	d := load(t, p, "x")
	pid := int(run(t, p, d, "pid").Return.(int64))
	slice := func() time.Duration {
		attr, err := unix.SchedGetAttr(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(attr.Runtime)
	}
	usual := slice()
	if usual == 0 {
		t.Skip("this kernel has one length of slice for everybody")
	}
	if own, err := unix.SchedGetAttr(0, 0); err != nil || usual <= time.Duration(own.Runtime) {
		t.Errorf("a worker's slices are %v, the server's %v: %v", usual, time.Duration(own.Runtime), err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		_, _ = p.Run(ctx, &runtime.Call{Script: d, Func: 7, When: -1, Input: []byte("sleep 20s"), RunID: "r2"})
	})
	eventually(t, "long slices", func() bool { return slice() > usual })
	cancel()
	wg.Wait()
}

func TestUsualSlicesAfterALongPass(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: time.Minute}})
	d := load(t, p, "x")
	pid := int(run(t, p, d, "pid").Return.(int64))
	before, err := unix.SchedGetAttr(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	wantReturn(t, p, d, "sleep 100ms", "slept")
	wantReturn(t, p, d, "pid", int64(pid))
	if after, err := unix.SchedGetAttr(pid, 0); err != nil || after.Runtime != before.Runtime {
		t.Errorf("slices were %d ns and are %d ns: %v", before.Runtime, after.Runtime, err)
	}
}
