package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

const approval = `
def go(e):
    probe.never(key = "before")
    a = probe.ask(key = "deploy?")
    probe.find(key = "%s by %s: %s" % (a.by, a.user, a.value))
    return "answer"
on.message("^go$", go)
`

func TestAWaitingRunIsARowAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval})
	s := w.start()
	s.say("1", "go")
	asked := w.waiting("probe.ask")
	w.settled() // its event is over
	if asked.Step != 2 || asked.Title != "deploy?" || asked.Event != "1" || asked.Script != "a.star" {
		t.Errorf("row: %+v", asked)
	}
	if got := w.outcomes("1"); !slices.Equal(got, []dispatch.Outcome{dispatch.Waiting}) {
		t.Errorf("outcomes: %v", got)
	}
	s.click("c1", "stranger", "no", asked)
	eventually(t, "a refusal", func() bool { return len(w.far.said()) == 1 })
	s.click("c2", "U2", "yes", asked)
	row := w.ended(asked.Run)
	w.settled()
	same(t, "effects", w.far.keys(), []string{"before", "deploy?", "event by U2: yes", "answer"})
	same(t, "told", w.far.said(), []string{"stranger: not for you"})
	if row.Outcome != "done" || row.Answer.Event.ID != "c2" || row.Answer.Event.TriggerID != "trigger-c2" {
		t.Errorf("ended row: %+v", row)
	}
	s.click("c3", "U3", "no", asked)
	eventually(t, "a word to who is too late", func() bool { return len(w.far.said()) == 2 })
	if got := w.far.said()[1]; got != "U3: too late, it was event U2" {
		t.Errorf("told: %q", got)
	}
}

func TestARunWaitsThroughARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval})
	first := w.start()
	first.say("1", "go")
	asked := w.waiting("probe.ask")
	w.settled()
	first.kill()
	first.end()
	second := w.start()
	second.click("c1", "U2", "yes", asked)
	w.ended(asked.Run)
	same(t, "effects", w.far.keys(), []string{"before", "deploy?", "event by U2: yes", "answer"})
}

// timed is a pool in which each pass takes a millisecond.
type timed struct{ *runtime.Local }

func (t timed) Queue(ctx context.Context, call *runtime.Call) func() (*runtime.Reply, error) {
	wait := t.Local.Queue(ctx, call)
	return func() (*runtime.Reply, error) {
		reply, err := wait()
		if err == nil {
			reply.Took = time.Millisecond
		}
		return reply, err
	}
}

func (t timed) Run(ctx context.Context, call *runtime.Call) (*runtime.Reply, error) {
	return t.Queue(ctx, call)()
}

func TestTheTimeOfTheScriptIsKeptWhileItsRunWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval})
	inTime := func(o *dispatch.Options) { o.Pool = timed{o.Pool.(*runtime.Local)} }
	first := w.start(inTime)
	first.say("1", "go")
	asked := w.waiting("probe.ask")
	w.settled()
	first.end()
	second := w.start(inTime)
	second.click("c1", "U2", "yes", asked)
	rep, _ := dispatch.ReportRow(w.ended(asked.Run), nil, false)
	if run := rep.Runs[0]; run.Passes < 2 || run.ScriptMs != float64(run.Passes) {
		t.Errorf("%d passes of a millisecond took %v ms", run.Passes, run.ScriptMs)
	}
	second.say("2", "go")
	w.waiting("probe.ask")
	w.settled()
	if run := w.report("2").Runs[0]; run.ScriptMs != float64(run.Passes) || run.Passes == 0 {
		t.Errorf("of a run that waits: %d passes of a millisecond took %v ms", run.Passes, run.ScriptMs)
	}
}

// A run goes on with the version that it began with, whatever became of its file.
func TestAWaitingRunKeepsItsVersion(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world){
		"edited":  func(w *world) { w.write("a.star", strings.ReplaceAll(approval, "answer", "new answer")) },
		"removed": func(w *world) { w.remove("a.star") },
		"moved":   func(w *world) { w.remove("a.star"); w.write("b.star", strings.ReplaceAll(approval, "by", "BY")) },
		"broken":  func(w *world) { w.write("a.star", "def (") },
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " restart ", restart), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, map[string]string{"a.star": approval})
				s := w.start()
				s.say("1", "go")
				asked := w.waiting("probe.ask")
				w.settled()
				change(w)
				if restart {
					s.kill()
					s.end()
					s = w.startBroken()
				} else if _, _, err := s.loader.Load(context.Background()); err != nil {
					t.Fatal(err)
				}
				s.click("c1", "U2", "yes", asked)
				w.ended(asked.Run)
				same(t, "effects", w.far.keys(), []string{"before", "deploy?", "event by U2: yes", "answer"})
			})
		}
	}
}

func TestATimeOutAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    a = probe.ask(key = "quick?", timeout = 0.02)
    probe.find(key = "%s %s" % (a.by, a.value))
on.message("go", go)
`})
	s := w.start()
	s.say("1", "go")
	eventually(t, "the end", func() bool { return len(w.rows(wait.Ended)) == 1 })
	same(t, "effects", w.far.keys(), []string{"quick?", "timeout "})
	s.click("c1", "U2", "yes", w.rows(wait.Ended)[0])
	eventually(t, "a word", func() bool { return len(w.far.said()) == 1 })
	same(t, "told", w.far.said(), []string{"U2: too late, it was timeout"})
}

func TestManyWaitsInARow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    seen = []
    for i in range(3):
        sleep("5ms")
        seen.append(probe.ask(key = "ask %d" % i).value)
        seen.append(probe.event(key = "ping").value)
    probe.find(key = " ".join(seen))
on.message("go", go)
`})
	s := w.start()
	s.say("1", "go")
	for i := range 3 {
		asked := w.waiting("probe.ask")
		s.click(fmt.Sprint("c", i), "U2", fmt.Sprint("v", i), asked)
		w.waiting("probe.event")
		s.say(fmt.Sprint("p", i), "ping", func(e *event.Event) { e.User = fmt.Sprint("P", i) })
	}
	eventually(t, "the end", func() bool { return len(w.rows(wait.Ended)) == 1 })
	same(t, "effects", w.far.keys(), []string{"ask 0", "ask 1", "ask 2", "v0 P0 v1 P1 v2 P2"})
	w.settled()
}

// A message that started a run, or a copy of one that answered, answers nothing.
func TestAMessageCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    for i in range(2):
        a = probe.event(key = "ping")
        probe.find(key = "%d %s" % (i, a.user))
on.message("ping", go, cooldown = "1h")
`})
	s := w.start()
	s.say("1", "ping")
	first := w.waiting("probe.event")
	s.say("1-again", "ping", func(e *event.Event) { e.TS = "1.1" })
	w.settled()
	s.say("2", "ping", func(e *event.Event) { e.User = "U2" })
	eventually(t, "the second wait", func() bool { return w.waiting("probe.event").Step == 3 })
	s.say("2-again", "ping", func(e *event.Event) { e.User, e.TS = "U2", "2.1" })
	w.settled()
	if got := w.waiting("probe.event"); got.Run != first.Run || got.Step != 3 {
		t.Errorf("the copy counted: %+v", got)
	}
	s.say("3", "ping", func(e *event.Event) { e.User = "U3" })
	w.ended(first.Run)
	same(t, "effects", w.far.keys(), []string{"0 U2", "1 U3"})
}

func TestAQuorumCountsEachClickOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval})
	s := w.start()
	s.say("1", "go")
	asked := w.waiting("probe.ask")
	s.click("c1", "U2", "vote", asked)
	s.click("c1", "U2", "vote", asked)
	eventually(t, "the first vote", func() bool { return len(w.far.said()) == 1 })
	s.click("c2", "U3", "vote", asked)
	w.ended(asked.Run)
	same(t, "effects", w.far.keys(), []string{"before", "deploy?", "event by U3: both", "answer"})
}

func TestAfterBeginsARunOfTheSameVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def both(e, data):
    probe.find(key = "both %s %s" % (e.text, data["n"]))
def one(data):
    sleep("5ms")
    probe.find(key = "one %s" % data)
def event(e):
    probe.find(key = "event %s" % e.text)
def none():
    probe.find(key = "none")
def never(e):
    probe.find(key = "never")
def go(e):
    after("250ms", both, {"n": 1})
    after("300ms", one, "x")
    after("200ms", event)
    after("220ms", none)
    id = after("1h", never)
    probe.find(key = "cancelled %s %s" % (cancel(id), cancel(id)))
on.message("go", go)
`})
	s := w.start()
	s.say("1", "go")
	w.far.wait(t, 1)
	w.write("a.star", `on.message("go", lambda e: None)`)
	if _, _, err := s.loader.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ends", func() bool { return len(w.rows(wait.Ended)) == 5 })
	got := w.far.keys()
	slices.Sort(got)
	same(t, "effects", got, []string{"both go 1", "cancelled True True", "event go", "none", "one x"})
	for _, s := range w.rows(wait.Ended) {
		if want := map[bool]string{true: "cancelled", false: "done"}[s.Title == "begin never"]; s.Outcome != want {
			t.Errorf("%s: outcome %s, want %s", s.Title, s.Outcome, want)
		}
	}
}

// An operator may answer, and may end a run; each once.
func TestAnOperatorAnswersAndCancels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ by, outcome, want string }{
		{wait.ByOperator, "done", "before deploy? operator by : forced answer"},
		{wait.ByCancel, "cancelled", "before deploy?"},
	} {
		t.Run(c.by, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]string{"a.star": approval})
			s := w.start()
			s.say("1", "go")
			asked := w.waiting("probe.ask")
			g := w.registry()
			a := &wait.Answer{By: c.by, At: time.Now(), Who: "root", Value: dictOf("answer", "forced")}
			row, won, err := g.Claim(context.Background(), asked.Run, wait.Point{Step: asked.Step}, a)
			if err != nil || !won {
				t.Fatal(won, err)
			}
			if err := g.Continue(context.Background(), row); err != nil {
				t.Fatal(err)
			}
			if end := w.ended(asked.Run); end.Outcome != c.outcome {
				t.Errorf("outcome %s: %s", end.Outcome, end.Why)
			}
			if got := strings.Join(w.far.keys(), " "); got != c.want {
				t.Errorf("effects: %s", got)
			}
			if _, won, _ := g.Claim(context.Background(), asked.Run, wait.Point{Step: asked.Step}, &wait.Answer{By: wait.ByTimeout}); won {
				t.Error("it was answered twice")
			}
		})
	}
}

// What an operator answered while no server ran goes on at the next start.
func TestAnAnswerGivenBetweenTwoServersIsPassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval})
	first := w.start()
	first.say("1", "go")
	asked := w.waiting("probe.ask")
	w.settled()
	first.kill()
	first.end()
	a := &wait.Answer{By: wait.ByOperator, At: time.Now(), Who: "root", Value: dictOf("answer", "late")}
	if _, won, err := w.registry().Claim(context.Background(), asked.Run, wait.Point{Step: asked.Step}, a); !won || err != nil {
		t.Fatal(won, err)
	}
	w.start() // nobody has put the continuation
	w.ended(asked.Run)
	same(t, "effects", w.far.keys(), []string{"before", "deploy?", "operator by : late", "answer"})
}

// A run that does something else when it is replayed ends with the name of the
// step; others are not touched.
func TestADivergenceEndsThatRunAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    probe.never(key = e.text)
    a = probe.ask(key = "deploy?")
    return "answer"
on.message("zebra", go)
`})
	s := w.start()
	s.say("1", "zebra")
	asked := w.waiting("probe.ask")
	s.say("2", "zebra")
	eventually(t, "two that wait", func() bool { return len(w.rows(wait.Waiting)) == 2 })
	w.settled()
	p, err := w.store.Waits().Get(context.Background(), asked.Run)
	if err != nil {
		t.Fatal(err)
	}
	p.Body = bytes.Replace(p.Body, []byte("zebra"), []byte("okapi"), 2) // of the event
	if _, err := w.store.Waits().Put(context.Background(), p, 0); err != nil {
		t.Fatal(err)
	}
	for _, x := range w.rows(wait.Waiting) {
		s.click("c"+x.Run, "U2", "yes", x)
		w.ended(x.Run)
	}
	row := w.ended(asked.Run)
	if row.Outcome != "failed" || !strings.Contains(row.Why, "diverged at step 1") {
		t.Errorf("outcome %s: %s", row.Outcome, row.Why)
	}
	if n := w.far.count("answer"); n != 1 {
		t.Errorf("the other run answered %d times", n)
	}
}

// A failure after a wait is told to on.error, once, also over a crash.
func TestAFailureBehindAWaitIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    a = probe.ask(key = "q")
    fail("broken " + a.value)
on.message("go", go)
def told(f):
    probe.ask(key = "seen?")
    probe.find(key = "told " + f.error.message)
on.error(told)
`})
	s := w.start()
	s.say("1", "go")
	s.click("c1", "U2", "yes", w.waiting("probe.ask"))
	var seen wait.Summary
	eventually(t, "the second question", func() bool {
		rows := w.rows(wait.Waiting)
		if len(rows) == 1 && rows[0].Title == "seen?" {
			seen = rows[0]
		}
		return seen.Run != ""
	})
	s.click("c2", "U2", "yes", seen)
	w.ended(seen.Run)
	same(t, "effects", w.far.keys(), []string{"q", "seen?", "told broken yes"})
}

// A click that is there before the run is parked waits for it.
func TestAClickBeforeTheRunIsParkedCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval})
	hold := make(chan struct{})
	g := &gated{gate: func(p queue.Parked) { <-hold }}
	s := w.start(g.over)
	s.say("1", "go")
	w.far.wait(t, 2)
	run := w.report("1").Runs[0].ID
	s.click("c1", "U2", "yes", wait.Summary{Run: run, Step: 2})
	eventually(t, "the click", func() bool { return w.store.Stats().Pending == 2 })
	close(hold)
	w.ended(run)
	same(t, "effects", w.far.keys(), []string{"before", "deploy?", "event by U2: yes", "answer"})
}

func TestAClickOnARunThatNobodyKnowsIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval})
	s := w.start(func(o *dispatch.Options) { o.ParkGrace = 10 * time.Millisecond })
	s.click("c1", "U2", "yes", wait.Summary{Run: "0123456789abcdef", Step: 1})
	w.settled()
	same(t, "told", w.far.said(), []string{"U2: This question is closed."})
}

// The time that a run waits does not count for its limit; that under way does.
func TestTheLimitOfARunDoesNotCountItsWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": approval})
	now := time.Now()
	clock := func() time.Time { return now }
	s := w.start(func(o *dispatch.Options) { o.Now, o.RunLimit = clock, time.Minute })
	s.say("1", "go")
	asked := w.waiting("probe.ask")
	w.settled()
	s.end()
	now = now.Add(48 * time.Hour)
	s = w.start(func(o *dispatch.Options) { o.Now, o.RunLimit = clock, time.Minute })
	s.click("c1", "U2", "yes", asked)
	if row := w.ended(asked.Run); row.Outcome != "done" {
		t.Errorf("outcome %s: %s", row.Outcome, row.Why)
	}
}

func TestAHookDoesNotWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def guard(e):
    sleep("1h")
    return True
on.guard(guard)
on.message("go", lambda e: probe.find(key = "ran"))
`})
	s := w.start()
	s.say("1", "go")
	w.settled()
	if got := w.report("1").Runs[0]; got.Error == nil || !strings.Contains(got.Error.Error(), "sleep is nothing that a hook may do") {
		t.Errorf("got %+v", got)
	}
}

// Ended runs go when they take too much, the oldest first.
func TestEndedRunsAreBoundInSize(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    sleep("1ms")
    probe.find(key = "done")
on.message("go", go)
`})
	s := w.start(func(o *dispatch.Options) { o.RetentionBytes = 8 << 10 })
	for i := range 60 {
		s.say(fmt.Sprint(i), "go")
		w.far.wait(t, i+1)
	}
	w.settled()
	eventually(t, "rows to go", func() bool {
		total := 0
		for _, r := range w.rows(wait.Ended) {
			total += r.Bytes
		}
		return total > 0 && total <= 9<<10
	})
	if _, err := w.registry().Get(context.Background(), w.report("59").Runs[0].ID); err != nil {
		t.Errorf("the newest is gone: %v", err)
	}
	if _, err := w.registry().Get(context.Background(), w.report("0").Runs[0].ID); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("the oldest is there: %v", err)
	}
}
