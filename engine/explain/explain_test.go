package explain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/payload"
	"github.com/starling-rules/starling/runtime"
)

// verdicts writes a report down, a line for each rule.
func verdicts(rep *explain.Report) string {
	var b strings.Builder
	for _, r := range rep.Rules {
		fmt.Fprintf(&b, "%s %v", r.ID, r.Matched)
		if r.Why != "" {
			b.WriteString(": " + r.Why)
		}
		for _, run := range r.Runs {
			b.WriteString(" -> " + run.Outcome)
			for _, e := range run.Effects {
				b.WriteString(" " + e.Kind + string(e.Args) + e.Error)
			}
			for _, l := range run.Logs {
				b.WriteString(" [" + l + "]")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestReportSaysWhatEachRuleWouldDo: in order, with the condition that failed,
// or the effects, the log and the failure of the run.
func TestReportSaysWhatEachRuleWouldDo(t *testing.T) {
	t.Parallel()
	o := open(t, map[string]string{"a.star": `
def first(e):
    log.warn("seen", text = e.text)
    n = kv.incr("n", by = 3)
    r = http_get("https://ci.example/x")
    post("#ops", "%d %d %s" % (n, r.status, r.ok))
    return "done"

on.message("go", first, name = "first", priority = 2)
on.message("go", lambda e: "never", name = "asks", when = lambda e: e.text == "other", priority = 1)
on.message("stop", lambda e: "no", name = "stopper", stop = True)
on.message("go", lambda e: e.user.nothing, name = "bad", hosts = "a.example")
on.message("go", lambda e: http_get("https://b.example/").text, name = "refused", hosts = "a.example")
on.message("nothing", lambda e: None, name = "other")
on.message("go", lambda e: None, name = "off", enabled = False)
on.error(lambda e: post("#trouble", "failed"), name = "trouble")
`})
	rep := explained(t, o, act(t, "message", payload.Act{Text: "go", Channel: "C1"}))
	got := verdicts(rep)
	for _, want := range []string{
		"a.star:first true -> done kv.incr{\"key\":\"n\",\"by\":3} http_get{\"url\":\"https://ci.example/x\"} post{\"channel\":\"#ops\",\"text\":\"3 200 True\"} post{\"channel\":\"C1\",\"text\":\"done\"} [WARN seen text=\"go\"]\n",
		"a.star:asks false: its predicate (when) says no\n",
		"a.star:stopper false: the regex \"stop\" is not found in \"go\"\n",
		"a.star:bad true -> failed\n",
		"a.star:refused true -> failed",
		"a.star:other false: the regex",
		"a.star:off false: the rule is not enabled\n",
		"a.star:trouble true: told of the failure -> done post{\"channel\":\"#trouble\",\"text\":\"failed\"}",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if rep.Matched != 3 || rep.Answer != nil || rep.Skeletons != nil {
		t.Errorf("matched %d, answer %v, skeletons %v", rep.Matched, rep.Answer, rep.Skeletons)
	}
	for _, r := range rep.Rules {
		if r.ID == "a.star:bad" && !strings.Contains(r.Runs[0].Error, "^") {
			t.Errorf("the failure shows no place: %q", r.Runs[0].Error)
		}
		if r.ID == "a.star:refused" && !strings.Contains(r.Runs[0].Error, "is not among the rule's hosts") {
			t.Errorf("the refusal is not shown: %q", r.Runs[0].Error)
		}
	}
	if rep = explained(t, o, act(t, "message", payload.Act{Text: "stop and go"})); !strings.Contains(verdicts(rep), "a.star:bad false: stopped by on.message(\"stop\")") {
		t.Errorf("%s", verdicts(rep))
	}
}

// TestAnswersAreShown: of events whose sender waits.
func TestAnswersAreShown(t *testing.T) {
	t.Parallel()
	o := open(t, map[string]string{"a.lua": `
on.command("/hi", function(e) return "hi " .. e.args.name end, {args = "<name>"})
on.view("form", function(e) return ui.errors({what = "why?"}) end)
on.options("city", function(e) return {ui.option("Oslo")} end)
on.webhook("POST /x", function(e) return http_reply(201, {body = "made", headers = {["x-a"] = "b"}}) end, {open = true})
on.webhook("POST /bad", function(e) return e.json.a.b end, {open = true})
`})
	for _, c := range []struct {
		e    *event.Event
		want string
	}{
		{act(t, "command", payload.Act{Command: "/hi", Text: "you"}), `200 application/json; charset=utf-8 {"text":"hi you"} map[]`},
		{act(t, "command", payload.Act{Command: "/hi"}), "Usage: /hi &lt;name&gt;"},
		{act(t, "command", payload.Act{Command: "/other"}), "No rule answers /other."},
		{act(t, "view", payload.Act{CallbackID: "form"}), `"response_action":"errors"`},
		{act(t, "options", payload.Act{ActionID: "city"}), `"value":"Oslo"`},
		{stored(t, `{"kind": "webhook", "request": {"method": "POST", "path": "/x"}}`), "201 text/plain; charset=utf-8 made map[x-a:b]"},
		{stored(t, `{"kind": "webhook", "request": {"method": "POST", "path": "/bad"}, "raw": "{}"}`), "500 text/plain"},
		{stored(t, `{"kind": "webhook", "request": {"method": "GET", "path": "/x"}}`), "200"},
	} {
		rep := explained(t, o, c.e)
		if rep.Answer == nil {
			t.Errorf("%s: no answer", c.want)
			continue
		}
		a := rep.Answer
		if got := fmt.Sprintf("%d %s %s %v", a.Status, a.ContentType, a.Body, a.Headers); !strings.Contains(got, c.want) {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// TestStoredEventIsSeenAtItsTime: time and randomness are those of then.
func TestStoredEventIsSeenAtItsTime(t *testing.T) {
	t.Parallel()
	o := open(t, map[string]string{"a.star": "on.message(\"x\", lambda e: \"%s %s\" % (time.format(time.now(), \"2006\"), random.int(1, 1000000)))\n"})
	e := act(t, "message", payload.Act{Text: "x"})
	e.Received = time.Date(2019, 5, 6, 7, 8, 9, 0, time.UTC)
	first, second := verdicts(explained(t, o, e)), verdicts(explained(t, o, e))
	if first != second || !strings.Contains(first, "done post") {
		t.Errorf("%s\n%s", first, second)
	}
}

// TestExplainingEnds: a rule that runs away is stopped by its limits, and the
// caller's end ends the explanation.
func TestExplainingEnds(t *testing.T) {
	t.Parallel()
	o := open(t, map[string]string{"a.star": "def spin(e):\n    for i in range(1000000000):\n        pass\non.message(\"x\", spin)\n"})
	e := act(t, "message", payload.Act{Text: "x"})
	if got := verdicts(explained(t, o, e)); !strings.Contains(got, "failed") {
		t.Errorf("%s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.Explain(ctx, e); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := o.Explain(t.Context(), act(t, "message", payload.Act{Text: "y"})); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestReadTakesWhatSlackSends(t *testing.T) {
	t.Parallel()
	read := func(text string) (string, string) {
		e, notes, err := explain.Read("in.json", []byte(text), event.Meta{})
		if err != nil {
			if p, ok := errors.AsType[*runtime.Error](err); ok {
				return p.Detail(), ""
			}
			return err.Error(), ""
		}
		return string(e.Kind) + " " + e.Type, strings.Join(notes, "; ")
	}
	for _, c := range []struct{ in, want, note string }{
		{"\ufeff {\"type\":\"event_callback\",\"event\":{\"type\":\"app_mention\",\"text\":\"x\"}}\n", "mention app_mention", ""},
		{`{"type":"team_join","user":{"id":"U1"}}`, "event team_join", "alone"},
		{`{"type":"block_actions","trigger_id":"1","actions":[{"action_id":"a","type":"button"}]}`, "action block_actions", ""},
		{`payload=%7B%22type%22%3A%22shortcut%22%2C%22callback_id%22%3A%22c%22%7D`, "shortcut shortcut", ""},
		{`payload=%7B%22type%22%3A%22shortcut%22%7D&payload=x`, "shortcut shortcut", "more than once"},
		{"command=/x&text=y\n", "command slash_commands", ""},
		{`{"command":"/x","text":"y"}`, "command slash_commands", ""},
		{`{"a":1}`, "event ", "no type"},
		{`{"kind":"schedule","rule":"a.star:x"}`, "schedule schedule", ""},
		{`{"kind":"message"}`, "raw is missing", ""},
		{`{"kind":"webhook"}`, "request is missing", ""},
		{`{"kind":"message","what":1}`, `unknown field "what"`, ""},
		{"{\n  \"a\": tru\n}", "in.json:2:11: not JSON", ""},
		{`{"a": "b"`, "in.json:1:10: not JSON: unexpected end", ""},
		{`{"type":"event_callback","event":3}`, "event is missing or not an object", ""},
		{`{"type":"url_verification","challenge":"c"}`, "url_verification", ""},
		{`ssl_check=1&token=x`, "certificate", ""},
		{"  \n", "the payload is empty", ""},
		{"hello", "neither JSON nor a form", ""},
		{"[]", "a list is no payload", ""},
	} {
		got, note := read(c.in)
		if !strings.Contains(got, c.want) || !strings.Contains(note, c.note) || (c.note == "" && note != "") {
			t.Errorf("%s: %q, notes %q; want %q, %q", c.in, got, note, c.want, c.note)
		}
	}
}

// TestStoredGivesTheEventBack: every event survives being written down.
func TestStoredGivesTheEventBack(t *testing.T) {
	t.Parallel()
	events := []*event.Event{
		stored(t, `{"kind": "webhook", "request": {"method": "PUT", "path": "/x", "query": "a=b", "headers": {"x-a": "b"}}, "raw": "body"}`),
		stored(t, `{"kind": "schedule", "rule": "a.star:x", "scheduled_at": "2026-01-02T03:04:05Z"}`),
	}
	for _, kind := range payload.Kinds() {
		events = append(events, act(t, kind, payload.Act{Text: "hi", CallbackID: "c", ActionID: "a"}))
	}
	for _, e := range events {
		e.Received, e.Via = time.Unix(1_700_000_000, 0).UTC(), ""
		text := asJSON(t, explain.Store(e))
		back, _, err := explain.Read("stored", text, event.Meta{})
		if err != nil {
			t.Errorf("%s: %v\n%s", e.Kind, err, text)
			continue
		}
		back.Via, e.Via = "", ""
		if e.Request != nil {
			e.Request.Remote, back.Request.Remote = "", ""
		}
		if got, want := string(back.Encode(nil)), string(e.Encode(nil)); got != want {
			t.Errorf("%s:\n got %q\nwant %q", e.Kind, got, want)
		}
	}
}

func TestRingKeepsTheLatest(t *testing.T) {
	t.Parallel()
	r := explain.NewRing(3, 100)
	add := func(id string, size int) { r.Add(&event.Event{ID: id, Raw: make([]byte, size)}) }
	list := func() string {
		var ids []string
		for _, e := range r.Latest(10) {
			ids = append(ids, e.ID)
		}
		return strings.Join(ids, " ")
	}
	if list() != "" || r.Get("a") != nil {
		t.Error("a new ring holds something")
	}
	for i, c := range []struct {
		id   string
		size int
		want string
	}{{"a", 10, "a"}, {"b", 10, "b a"}, {"c", 10, "c b a"}, {"d", 10, "d c b"}, {"e", 85, "e d"}, {"huge", 101, "e d"}, {"f", 100, "f"}, {"g", 0, "g f"}} {
		if add(c.id, c.size); list() != c.want {
			t.Errorf("%d: %q, want %q", i, list(), c.want)
		}
	}
	if e := r.Get("g"); e == nil || e.ID != "g" || len(r.Latest(1)) != 1 {
		t.Error("the latest is not found")
	}
}

// FuzzRead: no text makes reading, writing down or writing a rule panic, and
// what was written down is read again.
func FuzzRead(f *testing.F) {
	for _, kind := range payload.Kinds() {
		p, _ := payload.Act{Text: "hi", CallbackID: "c", ActionID: "a[b"}.Build(kind)
		f.Add(p.Body)
	}
	f.Add([]byte(`{"kind": "webhook", "request": {"method": "GET", "path": "/a//b/%20/{x}"}, "raw": "a=b"}`))
	f.Add([]byte(`{"kind": "schedule", "rule": "a.star:x"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, _, err := explain.Read("in", in, event.Meta{})
		if err != nil {
			return
		}
		for lang, s := range explain.Skeletons(e) {
			if s.Text == "" || s.File == "" {
				t.Errorf("%s: an empty rule", lang)
			}
		}
		explain.Test(explain.Happened{Event: e})
		explain.Headline(e)
		explain.Names(e)
		if !strings.Contains(string(in), `"kind"`) {
			if _, _, err := explain.Read("again", asJSON(t, explain.Store(e)), event.Meta{}); err != nil {
				t.Errorf("%q was stored, and not read: %v", in, err)
			}
		}
	})
}
