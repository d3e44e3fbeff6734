package scripttest_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/scripttest"
	"github.com/starling-rules/starling/runtime"
)

const broken = `
def f(e):
    log.warn("about to ask")
    r = http_get("https://ci.example/status", params = {"app": "api"})
    return "ok" if r.ok else "no"

on.message("ci", f)

def g(e):
    return helper(e.text)

def helper(text):
    return text[100]

on.message("boom", g, channels = ["#ops"])

def loop(e):
    for i in range(1000000000):
        pass

on.message("loop", loop)
on.message("post", lambda e: post("#ops", "hello") and None)
`

// failing is a test that must fail, and what it must say.
type failing struct {
	name string
	body string   // of a function test_it(t)
	want []string // parts of the failure's text
}

var failings = []failing{
	{"a request that is not stubbed names the URL", `t.message("ci")`, []string{
		"http_get asked for GET https://ci.example/status?app=api, and nothing is stubbed for it",
		"b.star:4:9", `   4 |     r = http_get("https://ci.example/status"`, `= t.http.stub("GET", "https://ci.example/status", json = {…})`,
		"WARN about to ask", "t.message at ", "b.star:f",
	}},
	{"a stub that nothing asks for", `t.http.stub("GET", "https://x.example/*")`, []string{"GET https://x.example/* was stubbed, and nothing asked for it", "may = True", "b_test.star:2:"}},
	{"a stub that is asked for too seldom", "t.http.stub(\"GET\", \"*\", times = 2)\n    t.message(\"ci\")", []string{"was stubbed, and nothing asked for it"}},
	{"a stub of Slack that nothing asks for", `t.slack.stub("users.info")`, []string{"users.info was stubbed"}},
	{"a run that fails without being expected to", `t.message("boom", channel = "#ops")`, []string{
		"b.star:g failed, and the test does not expect it", "string index 100 out of range", "b.star:10:12 in g", "b.star:13:16 in helper", "return text[100]", "t.expect(run).failed()",
	}},
	{"nothing matched, with the reason of each rule", `t.expect(t.message("boom")).done()`, []string{
		"expected the run to be done, it is ignored", `on.message("ci") at b.star:7:1: the regex "ci" is not found in "boom"`, `channel #general (C0GENERAL) is not among "#ops"`,
	}},
	{"a reply that differs", "t.http.stub(\"GET\", \"*\", text = \"x\")\n    run = t.message(\"ci\")\n    t.expect(run).replied(\"fine\")", []string{
		"no reply is as expected", "--- wanted\n+++ got", "-fine\n+ok", `t.expect(run).replied("fine")`, "^", `http_get {"url":"https://ci.example/status"`,
	}},
	{"a call that differs", "t.expect(t.message(\"post\")).called(\"chat.postMessage\", text = t.like(\"bye*\"), channel = \"#ops\")", []string{`-  "text": "like(bye*)"`, `+  "text": "hello"`}},
	{"the stack of the test", "def check(text):\n        t.expect(t.message(text)).replied()\n    check(\"x\")", []string{"stack:", "in test_it", "in check", "expected a reply, there was none"}},
	{"too many calls", `t.expect(t.message("post")).called("chat.postMessage", times = 2)`, []string{"expected a call of chat.postMessage 2 times, it was once"}},
	{"calls that should not be", `t.expect(t.message("post")).no_calls()`, []string{"expected no calls, there was 1 call", `"text": "hello"`}},
	{"a misspelt method", `t.mesage("x")`, []string{"t has no field mesage", "did you mean .message?"}},
	{"a misspelt option", `t.message("x", chanel = "#ops")`, []string{`t.message: unknown option "chanel"`, "did you mean channel?"}},
	{"a misspelt expectation", `t.expect(t.message("x")).repliedd()`, []string{"t.expect has no field repliedd", "did you mean .replied?"}},
	{"an effect in a test", `respond("x")`, []string{"respond is for rules, not for tests"}},
	{"a rule in a test", `on.message("x", lambda e: None)`, []string{"on.message is for rules, not for tests"}},
	{"kv in a test", `kv.get("x")`, []string{"t.kv.get reads and writes the state of the script under test"}},
	{"no run to expect of", `t.expect("x")`, []string{"got string, want a run"}},
	{"a regex that is none", `t.like(re = "(")`, []string{"missing closing )"}},
	{"buttons that are not there", `t.click("Yes")`, []string{`nothing that was sent has a button "Yes"`}},
	{"no modal", `t.submit(a = "1")`, []string{"no modal is open"}},
	{"no schedule", `t.tick()`, []string{"the rules have no on.schedule"}},
	{"rules after the first event", "t.message(\"x\")\n    t.rules(\"b\")", []string{"t.rules comes too late"}},
	{"rules that are not there", `t.rules("nope")`, []string{`there is no script "nope"`}},
	{"time that goes back", `t.advance(to = "2020-01-01T00:00:00Z")`, []string{"time does not go back"}},
	{"a payload that is not there", `t.event("nope.json")`, []string{"read the payload"}},
	{"an endless loop", "for i in range(1000000000):\n        pass", []string{"exceeded the limit of 10000000 steps"}},
	{"a case of a table", `t.table({"odd": {"text": "boom"}}, lambda t, c: t.expect(t.message(c.text)).done())`, []string{"case odd\n", "it is ignored"}},
	{"a case, and the rest goes on", "t.case(\"one\", lambda t: fail(\"first\"))\n    t.case(\"two\", lambda t: fail(\"second\"))", []string{"case one\n", "first", "case two\n", "second"}},
	{"assert.eq", `assert.eq({"a": 1}, {"a": 2}, "numbers")`, []string{"numbers: not equal", `-  "a": 2`, `+  "a": 1`}},
	{"a run is not None", `assert.eq(t.message("post"), None)`, []string{"not equal"}},
	{"an endless rule", `t.message("loop")`, []string{"exceeded the limit of 2000000 steps", "b.star:loop failed"}},
	{"a post elsewhere is no reply", `t.expect(t.message("post")).replied()`, []string{"expected a reply, there was none"}},
	{"assert.ne", `assert.ne(1, 1)`, []string{"both are 1"}},
	{"assert.true", `assert.true([])`, []string{"got []"}},
	{"assert.contains", `assert.contains("abc", "x")`, []string{`"abc" does not contain "x"`}},
	{"assert.matches", `assert.matches("abc", "x*")`, []string{"no match", "+abc"}},
	{"assert.fails", `assert.fails(lambda: None)`, []string{"the function did not fail"}},
	{"assert.fails with another error", `assert.fails(lambda: fail("a"), "b")`, []string{"failed with another error", "-b\n+a"}},
	{"waiting", `t.expect(t.message("post")).waiting("Sure?")`, []string{"expected the run to wait, it is done"}},
	{"opened", `t.expect(t.message("post")).opened("x")`, []string{`expected a view with callback_id = "x", there was none`}},
	{"answered", `t.expect(t.message("post")).answered("x")`, []string{"expected an answer, it was empty"}},
	{"failed", `t.expect(t.message("post")).failed()`, []string{"expected the run to fail, it is done"}},
	{"failed with another error", `t.expect(t.message("boom", channel = "#ops")).failed("nothing of the kind")`, []string{"not with the expected error"}},
	{"ignored", `t.expect(t.message("post")).ignored()`, []string{"expected no rule to run, b.star:message:post did"}},
	{"reacted", `t.expect(t.message("post")).reacted("eyes")`, []string{"expected a reaction with name = \"eyes\", there was none"}},
}

func TestFailuresTeach(t *testing.T) {
	t.Parallel()
	for _, c := range failings {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res := run(t, map[string]string{"b.star": broken, "b_test.star": "def test_it(t):\n    " + c.body + "\n"},
				func(o *scripttest.Options) { o.TestSteps = 10_000_000 })
			contains(t, fails(t, res), c.want...)
		})
	}
}

func TestFilesThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	good := "def test_it(t):\n    t.message(\"x\")\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"a test that does not parse": {map[string]string{"a.star": broken, "a_test.star": "def test_it(t)\n"}, []string{"a_test.star:1:", "got newline"}},
		"rules that do not load":     {map[string]string{"a.star": "on.mesage(\"x\")\n", "a_test.star": good}, []string{"on.mesage is not a built-in", "a.star:1:4", "did you mean on.message?"}},
		"rules that are not there":   {map[string]string{"a_test.star": good}, []string{"there is no script that a_test.star is named after", "t.rules("}},
		"a module that is not there": {map[string]string{"a.star": broken, "a_test.star": "load(\"x.star\", \"y\")\n" + good}, []string{`cannot load "x.star"`}},
		"two tests of one name":      {map[string]string{"a.star": broken, "a_test.star": "test(\"x\", lambda t: None)\ntest(\"x\", lambda t: None)\n"}, []string{`test "x" is there already`}},
		"an undefined name in Lua":   {map[string]string{"a.star": broken, "a_test.lua": "test(\"x\", function(t) nope() end)\n"}, []string{"nope"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contains(t, fails(t, run(t, c.files)), c.want...)
		})
	}
}

func TestWhatCannotBeRunAtAll(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files  map[string]string
		change func(*scripttest.Options)
		want   string
	}{
		"no files":           {map[string]string{"a.star": ""}, nil, "no tests found in "},
		"no functions":       {map[string]string{"a_test.star": "x = 1\n"}, nil, "define no function test_…"},
		"nothing of a name":  {map[string]string{"a_test.star": "def test_a(t):\n    pass\n"}, func(o *scripttest.Options) { o.Match = regexp.MustCompile("b") }, "is named by -r b"},
		"a rule has no test": {map[string]string{"a.star": ""}, func(o *scripttest.Options) { o.Paths[0] += "/a.star" }, "a_test.star"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, write(t, c.files))
			if c.change != nil {
				c.change(&o)
			}
			_, err := scripttest.Run(t.Context(), o)
			if !errors.Is(err, scripttest.ErrNoTests) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	o := options(t, write(t, map[string]string{"starling.yaml": "ruels: []\n", "a.star": broken, "a_test.star": "def test_a(t):\n    pass\n"}))
	var faults runtime.Errors
	if _, err := scripttest.Run(t.Context(), o); !errors.As(err, &faults) || !strings.Contains(faults.Detail(), "did you mean rules?") {
		t.Errorf("a configuration with faults: %v", err)
	}
	o = options(t, "/nowhere/at/all")
	if _, err := scripttest.Run(t.Context(), o); err == nil || errors.Is(err, scripttest.ErrNoTests) {
		t.Errorf("a path that is not there: %v", err)
	}
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	const tests = "def test_it(t):\n    t.snapshot(t.message(\"post\"))\n    t.snapshot({\"a\": 1}, name = \"data\")\n"
	dir := write(t, map[string]string{"b.star": broken, "b_test.star": tests})
	try := func(update bool) *scripttest.Result {
		o := options(t, dir)
		o.Update = update
		res, err := scripttest.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	contains(t, fails(t, try(false)), `there is no snapshot "test_it" yet`, "starling test --update writes it")
	passes(t, try(true))
	passes(t, try(false))
	path := filepath.Join(dir, "__snapshots__", "b_test.star.txtar")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(text), "-- test_it --", "-- test_it data --", `"method": "chat.postMessage"`, `"outcome": "done"`)
	if strings.Contains(string(text), "metadata") {
		t.Errorf("the snapshot holds what is the engine's own:\n%s", text)
	}
	changed := strings.ReplaceAll(broken, `post("#ops", "hello")`, `post("#ops", "bye")`)
	if err := os.WriteFile(filepath.Join(dir, "b.star"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, fails(t, try(false)), `the snapshot "test_it" is another`, `-      "text": "hello"`, `+      "text": "bye"`)
	passes(t, try(true))
	passes(t, try(false))
}

func TestOrderAndStop(t *testing.T) {
	t.Parallel()
	files := map[string]string{"b.star": broken}
	for _, f := range []string{"a", "c", "d"} {
		files[f+"_test.star"] = "def test_2(t):\n    fail(\"x\")\ndef test_1(t):\n    pass\ndef test_3(t):\n    pass\n"
	}
	var seen []string
	res := run(t, files, func(o *scripttest.Options) {
		o.Jobs = 8
		o.Each = func(x *scripttest.Test) { seen = append(seen, filepath.Base(x.File)+" "+x.Name) }
	})
	want := "a_test.star test_2,a_test.star test_1,a_test.star test_3,c_test.star test_2,c_test.star test_1,c_test.star test_3,d_test.star test_2,d_test.star test_1,d_test.star test_3"
	if got := strings.Join(seen, ","); got != want {
		t.Errorf("order %s", got)
	}
	if res.Passed != 6 || res.Failed != 3 {
		t.Errorf("%d passed, %d failed", res.Passed, res.Failed)
	}
	res = run(t, files, func(o *scripttest.Options) { o.Jobs, o.StopAtFirst = 1, true })
	if res.Failed != 1 || res.Skipped != 8 {
		t.Errorf("stopped: %d failed, %d skipped", res.Failed, res.Skipped)
	}
	res = run(t, files, func(o *scripttest.Options) { o.Match = regexp.MustCompile(`c_test\.star:test_[13]`) })
	if res.Passed != 2 || res.Failed != 0 {
		t.Errorf("-r: %d passed, %d failed", res.Passed, res.Failed)
	}
}

func TestBench(t *testing.T) {
	t.Parallel()
	res := run(t, map[string]string{"b.star": broken, "b_test.star": "def test_it(t):\n    t.message(\"post\")\n"}, func(o *scripttest.Options) { o.Bench = 1 })
	passes(t, res)
	if b := res.Tests[0].Bench; b == nil || b.N < 1 || b.PerOp <= 0 {
		t.Errorf("bench %+v", b)
	}
}

func TestWhyAMatchingRuleDidNotRun(t *testing.T) {
	t.Parallel()
	const script = `
on.message("often", lambda e: "x", cooldown = "5m")
on.message("never", lambda e: "x", when = lambda e: False)
on.command("/do", lambda e: "x", args = "<what>")
`
	for body, want := range map[string]string{
		"t.message(\"often\")\n    t.expect(t.message(\"often\")).done()": "matched, but its cooldown of 5m0s is not over",
		"t.expect(t.message(\"never\")).done()":                           "matched, but its predicate (when) refused",
		"t.expect(t.command(\"/do\")).done()":                             "matched, but the arguments do not fit: <what> is missing",
	} {
		res := run(t, map[string]string{"a.star": script, "a_test.star": "def test_it(t):\n    " + body + "\n"})
		contains(t, fails(t, res), want)
	}
}
