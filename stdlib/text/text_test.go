package text_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
	"github.com/starling-rules/starling/stdlib/text"
)

type named = declaretest.Named

func TestSplitArgs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"":                          nil,
		"  a\tb\nc\u00a0d ":         {"a", "b", "c", "d"},
		`"a b" c`:                   {"a b", "c"},
		`'a b'`:                     {"a b"},
		"“a b” ‘c d’ „e f“ «g h»":   {"a b", "c d", "e f", "g h"},
		`“mixed"`:                   {"mixed"},
		`--name="a b"c`:             {"--name=a bc"},
		`don't 'it's fine'`:         {"don't", "it's fine"},
		`a"b c"`:                    {`a"b`, `c"`},
		`"" x`:                      {"", "x"},
		`a\ b \"c\" \n`:             {"a b", `"c"`, `\n`},
		`"a \" b"`:                  {`a " b`},
		"—dry-run –v - — --x":       {"--dry-run", "--v", "-", "—", "--x"},
		`"open a`:                   {`"open`, "a"},
		`"a 'b' c`:                  {`"a`, "b", "c"},
		"<@U1|ann> <#C1|general b>": {"<@U1|ann>", "<#C1|general", "b>"},
		`end\`:                      {`end\`},
	} {
		got, err := text.SplitArgs(in, false)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q, %v", in, got, want, err)
		}
	}
	for _, in := range []string{`"a`, `a 'b`, `x="y`} {
		if got, err := text.SplitArgs(in, true); err == nil {
			t.Errorf("strict %s: got %q", in, got)
		}
	}
}

func TestSplitArgsTakesLinearTime(t *testing.T) {
	t.Parallel()
	start := time.Now()
	if _, err := text.SplitArgs(strings.Repeat("'a ", 1<<16), false); err != nil {
		t.Fatal(err)
	}
	// Quadratic work would take minutes.
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzSplitArgs(f *testing.F) {
	for _, s := range []string{`deploy "my app" —force it's`, "“a ”b”", `\`, `"\"`, "'’‘", "=\"", "\xff\"\xfe\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, err := text.SplitArgs(s, false)
		if err != nil {
			t.Fatalf("lenient split failed: %v", err)
		}
		total := 0
		for _, w := range words {
			total += len(w)
		}
		if total > len(s) {
			t.Fatalf("%q became longer: %q", s, words)
		}
		plain := strings.IndexFunc(s, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsSpace(r) || r == utf8.RuneError
		}) < 0
		if plain && !slices.Equal(words, strings.Fields(s)) {
			t.Fatalf("%q: got %q", s, words)
		}
	})
}

func TestEscapeAndBack(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a<b>&c", "&amp;", "&lt;&amp;gt;", "<!channel>"} {
		e := text.Escape(s)
		if strings.ContainsAny(e, "<>") || text.Unescape(e) != s {
			t.Errorf("%q → %q → %q", s, e, text.Unescape(e))
		}
	}
}

func TestLabelsCannotEndTheirLink(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, text.Builtins())
	s.Equal(s.JSON("text.link", "https://x.example", "a>b|c\n<!channel>"), `"<https://x.example|a&gt;b c &lt;!channel&gt;>"`)
	s.Equal(s.JSON("text.channel_link", "C1", "a|b"), `"<#C1|a b>"`)
	for _, bad := range []string{"", "https://", "https://a b", "https://a|b", "https://a>", "data:x", "//x"} {
		s.Fails("not a link", "text.link", bad)
	}
	for _, bad := range []string{"", "u1", "U1>", "U1|x", "@ann", "!here", "U" + strings.Repeat("1", 40)} {
		s.Fails("not an id", "text.mention", bad)
	}
	s.Equal(s.JSON("text.date", int64(0)), `"<!date^0^{date_short} {time}|1970-01-01 00:00 UTC>"`)
	s.Fails("| < >", "text.date", int64(0), "{date}|x>")
	s.Fails("milliseconds", "text.date", int64(1_700_000_000_000))
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		n    int64
		want string
	}{
		{"héllo", 5, "héllo"},
		{"héllo wörld", 7, "héllo…"},
		{"abc", 2, "a…"},
		{"abc", 1, "…"},
		{"a &lt; b", 5, "a…"},
		{"see <https://x.example|here> now", 12, "see…"},
		{"a < b and more text", 8, "a < b a…"},
	} {
		got := text.Truncate(c.in, c.n, "…")
		if got != c.want || int64(utf8.RuneCountInString(got)) > c.n {
			t.Errorf("%q to %d: got %q, want %q", c.in, c.n, got, c.want)
		}
	}
	s := declaretest.New(t, text.Builtins())
	s.Fails("no room", "text.truncate", "abc", int64(2), "...")
	s.Equal(s.JSON("text.truncate", "abcdef", int64(3), ""), `"abc"`)
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, text.Builtins())
	view, err := runtime.ParseView([]byte(`{"user":{"name":"<ann>"},"tags":["a","b"]}`))
	if err != nil {
		t.Fatal(err)
	}
	s.Equal(s.JSON("text.template", "{{{e.user.name}}} {e.user.name:raw} {e.tags.1} {n} {f} {no}{none} {l}",
		named{"e", view, "n", int64(3), "f", 1.5, "no", false, "none", nil, "l", runtime.List{int64(1)}}),
		`"{&lt;ann&gt;} <ann> b 3 1.5 false [1]"`)
	s.Fails("did you mean {app}?", "text.template", "{ap}", named{"app", 1})
	s.Fails("no value for {e.x}", "text.template", "{e.x}", named{"e", view})
	for _, bad := range []string{"{", "}", "{a", "a}", "{a{b}}", "{}{"} {
		if v, err := s.Call("text.template", bad, runtime.NewDict("a", "1", "b", "2")); err == nil {
			t.Errorf("%s: got %v", bad, v)
		}
	}
	s.Fails("no such form", "text.template", "{a:upper}", runtime.NewDict("a", "1"))
	s.Fails("too long", "text.template", strings.Repeat("{a}", 5), runtime.NewDict("a", strings.Repeat("x", 1<<20)))
}

func TestTemplateWithASecretIsASecret(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, text.Builtins())
	v, err := s.Call("text.template", "user:{pw}@{host}", runtime.NewDict("pw", runtime.Secret{Parts: []runtime.SecretPart{{Name: "PW"}}}, "host", "h"))
	if err != nil {
		t.Fatal(err)
	}
	sec, ok := v.(runtime.Secret)
	if !ok || len(sec.Parts) != 3 || sec.Parts[0].Text != "user:" || sec.Parts[1].Name != "PW" || sec.Parts[2].Text != "@h" {
		t.Fatalf("got %#v", v)
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"**b** __b__ *i* _i_ ~~s~~":                "*b* *b* _i_ _i_ ~s~",
		"# A **b**\n- x\n  * y":                    "*A b*\n• x\n  • y",
		"`**a**` <b> & c":                          "`**a**` &lt;b&gt; &amp; c",
		"```go\n**a** <b>\n```\n**c**":             "```\n**a** &lt;b&gt;\n```\n*c*",
		"![pic](https://x/a.png) ![](https://x/b)": "<https://x/a.png|pic> <https://x/b>",
		"> **q**":                 "> *q*",
		"[x](!channel) ![y](@U1)": "[x](!channel) ![y](@U1)",
		"2 * 3 * 4":               "2 * 3 * 4",
	} {
		if got := text.FromMarkdown(in); got != want {
			t.Errorf("%q\ngot  %q\nwant %q", in, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"*b* _i_ ~s~ `c`":                                       "b i s c",
		"<@U1> <@U1|ann> <#C1|general> <#C1|>":                  "@U1 @ann #general #C1",
		"<!here> <!subteam^S1> <!subteam^S1|@ops> <!here|here>": "@here @S1 @ops @here",
		"<!date^0^{date}|then> <mailto:a@b|a@b> <mailto:a@b>":   "then a@b a@b",
		"a &lt;b&gt; &amp;amp; 2*3*4 snake_case_name":           "a <b> &amp; 2*3*4 snake_case_name",
	} {
		if got := text.Plain(in); got != want {
			t.Errorf("%q\ngot  %q\nwant %q", in, got, want)
		}
	}
}

func FuzzMarkup(f *testing.F) {
	for _, s := range []string{"**a** [l](https://x)", "<@U1|a> *b*", "```\n<", "`*_~", "<|>", "![](<>)", "[x](!channel) ![y](@U1) [z](#C1)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := text.FromMarkdown(s)
		for _, danger := range []string{"<!", "<@", "<#"} {
			if strings.Contains(out, danger) {
				t.Fatalf("%q mentions somebody: %q", s, out)
			}
		}
		text.Plain(s)
		text.Truncate(s, 5, "…")
		text.Slug(s, 20)
	})
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "!!!": "", "  A  B ": "a-b", "Ärger über Größe": "aerger-ueber-groesse", "日本 語": "日本-語", "a_b": "a_b",
	} {
		if got := text.Slug(in, 80); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := text.Slug("ab cd", 3); got != "ab" {
		t.Errorf("cut: %q", got)
	}
}

func TestWorkIsCharged(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, text.Builtins())
	s.Metered, s.Fuel = true, 1000
	s.Fails("out of fuel", "text.split_args", strings.Repeat("a ", 5000))
	s.Fuel = 1000
	s.Fails("out of fuel", "text.mrkdwn", strings.Repeat("a ", 5000))
	s.Metered = false
	s.Fails("the limit is 65536", "text.plain", strings.Repeat("a", 65_537))
	s.Fails("too many", "text.escape", strings.Repeat("a", 4<<20+1))
}
