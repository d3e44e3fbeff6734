package dispatch_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/queue"
)

// A server is killed at every point where it touches the store or the far
// side, and started again: each effect that may not be repeated was done at
// most once, and if it was not, the script was told; everything else happened.
func TestACrashAtAnyPointRepeatsNothingAndLosesNothing(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.star": `
def go(e):
    a = probe.read(key = "read")
    b = probe.never(key = "one")
    c = probe.again(key = "again " + str(a.ok))
    d = probe.find(key = "find")
    done = probe.never(key = "two")
    probe.find(key = "seen %s %s" % (b.error, done.error))
    return "answer " + str(d.ok)
on.message("go", go)
on.message("go", lambda e: probe.never(key = "second rule"))
on.message("go", lambda e: probe.find(key = "third") and fail("broken"))
on.error(lambda f: probe.find(key = "told " + f.error.message))
`}
	for n := int64(1); ; n++ {
		survived := false
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(t, files)
			first := w.startKilledAt(n)
			first.say("1", "go")
			eventually(t, "the end of the first server", func() bool {
				return first.dead.Load() || w.store.Stats().Pending == 0
			})
			survived = !first.dead.Load()
			first.end()
			w.start()
			w.settled()
			checkOnce(t, w)
		})
		if survived {
			if n < 30 {
				t.Errorf("the server was killed at %d points only", n-1)
			}
			return
		}
	}
}

func checkOnce(t *testing.T, w *world) {
	t.Helper()
	f := w.far
	for _, key := range []string{"one", "two", "second rule"} {
		if n := f.count(key); n > 1 {
			t.Errorf("%s was done %d times: %q", key, n, f.keys())
		}
	}
	for _, key := range []string{"find", "answer True", "third", "told broken"} {
		if n := f.count(key); n != 1 {
			t.Errorf("%s was done %d times, want once: %q", key, n, f.keys())
		}
	}
	if f.count("read") == 0 || f.count("again True") == 0 {
		t.Errorf("something is missing in %q", f.keys())
	}
	// What was interrupted was told to the script, and only that.
	var seen string
	for _, k := range f.keys() {
		if strings.HasPrefix(k, "seen") {
			if seen != "" {
				t.Errorf("seen twice: %q", f.keys())
			}
			seen = k
		}
	}
	words := strings.Fields(seen)
	if len(words) != 3 {
		t.Fatalf("got %q in %q", seen, f.keys())
	}
	for i, key := range []string{"one", "two"} {
		if words[i+1] == "None" && f.count(key) != 1 {
			t.Errorf("%s: the script saw a result, and it was done %d times", key, f.count(key))
		}
	}
	if got := w.outcomes("1"); !slices.Equal(got, []dispatch.Outcome{"done", "done", "failed", "done"}) {
		t.Errorf("outcomes: got %v", got)
	}
	rep := w.report("1")
	if rep.Reason != "" || rep.Runs[2].Error == nil || !strings.Contains(rep.Runs[2].Error.Msg, "broken") {
		t.Errorf("report: %+v", rep)
	}
}

// crashAfter kills a server when the effect with that key is in flight, and
// starts another, after meanwhile.
func crashAfter(t *testing.T, files map[string]string, key string, meanwhile func(*world)) *world {
	t.Helper()
	w := newWorld(t, files)
	release := w.far.hold(key)
	first := w.start()
	first.say("1", "go")
	eventually(t, "the effect", func() bool {
		rep, err := w.store.Event(context.Background(), "1")
		if err != nil {
			return false
		}
		r, err := dispatch.Report(rep)
		return err == nil && slices.ContainsFunc(r.Runs, func(r dispatch.RunReport) bool {
			return slices.ContainsFunc(r.Effects, func(e dispatch.EffectReport) bool {
				return e.State == "in flight" && strings.Contains(e.Args, key)
			})
		})
	})
	first.kill()
	release()
	first.end()
	if meanwhile != nil {
		meanwhile(w)
	}
	w.far.mu.Lock()
	w.far.block = nil
	w.far.mu.Unlock()
	w.start()
	w.settled()
	return w
}

func TestAnEffectInFlightGoesByItsKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, call, key, want string }{
		{"never", `probe.never(key = "x")`, "x", "False interrupted"},
		{"looked up and not there", `probe.find(key = "x")`, "x", "True None"},
		{"look-up impossible", `probe.find(key = "unknown x")`, "unknown x", "False interrupted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := crashAfter(t, map[string]string{"a.star": `
def go(e):
    probe.never(key = "before").ok
    r = ` + c.call + `
    probe.again(key = "%s %s" % (r.ok, r.error))
on.message("go", go)
`}, c.key, nil)
			got := w.far.keys()
			if got[0] != "before" || w.far.count("before") != 1 || got[len(got)-1] != c.want {
				t.Errorf("got %q, want before once and %q", got, c.want)
			}
		})
	}
}

func TestAReplayThatAsksForSomethingElseHasDiverged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    probe.never(key = "a").ok
    probe.never(key = "b").ok
on.message("go", go)
on.error(lambda f: probe.again(key = f.error.message))
`})
	release := w.far.hold("b")
	first := w.start()
	first.say("1", "go")
	w.far.wait(t, 1)
	eventually(t, "the second intent", func() bool { r := w.report("1"); return len(r.Runs) == 1 && len(r.Runs[0].Effects) == 2 })
	first.kill()
	release()
	first.end()
	w.store = &tampered{w.store}
	w.start()
	w.settled()
	got := w.far.keys()
	if last := got[len(got)-1]; !strings.Contains(last, "replay diverged at step 1") || w.far.count("a") != 1 || w.far.count("b") != 0 {
		t.Errorf("got %q, want the divergence told, and nothing done again", got)
	}
}

// tampered hands out journals with the hash of the first result changed.
type tampered struct{ queue.Store }

func (s *tampered) Consume(ctx context.Context, n int, handle func(queue.Delivery)) error {
	return s.Store.Consume(ctx, n, func(d queue.Delivery) { handle(&tamperedDelivery{d}) })
}

type tamperedDelivery struct{ queue.Delivery }

func (d *tamperedDelivery) History() []queue.Entry {
	h := slices.Clone(d.Delivery.History())
	for i, e := range h {
		if e.Type == 3 { // a result: run, step, hash
			b := slices.Clone(e.Body)
			b[2] ^= 1
			h[i].Body = b
			break
		}
	}
	return h
}

func TestAResumedRunGoesOnWithTheVersionItBeganWith(t *testing.T) {
	t.Parallel()
	old := map[string]string{"a.star": `
def go(e):
    r = probe.never(key = "old")
    probe.again(key = "old goes on: " + r.error)
on.message("go", go)
`}
	w := crashAfter(t, old, "old", func(w *world) { w.write("a.star", `on.message("go", lambda e: probe.again(key = "new"))`) })
	same(t, "effects", w.far.keys(), []string{"old goes on: interrupted"})
}

func TestAReloadDoesNotTakeTheVersionFromAResumedRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    probe.again(key = "slow").ok
    probe.again(key = "old goes on")
on.message("go", go)
`})
	release := w.far.hold("slow")
	first := w.start()
	first.say("1", "go")
	eventually(t, "the effect", func() bool { return first.points.Load() >= 5 })
	first.kill()
	first.end()
	w.write("a.star", `on.message("go", lambda e: probe.again(key = "new"))`)
	s := w.start()
	eventually(t, "the effect again", func() bool { return s.points.Load() >= 4 })
	for i := range 2 {
		w.write("a.star", fmt.Sprintf("# %d\non.message(\"go\", lambda e: probe.again(key = \"new\"))", i))
		if err := s.loader.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	release()
	w.settled()
	same(t, "effects", w.far.keys(), []string{"slow", "old goes on"})
}

func TestARunWhoseSourcesAreGoneFailsWithTheReason(t *testing.T) {
	t.Parallel()
	w := crashAfter(t, map[string]string{"a.star": `on.message("go", lambda e: probe.never(key = "old").ok)`}, "old", func(w *world) {
		if err := os.Remove(filepath.Join(w.dir, "a.star")); err != nil {
			t.Fatal(err)
		}
		w.store = &withoutSources{w.store}
	})
	rep := w.report("1")
	if len(rep.Runs) != 1 || rep.Runs[0].Outcome != dispatch.Failed || !strings.Contains(rep.Runs[0].Error.Msg, "the run began with is gone") {
		t.Errorf("got %+v", rep.Runs)
	}
}

type withoutSources struct{ queue.Store }

func (withoutSources) Source(context.Context, string) ([]byte, error) {
	return nil, fmt.Errorf("read source: %w", queue.ErrNotFound)
}

func TestARunThatKeepsCrashingIsDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `on.message("go", lambda e: probe.again(key = "bomb"))`})
	for i := 0; ; i++ {
		bomb := w.far.hold("bomb")
		s := w.start()
		if i == 0 {
			s.say("1", "go")
		}
		eventually(t, "the effect or the end", func() bool { return w.store.Stats().Dead > 0 || s.pool.Stats().Busy == 0 && s.points.Load() > 3 })
		if w.store.Stats().Dead > 0 {
			if i != 6 {
				t.Errorf("dead at start %d, want 6: the first and five more", i)
			}
			bomb()
			break
		}
		s.kill()
		bomb()
		s.end()
		if i > 10 {
			t.Fatal("tried for ever")
		}
	}
	letters, err := w.store.DeadLetters(t.Context(), 10)
	if err != nil || len(letters) != 1 {
		t.Fatalf("got %v, %v", letters, err)
	}
	rep, err := dispatch.Report(letters[0])
	if err != nil || !strings.Contains(rep.Reason, "interrupted too often") || len(rep.Runs) != 1 || rep.Runs[0].Outcome != dispatch.Dead {
		t.Errorf("got %+v, %v", rep, err)
	}
	w.far.mu.Lock()
	w.far.block = nil
	w.far.mu.Unlock()
	if err := w.store.RetryDead(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	w.far.wait(t, 1)
	w.settled()
	same(t, "effects", w.far.keys(), []string{"bomb"})
}
