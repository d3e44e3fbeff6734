package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/sim"
)

func TestOfTwoPeopleTheOneWhoMayAnswers(t *testing.T) {
	t.Parallel()
	inBoth(t, `
def deploy(e):
    a = ask("Deploy *api*?", ["Yes", {"text": "No", "value": 0, "style": "danger"}], who = ["@oncall", "ada@example.com"])
    probe.see(**{"is": "%s %s %s %s" % (a.choice, a.text, a.user, a.at > 0)})
on.message("^deploy", deploy)
`, `
on.message("^deploy", function(e)
  local a = ask("Deploy *api*?", {"Yes", {text = "No", value = 0, style = "danger"}}, {who = {"@oncall", "ada@example.com"}})
  probe.see({is = a.choice .. " " .. a.text .. " " .. a.user .. " " .. (a.at > 0 and "True" or "False")})
end)
`, func(a *askRig) {
		a.say(ada, "deploy", "")
		m := a.see("", "Deploy *api*?", "/0")
		a.press(linus, m, "/0", nil)
		a.see(linus, "This question is for", "<@U0ADA>", "<!subteam^S0ONCALL>")
		a.press(grace, m, "/1", nil)
		if got := a.told(1); got != "0 No U0GRACE True" {
			a.t.Errorf("the script is told %q", got)
		}
		closed := a.see("", "*No* by <@U0GRACE>")
		if b := asText(closed.Blocks); strings.Contains(b, "actions") {
			a.t.Errorf("the buttons are still there: %s", b)
		}
	})
}

func TestAnAnswerThatComesTooLateIsToldWhoWasFirst(t *testing.T) {
	t.Parallel()
	inBoth(t, `
def deploy(e):
    a = ask("Deploy?", ["Yes", "No"])
    probe.see(**{"is": a.user})
    wait_reply()
on.message("^deploy", deploy)
`, `
on.message("^deploy", function(e)
  local a = ask("Deploy?", {"Yes", "No"})
  probe.see({is = a.user})
  wait_reply()
end)
`, func(a *askRig) {
		// The buttons stay if Slack does not take the change of the message.
		a.slack.SetFaults(sim.Faults{Errors: map[string]string{"chat.update": "internal_error"}})
		a.say(ada, "deploy", "")
		m := a.see("", "Deploy?", "/0")
		a.press(grace, m, "/0", nil)
		if got := a.told(1); got != grace {
			a.t.Errorf("the script is told %q", got)
		}
		a.press(linus, m, "/1", nil)
		a.see(linus, "<@U0GRACE> was first: *Yes*")
		a.press(grace, m, "/1", nil)
		a.see(grace, "Your answer counts: *Yes*")
		if all := a.all(); len(all) != 1 {
			a.t.Errorf("the run went on %d times", len(all))
		}
	})
}

func TestASelectAQuorumAndAGroup(t *testing.T) {
	t.Parallel()
	inBoth(t, `
def vote(e):
    votes = ask("When?", ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"], quorum = 2)
    probe.see(**{"is": ", ".join([v.user + " " + v.choice for v in votes])})
on.message("^vote", vote)
`, `
on.message("^vote", function(e)
  local votes = ask("When?", {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}, {quorum = 2})
  local said = {}
  for i, v in ipairs(votes) do said[i] = v.user .. " " .. v.choice end
  probe.see({is = table.concat(said, ", ")})
end)
`, func(a *askRig) {
		a.say(ada, "vote", "")
		m := a.see("", "When?", "static_select")
		a.press(ada, m, "/select", "1")
		a.see(ada, "Your answer counts: 1 of 2.")
		a.press(ada, a.see("", "1 of 2: *Tue* by <@U0ADA>"), "/select", "2")
		a.see(ada, "Your answer is changed.")
		a.press(linus, m, "/select", "4")
		if got := a.told(1); got != "U0ADA Wed, U0LINUS Fri" {
			a.t.Errorf("the script is told %q", got)
		}
		a.see("", "*Wed* by <@U0ADA>, *Fri* by <@U0LINUS>")
	})
}

func TestNobodyAnswersInTime(t *testing.T) {
	t.Parallel()
	inBoth(t, `
def deploy(e):
    a = ask("Deploy?", ["Yes", "No"], timeout = "1s")
    probe.see(**{"is": "nobody" if a == None else a.user})
on.message("^deploy", deploy)
`, `
on.message("^deploy", function(e)
  local a = ask("Deploy?", {"Yes", "No"}, {timeout = "1s"})
  probe.see({is = a == nil and "nobody" or a.user})
end)
`, func(a *askRig) {
		a.say(ada, "deploy", "")
		a.see("", "Deploy?", "/0")
		if got := a.told(1); got != "nobody" {
			a.t.Errorf("the script is told %q", got)
		}
		a.see("", "No answer in time.")
	})
}

func TestADeletedQuestionStillTimesOut(t *testing.T) {
	t.Parallel()
	inBoth(t, `
def deploy(e):
    a = ask("Deploy?", ["Yes", "No"], timeout = "2s")
    probe.see(**{"is": "nobody" if not a else a.user})
on.message("^deploy", deploy)
`, `
on.message("^deploy", function(e)
  local a = ask("Deploy?", {"Yes", "No"}, {timeout = "2s"})
  probe.see({is = not a and "nobody" or a.user})
end)
`, func(a *askRig) {
		a.say(ada, "deploy", "")
		m := a.see("", "Deploy?", "/0")
		a.delete(m)
		if got := a.told(1); got != "nobody" {
			a.t.Errorf("the script is told %q", got)
		}
	})
}

const formStar = `ui.modal("Incident", [ui.input("What?", ui.text_input("what"), block_id = "b")])`

func TestAFormIsFilledIn(t *testing.T) {
	t.Parallel()
	inBoth(t, `
def report(e):
    a = ask_form(`+formStar+`, "Please report.", who = grace_id)
    probe.see(**{"is": a.values["what"] + " " + a.user})
grace_id = "U0GRACE"
on.message("^report", report)
`, `
on.message("^report", function(e)
  local a = ask_form(ui.modal("Incident", {ui.input("What?", ui.text_input("what"), {block_id = "b"})}), "Please report.", {who = "U0GRACE"})
  probe.see({is = a.values.what .. " " .. a.user})
end)
`, func(a *askRig) {
		a.say(ada, "report", "")
		m := a.see("", "Please report.", "/open")
		a.press(linus, m, "/open", nil)
		a.see(linus, "This question is for <@U0GRACE>")
		a.press(grace, m, "/open", nil)
		v := a.modal(grace)
		if bad, err := a.slack.Submit(a.t.Context(), sim.Submission{User: grace, View: v.ID, Values: sim.Block{"what": ""}}); err != nil || len(bad) == 0 {
			a.t.Errorf("an empty input is taken: %v %v", bad, err)
		}
		if bad, err := a.slack.Submit(a.t.Context(), sim.Submission{User: grace, View: v.ID, Values: sim.Block{"what": "the lift"}}); err != nil || len(bad) > 0 {
			a.t.Errorf("submit: %v %v", bad, err)
		}
		if got := a.told(1); got != "the lift U0GRACE" {
			a.t.Errorf("the script is told %q", got)
		}
		a.see("", "Submitted by <@U0GRACE>")
	})
}

func TestAFormWithErrorsIsOpenedAgain(t *testing.T) {
	t.Parallel()
	inBoth(t, `
def long(values):
    return {"what": "Say more."} if len(values["what"]) < 5 else None
def report(e):
    a = ask_form(`+formStar+`, "Please report.", check = long)
    probe.see(**{"is": a.values["what"] + " " + a.user})
on.message("^report", report)
`, `
on.message("^report", function(e)
  local a = ask_form(ui.modal("Incident", {ui.input("What?", ui.text_input("what"), {block_id = "b"})}), "Please report.", {check = function(v)
    if #v.what < 5 then return {what = "Say more."} end
  end})
  probe.see({is = a.values.what .. " " .. a.user})
end)
`, func(a *askRig) {
		a.say(ada, "report", "")
		a.press(grace, a.see("", "Please report.", "/open"), "/open", nil)
		first := a.modal(grace)
		submit := func(v *sim.View, what string) {
			if bad, err := a.slack.Submit(a.t.Context(), sim.Submission{User: grace, View: v.ID, Values: sim.Block{"what": what}}); err != nil || len(bad) > 0 {
				a.t.Errorf("submit: %v %v", bad, err)
			}
		}
		submit(first, "no")
		var second *sim.View
		a.until("the form is opened again", func() bool {
			second = a.modal(grace)
			return second.ID != first.ID
		})
		if b := asText(second.Blocks); !strings.Contains(b, "Say more.") || !strings.Contains(b, `"initial_value":"no"`) {
			a.t.Errorf("the form is %s", b)
		}
		a.see("", "Sent back to <@U0GRACE>")
		submit(second, "the lift")
		if got := a.told(1); got != "the lift U0GRACE" {
			a.t.Errorf("the script is told %q", got)
		}
		a.see("", "Submitted by <@U0GRACE>")
	})
}

func TestAModalAfterAQuestionTakesTheAnswersTrigger(t *testing.T) {
	t.Parallel()
	star := `
def start(e):
    a = ask("Go on?", ["Yes"])
    probe.see(**{"is": "answered"})
    if "slowly" in e.text:
        sleep("1s")
        wait_reaction(emoji = "eyes")
    probe.see(**{"is": str(open_modal(` + formStar + `).ok)})
on.message("^start", start)
`
	lua := `
on.message("^start", function(e)
  local a = ask("Go on?", {"Yes"})
  probe.see({is = "answered"})
  if string.find(e.text, "slowly") then
    sleep("1s")
    wait_reaction({emoji = "eyes"})
  end
  local ok = open_modal(ui.modal("Incident", {ui.input("What?", ui.text_input("what"), {block_id = "b"})})).ok
  probe.see({is = ok and "True" or "False"})
end)
`
	t.Run("fresh", func(t *testing.T) {
		t.Parallel()
		inBoth(t, star, lua, func(a *askRig) {
			a.say(ada, "start", "")
			a.press(grace, a.see("", "Go on?", "/0"), "/0", nil)
			if got := a.told(2); got != "True" {
				a.t.Errorf("the script is told %q", got)
			}
			a.modal(grace)
		})
	})
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		inBoth(t, star, lua, func(a *askRig) {
			m := a.say(ada, "start slowly", "")
			a.press(grace, a.see("", "Go on?", "/0"), "/0", nil)
			a.told(1)
			a.ahead.Add(int64(4 * time.Second)) // Slack takes a trigger_id for three
			a.until("the reaction is waited for", func() bool {
				_ = a.slack.React(sim.Target{User: ada, Channel: ops, TS: m.TS}, "eyes", true)
				_ = a.slack.React(sim.Target{User: ada, Channel: ops, TS: m.TS}, "eyes", false)
				time.Sleep(50 * time.Millisecond)
				_, ok := a.shown(grace, "/continue")
				return ok
			})
			a.press(grace, a.see(grace, "Press the button to go on: Incident"), "/continue", nil)
			a.modal(grace)
			if got := a.told(2); got != "True" {
				a.t.Errorf("the script is told %q", got)
			}
		})
	})
}

func TestRepliesReactionsAndEventsAreWaitedFor(t *testing.T) {
	t.Parallel()
	inBoth(t, `
def go(e):
    p = reply("Tell me here.")
    r = wait_reply(p, who = "@grace")
    probe.see(**{"is": r.user + " " + r.text})
    r = wait_reaction(p, emoji = ["+1"])
    probe.see(**{"is": r.user + " " + r.reaction})
    r = wait_event("message", {"channel": "#ops", "user": "@linus", "text": re.compile("^done")})
    probe.see(**{"is": r.user + " " + r.text})
    r = wait_event("message", {"channel": "#ops"}, timeout = "1s")
    probe.see(**{"is": "nothing" if r == None else "something"})
on.message("^go", go)
`, `
on.message("^go", function(e)
  local p = reply("Tell me here.")
  local r = wait_reply(p, {who = "@grace"})
  probe.see({is = r.user .. " " .. r.text})
  r = wait_reaction(p, {emoji = {"+1"}})
  probe.see({is = r.user .. " " .. r.reaction})
  r = wait_event("message", {channel = "#ops", user = "@linus", text = re.compile("^done")})
  probe.see({is = r.user .. " " .. r.text})
  r = wait_event("message", {channel = "#ops"}, {timeout = "1s"})
  probe.see({is = r == nil and "nothing" or "something"})
end)
`, func(a *askRig) {
		m := a.say(ada, "go", "")
		p := a.see("", "Tell me here.")
		n := 0
		// What happens before the run waits does not count, so it is tried until it does.
		again := func(want string, act func()) {
			a.t.Helper()
			n++
			a.until(want, func() bool {
				act()
				for range 40 {
					if len(a.all()) >= n {
						return true
					}
					time.Sleep(5 * time.Millisecond)
				}
				return false
			})
			if got := a.told(n); got != want {
				a.t.Errorf("report %d is %q, want %q", n, got, want)
			}
		}
		again("U0GRACE here it is", func() {
			a.say(linus, "not me", m.TS)
			a.say(grace, "here it is", m.TS)
		})
		again("U0ADA +1", func() {
			t := sim.Target{User: ada, Channel: ops, TS: p.TS}
			_ = a.slack.React(t, "eyes", false)
			_ = a.slack.React(t, "+1", true)
			_ = a.slack.React(t, "+1", false)
		})
		again("U0LINUS done it", func() {
			a.say(grace, "done too", "")
			a.say(linus, "not done", "")
			a.say(linus, "done it", "")
		})
		if got := a.told(4); got != "nothing" {
			a.t.Errorf("got %q", got)
		}
	})
}

func TestLaterAndCancelled(t *testing.T) {
	t.Parallel()
	inBoth(t, `
def remind(e, what):
    probe.see(**{"is": e.text + ": " + what["of"]})
def alone(what):
    probe.see(**{"is": str(what)})
def go(e):
    after("100ms", remind, {"of": "the event"})
    id = after("1h", alone, "never")
    probe.see(**{"is": "%s %s" % (cancel(id), cancel("0000"))})
    after(0.5, alone, 7)
on.message("^go", go)
`, `
local function remind(e, what)
  probe.see({is = e.text .. ": " .. what.of})
end
local function alone(what)
  probe.see({is = tostring(what)})
end
on.message("^go", function(e)
  after("100ms", remind, {of = "the event"})
  local id = after("1h", alone, "never")
  local function word(b) return b and "True" or "False" end
  probe.see({is = word(cancel(id)) .. " " .. word(cancel("0000"))})
  after(0.5, alone, 7)
end)
`, func(a *askRig) {
		a.say(ada, "go", "")
		got := map[string]bool{}
		for _, d := range a.rig.wait(3) {
			got[d.Text("is")] = true
		}
		for _, want := range []string{"go: the event", "True False", "7"} {
			if !got[want] {
				a.t.Errorf("nothing says %q: %v", want, got)
			}
		}
	})
}
