package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
)

const interrupted = `
def later(e, data):
    probe.ask(key = "ask later")
    probe.find(key = "later " + data)
def go(e):
    probe.never(key = "one")
    after("20ms", later, "x")
    a = probe.ask(key = "ask one")
    probe.find(key = "got " + a.value)
    l = probe.ask(key = "ask vain", timeout = "1h")
    probe.find(key = "then " + l.value)
    sleep("1ms")
    b = probe.event(key = "ping")
    probe.find(key = "pinged " + b.value)
    fail("broken")
def told(f):
    c = probe.ask(key = "ask told")
    probe.find(key = "told " + f.error.message)
on.message("^go$", go)
on.message("^go$", lambda e: probe.find(key = "second rule"))
on.error(told)
`

// A server is killed at every point where it touches the store or the far side:
// between the journal, the row, the timer, the claim, the continuation and the
// end, of the event that parks, of the click, and of each continuation, also of
// those whose answer is in vain: the run waits again where it was. Those who
// click and write do so once. Every run ends once, and nothing is done twice.
func TestACrashAtAnyPointOfAWaitRepeatsNothingAndLosesNothing(t *testing.T) {
	t.Parallel()
	step := int64(1)
	if testing.Short() {
		step = 3
	}
	for n := int64(1); ; n += step {
		survived := false
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(t, map[string]string{"a.star": interrupted})
			p := &people{w: w, sent: map[string]bool{}}
			first := w.startKilledAt(n)
			first.say("1", "go")
			p.live(first)
			survived = !first.dead.Load()
			if !survived {
				first.kill()
			}
			first.end()
			second := w.start()
			p.live(second)
			w.settled()
			second.end()
			p.check()
		})
		if survived {
			if n < 60 {
				t.Errorf("the server was killed at %d points only", n-1)
			}
			return
		}
	}
}

// people answer what they are asked, each question once.
type people struct {
	w    *world
	sent map[string]bool
	// pinged is when a message was sent last.
	pinged time.Time
}

// live answers whatever is asked until all is over, or the server is dead.
func (p *people) live(s *server) {
	p.w.t.Helper()
	eventually(p.w.t, "all runs to end, or the server to die", func() bool {
		for _, row := range p.w.rows(wait.Waiting) {
			switch row.Kind {
			case "probe.ask":
				value := "yes"
				if row.Title == "ask vain" {
					value = "vain"
				}
				if row.Until.IsZero() || row.Round == 0 { // else nobody comes in time
					p.send(s, clickAt("click "+row.Title, "U2", value, row.Run, wait.Point{Step: row.Step, Round: row.Round}))
				}
			case "probe.event":
				if time.Since(p.pinged) > 5*time.Millisecond { // a ping counts from when the run waits
					p.pinged = time.Now()
					p.send(s, message(fmt.Sprint("ping ", len(p.sent)), "ping", func(e *event.Event) { e.User = "U3" }))
				}
			}
		}
		return s.dead.Load() || len(p.w.rows(wait.Ended)) == 3 && p.w.store.Stats().Pending == 0
	})
}

func (p *people) send(s *server, e *event.Event) {
	if p.sent[e.ID] || s.dead.Load() {
		return
	}
	err := s.Accept(context.Background(), e)
	if err != nil && !errors.Is(err, queue.ErrDuplicate) {
		p.w.t.Fatal(err)
	}
	p.sent[e.ID] = true
}

func (p *people) check() {
	t, f := p.w.t, p.w.far
	t.Helper()
	for _, key := range []string{"ask one", "got yes", "ask vain", "then yes", "pinged U3", "ask told", "told broken", "ask later", "later x", "second rule"} {
		if n := f.count(key); n != 1 {
			t.Errorf("%s was done %d times, want once: %q", key, n, f.keys())
		}
	}
	p.checkRounds()
	if n := f.count("one"); n > 1 {
		t.Errorf("one was done %d times: %q", n, f.keys())
	}
	var outcomes []string
	for _, r := range p.w.rows(wait.Ended) {
		outcomes = append(outcomes, r.Outcome)
	}
	slices.Sort(outcomes)
	same(t, "outcomes", outcomes, []string{"done", "done", "failed"})
	if rows := append(p.w.rows(wait.Waiting), p.w.rows(wait.Answered)...); len(rows) > 0 {
		t.Errorf("left behind: %+v", rows)
	}
}

// checkRounds is that the run waited three times where it was answered in vain.
func (p *people) checkRounds() {
	p.w.t.Helper()
	var got []string
	for _, s := range p.w.rows(wait.Ended) {
		row, err := p.w.registry().Get(context.Background(), s.Run)
		if err != nil {
			p.w.t.Fatal(err)
		}
		for _, x := range append(row.Past, wait.Past{Wait: row.Wait, Answer: row.Answer}) {
			if strings.HasPrefix(x.Wait.Title, "ask vain") && x.Answer != nil {
				got = append(got, fmt.Sprint(x.Wait.Point(), " ", x.Wait.Title, ": ", x.Answer.By))
			}
		}
	}
	same(p.w.t, "rounds", got, []string{"5 ask vain: event", "5~1 ask vain again 1: timeout", "5~2 ask vain again 2: event"})
}

// race forces one of two orders: of two writes of an answer to a row, both made
// by who has read the row before the other's write, the one with the number
// first is stored first.
func race(t *testing.T, first int64, one, two func(s *server, asked wait.Summary)) (w *world, row *wait.Row) {
	t.Helper()
	w = newWorld(t, map[string]string{"a.star": approval})
	arrived, both, stored := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	var n atomic.Int64
	g := &gated{
		gate: func(p queue.Parked) {
			if !answered(p) {
				return
			}
			mine := n.Add(1)
			if mine > 2 {
				return
			}
			arrived <- struct{}{}
			<-both
			if mine != first {
				<-stored
			}
		},
		after: func(p queue.Parked, err error) error {
			if answered(p) && err == nil {
				close(stored) // a second success would panic
			}
			return err
		},
	}
	s := w.start(g.over)
	s.say("1", "go")
	asked := w.waiting("probe.ask")
	w.settled()
	one(s, asked)
	<-arrived
	two(s, asked)
	<-arrived
	close(both)
	row = w.ended(asked.Run)
	w.settled()
	return w, row
}

func TestOfTwoWhoAnswerAtOnceOneWins(t *testing.T) {
	t.Parallel()
	clicks := func(id, user string) func(*server, wait.Summary) {
		return func(s *server, on wait.Summary) { s.click(id, user, user, on) }
	}
	timeout := func(s *server, on wait.Summary) {
		go func() {
			_ = s.Timer(context.Background(), queue.Timer{ID: fmt.Sprint(wait.TimerPrefix, on.Run, ".", on.Step)})
		}()
	}
	for _, c := range []struct {
		name       string
		one, two   func(*server, wait.Summary)
		first      int64
		want, told string
	}{
		{"click and time-out, the click wins", clicks("c1", "U1"), timeout, 1, "event by U1: U1", ""},
		{"click and time-out, the time-out wins", clicks("c1", "U1"), timeout, 2, "timeout by : ", "U1: too late, it was timeout"},
		{"time-out and click, the time-out wins", timeout, clicks("c1", "U1"), 1, "timeout by : ", "U1: too late, it was timeout"},
		{"time-out and click, the click wins", timeout, clicks("c1", "U1"), 2, "event by U1: U1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, row := race(t, c.first, c.one, c.two)
			same(t, "effects", w.far.keys(), []string{"before", "deploy?", c.want, "answer"})
			eventually(t, "the loser to be told", func() bool { return strings.Join(w.far.said(), "; ") == c.told })
			if row.Outcome != "done" {
				t.Errorf("outcome %s: %s", row.Outcome, row.Why)
			}
		})
	}
}

// In one process the click that was acked first wins, however long its answer
// takes to be written. (In two: TestTwoClicksInTwoProcessesAnswerOnce.)
func TestClicksCountInTheOrderOfTheirAcks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval + `
on.message("^ping$", lambda e: probe.find(key = "pong"))
`})
	arrived, let := make(chan struct{}), make(chan struct{})
	var writes atomic.Int64
	g := &gated{gate: func(p queue.Parked) {
		if answered(p) && writes.Add(1) == 1 {
			close(arrived)
			<-let
		}
	}}
	s := w.start(g.over)
	s.say("1", "go")
	asked := w.waiting("probe.ask")
	w.settled()
	s.click("c1", "U1", "U1", asked)
	<-arrived
	s.click("c2", "U2", "U2", asked)
	s.say("2", "ping") // handed over behind the second click
	eventually(t, "what comes behind", func() bool { return slices.Contains(w.far.keys(), "pong") })
	close(let)
	w.ended(asked.Run)
	w.settled()
	same(t, "effects", w.far.keys(), []string{"before", "deploy?", "pong", "event by U1: U1", "answer"})
	eventually(t, "the second to be told", func() bool { return strings.Join(w.far.said(), "; ") == "U2: too late, it was event U1" })
}

// A click that is delivered again after it has answered neither answers the
// next question nor is told that somebody was faster.
func TestARedeliveredClickAnswersOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    for i in range(2):
        a = probe.ask(key = "ask %d" % i)
        probe.find(key = "got %d %s" % (i, a.value))
on.message("go", go)
`})
	s := w.start()
	s.say("1", "go")
	asked := w.waiting("probe.ask")
	e := click("c1", "U2", "yes", asked.Run, asked.Step)
	for range 3 {
		if err := s.Accept(context.Background(), e); err != nil && !errors.Is(err, queue.ErrDuplicate) {
			t.Fatal(err)
		}
	}
	eventually(t, "the second question", func() bool {
		rows := w.rows(wait.Waiting)
		return len(rows) == 1 && rows[0].Step == 3
	})
	w.settled()
	// The same click under the id that a retried dead letter has.
	body := e.Encode(nil)
	if err := w.store.Put(context.Background(), queue.Record{ID: "c1-again", Key: e.Conversation(), Body: body}); err != nil {
		t.Fatal(err)
	}
	w.settled()
	second := w.waiting("probe.ask")
	if second.Step != 3 {
		t.Errorf("it waits at step %d", second.Step)
	}
	s.click("c2", "U2", "no", second)
	w.ended(second.Run)
	same(t, "effects", w.far.keys(), []string{"ask 0", "got 0 yes", "ask 1", "got 1 no"})
	same(t, "told", w.far.said(), nil)
}

// An answer whose write may or may not have reached the store counts once.
func TestAnAnswerInDoubtCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval})
	g := &gated{}
	lost := false
	g.after = func(p queue.Parked, err error) error {
		if answered(p) && !lost {
			lost = true
			return queue.ErrUnavailable // it was written, and nobody is told
		}
		return err
	}
	s := w.start(g.over)
	s.say("1", "go")
	asked := w.waiting("probe.ask")
	s.click("c1", "U2", "yes", asked)
	w.ended(asked.Run)
	same(t, "effects", w.far.keys(), []string{"before", "deploy?", "event by U2: yes", "answer"})
	same(t, "told", w.far.said(), nil)
	if !lost {
		t.Error("nothing was in doubt")
	}
}

// A continuation that the server does not survive becomes dead, and its run
// with it; tried again, it goes on.
func TestAContinuationThatKillsServersIsDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval})
	s := w.start()
	s.say("1", "go")
	asked := w.waiting("probe.ask")
	w.settled()
	release := w.far.hold("event by U2: yes")
	s.click("c1", "U2", "yes", asked)
	over := func() bool {
		row, err := w.registry().Get(context.Background(), asked.Run)
		return err == nil && row.State == wait.Ended
	}
	for n := 0; !over(); {
		eventually(t, "the continuation to be taken up", func() bool {
			info, err := w.store.Event(context.Background(), fmt.Sprintf("wait:%s.%d", asked.Run, asked.Step))
			more := err == nil && len(info.Entries) > n
			if more {
				n = len(info.Entries)
			}
			return more || over()
		})
		s.kill()
		s.end()
		s = w.start(func(o *dispatch.Options) { o.MaxAttempts = 2 })
	}
	row := w.ended(asked.Run)
	if row.Outcome != "dead" {
		t.Fatalf("outcome %s: %s", row.Outcome, row.Why)
	}
	release()
	w.settled()
	dead, err := w.store.DeadLetters(context.Background(), 10)
	if err != nil || len(dead) != 1 {
		t.Fatalf("dead letters: %v, %v", dead, err)
	}
	if err := w.store.RetryDead(context.Background(), dead[0].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end", func() bool { return w.ended(asked.Run).Outcome == "done" })
	same(t, "effects", w.far.keys(), []string{"before", "deploy?", "event by U2: yes", "answer"})
}
