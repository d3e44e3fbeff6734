package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// restless do whatever could come out differently the next time: the order of
// tables, time, randomness, the text of tables and functions, errors.
var restless = map[string]string{
	"lib/order.star": "ORDER = {\"b\": 1, \"a\": 2, 3: 3, (1, 2): 4, None: 5}\ndef twice(f, x):\n    return f(f(x))\n",
	"restless.star": `
load("lib/order.star", "ORDER", "twice")
def tables(e):
    d = {}
    for i in range(20):
        d["k%d" % (i * 7919 % 20)] = i
    d.pop("k7")
    d.setdefault("late", 1)
    for k, v in d.items():
        kv.set(k, v)
    for k in ORDER:
        kv.set(str(k), ORDER[k])
    for x in set(["z", "y", "x", 3, 2.5, None]):
        kv.set(str(x), 1)
    for k in config:
        kv.set(k, config[k])
    for k in e.raw["event"]:
        kv.set(k, str(e.raw["event"][k]))
    d.popitem()
    post("C1", json.encode(d), blocks = [{"b": 1, "a": 2}])
def clock(e):
    for i in range(4):
        r = kv.get("x%d" % i)
        kv.set("t%d" % i, [now(), random.int(1, 1000000), random.float(), random.choice(["a", "b", "c"]), random.uuid(), r])
    post("C1", str(random.shuffle(list(range(20)))))
def texts(e):
    post("C1", str([texts, len, ORDER, twice, e, struct(b = 1, a = 2), {1: "x"}, (1,), lambda x: x, [].append]))
    post("C1", "%s %r %d" % (hash.sha256("a"), "é", twice(lambda x: x + 1, 1)))
    post("C1", str(catch(lambda: 1 // 0)) + str(catch(lambda: [][1])) + str(catch(lambda: fail("x", {"b": 1, "a": 2}))))
    post("C1", str(dir(e)) + str(dir([])) + str(sorted(dir({}))))
def branches(e):
    for i in range(30):
        r = http_get("https://x.example/%d" % i)
        if not r.ok:
            kv.incr("bad", by = i)
            if r.status == 500 and i % 3 == 0:
                continue
        elif r.json and r.json.get("n", 0) % 2:
            post("C1", "odd %d %s" % (r.json["n"], r.text))
        else:
            slack_action("reactions.add", name = "x%d" % i)
    pending = [kv.get("p%d" % i) for i in range(5)]
    for i, p in enumerate(pending):
        kv.set("q%d" % i, p)
    user("U1").ok
    fail("at last")
for fn in [tables, clock, texts, branches]:
    on.message("go", fn)
`,
	"lib/order.lua": "local M = {}\nM.order = {b = 1, a = 2, [3] = 3, [1.5] = 4, [true] = 5, 10, 20, 30}\nfunction M.twice(f, x) return f(f(x)) end\nreturn M\n",
	"restless.lua": `
local lib = require("lib.order")
local function tables(e)
  local d = {}
  for i = 1, 20 do d["k" .. (i * 7919 % 20)] = i end
  d.k7 = nil
  d.late = 1
  d[1], d[2], d[2.5], d[true] = "x", "y", "z", "t"
  for k, v in pairs(d) do kv.set(tostring(k), v) end
  d.k3, d.k5 = nil, nil
  d.k3 = "again"
  for k, v in pairs(d) do kv.set("2" .. tostring(k), v) end
  for k, v in pairs(lib.order) do kv.set(tostring(k), v) end
  for i, v in ipairs(lib.order) do kv.set("i" .. i, v) end
  for k in pairs(config) do kv.set(k, config[k]) end
  for k, v in pairs(e.raw.event) do kv.set(k, tostring(v)) end
  local k = next(d)
  kv.set("next", k)
  for _, lib in ipairs({string, table, math, coroutine, kv, on, json}) do for k in pairs(lib) do kv.get("lib " .. k) end end
  post("C1", json.encode({b = 1, a = 2, c = {z = 1, y = 2}}), {blocks = {{b = 1, a = 2}}})
end
local function clock(e)
  for i = 1, 4 do
    local r = kv.get("x" .. i)
    kv.set("t" .. i, {now(), random.int(1, 1000000), random.float(), random.choice({"a", "b"}), random.uuid(), r})
  end
  kv.set("math", {math.random(), math.random(10), math.random(3, 9)})
end
local function texts(e)
  post("C1", tostring({}) .. tostring(texts) .. tostring(print) .. tostring(coroutine.create(function() end)) .. tostring(e) .. tostring(lib))
  post("C1", string.format("%s %q %5.2f", tostring({}), "é", 1 / 3))
  post("C1", tostring(select(2, pcall(function() return nil + 1 end))) .. tostring(select(2, pcall(error, {}))) .. tostring(select(2, pcall(function() local t = nil return t.x end))))
  local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i .. kv.get("co" .. i).x) end end)
  pcall(function() post("C1", co() .. co()) end)
  local t = {5, 3, 9, 1, 3}
  table.sort(t, function(a, b) return a > b end)
  post("C1", table.concat(t, ",") .. lib.twice(function(x) return x + 1 end, 1) .. hash.sha256("a") .. collect())
end
function collect() return ("a b c"):gsub("%w", {a = "1", b = "2"}) .. #("é") end
local function branches(e)
  for i = 0, 29 do
    local r = http_get("https://x.example/" .. i)
    if not r.ok then
      kv.incr("bad", {by = i})
    elseif r.json and r.json.n % 2 == 1 then
      post("C1", "odd " .. r.json.n .. r.text)
    else
      slack_action("reactions.add", {name = "x" .. i})
    end
  end
  local pending = {}
  for i = 1, 5 do pending[i] = kv.get("p" .. i) end
  for i, p in ipairs(pending) do kv.set("q" .. i, p) end
  local ok = user("U1").ok
  error({code = "at last"})
end
for _, fn in ipairs({tables, clock, texts, branches}) do on.message("go", fn) end
`,
}

// passage is one handler on one event, from its start to its end.
type passage struct {
	Rule    string
	Effects []string // kind, hash and position of each
	Logs    []string
	End     string // status, and value or error

	results []runtime.StepResult
}

// play runs a handler from a journal to its end. Of the effects that a pass
// asks for, one is done before the next pass if slow, else all are.
func play(t *testing.T, pool runtime.Pool, call runtime.Call, journal []runtime.StepResult, slow bool) passage {
	t.Helper()
	var p passage
	call.Results = append([]runtime.StepResult(nil), journal...)
	for range 400 {
		reply, err := pool.Run(t.Context(), &call)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range reply.Logs {
			p.Logs = append(p.Logs, l.Text)
		}
		call.SkipLogs += len(reply.Logs)
		again := reply.Status == runtime.Suspended
		for _, e := range reply.Effects {
			e.Step = len(call.Results) + 1
			p.Effects = append(p.Effects, fmt.Sprintf("%s %016x %s", e.Kind, e.Hash(), e.Pos))
			r := answerTo(e)
			call.Results = append(call.Results, r)
			if slow || r.Err != "" { // an error is raised where it was asked for
				again = true
				break
			}
		}
		if again {
			continue
		}
		p.End = fmt.Sprint(reply.Status, " ", reply.FromEffect)
		if reply.Err != nil {
			p.End += " " + reply.Err.Detail()
		} else if text, err := runtime.AppendJSON(nil, reply.Return); err == nil && !reply.FromEffect {
			p.End += " " + string(text)
		}
		p.results = call.Results
		return p
	}
	t.Fatal("the run does not end")
	return p
}

// answerTo makes a result that depends on what was asked for alone.
func answerTo(e runtime.Effect) runtime.StepResult {
	hash := e.Hash()
	r := runtime.StepResult{Hash: hash, Kind: e.Kind}
	n := int64(hash % 1000)
	switch {
	case hash%61 == 0:
		r.Err = "refused"
	case e.Kind == "kv.get":
		r.Value = []runtime.Value{nil, n, "text", runtime.NewDict("x", "y"), runtime.List{n}}[hash%5]
	case e.Kind == "kv.incr":
		r.Value = n
	case strings.HasPrefix(e.Kind, "kv."), e.Kind == "once":
		r.Value = n%2 == 0
	case strings.HasPrefix(e.Kind, "http_") && hash%3 == 0:
		r.Value = runtime.NewDict("ok", false, "status", int64(500), "text", "no", "json", nil, "headers", &runtime.Dict{}, "error", "http_500")
	case strings.HasPrefix(e.Kind, "http_"):
		r.Value = runtime.NewDict("ok", true, "status", int64(200), "text", "yes", "json", runtime.NewDict("n", n), "headers", runtime.NewDict("b", "1", "a", "2"), "error", nil)
	default:
		r.Value = runtime.JSON(fmt.Sprintf(`{"ok":true,"ts":"1700000000.%06d","channel":"C1","id":"U1","name":"ada","error":null}`, n))
	}
	return r
}

// corpus loads rules, and gives the call of each handler with an event for it.
func corpus(t *testing.T, dirs ...string) (runtime.Pool, []runtime.Call, []string) {
	t.Helper()
	pool := runtime.NewLocal(languages(t), runtime.LocalOptions{Parallel: 2, Load: runtime.Limits{Deadline: time.Minute}})
	t.Cleanup(func() { _ = pool.Close(context.Background()) })
	config := map[string]runtime.Value{}
	for _, ext := range []string{".star", ".lua"} {
		config["restless"+ext] = runtime.NewDict("zeta", int64(1), "alpha", "2", "list", runtime.List{"x"}, "mid", runtime.NewDict("b", 1.5, "a", nil))
	}
	var calls []runtime.Call
	var names []string
	for _, dir := range dirs {
		loader := rules.NewLoader(rules.LoaderOptions{Dirs: []string{dir}, Pool: pool, Languages: endings, Config: config})
		set, report, err := loader.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range report.Files {
			if len(f.Errors) > 0 {
				t.Fatal(f.Errors.Detail())
			}
		}
		for _, r := range set.Rules() {
			calls = append(calls, callOf(r))
			names = append(names, filepath.Base(dir)+"/"+r.ID)
		}
	}
	return pool, calls, names
}

// callOf is a first pass of a rule on an event of its kind.
func callOf(r *rules.Rule) runtime.Call {
	e := message("Ev1", "go deploy api to prod", func(e *event.Event) {
		e.Kind, e.Received = r.Kind, time.Unix(1_700_000_000, 123_000_000)
		e.Command, e.CallbackID, e.Reaction, e.ResponseURL, e.TriggerID = "/x", "x", "eyes", "https://hooks.slack.com/x", "t1"
		e.Raw = []byte(`{"type":"event_callback","event":{"type":"message","zeta":1,"alpha":[1,2],"text":"go","nested":{"b":1,"a":2}},"view":{"state":{"values":{"b":{"a":{"type":"plain_text_input","value":"v"}}}}}}`)
		if r.Kind == event.Webhook {
			e.Request, e.Encoding = &event.Request{Method: "POST", Path: "/x"}, event.HTTP
		}
	})
	body := e.Encode(nil)
	match := &event.Match{}
	return runtime.Call{
		Script: r.Digest, Func: r.Func, When: -1, RunID: "run1", Now: e.Received, Seed: 42, Limits: runtime.Limits{Deadline: time.Minute, Effects: 300, Steps: 1 << 30},
		Input: event.AppendInput(nil, body, match),
	}
}

func corpusDirs(t *testing.T) []string {
	t.Helper()
	own := t.TempDir()
	for name, text := range restless {
		file := filepath.Join(own, "restless", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dirs, err := filepath.Glob("../../examples/*")
	if err != nil || len(dirs) < 3 {
		t.Fatalf("examples: %v %v", dirs, err)
	}
	return append(dirs, filepath.Join(own, "restless"))
}

// playAll plays every handler of the corpus once.
func playAll(t *testing.T, dirs []string) []passage {
	t.Helper()
	pool, calls, names := corpus(t, dirs...)
	out := make([]passage, len(calls))
	for i, call := range calls {
		out[i] = play(t, pool, call, nil, false)
		out[i].Rule = names[i]
	}
	return out
}

func TestAReplayFromEveryPrefixOfTheJournalDoesTheSame(t *testing.T) {
	t.Parallel()
	dirs := corpusDirs(t)
	first := playAll(t, dirs)
	pool, calls, _ := corpus(t, dirs...) // compiled anew, as after a restart
	effects, ends := 0, map[string]int{}
	for i, want := range first {
		effects += len(want.Effects)
		ends[want.End[:strings.IndexByte(want.End, ' ')]]++
		if strings.Contains(want.Rule, "restless/") && len(want.Effects) < 3 {
			t.Errorf("%s: only %d effects, %s", want.Rule, len(want.Effects), want.End)
		}
		for n := range len(want.results) + 1 {
			got := play(t, pool, calls[i], want.results[:n], n%2 == 0)
			got.Rule = want.Rule
			got.Effects = append(append([]string(nil), want.Effects[:n]...), got.Effects...)
			if d := cmp.Diff(shown(want), shown(got), passages); d != "" {
				t.Fatalf("%s from step %d (-first +replay):\n%s", want.Rule, n, d)
			}
		}
	}
	t.Logf("%d handlers, %d effects, %v", len(first), effects, ends)
	if len(first) < 15 || effects < 200 {
		t.Errorf("%d handlers with %d effects prove little", len(first), effects)
	}
}

var passages = cmp.AllowUnexported(passage{})

func shown(p passage) passage { p.results = nil; return p }

// TestEveryProcessDoesTheSame plays the corpus in fresh processes, which have
// their own addresses, seeds of hashes and orders of maps.
func TestEveryProcessDoesTheSame(t *testing.T) {
	const variable = "STARLING_TEST_PASSAGES"
	if file := os.Getenv(variable); file != "" {
		text, err := json.Marshal(playAll(t, strings.Split(os.Getenv(variable+"_DIRS"), "\n")))
		if err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Parallel()
	dirs := corpusDirs(t)
	var first []passage
	for n := range 4 {
		file := filepath.Join(t.TempDir(), fmt.Sprint(n))
		cmd := exec.Command(os.Args[0], "-test.run=^TestEveryProcessDoesTheSame$")
		cmd.Env = append(os.Environ(), variable+"="+file, variable+"_DIRS="+strings.Join(dirs, "\n"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got []passage
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if d := cmp.Diff(first, got, passages); d != "" {
			t.Fatalf("another process (-first +other):\n%s", d)
		}
	}
}
