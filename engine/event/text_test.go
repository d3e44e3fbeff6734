package event_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
)

func TestRefs(t *testing.T) {
	t.Parallel()
	const text = "<@U1|ann> <@W2>, <@U1> in <#C1|gen> <#C2|> <!subteam^S1> <!subteam^S2|@ops> <!here> <!channel|channel> " +
		"<https://x.io/?a=1&amp;b=2|label> <https://y.io> <mailto:a@b.io|a@b.io> <tel:+491|call> :wave::skin-tone-2: at 10:30:45 :100: " +
		"<http://h:80:x> <!date^1392734382^{date} at {time}^https://x|Feb 18> &lt;@U9&gt; <@u7> <> <@> a:b:c <!unknown^1>"
	for kind, want := range map[event.TokenKind][]string{
		event.UserRef:    {"U1", "W2"},
		event.ChannelRef: {"C1", "C2"},
		event.GroupRef:   {"S1", "S2"},
		event.SpecialRef: {"here", "channel"},
		event.LinkRef:    {"https://x.io/?a=1&b=2", "https://y.io", "tel:+491", "http://h:80:x"},
		event.EmailRef:   {"a@b.io"},
		event.EmojiRef:   {"wave::skin-tone-2", "100"},
		event.DateRef:    {"1392734382"},
	} {
		if got := event.Refs(text, kind); !slices.Equal(got, want) {
			t.Errorf("kind %d: %q, want %q", kind, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                    "",
		"a &amp; b &lt;c&gt;": "a & b <c>",
		"&amp;lt;":            "&lt;",
		"<@U1|ann> and <@U2>": "@ann and @U2",
		"<#C1|gen> <#C2|>":    "#gen #C2",
		"<!here> <!subteam^S1|@ops> <!subteam^S2>":  "@here @ops @S2",
		"<https://x|a &amp; b> <https://y?a&amp;b>": "a & b https://y?a&b",
		"<mailto:a@b|mail>":                         "mail",
		"<!date^1^{date}|then>":                     "then",
		"1 < 2 > 0":                                 "1 < 2 > 0",
		"<@U1":                                      "<@U1",
		"<<@U1>>":                                   "<@U1>",
		":wave: <!odd^1|x>":                         ":wave: x",
	} {
		if got := event.Plain(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestEscapeIsUndoneOnce(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "plain", "<@U1> & co", "&amp;", "&lt;&amp;gt;"} {
		if got := event.Unescape(event.Escape(s)); got != s {
			t.Errorf("%q became %q", s, got)
		}
		if e := event.Escape(s); strings.ContainsAny(e, "<>") {
			t.Errorf("%q is not inert", e)
		}
	}
}

func TestWhetherAMessageIsForTheBot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                string
		e                   event.Event
		directed, mentioned bool
		body                string
	}{
		{"leading mention", event.Event{Kind: event.Message, BotUser: "UB", Text: " <@UB>  deploy <@U1> "}, true, true, "deploy <@U1>"},
		{"leading with label", event.Event{Kind: event.Message, BotUser: "UB", Text: "<@UB|bot>: deploy"}, true, true, "deploy"},
		{"comma", event.Event{Kind: event.Message, BotUser: "UB", Text: "<@UB>, hi"}, true, true, "hi"},
		{"emoji is no colon", event.Event{Kind: event.Message, BotUser: "UB", Text: "<@UB> :wave: hi"}, true, true, ":wave: hi"},
		{"nothing behind", event.Event{Kind: event.Message, BotUser: "UB", Text: "<@UB>"}, true, true, ""},
		{"inside", event.Event{Kind: event.Message, BotUser: "UB", Text: "ask <@UB> to deploy"}, false, true, "ask <@UB> to deploy"},
		{"another person", event.Event{Kind: event.Message, BotUser: "UB", Text: "<@UBX> hi"}, false, false, "<@UBX> hi"},
		{"quoted", event.Event{Kind: event.Message, BotUser: "UB", Text: "&lt;@UB&gt; hi"}, false, false, "&lt;@UB&gt; hi"},
		{"inside a link", event.Event{Kind: event.Message, BotUser: "UB", Text: "<https://x/<@UB"}, false, false, "<https://x/<@UB"},
		{"direct message", event.Event{Kind: event.Message, IM: true, BotUser: "UB", Text: " hi "}, true, false, "hi"},
		{"direct message with mention", event.Event{Kind: event.Message, IM: true, BotUser: "UB", Text: "<@UB> hi"}, true, true, "hi"},
		{"unknown bot", event.Event{Kind: event.Message, Text: "<@UB> hi"}, false, false, "<@UB> hi"},
		{"app_mention of an unknown bot", event.Event{Kind: event.Mention, Text: "<@UB> hi"}, true, true, "hi"},
		{"app_mention inside", event.Event{Kind: event.Mention, BotUser: "UB", Text: "hi <@UB>"}, false, true, "hi <@UB>"},
		{"command", event.Event{Kind: event.Command, BotUser: "UB", Text: "<@UB> hi"}, false, false, "<@UB> hi"},
	} {
		if got := c.e.Directed(); got != c.directed {
			t.Errorf("%s: directed %t", c.name, got)
		}
		if got := c.e.Mentioned(); got != c.mentioned {
			t.Errorf("%s: mentioned %t", c.name, got)
		}
		if got := c.e.Body(); got != c.body {
			t.Errorf("%s: body %q", c.name, got)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("<@U1|n> <#C1|c> :x: &lt; <!subteam^S1|@h> <https://a|b> <mailto:a@b> <!date^1^f^l|x>")
	f.Add("<<>><@|><!><!subteam^><|> ::: :a::skin-tone-2: &amp;amp;")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		var all strings.Builder
		event.Tokens(text, func(tok event.Token) bool {
			if tok.Raw == "" {
				t.Fatal("empty token")
			}
			all.WriteString(tok.Raw)
			return true
		})
		if all.String() != text {
			t.Errorf("tokens of %q make %q", text, all.String())
		}
		// Text that was escaped holds no token but emoji, and reads as it was.
		inert := event.Escape(text)
		event.Tokens(inert, func(tok event.Token) bool {
			if tok.Kind != event.Literal && tok.Kind != event.EmojiRef {
				t.Errorf("escaped text holds %+v", tok)
			}
			return true
		})
		if got := event.Plain(inert); got != text {
			t.Errorf("%q reads %q", text, got)
		}
		_ = event.Plain(text)
		e := event.Event{Kind: event.Message, BotUser: "U1", Text: text}
		if e.Directed() && !e.Mentioned() {
			t.Errorf("%q is directed at the bot without a mention", text)
		}
	})
}
