package worker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

func TestCrashIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1})
	d := load(t, p, "x")

	trap := filepath.Join(t.TempDir(), "trap")
	if err := os.WriteFile(trap, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantReturn(t, p, d, "once "+trap, "alive") // innocent: a fresh worker makes it
	if s := p.Stats(); s.Died != 1 {
		t.Errorf("died %d, want 1", s.Died)
	}
	wantError(t, p, d, "exit", runtime.InternalError, "")
	if s := p.Stats(); s.Died != 3 || s.Killed != 0 {
		t.Errorf("died %d, killed %d: want 3, 0", s.Died, s.Killed)
	}
	wantReturn(t, p, d, "echo on", "on")
	eventually(t, "each worker that died to be replaced by one", func() bool {
		s := p.Stats()
		return s.Workers == 1 && s.Started == 2+s.Died
	})
}

func TestPanicOfALanguageLeavesTheWorker(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1})
	d := load(t, p, "x")
	pid := run(t, p, d, "pid").Return
	wantError(t, p, d, "panic oops", runtime.InternalError, "")
	wantReturn(t, p, d, "pid", pid)
}

func TestGarbageEndsTheWorkerAndThePass(t *testing.T) {
	t.Parallel()
	reply := func(r runtime.Reply) string { return string(runtime.AppendReply([]byte{2, 0}, &r)) }
	post := runtime.Effect{Step: 1, Kind: "post"}
	for name, bytes := range map[string]string{
		"noise":               "GET / HTTP/1.1\r\n\r\n",
		"huge length":         "\xff\xff\xff\xffp",
		"unknown type":        frame('?', "\x02\x00"),
		"empty":               frame('p', ""),
		"reply cut short":     frame('p', "\x02\x00\x01"),
		"answer of a load":    frame('m', "\x02\x00"+string(runtime.AppendManifest(nil, &runtime.Manifest{}))),
		"ready again":         frame('r', ""),
		"no status":           frame('p', reply(runtime.Reply{})),
		"failed without why":  frame('p', reply(runtime.Reply{Status: runtime.Failed})),
		"waits for nothing":   frame('p', reply(runtime.Reply{Status: runtime.Suspended})),
		"effect out of order": frame('p', reply(runtime.Reply{Status: runtime.Done, Effects: []runtime.Effect{post, post}})),
		"too many effects":    frame('p', reply(runtime.Reply{Status: runtime.Done, Effects: steps(200)})),
		"no such request":     frame('p', string(runtime.AppendReply([]byte{3, 0}, &runtime.Reply{Status: runtime.Done}))),
		"an older request":    frame('p', string(runtime.AppendReply([]byte{1, 0}, &runtime.Reply{Status: runtime.Done}))),
		"negative time":       frame('p', reply(runtime.Reply{Status: runtime.Done, Took: -1})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPool(t, worker.Options{Workers: 1})
			d := load(t, p, "x")
			wantError(t, p, d, fmt.Sprintf("send %q", bytes), runtime.InternalError, "")
			wantReturn(t, p, d, "echo on", "on")
			if s := p.Stats(); s.Died != 1 || s.Killed != 0 {
				t.Errorf("got %+v: want one dead worker and no second try", s)
			}
		})
	}
}

func steps(n int) []runtime.Effect {
	es := make([]runtime.Effect, n)
	for i := range es {
		es[i] = runtime.Effect{Step: i + 1, Kind: "post"}
	}
	return es
}

func TestAnswerBeforeItsTimeIsDistrusted(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1})
	d := load(t, p, "x")
	forged := frame('p', string(runtime.AppendReply([]byte{2, 0}, &runtime.Reply{Status: runtime.Done, Return: "forged"})))
	// The first answer is the pass's own affair; the second has no request.
	run(t, p, d, fmt.Sprintf("send %q", forged+forged))
	eventually(t, "the worker's end", func() bool { return p.Stats().Died == 1 })
	wantReturn(t, p, d, "echo on", "on")
}

func TestClosedSocketIsACrash(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1})
	d := load(t, p, "x")
	wantError(t, p, d, "close", runtime.InternalError, "")
	wantReturn(t, p, d, "echo on", "on")
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: 10 * time.Second}})
	d := load(t, p, "x")
	wantError(t, p, d, "deep", runtime.LimitError, runtime.LimitOutput)
	wantError(t, p, d, "large 2000000", runtime.LimitError, runtime.LimitOutput)
	if r := run(t, p, d, "large 1000000"); r.Status != runtime.Done || len(r.Return.(string)) != 1_000_000 {
		t.Errorf("got %v", r.Status)
	}
	if _, err := p.Run(t.Context(), &runtime.Call{Script: d, Input: []byte("none")}); err == nil {
		t.Error("no error for a language without a reply")
	}
	r, err := p.Run(t.Context(), &runtime.Call{Script: d, Input: make([]byte, 33<<20)})
	if err != nil || r.Err == nil || r.Err.Limit != runtime.LimitMemory {
		t.Errorf("33 MB of input: got %v, %v", r, err)
	}
	r, err = p.Run(t.Context(), &runtime.Call{Script: d, Input: append([]byte("echo "), make([]byte, 8<<20)...)})
	if err != nil || r.Err == nil || r.Err.Limit != runtime.LimitOutput {
		t.Errorf("8 MB of input, echoed: got %v, %v", r.Status, err)
	}
	if s := p.Stats(); s.Died+s.Killed != 0 {
		t.Errorf("workers were lost: %+v", s)
	}
}

func TestGoodPassesAmongHostileOnes(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Limits: runtime.Limits{Deadline: 150 * time.Millisecond}})
	d, innocent := loadAs(t, p, "hostile.test", "x"), loadAs(t, p, "good.test", "x")
	stop := make(chan struct{})
	var hostile sync.WaitGroup
	var ended atomic.Int64
	cmds := []string{"spin", "exit", "close", `send "\xff\xff\xff\xff\xff"`, "panic", "hold 80"}
	if !raceDetector {
		cmds = append(cmds, "bomb", "deepstack")
	}
	for _, cmd := range cmds {
		hostile.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if r, err := p.Run(context.Background(), &runtime.Call{Script: d, Input: []byte(cmd)}); err == nil && r.Status != runtime.Done && r.Err == nil {
					t.Errorf("%s: status %v without an error", cmd, r.Status)
				}
				ended.Add(1)
			}
		})
	}
	var good sync.WaitGroup
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var slowest atomic.Int64
	for i := range 400 {
		<-tick.C
		good.Go(func() {
			start := time.Now()
			want := fmt.Sprint(i)
			r, err := p.Run(context.Background(), &runtime.Call{Script: innocent, Input: []byte("echo " + want)})
			if err != nil || r.Status != runtime.Done || r.Return != want {
				t.Errorf("good pass %d: %+v, %v", i, r, err)
			}
			slowest.Store(max(slowest.Load(), int64(time.Since(start))))
		})
	}
	good.Wait()
	close(stop)
	hostile.Wait()
	t.Logf("400 good passes, slowest %v; %d hostile ones; %+v", time.Duration(slowest.Load()), ended.Load(), p.Stats())
}

func TestHammer(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 3, Modules: 4, Recycle: worker.Recycle{Events: 40}})
	var ds []runtime.Digest
	for i := range 12 {
		ds = append(ds, load(t, p, fmt.Sprintf("s%d", i)))
	}
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := range 100 {
				switch n := (c*100 + i) % len(ds); i % 10 {
				case 3:
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*10*time.Microsecond)
					if _, err := p.Run(ctx, &runtime.Call{Script: ds[n], Input: []byte("sleep 2ms")}); err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("cancelled pass: %v", err)
					}
					cancel()
				case 5:
					b := bundle("h.test", fmt.Sprintf("h%d-%d", c, i))
					if _, err := p.Load(context.Background(), b); err != nil {
						t.Errorf("load: %v", err)
					}
					p.Forget(b.Digest)
				case 7:
					wantReturn(t, p, ds[n], "echo x", "x")
					_ = p.Stats()
				default:
					wantReturn(t, p, ds[n], "source", fmt.Sprintf("s%d", n))
				}
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); s.Died+s.Killed != 0 || s.Scripts != len(ds) || s.Waiting != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestPassThatGetsNoProcessorIsNotBlamed(t *testing.T) {
	if goruntime.GOOS != "linux" {
		t.Skip("the processor time of a worker is not known here")
	}
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: 100 * time.Millisecond}})
	d := load(t, p, "x")
	wantReturn(t, p, d, "sleep 250ms", "slept") // as if it had waited for a processor
	if s := p.Stats(); s.Killed != 0 {
		t.Errorf("killed %d, want 0", s.Killed)
	}
	start := time.Now()
	wantError(t, p, d, "sleep 1m", runtime.LimitError, runtime.LimitDeadline)
	if took := time.Since(start); took < 400*time.Millisecond || took > 5*time.Second {
		t.Errorf("stopped after %v, want four deadlines", took)
	}
}

func TestInnocentAfterAGreedyOne(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's own memory blurs the limit")
	}
	t.Parallel()
	// Recycling is switched off, so the first pass leaves the second too little.
	p := newPool(t, worker.Options{Workers: 1, Recycle: worker.Recycle{Heap: 1 << 40}, Limits: runtime.Limits{Deadline: 10 * time.Second}})
	d := load(t, p, "x")
	wantReturn(t, p, d, "hold 150", int64(150))
	wantReturn(t, p, d, "hold 140", int64(140)) // alone in a fresh worker there is room
	if s := p.Stats(); s.Died != 1 {
		t.Errorf("died %d, want 1", s.Died)
	}
}

func TestMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's own memory blurs the limit")
	}
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: 10 * time.Second}})
	d := load(t, p, "x")
	for _, cmd := range []string{"bomb", "deepstack"} {
		e := wantError(t, p, d, cmd, runtime.LimitError, runtime.LimitMemory)
		if !strings.Contains(e.Msg, "256 MB") {
			t.Errorf("message %q: want the limit in it", e.Msg)
		}
		wantReturn(t, p, d, "echo on", "on")
	}
	if s := p.Stats(); s.Died != 2 {
		t.Errorf("died %d, want 2: no second try", s.Died)
	}
	_, err := p.Load(t.Context(), bundle("b.test", "run bomb"))
	var errs runtime.Errors
	if !errors.As(err, &errs) || errs[0].Limit != runtime.LimitMemory {
		t.Errorf("load: got %v", err)
	}
	// A call may ask for less than the worker has.
	r, err := p.Run(t.Context(), &runtime.Call{Script: d, Input: []byte("hold 120"), Limits: runtime.Limits{Memory: 64 << 20}})
	if err != nil || r.Err == nil || r.Err.Limit != runtime.LimitMemory || !strings.Contains(r.Err.Msg, "64 MB") {
		t.Errorf("120 MB of 64: got %+v, %v", r, err)
	}
	wantReturn(t, p, d, "hold 50", int64(50))
}
