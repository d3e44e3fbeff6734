package sim

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestErrorsAreSlacksCodes(t *testing.T) {
	t.Parallel()
	s := newSlack(t, func(o *Options) {
		o.Seed = DefaultSeed()
		o.Seed.Channels = append(o.Seed.Channels, Channel{ID: "C0ALONE", Name: "alone", Members: []string{"U0ADA"}}, Channel{ID: "C0SECRET", Name: "secret", Private: true, Members: []string{"U0ADA"}})
	})
	theirs := s.say("C0OPS", "hers")
	mine, _ := s.ok("chat.postMessage", Block{"channel": "C0OPS", "text": "mine"})["ts"].(string)
	s.ok("reactions.add", Block{"channel": "C0OPS", "timestamp": mine, "name": "eyes"})
	many := make([]Block, 51)
	for i := range many {
		many[i] = Block{"type": "divider"}
	}
	for _, c := range []struct {
		method string
		args   Block
		want   string
	}{
		{"no.such", nil, "unknown_method"},
		{"chat.postMessage", Block{"channel": "C9", "text": "x"}, "channel_not_found"},
		{"chat.postMessage", Block{"channel": "C0OPS"}, "no_text"},
		{"chat.postMessage", Block{"channel": "#alone", "text": "x"}, "not_in_channel"},
		{"chat.postMessage", Block{"channel": "secret", "text": "x"}, "channel_not_found"},
		{"chat.postMessage", Block{"channel": "C0OPS", "text": "x", "thread_ts": "1.000001"}, "thread_not_found"},
		{"chat.postMessage", Block{"channel": "C0OPS", "blocks": []Block{{"type": "nope"}}}, "invalid_blocks"},
		{"chat.postMessage", Block{"channel": "C0OPS", "blocks": many}, "invalid_blocks"},
		{"chat.postMessage", Block{"channel": "C0OPS", "blocks": []Block{{"type": "section", "text": Block{"type": "mrkdwn", "text": strings.Repeat("x", 3001)}}}}, "invalid_blocks"},
		{"chat.postMessage", Block{"channel": "C0OPS", "blocks": []Block{{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}}}, "invalid_blocks"},
		{"chat.postMessage", Block{"channel": "C0OPS", "blocks": "["}, "invalid_blocks_format"},
		{"chat.postMessage", Block{"channel": "C0OPS", "text": "x", "metadata": Block{}}, "invalid_metadata_schema"},
		{"chat.postEphemeral", Block{"channel": "C0OPS", "text": "x", "user": "U9"}, "user_not_found"},
		{"chat.postEphemeral", Block{"channel": "D0ADA", "text": "x", "user": "U0GRACE"}, "user_not_in_channel"},
		{"chat.update", Block{"channel": "C0OPS", "ts": theirs, "text": "x"}, "cant_update_message"},
		{"chat.update", Block{"channel": "C0OPS", "ts": "1.000001", "text": "x"}, "message_not_found"},
		{"chat.delete", Block{"channel": "C0OPS", "ts": theirs}, "cant_delete_message"},
		{"chat.getPermalink", Block{"channel": "C0OPS", "message_ts": "1.2"}, "message_not_found"},
		{"conversations.info", Block{"channel": "C0SECRET"}, "channel_not_found"},
		{"conversations.history", Block{"channel": "C0ALONE"}, "not_in_channel"},
		{"conversations.history", Block{"channel": "C0OPS", "cursor": "bm9uZQ=="}, "invalid_cursor"},
		{"conversations.history", Block{"channel": "C0OPS", "limit": 0}, "invalid_limit"},
		{"conversations.history", Block{"channel": "C0OPS", "oldest": "yesterday"}, "invalid_ts_oldest"},
		{"conversations.replies", Block{"channel": "C0OPS", "ts": "1.2"}, "thread_not_found"},
		{"conversations.list", Block{"types": "rooms"}, "invalid_types"},
		{"conversations.open", Block{"users": "U9"}, "user_not_found"},
		{"conversations.join", Block{"channel": "D0ADA"}, "method_not_supported_for_channel_type"},
		{"conversations.leave", Block{"channel": "C0GENERAL"}, "cant_leave_general"},
		{"users.info", Block{"user": "U9"}, "user_not_found"},
		{"users.lookupByEmail", Block{"email": "nobody@example.com"}, "users_not_found"},
		{"bots.info", Block{"bot": "B9"}, "bot_not_found"},
		{"reactions.add", Block{"channel": "C0OPS", "timestamp": mine, "name": ":eyes:"}, "already_reacted"},
		{"reactions.add", Block{"channel": "C0OPS", "timestamp": mine, "name": "no such"}, "invalid_name"},
		{"reactions.add", Block{"channel": "C0OPS", "timestamp": "1.2", "name": "eyes"}, "message_not_found"},
		{"reactions.remove", Block{"channel": "C0OPS", "timestamp": theirs, "name": "eyes"}, "no_reaction"},
		{"usergroups.users.list", Block{"usergroup": "S9"}, "no_such_subteam"},
		{"views.open", Block{"view": modalView("x", "b")}, "invalid_arguments"},
		{"api.test", Block{"error": "my_error"}, "my_error"},
	} {
		if out := s.api(c.method, c.args); out["ok"] != false || out["error"] != c.want {
			t.Errorf("%s %v: %v, want %s", c.method, c.args, out, c.want)
		}
	}
}

func TestEveryBodyAndTokenForm(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	bearer := "Bearer " + DevBotToken
	multi := "--b\r\nContent-Disposition: form-data; name=\"channel\"\r\n\r\nC0OPS\r\n--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhi\r\n--b--\r\n"
	form := url.Values{"token": {DevBotToken}, "channel": {"C0OPS"}, "text": {"hi"}, "blocks": {`[{"type":"divider"}]`}}.Encode()
	for _, c := range []struct{ name, method, contentType, body, auth, want, warning string }{
		{"form with token", "chat.postMessage", "application/x-www-form-urlencoded", form, "", "", ""},
		{"form with charset", "chat.postMessage", "application/x-www-form-urlencoded; charset=utf-8", form, "", "", "superfluous_charset"},
		{"JSON", "chat.postMessage", "application/json; charset=utf-8", `{"channel":"C0OPS","text":"hi"}`, bearer, "", ""},
		{"JSON without charset", "chat.postMessage", "Application/JSON", `{"channel":"C0OPS","text":"hi"}`, bearer, "", "missing_charset"},
		{"multipart", "chat.postMessage", "multipart/form-data; boundary=b", multi, bearer, "", ""},
		{"empty JSON body", "auth.test", "application/json", "", bearer, "", "missing_charset"},
		{"no body, no type", "auth.test", "", "", bearer, "", ""},
		{"broken JSON", "auth.test", "application/json", "{", bearer, "invalid_json", "missing_charset"},
		{"text", "auth.test", "text/plain", "x", bearer, "invalid_post_type", ""},
		{"no token", "auth.test", "", "", "", "not_authed", ""},
		{"wrong token", "auth.test", "", "", "Bearer xoxb-other", "invalid_auth", ""},
		{"app token", "auth.test", "", "", "Bearer " + DevAppToken, "not_allowed_token_type", ""},
		{"no token needed", "api.test", "", "", "", "", ""},
	} {
		status, out := s.post("/api/"+c.method, c.contentType, c.body, c.auth)
		code, _ := out["error"].(string)
		warning, _ := out["warning"].(string)
		if status != http.StatusOK || code != c.want || warning != c.warning || out["ok"] != (c.want == "") {
			t.Errorf("%s: %d %v", c.name, status, out)
		}
	}
	for _, c := range s.Calls() {
		if _, ok := c.Args["token"]; ok {
			t.Error("a token is in the record of calls")
		}
	}
}

func TestUserTokenSpeaksForAPerson(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	_, out := s.post("/api/chat.postMessage", "application/json; charset=utf-8", `{"channel":"C0OPS","text":"as me"}`, "Bearer "+DevUserToken)
	if out["ok"] != true || s.last("C0OPS").User != "U0ADA" {
		t.Errorf("%v", out)
	}
}

func TestHistoryPagesAndMetadata(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	parent := s.say("C0OPS", "m0")
	for _, text := range []string{"m1", "m2", "m3", "m4"} {
		s.say("C0OPS", text)
	}
	s.ok("chat.postMessage", Block{"channel": "C0OPS", "thread_ts": parent, "text": "r1", "metadata": Block{"event_type": "run", "event_payload": Block{"id": "7"}}})
	s.ok("chat.postEphemeral", Block{"channel": "C0OPS", "user": "U0ADA", "text": "psst"})
	var got []string
	cursor, pages := "", 0
	for {
		out := s.ok("conversations.history", Block{"channel": "C0OPS", "limit": 2, "cursor": cursor})
		for _, m := range out["messages"].([]any) {
			got = append(got, m.(Block)["text"].(string))
		}
		pages++
		meta, _ := out["response_metadata"].(Block)
		if cursor, _ = meta["next_cursor"].(string); cursor == "" {
			if out["has_more"] != false {
				t.Error("has_more at the end")
			}
			break
		}
	}
	if strings.Join(got, " ") != "m4 m3 m2 m1 m0" || pages != 3 {
		t.Errorf("%d pages: %v", pages, got)
	}
	replies := s.ok("conversations.replies", Block{"channel": "C0OPS", "ts": parent, "include_all_metadata": true})["messages"].([]any)
	last := replies[len(replies)-1].(Block)
	if len(replies) != 2 || last["metadata"].(Block)["event_type"] != "run" {
		t.Errorf("replies %v", replies)
	}
	replies = s.ok("conversations.replies", Block{"channel": "C0OPS", "ts": parent})["messages"].([]any)
	if replies[1].(Block)["metadata"] != nil {
		t.Error("metadata without being asked for")
	}
	one := s.ok("conversations.history", Block{"channel": "C0OPS", "latest": parent, "oldest": parent, "inclusive": true})["messages"].([]any)
	if len(one) != 1 || one[0].(Block)["reply_count"] != 1.0 {
		t.Errorf("one message: %v", one)
	}
}

func TestUpdateDeleteAndPermalink(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	ts, _ := s.ok("chat.postMessage", Block{"channel": "C0OPS", "text": "a", "blocks": []Block{{"type": "divider"}}})["ts"].(string)
	link, _ := s.ok("chat.getPermalink", Block{"channel": "C0OPS", "message_ts": ts})["permalink"].(string)
	if want := s.URL() + "/archives/C0OPS/p" + strings.Replace(ts, ".", "", 1); link != want {
		t.Errorf("permalink %s, want %s", link, want)
	}
	s.ok("chat.update", Block{"channel": "C0OPS", "ts": ts, "text": "b"})
	if m := s.last("C0OPS"); m.Text != "b" || m.Edited == nil || len(m.Blocks) != 0 {
		t.Errorf("updated %+v", m)
	}
	s.ok("chat.delete", Block{"channel": "C0OPS", "ts": ts})
	if len(s.messages("C0OPS")) != 0 {
		t.Error("still there")
	}
	s.app.next()
	if e := s.app.next().event(); e["subtype"] != "message_changed" {
		t.Errorf("update gave %v", e)
	}
	if e := s.app.next().event(); e["subtype"] != "message_deleted" {
		t.Errorf("delete gave %v", e)
	}
}

func TestPostingToAUserOpensTheDirectMessage(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	if out := s.ok("chat.postMessage", Block{"channel": "U0GRACE", "text": "hi"}); out["channel"] != "D0GRACE" {
		t.Errorf("%v", out)
	}
	a := s.ok("conversations.open", Block{"users": "U0ADA,U0GRACE"})
	b := s.ok("conversations.open", Block{"users": "U0GRACE, U0ADA"})
	if a["channel"].(Block)["id"] != b["channel"].(Block)["id"] || a["already_open"] != false || b["already_open"] != true {
		t.Errorf("%v, then %v", a, b)
	}
}

func TestListsAndLookups(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	if n := len(s.ok("users.list", nil)["members"].([]any)); n != 5 {
		t.Errorf("%d users", n)
	}
	u, _ := s.ok("users.lookupByEmail", Block{"email": "GRACE@example.com"})["user"].(Block)
	if u["id"] != "U0GRACE" {
		t.Errorf("user %v", u)
	}
	if n := len(s.ok("conversations.list", Block{"types": "public_channel,im"})["channels"].([]any)); n != 7 {
		t.Errorf("%d conversations", n)
	}
	a := s.ok("auth.test", nil)
	has(t, "auth.test", a, "url", "team", "user", "team_id", "user_id", "bot_id")
	for _, method := range []string{"team.info", "bots.info", "emoji.list", "usergroups.list", "users.conversations"} {
		s.ok(method, nil)
	}
	if n := len(s.ok("conversations.members", Block{"channel": "C0OPS", "limit": "3"})["members"].([]any)); n != 3 {
		t.Errorf("%d members on a page", n)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	n := &naps{}
	s := newSlack(t, func(o *Options) { o.Sleep = n.sleep })
	s.SetFaults(Faults{
		SlowMs: 700, RetryAfter: 30, RateLimit: map[string]int{"chat.postMessage": 1, "users.list": -1},
		MissingScope: map[string]string{"reactions.add": "reactions:write"}, Errors: map[string]string{"team.info": "internal_error"},
	})
	status, out := s.post("/api/chat.postMessage", "application/json; charset=utf-8", `{"channel":"C0OPS","text":"x"}`, "Bearer "+DevBotToken)
	if status != http.StatusTooManyRequests || out["error"] != "ratelimited" {
		t.Errorf("%d %v", status, out)
	}
	s.ok("chat.postMessage", Block{"channel": "C0OPS", "text": "x"})
	if len(n.took) != 2 || n.took[0] != 700*time.Millisecond {
		t.Errorf("waited %v", n.took)
	}
	if out := s.api("reactions.add", nil); out["error"] != "missing_scope" || out["needed"] != "reactions:write" {
		t.Errorf("%v", out)
	}
	if out := s.api("team.info", nil); out["error"] != "internal_error" {
		t.Errorf("%v", out)
	}
	for range 2 {
		if out := s.api("users.list", nil); out["error"] != "ratelimited" {
			t.Errorf("%v", out)
		}
	}
	if status, _ := s.post("/sim/faults", "application/json", `{}`, ""); status != http.StatusOK {
		t.Error("healing failed")
	}
	s.ok("users.list", nil)
}
