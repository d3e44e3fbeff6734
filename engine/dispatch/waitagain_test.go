package dispatch_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/timeline"
	"github.com/starling-rules/starling/engine/wait"
)

// again is a run that is answered in vain as often as somebody says so.
const again = `
def go(e):
    a = probe.ask(key = "q", timeout = "1h")
    probe.find(key = "%s by %s: %s" % (a.by, a.user, a.value))
on.message("^go$", go)
`

var inLanguages = map[string]string{"a.star": again, "a.lua": `
on.message("^go$", function(e)
  local a = probe.ask("q", {timeout = "1h"})
  probe.find(a.by .. " by " .. a.user .. ": " .. a.value)
end)
`}

// round waits for the run to wait in a round.
func (w *world) round(n int) wait.Summary {
	w.t.Helper()
	var got wait.Summary
	eventually(w.t, fmt.Sprint("round ", n), func() bool {
		for _, s := range w.rows(wait.Waiting) {
			if s.Round == n {
				got = s
				return true
			}
		}
		return false
	})
	return got
}

// What belonged to the first round, and comes late, or again, does nothing to
// the second: a timer, a continuation, the click that answered it, and another
// one on the same button.
func TestOneRoundIsNotTakenForAnother(t *testing.T) {
	t.Parallel()
	for file, script := range inLanguages {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]string{file: script})
			s := w.start()
			s.say("1", "go")
			first := w.waiting("probe.ask")
			s.click("c1", "U2", "vain", first)
			second := w.round(1)
			w.settled()
			if second.Run != first.Run || second.Step != first.Step || second.Title != "q again 1" {
				t.Errorf("it waits for %+v", second)
			}
			late := func() {
				t.Helper()
				continuation := &event.Event{
					ID: fmt.Sprintf("wait:%s.%d", first.Run, first.Step), Kind: event.Other, Type: "starling.continue", Via: "wait", Encoding: event.None,
				}
				for id, e := range map[string]*event.Event{
					"again/continuation": continuation, "again/click": click("c1", "U2", "vain", first.Run, first.Step),
				} {
					id = fmt.Sprint(id, len(w.far.said()))
					if err := w.store.Put(t.Context(), queue.Record{ID: id, Key: "T1/C1", Body: e.Encode(nil)}); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.Timer(t.Context(), queue.Timer{ID: fmt.Sprint(wait.TimerPrefix, first.Run, ".", first.Step)}); err != nil {
					t.Error(err)
				}
				s.click(fmt.Sprint("c2", len(w.far.said())), "U3", "no", first)
				w.settled()
			}
			late()
			if now := w.round(1); now.Rev != second.Rev {
				t.Errorf("the second round was touched: %+v", now)
			}
			same(t, "told", w.far.said(), []string{"U3: too late, it was event U2"})
			s.click("c3", "U2", "yes", second)
			row := w.ended(first.Run)
			late()
			same(t, "effects", w.far.keys(), []string{"q", "event by U2: yes"})
			if now := w.ended(first.Run); now.Rev != row.Rev || now.Outcome != "done" {
				t.Errorf("the end was touched: %+v", now)
			}
			if got := w.outcomes("1"); !slices.Equal(got, []dispatch.Outcome{dispatch.Waiting}) {
				t.Errorf("outcomes: %v", got)
			}
			if timers, err := w.store.Timers().List(t.Context(), wait.TimerPrefix, 0); err != nil || len(timers) > 0 {
				t.Errorf("timers are left: %v %v", timers, err)
			}
		})
	}
}

// A second round ends by its time, by an operator, or with the run, as a first does.
func TestASecondRoundEndsAsAFirstDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ by, outcome, want string }{
		{wait.ByTimeout, "done", "timeout by : "},
		{wait.ByOperator, "done", "operator by : forced"},
		{wait.ByCancel, "cancelled", ""},
	} {
		t.Run(c.by, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]string{"a.star": again})
			s := w.start()
			s.say("1", "go")
			s.click("c1", "U2", "vain", w.waiting("probe.ask"))
			second := w.round(1)
			at := wait.Point{Step: second.Step, Round: 1}
			if c.by == wait.ByTimeout {
				if err := s.Timer(t.Context(), queue.Timer{ID: wait.TimerPrefix + second.Run + "." + at.String()}); err != nil {
					t.Fatal(err)
				}
			} else {
				a := &wait.Answer{By: c.by, At: time.Now(), Who: "root", Value: dictOf("answer", "forced")}
				row, won, err := s.Waiting().Claim(t.Context(), second.Run, at, a)
				if err != nil || !won {
					t.Fatal(won, err)
				}
				if err := s.Waiting().Continue(t.Context(), row); err != nil {
					t.Fatal(err)
				}
			}
			if row := w.ended(second.Run); row.Outcome != c.outcome {
				t.Errorf("outcome %s: %s", row.Outcome, row.Why)
			}
			want := []string{"q"}
			if c.want != "" {
				want = append(want, c.want)
			}
			same(t, "effects", w.far.keys(), want)
		})
	}
}

// A click that is there before the run is parked again waits for that.
func TestAClickBeforeTheRunIsParkedAgainCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": again})
	hold := make(chan struct{})
	arrived := make(chan struct{}, 1)
	g := &gated{gate: func(p queue.Parked) {
		if x, err := wait.Summarize(p); err == nil && x.State == wait.Waiting && x.Round == 1 {
			arrived <- struct{}{}
			<-hold
		}
	}}
	s := w.start(g.over)
	s.say("1", "go")
	first := w.waiting("probe.ask")
	w.settled()
	s.click("c1", "U2", "vain", first)
	<-arrived
	on := first
	on.Round = 1
	before := g.reads.Load()
	s.click("c2", "U2", "yes", on)
	eventually(t, "the run to be looked for again", func() bool { return g.reads.Load() > before+1 })
	close(hold)
	w.ended(first.Run)
	same(t, "effects", w.far.keys(), []string{"q", "event by U2: yes"})
	same(t, "told", w.far.said(), nil)
}

// A run that was cut off when it had said that it waits again parks, and its
// handler is not asked a second time: nobody is shown a second button.
func TestARunThatIsCutOffBeforeItParksAgainAsksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": again})
	var s *server
	g := &gated{gate: func(p queue.Parked) {
		if x, err := wait.Summarize(p); err == nil && x.Round == 1 {
			s.kill()
		}
	}}
	s = w.start(g.over)
	s.say("1", "go")
	first := w.waiting("probe.ask")
	w.settled()
	s.click("c1", "U2", "vain", first)
	eventually(t, "the end of the server", s.dead.Load)
	s.end()
	if rows := w.rows(wait.Waiting); len(rows) > 0 {
		t.Fatalf("it is parked already: %+v", rows)
	}
	s = w.start()
	s.click("c2", "U2", "yes", w.round(1))
	w.ended(first.Run)
	w.settled()
	same(t, "effects", w.far.keys(), []string{"q", "event by U2: yes"})
	if n := w.far.vain.Load(); n != 1 {
		t.Errorf("the handler was asked %d times", n)
	}
}

// What became of a run in its second round is not the business of the
// continuation of the first, when a crash has that delivered again: the failure
// is not told twice.
func TestTheContinuationOfAFirstRoundDoesNotEndTheSecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": again + `
on.error(lambda f: probe.find(key = "told"))
`})
	var s *server
	g := &gated{after: func(p queue.Parked, err error) error {
		if x, e := wait.Summarize(p); e == nil && x.Round == 1 {
			s.kill()
		}
		return err
	}}
	s = w.start(g.over)
	s.say("1", "go")
	first := w.waiting("probe.ask")
	w.settled()
	s.click("c1", "U2", "vain", first)
	eventually(t, "the end of the server", s.dead.Load)
	s.end()
	// Another process has it end meanwhile.
	row, err := w.registry().Get(t.Context(), first.Run)
	if err != nil || row.Wait.Round != 1 || w.store.Stats().Pending == 0 {
		t.Fatalf("it is %+v, %v", row, err)
	}
	row.Outcome, row.Why = "failed", "broken"
	if err := w.registry().Finish(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.settled()
	same(t, "effects", w.far.keys(), []string{"q"})
	if got := w.ended(first.Run); got.Outcome != "failed" || got.Wait.Round != 1 {
		t.Errorf("its row is %+v", got)
	}
}

// told is a time line in few words.
func told(moments []timeline.Moment) []string {
	var out []string
	for _, m := range moments {
		switch m.What {
		case timeline.Effect:
			out = append(out, fmt.Sprint(m.Step, " ", m.Kind, " ", m.State))
		case timeline.Waiting:
			out = append(out, fmt.Sprint(m.Step, " ", m.State, " ", m.Wait.Title))
		case timeline.Answered:
			out = append(out, fmt.Sprint(m.Step, " ", m.By, " ", m.User))
		case timeline.End:
			out = append(out, m.State)
		}
	}
	return out
}

// The time line tells of every round, in order, while the run waits, between the
// journal and the row, and when it is over.
func TestATimeLineHasAllRounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": again})
	hold, arrived := make(chan struct{}), make(chan struct{})
	var once sync.Once
	g := &gated{gate: func(p queue.Parked) {
		if x, err := wait.Summarize(p); err == nil && x.Round == 1 {
			once.Do(func() { close(arrived); <-hold })
		}
	}}
	s := w.start(g.over)
	s.say("1", "go")
	first := w.waiting("probe.ask")
	w.settled()
	line := func() (dispatch.RunReport, []string) {
		t.Helper()
		row, err := s.Waiting().Get(context.Background(), first.Run)
		if err != nil {
			t.Fatal(err)
		}
		var since []queue.Entry
		if row.State == wait.Answered {
			info, err := w.store.Event(context.Background(), dispatch.ContinuationID(row))
			if err != nil {
				t.Fatal(err)
			}
			since = info.Entries
		}
		rep, _ := dispatch.ReportRow(row, since, true)
		if rep.Reason != "" || len(rep.Runs) != 1 {
			t.Fatalf("report: %+v", rep)
		}
		return rep.Runs[0], told(rep.Runs[0].Timeline)
	}
	s.click("c1", "U2", "vain", first)
	<-arrived
	want := []string{"1 probe.ask begun", "1 over q", "1 event U2", "1 waiting q again 1"}
	_, got := line()
	same(t, "between journal and row", got, want)
	close(hold)
	second := w.round(1)
	run, got := line()
	same(t, "second round", got, want)
	if run.Wait == nil || run.Wait.Title != "q again 1" || run.Effects[0].State != "waiting" {
		t.Errorf("it waits for %+v, effects %+v", run.Wait, run.Effects)
	}
	s.click("c2", "U3", "yes", second)
	w.ended(first.Run)
	w.settled()
	run, got = line()
	same(t, "the end", got, []string{
		"1 probe.ask begun", "1 over q", "1 event U2", "1 over q again 1", "1 event U3", "2 probe.find done", "done",
	})
	if run.Outcome != dispatch.Done || run.Effects[0].State != "done" {
		t.Errorf("it is %s, effects %+v", run.Outcome, run.Effects)
	}
}

// A run that waited twice at a step can be tried again: from that step it asks
// anew, from the next one it has the answer.
func TestARunThatWaitedAgainIsTriedAgain(t *testing.T) {
	t.Parallel()
	for step, want := range map[int][]string{
		1: {"q", "event by U2: yes", "q", "event by U3: anew"},
		2: {"q", "event by U2: yes", "event by U2: yes"},
	} {
		t.Run(fmt.Sprint("step ", step), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]string{"a.star": again})
			s := w.start()
			s.say("1", "go")
			s.click("c1", "U2", "vain", w.waiting("probe.ask"))
			second := w.round(1)
			s.click("c2", "U2", "yes", second)
			row := w.ended(second.Run)
			past, err := dispatch.PastOfRow(row)
			if err != nil {
				t.Fatal(err)
			}
			next, err := past.Retry(step, "root", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Waiting().Begin(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			if step == 1 {
				asked := w.waiting("probe.ask")
				if asked.Round != 0 {
					t.Errorf("it waits in round %d", asked.Round)
				}
				s.click("c3", "U3", "anew", asked)
			}
			if end := w.ended(next.Run); end.Outcome != "done" {
				t.Errorf("outcome %s: %s", end.Outcome, end.Why)
			}
			same(t, "effects", w.far.keys(), want)
		})
	}
}
