package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestParityPayloadOfAMessage holds the payload of messages to omnibot's, key
// by key.
func TestParityPayloadOfAMessage(t *testing.T) {
	t.Parallel()
	p := newParity(t, `handlers:
  message_handlers:
    - {match: deploy, match_type: command, match_reply: true, bots: {acme: [helper]}, callbacks: `+hook("command")+`}
    - {match: "sh[i1]p", match_type: regex, bots: {acme: [helper]}, callbacks: `+hook("regex")+`}
`, nil, nil)
	const text = "<@UA11> deploy <@U2> to <#C1> for <!subteam^S1> &amp; <!here> :tada: <mailto:a@b.example|a@b.example> <https://x.example/?a=1|label>"
	p.says("1", text, "thread_ts", "1699999999.000100", "parent_user_id", "U2", "client_msg_id", "c-1", "blocks", []any{}, "files", []any{map[string]any{"id": "F1"}})
	got := p.service.one(t, "/command")
	want := map[string]any{
		"omnibot_payload_type": "message", "event_type": "message", "user": "U1", "ts": "1700000000." + pad("1"), "thread_ts": "1699999999.000100",
		"parent_user_id": "U2", "text": text, "channel_id": "C1", "directed": true, "mentioned": true, "match_type": "command", "command": "deploy",
		"bot": map[string]any{"name": "helper", "bot_id": "A11"}, "team": map[string]any{"name": "acme", "team_id": "T1"},
		"channels": map[string]any{"<#C1>": "general"}, "subteams": map[string]any{"<!subteam^S1>": "oncall"}, "specials": map[string]any{"<!here>": "@here"},
		"emojis": map[string]any{":tada:": "tada"}, "emails": map[string]any{"<mailto:a@b.example|a@b.example>": "a@b.example"},
		"urls": map[string]any{"<https://x.example/?a=1|label>": "https://x.example/?a=1"},
	}
	if d := diff(got, want); d != "" {
		t.Error(d)
	}
	if user, _ := got["parsed_user"].(map[string]any); user["name"] != "ann" || user["real_name"] != "Ann Lee" {
		t.Errorf("parsed_user: got %v", got["parsed_user"])
	}
	if channel, _ := got["channel"].(map[string]any); channel["name"] != "general" || channel["num_members"] != 7.0 {
		t.Errorf("channel: got %v", got["channel"])
	}
	if users, _ := got["users"].(map[string]any); users["<@U2>"] != "ali" || users["<@UA11>"] != "helper" {
		t.Errorf("users: got %v", got["users"])
	}
	const parsed = "@helper deploy @ali to #general for @oncall & @here :tada: a@b.example https://x.example/?a=1"
	if s := strings.ReplaceAll(fmt.Sprint(got["parsed_text"]), "&amp;", "&"); s != parsed {
		t.Errorf("parsed_text: got %q, want %q", s, parsed)
	}
	if s := strings.ReplaceAll(fmt.Sprint(got["args"]), "&amp;", "&"); s != strings.TrimPrefix(parsed, "@helper deploy ") {
		t.Errorf("args: got %q", s)
	}
	if s := fmt.Sprint(got["command_text"]); !strings.HasPrefix(s, "deploy @ali") {
		t.Errorf("command_text: got %q", s)
	}
	for _, secret := range []string{"token", "authorizations"} {
		if _, there := got[secret]; there {
			t.Errorf("the payload has %s", secret)
		}
	}
	if h := p.service.headers["/command"]; !strings.HasPrefix(h.Get("Content-Type"), "application/json") {
		t.Errorf("Content-Type: %q", h.Get("Content-Type"))
	}

	p.says("2", "we sh1p it", "user", "U9")
	got = p.service.one(t, "/regex")
	want = map[string]any{
		"match_type": "regex", "regex": "sh[i1]p", "directed": false, "mentioned": false, "thread_ts": nil, "parsed_user": map[string]any{},
		"command_text": "we sh1p it", "parsed_text": "we sh1p it", "users": map[string]any{},
	}
	if d := diff(got, want); d != "" {
		t.Errorf("of a regex, and somebody unknown:\n%s", d)
	}
	if _, there := got["command"]; there {
		t.Error("a regex has a command")
	}
}

// TestParityMatchingOfMessages holds which handlers run, and in which order.
func TestParityMatchingOfMessages(t *testing.T) {
	t.Parallel()
	handler := func(match, kind, more, path string) string {
		return fmt.Sprintf("    - {match: %q, match_type: %s, %s bots: {acme: [helper]}, callbacks: %s}\n", match, kind, more, hook(path))
	}
	p := newParity(t, "default_to_help: false\nhandlers:\n  message_handlers:\n"+
		handler("help", "command", "", "help")+
		handler("helper", "command", "", "helper")+
		handler("anywhere", "command", "match_mention: true,", "anywhere")+
		handler("threads", "command", "match_reply: true,", "threads")+
		handler("alpha", "regex", "", "alpha")+
		handler("^al", "regex", "", "al")+
		handler("deep", "regex", "match_reply: true,", "deep")+
		handler("[a-z]", "regex", "regex_type: absence,", "none")+
		"    - {match: \"\", match_type: command, bots: {acme: [second]}, callbacks: "+hook("everything")+"}\n", nil, nil)
	const thread = "1699999999.000100"
	for i, tc := range []struct {
		what, app, text string
		fields          []any
		want            string
	}{
		{"a command", "A11", "<@UA11> help me", nil, "help"},
		{"the first command alone, without a word boundary", "A11", "<@UA11> helper", nil, "help"},
		{"a command that is not directed", "A11", "help me", nil, ""},
		{"a command in a direct message", "A11", "help me", []any{"channel", "D1", "channel_type", "im"}, "help"},
		{"the name by itself in a direct message", "A11", "<@UA11> help", []any{"channel", "D1", "channel_type", "im"}, "help"},
		{"another command in between", "A11", "hey <@UA11> help me", nil, ""},
		{"match_mention", "A11", "hey <@UA11> anywhere", nil, "anywhere"},
		{"a mention of somebody else", "A11", "hey <@U2> anywhere", nil, ""},
		{"no reply without match_reply", "A11", "<@UA11> help me", []any{"thread_ts", thread}, ""},
		{"a reply with match_reply", "A11", "<@UA11> threads", []any{"thread_ts", thread}, "threads"},
		{"all regexes that match", "A11", "alpha", nil, "al alpha"},
		{"regexes beside a command", "A11", "<@UA11> help alpha", nil, "alpha help"},
		{"a regex in a thread only with match_reply", "A11", "alpha deep", []any{"thread_ts", thread}, "deep"},
		{"absence", "A11", "123", nil, "none"},
		{"the empty command is everything that is directed", "A12", "<@UA12> whatever", nil, "everything"},
		{"and nothing else", "A12", "whatever", nil, ""},
		{"a handler of another bot", "A12", "alpha", nil, ""},
		{"a bot of another team", "A21", "<@UA21> help", nil, ""},
		{"of a bot", "A11", "<@UA11> help", []any{"bot_id", "BX", "user", "UX"}, ""},
		{"of Slackbot", "A11", "<@UA11> help", []any{"user", "USLACKBOT"}, ""},
		{"an edit", "A11", "", []any{"subtype", "message_changed", "message", spoken("x", "<@UA11> help")}, ""},
		{"a no-break space behind the name", "A11", "<@UA11>\u00a0help me", nil, "help"},
	} {
		p.event(tc.app, fmt.Sprint("m", i), spoken(fmt.Sprint("m", i), tc.text, tc.fields...))
		if got := ran(p.service.paths()); got != tc.want {
			t.Errorf("%s: %q ran %q, want %q", tc.what, tc.text, got, tc.want)
		}
	}
	if calls := p.slack.take(); len(calls) != 0 {
		t.Errorf("without help nobody answers: got %v", calls)
	}
}

// ran names the paths that were called, sorted.
func ran(paths map[string]int) string {
	var out []string
	for path, n := range paths {
		out = append(out, strings.Repeat(path+" ", n))
	}
	return strings.TrimSpace(strings.Join(slices.Sorted(slices.Values(out)), ""))
}
