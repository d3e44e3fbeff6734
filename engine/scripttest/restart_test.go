package scripttest_test

import (
	"testing"

	"github.com/starling-rules/starling/engine/scripttest"
)

// deploying posts, asks the web, counts, and says what it has done.
const deploying = `
def deploy(e):
    n = kv.incr("count")
    post("#deploys", "deploying %s (%d)" % (e.match["app"], n))
    r = http_post("https://ci.example/build", json = {"app": e.match["app"]})
    return "deployed, %s" % (r.error or r.status)

on.mention("deploy (?P<app>\\w+)", deploy, cooldown = "1h")
on.command("/deploy", lambda e: post("#deploys", "deploying " + e.text))
`

func TestRestartKeepsWhatIsStored(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"deploy.star": deploying, "deploy_test.star": `
def test_restart(t):
    t.http.stub("POST", "https://ci.example/*")
    t.expect(t.mention("deploy api")).replied("deployed, 200").called("chat.postMessage", text = "deploying api (1)")
    t.expect(t.mention("deploy api")).ignored()

    # The count is stored; how long ago the rule ran is not.
    t.restart()
    t.expect(t.mention("deploy api")).called("chat.postMessage", text = "deploying api (2)")
`}))
}

// A restart in the middle of a request: what was under way goes on, what Slack
// has got is not sent again, what nobody can know is not repeated.
func TestRestartInTheMiddle(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"deploy.star": deploying, "deploy_test.star": `
def test_a_message_is_sent_once(t):
    t.http.stub("POST", "https://ci.example/*")
    t.restart(during = "chat.postMessage")
    run = t.mention("deploy api")
    t.expect(run).called("chat.postMessage", channel = "#deploys", text = "deploying api (1)", times = 1)
    t.expect(run).called("conversations.history").replied("deployed, 200", times = 1).done()

def test_a_post_is_not_repeated(t):
    t.http.stub("POST", "https://ci.example/*")
    t.restart(during = "https://ci.example/*")
    run = t.mention("deploy api")
    t.expect(run).called("chat.postMessage", channel = "#deploys", times = 1).replied("deployed, interrupted", times = 1)
    assert.eq(len(t.http.requests()), 1)

def test_whoever_gave_the_command_hears_no_more(t):
    t.restart(during = "chat.postMessage")
    run = t.command("/deploy api")
    t.expect(run).called("chat.postMessage", text = "deploying api", times = 1).done()
    assert.eq(run.answer, None)

def test_only_once(t):
    t.http.stub("POST", "https://ci.example/*")
    t.restart(during = "chat.postMessage")
    t.mention("deploy api")
    run = t.command("/deploy db")
    t.expect(run).no_calls("conversations.history")
`}))
	text := fails(t, run(t, map[string]string{"deploy.star": deploying, "deploy_test.star": `
def test_nothing_was_cut_off(t):
    t.restart(during = "chat.update")
    t.command("/deploy api")
`}))
	contains(t, text, "the engine was to be cut off during chat.update, and nothing asked for that", "deploy_test.star:3:")
}

func TestEditChangesTheRulesInTheMiddle(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"greet.star":     "load(\"_words.star\", \"word\")\non.message(\"hi\", lambda e: word + \" there\")\n",
		"_words.star":    "word = \"hello\"\n",
		"greet_test.lua": `test("in Lua", function(t) t.edit("greet.star", {replace = {there = "you"}}) t.expect(t.message("hi")).replied("hello you") end)`,
		"greet_test.star": `
def test_edit(t):
    t.expect(t.message("hi")).replied("hello there")
    t.edit("greet.star", replace = {"there": "you"})
    t.expect(t.message("hi")).replied("hello you")
    t.edit("_words.star", "word = 'good day'\n")
    t.expect(t.message("hi")).replied("good day you")
    t.restart()
    t.expect(t.message("hi")).replied("good day you")

    t.edit("more.star", "on.message('hi', lambda e: 'more')")
    t.expect(t.message("hi")).replied("good day you").replied("more")
    t.edit("greet.star", remove = True)
    t.expect(t.message("hi")).replied("more", times = 1).replied(times = 1)

def test_the_next_test_has_the_file_as_it_is(t):
    t.expect(t.message("hi")).replied("hello there")
    t.table(["you", "all"], lambda t, who: [
        t.edit("greet.star", replace = {"there": who}),
        t.expect(t.message("hi")).replied("hello " + who),
    ])
`,
	}
	passes(t, run(t, files))
	passes(t, run(t, files, func(o *scripttest.Options) { o.Cover = true }))
}

func TestEditSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ edit, want string }{
		"syntax":         {`t.edit("greet.star", "on.message(")`, "greet.star:1"},
		"not there":      {`t.edit("greet.star", replace = {"thee": "you"})`, `greet.star has no "thee"`},
		"no script":      {`t.edit("gret.md", "x")`, `there is no script "gret.md"`},
		"nothing":        {`t.edit("greet.star")`, "give the new text"},
		"too much":       {`t.edit("greet.star", "x", remove = True)`, "give the new text"},
		"not text":       {`t.edit("greet.star", replace = {"there": 1})`, "got int, want string"},
		"no such file":   {`t.edit("new.star", replace = {"there": "you"})`, "new.star"},
		"removed before": {`[t.edit("greet.star", remove = True), t.edit("greet.star", replace = {"there": "you"})]`, "greet.star was removed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contains(t, fails(t, run(t, map[string]string{
				"greet.star":      "on.message(\"hi\", lambda e: \"hello there\")\n",
				"greet_test.star": "def test_edit(t):\n    " + c.edit + "\n",
			})), c.want)
		})
	}
}

func TestRepliesAndReactionsFindTheirMessage(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"poll.star": `
on.message("^poll (?P<what>.*)", lambda e: post(e.channel, "Who wants %s?" % e.match["what"]))
on.message("^me", lambda e: "noted in " + e.thread_ts, threads = True)
on.reaction("\\+1", lambda e: post(e.channel, "%s likes %s" % (e.user, e.item.ts)))
`, "poll_test.star": `
def test_to(t):
    run = t.message("poll cake", channel = "#ops")
    t.message("poll tea")
    reply = t.message("me", to = "Who wants cake?")
    assert.eq(reply.channel, run.channel)
    t.expect(reply).replied(t.like("noted in *"), thread_ts = t.like(re = "^17"))
    t.expect(t.react("+1", to = t.like("*cake?"))).called("chat.postMessage", channel = "#ops", text = t.like("*likes*"))
    t.expect(t.react("+1", to = run)).called("chat.postMessage", text = "U0ADA likes " + run.ts)
    t.expect(t.message("me", to = run)).replied("noted in " + run.ts)
`}))
	contains(t, fails(t, run(t, map[string]string{"poll.star": `on.message("^poll", lambda e: post(e.channel, "Cake?"))`, "poll_test.star": `
def test_to(t):
    t.message("poll")
    t.react("+1", to = "Tea?")
`})), `t.react: to: the rules have sent no such message`, `they have sent "Cake?"`)
}
