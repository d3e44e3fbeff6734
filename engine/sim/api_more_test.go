package sim

import (
	"testing"
	"time"
)

func TestScheduledMessagesGoByTheClock(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	in := func(d time.Duration) int64 { return s.Clock().Now.Add(d).Unix() }
	for want, at := range map[string]any{"invalid_time": "soon", "time_in_past": in(-time.Minute), "time_too_far": in(121 * 24 * time.Hour)} {
		if out := s.api("chat.scheduleMessage", Block{"channel": "C0OPS", "text": "x", "post_at": at}); out["error"] != want {
			t.Errorf("post_at %v: %v, want %s", at, out, want)
		}
	}
	s.ok("chat.scheduleMessage", Block{"channel": "C0OPS", "text": "in an hour", "post_at": in(time.Hour)})
	dropped := s.ok("chat.scheduleMessage", Block{"channel": "C0OPS", "text": "never", "post_at": in(time.Hour)})["scheduled_message_id"]
	list, _ := s.ok("chat.scheduledMessages.list", nil)["scheduled_messages"].([]any)
	if len(list) != 2 {
		t.Errorf("scheduled: %v", list)
	}
	drop := Block{"channel": "C0OPS", "scheduled_message_id": dropped}
	s.ok("chat.deleteScheduledMessage", drop)
	if out := s.api("chat.deleteScheduledMessage", drop); out["error"] != "invalid_scheduled_message_id" {
		t.Errorf("deleted twice: %v", out)
	}
	if err := s.MoveClock(2*time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	if e := s.app.next().event(); e["text"] != "in an hour" {
		t.Errorf("posted %v", e)
	}
	if list, _ = s.ok("chat.scheduledMessages.list", nil)["scheduled_messages"].([]any); len(list) != 0 {
		t.Errorf("left: %v", list)
	}
	if m := s.messages("C0OPS"); len(m) != 1 {
		t.Errorf("messages %+v", m)
	}
}

func TestChannelsPinsAndReactions(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	ts := s.say("C0OPS", "keep this")
	s.app.next()
	at := Block{"channel": "C0OPS", "timestamp": ts}
	for _, c := range []struct {
		method string
		args   Block
		want   string // "" if it is well
	}{
		{"pins.add", at, ""},
		{"pins.add", at, "already_pinned"},
		{"pins.remove", at, ""},
		{"pins.remove", at, "no_pin"},
		{"pins.add", Block{"channel": "C0OPS", "timestamp": "1.2"}, "message_not_found"},
		{"reactions.add", Block{"channel": "C0OPS", "timestamp": ts, "name": "eyes"}, ""},
		{"conversations.kick", Block{"channel": "C0OPS", "user": "U0GRACE"}, ""},
		{"conversations.kick", Block{"channel": "C0OPS", "user": "U0GRACE"}, "not_in_channel"},
		{"conversations.kick", Block{"channel": "C0OPS", "user": "U0STARLING"}, "cant_kick_self"},
		{"conversations.kick", Block{"channel": "C0OPS", "user": "U9"}, "user_not_found"},
		{"conversations.kick", Block{"channel": "C0GENERAL", "user": "U0ADA"}, "cant_kick_from_general"},
		{"conversations.rename", Block{"channel": "C0OPS", "name": "operations"}, ""},
		{"conversations.rename", Block{"channel": "C0OPS", "name": "general"}, "name_taken"},
		{"conversations.rename", Block{"channel": "C0OPS", "name": "No Spaces"}, "invalid_name_specials"},
		{"conversations.unarchive", Block{"channel": "C0OPS"}, "not_archived"},
		{"conversations.archive", Block{"channel": "C0OPS"}, ""},
		{"conversations.unarchive", Block{"channel": "C0OPS"}, ""},
		{"conversations.close", Block{"channel": "D0ADA"}, ""},
		{"conversations.close", Block{"channel": "C0OPS"}, "method_not_supported_for_channel_type"},
		{"conversations.mark", Block{"channel": "C0OPS", "ts": ts}, ""},
		{"conversations.mark", Block{"channel": "C0OPS", "ts": "now"}, "invalid_timestamp"},
		{"users.getPresence", Block{"user": "U0ADA"}, ""},
		{"users.getPresence", Block{"user": "U9"}, "user_not_found"},
		{"users.profile.get", Block{"user": "U0ADA"}, ""},
		{"chat.meMessage", Block{"channel": "C0OPS", "text": "waves"}, ""},
	} {
		out := s.api(c.method, c.args)
		if code, _ := out["error"].(string); code != c.want || out["ok"] != (c.want == "") {
			t.Errorf("%s %v: %v, want %q", c.method, c.args, out, c.want)
		}
	}
	if items, _ := s.ok("reactions.list", nil)["items"].([]any); len(items) != 1 {
		t.Errorf("reactions: %v", items)
	}
	if items, _ := s.ok("pins.list", Block{"channel": "C0OPS"})["items"].([]any); len(items) != 0 {
		t.Errorf("pins: %v", items)
	}
	want := map[string]bool{"pin_added": true, "pin_removed": true, "reaction_added": true, "member_left_channel": true, "channel_rename": true, "channel_archive": true, "channel_unarchive": true, "message": true}
	s.out.wg.Wait()
	for len(s.app.got) > 0 {
		delete(want, text(s.app.next().event()["type"]))
	}
	if len(want) > 0 {
		t.Errorf("the app was not told of %v", want)
	}
}
