package dispatch_test

import (
	"strconv"
	"testing"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/door"
)

// TestNothingIsDoneAfterAnEffectThatRaises asks for effects whose results are
// looked at too late, or never: one pass asks for all of them, and what comes
// after the one that raises must not happen, as if each had been waited for.
func TestNothingIsDoneAfterAnEffectThatRaises(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def never_looks(e):
    probe.never(key = "1 first")
    probe.never(key = "refused")
    probe.never(key = "1 after")
on.message("never", never_looks)

def looks_late(e):
    probe.never(key = "2 first")
    probe.never(key = "refused")
    probe.never(key = "2 after").ok
on.message("late", looks_late)

def many():
    for i in range(3):
        probe.never(key = "3 %d" % i)
        probe.never(key = "refused")

def catches(e):
    catch(many)
    probe.never(key = "3 caught").ok
    probe.never(key = "3 last")
on.message("catch", catches)
`})
	w.far.mu.Lock()
	w.far.fail = map[string]error{"refused": door.ErrRefused}
	w.far.mu.Unlock()
	s := w.start()
	for i, text := range []string{"never", "late", "catch"} {
		s.say(strconv.Itoa(i+1), text)
		w.settled()
	}
	for id, want := range map[string]dispatch.Outcome{"1": dispatch.Failed, "2": dispatch.Failed, "3": dispatch.Done} {
		if got := w.report(id).Runs[0]; got.Outcome != want {
			t.Errorf("run %s: %s %v, want %s", id, got.Outcome, got.Error, want)
		}
	}
	same(t, "effects", w.far.keys(), []string{"1 first", "2 first", "3 0", "3 caught", "3 last"})
}
