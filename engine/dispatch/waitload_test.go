package dispatch_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
)

// unread is a store whose parked runs cannot be read all until they may.
func unread() (g *gated, may func()) {
	let := make(chan struct{})
	return &gated{watch: func(ctx context.Context) error {
		select {
		case <-let:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}}, sync.OnceFunc(func() { close(let) })
}

// A server that has a great many runs to read answers clicks, fires timers and
// runs rules at once. Only what is found by its events waits, and is not missed.
func TestOnlyTheIndexIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    if e.text == "go ask":
        probe.find(key = "clicked " + probe.ask(key = "q").value)
    elif e.text == "go sleep":
        sleep("200ms")
        probe.find(key = "slept")
    else:
        probe.find(key = "heard " + probe.event(key = "ping").user)
on.message("^go ", go)
on.message("^(ping|other)$", lambda e: probe.find(key = "rule " + e.text))
`})
	s := w.start()
	for _, what := range []string{"ask", "sleep", "event"} {
		s.say(what, "go "+what)
	}
	asked := w.waiting("probe.ask")
	w.waiting("probe.event")
	w.waiting("sleep")
	s.kill()
	s.end()

	g, may := unread()
	s = w.start(g.over)
	s.say("p", "ping", func(e *event.Event) { e.User = "U7" })
	s.say("o", "other")
	s.click("c", "U2", "yes", asked)
	for _, key := range []string{"clicked yes", "slept", "rule ping", "rule other"} {
		eventually(t, key, func() bool { return w.far.count(key) == 1 })
	}
	if slices.Contains(w.far.keys(), "heard U7") {
		t.Fatal("found before the index was read")
	}
	if n := len(w.rows(wait.Waiting)); n != 1 {
		t.Errorf("%d runs wait", n)
	}
	may()
	eventually(t, "the run that waits for the event", func() bool { return w.far.count("heard U7") == 1 })
	w.settled()
	eventually(t, "nobody waits", func() bool { return s.Waiting().Len() == 0 })
}

// A server that is told to stop before it has read its runs stops at once, and
// what may be for one of them is heard by the next.
func TestAServerStopsBeforeItsIndexIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
on.message("^go$", lambda e: probe.find(key = "heard " + probe.event(key = "ping").user))
`})
	s := w.start()
	s.say("1", "go")
	w.waiting("probe.event")
	s.end()
	g, _ := unread()
	s = w.start(g.over)
	s.say("p", "ping", func(e *event.Event) { e.User = "U7" })
	s.end()
	if strings.Contains(w.log.String(), "drain is over") {
		t.Error("it waited for what could not come")
	}
	w.start()
	eventually(t, "the run that waits for the event", func() bool { return w.far.count("heard U7") == 1 })
}

// Of several events that could answer, the first does.
func TestTheFirstEventAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
on.message("^go ", lambda e: probe.find(key = e.text + " heard " + probe.event(key = "ping").user))
`})
	s := w.start()
	for i := range 20 {
		s.say(fmt.Sprint("go", i), fmt.Sprint("go ", i))
		w.waiting("probe.event")
		for k := range 4 {
			s.say(fmt.Sprint("p", i, " ", k), "ping", func(e *event.Event) { e.User = fmt.Sprint("U", k) })
		}
		eventually(t, "an answer", func() bool { return len(w.far.keys()) == i+1 })
		w.settled()
	}
	for i, key := range w.far.keys() {
		if key != fmt.Sprintf("go %d heard U0", i) {
			t.Errorf("run %d: %s", i, key)
		}
	}
}
