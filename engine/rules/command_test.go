package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// parsed is what a grammar makes of a line: JSON of the arguments, or the problem.
func parsed(t *testing.T, grammar, line string) string {
	t.Helper()
	g, err := rules.ParseGrammar(grammar)
	if err != nil {
		t.Fatalf("%s: %v", grammar, err)
	}
	args, problem := g.Parse(line)
	if problem != "" {
		return problem
	}
	b, err := runtime.AppendJSON(nil, args)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestArguments is the table of what people type and what comes of it.
func TestArguments(t *testing.T) {
	t.Parallel()
	const deploy = "<app> [env=staging|prod] [count:int] [--dry-run] [--owner=<who>]"
	const typed = "[n:int] [x:float] [d:duration] [b:bool] [u:user] [c:channel]"
	for _, c := range []struct{ grammar, line, want string }{
		{deploy, "api", `{"dry_run":false,"owner":null,"app":"api","env":"staging","count":null}`},
		{deploy, "  api \t prod\u00a03 ", `{"dry_run":false,"owner":null,"app":"api","env":"prod","count":3}`},
		{deploy, "count=4 api", `{"dry_run":false,"owner":null,"app":"api","env":"staging","count":4}`},
		{deploy, `"my app" --owner 'a b' --dry-run`, `{"dry_run":true,"owner":"a b","app":"my app","env":"staging","count":null}`},
		{deploy, "“my app” —dry-run –owner=„a b“", `{"dry_run":true,"owner":"a b","app":"my app","env":"staging","count":null}`},
		{deploy, "“my app\" --owner=«a»", `{"dry_run":false,"owner":"a","app":"my app","env":"staging","count":null}`},
		{deploy, `my\ app`, `{"dry_run":false,"owner":null,"app":"my app","env":"staging","count":null}`},
		{deploy, `\"app`, `{"dry_run":false,"owner":null,"app":"\"app","env":"staging","count":null}`},
		{deploy, `"a \"b\" c"`, `{"dry_run":false,"owner":null,"app":"a \"b\" c","env":"staging","count":null}`},
		{deploy, "it's", `{"dry_run":false,"owner":null,"app":"it's","env":"staging","count":null}`},
		{deploy, "'tis", `{"dry_run":false,"owner":null,"app":"'tis","env":"staging","count":null}`},
		{deploy, `"--dry-run"`, `{"dry_run":false,"owner":null,"app":"--dry-run","env":"staging","count":null}`},
		{deploy, "-- --dry-run", `{"dry_run":false,"owner":null,"app":"--dry-run","env":"staging","count":null}`},
		{deploy, `""`, `{"dry_run":false,"owner":null,"app":"","env":"staging","count":null}`},
		{deploy, "", "<app> is missing"},
		{deploy, "api stagin", `env must be staging or prod, not "stagin": did you mean staging?`},
		{deploy, "api prod many", `count must be a whole number, not "many"`},
		{deploy, "api prod 3 4", `"4" is too much`},
		{deploy, "api --dryrun", "there is no --dryrun: did you mean --dry-run?"},
		{deploy, "api --fast=1", "there is no --fast"},
		{deploy, "api --dry-run=1", "--dry-run takes no value"},
		{deploy, "api --owner", "--owner needs a value"},
		{deploy, "api --owner a --owner b", "--owner is given twice"},
		{deploy, "api count=1 count=2", "count is given twice"},
		{deploy, `"my app`, `the quotation mark " is not closed`},
		{deploy, "“my app", `the quotation mark “ is not closed`},

		{typed, "-3 1.5 1h30m yes <@U12AB|ann lee> <#C12|general>", `{"n":-3,"x":1.5,"d":5400.0,"b":true,"u":"U12AB","c":"C12"}`},
		{typed, "u=U12AB c=<#C9> b=off", `{"n":null,"x":null,"d":null,"b":false,"u":"U12AB","c":"C9"}`},
		{typed, "1.5", `n must be a whole number, not "1.5"`},
		{typed, "x=much", `x must be a number, not "much"`},
		{typed, "x=NaN", `x must be a number, not "NaN"`},
		{typed, "d=soon", `d must be a duration such as 10m or 2h, not "soon"`},
		{typed, "b=maybe", `b must be yes or no, not "maybe"`},
		{typed, "u=ann", `u must be a person, such as @ann, not "ann"`},
		{typed, "c=<@U12>", `c must be a channel, such as #general, not "<@U12>"`},
		{typed, "99999999999999999999", `n must be a whole number, not "99999999999999999999"`},

		{"[n:int=5] [d:duration=10m] [who=somebody] [--to:user] [--n2=<int>]", "", `{"to":null,"n2":null,"n":5,"d":600.0,"who":"somebody"}`},
		{"[n:int=5] [d:duration=10m] [who=somebody] [--to:user] [--n2=<int>]", "7 1m ann --to <@U1> --n2 3", `{"to":"U1","n2":3,"n":7,"d":60.0,"who":"ann"}`},
		{"[n:int=1|2|3]", "2", `{"n":2}`},
		{"[n:int=1|2|3]", "4", `n must be 1, 2 or 3, not "4"`},
		{"<env=staging|prod>", "", "<env=staging|prod> is missing"},

		{"[--tag=<text>...] [--n:int...]", "--tag a --tag=b --n 1 --n=2", `{"tag":["a","b"],"n":[1,2]}`},
		{"[--tag=<text>...]", "", `{"tag":[]}`},
		{"[--only=a|b...]", "--only a --only c", `--only must be a or b, not "c"`},
		{"<app> [note...]", "api one   two\nthree", `{"app":"api","note":"one   two\nthree"}`},
		{"<app> [note...]", "api", `{"app":"api","note":null}`},
		{"<app> [note=nothing...]", "api", `{"app":"api","note":"nothing"}`},
		{"<app> [--dry-run] [note...]", "api look at --this x=1 --dry-run please", `{"dry_run":true,"app":"api","note":"look at --this x=1 please"}`},
		{"<n:int...>", "1 2 3", `{"n":[1,2,3]}`},
		{"[n:int...]", "", `{"n":[]}`},
		{"<who:user...>", "<@U1> ann", `who must be a person, such as @ann, not "ann"`},
		{"create <name>", "create x", `{"name":"x"}`},
		{"create <name>", "make x", `"create" is expected`},
		{"", "x", `"x" is too much`},

		// What Slack makes of what people type.
		{"<host>", "<http://ci.example|ci.example>", `{"host":"ci.example"}`},
		{"<url>", "<https://ci.example/a?b=1&amp;c=2>", `{"url":"https://ci.example/a?b=1&c=2"}`},
		{"<url>", "<https://ci.example|the build>", `{"url":"https://ci.example"}`},
		{"<mail>", "<mailto:ann@example.com|ann@example.com>", `{"mail":"ann@example.com"}`},
		{"<text>", "&lt;!channel&gt;", `{"text":"&lt;!channel&gt;"}`},
		{"<url>", "<https://x/&lt;!channel&gt;>", `{"url":"https://x/&lt;!channel&gt;"}`},
		{"<who>", "<@U1|ann lee>", `{"who":"<@U1|ann lee>"}`},
		{"<note>", `"see <http://a.example|a.example>"`, `{"note":"see a.example"}`},
	} {
		if got := parsed(t, c.grammar, c.line); got != c.want {
			t.Errorf("%s\n%s\ngot  %s\nwant %s", c.grammar, c.line, got, c.want)
		}
	}
}

func TestBadGrammars(t *testing.T) {
	t.Parallel()
	for grammar, want := range map[string]string{
		"<n:integer>":        "unknown type \"integer\" in <n:integer>: int, float, bool, duration, user, channel",
		"<a=b>":              "must be given, and has a default: write [a=b]",
		"[n:int=many]":       `[n:int=many]: "many" is not a whole number`,
		"[n:int=1|x]":        `"x" is not a whole number`,
		"--x":                "write [--x]",
		"<--x>":              "write [--x]",
		"[--x...]":           "write [--x=<text>...]",
		"[a] <b>":            "<b> cannot follow an optional argument",
		"[a...] [b]":         "[b] cannot follow an argument that takes the rest of the line",
		"<a> [--a]":          "two arguments are called \"a\"",
		"[a=x||y]":           "empty choice",
		"<1a>":               "is no name of an argument",
		"<a":                 "cannot read",
		"[u:user=ann]":       `"ann" is not a person`,
		"[--tag=<text>] [b=": "cannot read",
	} {
		if _, err := rules.ParseGrammar(grammar); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", grammar, err, want)
		}
	}
}

// FuzzArguments holds that whatever is typed gives arguments or a problem in
// words, that arguments have every name of the grammar, and that the work grows
// with the line.
func FuzzArguments(f *testing.F) {
	for _, g := range []string{
		"<app> [env=staging|prod] [count:int] [--dry-run] [--owner=<who>]", "[n:int=5] [rest...]", "<n:float...>", "[--tag=<t>...] [u:user] [c:channel] [d:duration] [b:bool]", "",
	} {
		for _, line := range []string{"api prod 3 --dry-run", "“a b” 'c' —x «d»", `a\ b "c \" d" --owner=`, "<@U1|x y> <http://a|a> <", "-- --x", "\u00a0'\"’"} {
			f.Add(g, line)
		}
	}
	f.Fuzz(func(t *testing.T, grammar, line string) {
		g, err := rules.ParseGrammar(grammar)
		if err != nil || len(line) > 5000 {
			return
		}
		args, problem := g.Parse(line)
		if (args == nil) != (problem != "") {
			t.Fatalf("%q %q: %v, %q", grammar, line, args, problem)
		}
		for _, a := range g.Arguments() {
			name := a.(*runtime.Dict).Text("name")
			if _, ok := args.Get(name); args != nil && !ok {
				t.Fatalf("%q %q: no argument %q", grammar, line, name)
			}
		}
		if again, err := rules.ParseGrammar(g.String()); err != nil || !cmp.Equal(again.Arguments(), g.Arguments()) {
			t.Fatalf("%q: reads otherwise as %q: %v", grammar, g, err)
		}
		if args != nil && json.Valid([]byte(line)) {
			if _, err := runtime.AppendJSON(nil, args); err != nil {
				t.Fatalf("%q %q: %v", grammar, line, err)
			}
		}
	})
}

func mention(text string) *event.Event {
	return message("<@UBOT> "+text, func(e *event.Event) { e.Kind, e.Type = event.Mention, "app_mention" })
}

// matches are the rules that an event is for: their patterns, with the usage if
// the arguments do not fit.
func matches(s *rules.Set, e *event.Event) string {
	var out []string
	for _, m := range s.Match(e, nil) {
		text := m.Rule.Pattern
		if m.Usage != "" {
			text += ": " + m.Usage
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func TestCommandsInMessages(t *testing.T) {
	t.Parallel()
	s := set(t,
		on("mention", "regex", "deploy", "args", "<app> [env=staging|prod]"),
		on("mention", "regex", "Deploy   status", "args", "[app]", "help", "Says how it is."),
		on("mention", "regex", "lonely", "args", ""),
		on("message", "regex", "!roll", "args", "[sides:int=6]"),
		on("mention", "regex", "^depl", "name", "regex"),
		on("mention", "regex", "ops", "args", "", "channels", "#ops"),
		on("mention", "regex", "ops now", "args", "", "users", "U9"),
	)
	im := func(e *event.Event) { e.Channel, e.IM = "D1", true }
	for _, c := range []struct {
		e    *event.Event
		want string
	}{
		{mention("deploy api prod"), "deploy; ^depl"},
		{message("<@UBOT>: DEPLOY api"), "deploy"},
		{mention("deploy status"), "Deploy status; ^depl"},
		{mention("deploy\n status api"), "Deploy status; ^depl"},
		{mention("deploy statusx"), "deploy; ^depl"},
		{mention("deployment api"), "^depl"},
		{mention("please deploy api"), ""},
		{mention("deploy"), "deploy: <app> is missing\nUsage: deploy <app> [env=staging|prod]; ^depl"},
		{mention("deploy status a b"), "Deploy status: \"b\" is too much\nUsage: Deploy status [app]; ^depl"},
		{mention("deploy status --help"), "Deploy status: Says how it is.\nUsage: Deploy status [app]; ^depl"},
		{mention("deploy --help"), "deploy: Usage: deploy <app> [env=staging|prod]; ^depl"},
		{mention("lonely"), "lonely"},
		{mention("lonely x"), "lonely: \"x\" is too much\nUsage: lonely"},
		{message("!roll 20"), "!roll"},
		{message("  !ROLL"), "!roll"},
		{message("!roll x"), "!roll: sides must be a whole number, not \"x\"\nUsage: !roll [sides:int=6]"},
		{message("I say !roll"), ""},
		{message("deploy api"), ""},
		{message("deploy api", im), "deploy; ^depl"},
		{mention("ops"), ""},
		{message("<@UBOT> ops now", func(e *event.Event) { e.Channel = "COPS" }), "ops: \"now\" is too much\nUsage: ops"},
	} {
		if got := matches(s, c.e); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.e.Kind, c.e.Text, got, c.want)
		}
	}
	// Explain tries the same, and says why not.
	for i, want := range []string{
		`on.mention("Deploy status") at a.fake:2:1 names more of the words`, "", `"deploy status" does not begin with the command "lonely"`,
	} {
		if v := s.Explain(mention("deploy status"))[i]; v.Why != want || v.Matched != (want == "") {
			t.Errorf("rule %d: %v %q, want %q", i, v.Matched, v.Why, want)
		}
	}
	if v := s.Explain(mention("deploy api live"))[0]; !v.Matched || !strings.HasPrefix(v.Why, `the arguments do not fit: env must be staging or prod, not "live"`) {
		t.Errorf("usage is explained as %q", v.Why)
	}
	if v := s.Match(mention(`deploy "my app"`), nil)[0]; v.Groups.Args.Text("app") != "my app" {
		t.Errorf("arguments: %v", v.Groups)
	}
}

func TestTheFirstOfEqualCommandsRunsAndTheOtherIsReported(t *testing.T) {
	t.Parallel()
	s := set(t,
		on("mention", "regex", "deploy", "args", "<a>"),
		on("mention", "regex", "Deploy", "args", "<b>", "fn", "second"),
		on("mention", "regex", "deploy", "args", "<c>", "priority", 1, "channels", "#ops"),
	)
	m := s.Match(mention("deploy x"), nil)
	if len(m) != 1 || m[0].Rule.Pos.Line != 1 {
		t.Fatalf("matched %v", m)
	}
	if why := s.Explain(mention("deploy x"))[2].Why; why != `on.mention("deploy") at a.fake:1:1 has the same words and comes first` {
		t.Errorf("the second: %q", why)
	}
	found := rules.Unreachable(s.Rules())
	if len(found) != 1 || found[0].Rule.Pos.Line != 2 || !strings.Contains(found[0].Msg, `has the same words and comes first`) {
		t.Errorf("reported: %v", found)
	}
}

func TestSubcommands(t *testing.T) {
	t.Parallel()
	s := set(t,
		on("command", "command", "/deploy", "args", "<app>", "priority", 10),
		on("command", "command", "/deploy status", "args", "[app]"),
		on("command", "command", "/deploy status all", "fn", "all"),
		on("command", "command", "/only sub"),
	)
	for text, want := range map[string]string{
		"/deploy api":           "/deploy",
		"/deploy status":        "/deploy status",
		"/deploy Status api":    "/deploy status",
		"/deploy status  all":   "/deploy status all",
		"/deploy status all x":  "/deploy status all",
		"/deploy status x y":    "/deploy status: \"y\" is too much\nUsage: /deploy status [app]",
		"/deploy statusall x y": "/deploy: \"x\" is too much\nUsage: /deploy <app>",
		"/only sub":             "/only sub",
		"/only":                 "",
		"/only su":              "",
	} {
		command, rest, _ := strings.Cut(text, " ")
		if got := matches(s, &event.Event{Kind: event.Command, Command: command, Text: rest}); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if why := s.Explain(&event.Event{Kind: event.Command, Command: "/only", Text: "su"})[3].Why; why != `"su" does not begin with "sub"` {
		t.Errorf("explained as %q", why)
	}
}

// TestNothingElse: a rule of mentions with match="nothing" is for what no other
// rule with a pattern is for, whichever of Slack's two events comes.
func TestNothingElse(t *testing.T) {
	t.Parallel()
	s := set(t,
		on("mention", "regex", "", "match", "nothing", "name", "nothing"),
		on("mention", "regex", "deploy", "args", "<app>"),
		on("message", "regex", "thanks"),
		on("message", "regex", "", "name", "logs"),
		on("mention", "regex", "", "name", "sees"),
	)
	for _, text := range []string{"deploy api", "deploy", "many thanks", "what now"} {
		for _, e := range []*event.Event{mention(text), message("<@UBOT> " + text)} {
			said := false
			for _, m := range s.Match(e, nil) {
				said = said || m.Rule.Name == "nothing"
				if m.Rule.Kind == event.Message && e.Kind == event.Mention {
					t.Errorf("%s runs on a mention", m.Rule)
				}
			}
			if want := text == "what now"; said != want {
				t.Errorf("%s %q: %v, want %v", e.Kind, text, said, want)
			}
		}
	}
	if got := matches(s, message("what now")); got != "" {
		t.Errorf("a message to nobody: %q", got)
	}
}

func TestCommandsAreCheckedAtLoad(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		on("mention", "regex", "^deploy", "args", "<app>"):                         `"^deploy" looks like a regex`,
		on("mention", "regex", "", "args", "<app>"):                                "args needs the words of a command",
		on("mention", "regex", "a b c d e f g h i", "args", ""):                    "at most 8 words",
		on("mention", "regex", "deploy", "args", "<app>", "absent", true):          "absent works with a regex",
		on("mention", "regex", "deploy", "args", "<app"):                           "bad args: cannot read",
		on("message", "regex", "deploy", "args", "<a>", "match", "command"):        "args and match exclude each other",
		on("mention", "regex", "deploy", "match", "command"):                       "match must be nothing",
		on("command", "command", "/deploy a b c d e f g h"):                        "at most 8 words",
		on("command", "command", "/"+strings.Repeat("x", 40)+" y"):                 "at most 32 characters",
		on("command", "command", "/x y") + "\n" + on("command", "command", "/x y"): `on.command("/x y") is answered already`,
	} {
		_, err := tryScript(t, rule)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", rule, err, want)
		}
	}
}

func tryScript(t *testing.T, text string) (*rules.Version, error) {
	t.Helper()
	v, errs, err := newLoader(t, t.TempDir()).Try(t.Context(), "a.fake", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(errs) == 0 {
		return v, nil
	}
	return v, errs
}
