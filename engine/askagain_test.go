package engine_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/sim"
)

const offered = `
def start(e):
    ask("Go on?", ["Yes"])
    r = open_modal(` + formStar + `)
    probe.see(**{"is": "opened" if r.ok else r.error})
on.message("^start", start)
`

// offer has the run show its first button, for a modal, to Grace.
func (a *askRig) offer() sim.Message {
	a.t.Helper()
	a.late.Store(1)
	a.say(ada, "start", "")
	a.press(grace, a.see("", "Go on?", "/0"), "/0", nil)
	return a.see(grace, "Press the button to go on: Incident", "/continue")
}

// Operators see each wait of a step, and can end the newest.
func TestAnOperatorDealsWithARunThatWaitsAgain(t *testing.T) {
	t.Parallel()
	const line = "event effect wait answer effect wait answer wait"
	again := func(t *testing.T) (a *askRig, id string) {
		t.Helper()
		a = newAskRig(t, map[string]string{"ask.star": offered})
		m := a.offer()
		a.late.Store(1)
		a.press(grace, m, "/continue", nil)
		a.see(grace, "~1/continue")
		a.until("it waits again", func() bool { return a.waits(t, 1, "")[0].Title == "another click on Continue, to open Incident" })
		w := a.waits(t, 1, "")[0]
		if got := lineOf(a.rig.shown(t, w.Run)); w.Kind != "trigger" || w.Step != 2 || got != line {
			t.Errorf("it waits for %+v, time line: %s", w, got)
		}
		return a, w.Run
	}
	t.Run("continue", func(t *testing.T) {
		t.Parallel()
		a, id := again(t)
		asked[engine.Acted](t, a.rig, http.MethodPost, "/runs/"+id+"/continue", "")
		if got := a.told(1); got != "expired_trigger_id" {
			t.Errorf("the script is told %q", got)
		}
		if run := a.ended(t, id); run.Outcome != dispatch.Done {
			t.Errorf("outcome %s", run.Outcome)
		}
		m := a.see(grace, "~1/continue")
		a.press(grace, m, "/continue", nil)
		a.see(grace, "This button has been used, or it is over.")
	})
	t.Run("cancel and retry", func(t *testing.T) {
		t.Parallel()
		a, id := again(t)
		asked[engine.Acted](t, a.rig, http.MethodPost, "/runs/"+id+"/cancel", `{"who": "ann"}`)
		run := a.ended(t, id)
		if got := lineOf(run); run.Outcome != dispatch.Cancelled || got != line+" answer end" {
			t.Errorf("outcome %s, time line: %s", run.Outcome, got)
		}
		did := asked[engine.Acted](t, a.rig, http.MethodPost, "/runs/"+id+"/retry?step=2", "")
		m := a.see(ada, "Press the button to go on: Incident", did.New+".2/continue")
		a.press(ada, m, "/continue", nil)
		a.modal(ada)
		if got := a.told(1); got != "opened" {
			t.Errorf("the script is told %q", got)
		}
	})
}

// lineOf are the kinds of the moments, but for passes.
func lineOf(run dispatch.RunReport) string { return strings.ReplaceAll(whats(run), " pass", "") }

// A person who presses the button, and is met too late, gets another one.
func TestAModalIsOfferedAgain(t *testing.T) {
	t.Parallel()
	lua := `
on.message("^start", function(e)
  ask("Go on?", {"Yes"})
  local r = open_modal(ui.modal("Incident", {ui.input("What?", ui.text_input("what"), {block_id = "b"})}))
  probe.see({is = r.ok and "opened" or r.error})
end)
`
	end := func(a *askRig, want string, modals int) {
		a.t.Helper()
		if got := a.told(1); got != want {
			a.t.Errorf("the script is told %q", got)
		}
		if n := len(a.slack.Snapshot().Modals[grace]); n != modals {
			a.t.Errorf("%d modals are open", n)
		}
		a.until("no button is left", func() bool {
			_, ok := a.shown(grace, "/continue")
			return !ok
		})
		if all := a.all(); len(all) != 1 {
			a.t.Errorf("the run went on %d times", len(all))
		}
	}
	t.Run("the run is late", func(t *testing.T) {
		t.Parallel()
		inBoth(t, offered, lua, func(a *askRig) {
			m := a.offer()
			a.late.Store(1)
			a.press(grace, m, "/continue", nil)
			a.press(grace, a.see(grace, "Press the button to go on: Incident", "~1/continue"), "/continue", nil)
			a.modal(grace)
			end(a, "opened", 1)
		})
	})
	t.Run("Slack finds it late", func(t *testing.T) {
		t.Parallel()
		inBoth(t, offered, lua, func(a *askRig) {
			m := a.offer()
			a.slack.SetFaults(sim.Faults{Errors: map[string]string{"views.open": "expired_trigger_id"}})
			a.press(grace, m, "/continue", nil)
			m = a.see(grace, "~1/continue")
			a.slack.SetFaults(sim.Faults{})
			a.press(grace, m, "/continue", nil)
			a.modal(grace)
			end(a, "opened", 1)
		})
	})
	t.Run("always", func(t *testing.T) {
		t.Parallel()
		inBoth(t, offered, lua, func(a *askRig) {
			m := a.offer()
			a.late.Store(4)
			for _, next := range []string{"~1/continue", "~2/continue", "~3/continue"} {
				a.press(grace, m, "/continue", nil)
				m = a.see(grace, next)
			}
			a.press(grace, m, "/continue", nil)
			end(a, "expired_trigger_id", 0)
		})
	})
}
