package scripttest_test

import (
	"testing"
)

// asking is what the tests below wait in.
const asking = `
def deploy(e):
    app, env = e.match["app"], e.match["env"]
    answer = ask("Deploy *%s* to *%s*?" % (app, env), ["Yes", "No"], timeout = "2h")
    if answer == None or answer.choice == "No":
        return "not deployed"
    r = http_post("https://ci.example/build", json = {"app": app})
    if r.json["green"]:
        post("#deploys", "%s is on %s" % (app, env))

on.mention("deploy (?P<app>\\w+) to (?P<env>\\w+)", deploy)

def survey(e):
    view = ui.modal("Survey", [ui.input("Mood", ui.text_input("mood"))], submit = "Send")
    answer = ask_form(view, "How are you?", who = ["@ada", "@grace"], quorum = 2, timeout = "1d")
    if answer == None:
        return "nobody knows"
    return " and ".join(["%s: %s" % (a.user, a.values.mood) for a in answer])

on.message("^survey", survey)

def vote(e):
    answer = ask("Lunch?", ["Soup", "Bread", "Rice", "Fish", "Cake", "Nothing"], quorum = 2, who = ["U1", "U2", "U3"])
    return ",".join([a.choice for a in answer])

on.message("^vote", vote)

def listen(e):
    first = wait_reply(timeout = "10m")
    second = wait_reaction(emoji = "eyes", timeout = "10m")
    third = wait_event("message", {"channel": "#ops", "text": re.compile("^over")}, timeout = "10m")
    return "%s, %s, %s" % (first and first.text, second and second.user, third and third.user)

on.message("^listen", listen)

def remind(e, what):
    post(e.channel, "Time to " + what)

def later(e):
    sleep("1h")
    id = after("30m", remind, "eat")
    gone = after("40m", remind, "never")
    sleep("10m")
    cancel(gone)
    sleep("1h")
    return "slept well"

on.message("^later", later)
on.schedule("0 10 * * *", lambda e: post("#ops", "ten"))
`

// The example that the documentation of tests gives works as it is written.
func TestSecondPersonMustApprove(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"deploy.star": asking, "deploy_test.star": `
def test_second_person_must_approve(t):
    t.http.stub("POST", "https://ci.example/*", json = {"green": True})
    run = t.mention("deploy api to prod", user = "U1", channel = "#ops")
    t.expect(run).waiting("Deploy *api* to *prod*?")
    t.click("Yes", user = "U2")
    t.expect(run).called("chat.postMessage", channel = "#deploys", text = t.like("api*"))
`, "lua.lua": `
on.mention("deploy (?P<app>\\w+) to (?P<env>\\w+)", function(e)
  local answer = ask(("Deploy *%s* to *%s*?"):format(e.match.app, e.match.env), {"Yes", "No"})
  if http_post("https://ci.example/build", {json = {by = answer.user}}).json.green then
    post("#deploys", e.match.app .. " is out")
  end
end)
`, "lua_test.lua": `
test("second person must approve", function(t)
  t.http.stub("POST", "https://ci.example/*", {json = {green = true}})
  local run = t.mention("deploy api to prod", {user = "U1", channel = "#ops"})
  t.expect(run).waiting("Deploy *api* to *prod*?")
  t.click("Yes", {user = "U2"})
  t.expect(run).called("chat.postMessage", {channel = "#deploys", text = t.like("api*")})
end)
`}))
}

func TestRunsThatWaitGoOn(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"wait.star": asking, "wait_test.star": `
def test_a_form_of_two(t):
    run = t.message("survey", channel = "#ops")
    t.expect(run).waiting("How are you?", kind = "ask_form", channel = "#ops", who = ["U0ADA", "U0GRACE"])
    t.expect(t.click("Open", user = "@ada")).opened(title = "Survey")
    t.submit(mood = "fine", user = "@ada")
    t.expect(run).waiting(times = 1)
    assert.eq(run.outcome, "waiting")
    t.expect(t.click("Open", user = "@linus")).replied(t.like("This question is for *"))
    t.click("Open", user = "@grace")
    t.restart()
    t.submit(mood = "so so", user = "@grace")
    t.expect(run).replied("U0ADA: fine and U0GRACE: so so").done()

def test_a_form_that_nobody_fills_in(t):
    run = t.message("survey")
    t.click("Open", user = "@ada")
    t.expect(t.advance("1d")).replied("nobody knows")
    t.expect(run).done()

def test_a_quorum_is_counted(t):
    run = t.message("vote")
    t.expect(run).waiting("Lunch?", choices = ["Soup", "Bread", "Rice", "Fish", "Cake", "Nothing"])
    t.click("Cake", user = "U1")
    t.click("Soup", user = "U1")
    t.expect(run).waiting(answers = [{"user": "U1"}])
    t.restart()
    t.expect(t.click("Fish", user = "U3")).replied("Soup,Fish")

def test_who_clicks_second_is_told(t):
    run = t.mention("deploy api to prod")
    t.http.stub("POST", "https://ci.example/*", json = {"green": True})
    button = [c for c in t.calls("chat.postMessage")][0]["blocks"][1]["elements"][0]["action_id"]
    t.click("Yes", user = "U1")
    late = t.click(button, user = "U2", bare = True)
    t.expect(late).replied(t.like("This question is closed. <@U1> was first*"))
    t.expect(run).called("chat.postMessage", channel = "#deploys", times = 1)

def test_what_is_listened_to(t):
    run = t.message("listen", channel = "#ops", user = "@ada")
    t.expect(run).waiting(kind = "wait_reply")
    t.message("elsewhere", channel = "#ops")
    t.message("aloud", to = run, user = "@grace")
    t.expect(run).waiting(kind = "wait_reaction")
    t.react("tada", to = run)
    t.react("eyes", to = run, user = "@linus")
    t.expect(run).waiting(kind = "wait_event", until = "2026-01-05T09:10:00Z")
    t.message("not over", channel = "#ops")
    t.expect(t.message("over and out", channel = "#ops", user = "@grace")).replied("aloud, U0LINUS, U0GRACE")
    t.expect(run).done()

def test_nothing_is_heard(t):
    run = t.message("listen")
    t.expect(t.advance("30m")).replied("None, None, None")

def test_time_passes_in_order(t):
    run = t.message("later")
    t.expect(run).waiting(kind = "sleep", until = "2026-01-05T10:00:00Z")
    t.advance("3h")
    said = [c["text"] for c in t.calls("chat.postMessage")]
    assert.eq(said, ["ten", "Time to eat", "slept well"])
    t.expect(run).done().replied("Time to eat")

def test_time_passes_in_pieces_and_restarts(t):
    t.message("later")
    for _ in range(18):
        t.advance("10m")
        t.restart()
    assert.eq([c["text"] for c in t.calls("chat.postMessage")], ["ten", "Time to eat", "slept well"])

def test_cut_off_while_it_asks(t):
    t.restart(during = "chat.postMessage")
    run = t.mention("deploy api to prod")
    t.expect(run).called("chat.postMessage", times = 1).waiting("Deploy *api* to *prod*?")
    t.restart(during = "chat.update")
    t.click("No")
    t.expect(run).replied("not deployed", times = 1).done()

def test_a_run_that_fails_later_can_be_expected(t):
    t.http.stub("POST", "https://ci.example/*", text = "no json")
    t.mention("deploy api to prod")
    t.expect(t.click("Yes")).failed("green")
`}))
}

// A button that brings a trigger_id is shown again where that comes too late.
func TestTheButtonOfAModalIsShownAgain(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"modal.star": `
def report(e):
    r = open_modal(ui.modal("Incident", [ui.divider()]))
    return "opened" if r.ok else r.error

on.command("/report", report)
`, "modal_test.star": `
def test_it_opens_in_the_end(t):
    t.slack.stub("views.open", error = "expired_trigger_id", times = 2)
    run = t.command("/report", user = "@ada")
    t.expect(run).waiting("a click on Continue, to open Incident", kind = "trigger", who = ["U0ADA"])
    t.click("Continue", user = "@ada")
    t.expect(run).waiting("another click on Continue, to open Incident", kind = "trigger", until = "2026-01-05T10:00:00Z")
    t.advance("30m")
    t.restart()
    t.expect(run).waiting(kind = "trigger", times = 1)
    t.expect(t.click("Continue", user = "@ada")).opened(title = "Incident")
    t.expect(run).done().called("views.open", times = 3)

def test_nobody_presses_it_again(t):
    t.slack.stub("views.open", error = "expired_trigger_id", times = 2)
    run = t.command("/report", user = "@ada")
    t.advance("50m")
    t.click("Continue", user = "@ada")
    t.advance("50m")
    t.expect(run).waiting("another click on Continue, to open Incident")
    t.expect(t.advance("10m")).replied("expired_trigger_id")
    t.expect(run).done().called("views.open", times = 2)

def test_it_never_opens(t):
    t.slack.stub("views.open", error = "expired_trigger_id")
    run = t.command("/report", user = "@ada")
    for _ in range(4):
        t.expect(run).waiting(kind = "trigger")
        t.click("Continue", user = "@ada")
    t.expect(run).done().called("views.open", times = 5)
`, "modal_test.lua": `
test("it opens in the end", function(t)
  t.slack.stub("views.open", {error = "expired_trigger_id", times = 2})
  local run = t.command("/report", {user = "@ada"})
  t.click("Continue", {user = "@ada"})
  t.expect(run).waiting("another click on Continue, to open Incident")
  t.expect(t.click("Continue", {user = "@ada"})).opened({title = "Incident"})
end)
`}))
}

func TestFailuresOfWaitsSayWhatThereWas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		test string
		want []string
	}{
		"another question": {
			"t.expect(t.mention('deploy api to prod')).waiting('Sure?')",
			[]string{"no wait is as expected", "-Sure?", "+Deploy *api* to *prod*?", "waits for ask: Deploy *api* to *prod*? (until 2026-01-05T11:00:00Z)"},
		},
		"another kind": {
			"t.expect(t.message('listen')).waiting(kind = 'ask')",
			[]string{"no wait is as expected", "+wait_reply", "waits for wait_reply: reply in C0GENERAL"},
		},
		"nothing waits": {
			"t.expect(t.message('hello')).waiting()",
			[]string{"expected the run to wait, it is ignored"},
		},
		"it is over": {
			"[run for run in [t.message('listen')] if t.advance('1h') and t.expect(run).waiting()]",
			[]string{"expected the run to wait, it is done"},
		},
		"it waits": {
			"t.expect(t.message('listen')).done()",
			[]string{"expected the run to be done, it is waiting", "waits for wait_reply"},
		},
		"it fails in the end": {
			"[t.mention('deploy api to prod'), t.http.stub('POST', '*', text = 'x'), t.click('Yes')]",
			[]string{"deploy.star:deploy failed, and the test does not expect it"},
		},
		"nothing is stubbed": {
			"[t.mention('deploy api to prod'), t.click('Yes')]",
			[]string{"http_post asked for POST https://ci.example/build, and nothing is stubbed for it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contains(t, fails(t, run(t, map[string]string{"deploy.star": asking, "deploy_test.star": "def test_it(t):\n    " + c.test + "\n"})), c.want...)
		})
	}
}
