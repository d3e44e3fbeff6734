// Package text declares the module text: Slack's markup, shortening, words of
// a command line, templates.
//
//	Builtins     the declarations
//	Escape       the three characters that Slack's markup is made of
//	SplitArgs    a command line into words
//	Expand       a template with {names}
//	FromMarkdown Markdown into Slack's markup
//	Plain        Slack's markup into the text that people see
package text

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

type fn = func(*runtime.Context, *runtime.Args) (runtime.Value, error)

var (
	textParam = declare.Arg("text", runtime.TString, "The text.")
	strResult = "string"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return slices.Concat(markup(), links(), shaping())
}

func function(name, doc, result string, params []runtime.Param, f fn, ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "text." + name, Doc: doc, Params: params, Result: result, Purity: runtime.Pure, Since: declare.Since, Examples: ex,
		Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
			n := len(a.Text("text"))
			if n > declare.MaxText {
				return nil, declare.Hint("", "text.%s: %d bytes are too many", name, n)
			}
			// What follows looks at each byte, and makes at most a few for it.
			if err := declare.Charge(x, 1+n/4); err != nil {
				return nil, err
			}
			return f(x, a)
		},
	}
}

// onText makes a built-in of a function from text to text.
func onText(f func(string) string) fn {
	return func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) { return f(a.Text("text")), nil }
}

// maxMessage bounds what takes tens of nanoseconds for a byte, in one call that
// nobody can interrupt: 64 KiB take some 20 ms. Slack's messages are shorter.
const maxMessage = 64 << 10

// message returns the argument text, bounded and charged at perByte steps.
func message(x *runtime.Context, a *runtime.Args, perByte int) (string, error) {
	s := a.Text("text")
	if len(s) > maxMessage {
		return "", declare.Hint("", "%s: text has %d bytes, the limit is %d", a.Builtin.Name, len(s), maxMessage)
	}
	return s, declare.Charge(x, perByte*len(s))
}

func onMarkup(f func(string) string) fn {
	return func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		s, err := message(x, a, 8)
		if err != nil {
			return nil, err
		}
		return f(s), nil
	}
}

func markup() []*runtime.Builtin {
	one := []runtime.Param{textParam}
	short := []runtime.Param{declare.Arg("text", runtime.TString, "The text, at most 64 KiB.")}
	return []*runtime.Builtin{
		function("escape", "Make text show as it is: &, < and > are escaped, so that it can mention nobody.", strResult, one, onText(Escape),
			runtime.Example{Star: `text.escape("<!channel> & co")`, Want: `"&lt;!channel&gt; &amp; co"`}),
		function("unescape", "Undo text.escape.", strResult, one, onText(Unescape),
			runtime.Example{Star: `text.unescape("a &lt; b &amp;amp;")`, Want: `"a < b &amp;"`}),
		function("mrkdwn", "Turn Markdown into Slack's markup.", strResult, short, onMarkup(FromMarkdown),
			runtime.Example{Star: `text.mrkdwn("## Hi\n**bold** and [a link](https://x.example)")`, Want: `"*Hi*\n*bold* and <https://x.example|a link>"`}),
		function("plain", "Turn Slack's markup into the text that people see.", strResult, short, onMarkup(Plain),
			runtime.Example{Star: `text.plain("*hi* <@U1|ann>, see <https://x.example|this>")`, Want: `"hi @ann, see this"`}),
		function("code", "Show text in a fixed width: a line in backquotes, several as a block.", strResult, one, onText(code),
			runtime.Example{Star: "text.code(\"a < b\")", Want: "\"`a &lt; b`\""}),
		function("quote", "Show text as quoted, line by line.", strResult, one, onText(func(s string) string {
			return "> " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n> ")
		}), runtime.Example{Star: `text.quote("a\nb")`, Want: `"> a\n> b"`}),
	}
}

func links() []*runtime.Builtin {
	id := declare.Arg("id", runtime.TString, "The id.")
	label := declare.Opt("label", runtime.TString, nil, "What is shown.")
	return []*runtime.Builtin{
		function("mention", "Mention a person, a user group, or everybody here.", strResult,
			[]runtime.Param{declare.Arg("id", runtime.TString, "User id, user group id, or `here`, `channel`, `everyone`.")}, mention,
			runtime.Example{Star: `text.mention("U1")`, Want: `"<@U1>"`},
			runtime.Example{Star: `text.mention("S1")`, Want: `"<!subteam^S1>"`},
			runtime.Example{Star: `text.mention("here")`, Want: `"<!here>"`},
			runtime.Example{Star: `text.mention("ann")`, Fails: true, Want: "not an id"}),
		function("channel_link", "Link a channel.", strResult, []runtime.Param{id, label}, channelLink,
			runtime.Example{Star: `text.channel_link("C1")`, Want: `"<#C1>"`},
			runtime.Example{Star: `text.channel_link("general")`, Fails: true, Want: "not the id of a channel"}),
		function("link", "Link a URL.", strResult, []runtime.Param{
			declare.Arg("url", runtime.TString, "Where to: http, https, mailto, tel or slack."), label,
		}, link,
			runtime.Example{Star: `text.link("https://x.example/?a=1&b=2", "x > y")`, Want: `"<https://x.example/?a=1&amp;b=2|x &gt; y>"`},
			runtime.Example{Star: `text.link("javascript:alert(1)")`, Fails: true, Want: "not a link"}),
		function("date", "Show a time in each reader's own zone.", strResult, []runtime.Param{
			declare.Arg("unix", runtime.TNumber, "Seconds since 1970."),
			declare.Opt("format", runtime.TString, "{date_short} {time}", "Slack's tokens, such as `{date_long}` or `{ago}`."),
			declare.Opt("fallback", runtime.TString, nil, "What old clients show; the time in UTC if left out."),
		}, date,
			runtime.Example{Star: `text.date(0, "{date}", "then")`, Want: `"<!date^0^{date}|then>"`}),
	}
}

func shaping() []*runtime.Builtin {
	return []*runtime.Builtin{
		function("truncate", "Shorten text to so many characters.", strResult, []runtime.Param{
			textParam, declare.Arg("length", runtime.TInt, "Most characters, the ending among them."),
			declare.Opt("ending", runtime.TString, "…", "Put where text was cut off."),
		}, truncate,
			runtime.Example{Star: `text.truncate("hello world", 6)`, Want: `"hello…"`},
			runtime.Example{Star: `text.truncate("hello", 5)`, Want: `"hello"`}),
		function("split_args", "Cut a command line into words, as people type them in Slack.", "list of strings", []runtime.Param{
			declare.Arg("text", runtime.TString, "The line, at most 64 KiB."), declare.Key("strict", runtime.TBool, false, "A quote that is not closed is an error, not a character."),
		}, splitArgs,
			runtime.Example{Star: `text.split_args("deploy \"my app\" —force it's")`, Want: `["deploy","my app","--force","it's"]`},
			runtime.Example{Star: `text.split_args("a \"b c")`, Want: `["a","\"b","c"]`},
			runtime.Example{Star: `text.split_args("a \"b", strict=True)`, Lua: `text.split_args("a \"b", {strict = true})`, Fails: true, Want: "not closed"}),
		function("template", "Put values into a text.", "string; a secret if a value is one", []runtime.Param{
			declare.Arg("text", runtime.TString, "The template. `{name}` is a value, escaped for Slack; `{name:raw}` as it is; `{a.b}` a field; `{{` and `}}` are braces."),
			declare.Opt("values", runtime.TDict, nil, "The values."),
			declare.Rest("more", "The values, by keyword."),
		}, template,
			runtime.Example{Star: `text.template("Deploy *{app}* to {to.env}", app="a&b", to={"env": "prod"})`, Lua: `text.template("Deploy *{app}* to {to.env}", {app = "a&b", to = {env = "prod"}})`, Want: `"Deploy *a&amp;b* to prod"`},
			runtime.Example{Star: `text.template("{ap}", {"app": 1})`, Lua: `text.template("{ap}", {app = 1})`, Fails: true, Want: "no value for {ap}"}),
		function("slug", "Make a name of lower-case letters, digits and dashes, as for a channel.", strResult, []runtime.Param{
			textParam, declare.Opt("length", runtime.TInt, int64(80), "Most characters."),
		}, slug,
			runtime.Example{Star: `text.slug("Incident: Café down!")`, Want: `"incident-cafe-down"`}),
	}
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Escape escapes the three characters that Slack's markup is made of.
func Escape(s string) string { return escaper.Replace(s) }

var unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// Unescape is the inverse of Escape: each entity is undone once.
func Unescape(s string) string { return unescaper.Replace(s) }

func code(s string) string {
	if strings.Contains(s, "\n") {
		return "```\n" + Escape(strings.TrimRight(strings.ReplaceAll(s, "```", "'''"), "\n")) + "\n```"
	}
	return "`" + Escape(strings.ReplaceAll(s, "`", "'")) + "`"
}

var (
	userID    = regexp.MustCompile(`^[UW][A-Z0-9]{1,30}$`)
	groupID   = regexp.MustCompile(`^S[A-Z0-9]{1,30}$`)
	channelID = regexp.MustCompile(`^[CDG][A-Z0-9]{1,30}$`)
	linkURL   = regexp.MustCompile(`^(?i:https?://|mailto:|tel:|slack://)[^\s<>|]+$`)
)

func mention(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	switch id := a.Text("id"); {
	case userID.MatchString(id):
		return "<@" + id + ">", nil
	case groupID.MatchString(id):
		return "<!subteam^" + id + ">", nil
	case id == "here" || id == "channel" || id == "everyone":
		return "<!" + id + ">", nil
	default:
		return nil, declare.Hint("user(…) finds the id of a person", "text.mention: %q is not an id", clip(id))
	}
}

// label escapes what is shown of a link, and takes out what would end it.
func label(s string) string {
	if s == "" {
		return ""
	}
	return "|" + strings.Map(func(r rune) rune {
		if r == '|' || r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, Escape(s))
}

func channelLink(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	id := a.Text("id")
	if !channelID.MatchString(id) {
		return nil, declare.Hint("channel(…) finds the id of a name", "text.channel_link: %q is not the id of a channel", clip(id))
	}
	return "<#" + id + label(a.Text("label")) + ">", nil
}

func link(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	url := a.Text("url")
	if !linkURL.MatchString(url) || len(url) > 3000 {
		return nil, declare.Hint("white space, <, > and | must be encoded", "text.link: %q is not a link", clip(url))
	}
	return "<" + strings.ReplaceAll(url, "&", "&amp;") + label(a.Text("label")) + ">", nil
}

func date(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	unix := a.Float("unix", 0)
	if !(unix >= 0 && unix < 1e11) {
		return nil, declare.Hint("seconds, not milliseconds?", "text.date: %g is no time that Slack shows", unix)
	}
	format := a.Text("format")
	if format == "" {
		format = "{date_short} {time}"
	}
	if strings.ContainsAny(format, "^|<>") {
		return nil, declare.Hint("", "text.date: the format has one of ^ | < > in it")
	}
	fallback := a.Text("fallback")
	if fallback == "" {
		fallback = utc(int64(unix))
	}
	return "<!date^" + strconv.FormatInt(int64(unix), 10) + "^" + format + label(fallback) + ">", nil
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

func truncate(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	ending := "…"
	if a.Has("ending") {
		ending = a.Text("ending")
	}
	n := a.Int("length", 0)
	if n < int64(utf8.RuneCountInString(ending)) {
		return nil, declare.Hint("", "text.truncate: length is %d, which leaves no room for the ending", n)
	}
	return Truncate(a.Text("text"), n, ending), nil
}

// Truncate shortens s to n characters, of which ending takes its part.
// It does not cut an escaped character or a <link> in two.
func Truncate(s string, n int64, ending string) string {
	if int64(utf8.RuneCountInString(s)) <= n {
		return s
	}
	keep := n - int64(utf8.RuneCountInString(ending))
	cut := 0
	for i := range s {
		if keep == 0 {
			cut = i
			break
		}
		keep--
	}
	head := s[:cut]
	if open := strings.LastIndexByte(head, '<'); open >= 0 && !strings.Contains(head[open:], ">") && strings.Contains(s[cut:], ">") {
		head = head[:open]
	}
	if amp := strings.LastIndexByte(head, '&'); amp >= 0 && len(head)-amp < 5 && !strings.Contains(head[amp:], ";") {
		if rest := s[amp:]; strings.HasPrefix(rest, "&amp;") || strings.HasPrefix(rest, "&lt;") || strings.HasPrefix(rest, "&gt;") {
			head = head[:amp]
		}
	}
	return strings.TrimRight(head, " \t\n") + ending
}

func slug(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	n := a.Int("length", 80)
	if n < 1 || n > 255 {
		return nil, declare.Hint("", "text.slug: length is %d, want 1 to 255", n)
	}
	s := a.Text("text")
	// What a name is made of stands at the start of a text.
	if len(s) > 4096 {
		s = strings.ToValidUTF8(s[:4096], "")
	}
	return Slug(s, int(n)), nil
}

// letters without their marks; what is not here is kept if it is a letter.
var plainLetters = strings.NewReplacer(
	"à", "a", "á", "a", "â", "a", "ã", "a", "ä", "ae", "å", "a", "æ", "ae", "ç", "c", "è", "e", "é", "e", "ê", "e", "ë", "e",
	"ì", "i", "í", "i", "î", "i", "ï", "i", "ñ", "n", "ò", "o", "ó", "o", "ô", "o", "õ", "o", "ö", "oe", "ø", "o", "œ", "oe",
	"ù", "u", "ú", "u", "û", "u", "ü", "ue", "ý", "y", "ÿ", "y", "ß", "ss", "ł", "l", "š", "s", "č", "c", "ž", "z", "ř", "r", "ě", "e", "ů", "u")

// Slug makes a name of at most n characters.
func Slug(s string, n int) string {
	var b strings.Builder
	dash, count := false, 0
	for _, r := range plainLetters.Replace(strings.ToLower(s)) {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' {
			dash = b.Len() > 0
			continue
		}
		need := 1
		if dash {
			need = 2
		}
		if count+need > n {
			break
		}
		if dash {
			b.WriteByte('-')
		}
		b.WriteRune(r)
		count, dash = count+need, false
	}
	return b.String()
}

func splitArgs(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	s, err := message(x, a, 4)
	if err != nil {
		return nil, err
	}
	words, err := SplitArgs(s, a.Bool("strict", false))
	if err != nil {
		return nil, declare.Hint("", "text.split_args: %v", err)
	}
	out := make(runtime.List, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out, nil
}
