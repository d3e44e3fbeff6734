package dispatch_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/queue/queuetest"
	"github.com/starling-rules/starling/engine/wait"
)

// pair are two processes on one store, and of each a channel whose events it is
// given. What one of them writes as the answer of a run is held until it is let.
type pair struct {
	w        *world
	servers  [2]*server
	channels [2]string
	came     [2]chan struct{} // an answer is about to be written
	let      [2]chan struct{}
	wrote    [2]chan error
}

func newPair(t *testing.T, rules string) *pair {
	t.Helper()
	url := queuetest.Server(t)
	open := func() queue.Store {
		s, err := queue.Open(t.Context(), queue.Options{URL: url, Shards: 2, MaxBytes: 64 << 20, Lease: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	p := &pair{w: newWorldOn(t, open(), map[string]string{"a.star": rules})}
	var mu sync.Mutex
	owner := map[string]int{}
	var seen [2]bool
	for i := range p.servers {
		p.came[i], p.let[i], p.wrote[i] = make(chan struct{}), make(chan struct{}), make(chan error, 1)
		var before, behind sync.Once
		on := open()
		t.Cleanup(func() { _ = on.Close(context.Background()) })
		g := &gated{
			gate: func(r queue.Parked) {
				if answered(r) {
					before.Do(func() { close(p.came[i]); <-p.let[i] })
				}
			},
			after: func(r queue.Parked, err error) error {
				if answered(r) {
					behind.Do(func() { p.wrote[i] <- err })
				}
				return err
			},
		}
		p.servers[i] = p.w.startOn(on, 0, g.over)
		note := func(e *event.Event) {
			mu.Lock()
			defer mu.Unlock()
			if !seen[i] { // it has just got its shard of the two, maybe from the other
				seen[i] = true
				clear(owner)
			}
			owner[e.Channel] = i
		}
		p.servers[i].tamper.Store(&note)
	}
	// Which process has which channel shows when both have got some.
	n := 0
	eventually(t, "both processes to have a part", func() bool {
		n++
		p.servers[0].say(fmt.Sprint("who", n), "who", func(e *event.Event) { e.Channel = fmt.Sprint("C", n%40) })
		time.Sleep(5 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		p.channels = [2]string{}
		for c, i := range owner {
			p.channels[i] = c
		}
		return p.channels[0] != "" && p.channels[1] != ""
	})
	return p
}

// begin begins the run in the channel of a process.
func (p *pair) begin(at int) wait.Summary {
	p.w.t.Helper()
	p.servers[0].say("1", "go", func(e *event.Event) { e.Channel = p.channels[at] })
	return p.w.waiting("probe.ask")
}

// click gives a process the click of a user, who is named after it.
func (p *pair) click(at int, on wait.Summary) {
	p.w.t.Helper()
	e := click(fmt.Sprint("c", at), fmt.Sprint("U", at), fmt.Sprint("v", at), on.Run, on.Step)
	e.Channel = p.channels[at]
	if err := p.servers[1-at].Accept(context.Background(), e); err != nil {
		p.w.t.Fatal(err)
	}
}

// race lets both write, that one first, once each has read that the run waits.
func (p *pair) race(first int) {
	p.w.t.Helper()
	for i := range p.came {
		select {
		case <-p.came[i]:
		case <-time.After(30 * time.Second):
			p.w.t.Fatalf("process %d does not come to answer", i)
		}
	}
	close(p.let[first])
	if err := <-p.wrote[first]; err != nil {
		p.w.t.Fatal(err)
	}
	close(p.let[1-first])
	if err := <-p.wrote[1-first]; err == nil {
		p.w.t.Error("both have answered")
	}
}

// check is that the run went on once, and who was told what.
func (p *pair) check(run, effect string, told ...string) {
	p.w.t.Helper()
	p.w.ended(run)
	eventually(p.w.t, "those who lost to be told", func() bool { return len(p.w.far.said()) >= len(told) })
	for _, s := range p.servers {
		s.end()
	}
	same(p.w.t, "effects", slices.DeleteFunc(p.w.far.keys(), func(k string) bool { return k == "who" }), []string{"deploy?", effect})
	same(p.w.t, "told", p.w.far.said(), told)
}

const raced = `
def go(e):
    a = probe.ask(key = "deploy?", timeout = %s)
    probe.find(key = "%%s by %%s: %%s" %% (a.by, a.user, a.value))
on.message("^go$", go)
on.message("^who$", lambda e: probe.find(key = "who"))
`

// Two people click, and each click is with another process.
func TestTwoClicksInTwoProcessesAnswerOnce(t *testing.T) {
	t.Parallel()
	for first := range 2 {
		t.Run(fmt.Sprint("process ", first, " first"), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, fmt.Sprintf(raced, `"1h"`))
			asked := p.begin(0)
			p.click(0, asked)
			p.click(1, asked)
			p.race(first)
			p.check(asked.Run, fmt.Sprintf("event by U%d: v%d", first, first), fmt.Sprintf("U%d: too late, it was event U%d", 1-first, first))
		})
	}
}

// A time-out is with one process, whichever has the timer, and a click with the other.
func TestAClickAndATimeOutInTwoProcessesAnswerOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"time-out", "click"} {
		t.Run(name+" first", func(t *testing.T) {
			t.Parallel()
			p := newPair(t, fmt.Sprintf(raced, `"50ms"`))
			asked := p.begin(0)
			clicker := 0
			select {
			case <-p.came[0]:
				clicker = 1
			case <-p.came[1]:
			case <-time.After(30 * time.Second):
				t.Fatal("the time-out does not come")
			}
			p.click(clicker, asked)
			if name == "click" {
				p.race(clicker)
				p.check(asked.Run, fmt.Sprintf("event by U%d: v%d", clicker, clicker))
			} else {
				p.race(1 - clicker)
				p.check(asked.Run, "timeout by : ", fmt.Sprintf("U%d: too late, it was timeout", clicker))
			}
		})
	}
}
