package worker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

func TestRunReturnsWhatTheScriptReturned(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{})
	d := load(t, p, "hello")
	wantReturn(t, p, d, "echo hi", "hi")
	wantReturn(t, p, d, "source", "hello")
	r := run(t, p, d, "effects 2")
	if r.Status != runtime.Suspended || len(r.Effects) != 2 || r.Effects[1].Step != 2 || r.Effects[1].Args.Text("text") != "hi" {
		t.Errorf("effects: got %+v", r)
	}
	if r.Heap <= 0 || r.Took <= 0 {
		t.Errorf("heap %d, took %v: want both measured", r.Heap, r.Took)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{})

	t.Run("yields the manifest", func(t *testing.T) {
		b := bundle("m.test", "x")
		for range 2 { // the second time from memory
			m, err := p.Load(t.Context(), b)
			if err != nil || m.Digest != b.Digest || len(m.Registrations) != 1 || m.Registrations[0].Name != "on.test" {
				t.Fatalf("got %+v, %v", m, err)
			}
		}
	})
	t.Run("gives the script's own faults as Errors", func(t *testing.T) {
		_, err := p.Load(t.Context(), bundle("f.test", "fault"))
		var errs runtime.Errors
		if !errors.As(err, &errs) || len(errs) != 2 || errs[0].Kind != runtime.SyntaxError || errs[0].Pos.Path != "f.test" {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("keeps nothing while modules are missing", func(t *testing.T) {
		b := bundle("g.test", "missing")
		m, err := p.Load(t.Context(), b)
		if err != nil || len(m.Missing) != 1 || m.Missing[0].Path != "x.test" {
			t.Fatalf("got %+v, %v", m, err)
		}
		if _, err := p.Run(t.Context(), &runtime.Call{Script: b.Digest}); !errors.Is(err, runtime.ErrUnknownScript) {
			t.Fatalf("run: got %v", err)
		}
	})
	t.Run("survives a panic of the language", func(t *testing.T) {
		_, err := p.Load(t.Context(), bundle("p.test", "panic"))
		var errs runtime.Errors
		if !errors.As(err, &errs) || errs[0].Kind != runtime.InternalError {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("passes on what is no fault of the script", func(t *testing.T) {
		_, err := p.Load(t.Context(), bundle("r.test", "refuse"))
		if err == nil || errors.As(err, new(runtime.Errors)) || !strings.Contains(err.Error(), "not today") {
			t.Fatalf("got %v", err)
		}
	})
	if s := p.Stats(); s.Died+s.Killed != 0 {
		t.Errorf("workers were lost: %+v", s)
	}
}

func TestUnknownScriptIsAnError(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{})
	d := load(t, p, "x")
	p.Forget(d)
	if _, err := p.Run(context.Background(), &runtime.Call{Script: d}); !errors.Is(err, runtime.ErrUnknownScript) {
		t.Fatalf("got %v, want ErrUnknownScript", err)
	}
	wantReturn(t, p, load(t, p, "x"), "echo again", "again")
}

func TestLimitsOfTheCallReachThePass(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Limits: runtime.Limits{Steps: 5, Deadline: 5 * time.Second}, Grace: 10 * time.Second})
	d := load(t, p, "x")
	r, err := p.Run(t.Context(), &runtime.Call{Script: d, Input: []byte("limits"), Limits: runtime.Limits{Effects: 3, Steps: 9}})
	if want := fmt.Sprintf("9 5s %d 3 %d", runtime.DefaultLimits.Memory, runtime.DefaultLimits.Output); err != nil || r.Return != want {
		t.Fatalf("got %v %v, want %v", r, err, want)
	}
	r, err = p.Run(t.Context(), &runtime.Call{Script: d, Input: []byte("soft"), Limits: runtime.Limits{Deadline: 20 * time.Millisecond}})
	if err != nil || r.Err == nil || r.Err.Msg != "soft" {
		t.Fatalf("got %+v, %v: want the worker's own deadline error", r, err)
	}
	if s := p.Stats(); s.Killed != 0 {
		t.Errorf("a worker was killed though the pass ended in time")
	}
}

func TestSpinIsKilledAtTheDeadline(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1})
	d := load(t, p, "x\ndef seven")
	start := time.Now()
	e := wantError(t, p, d, "spin", runtime.LimitError, runtime.LimitDeadline)
	if e.Pos.Line != 2 || e.Line != "def seven" {
		t.Errorf("position %v, line %q: want the function's", e.Pos, e.Line)
	}
	t.Logf("stopped after %v of 250ms", time.Since(start))
	wantReturn(t, p, d, "echo on", "on")
	if s := p.Stats(); s.Killed != 1 || s.Died != 0 {
		t.Errorf("killed %d, died %d: want 1, 0", s.Killed, s.Died)
	}
}

func TestHostileTopLevelIsBlamedExactly(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Limits: runtime.Limits{Deadline: 500 * time.Millisecond}})
	hostile := map[int]string{5: "run spin", 17: "run exit", 40: "run spin"}
	errs := make([]error, 64)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			src := hostile[i]
			if src == "" {
				src = "good"
			}
			_, errs[i] = p.Load(context.Background(), bundle(fmt.Sprintf("%d.test", i), src))
		})
	}
	wg.Wait()
	for i, err := range errs {
		var es runtime.Errors
		switch errors.As(err, &es); {
		case hostile[i] == "" && err != nil:
			t.Errorf("good script %d: %v", i, err)
		case hostile[i] == "run spin" && (len(es) == 0 || es[0].Limit != runtime.LimitDeadline || es[0].Pos.Path != fmt.Sprintf("%d.test", i)):
			t.Errorf("spinning script %d: %v", i, err)
		case hostile[i] == "run exit" && (len(es) == 0 || es[0].Kind != runtime.InternalError):
			t.Errorf("crashing script %d: %v", i, err)
		}
	}
	if s := p.Stats(); s.Killed < 2 || s.Killed > 2+s.Excused || s.Died != 2 || s.Scripts != 61 {
		t.Errorf("got %+v: want 2 killed, 2 died, 61 scripts", s)
	}
}

func TestManyScriptsLoadQuickly(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{})
	const n, callers = 10_000, 32
	start := time.Now()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; i < n; i += callers {
				if _, err := p.Load(context.Background(), bundle(fmt.Sprintf("%d.test", i), "x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d scripts in %v", n, time.Since(start))
	if s := p.Stats(); s.Scripts != n || s.Died+s.Killed != 0 {
		t.Errorf("got %+v", s)
	}
	// Most have been dropped by both workers by now, and are sent again.
	for _, i := range []int{0, 5_000, 9_999} {
		wantReturn(t, p, bundle(fmt.Sprintf("%d.test", i), "x").Digest, "source", "x")
	}
}

func TestWorkersAreSentWhatTheyLack(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Modules: 3})
	var ds []runtime.Digest
	for i := range 8 {
		ds = append(ds, load(t, p, fmt.Sprintf("s%d", i)))
	}
	for round := range 3 {
		for i, d := range ds {
			wantReturn(t, p, d, "source", fmt.Sprintf("s%d", i))
		}
		if round == 1 {
			run(t, p, ds[0], "spin") // and once more on a worker that has none
		}
	}
}

func TestRunsStartInTheOrderOfTheCalls(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Burst: -1})
	d := load(t, p, "x")
	const n = 50
	places := make([]runtime.Value, n)
	var wg sync.WaitGroup
	wg.Go(func() { run(t, p, d, "sleep 200ms") })
	eventually(t, "the first pass", func() bool { return p.Stats().Busy == 1 })
	queued := 0
	for i := range n {
		wg.Go(func() { places[i] = run(t, p, d, "count").Return })
		eventually(t, "the pass to queue", func() bool { s := p.Stats(); return s.Waiting == i+1 || s.Waiting < queued })
		queued = p.Stats().Waiting
	}
	wg.Wait()
	for i, v := range places {
		if v != int64(i+1) {
			t.Fatalf("pass %d was made as number %v", i+1, v)
		}
	}
}

func TestQueueKeepsTheOrderInWhichPlacesWereTaken(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Burst: -1})
	d := load(t, p, "x")
	call := func(d runtime.Digest, cmd string) *runtime.Call {
		return &runtime.Call{Script: d, Func: 7, When: -1, Input: []byte(cmd), RunID: "r1"}
	}
	ctx, leave := context.WithCancelCause(t.Context())
	var waits []func() (*runtime.Reply, error)
	waits = append(waits, p.Queue(t.Context(), call(d, "sleep 100ms")))
	gone := p.Queue(ctx, call(d, "count"))
	for range 8 {
		waits = append(waits, p.Queue(t.Context(), call(d, "count")))
	}
	why := errors.New("gone away")
	leave(why)
	if _, err := gone(); !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
	var last int64
	for i := range waits {
		r, err := waits[i]() // in any order
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			continue
		}
		n, _ := r.Return.(int64)
		if n != last+1 {
			t.Errorf("pass %d was number %d of its worker, want %d", i, n, last+1)
		}
		last = n
	}
	if _, err := p.Queue(t.Context(), call(runtime.Digest{9}, "count"))(); !errors.Is(err, runtime.ErrUnknownScript) {
		t.Errorf("an unknown script: got %v", err)
	}
}

func TestCallerThatGoesFreesItsPlace(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Burst: -1, Limits: runtime.Limits{Deadline: time.Minute}})
	d := load(t, p, "x")
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error, 2)
	for range 2 { // one runs, one waits
		go func() {
			_, err := p.Run(ctx, &runtime.Call{Script: d, Input: []byte("spin")})
			errs <- err
		}()
	}
	eventually(t, "one to run and one to wait", func() bool { s := p.Stats(); return s.Busy == 1 && s.Waiting == 1 })
	cancel()
	for range 2 {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	}
	wantReturn(t, p, d, "echo free", "free") // though the deadline is a minute
	if _, err := p.Run(ctx, &runtime.Call{Script: d, Input: []byte("echo")}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if s := p.Stats(); s.Killed+s.Died != 0 || s.Waiting != 0 {
		t.Errorf("got %+v: nobody is to blame", s)
	}
}

func TestRecycling(t *testing.T) {
	t.Parallel()
	t.Run("by age", func(t *testing.T) {
		t.Parallel()
		p := newPool(t, worker.Options{Workers: 1, Recycle: worker.Recycle{Events: 10}})
		d := load(t, p, "x")
		for i := range 100 {
			wantReturn(t, p, d, fmt.Sprintf("echo %d", i), fmt.Sprint(i))
		}
		if s := p.Stats(); s.Recycled != 10 || s.Died+s.Killed != 0 {
			t.Errorf("got %+v: want 10 recycled", s)
		}
	})
	t.Run("by memory", func(t *testing.T) {
		t.Parallel()
		p := newPool(t, worker.Options{Workers: 1, Recycle: worker.Recycle{Heap: 20 << 20}, Limits: runtime.Limits{Deadline: 10 * time.Second}})
		d := load(t, p, "x")
		before := run(t, p, d, "pid").Return
		wantReturn(t, p, d, "hold 30", int64(30))
		if after := run(t, p, d, "pid").Return; after == before {
			t.Error("the worker was kept with 30 MB in use")
		}
		if s := p.Stats(); s.Recycled != 1 {
			t.Errorf("recycled %d, want 1", s.Recycled)
		}
	})
}

func TestLongPassesDoNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2, Limits: runtime.Limits{Deadline: time.Minute}})
	d := load(t, p, "x")
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _, _ = p.Run(ctx, &runtime.Call{Script: d, Input: []byte("spin")}) })
	}
	eventually(t, "stand-ins for held up workers", func() bool { return p.Stats().Busy == 4 })
	wantReturn(t, p, d, "echo through", "through")
	cancel()
	wg.Wait()
	eventually(t, "stand-ins to leave", func() bool { return p.Stats().Workers == 2 })
}

func TestSpawnFailure(t *testing.T) {
	t.Parallel()
	t.Run("of the first worker is New's error", func(t *testing.T) {
		t.Parallel()
		for _, command := range [][]string{{"/does/not/exist"}, {"/bin/false"}, {"/bin/cat"}} {
			if p, err := worker.New(worker.Options{Command: command}); err == nil {
				t.Errorf("%v: no error", command)
				_ = p.Close(context.Background())
			}
		}
	})
	t.Run("later reaches the callers", func(t *testing.T) {
		t.Parallel()
		exe := copySelf(t)
		p := newPool(t, worker.Options{Command: []string{exe, worker.Arg}, Workers: 1, Spare: -1})
		d := load(t, p, "x")
		if err := os.Rename(exe, exe+".gone"); err != nil {
			t.Fatal(err)
		}
		// The pass is innocent so far, but there is no second worker for it.
		if _, err := p.Run(t.Context(), &runtime.Call{Script: d, Input: []byte("exit")}); err == nil || !strings.Contains(err.Error(), "start worker") {
			t.Fatalf("got %v, want the failed start", err)
		}
		if _, err := p.Run(t.Context(), &runtime.Call{Script: d, Input: []byte("echo")}); err == nil || !strings.Contains(err.Error(), "start worker") {
			t.Fatalf("got %v, want the failed start", err)
		}
		if err := os.Rename(exe+".gone", exe); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a worker after the repair", func() bool {
			_, err := p.Run(t.Context(), &runtime.Call{Script: d, Input: []byte("echo")})
			return err == nil
		})
	})
}

func TestWorkersThatDieUnusedAreNotStartedWithoutEnd(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	p := newPool(t, worker.Options{Command: []string{exe, "mayfly"}, Workers: 2})
	eventually(t, "a few deaths", func() bool { return p.Stats().Died >= 8 })
	// Five may die as fast as they can; then the pauses grow from 20 ms.
	if s, took := p.Stats(), time.Since(start); s.Started > 16 {
		t.Errorf("%d started within %v", s.Started, took)
	}
}

// copySelf copies the test binary to where it can be moved away.
func copySelf(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "worker")
	if os.Link(exe, to) == nil {
		return to
	}
	data, err := os.ReadFile(exe)
	if err == nil {
		err = os.WriteFile(to, data, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}
