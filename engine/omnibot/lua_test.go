package omnibot_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/omnibot"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/scripts"
	"github.com/starling-rules/starling/stdlib"
)

// mod is a callback in Lua.
var mod = map[string]string{"my/pkg/mod.lua": "return {fn = function(container, kwargs) return {} end}\n"}

const (
	inLua = `callbacks: [{module: "my.pkg.mod:fn"}], bots: {acme: [helper]}`
	mixed = `callbacks: [{module: "my.pkg.mod:fn"}, {module: "omnibot.callbacks.message_callbacks:test_callback"}], bots: {acme: [helper]}`
)

func TestCallbacksInLua(t *testing.T) {
	t.Parallel()
	_, set, errs := load(t, `handlers:
  message_handlers:
    - {match: first, match_type: command, `+test+`}
    - {match: fi, match_type: command, `+inLua+`}
    - {match: f, match_type: command, `+test+`}
    - {match: both, match_type: command, `+mixed+`}
    - {match: b, match_type: command, `+inLua+`}
    - {match: "see x+", match_type: regex, description: "sees", `+mixed+`}
    - {match: "tada", match_type: reaction, `+inLua+`}
    - {match: "tada", match_type: reaction, regex_type: absence, `+mixed+`}
  slash_command_handlers:
    - {command: /a, response_type: in_channel, `+mixed+`}
    - {command: /b, canned_response: later, `+inLua+`}
  interactive_component_handlers:
    - {callback_id: form, response_type: in_channel, `+mixed+`}
    - {callback_id: now, bots: {acme: [helper]}, callbacks: [{module: "my.pkg.mod:fn", synchronous: true}]}
    - {callback_id: now, bots: {acme: [second]}, callbacks: [{module: "omnibot.callbacks.message_callbacks:test_callback", synchronous: true}]}
    - {callback_id: now, bots: {other: [helper]}, callbacks: [{module: "omnibot.callbacks.message_callbacks:test_callback"}]}
help_callback: {callback: {module: "my.pkg.mod:fn"}}
`, mod)
	if len(errs) > 0 {
		t.Fatal(errs.Detail())
	}
	command := func(c string) *event.Event {
		return &event.Event{Kind: event.Command, Command: c, Team: "T1", App: "A1"}
	}
	view := func(id, team, app string) *event.Event {
		return &event.Event{Kind: event.Submit, Type: "view_submission", CallbackID: id, Team: team, App: app}
	}
	for name, tc := range map[string]struct {
		e    *event.Event
		want string
	}{
		"the first command in the order of the file":          {message("<@UB> first"), "command first"},
		"whatever language it is in":                          {message("<@UB> fierce"), ".lua:command fi"},
		"a handler in both is a rule in each":                 {message("<@UB> both"), "command both, .lua:command both"},
		"and keeps out what comes after it":                   {message("<@UB> bother"), "command both, .lua:command both"},
		"regexes":                                             {message("see xx"), "regex see x+, .lua:regex see x+"},
		"help in Lua":                                         {message("<@UB> what"), ".lua:help"},
		"help keeps out of what a regex has met":              {message("<@UB> see x"), "regex see x+, .lua:regex see x+"},
		"the answer of a slash command is the first script's": {command("/a"), "/a, /a answer, .lua:/a"},
		"canned":                      {command("/b"), "/b answer, .lua:/b"},
		"interactive":                 {view("form", "T1", "A1"), "form view, form view answer, .lua:form view"},
		"synchronous in Lua":          {view("now", "T1", "A1"), ".lua:now view answer"},
		"in Starlark for another bot": {view("now", "T1", "A2"), "now view answer"},
		"and for a third one beside, not instead": {view("now", "T2", "A1"), "now view, now view answer #2"},
	} {
		if got := names(set, tc.e); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestErrorsOfCallbacksInLua(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		callback, where, want string
		files                 map[string]string
	}{
		"no such function":  {`{module: "my.pkg.mod:nf"}`, "omnibot.yaml:8:19", "my/pkg/mod.lua has no function nf", mod},
		"no function":       {`{module: "my.pkg.mod:fn"}`, "omnibot.yaml:8:19", "my/pkg/mod.lua has no function fn", map[string]string{"my/pkg/mod.lua": "return {fn = 1}"}},
		"null in a list":    {`{module: "my.pkg.mod:fn", kwargs: {a: [1, null]}}`, "omnibot.yaml:8:19", "null", mod},
		"error of its file": {`{module: "my.pkg.mod:fn"}`, "my/pkg/mod.lua:2:", "wrong", map[string]string{"my/pkg/mod.lua": "-- one\nreturn wrong"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, errs := load(t, "handlers:\n  message_handlers:\n    - match: a\n      match_type: regex\n      bots: {acme: [helper]}\n      callbacks: ["+tc.callback+"]\n", tc.files)
			if len(errs) == 0 || !strings.Contains(errs[0].Pos.String(), strings.Replace(tc.where, ":19", ":", 1)) || !strings.Contains(errs.Error(), tc.want) {
				t.Fatalf("got %v at %v, want %s at %s", errs, errs[0].Pos, tc.want, tc.where)
			}
		})
	}
}

// A configuration is taken up whole or not at all, whichever of its languages
// is wrong.
func TestHalvesChangeTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	handlers := func(first, second string) string {
		return "handlers: {message_handlers: [{match: " + first + ", match_type: regex, " + test + "}, {match: " + second + ", match_type: regex, " + inLua + "}]}\n"
	}
	l, set, errs := loadIn(t, dir, handlers("star1", "lua1"), mod)
	if len(errs) > 0 || names(set, message("star1 lua1")) != "regex star1, .lua:regex lua1" {
		t.Fatalf("got %v, %q", errs, names(set, message("star1 lua1")))
	}
	text := "star1 lua1 star2 lua2"
	for i, tc := range []struct {
		name, yaml, want string
		good             bool
	}{
		{"the first is wrong", handlers("\"star2(\"", "lua2"), "regex star1, .lua:regex lua1", false},
		{"the second is wrong", handlers("star2", "\"lua2(\""), "regex star1, .lua:regex lua1", false},
		{"neither", handlers("star2", "lua2"), "regex star2, .lua:regex lua2", true},
		{"the file is none", "handlers: [", "regex star2, .lua:regex lua2", false},
		{"the second goes, but the first is wrong", "handlers: {message_handlers: [{match: \"star1(\", match_type: regex, " + test + "}]}", "regex star2, .lua:regex lua2", false},
		{"the second goes", "handlers: {message_handlers: [{match: star1, match_type: regex, " + test + "}]}", "regex star1", true},
	} {
		write(t, filepath.Join(dir, "omnibot.yaml"), head+tc.yaml+strings.Repeat("\n", i))
		set, rep, err := l.Load(t.Context())
		if got := names(set, message(text)); err != nil || got != tc.want || rep.Errors > 0 == tc.good {
			t.Errorf("%s: got %q with %d errors (%v), want %q: %+v", tc.name, got, rep.Errors, err, tc.want, rep.Files)
		}
	}
}

// FuzzScriptInLua is FuzzScript for the second script.
func FuzzScriptInLua(f *testing.F) {
	lib, err := stdlib.Library()
	if err != nil {
		f.Fatal(err)
	}
	l, err := lua.New(runtime.Host{Library: lib, Input: event.Host})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"plain", `a"b`, `\`, "a\nb", "]]", "{x}", "\u2028", "é\x00", "--[["} {
		f.Add(text)
	}
	library := map[string][]byte{}
	for _, name := range []string{"container", "handlers", "results"} {
		b, err := scripts.FS.ReadFile("omnibot/" + name + ".lua")
		if err != nil {
			f.Fatal(err)
		}
		library["@starling//omnibot/"+name+".lua"] = b
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 500 {
			return
		}
		c := config.Default()
		c.Teams, c.Bots = map[string]string{"t": "T1"}, map[string]map[string]string{"t": {"b": "A1"}}
		c.Handlers.Message = []config.Handler{{
			Match: text, MatchType: "command", Description: text, Bots: map[string][]string{"t": {"b"}},
			Callbacks: []config.Callback{{Module: "a.b", Function: "f", Kwargs: runtime.NewDict("text", text, text, int64(1))}},
		}}
		v := omnibot.Scripts(c, func(p string) bool { return p == "a/b.lua" }, scripts.FS)[1]
		files := map[string][]byte{v.Path: v.Text, "a/b.lua": []byte("return {f = function() end}")}
		for p, b := range library {
			files[p] = b
		}
		b := runtime.NewBundle("lua", v.Path, files, nil)
		if _, _, err := l.Load(t.Context(), b, runtime.DefaultLimits); err != nil {
			t.Errorf("%q: %v\n%s", text, err, v.Text)
		}
	})
}
