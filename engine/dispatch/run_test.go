package dispatch_test

import (
	"context"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

func TestDrainLeavesUnfinishedRunsForTheNextStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    probe.never(key = "one").ok
    probe.again(key = "slow").ok
    probe.never(key = "two")
on.message("go", go)
`})
	release := w.far.hold("slow")
	short := func(o *dispatch.Options) { o.Drain = 10 * time.Millisecond }
	for i := range 8 { // more often than MaxAttempts: an orderly stop is no crash
		s := w.start(short)
		if i == 0 {
			s.say("1", "go")
			w.far.wait(t, 1)
		}
		eventually(t, "the run to wait", func() bool { return s.points.Load() >= 4 })
		s.end()
		if w.store.Stats().Pending != 1 {
			t.Fatal("the event is gone")
		}
	}
	if got := w.report("1"); got.Runs[0].Outcome != dispatch.Waiting {
		t.Errorf("got %+v, want a waiting run", got)
	}
	release()
	w.start(short)
	w.settled()
	same(t, "effects", w.far.keys(), []string{"one", "slow", "two"})
}

func TestDrainWaitsForRunsUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `on.message("go", lambda e: probe.again(key = "slow"))`})
	release := w.far.hold("slow")
	s := w.start()
	s.say("1", "go")
	eventually(t, "the effect", func() bool { return s.points.Load() >= 4 })
	s.cancel()
	time.AfterFunc(20*time.Millisecond, release)
	s.end()
	same(t, "effects", w.far.keys(), []string{"slow"})
	if n := w.store.Stats().Pending; n != 0 {
		t.Errorf("%d events are left", n)
	}
}

func TestASecondConsumerIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `on.message("go", lambda e: probe.again(key = "x"))`})
	first := w.start()
	first.say("1", "go")
	w.far.wait(t, 1)
	second := dispatch.New(dispatch.Options{Store: w.store, Pool: first.pool, Rules: first.loader, Live: first.live()})
	if err := second.Run(t.Context()); err == nil {
		t.Error("two consumers of one store")
	}
}

// fenced makes a delivery lose its shard.
type fenced struct {
	queue.Store
	lost bool
}

func (s *fenced) Consume(ctx context.Context, n int, handle func(queue.Delivery)) error {
	return s.Store.Consume(ctx, n, func(d queue.Delivery) { handle(&fencedDelivery{d, s}) })
}

type fencedDelivery struct {
	queue.Delivery
	s *fenced
}

func (d *fencedDelivery) Append(ctx context.Context, entries ...queue.Entry) error {
	if d.s.lost {
		return fmt.Errorf("append: %w", queue.ErrFenced)
	}
	return d.Delivery.Append(ctx, entries...)
}

func TestAFencedRunDoesNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    probe.read(key = "read").ok
    probe.never(key = "never")
on.message("go", go)
`})
	plain := w.store
	w.store = &fenced{w.store, true}
	s := w.start()
	s.say("1", "go")
	w.far.wait(t, 1)
	eventually(t, "the run to be left", func() bool { return strings.Contains(w.log.String(), "run is left for the next start") })
	s.end()
	same(t, "effects of the fenced", w.far.keys(), []string{"read"})
	w.store = plain
	w.start()
	w.settled()
	if n := w.far.count("never"); n != 1 {
		t.Errorf("the new owner did it %d times", n)
	}
}

func TestAnEffectWaitsForTheStoreAndHappensOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    probe.read(key = "read").ok
    probe.never(key = "one").ok
    probe.never(key = "two").ok
on.message("go", go)
`})
	s := w.start()
	s.sick.Store(true)
	s.say("1", "go")
	w.far.wait(t, 1)
	time.Sleep(5 * time.Millisecond) // whatever is not held back happens now
	same(t, "effects without a store", w.far.keys(), []string{"read"})
	release := w.far.hold("two")
	s.sick.Store(false)
	eventually(t, "the second intent", func() bool {
		info, err := w.store.Event(t.Context(), "1")
		if err != nil {
			return false
		}
		rep, err := dispatch.Report(info)
		return err == nil && rep.Reason == "" && len(rep.Runs) == 1 && len(rep.Runs[0].Effects) == 3
	})
	s.kill() // what was refused while the store was sick is there nevertheless
	release()
	s.end()
	w.start()
	w.settled()
	same(t, "effects", w.far.keys(), []string{"read", "one"})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def many(e):
    for i in range(6):
        probe.again(key = "many").ok
def more(e):
    for i in range(6):
        probe.again(key = "more")
on.message("many", many)
on.message("more", more)
on.message("slow", lambda e: probe.again(key = "slow").ok)
on.mention("many", many)
on.error(lambda f: probe.again(key = f.error.limit + ": " + f.error.message))
`})
	release := w.far.hold("slow")
	defer release()
	s := w.start(func(o *dispatch.Options) { o.Limits.Effects, o.RunLimit = 5, 50*time.Millisecond })
	s.say("1", "many")
	w.settled()
	same(t, "in passes", w.far.keys(), append(slices.Repeat([]string{"many"}, 5), "effects: probe.again would be effect 6 of the run, and the limit is 5"))
	s.say("2", "more")
	w.settled()
	if n := w.far.count("more"); n != 5 {
		t.Errorf("in one pass: %d effects, want 5", n)
	}
	s.say("3", "slow")
	w.settled()
	if got := w.far.keys(); !strings.HasPrefix(got[len(got)-1], "run: the run took longer than 50ms") {
		t.Errorf("got %q, want limits.run told", got)
	}
	s.say("4", "<@UBOT> many", func(e *event.Event) { e.Kind, e.Type = event.Mention, "app_mention" })
	w.settled()
	if got := w.far.keys(); !slices.ContainsFunc(got, func(k string) bool { return strings.HasPrefix(k, "Something went wrong") }) {
		t.Errorf("got %q, want the user told although the effects are used up", got)
	}
}

func TestDryRunDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    r = probe.never(key = "x")
    probe.again(key = str(r.ok))
    return "text"
on.message("go", go, dry_run = True)
`})
	s := w.start()
	s.say("1", "go")
	w.settled()
	same(t, "effects", w.far.keys(), []string{})
	if rep := w.report("1"); rep.Runs[0].Outcome != dispatch.Done || len(rep.Runs[0].Effects) != 3 {
		t.Errorf("got %+v, want the effects it would have had", rep.Runs)
	}
}

func TestHostsOfARule(t *testing.T) {
	t.Parallel()
	ask := func(url string) string {
		return `
def go(e):
    r, err = catch(lambda: http_post(` + url + `).ok)
    probe.again(key = "refused" if err else "sent")
on.message("go", go, hosts = ["ci.example", "*.ok.example", "ports.example:8443"])
`
	}
	for url, want := range map[string]string{
		`"https://ci.example/x"`:                      "sent",
		`"https://CI.example:8443/x"`:                 "sent",
		`"https://a.ok.example"`:                      "sent",
		`"https://ports.example:8443/"`:               "sent",
		`"https://ports.example:9000/"`:               "refused",
		`"https://evil.example/x"`:                    "refused",
		`"https://ok.example/"`:                       "refused",
		`"https://evil.example#@ci.example/"`:         "refused",
		`"https://evil.example?@ci.example/"`:         "refused",
		`"https://ci.example@evil.example/"`:          "refused",
		`"https://ci.example:x@evil.example/"`:        "refused",
		`"https://evil.example\\@ci.example/"`:        "refused",
		`"https://[::1]/"`:                            "refused",
		`""`:                                          "refused",
		`"https://ci.example/" + secret("T")`:         "sent",
		`"https://" + secret("T") + ".ok.example/"`:   "refused",
		`"https://a" + secret("T") + "/.ok.example/"`: "refused",
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]string{"a.star": ask(url)})
			s := w.start()
			s.say("1", "go")
			w.settled()
			if got := w.far.keys(); got[len(got)-1] != want || len(got) != map[string]int{"sent": 2, "refused": 1}[want] {
				t.Errorf("got %q, want %s", got, want)
			}
		})
	}
}

func TestARefusedEffectLeavesNoHoleInTheJournal(t *testing.T) {
	t.Parallel()
	w := crashAfter(t, map[string]string{"a.star": `
def go(e):
    r, err = catch(lambda: http_post("https://evil.example/").ok)
    probe.never(key = "in flight").ok
    probe.again(key = "refused" if err else "sent")
on.message("go", go, hosts = ["ci.example"])
`}, "in flight", nil)
	same(t, "effects", w.far.keys(), []string{"refused"})
}

func TestCooldown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
on.message("go", lambda e: probe.again(key = e.id), cooldown = "1h")
on.message("if", lambda e: probe.again(key = e.id), cooldown = "1h", when = lambda e: "yes" in e.text)
on.command("/x", lambda e: "hi", cooldown = "1h")
`})
	now := time.Now()
	var mu sync.Mutex
	s := w.start(func(o *dispatch.Options) {
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	other := func(e *event.Event) { e.Channel = "C2" }
	s.say("1", "go")
	s.say("2", "go")
	s.say("3", "go", other)
	w.settled()
	mu.Lock()
	now = now.Add(time.Hour)
	mu.Unlock()
	s.say("4", "go")
	w.settled()
	got := w.far.keys()
	slices.Sort(got)
	same(t, "runs", got, []string{"1", "3", "4"})
	for _, text := range []string{"if no", "if yes", "if yes"} {
		s.say("w"+text+fmt.Sprint(len(w.far.keys())), text)
		w.settled()
	}
	if got := w.far.keys(); len(got) != 4 || !strings.HasPrefix(got[3], "wif yes") {
		t.Errorf("with a predicate: got %q: what was skipped is no run", got)
	}
	for i, want := range []string{`{"text":"hi"}`, ""} {
		a, err := s.AcceptAnswered(t.Context(), command(fmt.Sprint("c", i), "/x", func(e *event.Event) { e.Received = now }))
		if got := bodyOf(a); err != nil || got != want {
			t.Errorf("command %d: got %q, %v, want %q", i, got, err, want)
		}
	}
}

func bodyOf(a *event.Answer) string {
	if a == nil {
		return ""
	}
	return string(a.Body)
}

func TestAMessageAndItsMentionRunARuleOnceAlsoAcrossARestart(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		w := newWorld(t, map[string]string{"a.star": `on.mention("deploy", lambda e: probe.again(key = "deploy"))`})
		s := w.start()
		s.say("1", "<@UBOT> deploy")
		w.settled()
		if restart {
			s.end()
			s = w.start()
		}
		s.say("2", "<@UBOT> deploy", func(e *event.Event) {
			e.Kind, e.Type, e.TS, e.EventTS = event.Mention, "app_mention", "1.1", "1.1"
		})
		w.settled()
		same(t, fmt.Sprint("restart ", restart), w.far.keys(), []string{"deploy"})
	}
}

func TestARuleWithAPredicateAndStopHoldsBackTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
on.message("go", lambda e: probe.again(key = "first"), stop = True, priority = 2, when = lambda e: "stop" in e.text)
on.message("go", lambda e: probe.again(key = "second"), priority = 1)
`})
	s := w.start()
	s.say("1", "go stop")
	w.settled()
	s.say("2", "go on")
	w.settled()
	same(t, "effects", w.far.keys(), []string{"first", "second"})
}

func TestAStopDecidedBeforeACrashStands(t *testing.T) {
	t.Parallel()
	w := crashAfter(t, map[string]string{"a.star": `
on.message("go", lambda e: probe.never(key = "first").ok, stop = True, priority = 2, when = lambda e: True)
on.message("go", lambda e: probe.again(key = "second"), priority = 1)
`}, "first", nil)
	same(t, "effects", w.far.keys(), []string{})
	if got := w.outcomes("1"); got[0] != dispatch.Done || got[1] != "skipped" {
		t.Errorf("got %v", got)
	}
}

func TestRunsOfAConversationStartInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `on.message("go", lambda e: probe.again(key = e.id).ok)`})
	order := &starts{}
	s := w.start(func(o *dispatch.Options) { o.Pool = &orderedPool{Local: o.Pool.(*runtime.Local), order: order} })
	const n = 200
	var want []string
	for i := range n {
		id := fmt.Sprintf("%04d", i)
		want = append(want, id)
		s.say(id, "go")
	}
	w.settled()
	order.mu.Lock()
	defer order.mu.Unlock()
	same(t, "places taken", order.ids, want)
}

// orderedPool notes the order in which first passes take their places.
type orderedPool struct {
	*runtime.Local
	order *starts
}

type starts struct {
	mu  sync.Mutex
	ids []string
}

func (p *orderedPool) Queue(ctx context.Context, c *runtime.Call) func() (*runtime.Reply, error) {
	in, err := event.DecodeInput(c.Input)
	if err == nil {
		p.order.mu.Lock()
		p.order.ids = append(p.order.ids, in.Event.ID)
		p.order.mu.Unlock()
	}
	return p.Local.Queue(ctx, c)
}

func TestARunThatWaitsHoldsNoPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
on.message("slow", lambda e: probe.again(key = "slow").ok)
on.message("quick", lambda e: probe.again(key = "quick").ok)
`})
	release := w.far.hold("slow")
	s := w.start()
	for i := range 20 {
		s.say(fmt.Sprint("s", i), "slow")
	}
	s.say("q", "quick")
	same(t, "effects", w.far.wait(t, 1), []string{"quick"})
	release()
	w.settled()
}

func TestEffectsOfOnePassAreDoneInOrderAlsoBeforeAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    for i in range(5):
        probe.never(key = str(i))
    return probe.never(key = "last")
def bad(e):
    probe.never(key = "before")
    fail("bad")
on.message("go", go)
on.message("bad", bad)
`})
	s := w.start()
	s.say("1", "go")
	w.settled()
	same(t, "effects", w.far.keys(), []string{"0", "1", "2", "3", "4", "last"}) // and no answer is posted
	s.say("2", "bad")
	w.settled()
	same(t, "with an error", w.far.keys()[6:], []string{"before"})
}

func TestErrorsOfHandlersAreTheScripts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    v, err = catch(lambda: probe.never(key = "plain").ok)
    w, err2 = catch(lambda: probe.never(key = "own").ok)
    probe.again(key = "%s / %s" % (err, err2))
def uncaught(e):
    probe.never(key = "plain").ok
on.message("go", go)
on.message("uncaught", uncaught)
`})
	w.far.fail = map[string]error{
		"plain": fmt.Errorf("no such channel"),
		"own":   &runtime.Error{Kind: runtime.RunError, Msg: "bad argument"},
	}
	s := w.start()
	s.say("1", "go")
	w.settled()
	same(t, "effects", w.far.keys(), []string{"no such channel / bad argument"})
	s.say("2", "uncaught")
	w.settled()
	if e := w.report("2").Runs[0].Error; e == nil || e.Msg != "no such channel" || e.Pos.Line != 7 {
		t.Errorf("got %+v, want it at its line", e)
	}
}

func TestAPanicOfAHandlerIsOneEffectsFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    v, err = catch(lambda: probe.never(key = "x").ok)
    probe.again(key = err)
on.message("go", go)
`})
	s := w.start(func(o *dispatch.Options) {
		h := o.Live["probe.never"]
		h.Do = nil
		o.Live["probe.never"] = h // a nil function: calling it panics
	})
	s.say("1", "go")
	w.settled()
	if got := w.far.keys(); len(got) != 1 || !strings.Contains(got[0], "fault of the server") || strings.Contains(got[0], "nil pointer") {
		t.Errorf("got %q", got)
	}
}

// Not parallel: it counts goroutines.
func TestNothingIsLeftRunningAfterAServer(t *testing.T) {
	before := goruntime.NumGoroutine()
	w := newWorld(t, map[string]string{"a.star": `
on.message("go", lambda e: probe.again(key = "x").ok and "text")
on.message("bad", lambda e: fail("x"))
on.command("/x", lambda e: "hi")
on.error(lambda f: probe.again(key = "told"))
`})
	for i := range 5 {
		s := w.start()
		s.say(fmt.Sprint("g", i), "go")
		s.say(fmt.Sprint("b", i), "bad")
		if _, err := s.AcceptAnswered(t.Context(), command(fmt.Sprint("c", i), "/x")); err != nil {
			t.Error(err)
		}
		if i%2 == 0 {
			w.settled()
		}
		s.end()
	}
	w.start().end()
	eventually(t, "the goroutines to end", func() bool { return goruntime.NumGoroutine() <= before })
}
