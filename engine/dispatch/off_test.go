package dispatch_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

const spinning = "def spin(e):\n    for i in range(1 << 40):\n        pass\n"

// withBreaker gives a server a breaker as an engine does.
func withBreaker(t *testing.T, w *world, b **breaker.Breaker) func(*dispatch.Options) {
	return func(o *dispatch.Options) {
		o.Limits.Steps, o.Limits.Deadline = 2000, 30*time.Second
		*b = breaker.New(breaker.Options{State: w.store.State(), Logger: o.Logger})
		if err := (*b).Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.Breaker = *b
		loader, now := o.Rules.(*rules.Loader), *b
		changed := func(_, set *rules.Set) {
			now.Changed(func(id string) (d runtime.Digest, ok bool) {
				if r := set.Rule(id); r != nil {
					return r.Digest, true
				}
				return d, false
			})
		}
		changed(nil, loader.Current())
		loader.OnSwap(changed)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			now.Close(ctx)
		})
	}
}

func (w *world) reasonOf(id string) string {
	w.t.Helper()
	var out []string
	for _, r := range w.report(id).Runs {
		out = append(out, fmt.Sprintf("%s %d %s", r.Outcome, r.Steps, r.Reason))
	}
	return strings.Join(out, "\n")
}

func TestThreeBreachesInARowSwitchARuleOffUntilItsFileChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"spin.star": spinning + `on.message("go", spin)`,
		"good.star": `on.message("go", lambda e: probe.again(key = "good " + e.id))`,
	})
	var b *breaker.Breaker
	s := w.start(withBreaker(t, w, &b))
	for i := range 5 {
		s.say(fmt.Sprint(i), "go")
		w.settled()
	}
	for i := range 3 {
		if got := w.reasonOf(fmt.Sprint(i)); !strings.Contains(got, "failed 2") {
			t.Errorf("event %d: %s, want a failed run", i, got)
		}
	}
	for i := 3; i < 5; i++ {
		if got := w.reasonOf(fmt.Sprint(i)); !strings.Contains(got, "skipped 0 switched off after 3 breaches of limits in a row (steps), the last at spin.star:2:") {
			t.Errorf("event %d: %s, want it skipped, with the reason", i, got)
		}
	}
	same(t, "effects of the other rule", w.far.keys(), []string{"good 0", "good 1", "good 2", "good 3", "good 4"})
	why := map[string]string{}
	for _, v := range s.Explain(message("x", "go")) {
		why[v.Rule.Script] = fmt.Sprint(v.Matched, " ", v.Why)
	}
	if !strings.HasPrefix(why["spin.star"], "false switched off after 3 ") || why["good.star"] != "true " {
		t.Errorf("explained %v", why)
	}
	eventually(t, "the switch to be stored", func() bool { keys, _ := w.store.State().List(t.Context(), "breaker/", "", 9); return len(keys) == 1 })
	s.end()

	s = w.start(withBreaker(t, w, &b))
	s.say("after", "go")
	w.settled()
	if got := w.reasonOf("after"); !strings.Contains(got, "skipped 0 switched off after 3") {
		t.Errorf("after a restart: %s", got)
	}
	w.write("spin.star", spinning+`on.message("go", lambda e: probe.again(key = "mended"))`)
	if err := s.loader.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.say("mended", "go")
	w.settled()
	if w.far.count("mended") != 1 {
		t.Errorf("the file has changed and the rule is off: %s", w.reasonOf("mended"))
	}
}

// What waits for its first pass when the rule is switched off costs nothing
// any more.
func TestABacklogOfARuleThatIsSwitchedOffIsSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"spin.star": spinning + `on.message("go", spin)`})
	var b *breaker.Breaker
	const events = 300
	s := w.start(withBreaker(t, w, &b), func(o *dispatch.Options) { o.Limits.Steps = 300_000 })
	for i := range events {
		s.say(fmt.Sprint("e", i), "go", func(e *event.Event) { e.Channel = fmt.Sprint("C", i) })
	}
	w.settled()
	failed := 0
	for i := range events {
		got := w.report(fmt.Sprint("e", i)).Runs[0]
		switch {
		case got.Outcome == dispatch.Failed:
			failed++
		case !strings.HasPrefix(got.Reason, "switched off after 3 "):
			t.Fatalf("event %d: %+v", i, got)
		}
	}
	if failed < 3 || failed > 8 {
		t.Errorf("%d runs failed: want three, and those that were under way in two places", failed)
	}
}

func TestRunsUnderWayOfARuleThatIsSwitchedOffFinish(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    probe.never(key = "before").ok
    probe.again(key = "slow").ok
    probe.never(key = "after")
on.message("go", go)
`})
	release := w.far.hold("slow")
	defer release()
	var b *breaker.Breaker
	s := w.start(withBreaker(t, w, &b), func(o *dispatch.Options) { o.Drain = 10 * time.Millisecond })
	s.say("1", "go")
	w.far.wait(t, 1)
	if err := b.Disable(t.Context(), "a.star:go", ""); err != nil {
		t.Fatal(err)
	}
	s.say("2", "go")
	eventually(t, "the second event to be skipped", func() bool { return w.store.Stats().Pending == 1 })
	s.end() // the first is cut off, and goes on at the next start
	w.start(withBreaker(t, w, &b))
	release()
	w.settled()
	same(t, "effects", w.far.keys(), []string{"before", "slow", "after"})
	if got := w.outcomes("1"); len(got) != 1 || got[0] != dispatch.Done {
		t.Errorf("the run under way: %v", got)
	}
	if got := w.reasonOf("2"); got != "skipped 0 disabled by an operator" {
		t.Errorf("the event after: %s", got)
	}
}

func TestWhoAsksARuleThatIsSwitchedOffIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
on.command("/x", lambda e: "never")
on.view("v", lambda e: None)
on.options("o", lambda e: [ui.option("never", "1")])
on.webhook("POST /hook", lambda e: "never", open = True)
on.mention("hi", lambda e: "never")
on.action("push", lambda e: respond("never"))
`})
	var b *breaker.Breaker
	s := w.start(withBreaker(t, w, &b))
	for _, r := range s.loader.Current().Rules() {
		if err := b.Disable(t.Context(), r.ID, "secret reason"); err != nil {
			t.Fatal(err)
		}
	}
	view := []byte(`{"view":{"blocks":[{"type":"input","block_id":"b1"}]}}`)
	for _, c := range []struct {
		e    *event.Event
		want string
	}{
		{command("c", "/x"), "This is switched off for now."},
		{&event.Event{ID: "v", Kind: event.Submit, CallbackID: "v", Encoding: event.JSON, Raw: view, Received: time.Now()}, `"errors":{"b1":"This is switched off for now.`},
		{&event.Event{ID: "o", Kind: event.Options, Actions: []event.ActionRef{{ActionID: "o"}}, Raw: []byte("{}"), Received: time.Now()}, `{"options":[]}`},
		{&event.Event{ID: "h", Kind: event.Webhook, Type: "webhook", Encoding: event.HTTP, Request: &event.Request{Method: "POST", Path: "/hook"}, Received: time.Now()}, "run "},
	} {
		a, err := s.AcceptAnswered(t.Context(), c.e)
		if got := bodyOf(a); err != nil || !strings.Contains(got, c.want) || strings.Contains(got, "never") || strings.Contains(got, "reason") {
			t.Errorf("%s: got %q, %v, want %q", c.e.Kind, got, err, c.want)
		}
		if c.e.Kind == event.Webhook && a.Status != 503 {
			t.Errorf("webhook: status %d, want 503", a.Status)
		}
	}
	s.say("m", "<@UBOT> hi", func(e *event.Event) { e.Kind, e.Type = event.Mention, "app_mention" })
	if err := s.Accept(t.Context(), &event.Event{
		ID: "p", Kind: event.Action, Actions: []event.ActionRef{{ActionID: "push"}}, Channel: "C1", User: "U1",
		ResponseURL: "https://hooks.slack.com/x", Raw: []byte("{}"), Received: time.Now(),
	}); err != nil {
		t.Fatal(err)
	}
	w.settled()
	got := strings.Join(w.far.keys(), "\n")
	if strings.Count(got, "This is switched off for now.") != 2 || strings.Contains(got, "never") {
		t.Errorf("messages:\n%s\nwant a notice for the mention and one for the action", got)
	}
}

// crashing is a pool in which passes end as if their worker had died.
type crashing struct {
	*runtime.Local
	crash atomic.Bool
}

func (c *crashing) Queue(ctx context.Context, call *runtime.Call) func() (*runtime.Reply, error) {
	if !c.crash.Load() {
		return c.Local.Queue(ctx, call)
	}
	return func() (*runtime.Reply, error) {
		return &runtime.Reply{Status: runtime.Failed, Err: &runtime.Error{Kind: runtime.InternalError, Msg: "the worker crashed", Crashed: true}}, nil
	}
}

func TestACrashOfTheWorkerIsABreachAndAFailureIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def go(e):
    if e.text == "go wrong":
        fail("no")
on.message("go", go)
`})
	var b *breaker.Breaker
	var pool *crashing
	s := w.start(withBreaker(t, w, &b), func(o *dispatch.Options) {
		pool = &crashing{Local: o.Pool.(*runtime.Local)}
		o.Pool = pool
	})
	say := func(id, text string, crash bool) {
		pool.crash.Store(crash)
		s.say(id, text)
		w.settled()
	}
	for i := range 5 {
		say(fmt.Sprint("f", i), "go wrong", false)
	}
	say("c1", "go", true)
	say("c2", "go", true)
	say("g", "go", false) // a good run: the row begins anew
	say("c3", "go", true)
	say("f", "go wrong", false) // says nothing about limits
	say("c4", "go", true)
	if len(b.All()) != 0 {
		t.Fatalf("off too early: %+v", b.All())
	}
	say("c5", "go", true)
	if all := b.All(); len(all) != 1 || !strings.Contains(all[0].Why, "(crash)") {
		t.Errorf("got %+v, want the rule off for crashes", all)
	}
}

func TestAnErrorRuleThatIsSwitchedOffIsSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": spinning + `
def bad(e):
    fail("no")
on.message("go", bad)
on.error(spin)
`})
	var b *breaker.Breaker
	s := w.start(withBreaker(t, w, &b))
	for i := range 4 {
		s.say(fmt.Sprint(i), "go")
		w.settled()
	}
	if got := w.outcomes("3"); len(got) != 2 || got[0] != dispatch.Failed || got[1] != "skipped" {
		t.Errorf("got %v, want the error rule skipped", got)
	}
}

// crowded is a pool in which what is at low priority has no place left.
type crowded struct{ runtime.Pool }

func (crowded) Run(context.Context, *runtime.Call) (*runtime.Reply, error) {
	return &runtime.Reply{Status: runtime.Failed, Err: &runtime.Error{Kind: runtime.LimitError, Limit: runtime.LimitBacklog, Msg: "too many wait"}}, nil
}

// That too many wait at low priority may be the doing of others.
func TestABacklogSwitchesNoRuleOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"good.star": `on.message("go", lambda e: None)`})
	var b *breaker.Breaker
	with := withBreaker(t, w, &b)
	s := w.start(func(o *dispatch.Options) {
		with(o)
		o.Pool = crowded{o.Pool}
	})
	for i := range 5 {
		s.say(fmt.Sprint(i), "go")
		w.settled()
		if got := w.reasonOf(fmt.Sprint(i)); !strings.Contains(got, "failed") {
			t.Errorf("event %d: %s, want a failed run", i, got)
		}
	}
}
