package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A virtual machine is not always given its processors: where the host has
// others to serve, everything in it stands still for a while. Latencies tell of
// the server only if what happened then is left out. Threads that nothing in the
// machine can keep from running notice it: a watcher of its own for each
// processor sleeps for a millisecond again and again, at real-time priority.

// stolenWatch names, in the environment, the process that does so.
const stolenWatch = "STARLING_TEST_WATCH_STOLEN"

const (
	watchEvery = time.Millisecond
	stolenFrom = 1500 * time.Microsecond // what is later has been stolen
)

// watchStolen prints when processors were taken away, from when to when in Unix
// nanoseconds, until it is killed or its standard output ends. It ends at once
// if it may not have the priority.
func watchStolen() {
	goruntime.GOMAXPROCS(2*goruntime.NumCPU() + 2) // a thread that wakes up finds a place
	var mu sync.Mutex
	var wg sync.WaitGroup
	for cpu := range goruntime.NumCPU() {
		wg.Go(func() {
			goruntime.LockOSThread()
			var only unix.CPUSet
			only.Set(cpu)
			if unix.SchedSetaffinity(0, &only) != nil ||
				unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 50}, 0) != nil {
				return
			}
			for {
				nap := unix.NsecToTimespec(int64(watchEvery))
				due := time.Now().Add(watchEvery)
				_ = unix.Nanosleep(&nap, nil)
				if now := time.Now(); now.Sub(due) > stolenFrom {
					mu.Lock()
					_, err := fmt.Println(due.UnixNano(), now.UnixNano())
					mu.Unlock()
					if err != nil {
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// stolen are the times in which the machine was not all there.
type stolen struct {
	mu    sync.Mutex
	spans [][2]int64
}

// newStolen watches until the test ends. Without the right to, it knows of nothing.
func newStolen(t *testing.T) *stolen {
	t.Helper()
	s := &stolen{}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), stolenWatch+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Logf("stolen processors are not watched: %v", err)
		return s
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var span [2]int64
			if _, err := fmt.Sscan(lines.Text(), &span[0], &span[1]); err == nil {
				s.mu.Lock()
				s.spans = append(s.spans, span)
				s.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	return s
}

// during reports whether something was stolen between two times, or just before:
// what has piled up meanwhile takes as long to be done.
func (s *stolen) during(from, to time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, b := from.UnixNano(), to.UnixNano()
	return slices.ContainsFunc(s.spans, func(span [2]int64) bool { return span[0] < b && a < span[1]+(span[1]-span[0]) })
}
