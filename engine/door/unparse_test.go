package door

import (
	"strings"
	"testing"
	"unicode/utf8"
)

var people = map[string]string{"ann": "U1", "bob.b": "U2", "c-d_e": "U3", "zoë": "U4"}

var rooms = map[string]string{"general": "C1", "ops-team": "C2", "123": "C3"}

func lookup(m map[string]string) func(string) (string, bool) {
	return func(n string) (string, bool) { id, ok := m[strings.ToLower(n)]; return id, ok }
}

func TestUnparse(t *testing.T) {
	t.Parallel()
	all := names{user: lookup(people), channel: lookup(rooms), specials: true}
	for in, want := range map[string]string{
		"@ann see #general and use @here": "<@U1> see <#C1> and use <!here>",
		"":                                "",
		"@":                               "@",
		"#":                               "#",
		"@@ann":                           "@@ann",
		"@Ann":                            "<@U1>",
		"ask @bob.b.":                     "ask <@U2>.",
		"ask @ann...":                     "ask <@U1>...",
		"(@ann), \"@c-d_e\"!":             "(<@U1>), \"<@U3>\"!",
		"@zoë/@ann":                       "@zoë/@ann",
		"@zoë, *@ann*":                    "<@U4>, *<@U1>*",
		"ann@example.com":                 "ann@example.com",
		"@ann@host.example":               "@ann@host.example",
		"@ann/package":                    "@ann/package",
		"@annabel":                        "@annabel",
		"x#general":                       "x#general",
		"https://x.example/#general":      "https://x.example/#general",
		"https://x.example/?a=1&b=@ann":   "https://x.example/?a=1&amp;b=@ann",
		"#ops-team: #nope #123":           "<#C2>: #nope <#C3>",
		"@nobody @channel @everyone":      "@nobody <!channel> <!everyone>",
		"@Here!":                          "<!here>!",
		"@hereabouts":                     "@hereabouts",
		"`@ann` and ```\n@here\n``` @ann": "`@ann` and ```\n@here\n``` <@U1>",
		"a ` b @ann":                      "a ` b <@U1>",
		"<@U9> <#C9|x> <!here> @ann":      "<@U9> <#C9|x> <!here> <@U1>",
		"<https://x.example|@ann>":        "<https://x.example|@ann>",
		"a < b && c > d":                  "a &lt; b &amp;&amp; c &gt; d",
		"&amp; &lt;b&gt; @ann":            "&amp; &lt;b&gt; <@U1>",
		"<script>@ann</script>":           "&lt;script&gt;<@U1>&lt;/script&gt;",
		"> @ann said":                     "&gt; <@U1> said",
		"a\n@ann\n#general":               "a\n<@U1>\n<#C1>",
		"\xff@ann":                        "\xff@ann",
	} {
		if got := unparse(in, all); got != want {
			t.Errorf("unparse(%q)\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestUnparseOnlyWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	const in = "@ann #general @here"
	for want, n := range map[string]names{
		"@ann #general @here":    {},
		"<@U1> #general @here":   {user: lookup(people)},
		"@ann <#C1> @here":       {channel: lookup(rooms)},
		"@ann #general <!here>":  {specials: true},
		"<@U1> <#C1> <!here>":    {user: lookup(people), channel: lookup(rooms), specials: true},
		"<@U1> #general <!here>": {user: lookup(people), specials: true},
		"@ann <#C1> <!here>":     {channel: lookup(rooms), specials: true},
		"<@U1> <#C1> @here":      {user: lookup(people), channel: lookup(rooms)},
	} {
		if got := unparse(in, n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzUnparse(f *testing.F) {
	for _, s := range []string{"@ann see #general and use @here", "<@U1>", "a < b & c", "`@ann`", "```@ann", "\xff@\xff#", "@ann.-_.", "&amp;<!"} {
		f.Add(s)
	}
	n := names{user: lookup(people), channel: lookup(rooms), specials: true}
	f.Fuzz(func(t *testing.T, s string) {
		once := unparse(s, n)
		if utf8.ValidString(s) != utf8.ValidString(once) {
			t.Errorf("validity of %q changed: %q", s, once)
		}
		if len(once) > 12*len(s) {
			t.Errorf("%d bytes grew to %d", len(s), len(once))
		}
		// Without names nothing but escaping happens, and that happens once.
		plain := unparse(s, names{})
		if again := unparse(plain, names{}); again != plain {
			t.Errorf("escaped twice: %q, %q, %q", s, plain, again)
		}
		if strings.Contains(s, "<") {
			return
		}
		for _, ping := range []string{"<!here>", "<@U1>"} {
			if strings.Contains(once, ping) && !strings.Contains(s, "@") {
				t.Errorf("%q pings: %q", s, once)
			}
		}
	})
}

func BenchmarkUnparse(b *testing.B) {
	n := names{user: lookup(people), channel: lookup(rooms), specials: true}
	text := strings.Repeat("some words for @ann in #general & others ", 20)
	b.ReportAllocs()
	for b.Loop() {
		unparse(text, n)
	}
}
