package explain_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/payload"
	"github.com/starling-rules/starling/engine/scripttest"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/stdlib"
)

// TestTestsRunAsTheyAreWritten: what happened, saved as a test, passes under
// the test runner, for each kind of event and in both languages.
func TestTestsRunAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	rules := map[string]string{
		"star": `
def greet(e):
    post("#deploys", "said \"%s\"" % e.text)
    react("wave")
    return "hello"
on.message("^hello", greet)
on.mention("(?i)help", lambda e: "ask away")
on.command("/deploy", lambda e: "deploying " + e.args.app, args = "<app>")
on.command("/fetch", lambda e: http_get("https://ci.example/state").text)
on.action("ok", lambda e: respond("chose " + e.value))
on.action("pick", lambda e: respond("picked " + e.value))
on.view("form", lambda e: ui.errors({"what": "say more"}))
on.shortcut("new", lambda e: open_modal(ui.modal("New", [ui.section("x")], callback_id = "new_form")))
on.reaction("eyes", lambda e: reply("I see"))
on.home(lambda e: publish_home(ui.home([ui.header("Hi")])))
on.event("team_join", lambda e: slack_action("pins.add", channel = "C1", timestamp = "1.1"))
on.webhook("POST /hooks/x", lambda e: "got " + e.json["a"], open = True)
on.message("fails", lambda e: e.nothing)
`,
		"lua": `
on.message("^hello", function(e)
  post("#deploys", 'said "' .. e.text .. '"')
  react("wave")
  return "hello"
end)
on.mention("(?i)help", function(e) return "ask away" end)
on.command("/deploy", function(e) return "deploying " .. e.args.app end, {args = "<app>"})
on.command("/fetch", function(e) return http_get("https://ci.example/state").text end)
on.action("ok", function(e) return respond("chose " .. e.value) end)
on.action("pick", function(e) return respond("picked " .. e.value) end)
on.view("form", function(e) return ui.errors({what = "say more"}) end)
on.shortcut("new", function(e) return open_modal(ui.modal("New", {ui.section("x")}, {callback_id = "new_form"})) end)
on.reaction("eyes", function(e) return reply("I see") end)
on.home(function(e) return publish_home(ui.home({ui.header("Hi")})) end)
on.event("team_join", function(e) return slack_action("pins.add", {channel = "C1", timestamp = "1.1"}) end)
on.webhook("POST /hooks/x", function(e) return "got " .. e.json.a end, {open = true})
on.message("fails", function(e) return e.nothing end)
`,
	}
	act := func(kind string, a payload.Act) *event.Event { return act(t, kind, a) }
	events := map[string]struct {
		e    *event.Event
		want string
	}{
		"message":  {act("message", payload.Act{Text: "hello \"you\"", Channel: "C1"}), `replied("hello")`},
		"ignored":  {act("message", payload.Act{Text: "nothing \\ here"}), "ignored()"},
		"failed":   {act("message", payload.Act{Text: "it fails"}), "failed()"},
		"direct":   {act("message", payload.Act{Text: "help", Channel: "D1"}), `replied("ask away")`},
		"mention":  {act("mention", payload.Act{Text: "help me"}), `replied("ask away")`},
		"command":  {act("command", payload.Act{Command: "/deploy", Text: "api"}), `answered("deploying api")`},
		"http":     {act("command", payload.Act{Command: "/fetch"}), "t.http.stub(\"GET\", \"https://ci.example/state\""},
		"button":   {act("action", payload.Act{ActionID: "ok", Value: "v"}), `replied("chose v")`},
		"menu":     {act("action", payload.Act{ActionID: "pick", Element: "static_select", Value: "b"}), `t.event("`},
		"view":     {act("view", payload.Act{CallbackID: "form", Values: payload.Object{"what": "x"}}), "answered("},
		"shortcut": {act("shortcut", payload.Act{CallbackID: "new"}), `opened("new_form")`},
		"reaction": {act("reaction", payload.Act{Emoji: "eyes"}), `replied("I see")`},
		"home":     {act("home", payload.Act{}), `called("views.publish")`},
		"event":    {act("event", payload.Act{Type: "team_join"}), `called("pins.add")`},
		"webhook":  {stored(t, `{"kind": "webhook", "request": {"method": "POST", "path": "/hooks/x"}, "raw": "{\"a\": \"b\"}"}`), `answered(`},
	}
	for lang, text := range rules {
		o := open(t, map[string]string{"all." + lang: text})
		if rep := o.Report(); rep.Errors > 0 {
			t.Fatalf("%v", rep.Files[0].Errors.Detail())
		}
		for name, c := range events {
			t.Run(lang+" "+name, func(t *testing.T) {
				t.Parallel()
				rep := explained(t, o, c.e)
				files := explain.Test(happened(c.e, rep, "all."+lang))
				if !strings.Contains(files[0].Text, c.want) {
					t.Errorf("no %s in\n%s", c.want, files[0].Text)
				}
				dir := t.TempDir()
				write(t, dir, "all."+lang, text)
				for _, f := range files {
					write(t, dir, f.File, f.Text)
				}
				runs(t, dir, files[0].Text)
			})
		}
	}
}

func happened(e *event.Event, rep *explain.Report, script string) explain.Happened {
	h := explain.Happened{Event: e, Scripts: []string{script}}
	if rep.Answer != nil {
		h.Answer = rep.Answer.Body
	}
	for _, r := range rep.Rules {
		for _, run := range r.Runs {
			ran := explain.Ran{Rule: r.ID, Outcome: run.Outcome}
			for _, d := range run.Effects {
				did := explain.Did{Kind: d.Kind, Args: d.Args, Result: json.RawMessage(`{"ok": true}`)}
				if d.Kind == "http_get" {
					did.Result = json.RawMessage(`{"ok": true, "status": 200, "text": "", "json": null}`)
				}
				ran.Effects = append(ran.Effects, did)
			}
			h.Runs = append(h.Runs, ran)
		}
	}
	return h
}

func runs(t *testing.T, dir, text string) {
	t.Helper()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	res, err := scripttest.Run(t.Context(), scripttest.Options{Paths: []string{dir}, Library: lib, Languages: func(h runtime.Host) ([]runtime.Language, error) {
		s, err := star.New(h)
		if err != nil {
			return nil, err
		}
		l, err := lua.New(h)
		return []runtime.Language{s, l}, err
	}})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, x := range res.Tests {
		for _, f := range x.Failures {
			t.Errorf("%s:\n%s\n%s", filepath.Base(x.Name), f.Text(), text)
		}
	}
	if res.Passed != 1 {
		t.Errorf("%d tests passed\n%s", res.Passed, text)
	}
}
