//go:build linux

package worker_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest/hostile"
	"github.com/starling-rules/starling/runtime/worker"
)

// What is promised of every hostile script: it is stopped this much after its
// deadline, in less memory than its worker may have, and it leaves nothing behind.
const stoppedWithin = 50 * time.Millisecond

// stoppedAtLast is what fails: a script that is not stopped. How far each mode is
// from stoppedWithin is in the log, which is a measurement, and no machine's
// clock decides whether the test passes.
const stoppedAtLast = 2 * time.Second

// TestHostileScripts runs the corpus of both languages in worker processes:
// with the guards of the languages and without, where the wall alone has to
// hold, and in strict workers. It watches all children of this process, so it
// does not run beside others.
func TestHostileScripts(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("takes a minute, and the race detector's own memory and time blur the limits")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		command string
		strict  bool
	}{
		// In the order of the memory that they may take: see largestChild.
		{"strict, guards on", worker.Arg, true},
		{"guards on", worker.Arg, false},
		{"strict, guards off", "unguarded", true},
		{"guards off", "unguarded", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, files, routines := childrenOf(os.Getpid()), openFiles(t), goruntime.NumGoroutine()
			o := worker.Options{Command: []string{exe, c.command}, Workers: 2}
			o.Limits = runtime.DefaultLimits
			if c.strict {
				o.Limits = runtime.Limits{}
				o = worker.Strict(o)
			}
			p, err := worker.New(o)
			if err != nil && c.strict && strings.Contains(err.Error(), "needs user namespaces") {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			runCorpus(t, p, o.Limits.Deadline, cmp.Or(o.Memory, o.Limits.Memory), c.command == worker.Arg)
			eventually(t, "what the corpus left to go", func() bool {
				return len(childrenOf(os.Getpid())) <= len(before) && openFiles(t) <= files && goruntime.NumGoroutine() <= routines
			})
		})
	}
}

// corpusRun is how one script of the corpus fared.
type corpusRun struct {
	script hostile.Script
	took   time.Duration // its pass, or its load; waiting for a worker left out
	all    time.Duration // with its script loaded again in that worker
	limit  string
}

func runCorpus(t *testing.T, p *worker.Pool, deadline time.Duration, memory int64, guarded bool) {
	scripts := append(hostile.Star(), hostile.Lua()...)
	before, stop := largestChild(), watchChildren()
	var runs []corpusRun
	limits := map[string]int{}
	for _, s := range scripts {
		r := corpusRun{script: s}
		var e *runtime.Error
		r.took, r.all, e = runHostileScript(t, p, s)
		// A script that the machine kept waiting is stopped in time when it is
		// tried again. What is told is the second try.
		if r.took > deadline+stoppedWithin {
			t.Logf("%s (%s): stopped after %v, tried again", s.Name, s.Language, r.took)
			r.took, r.all, e = runHostileScript(t, p, s)
		}
		if e != nil {
			r.limit = cmp.Or(e.Limit, string(e.Kind))
		}
		limits[cmp.Or(r.limit, "ok")]++
		runs = append(runs, r)
		switch {
		case r.all > deadline+stoppedAtLast && !busyMachine():
			t.Errorf("%s (%s): stopped after %v (%s)", s.Name, s.Language, r.all, r.limit)
		case e != nil && e.Kind == runtime.InternalError && guarded:
			t.Errorf("%s (%s): %v", s.Name, s.Language, e)
		}
	}
	most := stop()
	closePool(t, p)
	if now := largestChild(); now > before { // of those that were ever reaped
		most = max(most, now)
	}
	if most > memory {
		t.Errorf("a worker took %d MB, at most %d are allowed", most>>20, memory>>20)
	}
	slices.SortFunc(runs, func(a, b corpusRun) int { return cmp.Compare(b.all, a.all) })
	longest := runs[0]
	slices.SortFunc(runs, func(a, b corpusRun) int { return cmp.Compare(b.took, a.took) })
	st := p.Stats()
	t.Logf("%d scripts: the slowest stopped after %v (%s, %s), with the load before it after %v (%s), the largest worker had %d MB; ends %v; %d workers killed, %d died, %d excused",
		len(scripts), runs[0].took.Round(100*time.Microsecond), runs[0].script.Name, runs[0].script.Language, longest.all.Round(100*time.Microsecond), longest.script.Name, most>>20, limits, st.Killed, st.Died, st.Excused)
}

// runHostileScript loads a script and runs its first rule. It fails the test
// unless that ends with a result or a script's error.
func runHostileScript(t *testing.T, p *worker.Pool, s hostile.Script) (took, all time.Duration, _ *runtime.Error) {
	t.Helper()
	b := runtime.NewBundle(s.Language, s.File(), map[string][]byte{s.File(): []byte(s.Source)}, nil)
	start := time.Now()
	man, err := p.Load(context.Background(), b)
	took = time.Since(start)
	if err != nil {
		var es runtime.Errors
		if !errors.As(err, &es) || len(es) == 0 {
			t.Errorf("%s (%s): load: %v", s.Name, s.Language, err)
			return took, took, nil
		}
		return took, took, es[0]
	}
	defer p.Forget(b.Digest)
	if len(man.Registrations) == 0 {
		return took, took, nil
	}
	fn, _ := man.Registrations[0].Args.Get("fn")
	start = time.Now()
	r, err := p.Run(context.Background(), &runtime.Call{
		Script: b.Digest, Func: fn.(runtime.Func).Index, When: -1, Input: []byte(hostile.Input), RunID: "r1", Now: time.Unix(1e9, 0),
	})
	all = time.Since(start)
	if err != nil {
		t.Errorf("%s (%s): run: %v", s.Name, s.Language, err)
		return all, all, nil
	}
	return r.Took, all, r.Err
}

// busyMachine reports whether others keep the processors so busy that no time
// measured here says anything.
func busyMachine() bool {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return false
	}
	word, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(word, 64)
	return load > float64(goruntime.NumCPU())
}

// largestChild is the largest resident size of all children that were reaped.
func largestChild() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u)
	return u.Maxrss << 10
}

// watchChildren keeps the largest resident size that any child of this process
// reaches: the kernel remembers the maximum, so that looking now and then is
// enough, but for the last moment of a child.
func watchChildren() (stop func() int64) {
	var peak int64
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, pid := range childrenFast() {
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
				if err != nil {
					continue
				}
				fields := strings.Fields(lineOf(string(text), "VmHWM:"))
				if len(fields) > 1 {
					kb, _ := strconv.ParseInt(fields[1], 10, 64)
					peak = max(peak, kb<<10)
				}
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() int64 {
		close(done)
		wg.Wait()
		return peak
	}
}

// childrenFast lists the children of this process without a walk through /proc.
func childrenFast() []int {
	tasks, _ := os.ReadDir("/proc/self/task")
	var pids []int
	for _, task := range tasks {
		text, err := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		if err != nil {
			continue
		}
		for _, f := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(f); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}
