package dispatch_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
)

// Where a crowd waits for the messages of a channel, a message that is for none
// of them is not looked up run by run, and one that is for some finds them,
// also when they have waited for something else before.
func TestACrowdIsReadOnce(t *testing.T) {
	t.Parallel()
	const n = 100
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    who = e.text.split(" ")[1]
    probe.event(key = "first " + who)
    probe.find(key = "second " + probe.event(key = "then " + who).user + " of " + who)
on.message("^go ", go)
`})
	g := &gated{}
	s := w.start(g.over)
	for i := range n {
		s.say(fmt.Sprint("go", i), fmt.Sprint("go ", i))
	}
	eventually(t, "all wait", func() bool { return s.Waiting().Len() == n })
	say := func(id, text string) {
		s.say(id, text, func(e *event.Event) { e.User = "U" + id })
		w.settled()
	}
	say("warm", "for nobody")
	before := g.reads.Load()
	for i := range 20 {
		say(fmt.Sprint("none", i), "for nobody")
	}
	if got := g.reads.Load() - before; got > n {
		t.Errorf("%d rows read for 20 messages that are for none of %d runs", got, n)
	}
	say("a", "then 7") // not yet
	say("b", "first 7")
	eventually(t, "run 7 waits again", func() bool {
		return slices.ContainsFunc(w.rows(wait.Waiting), func(s wait.Summary) bool { return s.Title == "then 7" })
	})
	say("c", "first 7") // no more
	say("d", "then 7")
	eventually(t, "the end of run 7", func() bool { return w.far.count("second Ud of 7") == 1 })
	say("e", "then 7")
	w.settled()
	if got := w.far.keys(); !slices.Equal(got, []string{"second Ud of 7"}) || s.Waiting().Len() != n-1 {
		t.Errorf("effects %q, %d wait", got, s.Waiting().Len())
	}
}
