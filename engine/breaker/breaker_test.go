package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// world is a store, and the owners that were told.
type world struct {
	t     *testing.T
	store queue.Store
	clock atomic.Int64 // seconds
	sick  atomic.Bool  // the store refuses changes

	mu   sync.Mutex
	told []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: queue.NewMemory(queue.MemoryOptions{})}
	w.clock.Store(1_700_000_000)
	t.Cleanup(func() { _ = w.store.Close(context.Background()) })
	return w
}

func (w *world) now() time.Time { return time.Unix(w.clock.Load(), 0) }

// state refuses changes while the world is sick.
type state struct {
	queue.State
	w *world
}

func (s state) Update(ctx context.Context, key, op string, repeat bool, change func([]byte, bool) (queue.Change, error)) ([]byte, error) {
	if s.w.sick.Load() {
		return nil, queue.ErrUnavailable
	}
	return s.State.Update(ctx, key, op, repeat, change)
}

func (w *world) breaker(change ...func(*breaker.Options)) *breaker.Breaker {
	w.t.Helper()
	o := breaker.Options{State: state{w.store.State(), w}, Now: w.now, Poll: time.Millisecond, Tell: w.tell}
	for _, f := range change {
		f(&o)
	}
	b := breaker.New(o)
	if err := b.Load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		b.Close(ctx)
	})
	return b
}

func (w *world) tell(_ context.Context, s breaker.Switch, again bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, fmt.Sprintf("%s %s %v", s.Owner, s.Rule, again))
	return nil
}

func (w *world) notices() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.told...)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

var one, two = runtime.Digest{1}, runtime.Digest{2}

func breach(rule string, d runtime.Digest, run string) breaker.Breach {
	return breaker.Breach{
		Rule: rule, Digest: d, Run: run, Limit: runtime.LimitSteps, Owner: "U1", Team: "T1",
		Err: &runtime.Error{Kind: runtime.LimitError, Msg: "exceeded the limit of 7 steps", Pos: runtime.Position{Path: "a.star", Line: 3}},
	}
}

func trip(b *breaker.Breaker, rule string, d runtime.Digest) {
	for i := range 3 {
		b.Breach(breach(rule, d, fmt.Sprint("run", i)))
	}
}

func isOff(b *breaker.Breaker, rule string, d runtime.Digest) bool {
	_, off := b.Off(rule, d)
	return off
}

// stored reports whether a breaker that starts now finds the rule off.
func (w *world) stored(rule string, d runtime.Digest) bool {
	b := breaker.New(breaker.Options{State: w.store.State()})
	if err := b.Load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return isOff(b, rule, d)
}

func TestThreeBreachesInARowSwitchARuleOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.breaker()
	for i := range 10 { // a good run between them: never three in a row
		b.Breach(breach("a.star:x", one, "r"))
		b.Breach(breach("a.star:x", one, "r"))
		if isOff(b, "a.star:x", one) {
			t.Fatalf("off after two breaches (round %d)", i)
		}
		b.Good("a.star:x")
	}
	b.Breach(breach("a.star:y", one, "r")) // another rule's are its own
	crash := breach("a.star:x", one, "last")
	crash.Limit = "crash"
	b.Breach(breach("a.star:x", one, "r"))
	b.Breach(crash)
	b.Breach(breach("a.star:x", one, "last"))
	s, off := b.Off("a.star:x", one)
	if !off || s.State != breaker.Off || s.Run != "last" {
		t.Fatalf("got %+v, %v, want off by run last", s, off)
	}
	for _, want := range []string{"switched off after 3 ", "crash, steps", "a.star:3: exceeded the limit of 7 steps"} {
		if !strings.Contains(s.Why, want) {
			t.Errorf("why %q lacks %q", s.Why, want)
		}
	}
	if isOff(b, "a.star:x", two) || isOff(b, "a.star:y", one) {
		t.Error("another version, or another rule, is off")
	}
}

func TestWhatIsOffStaysOffOverARestartUntilItsFileChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.breaker()
	trip(b, "a.star:x", one)
	eventually(t, "the switch to be stored", func() bool { return w.stored("a.star:x", one) })

	b = w.breaker()
	version := one
	current := func(rule string) (runtime.Digest, bool) { return version, rule == "a.star:x" }
	if b.Changed(current); !isOff(b, "a.star:x", one) {
		t.Fatal("on again, and the file is the same")
	}
	version = two
	if b.Changed(current); isOff(b, "a.star:x", two) || len(b.All()) != 0 {
		t.Fatal("off, and the file has changed")
	}
	eventually(t, "the switch to go from the store", func() bool { return !w.stored("a.star:x", one) })
	version = one // changed back: it has its three runs again
	if b.Changed(current); isOff(b, "a.star:x", one) {
		t.Error("off because of what an earlier version did")
	}
}

func TestAnOperatorDecides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.breaker()
	if err := b.Enable(t.Context(), "a.star:x"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("enable of a rule that is on: %v", err)
	}
	trip(b, "a.star:x", one)
	if err := b.Enable(t.Context(), "a.star:x"); err != nil || isOff(b, "a.star:x", one) {
		t.Errorf("enable: %v, off %v", err, isOff(b, "a.star:x", one))
	}
	if b.Breach(breach("a.star:x", one, "r")); isOff(b, "a.star:x", one) {
		t.Error("off after one breach: the row has to begin anew")
	}
	if err := b.Disable(t.Context(), "a.star:x", "it rains"); err != nil {
		t.Fatal(err)
	}
	b.Changed(func(string) (runtime.Digest, bool) { return two, true })
	for _, b := range []*breaker.Breaker{b, w.breaker()} {
		if s, off := b.Off("a.star:x", two); !off || s.State != breaker.Disabled || s.Why != "disabled by an operator: it rains" {
			t.Errorf("a disabled rule whose file has changed: %+v, off %v", s, off)
		}
	}
	trip(b, "a.star:x", two) // runs under way; the operator's word stands
	if s, _ := b.Off("a.star:x", two); s.State != breaker.Disabled {
		t.Errorf("got %+v", s)
	}
	if err := b.Enable(t.Context(), "a.star:x"); err != nil || isOff(b, "a.star:x", two) || w.stored("a.star:x", two) {
		t.Errorf("enable: %v", err)
	}
}

func TestProcessesAgreeAndTellTheOwnerOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shared := func(o *breaker.Options) { o.Shared = true }
	all := []*breaker.Breaker{w.breaker(shared), w.breaker(shared), w.breaker(shared)}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for _, b := range all {
		wg.Go(func() { _ = b.Run(ctx) })
	}
	defer wg.Wait()
	defer cancel()
	var trips sync.WaitGroup
	w.clock.Add(1)
	for i, b := range all[:2] {
		trips.Go(func() {
			for n := range 3 {
				b.Breach(breach("a.star:x", one, fmt.Sprint("run", i, n)))
			}
		})
	}
	trips.Wait()
	eventually(t, "all to know", func() bool {
		return isOff(all[0], "a.star:x", one) && isOff(all[1], "a.star:x", one) && isOff(all[2], "a.star:x", one)
	})
	eventually(t, "the owner to be told", func() bool {
		s, _ := all[2].Off("a.star:x", one)
		return s.Notice == breaker.Told
	})
	if got := w.notices(); len(got) != 1 || got[0] != "U1 a.star:x false" {
		t.Errorf("notices %v, want one to U1", got)
	}
	if err := all[2].Enable(t.Context(), "a.star:x"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all to know that it is on", func() bool { return len(all[0].All())+len(all[1].All()) == 0 })
}

// Whoever was to tell the owner ends before, or right after: the next start
// sees to it, and says that it may have happened.
func TestANoticeThatACrashCutOffIsTakenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	called := make(chan struct{})
	dying := w.breaker(func(o *breaker.Options) {
		o.Tell = func(ctx context.Context, _ breaker.Switch, _ bool) error {
			close(called)
			<-ctx.Done()
			return ctx.Err()
		}
	})
	trip(dying, "a.star:x", one)
	<-called
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	dying.Close(dead)

	b := w.breaker()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	time.Sleep(20 * time.Millisecond) // twenty looks: the claim is fresh, it is left alone
	if got := w.notices(); len(got) != 0 {
		t.Errorf("told %v within the minute that the claim is good for", got)
	}
	w.clock.Add(61)
	eventually(t, "the owner to be told", func() bool {
		s, _ := b.Off("a.star:x", one)
		return s.Notice == breaker.Told
	})
	stop()
	<-done
	w.clock.Add(1000)
	again := w.breaker()
	ctx, stop = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	_ = again.Run(ctx)
	if got := w.notices(); len(got) != 1 || got[0] != "U1 a.star:x true" {
		t.Errorf("notices %v, want one, sent with care", got)
	}
}

func TestWhileTheStoreIsSickARuleIsOffInThisProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.breaker()
	w.sick.Store(true)
	trip(b, "a.star:x", one)
	if err := b.Load(t.Context()); err != nil { // what is stored knows nothing of it yet
		t.Fatal(err)
	}
	if !isOff(b, "a.star:x", one) {
		t.Error("on: reading the store has forgotten what is not stored yet")
	}
	if got := w.notices(); len(got) != 0 {
		t.Errorf("told %v before it is stored: another process might tell as well", got)
	}
	w.sick.Store(false)
	eventually(t, "the switch to be stored", func() bool { return w.stored("a.star:x", one) })
	eventually(t, "the owner to be told", func() bool { return len(w.notices()) == 1 })
}

func TestLineEndsWhenTheRuleIsSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.breaker()
	parent, cancel := context.WithCancel(t.Context())
	line, other := b.Line(parent, "a.star:x"), b.Line(parent, "a.star:y")
	trip(b, "a.star:x", one)
	if context.Cause(line) != breaker.ErrOff || other.Err() != nil {
		t.Errorf("cause %v, the other rule's %v", context.Cause(line), other.Err())
	}
	if err := b.Enable(t.Context(), "a.star:x"); err != nil {
		t.Fatal(err)
	}
	line = b.Line(parent, "a.star:x")
	if line.Err() != nil {
		t.Error("the line of a rule that is on again has ended")
	}
	if cancel(); line.Err() == nil {
		t.Error("the line outlives the server")
	}
}

func TestAShortRowOfAnOldVersionIsForgotten(t *testing.T) {
	t.Parallel()
	b := newWorld(t).breaker()
	b.Breach(breach("a.star:x", one, "r"))
	b.Breach(breach("a.star:x", one, "r"))
	b.Breach(breach("a.star:x", two, "r"))
	if isOff(b, "a.star:x", one) || isOff(b, "a.star:x", two) {
		t.Error("off, and no version went beyond its limits three times")
	}
}

func TestHammer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.breaker()
	ctx, cancel := context.WithCancel(t.Context())
	var run, wg sync.WaitGroup
	run.Go(func() { _ = b.Run(ctx) })
	for i := range 8 {
		wg.Go(func() {
			for n := range 60 {
				rule := fmt.Sprint("a.star:", n%3)
				switch (n + i) % 6 {
				case 0:
					b.Good(rule)
				case 1:
					_ = b.Enable(ctx, rule)
				case 2:
					b.Changed(func(string) (runtime.Digest, bool) { return runtime.Digest{byte(n % 2)}, true })
				case 3:
					_ = b.Load(ctx)
				default:
					b.Breach(breach(rule, runtime.Digest{byte(n % 2)}, fmt.Sprint("r", i, n)))
					<-time.After(time.Microsecond)
					b.Off(rule, one)
					_ = b.Line(ctx, rule)
				}
			}
		})
	}
	wg.Wait()
	cancel()
	run.Wait()
	end, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	b.Close(end)
	// What this process believes is what the next one finds.
	next := w.breaker()
	if got, want := fmt.Sprint(rulesOf(next)), fmt.Sprint(rulesOf(b)); got != want {
		t.Errorf("stored %s, believed %s", got, want)
	}
}

func rulesOf(b *breaker.Breaker) (out []string) {
	for _, s := range b.All() {
		out = append(out, fmt.Sprintf("%s@%.2s", s.Rule, s.Digest))
	}
	return out
}

func TestBreachesOfMatchingCountOnTheirOwnAndOwnersAreToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.breaker()
	var all []breaker.Breach
	for _, rule := range []string{"a.star:x", "a.star:y", "b.star:z"} {
		x := breach(rule, one, "r")
		x.Limit = runtime.LimitMatch
		if rule == "b.star:z" {
			x.Owner = "U2"
		}
		all = append(all, x)
	}
	b.Breaches(all)
	w.clock.Add(3601) // forgotten
	for range 2 {
		b.Breaches(all)
		b.Good("a.star:x") // it matched, and ran well: that says nothing about its pattern
	}
	b.Breach(breach("a.star:y", one, "r")) // of another limit
	if len(b.All()) != 0 {
		t.Fatalf("off: %+v", b.All())
	}
	if off := b.Breaches(all); len(off) != 3 || len(b.All()) != 3 {
		t.Fatalf("off: %+v", off)
	}
	eventually(t, "two notices", func() bool { return len(w.notices()) == 2 })
	if s, _ := b.Off("a.star:x", one); s.Others != 1 || s.Limit != runtime.LimitMatch {
		t.Errorf("switch: %+v", s)
	}
	eventually(t, "all to be stored", func() bool { return w.stored("a.star:y", one) && w.stored("b.star:z", one) })
	b.Changed(func(string) (runtime.Digest, bool) { return two, true })
	eventually(t, "all to go from the store", func() bool { return !w.stored("a.star:y", one) && !w.stored("b.star:z", one) })
	for _, n := range w.notices() {
		if !strings.HasPrefix(n, "U1 a.star:x") && !strings.HasPrefix(n, "U2 b.star:z") {
			t.Errorf("told %s", n)
		}
	}
}
