package sim

import "testing"

// TestChannelFromCreationToArchive is what an app does with a channel of its own.
func TestChannelFromCreationToArchive(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	made := s.ok("conversations.create", Block{"name": "inc-1-fire"})
	ch, _ := made["channel"].(map[string]any)
	id, _ := ch["id"].(string)
	if ch["name"] != "inc-1-fire" || ch["is_member"] != true || id == "" {
		t.Fatalf("made %v", made)
	}
	s.ok("conversations.invite", Block{"channel": id, "users": "U0ADA,U0GRACE"})
	s.ok("conversations.setTopic", Block{"channel": id, "topic": "fire · lead <@U0ADA>"})
	s.ok("conversations.setPurpose", Block{"channel": id, "purpose": "it burns"})
	info, _ := s.ok("conversations.info", Block{"channel": id})["channel"].(map[string]any)
	topic, _ := info["topic"].(map[string]any)
	if info["num_members"] != 3.0 || topic["value"] != "fire · lead <@U0ADA>" {
		t.Errorf("info %v", info)
	}
	s.ok("chat.postMessage", Block{"channel": id, "text": "over"})
	s.ok("conversations.archive", Block{"channel": id})
	for _, c := range []struct {
		method string
		args   Block
		want   string
	}{
		{"conversations.create", Block{}, "invalid_name_required"},
		{"conversations.create", Block{"name": "inc-1-fire"}, "name_taken"},
		{"conversations.create", Block{"name": "Not So"}, "invalid_name_specials"},
		{"conversations.archive", Block{"channel": id}, "already_archived"},
		{"conversations.archive", Block{"channel": "C0GENERAL"}, "cant_archive_general"},
		{"conversations.setTopic", Block{"channel": id, "topic": "x"}, "is_archived"},
		{"chat.postMessage", Block{"channel": id, "text": "x"}, "is_archived"},
		{"conversations.setTopic", Block{"channel": "C9", "topic": "x"}, "channel_not_found"},
	} {
		if got := s.api(c.method, c.args); got["error"] != c.want {
			t.Errorf("%s %v: %v, want %s", c.method, c.args, got, c.want)
		}
	}
}
