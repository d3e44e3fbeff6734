package manifest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slack-go/slack"
	"go.yaml.in/yaml/v3"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/manifest"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/stdlib"
)

// build makes the manifest of one script in each language.
func build(t *testing.T, name, text string, o manifest.Options) *manifest.Result {
	t.Helper()
	set, uses := load(t, map[string]string{name: text})
	r, err := manifest.Build(set, uses, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func load(t *testing.T, files map[string]string) (*rules.Set, []manifest.Use) {
	t.Helper()
	dir := t.TempDir()
	var uses []manifest.Use
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	host := runtime.Host{Library: lib, Input: event.Host}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, l := range languages(t, host) {
			if l.Ext() == filepath.Ext(name) {
				uses = append(uses, manifest.Uses(l.(runtime.Analyzer).Analyze(name, []byte(text)))...)
			}
		}
	}
	cfg := config.Default()
	cfg.Rules, cfg.Data = []string{dir}, ""
	o, err := engine.OpenOffline(t.Context(), engine.Options{Config: cfg, Library: lib, Pool: func(h runtime.Host) (runtime.Pool, error) {
		return runtime.NewLocal(languages(t, h), runtime.LocalOptions{}), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close(t.Context()) })
	if rep := o.Report(); rep.Errors > 0 {
		t.Fatalf("%+v", rep.Files)
	}
	return o.Rules(), uses
}

func languages(t *testing.T, host runtime.Host) []runtime.Language {
	t.Helper()
	s, err := star.New(host)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lua.New(host)
	if err != nil {
		t.Fatal(err)
	}
	return []runtime.Language{s, l}
}

const everything = `
def h(e):
    post("#ops", "hi")
    dm(e.user, "hi")
    slack_action("pins.add", channel = "C1", timestamp = "1.1")
    slack_action("search.messages", query = "x", as_user = True)
    slack_action(e.text)
    return "hi"

on.message("hi", h)
on.mention("hi", h)
on.command("/deploy", h, args = "<app> [env=staging|prod]", help = "deploys an app")
on.command("/plain", h)
on.action("ok", h)
on.view("form", h)
on.view_closed("form", h)
on.shortcut("new_ticket", h, help = "makes a ticket")
on.shortcut(re.compile("old_.*"), h)
on.options("city", h)
on.reaction("eyes", h)
on.reaction("eyes", h, removed = True)
on.home(h)
on.event("team_join", h)
on.event("file_shared", h)
on.event("block_actions", h)
on.event("starling.socket", h)
on.event("tem_join", h)
on.event("*", h)
on.schedule("every 1h", h)
on.webhook("POST /x", h, open = True)
on.message("off", h, enabled = False, channels = "#nowhere")
`

// TestManifestIsSlacks: slack-go's types, which follow Slack's, take every
// field of it.
func TestManifestIsSlacks(t *testing.T) {
	t.Parallel()
	r := build(t, "all.star", everything, manifest.Options{URL: "https://bot.example.com/"})
	text, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var m slack.Manifest
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(m.Features.SlashCommands) != 2 || m.Features.SlashCommands[0].UsageHint != "<app> [env=staging|prod]" ||
		m.Features.SlashCommands[0].Url != "https://bot.example.com/slack/commands" || m.Features.SlashCommands[1].Description == "" {
		t.Errorf("commands %+v", m.Features.SlashCommands)
	}
	if s := m.Features.Shortcuts; len(s) != 1 || s[0].CallbackID != "new_ticket" || s[0].Name != "New ticket" || s[0].Type != slack.GlobalShortcut {
		t.Errorf("shortcuts %+v", s)
	}
	for what, c := range map[string]struct{ got, want string }{
		"events": {strings.Join(m.Settings.EventSubscriptions.BotEvents, " "), "app_home_opened app_mention file_shared message.channels message.groups message.im message.mpim reaction_added reaction_removed team_join"},
		"bot": {strings.Join(m.OAuthConfig.Scopes.Bot, " "), "app_mentions:read channels:history chat:write commands files:read groups:history " +
			"im:history im:write mpim:history pins:write reactions:read users:read"},
		"user":          {strings.Join(m.OAuthConfig.Scopes.User, " "), "search:read"},
		"optional":      {strings.Join(m.OAuthConfig.Scopes.BotOptional, " "), "metadata.message:read"},
		"interactivity": {m.Settings.Interactivity.RequestUrl + " " + m.Settings.Interactivity.MessageMenuOptionsUrl, "https://bot.example.com/slack/interactive https://bot.example.com/slack/options"},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", what, c.got, c.want)
		}
	}
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{"did you mean team_join?", "sees every event", "slack_action at all.star:7: which method", "is a pattern", "shortcuts are global"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note says %q:\n%s", want, notes)
		}
	}
	if again, _ := build(t, "all.star", everything, manifest.Options{URL: "https://bot.example.com/"}).YAML(); !bytes.Equal(again, text) {
		t.Errorf("the second time it is another:\n%s", again)
	}
}

func TestManifestWithSocketHasNoAddresses(t *testing.T) {
	t.Parallel()
	r := build(t, "all.star", everything, manifest.Options{Socket: true, MessageShortcuts: []string{"new_ticket"}})
	text, err := r.YAML()
	if err != nil || bytes.Contains(text, []byte("https://")) || !r.Manifest.Settings.SocketMode {
		t.Errorf("%v\n%s", err, text)
	}
	if r.Manifest.Features.Shortcuts[0].Type != "message" {
		t.Errorf("%+v", r.Manifest.Features.Shortcuts)
	}
	if _, err := manifest.Build(rules.NewSet(nil, nil), nil, manifest.Options{URL: "http://plain.example"}); err == nil {
		t.Error("an address without TLS is taken")
	}
}

// TestScopesFollowWhatIsUsed: one line of script, the scopes it adds.
func TestScopesFollowWhatIsUsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, text, bot, events string }{
		{"a.star", "on.webhook(\"GET /x\", lambda e: \"hi\", open = True)", "", ""},
		{"a.star", "on.schedule(\"every 1h\", lambda e: react(\"eyes\", \"C1\", \"1.1\"))", "reactions:write", ""},
		{"a.star", "on.message(\"x\", lambda e: None, channels = \"C1\")", "channels:history chat:write groups:history", "message.channels message.groups"},
		{"a.star", "on.message(\"x\", lambda e: None, channels = \"#ops\")", "channels:history channels:read chat:write groups:history groups:read", "message.channels message.groups"},
		{"a.star", "on.event(\"message.channel_topic\", lambda e: None)", "channels:history groups:history im:history mpim:history", "message.channels message.groups message.im message.mpim"},
		{"a.star", "on.webhook(\"GET /x\", lambda e: user(\"a@b.c\"), open = True)", "users:read users:read.email", ""},
		{"a.star", "on.webhook(\"GET /x\", lambda e: slack_action(\"usergroups.list\"), open = True)", "usergroups:read", ""},
		{"a.star", "on.webhook(\"GET /x\", lambda e: slack_pages(\"conversations.list\"), open = True)", "channels:read groups:read im:read mpim:read", ""},
		{"a.lua", "on.webhook(\"GET /x\", function(e) return slack_action(\"pins.add\", {channel = \"C1\"}) end, {open = true})", "pins:write", ""},
		{"a.lua", "on.command(\"/x\", function(e) return dm(e.user, \"hi\") end)", "chat:write commands im:write", ""},
		{"a.star", "on.command(\"/x\", lambda e: slack_action(\"chat.update\", {\"text\": \"@ann\"}, parse = {\"text\": [\"users\"]}))", "chat:write commands usergroups:read users:read", ""},
		{"a.star", "on.command(\"/x\", lambda e: None, groups = \"@ops\")", "commands usergroups:read", ""},
	} {
		r := build(t, c.file, c.text, manifest.Options{Socket: true})
		if got := strings.Join(r.Manifest.OAuth.Scopes.Bot, " "); got != c.bot {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.bot)
		}
		var events []string
		if e := r.Manifest.Settings.Events; e != nil {
			events = e.Bot
		}
		if got := strings.Join(events, " "); got != c.events {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.events)
		}
	}
}

// TestEveryKnownMethodHasScopes: what starling check lets pass, the manifest
// knows the scopes of.
func TestEveryKnownMethodHasScopes(t *testing.T) {
	t.Parallel()
	for _, m := range slackapi.MethodNames() {
		r, err := manifest.Build(rules.NewSet(nil, nil), []manifest.Use{{Name: "slack_action", Method: m, Maybe: true}}, manifest.Options{Socket: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range r.Notes {
			if strings.Contains(n, "does not know") && !strings.HasPrefix(m, "apps.") {
				t.Errorf("%s: %s", m, n)
			}
		}
	}
}

func TestDiffNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	r := build(t, "all.star", everything, manifest.Options{URL: "https://bot.example.com"})
	text, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	same, err := manifest.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	if d := r.Diff(same); len(d.Missing)+len(d.Extra)+len(d.Changed) > 0 {
		t.Errorf("with itself: %+v", d)
	}
	old, err := manifest.Read([]byte(`{"ok": true, "manifest": {
		"display_information": {"name": "Old", "description": "not decided by rules"},
		"features": {"slash_commands": [{"command": "/deploy", "url": "https://x", "description": "old"}, {"command": "/gone", "description": "x"}]},
		"oauth_config": {"scopes": {"bot": ["commands", "chat:write", "stars:read"]}},
		"settings": {"event_subscriptions": {"request_url": "https://other.example.com/slack/events", "bot_events": ["app_mention", "message.im"]}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	d := r.Diff(old)
	names := func(items []manifest.Item) (out []string) {
		for _, i := range items {
			out = append(out, i.What+" "+i.Name)
		}
		return out
	}
	for _, want := range []string{"bot scope pins:write", "user scope search:read", "event team_join", "command /plain", "shortcut new_ticket", "setting interactivity", "setting home_tab_enabled"} {
		if !slices.Contains(names(d.Missing), want) {
			t.Errorf("%s is not missed: %v", want, names(d.Missing))
		}
	}
	if got := strings.Join(names(d.Extra), ", "); got != "bot scope stars:read, command /gone" {
		t.Errorf("extra: %s", got)
	}
	if got := strings.Join(names(d.Changed), ", "); got != "command /deploy, setting event request_url" {
		t.Errorf("changed: %s", got)
	}
	for _, bad := range []string{"{", "[]", "a: b", ""} {
		if _, err := manifest.Read([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a manifest", bad)
		}
	}
}

func TestLimitsOfSlack(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 51 {
		b.WriteString("on.command(\"/c" + strings.Repeat("x", i%9) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + "\", lambda e: None)\n")
	}
	b.WriteString("on.shortcut(\"s\", lambda e: None, name = \"" + strings.Repeat("n", 60) + "\", help = \"" + strings.Repeat("h", 200) + "\")\n")
	r := build(t, "many.star", b.String(), manifest.Options{Socket: true, Name: strings.Repeat("N", 36)})
	if len(r.Problems) != 2 || !strings.Contains(strings.Join(r.Problems, "\n"), "51 slash commands") {
		t.Errorf("%v", r.Problems)
	}
	if s := r.Manifest.Features.Shortcuts[0]; len([]rune(s.Name)) != 24 || len([]rune(s.Description)) != 150 {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsWaitedForIsSubscribedTo(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"w.star": `
def go(e):
    ask("?", ["Yes"], who = ["@oncall", "ann@example.com"])
    wait_reply()
    wait_reaction(emoji = "eyes")
    wait_event("event", {"type": "team_join"})
    wait_event("home")
on.schedule("@daily", go)
`,
		"w.lua": `
on.schedule("@daily", function(e)
  ask("?", {"Yes"}, {who = {"@oncall", "ann@example.com"}})
  wait_reply()
  wait_reaction({emoji = "eyes"})
  wait_event("event", {type = "team_join"})
  wait_event("home")
end)
`,
	} {
		m := build(t, name, text, manifest.Options{Socket: true}).Manifest
		for _, want := range []string{"chat:write", "im:write", "users:read.email", "usergroups:read", "reactions:read"} {
			if !slices.Contains(m.OAuth.Scopes.Bot, want) {
				t.Errorf("%s: %v lacks %s", name, m.OAuth.Scopes.Bot, want)
			}
		}
		if m.Settings.Events == nil {
			t.Fatalf("%s: no events", name)
		}
		for _, want := range []string{"message.channels", "message.im", "reaction_added", "team_join", "app_home_opened"} {
			if !slices.Contains(m.Settings.Events.Bot, want) {
				t.Errorf("%s: %v lacks %s", name, m.Settings.Events.Bot, want)
			}
		}
		if !m.Settings.Interactivity.Enabled {
			t.Errorf("%s: buttons reach nobody", name)
		}
	}
}
