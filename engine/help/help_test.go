package help_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/help"
	"github.com/starling-rules/starling/engine/permit"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/stdlib"
)

const starRules = `"""Deployments.

More of it.
"""
def deploy(e,
           sign = "(:"):
    # A comment before it.
    """Ships an app.

    With care."""

on.mention("deploy", deploy, args = "<app> [env=staging|prod]")
on.mention("deploy status", lambda e: None, args = "", help = "Says how it is.", channels = ["COPS"])
on.mention("(?i)^hello", lambda e: None, name = "hello", help = "Greets.")
on.mention("quiet (?P<x>.*)", lambda e: None)
on.mention("hidden", lambda e: None, args = "", help = "")
on.mention("root", lambda e: None, args = "", users = ["UROOT"])
on.mention("admins", lambda e: None, args = "", admin = True)
on.mention("broken", lambda e: None, args = "", name = "broken")
on.mention("disabled", lambda e: None, args = "", enabled = False)
on.mention("other", lambda e: None, args = "", bots = ["AOTHER"])
on.command("/deploy status", lambda e: None)
on.command("/deploy list", lambda e: None, users = ["UROOT"])
on.command("/where", lambda e: None, channels = ["#ops", "CX"])
`

const luaRules = `-- Tickets.
-- In Lua.

--- Opens a ticket.
-- At once.
local function open(e) end
on.mention("ticket", open, {args = "<title...>"})
`

func set(t *testing.T) *rules.Set {
	t.Helper()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	var langs []runtime.Language
	host := runtime.Host{Library: lib, Input: event.Host}
	s, err1 := star.New(host)
	l, err2 := lua.New(host)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	langs = append(langs, s, l)
	pool := runtime.NewLocal(langs, runtime.LocalOptions{})
	t.Cleanup(func() { _ = pool.Close(context.Background()) })
	dir := t.TempDir()
	for name, text := range map[string]string{"deploys.star": starRules, "tickets.lua": luaRules} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded, rep, err := rules.NewLoader(rules.LoaderOptions{
		Dirs: []string{dir}, Pool: pool, Languages: map[string]string{".star": "starlark", ".lua": "lua"},
	}).Load(t.Context())
	if err != nil || rep.Errors > 0 {
		t.Fatal(err, rep)
	}
	return loaded
}

func guide(t *testing.T, change func(*help.Options)) *help.Guide {
	t.Helper()
	s := set(t)
	o := help.Options{
		Rules:  func() *rules.Set { return s },
		Permit: func() *permit.Policy { return permit.New([]string{"UBOSS"}, []config.Access(nil), nil) },
		Off:    func(r *rules.Rule) bool { return r.Name == "broken" },
		Now:    func() time.Time { return time.Unix(1_700_000_000, 0) },
	}
	if change != nil {
		change(&o)
	}
	return help.New(o)
}

func by(user, channel, text string) *event.Event {
	return &event.Event{
		ID: "E1", Kind: event.Mention, Type: "app_mention", Team: "T1", App: "A1", BotUser: "UBOT", User: user, Channel: channel,
		TS: "1.1", Text: "<@UBOT> " + text, Received: time.Unix(1, 0),
	}
}

func usages(list []runtime.Value) string {
	var out []string
	for _, v := range list {
		d := v.(*runtime.Dict)
		text := d.Text("usage")
		if here, _ := d.Get("here"); here != true {
			text += " (elsewhere)"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func TestListsWhatSomebodyMayRun(t *testing.T) {
	t.Parallel()
	g := guide(t, nil)
	const all = "/deploy status; /where (elsewhere); deploy <app> [env=staging|prod]; "
	for user, want := range map[string]string{
		"U1":    all + "deploy status (elsewhere); hello; ticket <title...>",
		"UROOT": "/deploy list; " + all + "deploy status (elsewhere); hello; root; ticket <title...>",
		"UBOSS": "/deploy status; /where (elsewhere); admins; deploy <app> [env=staging|prod]; deploy status (elsewhere); hello; ticket <title...>",
	} {
		if got := usages(g.List(t.Context(), by(user, "C1", "help"))); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", user, got, want)
		}
	}
	home := &event.Event{Kind: event.Home, Team: "T1", App: "A1", User: "U1"}
	if got := usages(g.List(t.Context(), home)); !strings.Contains(got, "deploy status (elsewhere)") {
		t.Errorf("at home: %s", got)
	}
}

func TestHelpOfDocstrings(t *testing.T) {
	t.Parallel()
	for _, v := range guide(t, nil).List(t.Context(), by("U1", "C1", "help")) {
		d := v.(*runtime.Dict)
		want := map[string]string{
			"deploy <app> [env=staging|prod]": "Ships an app.|With care.|Deployments.",
			"ticket <title...>":               "Opens a ticket.|At once.|Tickets.",
			"hello":                           "Greets.||Deployments.",
		}[d.Text("usage")]
		if got := d.Text("help") + "|" + d.Text("about") + "|" + d.Text("group"); want != "" && got != want {
			t.Errorf("%s: %q, want %q", d.Text("usage"), got, want)
		}
	}
}

func TestFindsWhatWasMeant(t *testing.T) {
	t.Parallel()
	g := guide(t, nil)
	for text, want := range map[string]string{
		"deploy api":       "deploy <app> [env=staging|prod]||",
		"deploy":           "deploy <app> [env=staging|prod]||",
		"Hello there":      "hello||",
		"depoly api":       "|deploy <app> [env=staging|prod]|",
		"ticekt x":         "|ticket <title...>|",
		"rooot":            "||",
		"root":             "||",
		"admins":           "||",
		"brokne":           "||",
		"something else":   "||",
		"deploy status":    "deploy <app> [env=staging|prod]||",
		"":                 "ticket <title...>||",
		"\u00a0TICKET  x ": "ticket <title...>||",
	} {
		d := g.Find(t.Context(), by("U1", "C1", "ticket it"), text)
		command := ""
		if c, _ := d.Get("command"); c != nil {
			command = c.(*runtime.Dict).Text("usage")
		}
		near, _ := d.Get("near")
		far, _ := d.Get("elsewhere")
		if got := command + "|" + usages(near.(runtime.List)) + "|" + usages(far.(runtime.List)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestAdvisesOnSlashCommands(t *testing.T) {
	t.Parallel()
	g, s := guide(t, nil), set(t)
	for text, want := range map[string]string{
		"/deploy":          "No rule answers /deploy. There is: `/deploy status`.",
		"/deploy stats":    "No rule answers /deploy stats. Did you mean `/deploy status`?",
		"/deploy <!here>":  "No rule answers /deploy &lt;!here&gt;. There is: `/deploy status`.",
		"/deploy list all": "You may not use `/deploy`.",
		"/where x":         "`/where` works in #ops and <#CX>.",
		"/wehre":           "",
		"/nothing":         "",
	} {
		command, rest, _ := strings.Cut(text, " ")
		e := &event.Event{Kind: event.Command, Team: "T1", App: "A1", User: "U1", Channel: "C1", Command: command, Text: rest}
		if got := g.Advise(s, e); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestRepeatsOnce: what is repeated is an event of the same person and place,
// under an id that derives from run and step; it cannot repeat again.
func TestRepeatsOnce(t *testing.T) {
	t.Parallel()
	var got []*event.Event
	g := guide(t, func(o *help.Options) {
		o.Submit = func(_ context.Context, e *event.Event) error {
			if len(got) > 0 && got[0].ID == e.ID {
				return queue.ErrDuplicate
			}
			got = append(got, e)
			return nil
		}
	})
	repeat := func(e *event.Event, dry bool) *runtime.Dict {
		t.Helper()
		run := &door.Run{ID: "r1", Event: e, DryRun: dry}
		v, err := g.Handlers()["commands.again"].Do(t.Context(), run, runtime.Effect{Kind: "commands.again", Step: 2, Args: runtime.NewDict("text", "deploy api")})
		if err != nil {
			t.Fatal(err)
		}
		return v.(*runtime.Dict)
	}
	if v := repeat(by("U1", "C1", "!!"), true); len(got) != 0 || v.Fields[0].Value != true {
		t.Errorf("a dry run: %v, %v", v, got)
	}
	for range 2 { // as after a crash
		if ok, _ := repeat(by("U1", "C1", "!!"), false).Get("ok"); ok != true {
			t.Error("not repeated")
		}
	}
	if len(got) != 1 || got[0].Text != "<@UBOT> deploy api" || got[0].User != "U1" || got[0].Channel != "C1" || got[0].ID != "again-r1.2" || got[0].Kind != event.Mention {
		t.Fatalf("repeated %+v", got)
	}
	if why := repeat(got[0], false).Text("error"); why != "repeated_already" {
		t.Errorf("a repetition of a repetition: %q", why)
	}
	if why := repeat(&event.Event{Kind: event.Home}, false).Text("error"); why != "no_message" {
		t.Errorf("at home: %q", why)
	}
}

func TestDryRunsTellNothing(t *testing.T) {
	t.Parallel()
	g := guide(t, nil)
	for kind, h := range g.Handlers() {
		v, err := h.Do(t.Context(), &door.Run{DryRun: true, Event: by("U1", "C1", "help")}, runtime.Effect{Kind: kind, Args: runtime.NewDict("text", "deploy")})
		b, _ := runtime.AppendJSON(nil, v)
		if err != nil || strings.Contains(string(b), "deploy") {
			t.Errorf("%s: %s, %v", kind, b, err)
		}
	}
}
