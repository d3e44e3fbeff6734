package sim

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/payload"
)

// has fails for each key that is missing.
func has(t *testing.T, what string, b Block, keys ...string) {
	t.Helper()
	for _, k := range keys {
		if _, ok := b[k]; !ok {
			t.Errorf("%s lacks %s", what, k)
		}
	}
}

func TestMessageReachesTheAppAsEvent(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	ts := s.say("#general", "ship it to #ops, @grace & see https://example.com/a?b=1&c=2.")
	d := s.app.next()
	has(t, "envelope", d.json, "token", "team_id", "api_app_id", "event", "type", "event_id", "event_time", "authorizations", "event_context", "is_ext_shared_channel")
	has(t, "event", d.event(), "type", "user", "text", "ts", "channel", "event_ts", "channel_type", "team", "client_msg_id", "blocks")
	e := d.event()
	want := "ship it to <#C0OPS|ops>, <@U0GRACE> &amp; see <https://example.com/a?b=1&amp;c=2>."
	if e["text"] != want {
		t.Errorf("text %q, want %q", e["text"], want)
	}
	if e["ts"] != ts || e["channel"] != "C0GENERAL" || e["user"] != "U0ADA" || e["channel_type"] != "channel" {
		t.Errorf("event %v", e)
	}
	if got := d.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
}

func TestMentionIsDeliveredTwice(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.say("C0OPS", "@starling deploy")
	a, b := s.app.next(), s.app.next()
	if a.event()["type"] != "message" || b.event()["type"] != "app_mention" || a.event()["ts"] != b.event()["ts"] {
		t.Errorf("got %v and %v", a.event(), b.event())
	}
	if a.json["event_id"] == b.json["event_id"] {
		t.Error("both have one event_id")
	}
	s.say("D0ADA", "@starling hi")
	if e := s.app.next().event(); e["channel_type"] != "im" || e["type"] != "message" {
		t.Errorf("in a direct message: %v", e)
	}
	s.say("C0OPS", "end")
	if e := s.app.next().event(); e["text"] != "end" {
		t.Errorf("a direct message gave %v as well", e)
	}
}

func TestWhatTheAppIsNotTold(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	dm, err := s.OpenDM("U0ADA", "U0GRACE")
	if err != nil {
		t.Fatal(err)
	}
	s.say(dm, "just us")
	s.ok("chat.postEphemeral", Block{"channel": "C0OPS", "user": "U0ADA", "text": "psst"})
	s.say("C0OPS", "end")
	if e := s.app.next().event(); e["text"] != "end" {
		t.Errorf("the app was told of %v", e)
	}
}

func TestOwnMessagesComeBackWithBotID(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.ok("chat.postMessage", Block{"channel": "#ops", "text": "done <@U0STARLING>", "metadata": Block{"event_type": "x", "event_payload": Block{"run": "1"}}})
	e := s.app.next().event()
	has(t, "event", e, "bot_id", "app_id", "bot_profile", "user", "metadata")
	if e["type"] != "message" || e["bot_id"] != "B0STARLING" || e["user"] != "U0STARLING" {
		t.Errorf("event %v", e)
	}
	s.say("C0OPS", "end")
	if e := s.app.next().event(); e["text"] != "end" {
		t.Errorf("a mention of itself gave %v", e)
	}
}

func TestThreadsEditsAndDeletions(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	parent := s.say("C0OPS", "who is on call?")
	s.app.next()
	reply, err := s.Say(t.Context(), Say{User: "U0GRACE", Channel: "C0OPS", Text: "me", Thread: parent})
	if err != nil {
		t.Fatal(err)
	}
	if e := s.app.next().event(); e["thread_ts"] != parent || e["parent_user_id"] != "U0ADA" {
		t.Errorf("reply %v", e)
	}
	if m := s.messages("C0OPS")[0]; m.ReplyCount != 1 || m.LatestReply != reply.TS || !slices.Equal(m.ReplyUsers, []string{"U0GRACE"}) {
		t.Errorf("parent %+v", m)
	}
	if err := s.EditMessage(Target{"U0GRACE", "C0OPS", parent}, "mine now"); err != Code("cant_update_message") {
		t.Errorf("editing another's message: %v", err)
	}
	if err := s.EditMessage(Target{"U0ADA", "C0OPS", parent}, "who is on call today?"); err != nil {
		t.Fatal(err)
	}
	e := s.app.next().event()
	has(t, "message_changed", e, "message", "previous_message", "hidden", "channel", "ts", "event_ts", "channel_type")
	now, _ := e["message"].(Block)
	before, _ := e["previous_message"].(Block)
	if e["subtype"] != "message_changed" || now["text"] != "who is on call today?" || before["text"] != "who is on call?" || now["ts"] != parent || now["edited"] == nil {
		t.Errorf("edit %v", e)
	}
	if err := s.DeleteMessage(Target{"U0GRACE", "C0OPS", reply.TS}); err != nil {
		t.Fatal(err)
	}
	e = s.app.next().event()
	if e["subtype"] != "message_deleted" || e["deleted_ts"] != reply.TS {
		t.Errorf("delete %v", e)
	}
	if m := s.messages("C0OPS")[0]; m.ReplyCount != 0 || m.ThreadTS != "" {
		t.Errorf("parent without replies %+v", m)
	}
}

func TestDeletedParentLeavesATombstone(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	parent := s.say("C0OPS", "secret")
	if _, err := s.Say(t.Context(), Say{User: "U0GRACE", Channel: "C0OPS", Text: "oh", Thread: parent}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMessage(Target{"U0ADA", "C0OPS", parent}); err != nil {
		t.Fatal(err)
	}
	if m := s.messages("C0OPS")[0]; m.Subtype != "tombstone" || strings.Contains(m.Text, "secret") {
		t.Errorf("parent %+v", m)
	}
	s.app.next()
	s.app.next()
	if e := s.app.next().event(); e["subtype"] != "message_changed" {
		t.Errorf("event %v", e)
	}
}

func TestReactions(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	ts := s.say("C0OPS", "nice")
	s.app.next()
	at := Target{"U0GRACE", "C0OPS", ts}
	if err := s.React(at, "tada", false); err != nil {
		t.Fatal(err)
	}
	e := s.app.next().event()
	has(t, "reaction_added", e, "type", "user", "reaction", "item", "item_user", "event_ts")
	item, _ := e["item"].(Block)
	if e["type"] != "reaction_added" || e["reaction"] != "tada" || item["ts"] != ts || item["channel"] != "C0OPS" || e["item_user"] != "U0ADA" {
		t.Errorf("event %v", e)
	}
	if err := s.React(at, "tada", false); err != Code("already_reacted") {
		t.Errorf("twice: %v", err)
	}
	if err := s.React(at, "tada", true); err != nil {
		t.Fatal(err)
	}
	if e := s.app.next().event(); e["type"] != "reaction_removed" {
		t.Errorf("event %v", e)
	}
	if err := s.React(at, "tada", true); err != Code("no_reaction") {
		t.Errorf("removed twice: %v", err)
	}
	if m := s.last("C0OPS"); len(m.Reactions) != 0 {
		t.Errorf("left: %v", m.Reactions)
	}
}

func TestHomeAndMembership(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	if err := s.OpenHome("U0ADA"); err != nil {
		t.Fatal(err)
	}
	e := s.app.next().event()
	if e["type"] != "app_home_opened" || e["tab"] != "home" || e["view"] != nil {
		t.Errorf("event %v", e)
	}
	s.ok("views.publish", Block{"user_id": "U0ADA", "view": homeView("hi")})
	if err := s.OpenHome("U0ADA"); err != nil {
		t.Fatal(err)
	}
	v, _ := s.app.next().event()["view"].(Block)
	has(t, "view", v, "id", "team_id", "type", "blocks", "hash", "state", "root_view_id", "app_id", "bot_id", "private_metadata", "callback_id")
	if err := s.Join("U0GRACE", "random", true); err != nil {
		t.Fatal(err)
	}
	if e := s.app.next().event(); e["type"] != "member_left_channel" || e["user"] != "U0GRACE" {
		t.Errorf("event %v", e)
	}
	if _, err := s.Say(t.Context(), Say{User: "U0GRACE", Channel: "random", Text: "x"}); err != Code("not_in_channel") {
		t.Errorf("posting from outside: %v", err)
	}
}

func TestCommandIsSentAndAnswered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, contentType, body string
		text, viewer            string // of the answer; "" for none
	}{
		{"empty answer is silent", "", "", "", ""},
		{"text is ephemeral", "text/plain; charset=utf-8", "on it", "on it", "U0ADA"},
		{"JSON is ephemeral by default", "application/json", `{"text":"on it"}`, "on it", "U0ADA"},
		{"JSON in_channel is for everyone", "application/json; charset=utf-8", `{"text":"on it","response_type":"in_channel"}`, "on it", ""},
		{"in_channel alone shows the command", "application/json", `{"response_type":"in_channel"}`, "/deploy api @grace &lt;now&gt;", ""},
		{"broken JSON is shown as Slack does", "application/json", `{"text":`, `/deploy failed with the error "invalid_command_response"`, "U0ADA"},
		{"unusable blocks are shown as Slack does", "application/json", `{"blocks":[{"type":"nope"}]}`, `/deploy failed with the error "invalid_command_response"`, "U0ADA"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSlack(t)
			s.app.says(c.contentType, c.body)
			if _, err := s.Say(t.Context(), Say{User: "U0ADA", Channel: "#deploys", Text: "/deploy api @grace <now>"}); err != nil {
				t.Fatal(err)
			}
			form := s.app.next().form
			for k, want := range map[string]string{
				"command": "/deploy", "text": "api <@U0GRACE|grace> &lt;now&gt;", "team_id": "T0STARLING", "team_domain": "local",
				"channel_id": "C0DEPLOYS", "channel_name": "deploys", "user_id": "U0ADA", "user_name": "ada",
				"api_app_id": "A0STARLING", "is_enterprise_install": "false",
			} {
				if got := form.Get(k); got != want {
					t.Errorf("%s is %q, want %q", k, got, want)
				}
			}
			if form.Get("trigger_id") == "" || !strings.HasPrefix(form.Get("response_url"), s.URL()+"/response/") {
				t.Errorf("form %v", form)
			}
			all := s.messages("C0DEPLOYS")
			if c.text == "" {
				if len(all) != 0 {
					t.Errorf("shown: %+v", all)
				}
				return
			}
			if m := s.last("C0DEPLOYS"); m.Text != c.text || m.Viewer != c.viewer {
				t.Errorf("shown: %q to %q", m.Text, m.Viewer)
			}
		})
	}
}

func TestFailedCommandIsShownAsSlackShowsIt(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.app.reply(func(w http.ResponseWriter, _ delivered) { w.WriteHeader(http.StatusServiceUnavailable) })
	s.say("C0OPS", "/x")
	if got := s.last("C0OPS"); got.Text != `/x failed with the error "dispatch_failed"` || got.Viewer != "U0ADA" || got.User != slackbot {
		t.Errorf("shown %+v", got)
	}
	s.SetFaults(Faults{LostAcks: 1})
	s.say("C0OPS", "/x")
	if got := s.last("C0OPS").Text; got != `/x failed with the error "operation_timeout"` {
		t.Errorf("shown %q", got)
	}
	s.app.next()
	s.app.next()
	s.app.none() // commands are not sent again
}

func TestSlashInThreadsAndPathsIsText(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.say("C0OPS", "/etc/hosts is wrong")
	if e := s.app.next().event(); e["text"] != "/etc/hosts is wrong" {
		t.Errorf("event %v", e)
	}
}

func TestClickTellsEverything(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	ts, _ := s.ok("chat.postMessage", Block{"channel": "C0OPS", "text": "?", "blocks": []Block{
		{"type": "section", "block_id": "s", "text": Block{"type": "mrkdwn", "text": "pick"}, "accessory": Block{
			"type": "static_select", "action_id": "env",
			"options": []Block{{"value": "p", "text": Block{"type": "plain_text", "text": "Prod"}}, {"value": "s", "text": Block{"type": "plain_text", "text": "Stage"}}},
		}},
		{"type": "actions", "block_id": "a", "elements": []Block{
			{"type": "button", "action_id": "go", "value": "7", "text": Block{"type": "plain_text", "text": "Go"}},
			{"type": "checkboxes", "action_id": "c", "options": []Block{{"value": "x", "text": Block{"type": "plain_text", "text": "X"}}}},
		}},
	}})["ts"].(string)
	s.app.next()
	err := s.Click(t.Context(), Click{User: "U0ADA", Channel: "C0OPS", TS: ts, ActionID: "go", Values: Block{"s": Block{"env": "s"}, "c": []any{"x"}}})
	if err != nil {
		t.Fatal(err)
	}
	p := s.app.next().json
	has(t, "block_actions", p, "type", "user", "api_app_id", "token", "container", "trigger_id", "team", "enterprise", "is_enterprise_install", "channel", "message", "state", "response_url", "actions")
	action, _ := p["actions"].([]any)[0].(Block)
	has(t, "action", action, "type", "action_id", "block_id", "action_ts", "value", "text")
	if action["value"] != "7" || action["block_id"] != "a" {
		t.Errorf("action %v", action)
	}
	raw, _ := json.Marshal(p["state"])
	want := `{"values":{"a":{"c":{"selected_options":[{"text":{"text":"X","type":"plain_text"},"value":"x"}],"type":"checkboxes"}},"s":{"env":{"selected_option":{"text":{"text":"Stage","type":"plain_text"},"value":"s"},"type":"static_select"}}}}`
	if string(raw) != want {
		t.Errorf("state %s\nwant %s", raw, want)
	}
	if err := s.Click(t.Context(), Click{User: "U0ADA", Channel: "C0OPS", TS: ts, ActionID: "env", Value: "p"}); err != nil {
		t.Fatal(err)
	}
	action, _ = s.app.next().json["actions"].([]any)[0].(Block)
	if o, _ := action["selected_option"].(Block); o["value"] != "p" || action["type"] != "static_select" {
		t.Errorf("select gave %v", action)
	}
	if err := s.Click(t.Context(), Click{User: "U0ADA", Channel: "C0OPS", TS: ts, ActionID: "nope"}); err != Code("action_not_found") {
		t.Errorf("unknown action: %v", err)
	}
}

func TestUnacknowledgedClickIsNoticed(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	ts, _ := s.ok("chat.postMessage", Block{"channel": "C0OPS", "text": "?", "blocks": []Block{buttons("go")}})["ts"].(string)
	s.app.reply(func(w http.ResponseWriter, _ delivered) { w.WriteHeader(http.StatusInternalServerError) })
	if err := s.Click(t.Context(), Click{User: "U0ADA", Channel: "C0OPS", TS: ts, ActionID: "go"}); err != nil {
		t.Fatal(err)
	}
	changes, _, _ := s.world.log.since(0)
	if !slices.ContainsFunc(changes, func(c Change) bool { return c.Kind == "notice" && strings.Contains(string(c.Data), "http_error") }) {
		t.Error("no notice")
	}
}

func buttons(ids ...string) Block {
	els := []Block{}
	for _, id := range ids {
		els = append(els, Block{"type": "button", "action_id": id, "text": Block{"type": "plain_text", "text": id}})
	}
	return Block{"type": "actions", "elements": els}
}

func TestShortcutsAndSuggestions(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	ts := s.say("C0OPS", "broken printer")
	s.app.next()
	if err := s.Shortcut(t.Context(), "U0ADA", "new_ticket"); err != nil {
		t.Fatal(err)
	}
	p := s.app.next().json
	has(t, "shortcut", p, "type", "callback_id", "trigger_id", "action_ts", "team", "user", "token")
	if p["type"] != "shortcut" || p["channel"] != nil || p["response_url"] != nil {
		t.Errorf("payload %v", p)
	}
	if err := s.MessageAction(t.Context(), Target{"U0ADA", "C0OPS", ts}, "to_ticket"); err != nil {
		t.Fatal(err)
	}
	p = s.app.next().json
	has(t, "message_action", p, "type", "callback_id", "trigger_id", "message", "message_ts", "channel", "response_url", "action_ts")
	if m, _ := p["message"].(Block); m["text"] != "broken printer" {
		t.Errorf("payload %v", p)
	}
	sel, _ := s.ok("chat.postMessage", Block{"channel": "C0OPS", "text": "?", "blocks": []Block{
		{"type": "actions", "elements": []Block{{"type": "external_select", "action_id": "find"}}},
	}})["ts"].(string)
	s.app.next()
	s.app.says("application/json", `{"options":[{"text":{"type":"plain_text","text":"Berlin"},"value":"ber"}]}`)
	in := Click{User: "U0ADA", Channel: "C0OPS", TS: sel, ActionID: "find", Value: "ber"}
	out, err := s.Suggest(t.Context(), in)
	if err != nil || len(payload.OptionsOf(out)) != 1 {
		t.Fatalf("options %v, %v", out, err)
	}
	p = s.app.next().json
	has(t, "block_suggestion", p, "type", "action_id", "block_id", "value", "team", "user", "container", "api_app_id")
	if p["value"] != "ber" {
		t.Errorf("payload %v", p)
	}
	if err := s.Click(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	action, _ := s.app.next().json["actions"].([]any)[0].(Block)
	if o, _ := action["selected_option"].(Block); o["value"] != "ber" || o["text"] == nil {
		t.Errorf("action %v", action)
	}
	s.app.says("application/json", `{"options":[],"option_groups":[]}`)
	if out, err := s.Suggest(t.Context(), in); err != nil || len(payload.OptionsOf(out)) != 0 {
		t.Errorf("both kinds at once: %v, %v", out, err)
	}
}

func TestTimestampsRiseWhileTheClockStands(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	last := ""
	for range 50 {
		ts := s.say("C0OPS", "tick")
		if ts <= last {
			t.Fatalf("%s after %s", ts, last)
		}
		last = ts
	}
	s.time.Advance(-time.Hour)
	if ts := s.say("C0OPS", "back"); ts <= last {
		t.Errorf("%s after %s", ts, last)
	}
}

func TestPageAPIIsForCurl(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	status, out := s.post("/sim/message", "application/x-www-form-urlencoded", "user=U0ADA&channel=%23ops&text=hello+%26+bye", "")
	if status != http.StatusOK || out["ok"] != true {
		t.Fatalf("%d %v", status, out)
	}
	if e := s.app.next().event(); e["text"] != "hello &amp; bye" {
		t.Errorf("event %v", e)
	}
	ts, _ := out["ts"].(string)
	status, out = s.post("/sim/react", "", `{"user":"U0ADA","channel":"C0OPS","ts":"`+ts+`","name":":eyes:"}`, "")
	if status != http.StatusOK || s.last("C0OPS").Reactions[0].Name != "eyes" {
		t.Errorf("%d %v", status, out)
	}
	for body, want := range map[string]string{
		`{"user":"nobody","channel":"C0OPS","text":"x"}`:   "user_not_found",
		`{"user":"U0ADA","channel":"nowhere","text":"x"}`:  "channel_not_found",
		`{"user":"U0ADA","channel":"C0OPS","text":" "}`:    "no_text",
		`{"user":"U0STARLING","channel":"C0OPS","text":1}`: "cannot unmarshal",
		`{"user":"U0ADA","chanel":"C0OPS"}`:                "unknown field",
	} {
		status, out := s.post("/sim/message", "application/json", body, "")
		if got, _ := out["error"].(string); status != http.StatusBadRequest || !strings.Contains(got, want) {
			t.Errorf("%s: %d %v, want %s", body, status, out, want)
		}
	}
	res, err := s.web.Client().Get(s.web.URL + "/sim/state")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	var snap Snapshot
	if err := json.Unmarshal(raw, &snap); err != nil || len(snap.Users) != 5 || len(snap.Messages["C0OPS"]) != 1 {
		t.Errorf("snapshot: %v %d users", err, len(snap.Users))
	}
	if strings.Contains(string(raw), "xoxb-") || strings.Contains(string(raw), DevSigningSecret) {
		t.Error("the snapshot holds a token")
	}
}
