package omnibot_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/omnibot"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/scripts"
	"github.com/starling-rules/starling/stdlib"
)

const head = `teams: {acme: T1, other: T2}
bots: {acme: {helper: A1, second: A2}, other: {helper: A1}}
`

// load loads the handlers of a configuration, with files of the rules directory.
func load(t *testing.T, text string, files map[string]string) (*rules.Loader, *rules.Set, runtime.Errors) {
	t.Helper()
	return loadIn(t, t.TempDir(), text, files)
}

func loadIn(t *testing.T, dir, text string, files map[string]string) (*rules.Loader, *rules.Set, runtime.Errors) {
	t.Helper()
	write(t, filepath.Join(dir, "omnibot.yaml"), head+text)
	for name, content := range files {
		write(t, filepath.Join(dir, "rules", name), content)
	}
	_ = os.MkdirAll(filepath.Join(dir, "rules"), 0o755)
	read := func() (*config.Config, error) {
		return config.Load(config.Sources{File: filepath.Join(dir, "omnibot.yaml")})
	}
	c, err := read()
	if err != nil {
		t.Fatal(err)
	}
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	s, err := star.New(runtime.Host{Library: lib, Input: event.Host})
	if err != nil {
		t.Fatal(err)
	}
	luaLanguage, err := lua.New(runtime.Host{Library: lib, Input: event.Host})
	if err != nil {
		t.Fatal(err)
	}
	pool := runtime.NewLocal([]runtime.Language{s, luaLanguage}, runtime.LocalOptions{})
	t.Cleanup(func() { _ = pool.Close(context.Background()) })
	src := omnibot.NewSource(c, scripts.FS, read, nil)
	l := rules.NewLoader(rules.LoaderOptions{
		Dirs: []string{filepath.Join(dir, "rules")}, Pool: pool, Languages: map[string]string{".star": "starlark", ".lua": "lua"}, Library: scripts.FS,
		Virtual: src.Scripts, Files: src.Files(), Made: src.Made, Names: known{}, Poll: 20 * time.Millisecond,
	})
	set, rep, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var errs runtime.Errors
	for _, f := range rep.Files {
		errs = append(errs, f.Errors...)
	}
	return l, set, errs
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

type known struct{}

func (known) ChannelName(_, id string) string { return map[string]string{"C1": "general"}[id] }

func (known) UserName(_, id string) (name, mail string) {
	return map[string]string{"U1": "ann"}[id], ""
}
func (known) TeamID(string) (string, bool) { return "", false }

const (
	test = "callbacks: [{module: \"omnibot.callbacks.message_callbacks:test_callback\"}], bots: {acme: [helper]}"
	both = "callbacks: [{module: \"omnibot.callbacks.message_callbacks:test_callback\"}], bots: {acme: [helper, second], other: [helper]}"
)

func message(text string) *event.Event {
	return &event.Event{ID: "1", Kind: event.Message, Type: "message", Team: "T1", App: "A1", BotUser: "UB", User: "U9", Channel: "C1", TS: "1.1", Text: text}
}

// names are the rules that an event runs, without the path of the script.
func names(set *rules.Set, e *event.Event) string {
	var out []string
	for _, m := range set.Match(e, nil) {
		out = append(out, strings.TrimPrefix(strings.TrimPrefix(m.Rule.ID, "omnibot.yaml"), ":"))
	}
	return strings.Join(out, ", ")
}

func TestMatchingIsOmnibots(t *testing.T) {
	t.Parallel()
	_, set, errs := load(t, `handlers:
  message_handlers:
    - {match: help, match_type: command, `+test+`}
    - {match: helper, match_type: command, `+test+`}
    - {match: any, match_type: command, match_mention: true, match_reply: true, `+test+`}
    - {match: "@ann|#general", match_type: regex, `+test+`}
    - {match: "x+", match_type: regex, `+test+`}
    - {match: "[a-z]", match_type: regex, regex_type: absence, `+test+`}
    - {match: "second$", match_type: command, bots: {acme: [second]}, callbacks: []}
`, nil)
	if len(errs) > 0 {
		t.Fatal(errs.Detail())
	}
	im, thread, mention, other := message("helper"), message("any"), message("<@UB> help"), message("<@UB> help")
	im.IM, im.Channel = true, "D1"
	thread.ThreadTS, thread.ThreadMsg, thread.Text = "1.0", true, "well, <@UB> any"
	mention.Kind, mention.Type = event.Mention, "app_mention"
	other.App = "A2"
	for _, tc := range []struct {
		name string
		e    *event.Event
		want string
	}{
		{"the first command in the order of the file, no word boundary", message("<@UB> helper"), "command help"},
		{"direct messages are directed", im, "command help"},
		{"a mention alone", mention, "command help"},
		{"in a thread only with match_reply, anywhere with match_mention", thread, "command any"},
		{"names in the place of ids, and all regexes, beside a command", message("<@UB> help <@U1> xx"), "command help, regex @ann|#general, regex x+"},
		{"regexes undirected", message("<#C1>"), "regex @ann|#general"},
		{"absence", message("<#C9> 123"), "regex [a-z]"},
		{"what nothing matches", message("<@UB> nothing"), "help"},
		{"not directed", message("nothing"), ""},
		{"handlers of another bot", other, "help"},
	} {
		if got := names(set, tc.e); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
	for _, v := range set.Explain(message("<@UB> helper")) {
		switch v.Rule.Name {
		case "command helper":
			if v.Matched || !strings.Contains(v.Why, `on.message("help") at `) || !strings.Contains(v.Why, "omnibot.yaml:5:7 has matched") {
				t.Errorf("got %+v", v.Why)
			}
		case "command any":
			if !strings.Contains(v.Why, `"helper" does not begin with "any"`) {
				t.Errorf("got %q", v.Why)
			}
		}
	}
}

func TestAppInSeveralTeams(t *testing.T) {
	t.Parallel()
	_, set, errs := load(t, "default_to_help: false\nhandlers: {message_handlers: [{match: go, match_type: command, "+test+"}, {match: all, match_type: command, "+both+"}]}\n", nil)
	if len(errs) > 0 {
		t.Fatal(errs.Detail())
	}
	for pair, want := range map[string]string{"T1/A1": "command go", "T2/A1": "", "T1/A2": "", "T2/A2": ""} {
		e := message("<@UB> go")
		e.Team, e.App, _ = strings.Cut(pair, "/")
		if got := names(set, e); got != want {
			t.Errorf("%s: got %q, want %q", pair, got, want)
		}
	}
	for pair, want := range map[string]string{"T1/A1": "command all", "T2/A1": "command all", "T1/A2": "command all", "T2/A2": ""} {
		e := message("<@UB> all")
		e.Team, e.App, _ = strings.Cut(pair, "/")
		if got := names(set, e); got != want {
			t.Errorf("%s: got %q, want %q", pair, got, want)
		}
	}
}

func TestSlashAndInteractive(t *testing.T) {
	t.Parallel()
	_, set, errs := load(t, `handlers:
  slash_command_handlers:
    - {command: /a, response_type: in_channel, `+both+`}
    - {command: /a, canned_response: later, bots: {acme: [second]}}
    - {command: /quiet, `+test+`}
    - {command: /nobody, callbacks: []}
  interactive_component_handlers:
    - {callback_id: "a.b", `+test+`}
`, nil)
	if len(errs) > 0 {
		t.Fatal(errs.Detail())
	}
	command := func(c string) *event.Event {
		return &event.Event{Kind: event.Command, Command: c, Team: "T1", App: "A1"}
	}
	block := &event.Event{Kind: event.Action, Type: "block_actions", Team: "T1", App: "A1", Actions: []event.ActionRef{{ActionID: "x", BlockID: "a.b"}}}
	dialog := &event.Event{Kind: event.Action, Type: "dialog_submission", CallbackID: "a.b", Team: "T1", App: "A1"}
	like := &event.Event{Kind: event.Action, Type: "dialog_submission", CallbackID: "axb", Team: "T1", App: "A1"}
	view := &event.Event{Kind: event.Submit, Type: "view_submission", CallbackID: "a.b", Team: "T1", App: "A1"}
	for name, tc := range map[string]struct {
		e    *event.Event
		want string
	}{
		"answer and callbacks": {command("/a"), "/a, /a answer"},
		"callbacks alone":      {command("/quiet"), "/quiet, /quiet answer"},
		"no bots":              {command("/nobody"), ""},
		"block":                {block, "a.b block, a.b block answer"},
		"dialog":               {dialog, "a.b, a.b answer"},
		"an id is no pattern":  {like, ""},
		"view":                 {view, "a.b view, a.b view answer"},
	} {
		if got := names(set, tc.e); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestErrorsPointIntoTheConfiguration(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ yaml, where, want string }{
		"regex":    {"handlers:\n  message_handlers:\n    - match: \"a(b\"\n      match_type: regex\n      " + strings.ReplaceAll(test, ", bots", "\n      bots"), ":5:7", "bad regex"},
		"module":   {"handlers:\n  message_handlers:\n    - match: a\n      match_type: regex\n      bots: {acme: [helper]}\n      callbacks:\n        - module: \"my.pkg:fn\"\n", ":9:19", "there is no my/pkg.star or my/pkg.lua"},
		"function": {"handlers:\n  message_handlers:\n    - match: a\n      match_type: regex\n      bots: {acme: [helper]}\n      callbacks:\n        - module: \"omnibot.callbacks.message_callbacks:tset_callback\"\n", ":9:19", "tset_callback"},
		"command":  {"handlers:\n  slash_command_handlers:\n    - command: noslash\n      bots: {acme: [helper]}\n      response_type: in_channel\n", ":5:7", "a command begins with a slash"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, errs := load(t, tc.yaml, nil)
			if len(errs) == 0 || !strings.Contains(errs[0].Pos.String(), "omnibot.yaml"+tc.where) || !strings.Contains(errs[0].Error(), tc.want) {
				t.Fatalf("got %v, want %s at %s", errs, tc.want, tc.where)
			}
			if errs[0].Line == "" || strings.Contains(errs[0].Line, "lambda") {
				t.Errorf("the line shown is %q", errs[0].Line)
			}
		})
	}
}

func TestCallbacksOfTheRulesDirectory(t *testing.T) {
	t.Parallel()
	_, set, errs := load(t, `handlers:
  message_handlers:
    - {match: own, match_type: command, bots: {acme: [helper]}, callbacks: [{module: "my.pkg.mod:fn", kwargs: {n: 1.0, on: true, list: [a, null]}}]}
    - {match: test, match_type: command, `+test+`}
`, map[string]string{
		"my/pkg/mod.star":                          "def fn(container, n = 0, on = False, list = []):\n    return {}\n",
		"omnibot/callbacks/message_callbacks.star": "def test_callback(container):\n    return {}\ndef help_callback(container):\n    return {}\n",
	})
	if len(errs) > 0 {
		t.Fatal(errs.Detail())
	}
	if got := names(set, message("<@UB> own")); got != "command own" {
		t.Errorf("got %q", got)
	}
	v := set.Rule("omnibot.yaml:command test")
	if v == nil {
		t.Fatalf("no such rule")
	}
}

func TestOverrideReplacesTheLibrary(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Sources{File: file(t, head+"handlers: {message_handlers: [{match: a, match_type: command, "+test+"}]}\n")})
	if err != nil {
		t.Fatal(err)
	}
	library := fstest.MapFS{"omnibot/callbacks/message_callbacks.star": {}}
	for has, want := range map[string]string{
		"": `load("@starling//omnibot/callbacks/message_callbacks.star"`,
		"omnibot/callbacks/message_callbacks.star": `load("omnibot/callbacks/message_callbacks.star"`,
	} {
		v := omnibot.Scripts(c, func(p string) bool { return p == has }, library)
		if len(v) != 1 || !strings.Contains(string(v[0].Text), want) {
			t.Errorf("with %q: %s", has, v[0].Text)
		}
	}
}

func TestCredentialsAreNoPartOfTheScript(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Sources{File: file(t, head+`handlers:
  slash_command_handlers:
    - command: /a
      bots: {acme: [helper]}
      callbacks:
        - module: "omnibot.callbacks.network_callbacks:http_callback"
          kwargs: {request_kwargs: {url: "https://x.example/", auth: [me, hush], headers: {Authorization: hush}}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	v := omnibot.Scripts(c, func(string) bool { return false }, scripts.FS)[0]
	if text := string(v.Text); strings.Contains(text, "hush") || strings.Count(text, "secret(") != 1 {
		t.Errorf("got %s", text)
	}
	src, basic := omnibot.NewSource(c, nil, nil, nil), 0
	for name := range c.Handlers.Secrets {
		if got, ok := src.Secret(name); !ok || !strings.Contains(string(v.Text), name) && got != "hush" {
			t.Errorf("%s: got %q %v", name, got, ok)
		} else if strings.HasPrefix(got, "Basic ") {
			basic++
		}
	}
	if _, ok := src.Secret("handlers.1"); ok || basic != 1 {
		t.Errorf("%d secrets of basic authentication", basic)
	}
}

func TestHotReloadOfTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, set, errs := loadIn(t, dir, "handlers: {message_handlers: [{match: old, match_type: command, "+test+"}]}\n", nil)
	if len(errs) > 0 || names(set, message("<@UB> old")) != "command old" {
		t.Fatalf("got %v", errs)
	}
	path := filepath.Join(dir, "omnibot.yaml")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Watch(ctx) }()
	defer func() { cancel(); <-done }()
	write(t, path, head+"handlers: {message_handlers: [{match: newer, match_type: command, "+test+"}]}\n")
	wait(t, func() bool { return names(l.Current(), message("<@UB> newer")) == "command newer" })
	write(t, path, head+"handlers: {message_handlers: [{match: newest, match_type: wrong, "+test+"}]}\n")
	wait(t, func() bool { return l.Report().Errors == 1 })
	if got := names(l.Current(), message("<@UB> newer")); got != "command newer" {
		t.Errorf("with an error in the file the rules in force are others: %q", got)
	}
}

func TestConfigurationThatIsBeingWrittenIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, set, errs := loadIn(t, dir, "handlers: {message_handlers: [{match: old, match_type: command, "+test+"}]}\n", nil)
	if len(errs) > 0 || names(set, message("<@UB> old")) != "command old" {
		t.Fatalf("got %v", errs)
	}
	f, err := os.Create(filepath.Join(dir, "omnibot.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	load := func(when, want string) {
		t.Helper()
		set, rep, err := l.Load(t.Context())
		if got := names(set, message("<@UB> "+strings.TrimPrefix(want, "command "))); err != nil || got != want || rep.Errors > 0 {
			t.Errorf("%s: %d errors, %v; the rules in force are %q", when, rep.Errors, err, got)
		}
	}
	load("emptied", "command old")
	if _, err := f.WriteString(head + "handlers: {message_ha"); err != nil {
		t.Fatal(err)
	}
	load("half written", "command old")
	if _, err := f.WriteString("ndlers: [{match: newer, match_type: command, " + test + "}]}\n"); err != nil {
		t.Fatal(err)
	}
	load("still open", "command old")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	load("closed", "command newer")
}

func wait(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "omnibot.yaml")
	write(t, p, text)
	return p
}

// FuzzScript holds that whatever texts a configuration has, the script that is
// made of it is one: no text ends where it should not.
func FuzzScript(f *testing.F) {
	lib, err := stdlib.Library()
	if err != nil {
		f.Fatal(err)
	}
	s, err := star.New(runtime.Host{Library: lib, Input: event.Host})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"plain", `a"b`, `\`, "a\nb", "{x}", "\u2028", "é\x00", "'''"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 500 {
			return
		}
		c := config.Default()
		c.Teams, c.Bots = map[string]string{"t": "T1"}, map[string]map[string]string{"t": {"b": "A1"}}
		c.Handlers.Message = []config.Handler{{
			Match: text, MatchType: "command", Description: text, Bots: map[string][]string{"t": {"b"}},
			Callbacks: []config.Callback{{Module: "omnibot.callbacks.message_callbacks", Function: "test_callback", Kwargs: runtime.NewDict("text", text, text, int64(1))}},
		}}
		v := omnibot.Scripts(c, func(string) bool { return false }, scripts.FS)[0]
		b := runtime.NewBundle("starlark", v.Path, map[string][]byte{v.Path: v.Text}, nil)
		if _, _, err := s.Load(t.Context(), b, runtime.DefaultLimits); err != nil {
			t.Errorf("%q: %v\n%s", text, err, v.Text)
		}
	})
}
