package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
)

// TestSemantics is the table of SPEC §7: which events a rule sees.
func TestSemantics(t *testing.T) {
	t.Parallel()
	bot := func(e *event.Event) { e.User, e.BotID, e.Subtype = "", "B9", "bot_message" }
	own := func(e *event.Event) { e.User = "UBOT" }
	ownApp := func(e *event.Event) { e.AuthorApp = "A1" }
	slackbot := func(e *event.Event) { e.User = "USLACKBOT" }
	thread := func(e *event.Event) { e.ThreadTS, e.ThreadMsg = "1.0", true }
	broadcast := func(e *event.Event) { e.ThreadTS, e.ThreadMsg, e.Subtype = "1.0", true, "thread_broadcast" }
	edit := func(e *event.Event) { e.Edited, e.Subtype = true, "message_changed" }
	unchanged := func(e *event.Event) { e.Edited, e.Unchanged, e.Subtype = true, true, "message_changed" }
	joined := func(e *event.Event) { e.Subtype = "channel_join" }
	file := func(e *event.Event) { e.Subtype = "file_share" }
	im := func(e *event.Event) { e.Channel, e.IM = "D1", true }
	mention := func(e *event.Event) { e.Kind, e.Type = event.Mention, "app_mention" }
	unknownBot := func(e *event.Event) { e.BotUser = "" }
	in := func(ch string) func(*event.Event) { return func(e *event.Event) { e.Channel = ch } }
	by := func(u string) func(*event.Event) { return func(e *event.Event) { e.User = u } }
	team := func(id string) func(*event.Event) { return func(e *event.Event) { e.Team = id } }

	for _, c := range []struct {
		name string
		rule string
		e    *event.Event
		want bool
	}{
		{"regex found", on("message", "regex", "dep.oy"), message("please deploy"), true},
		{"regex not found", on("message", "regex", "deploy"), message("please wait"), false},
		{"regex is case-sensitive", on("message", "regex", "deploy"), message("Deploy"), false},
		{"regex ignores case when told", on("message", "regex", "(?i)deploy"), message("DePLoY"), true},
		{"Kelvin sign is a k without case", on("message", "regex", "(?i)kilo"), message("\u212ailo"), true},
		{"long s is an s without case", on("message", "regex", "(?i)stop"), message("\u017ftop"), true},
		{"non-ASCII without case", on("message", "regex", "(?i)grün"), message("GRÜN"), true},
		{"empty regex sees all", on("message", "regex", ""), message("x"), true},
		{"absent, not found", on("message", "regex", "JIRA-[0-9]+", "absent", true), message("fix"), true},
		{"absent, found", on("message", "regex", "JIRA-[0-9]+", "absent", true), message("fix JIRA-1"), false},

		{"thread reply", on("message", "regex", "x"), message("x", thread), false},
		{"thread reply asked for", on("message", "regex", "x", "threads", true), message("x", thread), true},
		{"thread reply sent to the channel", on("message", "regex", "x"), message("x", broadcast), true},
		{"bot", on("message", "regex", "x"), message("x", bot), false},
		{"bot asked for", on("message", "regex", "x", "from_bots", true), message("x", bot), true},
		{"own", on("message", "regex", "x"), message("x", own), false},
		{"own by app id", on("message", "regex", "x"), message("x", ownApp), false},
		{"own asked for", on("message", "regex", "x", "from_bots", true), message("x", own), true},
		{"Slackbot", on("message", "regex", "x"), message("x", slackbot), false},
		{"edit", on("message", "regex", "x"), message("x", edit), false},
		{"edit asked for", on("message", "regex", "x", "edits", true), message("x", edit), true},
		{"edit that changes nothing", on("message", "regex", "x", "edits", true), message("x", unchanged), false},
		{"join is not written", on("message", "regex", "x"), message("x", joined), false},
		{"file is written", on("message", "regex", "x"), message("x", file), true},
		{"direct message", on("message", "regex", "x"), message("x", im), true},
		{"app_mention is no message", on("message", "regex", "x"), message("<@UBOT> x", mention), false},

		{"mention first", on("mention", "regex", "^deploy"), message("<@UBOT> deploy"), true},
		{"mention with name and colon", on("mention", "regex", "^deploy"), message(" <@UBOT|helper>: deploy"), true},
		{"mention later", on("mention", "regex", "deploy"), message("deploy <@UBOT>"), false},
		{"mention of another", on("mention", "regex", "deploy"), message("<@U7> deploy"), false},
		{"no mention", on("mention", "regex", "deploy"), message("deploy"), false},
		{"direct message is addressed", on("mention", "regex", "^deploy"), message("deploy", im), true},
		{"mention cut off in a direct message", on("mention", "regex", "^deploy"), message("<@UBOT> deploy", im), true},
		{"app_mention", on("mention", "regex", "^deploy"), message("<@UBOT> deploy", mention), true},
		{"app_mention in the middle", on("mention", "regex", "deploy"), message("hey <@UBOT> deploy", mention), false},
		{"app_mention, bot not known", on("mention", "regex", "^deploy"), message("<@UX> deploy", mention, unknownBot), true},
		{"message, bot not known", on("mention", "regex", "^deploy"), message("<@UX> deploy", unknownBot), false},
		{"mention in a thread", on("mention", "regex", "deploy"), message("<@UBOT> deploy", thread), true},
		{"mention in a thread refused", on("mention", "regex", "deploy", "threads", false), message("<@UBOT> deploy", thread), false},
		{"mention by a bot", on("mention", "regex", "deploy"), message("<@UBOT> deploy", bot), false},

		{"channel id", on("message", "regex", "x", "channels", "C1"), message("x"), true},
		{"other channel id", on("message", "regex", "x", "channels", []string{"C2", "C3"}), message("x"), false},
		{"channel name", on("message", "regex", "x", "channels", "#ops"), message("x", in("COPS")), true},
		{"bare channel name", on("message", "regex", "x", "channels", "ops"), message("x", in("COPS")), true},
		{"other channel name", on("message", "regex", "x", "channels", "#ops"), message("x", in("CTEAM")), false},
		{"unknown channel", on("message", "regex", "x", "channels", "#ops"), message("x"), false},
		{"channel wildcard", on("message", "regex", "x", "channels", "#team-*"), message("x", in("CTEAM")), true},
		{"channel wildcard, other", on("message", "regex", "x", "channels", "#team-*"), message("x", in("COPS")), false},
		{"user id", on("message", "regex", "x", "users", "U1"), message("x"), true},
		{"other user", on("message", "regex", "x", "users", "U2"), message("x"), false},
		{"user name", on("message", "regex", "x", "users", "@ann"), message("x", by("UANN")), true},
		{"user address", on("message", "regex", "x", "users", "Ann@example.com"), message("x", by("UANN")), true},
		{"other user address", on("message", "regex", "x", "users", "ann@example.com"), message("x"), false},
		{"team name", on("message", "regex", "x", "teams", "acme"), message("x"), true},
		{"team id", on("message", "regex", "x", "teams", "T9"), message("x", team("T9")), true},
		{"other team", on("message", "regex", "x", "teams", "acme"), message("x", team("T9")), false},
		{"bot name", on("message", "regex", "x", "bots", []string{"helper"}), message("x"), true},
		{"bot by app", on("message", "regex", "x", "bots", "A1"), message("x"), true},
		{"other bot", on("message", "regex", "x", "bots", "other"), message("x"), false},
		{"switched off", on("message", "regex", "x", "enabled", false), message("x"), false},

		{"command", on("command", "command", "/deploy"), &event.Event{Kind: event.Command, Command: "/deploy"}, true},
		{"other command", on("command", "command", "/deploy"), &event.Event{Kind: event.Command, Command: "/deployed"}, false},
		{"view", on("view", "callback_id", "form"), &event.Event{Kind: event.Submit, CallbackID: "form"}, true},
		{"view pattern", on("view", "callback_id", re("form_[0-9]+")), &event.Event{Kind: event.Submit, CallbackID: "form_17"}, true},
		{"view pattern is whole", on("view", "callback_id", re("form_[0-9]+")), &event.Event{Kind: event.Submit, CallbackID: "xform_17"}, false},
		{"view closed is no view", on("view", "callback_id", "form"), &event.Event{Kind: event.ViewClosed, CallbackID: "form"}, false},
		{"view closed", on("view_closed", "callback_id", "form"), &event.Event{Kind: event.ViewClosed, CallbackID: "form"}, true},
		{"shortcut", on("shortcut", "callback_id", "s"), &event.Event{Kind: event.Shortcut, CallbackID: "s"}, true},
		{"options", on("options", "action_id", "city"), &event.Event{Kind: event.Options, Actions: acts("city", "b")}, true},
		{"action", on("action", "id", "ok"), &event.Event{Kind: event.Action, Actions: acts("ok", "b")}, true},
		{"action pattern", on("action", "id", "ok_[0-9]+"), &event.Event{Kind: event.Action, Actions: acts("ok_12", "b")}, true},
		{"action id is not a pattern", on("action", "id", "o.k"), &event.Event{Kind: event.Action, Actions: acts("oxk", "b")}, false},
		{"second action", on("action", "id", "no"), &event.Event{Kind: event.Action, Actions: acts("ok", "b", "no", "b")}, true},
		{"action in the block", on("action", "id", "ok", "block", "b"), &event.Event{Kind: event.Action, Actions: acts("ok", "b")}, true},
		{"action in another block", on("action", "id", "ok", "block", "c"), &event.Event{Kind: event.Action, Actions: acts("ok", "b")}, false},
		{"action in a block by pattern", on("action", "id", "ok", "block", re("row_.*")), &event.Event{Kind: event.Action, Actions: acts("ok", "row_3")}, true},
		{"legacy attachment by callback_id", on("action", "id", "old"), &event.Event{Kind: event.Action, Type: "interactive_message", CallbackID: "old", Actions: acts("yes", "")}, true},
		{"reaction", on("reaction", "emoji", ":eyes:"), reaction("eyes", false), true},
		{"reaction is whole", on("reaction", "emoji", "eyes"), reaction("big_eyes", false), false},
		{"reaction pattern", on("reaction", "emoji", "eyes|tada"), reaction("tada", false), true},
		{"reaction pattern is whole", on("reaction", "emoji", "eyes|tada"), reaction("tada2", false), false},
		{"thumbs up", on("reaction", "emoji", "+1"), reaction("+1", false), true},
		{"skin tone", on("reaction", "emoji", "+1"), reaction("+1::skin-tone-3", false), true},
		{"skin tone itself", on("reaction", "emoji", "+1::skin-tone-3"), reaction("+1::skin-tone-2", false), false},
		{"skin tone by pattern", on("reaction", "emoji", "wave|hand"), reaction("wave::skin-tone-3", false), true},
		{"reaction removed", on("reaction", "emoji", "eyes"), reaction("eyes", true), false},
		{"reaction removed asked for", on("reaction", "emoji", "eyes", "removed", true), reaction("eyes", true), true},
		{"home", on("home"), &event.Event{Kind: event.Home}, true},
		{"event type", on("event", "type", "team_join"), &event.Event{Kind: event.Other, Type: "team_join"}, true},
		{"other event type", on("event", "type", "team_join"), &event.Event{Kind: event.Other, Type: "team_rename"}, false},
		{"event type of a message", on("event", "type", "message"), message("x", bot), true},
		{"event by subtype", on("event", "type", "message.channel_join"), message("x", joined), true},
		{"event by other subtype", on("event", "type", "message.channel_join"), message("x"), false},
		{"every event", on("event", "type", "*"), &event.Event{Kind: event.Schedule}, true},
		{"schedule by rule", on("schedule", "schedule", "every 10m"), &event.Event{Kind: event.Schedule, CallbackID: "a.fake:schedule:every 10m"}, true},
		{"schedule of another rule", on("schedule", "schedule", "every 10m"), &event.Event{Kind: event.Schedule, CallbackID: "b.fake:x"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := set(t, c.rule)
			if got := len(s.Match(c.e, nil)) == 1; got != c.want {
				t.Errorf("%s matched = %v, want %v; explanation: %s", c.rule, got, c.want, s.Explain(c.e)[0].Why)
			}
			if v := s.Explain(c.e)[0]; v.Matched != c.want || v.Matched == (v.Why != "") {
				t.Errorf("explanation %+v does not fit", v)
			}
		})
	}
}

func sprint(v any) string { return fmt.Sprint(v) }

func sameWords(a, b []string) bool {
	slices.Sort(a)
	return slices.Equal(a, b)
}

func re(p string) map[string]string { return map[string]string{"re": p} }

func acts(pairs ...string) []event.ActionRef {
	var out []event.ActionRef
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, event.ActionRef{ActionID: pairs[i], BlockID: pairs[i+1]})
	}
	return out
}

func reaction(name string, removed bool) *event.Event {
	return &event.Event{Kind: event.Reaction, Type: "reaction_added", Reaction: name, Removed: removed, User: "U1", BotUser: "UBOT"}
}

func TestOrderIsPriorityFileLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "b.fake", on("message", "regex", "x", "name", "b1")+"\n"+on("message", "regex", "x", "name", "b2", "priority", 5))
	write(t, dir, "a.fake", on("message", "regex", "x", "name", "a1")+"\n"+on("message", "regex", "x", "name", "a2", "priority", -1))
	s, _ := load(t, newLoader(t, dir))
	if got, want := fired(s, message("x")), "b2 a1 b1 a2"; got != want {
		t.Errorf("order %q, want %q", got, want)
	}
}

func TestStopEndsTheList(t *testing.T) {
	t.Parallel()
	s := set(
		t,
		on("message", "regex", "x", "name", "first"),
		on("message", "regex", "x", "name", "stopper", "stop", true),
		on("message", "regex", "x", "name", "after"),
		on("event", "type", "message", "name", "typed"),
		on("event", "type", "*", "name", "all"),
	)
	if got, want := fired(s, message("x")), "first stopper all"; got != want {
		t.Errorf("matched %q, want %q", got, want)
	}
	if why := s.Explain(message("x"))[2].Why; why != `stopped by on.message("x") at a.fake:2:1` {
		t.Errorf("explanation %q", why)
	}
}

func TestStopWithPredicateLeavesTheDecision(t *testing.T) {
	t.Parallel()
	s := set(
		t,
		on("message", "regex", "x", "name", "maybe", "stop", true, "when", "p"),
		on("message", "regex", "x", "name", "then"),
	)
	m := s.Match(message("x"), nil)
	if len(m) != 2 || m[0].After != nil || m[1].After != m[0].Rule {
		t.Errorf("want the second rule to run only if the first is skipped, got %+v", m)
	}
}

func TestOneRuleAnswers(t *testing.T) {
	t.Parallel()
	s := set(
		t,
		on("action", "id", "ok_.*", "name", "pattern"),
		on("action", "id", "ok_1", "name", "exact"),
		on("action", "id", "no_.*", "name", "first"),
		on("action", "id", "no_[0-9]+", "name", "second"),
		on("action", "id", "no_9", "name", "low", "priority", -1),
		on("event", "type", "*", "name", "all"),
	)
	for _, c := range []struct{ ids, want string }{
		{"ok_1", "exact all"},
		{"ok_2", "pattern all"},
		{"no_1", "first all"},
		{"no_9", "first all"},
		{"ok_1 no_1", "exact first all"},
		{"ok_2 ok_3", "pattern all"},
	} {
		e := &event.Event{Kind: event.Action, Type: "block_actions"}
		for _, id := range strings.Fields(c.ids) {
			e.Actions = append(e.Actions, event.ActionRef{ActionID: id})
		}
		if got := fired(s, e); got != c.want {
			t.Errorf("actions %s ran %q, want %q", c.ids, got, c.want)
		}
	}
}

func TestGroupsAreNamedAndNumbered(t *testing.T) {
	t.Parallel()
	s := set(t, on("mention", "regex", `deploy (?P<app>\w+)(?: to (?P<env>\w+))?( now)?`))
	m := s.Match(message("<@UBOT> please deploy api now"), nil)
	want := &event.Match{
		Groups: []string{"deploy api now", "api", "", " now"}, Names: []string{"", "app", "env", ""},
		Present: []bool{true, true, false, true},
	}
	if d := cmp.Diff(want, m[0].Groups); d != "" {
		t.Error(d)
	}
}

func TestSlowRulesAreListed(t *testing.T) {
	t.Parallel()
	s := set(
		t,
		on("message", "regex", `\d+`, "name", "digits"),
		on("message", "regex", `.*`, "name", "all"),
		on("message", "regex", `[a-z]+x?`, "name", "letters"),
		on("message", "regex", `deploy|release`, "name", "words"),
		on("message", "regex", `.*`, "name", "in-channel", "channels", "C1"),
		on("message", "regex", `nothing`, "absent", true, "name", "absent"),
		on("event", "type", "*"),
	)
	var got []string
	for _, r := range s.Slow() {
		got = append(got, r.Name)
	}
	if d := cmp.Diff([]string{"digits", "all", "letters", "absent"}, got); d != "" {
		t.Error(d)
	}
}

func TestIDsAreStable(t *testing.T) {
	t.Parallel()
	s := set(
		t,
		on("message", "regex", "a", "name", "named"),
		on("message", "regex", "b", "fn", "handler"),
		on("message", "regex", "c"),
		on("message", "regex", "c"),
		on("reaction", "emoji", "eyes", "removed", true),
		on("message", "regex", "d", "fn", "twice"),
		on("message", "regex", "e", "fn", "twice"),
		on("home"),
	)
	want := "a.fake:named a.fake:handler a.fake:message:c a.fake:message:c#2 a.fake:reaction:eyes:removed a.fake:message:d a.fake:message:e a.fake:home"
	var got []string
	for _, r := range s.Rules() {
		got = append(got, r.ID)
		if s.Rule(r.ID) != r {
			t.Errorf("rule %s is not found by its id", r.ID)
		}
	}
	if d := cmp.Diff(strings.Fields(want), got); d != "" {
		t.Error(d)
	}
}

func TestCommandArguments(t *testing.T) {
	t.Parallel()
	s := set(t, on("command", "command", "/deploy", "args", "<app> [env=staging|prod] [count:int] [--dry-run] [--owner=<user>]"))
	for _, c := range []struct{ text, want, usage string }{
		{"api", `app=api env=staging count=<nil> dry_run=false owner=<nil>`, ""},
		{"api prod 3 --dry-run", `app=api env=prod count=3 dry_run=true owner=<nil>`, ""},
		{"env=prod api --owner=U1", `app=api env=prod count=<nil> dry_run=false owner=U1`, ""},
		{"“my app” --owner 'a b'", `app=my app env=staging count=<nil> dry_run=false owner=a b`, ""},
		{"", "", "<app> is missing"},
		{"api live", "", `env must be staging or prod, not "live"`},
		{"api prod x", "", `count must be a whole number, not "x"`},
		{"api prod 3 4", "", `"4" is too much`},
		{"api --fast", "", "there is no --fast"},
		{`api "open`, "", "the quotation mark \" is not closed"},
	} {
		m := s.Match(&event.Event{Kind: event.Command, Command: "/deploy", Text: c.text}, nil)
		if len(m) != 1 {
			t.Fatalf("%q: not matched", c.text)
		}
		usage, _, _ := strings.Cut(m[0].Usage, "\n")
		if usage != c.usage {
			t.Errorf("%q: usage %q, want %q", c.text, usage, c.usage)
		}
		if c.usage != "" {
			continue
		}
		var got []string
		for _, name := range []string{"app", "env", "count", "dry_run", "owner"} {
			v, ok := m[0].Groups.Args.Get(name)
			if !ok {
				t.Errorf("%q: no argument %s", c.text, name)
			}
			got = append(got, name+"="+sprint(v))
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%q: got %s, want %s", c.text, g, c.want)
		}
	}
}

func TestWebhookRoutes(t *testing.T) {
	t.Parallel()
	s := set(
		t,
		on("webhook", "route", "POST /hooks/gh/{repo}", "open", true, "name", "repo"),
		on("webhook", "route", "POST /hooks/gh/ping", "open", true, "name", "ping"),
		on("webhook", "route", "GET,PUT /hooks/gh/{n:int}", "open", true, "name", "number"),
		on("webhook", "route", "POST /hooks/gh/{u:uuid}", "open", true, "name", "uuid"),
		on("webhook", "route", "/f/{x:float}/end", "open", true, "name", "float"),
		on("webhook", "route", "POST /files/{p:path}", "open", true, "name", "path"),
		on("webhook", "route", "GET /", "open", true, "name", "root"),
		on("webhook", "route", "GET /off", "open", true, "name", "off", "enabled", false),
		on("webhook", "route", "POST /env/{e:any(prod, test)}", "open", true, "name", "any"),
		on("webhook", "route", "POST /env/{e}", "open", true, "name", "env"),
		on("webhook", "route", "GET /wiki/{p:path}/edit/{n:int}", "open", true, "name", "edit"),
		on("webhook", "fn", "named", "open", true),
		on("webhook", "route", "POST /with/slash/", "open", true, "name", "slash"),
	)
	for _, c := range []struct{ request, rule, params, allow string }{
		{"POST /hooks/gh/api", "repo", "repo=api", "POST"},
		{"POST /hooks/gh/api/", "repo", "repo=api", "POST"},
		{"POST /hooks/gh/a%20b%2Fc", "repo", "repo=a b/c", "POST"},
		{"POST /hooks/gh/ping", "ping", "", "POST"},
		{"GET /hooks/gh/17", "number", "n=17", "GET PUT POST"},
		{"POST /hooks/gh/17", "repo", "repo=17", "GET PUT POST"},
		{"DELETE /hooks/gh/17", "", "", "GET PUT POST"},
		{"GET /hooks/gh/letter", "", "", "POST"},
		{"POST /hooks/gh/123e4567-e89b-12d3-a456-426614174000", "uuid", "u=123e4567-e89b-12d3-a456-426614174000", "POST"},
		{"POST /f/1.5/end", "float", "x=1.5", "POST"},
		{"POST /f/x/end", "", "", ""},
		{"POST /f/1.5", "", "", ""},
		{"POST /files/a/b.txt", "path", "p=a/b.txt", "POST"},
		{"POST /files", "", "", ""},
		{"GET /", "root", "", "GET"},
		{"GET /off", "", "", ""},
		{"POST /hooks", "", "", ""},
		{"POST /hooks/gh/%zz", "", "", ""},
		{"POST /hooks/gh/ping%2F", "repo", "repo=ping/", "POST"},
		{"POST /hooks/gh/", "", "", ""},
		{"POST /hooks/gh//", "", "", ""},
		{"POST //hooks/gh/ping", "", "", ""},
		{"POST /env/prod", "any", "e=prod", "POST"},
		{"POST /env/stage", "env", "e=stage", "POST"},
		{"GET /wiki/a/b%20c/edit/7", "edit", "p=a/b c n=7", "GET"},
		{"GET /wiki/a/b/edit/x", "", "", ""},
		{"GET /wiki/edit/7", "", "", ""},
		{"GET /wiki//edit/7", "", "", ""},
		{"POST /files//etc", "", "", ""},
		{"POST /named", "named", "", "POST"},
		{"POST /named/", "named", "", "POST"},
		{"GET /named", "", "", "POST"},
		{"POST /with/slash", "slash", "", "POST"},
		{"POST /with/slash/", "slash", "", "POST"},
		{"OPTIONS /with/slash", "", "", "POST"},
		{"POST /hooks/gh/99999999999999999999", "repo", "repo=99999999999999999999", "POST"},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		rule, params, found, allow := s.Webhook(method, path)
		if found != (c.rule != "") || found && !strings.HasSuffix(rule.ID, ":"+c.rule) {
			t.Errorf("%s: found %v %v, want %s", c.request, found, rule, c.rule)
			continue
		}
		want := strings.Fields(c.allow)
		if len(want) != len(allow) || !sameWords(want, allow) {
			t.Errorf("%s: allow %v, want %v", c.request, allow, want)
		}
		var m []rules.Match
		if m = s.Match(&event.Event{Kind: event.Webhook, Request: &event.Request{Method: method, Path: path}}, nil); (len(m) == 1) != found || found && m[0].Rule != rule {
			t.Errorf("%s: Match says %v, Webhook %v", c.request, m, rule)
		}
		if !found {
			continue
		}
		var got []string
		for _, f := range params.Fields {
			got = append(got, f.Key+"="+sprint(f.Value))
		}
		if g := strings.Join(got, " "); g != c.params {
			t.Errorf("%s: parameters %s, want %s", c.request, g, c.params)
		}
	}
}
