package scripttest_test

import (
	"testing"
)

// desk is a script with a bit of everything that tests look at.
const desk = `
def hello(e):
    log.info("greeting", user = e.user)
    return config.get("greeting", "hello") + " <@%s>" % e.user

on.message("^hello", hello, cooldown = "1m")

def build(e):
    r = http_post("https://ci.example/build", json = {"app": e.match.app}, headers = {"Authorization": "Bearer " + secret("CI")}, retry = 2)
    if not r.ok:
        reply("no build: " + r.error)
        return
    post("#deploys", "%s is %s" % (e.match.app, r.json["state"]))

on.mention("build (?P<app>\\w+)", build)

def incident(e):
    open_modal(ui.modal("Incident", [
        ui.input("Title", ui.text_input("title"), block_id = "title"),
        ui.input("Severity", ui.select("severity", [ui.option("High", "high"), ui.option("Low", "low")]), block_id = "severity", optional = True),
    ], callback_id = "incident", submit = "Report", notify_on_close = True))

on.command("/incident", incident)
on.shortcut("incident_from_message", incident)

def submitted(e):
    if e.values["title"] == "bad":
        return ui.errors({"title": "Say what is wrong"})
    post("#ops", "%s: %s" % (e.values["severity"], e.values["title"]), blocks = [
        ui.section("*%s*" % e.values["title"]),
        ui.actions([ui.button("Mine", action_id = "take", value = "7"), ui.select("assign", [ui.option("Ada", "U0ADA"), ui.option("Bob", "U0BOB")])]),
    ])

on.view("incident", submitted)
on.view_closed("incident", lambda e: dm(e.user, "not reported"))
on.action("take", lambda e: respond("taken by <@%s> (%s)" % (e.user, e.value), replace = True))
on.action("assign", lambda e: update(ts = e.ts, text = "assigned to <@%s>" % e.value))
on.options("city", lambda e: [ui.option(c, c.lower()) for c in ["Berlin", "Bergen", "Oslo"] if c.lower().startswith(e.options_query)])
on.reaction("eyes", lambda e: react("white_check_mark"))
on.home(lambda e: publish_home(ui.home([ui.section("hi")])))
on.event("team_join", lambda e: dm(e.user, "welcome"))
on.schedule("every 10m", lambda e: post("#ops", "tick"), name = "ticker")
on.schedule("0 12 * * *", lambda e: post("#ops", "lunch"), name = "lunch")
on.message("^count", lambda e: str(kv.incr("n")))
on.message("^keep (?P<what>\\w+)", lambda e: kv.set("kept", e.match.what, ttl = "1h"))
on.message("^kept", lambda e: kv.get("kept") or "nothing")
on.message("^break", lambda e: fail("this is broken"))
on.message("typo", lambda e: "edited", edits = True)
on.webhook("POST /hooks/ci", lambda e: http_reply(202, json = {"state": e.json["state"]}), secret = secret("HOOK"))
`

func TestEverythingThatATestCanDo(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"desk.star": desk, "event.json": `{"type":"event_callback","event_id":"Ev1","team_id":"T1","event":{"type":"team_join","user":{"id":"U0NEW"}}}`, "desk_test.star": `
def test_message(t):
    run = t.message("hello", user = "@grace", channel = "#ops")
    t.expect(run).replied("hello <@U0GRACE>").done().called("chat.postMessage", channel = "#ops", times = 1)
    assert.eq(run.user, "U0GRACE")
    assert.eq(run.channel, "C0OPS")
    assert.eq(run.outcome, "done")
    assert.eq(run.rules, ["desk.star:hello"])
    assert.contains(run.logs[0], "greeting")

def test_by_id(t):
    t.expect(t.message("hello", user = "U1", channel = "C9")).replied("hello <@U1>", channel = "C9")

def test_config(t):
    t.config(greeting = "moin")
    t.expect(t.message("hello")).replied(t.like("moin *"))

def test_cooldown_and_clock(t):
    t.expect(t.message("hello")).replied()
    t.expect(t.message("hello")).ignored()
    t.advance("61s")
    t.expect(t.message("hello")).replied()

def test_http(t):
    t.secret("CI", "s3cret")
    t.http.stub("POST", "https://ci.example/*", json = {"state": "green"})
    run = t.mention("build api")
    t.expect(run).called("chat.postMessage", channel = "#deploys", text = t.like(re = "^api is gr..n$"))
    sent = t.http.requests("https://ci.example/*")
    assert.eq(len(sent), 1)
    assert.eq(sent[0].json, {"app": "api"})
    assert.eq(sent[0].headers["authorization"], "Bearer s3cret")

def test_http_in_turn(t):
    t.http.stub("POST", "https://ci.example/build", status = 503, times = 1, headers = {"Retry-After": "20"})
    t.http.stub("POST", "https://ci.example/build", error = "timeout", times = 1)
    t.http.stub("POST", "https://ci.example/build", json = {"state": "late"})
    before = t.now
    t.expect(t.mention("build api")).called("chat.postMessage", text = "api is late")
    assert.true(t.now - before >= 20, "the pause between attempts has passed on the clock")

def test_http_fails(t):
    t.http.stub("*", "*", status = 500)
    t.expect(t.mention("build api")).replied("no build: http_500")

def test_slack_stub(t):
    t.slack.stub("chat.postMessage", error = "channel_not_found", times = 1)
    run = t.message("hello")
    assert.eq(t.calls("chat.*")[0].channel, "C0GENERAL")

def test_modal(t):
    run = t.command("/incident", user = "@grace")
    t.expect(run).opened("incident", title = "Incident").answered()
    run = t.submit(title = "bad", user = "@grace")
    t.expect(run).answered(errors = {"title": t.like("Say*")}, action = "errors")
    assert.eq(run.errors, {"title": "Say what is wrong"})
    run = t.submit(title = "disk full", severity = "high", user = "@grace")
    t.expect(run).called("chat.postMessage", channel = "#ops", text = "high: disk full")
    assert.fails(lambda: t.submit(title = "again"), "no modal is open")

def test_close(t):
    t.command("/incident", user = "@grace")
    t.expect(t.close(user = "@grace")).called("chat.postMessage", channel = "D0GRACE", text = "not reported")

def test_buttons(t):
    t.command("/incident")
    t.submit(title = "disk full", severity = "low")
    t.expect(t.click("assign", "U0BOB")).called("chat.update", text = "assigned to <@U0BOB>")

def test_click_by_text_and_replace(t):
    t.command("/incident")
    t.submit(title = "disk full", severity = "low")
    t.expect(t.click("Mine", user = "@linus")).replied("taken by <@U0LINUS> (7)", replace_original = True)
    assert.fails(lambda: t.click("Mine"), "has a button \"Mine\"")

def test_option_of_a_menu(t):
    t.command("/incident")
    t.submit(title = "disk full")
    t.expect(t.click("Ada")).called("chat.update", text = "assigned to <@U0ADA>")

def test_bare_click(t):
    t.expect(t.click("take", "9", bare = True)).replied(t.like("*(9)"))

def test_submit_without_a_modal(t):
    t.expect(t.submit("incident", values = {"title": "x", "severity": "low"})).called("chat.postMessage", text = "low: x")

def test_submit_checks(t):
    t.command("/incident")
    assert.fails(lambda: t.submit(), "is required")
    assert.fails(lambda: t.submit(titel = "x", title = "y"), "no input \"titel\"")

def test_shortcut(t):
    t.expect(t.shortcut("incident_from_message", text = "it burns")).opened()

def test_options(t):
    t.expect(t.options("city", "ber")).answered(["berlin", "bergen"])
    t.expect(t.options("city", "ber")).answered(["Berlin", "Bergen"])

def test_reaction(t):
    run = t.message("count")
    t.expect(t.react(":eyes:", run)).reacted("white_check_mark", timestamp = run.ts)
    t.expect(t.react("eyes", removed = True)).ignored()

def test_home(t):
    t.expect(t.home()).called("views.publish", user_id = "@ada")

def test_event(t):
    t.expect(t.event("team_join", user = "@bob")).called("chat.postMessage", text = "welcome", channel = "D0BOB")
    t.expect(t.event("event.json")).called("chat.postMessage", channel = "D0NEW")

def test_tick(t):
    t.expect(t.tick()).called("chat.postMessage", text = "tick")
    t.expect(t.tick("lunch")).called("chat.postMessage", text = "lunch")

def test_advance(t):
    t.expect(t.advance("1h")).called("chat.postMessage", text = "tick", times = 6)
    run = t.advance(to = "2026-01-05T12:00:00Z")
    assert.eq([c.text for c in run.calls][-2:], ["lunch", "tick"])

def test_kv(t):
    t.kv.set("n", 4)
    t.expect(t.message("count")).replied("5")
    assert.eq(t.kv.get("n"), 5)
    assert.eq(t.kv.get("m", "none"), "none")

def test_ttl(t):
    t.message("keep it")
    t.expect(t.message("kept")).replied("it")
    t.advance("61m")
    t.expect(t.message("kept")).replied("nothing")

def test_failure_is_expected(t):
    t.expect(t.message("break")).failed("this is broken").no_calls("chat.postMessage")

def test_edit_and_deletion(t):
    t.expect(t.message("a typo", edited = "a tpyo")).replied("edited")
    t.expect(t.message("hello", edited = "helo")).ignored()
    t.expect(t.message("hello", deleted = True)).ignored()
    t.expect(t.message("hello", bot_id = "B1")).ignored()
    t.expect(t.message("hello", thread_ts = "1.0")).ignored()

def test_webhook(t):
    run = t.webhook("POST /hooks/ci", json = {"state": "red"})
    t.expect(run).answered({"state": "red"}, status = 202)
    t.expect(t.webhook("/hooks/nope")).answered(status = 404)
    t.expect(t.webhook("GET /hooks/ci")).answered(status = 405)

def test_table(t):
    t.kv.set("n", 1)
    def check(t, case):
        t.expect(t.message(case.text)).replied(case.want)
    t.table({"greeting": {"text": "hello", "want": "hello <@U0ADA>"}, "count": {"text": "count", "want": "2"}, "again": {"text": "count", "want": "2"}}, check)

def test_case(t):
    t.case("first", lambda t: t.expect(t.message("count")).replied("1"))
    t.case("second", lambda t: t.expect(t.message("count")).replied("2"))

def test_asserts(t):
    assert.eq({"a": [1, 2.0]}, {"a": [1.0, 2]})
    assert.ne("a", "b")
    assert.true([0])
    assert.contains({"a": 1}, "a")
    assert.contains([1, "abc"], t.like("a*"))
    assert.matches({"a": 1, "b": "xyz"}, {"b": t.like("x*")})
    assert.fails(lambda: fail("no"), "no")
    assert.fails(lambda: assert.eq(1, 2), "not equal")

def test_whole_message(t):
    t.expect(t.mention("hello")).ignored()
`}))
}

func TestLuaTests(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"desk.star": desk, "desk_test.lua": `
test("says hello", function(t)
  local run = t.message("hello", {user = "@grace", channel = "#ops"})
  t.expect(run).replied("hello <@U0GRACE>").done()
  assert.eq(run.user, "U0GRACE")
  assert.eq(#run.calls, 1)
  assert.eq(run.calls[1].channel, "C0OPS")
end)

test("methods with a colon", function(t)
  t.http.stub("POST", "https://ci.example/*", {json = {state = "green"}})
  local run = t:mention("build api")
  t:expect(run):called("chat.postMessage", {channel = "#deploys", text = t:like("api*")})
end)

test("a modal", function(t)
  t.command("/incident")
  t.expect(t.submit({title = "disk full", severity = "high"})).called("chat.postMessage", {text = "high: disk full"})
  t.expect(t.click("Mine")).replied(t.like("taken*"))
end)

test("a table", function(t)
  t.table({one = {text = "count", want = "1"}, two = {text = "hello", want = "hello <@U0ADA>"}}, function(t, case)
    t.expect(t.message(case.text)).replied(case.want)
  end)
end)

test("asserts", function(t)
  assert.eq({a = 1}, {a = 1})
  assert.fails(function() error("no way") end, "no way")
  assert.fails(function() assert.eq(1, 2) end, "not equal")
  assert.fails(function() t.click("nothing") end, "has a button")
  assert.eq(t.kv.get("n", 3), 3)
end)

function test_by_name(t)
  t.expect(t.message("hello")).replied()
end
`}))
}

func TestLuaRules(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{
		"greet.lua":      `on.message("^hi", function(e) return "hi <@" .. e.user .. ">" end)`,
		"greet_test.lua": `test("hi", function(t) t.expect(t.message("hi")).replied("hi <@U0ADA>") end)`,
		"greet_test.star": `
def test_hi(t):
    t.expect(t.message("hi")).replied("hi <@U0ADA>")
`,
	}))
}

func TestRulesAreFoundAndConfigured(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{
		"starling.yaml":     "rules: [rules]\nrules_config: {a: {greeting: \"ahoi ${PLACE}\"}}\nsecrets: {TOKEN: \"${NOT_SET_HERE}\"}\n",
		"rules/a.star":      "load(\"lib/x.star\", \"punct\")\non.message(\"hi\", lambda e: config[\"greeting\"] + punct)\n",
		"rules/lib/x.star":  "punct = \"!\"\n",
		"rules/sub/b.star":  "on.message(\"hi\", lambda e: \"b\")\n",
		"rules/a_test.star": "load(\"lib/x.star\", \"punct\")\ndef test_a(t):\n    t.expect(t.message(\"hi\")).replied(\"ahoi test-PLACE\" + punct, times = 1)\n",
		"rules/all_test.star": `
def test_both(t):
    t.rules("a", "sub/b.star")
    t.config("a", greeting = "moin")
    run = t.message("hi")
    t.expect(run).replied("moin!").replied("b")
    assert.eq(run.rules, ["a.star:message:hi", "sub/b.star:message:hi"])
`,
	}))
}

func TestWorldsAreFresh(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"desk.star": desk, "desk_test.star": `
def test_a(t):
    t.expect(t.message("count")).replied("1")
def test_b(t):
    t.expect(t.message("count")).replied("1")
def test_same_event_twice(t):
    t.expect(t.event("event.json")).called("chat.postMessage")
    t.expect(t.event("event.json")).ignored()
`, "event.json": `{"type":"event_callback","event_id":"Ev1","team_id":"T1","event":{"type":"team_join","user":{"id":"U0NEW"}}}`}))
}

func TestLateAnswersGoAnotherWay(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"slow.star": `
def slow(e):
    r = http_get("https://slow.example/")
    return "here: " + r.text

on.command("/slow", slow)
`, "slow_test.star": `
def test_in_time(t):
    t.http.stub("GET", "https://slow.example/", text = "x", delay = "1s")
    t.expect(t.command("/slow")).answered("here: x").no_calls("response_url")

def test_too_slow(t):
    t.http.stub("GET", "https://slow.example/", text = "x", delay = "11s")
    t.expect(t.command("/slow")).replied("here: ")
    assert.eq(t.now, 1767603610)

def test_late(t):
    t.http.stub("GET", "https://slow.example/", text = "x", delay = "3s")
    run = t.command("/slow")
    t.expect(run).called("response_url", text = "here: x").replied("here: x")
    assert.eq(run.answer, None)
`}))
}
