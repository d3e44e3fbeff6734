package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// fake is a language whose scripts do what the test says.
type fake struct {
	mu    sync.Mutex
	loads int
	run   func(ctx context.Context, c *runtime.Call) *runtime.Reply
}

func (*fake) Name() string { return "fake" }
func (*fake) Ext() string  { return ".fake" }

func (f *fake) Load(_ context.Context, b *runtime.Bundle, _ runtime.Limits) (runtime.Module, *runtime.Manifest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads++
	switch b.Main {
	case "broken.fake":
		return nil, nil, runtime.Errors{{Kind: runtime.SyntaxError, Msg: "broken"}}
	case "missing.fake":
		return nil, &runtime.Manifest{Missing: []runtime.Missing{{Path: "x.fake"}}}, nil
	case "panic.fake":
		panic("loader")
	}
	return f, &runtime.Manifest{Steps: uint64(f.loads)}, nil
}

func (f *fake) Run(ctx context.Context, c *runtime.Call) *runtime.Reply {
	if f.run == nil {
		return &runtime.Reply{Status: runtime.Done, Return: c.RunID}
	}
	return f.run(ctx, c)
}

func bundle(main string) *runtime.Bundle {
	return runtime.NewBundle("fake", main, map[string][]byte{main: []byte("text")}, nil)
}

func local(t *testing.T, f *fake, parallel int) (*runtime.Local, runtime.Digest) {
	t.Helper()
	p := runtime.NewLocal([]runtime.Language{f}, runtime.LocalOptions{Parallel: parallel})
	b := bundle("a.fake")
	if _, err := p.Load(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	return p, b.Digest
}

func TestLocalKeepsAVersionUntilForgotten(t *testing.T) {
	t.Parallel()
	f := &fake{}
	p, d := local(t, f, 1)
	if m, err := p.Load(t.Context(), bundle("a.fake")); err != nil || m.Steps != 1 || m.Digest != d || f.loads != 1 {
		t.Errorf("loading again: got %+v, %v after %d loads, want the first manifest", m, err, f.loads)
	}
	if r, err := p.Run(t.Context(), &runtime.Call{Script: d, RunID: "r"}); err != nil || r.Return != "r" {
		t.Errorf("run: got %+v, %v", r, err)
	}
	p.Forget(d)
	if _, err := p.Run(t.Context(), &runtime.Call{Script: d}); !errors.Is(err, runtime.ErrUnknownScript) {
		t.Errorf("run of a forgotten version: got %v", err)
	}
}

func TestLocalLoadReportsFaults(t *testing.T) {
	t.Parallel()
	p, _ := local(t, &fake{}, 1)
	var es runtime.Errors
	if _, err := p.Load(t.Context(), bundle("broken.fake")); !errors.As(err, &es) {
		t.Errorf("broken script: got %v, want Errors", err)
	}
	if m, err := p.Load(t.Context(), bundle("missing.fake")); err != nil || len(m.Missing) != 1 {
		t.Errorf("missing module: got %+v, %v", m, err)
	}
	if _, err := p.Load(t.Context(), bundle("panic.fake")); err == nil {
		t.Error("a panic while loading is no error")
	}
	other := bundle("a.fake")
	other.Language, other.Digest = "cobol", runtime.Digest{1}
	if _, err := p.Load(t.Context(), other); err == nil {
		t.Error("an unknown language is no error")
	}
	if s := p.Stats(); s.Scripts != 1 || s.Busy != 0 {
		t.Errorf("stats: got %+v, want the one good script", s)
	}
}

func TestLocalTurnsAPanicIntoAFailedPass(t *testing.T) {
	t.Parallel()
	f := &fake{run: func(context.Context, *runtime.Call) *runtime.Reply { panic("interpreter") }}
	p, d := local(t, f, 1)
	r, err := p.Run(t.Context(), &runtime.Call{Script: d})
	if err != nil || r.Status != runtime.Failed || r.Err.Kind != runtime.InternalError {
		t.Errorf("got %+v, %v", r, err)
	}
	if s := p.Stats(); s.Busy != 0 {
		t.Errorf("the place is still taken: %+v", s)
	}
}

func TestLocalStartsInOrderAndBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		running, most := 0, 0
		f := &fake{run: func(_ context.Context, c *runtime.Call) *runtime.Reply {
			mu.Lock()
			order = append(order, c.RunID)
			running++
			most = max(most, running)
			took := time.Second + time.Duration(len(order))*7*time.Millisecond // no two end together
			mu.Unlock()
			time.Sleep(took)
			mu.Lock()
			running--
			mu.Unlock()
			return &runtime.Reply{Status: runtime.Done}
		}}
		p, d := local(t, f, 2)
		var wg sync.WaitGroup
		var want []string
		for i := range 10 {
			id := fmt.Sprint(i)
			want = append(want, id)
			wg.Go(func() {
				if _, err := p.Run(t.Context(), &runtime.Call{Script: d, RunID: id}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // the call is in its place
			if i == 4 {
				if s := p.Stats(); s.Busy != 2 || s.Waiting != 3 || s.Workers != 2 {
					t.Errorf("stats: got %+v", s)
				}
			}
		}
		wg.Wait()
		if most != 2 {
			t.Errorf("%d at once, want 2", most)
		}
		if fmt.Sprint(order) != fmt.Sprint(want) {
			t.Errorf("started in order %v", order)
		}
	})
}

func TestLocalLetsAWaitingCallGoWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fake{run: func(context.Context, *runtime.Call) *runtime.Reply {
			<-release
			return &runtime.Reply{Status: runtime.Done}
		}}
		p, d := local(t, f, 1)
		go func() { _, _ = p.Run(context.Background(), &runtime.Call{Script: d}) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Run(ctx, &runtime.Call{Script: d}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if s := p.Stats(); s.Waiting != 0 {
			t.Errorf("it still waits: %+v", s)
		}
		close(release)
		synctest.Wait()
		if _, err := p.Run(t.Context(), &runtime.Call{Script: d}); err != nil {
			t.Errorf("the place is lost: %v", err)
		}
	})
}

func TestLocalCloseWaitsAndRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{run: func(context.Context, *runtime.Call) *runtime.Reply {
			time.Sleep(time.Minute)
			return &runtime.Reply{Status: runtime.Done}
		}}
		p, d := local(t, f, 1)
		results := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := p.Run(context.Background(), &runtime.Call{Script: d})
				results <- err
			}()
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close with a pass under way: got %v", err)
		}
		if err := <-results; !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("the waiting call: got %v", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-results; err != nil {
			t.Errorf("the pass under way: got %v", err)
		}
		if _, err := p.Run(t.Context(), &runtime.Call{Script: d}); !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("run after close: got %v", err)
		}
		if _, err := p.Load(t.Context(), bundle("b.fake")); !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("load after close: got %v", err)
		}
	})
}

func TestLocalQueueKeepsTheOrderInWhichPlacesWereTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		f := &fake{run: func(_ context.Context, c *runtime.Call) *runtime.Reply {
			mu.Lock()
			order = append(order, c.RunID)
			mu.Unlock()
			time.Sleep(time.Second)
			return &runtime.Reply{Status: runtime.Done, Return: c.RunID}
		}}
		p, d := local(t, f, 1)
		waits := make([]func() (*runtime.Reply, error), 10)
		for i := range waits {
			waits[i] = p.Queue(t.Context(), &runtime.Call{Script: d, RunID: fmt.Sprint(i)})
		}
		if s := p.Stats(); s.Busy != 1 || s.Waiting != 9 {
			t.Errorf("stats: got %+v, want one place taken and nine in line", s)
		}
		var wg sync.WaitGroup
		for i := len(waits) - 1; i >= 0; i-- { // whoever asks first
			wg.Go(func() {
				if r, err := waits[i](); err != nil || r.Return != fmt.Sprint(i) {
					t.Errorf("call %d: got %+v, %v", i, r, err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if got := fmt.Sprint(order); got != "[0 1 2 3 4 5 6 7 8 9]" {
			t.Errorf("started in order %v", got)
		}
		if s := p.Stats(); s.Busy != 0 || s.Waiting != 0 {
			t.Errorf("afterwards: got %+v", s)
		}
	})
}

func TestLocalQueueEndsWithItsContextAndThePool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fake{run: func(context.Context, *runtime.Call) *runtime.Reply {
			<-release
			return &runtime.Reply{Status: runtime.Done}
		}}
		p, d := local(t, f, 1)
		first := p.Queue(t.Context(), &runtime.Call{Script: d})
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := p.Queue(ctx, &runtime.Call{Script: d})
		late := p.Queue(t.Context(), &runtime.Call{Script: d})
		why := errors.New("gone away")
		cancel(why)
		if _, err := gone(); !errors.Is(err, why) {
			t.Errorf("got %v, want the cause", err)
		}
		if _, err := p.Queue(ctx, &runtime.Call{Script: d})(); !errors.Is(err, why) {
			t.Errorf("with an ended context: got %v, want the cause", err)
		}
		go func() { time.Sleep(time.Second); close(release) }()
		if _, err := first(); err != nil {
			t.Error(err)
		}
		if _, err := late(); err != nil {
			t.Errorf("the place of the one that left is lost: %v", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := p.Queue(t.Context(), &runtime.Call{Script: d})(); !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("after close: got %v", err)
		}
	})
}
