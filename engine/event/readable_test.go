package event_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
)

var namer = event.Namer{
	User:    func(id string) string { return map[string]string{"U1": "ali", "U2": "alice", "W3": "d.o.t"}[id] },
	Channel: func(id string) string { return map[string]string{"C1": "general", "G1": "secret"}[id] },
	Group:   func(id string) string { return map[string]string{"S1": "oncall"}[id] },
}

func TestReadTellsNamesForIDs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain &amp; simple":                        "plain &amp; simple",
		"<@U1> and <@U2>, <@W3|d.o.t>":              "@ali and @alice, @d.o.t",
		"<@U9>":                                     "<@U9>",
		"<@U1|other>":                               "@other",
		"<#C1> <#C1|> <#G1> <#C2|named>":            "#general #general #secret #named",
		"<!subteam^S1> <!subteam^S2|@ops>":          "@oncall @ops",
		"<!here> <!here|here> <!channel|@channel>":  "@here @here @channel",
		"<mailto:a@b.c|a@b.c> <https://x.y/z|here>": "a@b.c https://x.y/z",
		"<!date^1^{date}|yesterday>":                "yesterday",
		":wave: at 10:30:45":                        ":wave: at 10:30:45",
	} {
		if got := event.Read(text, namer).Text; got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestReadListsWhatItReplaced(t *testing.T) {
	t.Parallel()
	r := event.Read("<@U1> <@U1> <@U9> <#C1> <!subteam^S1> <!here> :tada: 10:30:45 <mailto:a@b.c|a@b.c> <http://x>", namer)
	for name, tc := range map[string]struct {
		got  []event.Label
		want []event.Label
	}{
		"users":    {r.Users, []event.Label{{"<@U1>", "ali"}, {"<@U9>", ""}}},
		"channels": {r.Channels, []event.Label{{"<#C1>", "general"}}},
		"groups":   {r.Groups, []event.Label{{"<!subteam^S1>", "oncall"}}},
		"specials": {r.Specials, []event.Label{{"<!here>", "@here"}}},
		"emoji":    {r.Emoji, []event.Label{{":tada:", "tada"}}},
		"emails":   {r.Emails, []event.Label{{"<mailto:a@b.c|a@b.c>", "a@b.c"}}},
		"urls":     {r.Addresses, []event.Label{{"<http://x>", "http://x"}}},
	} {
		if len(tc.got) != len(tc.want) {
			t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
			continue
		}
		for i := range tc.got {
			if tc.got[i] != tc.want[i] {
				t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
			}
		}
	}
}

func TestAddressed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		directed, mentioned bool
		command             string
	}{
		"<@UB> deploy <@U1>":            {true, true, "deploy <@U1>"},
		" <@UB>: deploy":                {true, true, "deploy"},
		"<@UB>\u00a0deploy":             {true, true, "deploy"},
		"hey <@UB> do it":               {false, true, "do it"},
		"hey <@UB> or <@UB> do\nsecond": {false, true, "do\nsecond"},
		"nobody":                        {false, false, "nobody"},
		"<@UBB> x":                      {false, false, "<@UBB> x"},
	} {
		e := &event.Event{Kind: event.Message, Text: text, BotUser: "UB"}
		directed, mentioned, command := e.Addressed()
		if directed != want.directed || mentioned != want.mentioned || command != want.command {
			t.Errorf("%q: got %v %v %q", text, directed, mentioned, command)
		}
	}
}

// FuzzRead holds that reading replaces whole tokens and loses nothing else.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"<@U1> <#C1|> <!here|here>", "a <b> &lt; <@U1", "<@U1|<@U2>>", ":a::b:", "<!subteam^S1|@x>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := event.Read(text, namer)
		var b strings.Builder
		event.Tokens(text, func(tok event.Token) bool {
			b.WriteString(tok.Raw)
			if tok.Kind == event.Literal && !strings.Contains(r.Text, tok.Raw) {
				t.Errorf("%q is lost from %q", tok.Raw, r.Text)
			}
			return true
		})
		if b.String() != text {
			t.Errorf("tokens of %q are %q", text, b.String())
		}
		for _, list := range [][]event.Label{r.Users, r.Channels, r.Groups, r.Specials, r.Emoji, r.Emails, r.Addresses} {
			for _, l := range list {
				if !strings.Contains(text, l.Raw) {
					t.Errorf("%q is not in %q", l.Raw, text)
				}
			}
		}
	})
}
