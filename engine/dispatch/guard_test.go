package dispatch_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
)

// doing is a rule that must not run when a guard refuses.
const doing = `
on.message("go", lambda e: probe.again(key = "done " + e.text) and None)
on.command("/x", lambda e: "done")
on.webhook("POST /hook", lambda e: "done", open = True)
on.view("v", lambda e: None)
`

func TestAGuardThatGivesNoTrueRefusesTheEventForAllRulesOfAllScripts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, guard, lua string
		outcome          dispatch.Outcome
		why, told        string
	}{
		{"true", "return True", "return true", dispatch.Done, "", ""},
		{"false", "return False", "return false", dispatch.Cancelled, "refused by guard", ""},
		{"text", "return 'not today'", "return 'not today'", dispatch.Cancelled, "not today", "not today"},
		{"nothing", "pass", "", dispatch.Failed, "returned nothing", ""},
		{"number", "return 1", "return 1", dispatch.Failed, "returned a", ""},
		{"empty text", "return ''", "return ''", dispatch.Failed, "an empty text", ""},
		{"look-up", "return probe.read(key = 'x')", "return probe.read('x')", dispatch.Failed, "returned nothing", ""},
		{"throw", "fail('boom')", "error('boom')", dispatch.Failed, "boom", ""},
		{"abort", "abort(418, 'teapot')", "abort(418, 'teapot')", dispatch.Cancelled, "refused by guard", "teapot"},
		{"limit", "\n    for i in range(1 << 40):\n        pass\n    return True", "while true do end", dispatch.Failed, "limit", ""},
		{"change", "\n    probe.again(key = 'x')\n    return True", "probe.again('x') return true", dispatch.Failed, "nothing that a hook may do", ""},
	} {
		for _, lang := range []string{"star", "lua"} {
			t.Run(c.name+" "+lang, func(t *testing.T) {
				t.Parallel()
				guard := "def check(e):\n    " + c.guard + "\non.guard(check)"
				if lang == "lua" {
					guard = "local function check(e) " + c.lua + " end\non.guard(check)"
				}
				w := newWorld(t, map[string]string{"a.star": doing, "guard." + lang: guard})
				s := w.start(func(o *dispatch.Options) { o.Limits.Steps = 20000 })
				s.say("1", "go")
				w.settled()
				rep := w.report("1")
				if len(rep.Runs) != 1 || rep.Runs[0].Outcome != c.outcome {
					t.Fatalf("got %+v, want one run that is %s", rep.Runs, c.outcome)
				}
				if c.outcome == dispatch.Done {
					same(t, "effects", w.far.keys(), []string{"done go"})
					return
				}
				run := rep.Runs[0]
				said := run.Reason
				if run.Error != nil {
					said += run.Error.Error()
				}
				if !strings.HasPrefix(run.Rule, "guard."+lang) || !strings.Contains(said, c.why) {
					t.Errorf("run of %s: %q does not say %q", run.Rule, said, c.why)
				}
				if n := w.far.count("done go"); n != 0 {
					t.Error("the rule ran")
				}
				if c.told != "" && w.far.count(c.told) != 1 {
					t.Errorf("nobody was told %q: %q", c.told, w.far.keys())
				}
				if c.name == "change" && w.far.count("x") != 0 {
					t.Error("the guard changed something")
				}
			})
		}
	}
}

func TestARefusalAnswersWhoeverWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": doing, "guard.star": `
def check(e):
    if e.user == "UBAD":
        fail("secret detail")
    return "ask #ops" if e.kind != "command" or e.user != "U2" else False
on.guard(check)
`})
	s := w.start()
	ask := func(e *event.Event) string {
		t.Helper()
		a, err := s.AcceptAnswered(context.Background(), e)
		if err != nil {
			t.Fatal(err)
		}
		if a == nil {
			return "empty"
		}
		return fmt.Sprintf("%d %s", a.Status, a.Body)
	}
	hook := func(id string) *event.Event {
		return command(id, "", func(e *event.Event) {
			e.Kind, e.User, e.Channel, e.ResponseURL = event.Webhook, "", "", ""
			e.Request = &event.Request{Method: "POST", Path: "/hook"}
		})
	}
	user := func(id string) func(*event.Event) { return func(e *event.Event) { e.User = id } }
	view := command("5", "", func(e *event.Event) {
		e.Kind, e.CallbackID = event.Submit, "v"
		e.Raw, e.Encoding = []byte(`{"view":{"blocks":[{"type":"input","block_id":"b1"}]}}`), event.JSON
	})
	for _, c := range []struct {
		what string
		e    *event.Event
		want string
	}{
		{"command", command("1", "/x"), "ask #ops"},
		{"command, no words", command("2", "/x", user("U2")), "not allowed here"},
		{"command, failure", command("3", "/x", user("UBAD")), "find it as run"},
		{"webhook", hook("4"), "403 ask #ops"},
		{"view", view, `"errors":{"b1":"ask #ops"}`},
	} {
		got := ask(c.e)
		if !strings.Contains(got, c.want) || strings.Contains(got, "secret") || strings.Contains(got, "done") {
			t.Errorf("%s: got %q, want %q in it", c.what, got, c.want)
		}
	}
}

func TestGuardsAreAskedInOrderAndOnlyAboutWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"a.star": doing,
		"b.star": `
on.guard(lambda e: "b", name = "b")
on.guard(lambda e: "first", name = "first", priority = 5)
on.guard(lambda e: "views", name = "views", priority = 9, kinds = "view")
on.guard(lambda e: "there", name = "there", priority = 9, channels = "C9")
on.guard(lambda e: "off", name = "off", priority = 9, enabled = False)
`,
		"z.star": `on.guard(lambda e: "z", priority = 5)`,
	})
	s := w.start()
	s.say("1", "go")
	w.settled()
	same(t, "told", w.far.keys(), []string{"first"})
}

func TestWhoAskedForNothingIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": doing, "g.star": `on.guard(lambda e: "no")`})
	s := w.start()
	s.say("1", "hello there")
	w.settled()
	same(t, "told", w.far.keys(), []string{})
	if got := w.reasonOf("1"); !strings.Contains(got, "refused by g.star") {
		t.Errorf("the refusal is not recorded: %q", got)
	}
}

func TestARefusalStandsThroughACrashAndTellsOnce(t *testing.T) {
	t.Parallel()
	// After the crash the guard would let the event on: what was decided stands.
	w := crashAfter(t, map[string]string{"a.star": doing, "g.star": `on.guard(lambda e: "no")`}, "no", func(w *world) {
		w.write("g.star", `on.guard(lambda e: True)`)
	})
	if n := w.far.count("done go"); n != 0 {
		t.Error("the rule ran after all")
	}
	if got := w.outcomes("1"); len(got) != 1 || got[0] != dispatch.Cancelled {
		t.Errorf("got %v", got)
	}
	if n := w.far.count("no"); n > 1 {
		t.Errorf("told %d times", n)
	}
}

func TestAnEventThatWasLetOnIsNotAskedAboutAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"a.star": `on.message("go", lambda e: probe.never(key = "one").ok and probe.never(key = "two") and None)`,
		"g.star": `on.guard(lambda e: True)`,
	})
	release := w.far.hold("two")
	s := w.start()
	s.say("1", "go")
	w.far.wait(t, 1)
	eventually(t, "the second effect", func() bool { return strings.Contains(fmt.Sprint(w.report("1").Runs), "two") })
	s.kill()
	release()
	s.end()
	w.write("g.star", `on.guard(lambda e: "no")`)
	w.start()
	w.settled()
	if got := w.outcomes("1"); len(got) != 1 || got[0] != dispatch.Done {
		t.Errorf("got %v, want what had begun to end", got)
	}
}

func TestAGuardThatIsSwitchedOffByTheBreakerOpensNoDoorUnlessAnOperatorDisablesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": doing, "g.star": spinning + `on.guard(spin)`})
	var b *breaker.Breaker
	s := w.start(withBreaker(t, w, &b))
	for i := range 5 {
		s.say(fmt.Sprint(i), "go")
		w.settled()
	}
	if n := w.far.count("done go"); n != 0 {
		t.Fatalf("the rule ran %d times", n)
	}
	if rep := w.report("4"); len(rep.Runs) != 1 || rep.Runs[0].Error == nil || !strings.Contains(rep.Runs[0].Error.Msg, "the guard is switched off after 3 breaches") {
		t.Errorf("got %+v", rep.Runs)
	}
	if !strings.Contains(w.log.String(), "a hook is switched off") {
		t.Error("the operator is not told")
	}
	if err := b.Disable(t.Context(), "g.star:spin", "known"); err != nil {
		t.Fatal(err)
	}
	s.say("9", "go")
	w.settled()
	same(t, "effects", w.far.keys(), []string{"done go"})
}

func TestAFileThatMayHoldAGuardAndDoesNotLoadAtTheStartKeepsEventsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": doing})
	s := w.start()
	// One that comes later was never in force.
	w.write("late.star", "on.guard(lambda e: True) +")
	if _, _, err := s.loader.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.say("1", "go")
	w.settled()
	same(t, "effects", w.far.keys(), []string{"done go"})
	s.end()

	broken := w.startBroken()
	broken.say("2", "go")
	w.settled()
	if got := w.outcomes("2"); len(got) != 1 || got[0] != dispatch.Failed || w.far.count("done go") != 1 {
		t.Errorf("got %v, and %v", got, w.far.keys())
	}
	w.write("late.star", "on.guard(lambda e: True)")
	if _, _, err := broken.loader.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken.say("3", "go")
	w.settled()
	if n := w.far.count("done go"); n != 2 {
		t.Errorf("the mended guard lets nothing on: %v", w.far.keys())
	}
}

func TestEventsOfAConversationWaitBehindAGuardAndOthersDoNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": doing, "g.star": `
def slow(e):
    if e.text == "go 0":
        probe.read(key = "held").ok
    return True
on.guard(slow, timeout = "1m")
`})
	release := w.far.hold("held")
	s := w.start()
	for i := range 8 {
		s.say(fmt.Sprint(i), fmt.Sprint("go ", i))
	}
	s.say("other", "go elsewhere", func(e *event.Event) { e.Channel = "C2" })
	same(t, "while the first is asked about", w.far.wait(t, 1), []string{"done go elsewhere"})
	release()
	w.settled()
	for i := range 8 {
		if n := w.far.count(fmt.Sprint("done go ", i)); n != 1 {
			t.Errorf("go %d ran %d times", i, n)
		}
	}
}
