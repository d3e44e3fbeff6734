package sim

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// hookOf gives a command and returns the path of its response_url.
func (s *localSlack) hookOf(command string) string {
	s.t.Helper()
	s.say("C0OPS", command)
	return strings.TrimPrefix(s.app.next().form.Get("response_url"), s.URL())
}

func (s *localSlack) respondAt(path, body string) (int, any) {
	s.t.Helper()
	status, out := s.post(path, "application/json", body, "")
	return status, out["error"]
}

func TestResponseURLWorksFiveTimesForHalfAnHour(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	at := s.hookOf("/x")
	for range 5 {
		if status, code := s.respondAt(at, `{"text":"later"}`); status != http.StatusOK {
			t.Fatalf("%d %v", status, code)
		}
	}
	if status, code := s.respondAt(at, `{"text":"later"}`); status != http.StatusNotFound || code != "used_url" {
		t.Errorf("sixth use: %d %v", status, code)
	}
	at = s.hookOf("/x")
	s.time.Advance(30*time.Minute + time.Second)
	if status, code := s.respondAt(at, `{"text":"late"}`); status != http.StatusNotFound || code != "expired_url" {
		t.Errorf("late: %d %v", status, code)
	}
	if status, code := s.respondAt("/response/NOSUCH", `{"text":"x"}`); status != http.StatusNotFound || code != "expired_url" {
		t.Errorf("made up: %d %v", status, code)
	}
	if status, code := s.respondAt(s.hookOf("/x"), `{`); status != http.StatusBadRequest || code != "invalid_payload" {
		t.Errorf("no JSON: %d %v", status, code)
	}
	if status, code := s.respondAt(s.hookOf("/x"), `{}`); status != http.StatusBadRequest || code != "no_text" {
		t.Errorf("no text: %d %v", status, code)
	}
}

func TestResponseTypes(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	at := s.hookOf("/x")
	s.respondAt(at, `{"text":"for you"}`)
	if m := s.last("C0OPS"); m.Viewer != "U0ADA" || m.BotID == "" {
		t.Errorf("default: %+v", m)
	}
	s.respondAt(at, `{"text":"for all","response_type":"in_channel"}`)
	all := s.last("C0OPS")
	if all.Viewer != "" {
		t.Errorf("in_channel: %+v", all)
	}
	s.respondAt(at, `{"text":"in the thread","response_type":"in_channel","thread_ts":"`+all.TS+`"}`)
	if m := s.last("C0OPS"); m.ThreadTS != all.TS {
		t.Errorf("thread_ts: %+v", m)
	}
}

func TestClickedMessageIsReplacedAndDeleted(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"ephemeral", "in_channel"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newSlack(t)
			s.respondAt(s.hookOf("/x"), `{"response_type":"`+kind+`","text":"sure?","blocks":[{"type":"actions","elements":[{"type":"button","action_id":"yes","text":{"type":"plain_text","text":"Yes"}}]}]}`)
			m := s.last("C0OPS")
			if kind == "in_channel" {
				s.app.next()
			}
			if err := s.Click(t.Context(), Click{User: "U0ADA", Channel: "C0OPS", TS: m.TS, ActionID: "yes"}); err != nil {
				t.Fatal(err)
			}
			p := s.app.next().json
			if box, _ := p["container"].(Block); box["is_ephemeral"] != (kind == "ephemeral") || box["message_ts"] != m.TS {
				t.Errorf("container %v", box)
			}
			to, _ := p["response_url"].(string)
			at := strings.TrimPrefix(to, s.URL())
			s.respondAt(at, `{"text":"beside it"}`)
			if got := s.messages("C0OPS"); len(got) != 2 || got[1].Viewer != "U0ADA" {
				t.Errorf("default is a new ephemeral message: %+v", got)
			}
			if status, code := s.respondAt(at, `{"replace_original":true,"text":"done"}`); status != http.StatusOK {
				t.Fatalf("replace: %v", code)
			}
			if got := s.messages("C0OPS"); got[0].Text != "done" || len(got[0].Blocks) != 0 || got[0].TS != m.TS || got[0].Viewer != m.Viewer {
				t.Errorf("replaced: %+v", got[0])
			}
			if status, code := s.respondAt(at, `{"delete_original":true}`); status != http.StatusOK {
				t.Fatalf("delete: %v", code)
			}
			if got := s.messages("C0OPS"); len(got) != 1 || got[0].Text != "beside it" {
				t.Errorf("left: %+v", got)
			}
			if status, code := s.respondAt(at, `{"replace_original":true,"text":"gone"}`); status == http.StatusOK || code != "message_not_found" {
				t.Errorf("replacing what is gone: %d %v", status, code)
			}
		})
	}
}
