package dispatch_test

import (
	"context"
	"slices"
	"testing"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
)

// unread is a store whose parked runs cannot be listed until they may.
type unread struct {
	queue.Store
	may chan struct{}
}

func (u *unread) over(o *dispatch.Options) {
	u.Store = o.Store
	o.Store = u
}

func (u *unread) Waits() queue.Waits { return &unreadWaits{u.Store.Waits(), u} }

type unreadWaits struct {
	queue.Waits
	u *unread
}

func (w *unreadWaits) Watch(ctx context.Context, f func(queue.Parked), all func()) error {
	select {
	case <-w.u.may:
		return w.Waits.Watch(ctx, f, all)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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

	u := &unread{may: make(chan struct{})}
	s = w.start(u.over)
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
	close(u.may)
	eventually(t, "the run that waits for the event", func() bool { return w.far.count("heard U7") == 1 })
	w.settled()
	eventually(t, "nobody waits", func() bool { return s.Waiting().Len() == 0 })
}
