package dispatch_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
)

// onDisk moves the world to an embedded store in a directory, and returns how
// to close and open it again.
func (w *world) onDisk() (reopen func()) {
	w.t.Helper()
	dir := w.t.TempDir()
	open := func() queue.Store {
		s, err := queue.Open(context.Background(), queue.Options{Dir: dir, MaxBytes: 64 << 20, MinFreeDisk: -1})
		if err != nil {
			w.t.Fatal(err)
		}
		return s
	}
	_ = w.store.Close(context.Background())
	w.store = open()
	return func() {
		w.t.Helper()
		if err := w.store.Close(context.Background()); err != nil {
			w.t.Fatal(err)
		}
		w.store = open()
	}
}

// The same as in memory, over a real store that is closed and opened between:
// what was appended comes back from the disk.
func TestACrashOverAStoreOnDisk(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.star": `
def go(e):
    r = probe.read(key = "read")
    b = probe.never(key = "one")
    probe.find(key = "find " + str(b.ok))
    return "text"
on.mention("go", go)
on.mention("go", lambda e: fail("broken"))
on.error(lambda f: probe.find(key = "told " + f.error.message))
`}
	mention := func(id string) func(e *event.Event) {
		return func(e *event.Event) { e.TS, e.EventTS = "7.7", "7.7"; e.ID = id }
	}
	for n := int64(1); ; n += 3 {
		survived := false
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(t, files)
			reopen := w.onDisk()
			first := w.startKilledAt(n)
			first.say("1", "<@UBOT> go", mention("1"))
			eventually(t, "the end of the first server", func() bool {
				return first.dead.Load() || w.store.Stats().Pending == 0
			})
			survived = !first.dead.Load()
			first.end()
			reopen()
			second := w.start()
			second.say("2", "<@UBOT> go", mention("2")) // the same message under another id
			w.settled()
			if a := w.far.count("one"); a > 1 {
				t.Errorf("done %d times: %q", a, w.far.keys())
			}
			for _, key := range []string{"text", "told broken"} {
				if a := w.far.count(key); a != 1 {
					t.Errorf("%s done %d times: %q", key, a, w.far.keys())
				}
			}
			if a := w.far.count("find True") + w.far.count("find False"); a != 1 {
				t.Errorf("find done %d times: %q", a, w.far.keys())
			}
		})
		if survived {
			return
		}
	}
}

func TestACommandInterruptedByARestartIsAnsweredThroughItsURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `on.command("/x", lambda e: probe.again(key = "w").ok and "text")`})
	reopen := w.onDisk()
	release := w.far.hold("w")
	first := w.start()
	answered := make(chan *event.Answer, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		a, _ := first.AcceptAnswered(ctx, command("1", "/x"))
		answered <- a
	}()
	eventually(t, "the effect", func() bool { return first.points.Load() >= 6 })
	first.kill()
	first.end()
	reopen()
	release()
	w.start()
	w.settled()
	same(t, "effects", w.far.keys(), []string{"w", "text"})
	if a := <-answered; a != nil {
		t.Errorf("the sender got %q from a dead process", a.Body)
	}
}
