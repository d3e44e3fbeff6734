package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestParityTextsAreReadTokenByToken holds what is found in texts, and what
// people read in its place: what omnibot found, and what it broke.
func TestParityTextsAreReadTokenByToken(t *testing.T) {
	t.Parallel()
	p := newParity(t, "default_to_help: false\nhandlers:\n  message_handlers:\n    - {match: \"(?s).*\", match_type: regex, bots: {acme: [helper]}, callbacks: "+hook("all")+"}\n", nil, nil)
	for i, tc := range []struct{ text, parsed, field, labels string }{
		{"<@U2> and <@W4>", "@ali and @wide.one", "users", `{"<@U2>":"ali","<@W4>":"wide.one"}`},
		{"<@U2|dotted.name> hi", "@dotted.name hi", "users", `{"<@U2|dotted.name>":"dotted.name"}`},
		{"<@U2> <@U3>", "@ali @alice", "users", `{"<@U2>":"ali","<@U3>":"alice"}`},
		{"<@U404>", "<@U404>", "users", `{"<@U404>":null}`},
		{"see <#C1> <#C2>", "see #general #general-x", "channels", `{"<#C1>":"general","<#C2>":"general-x"}`},
		{"see <#C1|>", "see #general", "channels", `{"<#C1|>":"general"}`},
		{"see <#C1|named>", "see #named", "channels", `{"<#C1|named>":"named"}`},
		{"see <#C404>", "see <#C404>", "channels", ``},
		{"<!subteam^S1> <!subteam^S2|@two>", "@oncall @two", "subteams", `{"<!subteam^S1>":"oncall","<!subteam^S2|@two>":"two"}`},
		{"<!here> <!channel|@channel> <!everyone>", "@here @channel @everyone", "specials", `{"<!channel|@channel>":"@channel","<!everyone>":"@everyone","<!here>":"@here"}`},
		{"<!here|here>", "@here", "specials", `{"<!here|here>":"@here"}`},
		{"<!date^1700000000^{date}|14 Nov>", "14 Nov", "specials", `{}`},
		{":tada: :+1: :a_b-c:", ":tada: :+1: :a_b-c:", "emojis", `{":+1:":"+1",":a_b-c:":"a_b-c",":tada:":"tada"}`},
		{"at 10:30:45", "at 10:30:45", "emojis", `{}`},
		{"<mailto:a@b.example|a@b.example>", "a@b.example", "emails", `{"<mailto:a@b.example|a@b.example>":"a@b.example"}`},
		{"<https://x.example|x> <http://y.example/?q=1>", "https://x.example http://y.example/?q=1", "urls", `{"<http://y.example/?q=1>":"http://y.example/?q=1","<https://x.example|x>":"https://x.example"}`},
		{"&lt;@U2&gt;", "&lt;@U2&gt;", "users", `{}`},
	} {
		p.says(fmt.Sprint("p", i), tc.text)
		got := p.service.one(t, "/all")
		if got["parsed_text"] != tc.parsed {
			t.Errorf("%s: parsed_text %q, want %q", tc.text, got["parsed_text"], tc.parsed)
		}
		if got := labels(got[tc.field]); tc.labels != "" && got != tc.labels {
			t.Errorf("%s: %s %s, want %s", tc.text, tc.field, got, tc.labels)
		}
	}
	for i, tc := range []struct {
		text                string
		directed, mentioned bool
		command             string
		more                []any
	}{
		{"<@UA11> do it", true, true, "do it", nil},
		{"do it", false, false, "do it", nil},
		{"hey <@UA11> do it", false, true, "do it", nil},
		{"one <@UA11> two <@UA11> three\nand <@UA11> four", false, true, "three\n four", nil},
		{"do it", true, false, "do it", []any{"channel", "D1", "channel_type", "im"}},
		{" <@UA11> do it", true, true, "do it", nil},
		{"please <@UA11>", false, true, "", nil},
		{"<@U2> do it", false, false, "@ali do it", nil},
	} {
		p.says(fmt.Sprint("d", i), tc.text, tc.more...)
		got := p.service.one(t, "/all")
		if got["directed"] != tc.directed || got["mentioned"] != tc.mentioned || got["command_text"] != tc.command {
			t.Errorf("%q: directed %v, mentioned %v, command_text %q, want %v, %v, %q", tc.text, got["directed"], got["mentioned"], got["command_text"], tc.directed, tc.mentioned, tc.command)
		}
	}
}

// TestParityReactions holds which reactions handlers see, and their payload.
func TestParityReactions(t *testing.T) {
	t.Parallel()
	p := newParity(t, `handlers:
  message_handlers:
    - {match: "eyes|\\+1", match_type: reaction, bots: {acme: [helper]}, callbacks: `+hook("eyes")+`}
    - {match: ".*s", match_type: reaction, bots: {acme: [helper]}, callbacks: `+hook("any")+`}
    - {match: "eyes|\\+1|tada", match_type: reaction, regex_type: absence, bots: {acme: [helper]}, callbacks: `+hook("absent")+`}
`, nil, nil)
	react := func(kind, name string, fields ...any) map[string]any {
		e := map[string]any{
			"type": kind, "user": "U1", "reaction": name, "item_user": "UA11", "event_ts": "1700000009.000100",
			"item": map[string]any{"type": "message", "channel": "C1", "ts": "1700000000.000100"},
		}
		for i := 0; i+1 < len(fields); i += 2 {
			e[fields[i].(string)] = fields[i+1]
		}
		return e
	}
	p.slack.set("conversations.history", `{"ok":true,"messages":[{"ts":"1700000000.000100","app_id":"A11","user":"UA11"}]}`)
	for i, tc := range []struct {
		what  string
		inner map[string]any
		want  string
	}{
		{"all that match", react("reaction_added", "eyes"), "any eyes"},
		{"removed", react("reaction_removed", "+1"), "eyes"},
		{"the whole name", react("reaction_added", "eyes_wide"), "absent"},
		{"absence", react("reaction_added", "tada"), ""},
		{"on what somebody else wrote", react("reaction_added", "eyes", "item_user", "U2"), ""},
		{"without an author, on what Slack says is ours", react("reaction_added", "+1", "item_user", nil), "eyes"},
		{"by Slackbot", react("reaction_added", "eyes", "user", "USLACKBOT"), ""},
		{"by the bot itself", react("reaction_added", "eyes", "user", "UA11"), ""},
		{"on a file", react("reaction_added", "eyes", "item", map[string]any{"type": "file", "file": "F1"}), ""},
	} {
		p.event("A11", fmt.Sprint("r", i), tc.inner)
		if got := ran(p.service.paths()); got != tc.want {
			t.Errorf("%s: ran %q, want %q", tc.what, got, tc.want)
		}
	}
	p.slack.set("conversations.history", `{"ok":true,"messages":[{"ts":"1700000000.000100","app_id":"A99","user":"U9"}]}`)
	p.event("A11", "rother", react("reaction_added", "+1", "item_user", nil, "item", map[string]any{"type": "message", "channel": "C1", "ts": "1700000000.000200"}))
	if got := ran(p.service.paths()); got != "" {
		t.Errorf("without an author, on what is not ours: ran %q", got)
	}
	p.event("A11", "rlast", react("reaction_added", "+1"))
	got := p.service.one(t, "/eyes")
	if d := diff(got, map[string]any{
		"omnibot_payload_type": "reaction", "event_type": "reaction_added", "user": "U1", "ts": "1700000009.000100", "emoji_name": "+1", "item_type": "message",
		"item_channel": "C1", "item_ts": "1700000000.000100", "item_user": "UA11", "channel_id": "C1", "match_type": "reaction", "reaction": `eyes|\+1`, "args": "+1",
		"bot": map[string]any{"name": "helper", "bot_id": "A11"}, "team": map[string]any{"name": "acme", "team_id": "T1"},
	}); d != "" {
		t.Error(d)
	}
	if user, _ := got["parsed_user"].(map[string]any); user["name"] != "ann" {
		t.Errorf("parsed_user: got %v", got["parsed_user"])
	}
	// The answer is in the thread of the message that has the reaction.
	p.slack.take()
	p.service.says("/eyes", `{"actions":[{"action":"chat.postMessage","kwargs":{"text":"seen"}}]}`)
	p.event("A11", "rthread", react("reaction_added", "+1", "event_ts", "1700000010.000100"))
	if calls := p.slack.take("chat.postMessage"); len(calls) != 1 || calls[0].text("thread_ts") != "1700000000.000100" || calls[0].text("channel") != "C1" {
		t.Errorf("got %v", calls)
	}
}

// TestParityEventsThatNobodyHandles holds that events of other kinds, and those
// that omnibot could not digest, do no harm.
func TestParityEventsThatNobodyHandles(t *testing.T) {
	t.Parallel()
	p := newParity(t, "handlers: {message_handlers: [{match: go, match_type: command, bots: {acme: [helper]}, callbacks: "+hook("go")+"}]}\n", nil, nil)
	for i, inner := range []map[string]any{
		{"type": "team_join", "user": map[string]any{"id": "U5"}, "event_ts": "1.1"},
		{"type": "made_up_event"}, // without event_ts
		{"type": "message", "channel": "C1", "user": "U1", "ts": "1.1"},                                                      // without a text
		{"type": "message", "subtype": "channel_topic", "channel": "C1", "user": "U1", "ts": "1.2", "text": "set"},           // any subtype
		{"type": "message", "channel": "C1", "user": "U1", "bot_id": "BX", "ts": "1.3", "text": "<@UA11> go"},                // of a bot
		{"type": "message", "channel": "C1", "user": "USLACKBOT", "ts": "1.4", "text": "<@UA11> go"},                         // of Slackbot
		{"type": "message", "subtype": "message_deleted", "channel": "C1", "deleted_ts": "1.1", "hidden": true, "ts": "1.5"}, // of nobody
	} {
		p.event("A11", fmt.Sprint("o", i), inner)
	}
	if got := ran(p.service.paths()); got != "" {
		t.Errorf("ran %q", got)
	}
	if s := p.store.Stats(); s.Dead != 0 || s.Pending != 0 {
		t.Errorf("%d dead, %d pending", s.Dead, s.Pending)
	}
	// A message that Slack reports twice runs once: omnibot ran it twice.
	inner := spoken("twice", "<@UA11> go")
	p.event("A11", "twice", inner)
	mention := spoken("twice", "<@UA11> go", "type", "app_mention")
	delete(mention, "channel_type")
	p.event("A11", "twice2", mention)
	p.event("A11", "twice", inner) // a retry
	if got := ran(p.service.paths()); got != "go" {
		t.Errorf("message, app_mention and a retry: ran %q, want once", got)
	}
}

// labels is what was found in a text, as JSON.
func labels(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return strings.TrimSpace(b.String())
}
