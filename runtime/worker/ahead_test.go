package worker_test

import (
	"context"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

// The functions of the test scripts, by what their passes usually take.
const (
	short = 7
	long  = 8
)

func call(d runtime.Digest, fn int, cmd string) *runtime.Call {
	return &runtime.Call{Script: d, Func: fn, When: -1, Input: []byte(cmd), RunID: "r1"}
}

// warm lets the pool learn that passes of a function are short.
func warm(t testing.TB, p *worker.Pool, d runtime.Digest) {
	t.Helper()
	for i := range 40 {
		wantReturn(t, p, d, fmt.Sprint("echo ", i), fmt.Sprint(i))
	}
}

// queueBehind queues calls while the only worker is busy, so that they are
// written to it together, and returns their waits.
func queueBehind(t testing.TB, p *worker.Pool, d runtime.Digest, cmds []string) []func() (*runtime.Reply, error) {
	t.Helper()
	first := p.Queue(context.Background(), call(d, long, "sleep 30ms"))
	waits := make([]func() (*runtime.Reply, error), len(cmds))
	for i, cmd := range cmds {
		waits[i] = p.Queue(context.Background(), call(d, short, cmd))
	}
	if r, err := first(); err != nil || r.Return != "slept" {
		t.Fatalf("first: %+v, %v", r, err)
	}
	return waits
}

func echoes(n int) []string {
	cmds := make([]string, n)
	for i := range cmds {
		cmds[i] = fmt.Sprint("echo ", i)
	}
	return cmds
}

func TestShortRunsAreWrittenAhead(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Burst: -1})
	d := load(t, p, "x")
	warm(t, p, d)
	cmds := echoes(100)
	for i, wait := range queueBehind(t, p, d, cmds) {
		if r, err := wait(); err != nil || r.Return != fmt.Sprint(i) {
			t.Fatalf("run %d: %+v, %v", i, r, err)
		}
	}
	if s := p.Stats(); s.Ahead < 50 || s.Died+s.Killed != 0 {
		t.Errorf("got %+v: want most written ahead", s)
	}
	one := newPool(t, worker.Options{Workers: 1, Burst: -1, Ahead: -1})
	d = load(t, one, "x")
	warm(t, one, d)
	for i, wait := range queueBehind(t, one, d, cmds) {
		if r, err := wait(); err != nil || r.Return != fmt.Sprint(i) {
			t.Fatalf("run %d: %+v, %v", i, r, err)
		}
	}
	if s := one.Stats(); s.Ahead != 0 {
		t.Errorf("%d written ahead though that is switched off", s.Ahead)
	}
}

func TestBlameIsExactAmongRunsWrittenAhead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cmd   string
		kind  runtime.ErrorKind
		limit string
	}{
		"spin":   {"spin", runtime.LimitError, runtime.LimitDeadline},
		"crash":  {"exit", runtime.InternalError, ""},
		"memory": {"bomb", runtime.LimitError, runtime.LimitMemory},
		"noise":  {`send "\xff\xff\xff\xff\xff\xff\xff"`, runtime.InternalError, ""},
	} {
		for _, at := range []int{0, 5, 15} {
			t.Run(fmt.Sprint(name, " ", at), func(t *testing.T) {
				if raceDetector && name == "memory" {
					t.Skip("the race detector's own memory blurs the limit")
				}
				t.Parallel()
				p := newPool(t, worker.Options{Workers: 1, Burst: -1, Limits: runtime.Limits{Deadline: 3 * time.Second}})
				d := load(t, p, "x")
				warm(t, p, d)
				cmds := echoes(16)
				cmds[at] = c.cmd
				for i, wait := range queueBehind(t, p, d, cmds) {
					r, err := wait()
					switch {
					case err != nil:
						t.Errorf("run %d: %v", i, err)
					case i != at && r.Return != fmt.Sprint(i):
						t.Errorf("innocent run %d: %+v, %v", i, r, r.Err)
					case i == at && (r.Err == nil || r.Err.Kind != c.kind || r.Err.Limit != c.limit):
						t.Errorf("run %d: %+v, %v: want %s %s", i, r, r.Err, c.kind, c.limit)
					}
				}
				if s := p.Stats(); s.Ahead == 0 {
					t.Errorf("nothing was written ahead: %+v", s)
				}
			})
		}
	}
}

func TestRunsWrittenBehindALongOneDoNotWaitForIt(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: time.Minute}})
	d := load(t, p, "x")
	warm(t, p, d)
	cmds := echoes(12)
	cmds[3] = "spin" // until its deadline
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := p.Queue(t.Context(), call(d, long, "sleep 8ms"))
	var waits []func() (*runtime.Reply, error)
	for i, cmd := range cmds {
		if i == 3 {
			waits = append(waits, p.Queue(ctx, call(d, short, cmd)))
			continue
		}
		waits = append(waits, p.Queue(t.Context(), call(d, short, cmd)))
	}
	if _, err := first(); err != nil {
		t.Fatal(err)
	}
	for i, wait := range waits {
		if i == 3 {
			continue
		}
		if r, err := wait(); err != nil || r.Return != fmt.Sprint(i) {
			t.Fatalf("run %d: %+v, %v", i, r, err)
		}
	}
	if s := p.Stats(); s.Busy != 1 || s.Died+s.Killed != 0 {
		t.Errorf("got %+v: want the long one still at work", s)
	}
	cancel()
	if _, err := waits[3](); err == nil {
		t.Error("the long one ended")
	}
}

// A worker that is sent a script first may take long over that. The run that
// the script is for stays where it is.
func TestLongPreloadsKeepTheirRun(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Burst: -1, Modules: 1, Limits: runtime.Limits{Deadline: 5 * time.Second}})
	slow := loadAs(t, p, "slow.test", "run sleep 30ms")
	other := loadAs(t, p, "other.test", "x")
	for i := range 4 {
		waits := []func() (*runtime.Reply, error){
			p.Queue(t.Context(), call(slow, short, fmt.Sprint("echo ", i))),
			p.Queue(t.Context(), call(other, short, fmt.Sprint("echo ", i))),
		}
		for _, wait := range waits {
			if r, err := wait(); err != nil || r.Return != fmt.Sprint(i) {
				t.Fatalf("%+v, %v", r, err)
			}
		}
	}
	if s := p.Stats(); s.TakenBack != 0 || s.Waiting != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestRunsOfALaneDoNotOvertakeThoseWrittenAhead(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2, Burst: -1})
	d := load(t, p, "x")
	warm(t, p, d)
	for range 5 {
		var held [2]func() (*runtime.Reply, error)
		for i := range held {
			held[i] = p.Queue(t.Context(), call(d, long, "sleep 20ms"))
		}
		// The worker that is free first takes the first four; to the other one
		// only what is in no lane may go meanwhile.
		cmds := []string{"sleep 5ms", "stamp", "stamp", "stamp", "stamp", "stamp", "stamp", "stamp"}
		waits := make([]func() (*runtime.Reply, error), len(cmds))
		for i, cmd := range cmds {
			c := call(d, short, cmd)
			c.Lane = "C1"
			waits[i] = p.Queue(t.Context(), c)
		}
		stamps := make([]int64, len(cmds))
		for i, wait := range waits {
			r, err := wait()
			if err != nil || r.Err != nil {
				t.Fatal(r, err)
			}
			stamps[i], _ = r.Return.(int64)
		}
		if stamps[1] > stamps[6] || stamps[2] > stamps[7] {
			t.Errorf("the last started %v before the first", time.Duration(stamps[1]-stamps[6]))
		}
		for _, wait := range held {
			if _, err := wait(); err != nil {
				t.Error(err)
			}
		}
		warm(t, p, d) // the pool has learned that a pass may take 5 ms: let it forget
		warm(t, p, d)
	}
	if s := p.Stats(); s.Ahead == 0 {
		t.Errorf("nothing was written ahead: %+v", s)
	}
}

// TestHammerAhead mixes what can happen to runs that were written ahead:
// callers that go, passes that take long, workers that are killed.
func TestHammerAhead(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2, Recycle: worker.Recycle{Events: 300}, Limits: runtime.Limits{Deadline: 5 * time.Second}})
	d := load(t, p, "x")
	warm(t, p, d)
	var wg sync.WaitGroup
	for c := range 24 {
		wg.Go(func() {
			for i := range 60 {
				n := c*100 + i
				switch {
				case n%41 == 7:
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%7)*time.Millisecond)
					_, _ = p.Run(ctx, call(d, short, "sleep 12ms"))
					cancel()
				case n%97 == 11:
					_, _ = p.Run(t.Context(), call(d, short, "sleep 12ms"))
				case n%211 == 13:
					if r, err := p.Run(t.Context(), call(d, short, "pid")); err == nil {
						if pid, ok := r.Return.(int64); ok {
							_ = syscall.Kill(int(pid), syscall.SIGKILL)
						}
					}
				default:
					cl := call(d, short, fmt.Sprint("echo ", n))
					cl.Lane = fmt.Sprint(n % 5)
					if r, err := p.Run(t.Context(), cl); err != nil || r.Return != fmt.Sprint(n) {
						t.Errorf("run %d: %+v, %v", n, r, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); s.Waiting != 0 || s.Busy > 2 || s.Ahead == 0 {
		t.Errorf("got %+v", s)
	}
	t.Logf("%+v", p.Stats())
}

// TestKillsFromOutside ends a worker every 100 ms, as an operator or the kernel
// might. It looks at all children of this process, so it does not run beside others.
func TestKillsFromOutside(t *testing.T) {
	if goruntime.GOOS != "linux" {
		t.Skip("finds the workers in /proc")
	}
	// Long passes would be a matter for few workers, and those who are killed
	// could not be told from those who wait.
	p := newPool(t, worker.Options{Workers: 2, Slow: -1, Limits: runtime.Limits{Deadline: 10 * time.Second}})
	d := load(t, p, "x")
	warm(t, p, d)
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killed := 0
	killer.Go(func() {
		every := 100 * time.Millisecond
		if raceDetector { // a worker that is never left in peace until it is ready proves nothing
			every = time.Second
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				// The oldest, so that whatever is made once more on a fresh one is
				// left in peace for longer than it takes.
				for _, pid := range slices.Sorted(slices.Values(childrenOf(os.Getpid()))) {
					if alive(pid) && syscall.Kill(pid, syscall.SIGKILL) == nil {
						killed++
						break
					}
				}
			}
		}
	})
	var wg sync.WaitGroup
	for c := range 16 {
		wg.Go(func() {
			for i := range 150 {
				cmd, want := fmt.Sprint("echo ", c*1000+i), runtime.Value(fmt.Sprint(c*1000+i))
				if i%25 == 3 {
					cmd, want = "sleep 150ms", "slept" // seldom left in peace
				}
				if r, err := p.Run(t.Context(), call(d, short, cmd)); err != nil || r.Return != want {
					t.Errorf("%s: %+v, %v", cmd, r, err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	killer.Wait()
	t.Logf("%d workers killed: %+v", killed, p.Stats())
	if s := p.Stats(); s.Died == 0 || s.Killed != 0 {
		t.Errorf("got %+v: want deaths and no deadline", s)
	}
}
