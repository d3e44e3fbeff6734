package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/runtime"
)

func texts(seen []*runtime.Dict) []string {
	out := make([]string, len(seen))
	for i, d := range seen {
		out[i] = d.Text("at")
	}
	return out
}

func TestWhatACommandReturnsIsItsAnswer(t *testing.T) {
	t.Parallel()
	r, s := newSlackRig(t, map[string]string{"c.star": `
on.command("/text", lambda e: "hello " + e.text)
on.command("/dict", lambda e: {"text": "all", "response_type": "in_channel"})
on.command("/none", lambda e: None)
on.command("/effect", lambda e: respond("later"))
on.command("/number", lambda e: 42)
on.command("/bad", lambda e: e.nothing)
on.command("/args", lambda e: "app " + e.args.app, args = "<app> [env=staging|prod]")
`}, nil)
	for _, c := range []struct{ command, text, want string }{
		{"/text", "you", `{"text":"hello you"}`},
		{"/dict", "", `{"text":"all","response_type":"in_channel"}`},
		{"/none", "", ""},
		{"/effect", "", ""},
		{"/number", "", ""},
		{"/args", "api", `{"text":"app api"}`},
	} {
		status, got := r.send("/slack/commands", formBody, s.command(c.command, c.text, "t"+c.command))
		if status != 200 || got != c.want {
			t.Errorf("%s: got %d %q, want %q", c.command, status, got, c.want)
		}
	}
	if _, got := r.send("/slack/commands", formBody, s.command("/bad", "", "tb")); !strings.Contains(got, "as run ") || strings.Contains(got, "nothing") {
		t.Errorf("a failing command: got %q, want a notice with the run id and no internals", got)
	}
	if _, got := r.send("/slack/commands", formBody, s.command("/args", "", "ta")); !strings.Contains(got, "/args &lt;app&gt; [env=staging|prod]") {
		t.Errorf("a command without its argument: got %q, want the usage", got)
	}
	if _, got := r.send("/slack/commands", formBody, s.command("/unknown", "", "tu")); !strings.Contains(got, "No rule answers /unknown") {
		t.Errorf("an unknown command: got %q", got)
	}
	if got := s.wait(t, 1)[0]; got.method != "response" || got.args["text"] != "later" {
		t.Errorf("respond: got %v", got)
	}
}

func TestAnswersOfViewsAndOptions(t *testing.T) {
	t.Parallel()
	r, s := newSlackRig(t, map[string]string{"v.star": `
def save(e):
    if not e.values["name"]:
        return ui.errors({"b1": "Who?"})
on.view("person", save)
on.view("broken", lambda e: 1 // 0)
on.options("city", lambda e: [ui.option(e.options_query + str(i), str(i)) for i in range(120)])
on.options("crash", lambda e: e.nope)
`}, nil)
	view := func(id, name string) map[string]any {
		return map[string]any{"view": map[string]any{
			"id": "V1", "type": "modal", "callback_id": id, "blocks": []any{map[string]any{"type": "input", "block_id": "b1"}},
			"state": map[string]any{"values": map[string]any{"b1": map[string]any{"name": map[string]any{"type": "plain_text_input", "value": name}}}},
		}}
	}
	if _, got := r.send("/slack", formBody, s.interaction("view_submission", "t1", view("person", ""))); got != `{"response_action":"errors","errors":{"b1":"Who?"}}` {
		t.Errorf("errors: got %q", got)
	}
	if _, got := r.send("/slack", formBody, s.interaction("view_submission", "t2", view("person", "Ada"))); got != "" {
		t.Errorf("close: got %q", got)
	}
	if _, got := r.send("/slack", formBody, s.interaction("view_submission", "t3", view("broken", ""))); !strings.Contains(got, `"b1":"Something went wrong`) {
		t.Errorf("a failing view rule: got %q, want a notice on the first input", got)
	}
	_, got := r.send("/slack/options", formBody, s.interaction("block_suggestion", "t4", map[string]any{"action_id": "city", "block_id": "b", "value": "Os"}))
	if n := strings.Count(got, `"value"`); n != 100 || !strings.HasPrefix(got, `{"options":[{"text":{"type":"plain_text","text":"Os0"`) {
		t.Errorf("options: got %d in %.120q", n, got)
	}
	if _, got := r.send("/slack/options", formBody, s.interaction("block_suggestion", "t5", map[string]any{"action_id": "crash", "block_id": "b", "value": ""})); got != `{"options":[]}` {
		t.Errorf("failing options: got %q", got)
	}
}

func TestALateAnswerGoesThroughTheResponseURL(t *testing.T) {
	t.Parallel()
	r, s := newSlackRig(t, map[string]string{"late.star": `
def slow(e):
    probe.wait(key = "x").ok
    return "done at last"
on.command("/slow", slow)
`}, func(o *engine.Options) {
		o.Config.Limits.Answer = 50 * time.Millisecond
		o.Builtins = append(o.Builtins, waitBuiltin(200*time.Millisecond))
	})
	if status, got := r.send("/slack/commands", formBody, s.command("/slow", "", "t1")); status != 200 || got != "" {
		t.Errorf("got %d %q, want an empty 200", status, got)
	}
	if got := s.wait(t, 1)[0]; got.method != "response" || got.args["text"] != "done at last" {
		t.Errorf("got %v, want the text through response_url", got)
	}
}

func TestReturnedTextOfAMessageIsPostedWhereItCameFrom(t *testing.T) {
	t.Parallel()
	r, s := newSlackRig(t, map[string]string{"m.star": `
on.message("^hello", lambda e: "hi <@%s>" % e.user)
on.message("^thread", lambda e: "in it", threads = True)
`}, nil)
	r.send("/slack/events", jsonBody, message("1", "hello"))
	got := s.wait(t, 1)[0]
	if got.method != "chat.postMessage" || got.args["channel"] != "C1" || got.args["text"] != "hi <@U1>" || got.args["thread_ts"] != nil {
		t.Errorf("got %v", got)
	}
	r.send("/slack/events", jsonBody, message("2", "thread", "thread_ts", "1600000000.000001"))
	if got := s.wait(t, 2)[1]; got.args["thread_ts"] != "1600000000.000001" {
		t.Errorf("in a thread: got %v", got)
	}
}

func TestRulesRunByPriorityAndStopEndsTheList(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{
		"a.star": `
on.message("go", lambda e: probe.see(at = "low"), priority = -1)
on.message("go", lambda e: probe.see(at = "first"), priority = 2)
on.message("go", lambda e: probe.see(at = "stopper"), stop = True, when = lambda e: "stop" in e.text)
on.message("go", lambda e: probe.see(at = "after"))
`, "b.star": `on.event("*", lambda e: probe.see(at = "all"))`,
	}, nil)
	r.send("/slack/events", jsonBody, message("1", "go stop"))
	got := map[string]bool{}
	for _, at := range texts(r.wait(3)) {
		got[at] = true
	}
	if !got["first"] || !got["stopper"] || !got["all"] || got["after"] || got["low"] {
		t.Errorf("with stop: got %v", got)
	}
	r.send("/slack/events", jsonBody, message("2", "go on"))
	got = map[string]bool{}
	for _, at := range texts(r.wait(7))[3:] {
		got[at] = true
	}
	if !got["first"] || got["stopper"] || !got["after"] || !got["low"] || !got["all"] {
		t.Errorf("without stop: got %v", got)
	}
}

func TestAMessageThatMentionsTheBotRunsARuleOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"m.star": `
on.mention("deploy", lambda e: probe.see(at = "mention " + e.id))
on.event("end", lambda e: probe.see(at = "end"))
`}, nil)
	r.send("/slack/events", jsonBody, message("1", "<@UBOT> deploy"))
	r.send("/slack/events", jsonBody, []byte(strings.Replace(strings.Replace(string(message("1", "<@UBOT> deploy")), `"type":"message"`, `"type":"app_mention"`, 1), `"event_id":"Ev1"`, `"event_id":"Ev2"`, 1)))
	r.wait(1)
	for i := 0; ; i++ { // a later event of the same conversation shows that both have been dealt with
		r.send("/slack/events", jsonBody, []byte(fmt.Sprintf(`{"type":"event_callback","team_id":"T1","event_id":"Ee%d","event":{"type":"end","channel":"C1"}}`, i)))
		if got := texts(r.wait(2 + i)); i == 3 {
			n := 0
			for _, at := range got {
				if strings.HasPrefix(at, "mention") {
					n++
				}
			}
			if n != 1 {
				t.Errorf("got %d runs in %v, want 1", n, got)
			}
			return
		}
	}
}

func TestARetriedEventRunsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"m.star": `on.message(".", lambda e: probe.see(at = e.text))`}, nil)
	for range 5 {
		if status, _ := r.send("/slack/events", jsonBody, message("1", "one")); status != 200 {
			t.Errorf("got %d", status)
		}
	}
	r.send("/slack/events", jsonBody, message("2", "two"))
	if got := texts(r.wait(2)); got[0] != "one" || got[1] != "two" {
		t.Errorf("got %v, want one and two", got)
	}
}

func TestAFailureIsToldToErrorRulesAndTouchesNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{
		"bad.star":  `on.message("x", lambda e: 1 // 0)`,
		"good.star": `on.message("x", lambda e: probe.see(at = "good"))`,
		"err.star":  `on.error(lambda f: probe.see(at = f.script + ": " + f.error.message))`,
		"loop.star": "def spin(e):\n    for i in range(1 << 40):\n        pass\non.message(\"x\", spin)",
	}, nil)
	r.send("/slack/events", jsonBody, message("1", "x"))
	got := strings.Join(texts(r.wait(3)), "\n")
	for _, want := range []string{"good", "bad.star: floored division by zero", "loop.star: exceeded the limit of 2000000 steps"} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in\n%s", want, got)
		}
	}
}

func TestASuspendedRunHoldsNoWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"s.star": `
def slow(e):
    r = probe.wait(key = e.text)
    probe.see(at = "slow %s" % r.ok)
on.message("slow", slow)
on.message("quick", lambda e: probe.see(at = "quick"))
`}, func(o *engine.Options) { o.Builtins = append(o.Builtins, waitBuiltin(400*time.Millisecond)) })
	for i := range 20 {
		r.send("/slack/events", jsonBody, message(fmt.Sprint("s", i), "slow"))
	}
	r.send("/slack/events", jsonBody, message("q", "quick"))
	got := texts(r.wait(21))
	if got[0] != "quick" {
		t.Errorf("got %q first, want quick: twenty runs wait and hold no worker", got[0])
	}
}

func TestTheBotDoesNotHearItself(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"m.star": `on.message(".", lambda e: probe.see(at = e.text))`}, nil)
	r.send("/slack/events", jsonBody, message("1", "own", "user", "UBOT"))
	r.send("/slack/events", jsonBody, message("2", "bot", "bot_id", "BOTHER", "subtype", "bot_message"))
	r.send("/slack/events", jsonBody, message("3", "human"))
	if got := texts(r.wait(1)); got[0] != "human" {
		t.Errorf("got %v, want human alone", got)
	}
}

func TestAFileDroppedIsLiveAndABrokenOneKeepsThePrevious(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"m.star": `on.message(".", lambda e: probe.see(at = "one"))`}, nil)
	r.write("m.star", `on.message(".", lambda e: probe.see(at = "two"))`)
	sent := 0
	say := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; sent++ {
			n := len(r.all())
			r.send("/slack/events", jsonBody, message(fmt.Sprint("n", sent), "x"))
			if got := texts(r.wait(n + 1)); got[n] == want {
				sent++
				return
			} else if time.Now().After(deadline) {
				t.Fatalf("got %q, want %q", got[n], want)
			}
		}
	}
	say("two")
	r.write("m.star", `on.message(".", lambda e: probe.see(at = `)
	for deadline := time.Now().Add(10 * time.Second); len(r.Report().Files[0].Errors) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the broken file is not reported")
		}
		time.Sleep(time.Millisecond)
	}
	say("two")
	r.write("sub/new.star", `on.message("^new", lambda e: probe.see(at = "new"), priority = 1, stop = True)`)
	for deadline := time.Now().Add(10 * time.Second); len(r.Report().Files) < 2; {
		if time.Now().After(deadline) {
			t.Fatal("the new file is not live")
		}
		time.Sleep(time.Millisecond)
	}
	n := len(r.all())
	r.send("/slack/events", jsonBody, message("last", "new"))
	if got := texts(r.wait(n + 1)); got[n] != "new" {
		t.Errorf("got %q, want new", got[n])
	}
}

func TestACommandThatNoRuleAnswersIsAnsweredThoughOthersSeeIt(t *testing.T) {
	t.Parallel()
	r, s := newSlackRig(t, map[string]string{"all.star": `on.event("*", lambda e: probe.see(at = e.command))`}, func(o *engine.Options) {
		o.Config.Limits.Answer = 15 * time.Second // far beyond what an answer takes: waiting would show
	})
	began := time.Now()
	if _, got := r.send("/slack/commands", formBody, s.command("/who", "", "t1")); !strings.Contains(got, "No rule answers /who") {
		t.Errorf("got %q", got)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the answer took %v: nobody was going to give one", took)
	}
	r.wait(1)
}
