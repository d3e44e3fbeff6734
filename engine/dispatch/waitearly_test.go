package dispatch_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
)

// An event that comes while the row of a run is written counts, whether the run
// has waited before or not, and on both sides of the write.
func TestAnEventInTheMiddleOfParkingCounts(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{"first wait": "None", "second wait": `probe.ask(key = "q")`} {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " written ", written), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, map[string]string{"a.star": `
def go(e):
    ` + before + `
    a = probe.event(key = "ping")
    probe.find(key = "heard " + a.user)
on.message("^go$", go)
`, "b.star": `on.message("^ping$", lambda e: probe.find(key = "came"))`})
				var s *server
				var once sync.Once
				come := func(p queue.Parked) {
					if s, err := wait.Summarize(p); err != nil || s.Kind != "probe.event" {
						return
					}
					once.Do(func() {
						s.say("p", "ping", func(e *event.Event) { e.User = "U7" })
						// Which runs it may be for is looked up before its rules run.
						eventually(t, "the event", func() bool { return w.far.count("came") == 1 })
					})
				}
				g := &gated{gate: come}
				if written {
					g = &gated{after: func(p queue.Parked, err error) error { come(p); return err }}
				}
				s = w.start(g.over)
				s.say("1", "go")
				if name == "second wait" {
					s.click("c", "U2", "yes", w.waiting("probe.ask"))
				}
				eventually(t, "the end", func() bool { return len(w.rows(wait.Ended)) == 1 })
				w.settled()
				if !slices.Contains(w.far.keys(), "heard U7") {
					t.Errorf("effects: %q", w.far.keys())
				}
				if n := s.Waiting().Len(); n != 0 {
					t.Errorf("%d runs are taken to wait", n)
				}
			})
		}
	}
}

// An event that found a run which then cannot be parked is settled.
func TestAnEventForARunThatCannotBeParkedIsSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"a.star": `on.message("^go$", lambda e: probe.event(key = "ping"))`,
		"b.star": `on.message("^ping$", lambda e: probe.find(key = "came"))`,
	})
	var s *server
	var once sync.Once
	g := &gated{after: func(queue.Parked, error) error {
		once.Do(func() {
			s.say("p", "ping")
			eventually(t, "the event", func() bool { return w.far.count("came") == 1 })
		})
		return queue.ErrTooLarge
	}}
	s = w.start(g.over)
	<-s.Waiting().Loaded() // or it reads the row that is there all the same
	s.say("1", "go")
	w.settled()
	if got := w.outcomes("1"); !slices.Equal(got, []dispatch.Outcome{dispatch.Failed}) {
		t.Errorf("outcomes: %v", got)
	}
	if n := s.Waiting().Len(); n != 0 {
		t.Errorf("%d runs are taken to wait", n)
	}
}
