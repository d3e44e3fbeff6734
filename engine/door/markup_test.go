package door

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

var (
	crews = map[string]string{"oncall": "S1"}
	every = names{user: lookup(people), channel: lookup(rooms), group: lookup(crews), specials: true}
)

func TestUnparseUserGroups(t *testing.T) {
	t.Parallel()
	if got := unparse("@oncall and @ann, @oncalls", every); got != "<!subteam^S1> and <@U1>, @oncalls" {
		t.Errorf("got %s", got)
	}
}

func TestUnparseBlocksAndAttachments(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`[{"type":"section","block_id":"@ann","text":{"type":"mrkdwn","text":"hi @ann"},"fields":[{"type":"mrkdwn","text":"#general"}]}]`:     `[{"type":"section","block_id":"@ann","text":{"type":"mrkdwn","text":"hi <@U1>"},"fields":[{"type":"mrkdwn","text":"<#C1>"}]}]`,
		`[{"type":"header","text":{"type":"plain_text","text":"@ann"}}]`:                                                                      `[{"type":"header","text":{"type":"plain_text","text":"@ann"}}]`,
		`[{"type":"actions","elements":[{"type":"button","action_id":"@ann","value":"@ann","text":{"type":"plain_text","text":"@ann"}}]}]`:    `[{"type":"actions","elements":[{"type":"button","action_id":"@ann","value":"@ann","text":{"type":"plain_text","text":"@ann"}}]}]`,
		`[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"@ann"}]}]}]`:                         `[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"@ann"}]}]}]`,
		`[{"pretext":"@here","text":"@ann","title":"@ann","fields":[{"title":"@ann","value":"@oncall","short":false}],"callback_id":"@ann"}]`: `[{"pretext":"<!here>","text":"<@U1>","title":"@ann","fields":[{"title":"@ann","value":"<!subteam^S1>","short":false}],"callback_id":"@ann"}]`,
	} {
		v, err := runtime.ParseJSON([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		got, err := runtime.AppendJSON(nil, unparseContent(v, every))
		if err != nil || string(got) != want {
			t.Errorf("got  %s %v\nwant %s", got, err, want)
		}
		if same, _ := runtime.AppendJSON(nil, v); string(same) != in {
			t.Errorf("the argument was changed: %s", same)
		}
	}
}

// readBack is the other way: names for ids.
var readBack = event.Namer{User: inverse(people), Channel: inverse(rooms), Group: inverse(crews)}

func inverse(m map[string]string) func(string) string {
	return func(id string) string {
		for name, have := range m {
			if have == id {
				return name
			}
		}
		return ""
	}
}

// FuzzMarkupRoundTrip holds that a text of names goes to ids and back: what
// is read of what was written, written again, is the same markup.
func FuzzMarkupRoundTrip(f *testing.F) {
	for _, s := range []string{"@ann see #general, @oncall @here!", "@ali @alice", "x@here.com @hereabouts", "<@U1>@ann", "@ann.@bob.b", "#general-x #general"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "<>&`") { // markup and code of its own
			return
		}
		written := unparse(s, every)
		read := event.Read(written, readBack).Text
		// Letter case is the directory's; all else is what it was.
		if !strings.EqualFold(read, s) {
			t.Errorf("%q is written %q and read %q", s, written, read)
		}
		if again := unparse(read, every); again != written {
			t.Errorf("%q is written %q, and then %q", s, written, again)
		}
	})
}
