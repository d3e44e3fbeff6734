package sim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// trigger clicks a button and returns the trigger_id that the app got.
func (s *localSlack) trigger() string {
	s.t.Helper()
	ts, _ := s.ok("chat.postMessage", Block{"channel": "D0ADA", "text": "?", "blocks": []Block{buttons("go")}})["ts"].(string)
	s.app.next()
	if err := s.Click(s.t.Context(), Click{User: "U0ADA", Channel: "D0ADA", TS: ts, ActionID: "go"}); err != nil {
		s.t.Fatal(err)
	}
	id, _ := s.app.next().json["trigger_id"].(string)
	return id
}

// open opens a modal and returns its id.
func (s *localSlack) open(view Block) string {
	s.t.Helper()
	v, _ := s.ok("views.open", Block{"trigger_id": s.trigger(), "view": view})["view"].(Block)
	id, _ := v["id"].(string)
	return id
}

func (s *localSlack) stack() []string {
	var titles []string
	for _, v := range s.Snapshot().Modals["U0ADA"] {
		titles = append(titles, text(v.Body["title"].(Block)["text"]))
	}
	return titles
}

func TestTriggerOpensOneViewSoon(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	view := modalView("One", "b")
	id := s.trigger()
	if out := s.api("views.open", Block{"trigger_id": id, "view": Block{"type": "modal"}}); out["error"] != "invalid_arguments" {
		t.Errorf("broken view: %v", out)
	}
	s.ok("views.open", Block{"trigger_id": id, "view": view}) // the refused view did not spend it
	if out := s.api("views.open", Block{"trigger_id": id, "view": view}); out["error"] != "exchanged_trigger_id" {
		t.Errorf("second use: %v", out)
	}
	id = s.trigger()
	s.time.Advance(3*time.Second + time.Millisecond)
	if out := s.api("views.open", Block{"trigger_id": id, "view": view}); out["error"] != "expired_trigger_id" {
		t.Errorf("late use: %v", out)
	}
	if out := s.api("views.open", Block{"trigger_id": "1.2.3", "view": view}); out["error"] != "invalid_trigger_id" {
		t.Errorf("made up: %v", out)
	}
}

func TestSubmissionAndItsAnswers(t *testing.T) {
	t.Parallel()
	second := `{"type":"modal","title":{"type":"plain_text","text":"Two"},"blocks":[]}`
	for _, c := range []struct {
		name, contentType, body string
		stack, errors           string
	}{
		{"empty closes", "", "", "[]", "map[]"},
		{"empty object closes", "application/json", "{}", "[]", "map[]"},
		{"errors stay", "application/json", `{"response_action":"errors","errors":{"reason":"no"}}`, "[One]", "map[reason:no]"},
		{"errors on no input", "application/json", `{"response_action":"errors","errors":{"zzz":"no"}}`, "[One]", "map[:" + troubled + "]"},
		{"update replaces", "application/json", `{"response_action":"update","view":` + second + `}`, "[Two]", "map[]"},
		{"push adds", "application/json", `{"response_action":"push","view":` + second + `}`, "[One Two]", "map[]"},
		{"clear closes all", "application/json", `{"response_action":"clear"}`, "[]", "map[]"},
		{"unknown action", "application/json", `{"response_action":"dance"}`, "[One]", "map[:" + troubled + "]"},
		{"text", "text/plain", "ok", "[One]", "map[:" + troubled + "]"},
		{"invalid view", "application/json", `{"response_action":"push","view":{"type":"modal"}}`, "[One]", "map[:" + troubled + "]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSlack(t)
			id := s.open(modalView("One", "reason"))
			s.app.says(c.contentType, c.body)
			bad, err := s.Submit(t.Context(), Submission{User: "U0ADA", View: id, Values: Block{"text": "because", "date": "2026-02-03", "user": "U0GRACE"}})
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(bad); got != c.errors {
				t.Errorf("errors %s, want %s", got, c.errors)
			}
			if got := fmt.Sprint(s.stack()); got != c.stack {
				t.Errorf("stack %s, want %s", got, c.stack)
			}
			p := s.app.next().json
			has(t, "view_submission", p, "type", "team", "user", "api_app_id", "token", "trigger_id", "view", "response_urls", "is_enterprise_install", "enterprise")
			v, _ := p["view"].(Block)
			has(t, "view", v, "id", "team_id", "type", "blocks", "private_metadata", "callback_id", "state", "hash", "title", "clear_on_close", "notify_on_close", "close", "submit", "previous_view_id", "root_view_id", "app_id", "external_id", "app_installed_team_id", "bot_id")
			values, _ := v["state"].(Block)["values"].(Block)
			if got, want := fmt.Sprint(values), "map[reason:map[text:map[type:plain_text_input value:because]] when:map[date:map[selected_date:2026-02-03 type:datepicker]] who:map[user:map[selected_user:U0GRACE type:users_select]]]"; got != want {
				t.Errorf("values %s\nwant %s", got, want)
			}
		})
	}
}

func TestEmptyRequiredInputNeverReachesTheApp(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	id := s.open(modalView("One", "reason"))
	bad, err := s.Submit(t.Context(), Submission{User: "U0ADA", View: id})
	if err != nil || !slices.Equal(slices.Collect(maps.Keys(bad)), []string{"reason"}) {
		t.Errorf("errors %v, %v", bad, err)
	}
	s.app.none()
}

func TestFailedSubmissionStaysOpen(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	id := s.open(modalView("One", "reason"))
	s.app.reply(func(w http.ResponseWriter, _ delivered) { w.WriteHeader(http.StatusInternalServerError) })
	bad, err := s.Submit(t.Context(), Submission{User: "U0ADA", View: id, Values: Block{"text": "x"}})
	if err != nil || bad[""] != troubled || len(s.stack()) != 1 {
		t.Errorf("%v, %v, %v", bad, err, s.stack())
	}
}

func TestStackIsThreeDeepAndCloseTellsTheApp(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.open(modalView("One", "a"))
	for i, title := range []string{"Two", "Three"} {
		v, _ := s.ok("views.push", Block{"trigger_id": s.trigger(), "view": modalView(title, "b")})["view"].(Block)
		stack := s.Snapshot().Modals["U0ADA"]
		if v["previous_view_id"] != stack[i].ID || v["root_view_id"] != stack[0].ID {
			t.Errorf("%s: previous %v, root %v", title, v["previous_view_id"], v["root_view_id"])
		}
	}
	if out := s.api("views.push", Block{"trigger_id": s.trigger(), "view": modalView("Four", "b")}); out["error"] != "push_limit_reached" {
		t.Errorf("fourth: %v", out)
	}
	stack := s.Snapshot().Modals["U0ADA"]
	if err := s.CloseView(t.Context(), "U0ADA", stack[2].ID, false); err != nil {
		t.Fatal(err)
	}
	p := s.app.next().json
	has(t, "view_closed", p, "type", "team", "user", "api_app_id", "token", "view", "is_cleared")
	if p["type"] != "view_closed" || p["is_cleared"] != false || fmt.Sprint(s.stack()) != "[One Two]" {
		t.Errorf("closed one: %v, stack %v", p["is_cleared"], s.stack())
	}
	if err := s.CloseView(t.Context(), "U0ADA", stack[1].ID, true); err != nil {
		t.Fatal(err)
	}
	a, b := s.app.next().json, s.app.next().json
	if a["is_cleared"] != true || b["is_cleared"] != true || len(s.stack()) != 0 {
		t.Errorf("closed all: %v %v %v", a, b, s.stack())
	}
}

func TestUpdateKeepsWhatIsTypedAndChecksTheHash(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	view := modalView("One", "reason")
	view["external_id"] = "ext"
	id := s.open(view)
	s.app.says("application/json", `{"response_action":"errors","errors":{"reason":"longer"}}`)
	if _, err := s.Submit(t.Context(), Submission{User: "U0ADA", View: id, Values: Block{"text": "typed"}}); err != nil {
		t.Fatal(err)
	}
	if out := s.api("views.update", Block{"view_id": id, "hash": "1.old", "view": view}); out["error"] != "hash_conflict" {
		t.Errorf("old hash: %v", out)
	}
	view["title"] = Block{"type": "plain_text", "text": "Renamed"}
	out, _ := s.ok("views.update", Block{"external_id": "ext", "view": view})["view"].(Block)
	if got := fmt.Sprint(out["state"]); !strings.Contains(got, "value:typed") || out["id"] != id {
		t.Errorf("state %s of %v", got, out["id"])
	}
	if out := s.api("views.update", Block{"view_id": "V0", "view": view}); out["error"] != "not_found" {
		t.Errorf("unknown view: %v", out)
	}
}

func TestViewsAreChecked(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	id := s.trigger()
	big := modalView("Big", "b")
	big["private_metadata"] = strings.Repeat("x", maxView)
	long := modalView(strings.Repeat("x", 25), "b")
	noSubmit := modalView("No submit", "b")
	delete(noSubmit, "submit")
	for name, c := range map[string]struct {
		view Block
		want string
	}{
		"too large":  {big, "view_too_large"},
		"long title": {long, "invalid_arguments"},
		"no submit":  {noSubmit, "invalid_arguments"},
		"home":       {homeView("x"), "invalid_arguments"},
		"bad block":  {Block{"type": "modal", "title": Block{"text": "x"}, "blocks": []Block{{"type": "section"}}}, "invalid_arguments"},
	} {
		if out := s.api("views.open", Block{"trigger_id": id, "view": c.view}); out["error"] != c.want {
			t.Errorf("%s: %v, want %s", name, out, c.want)
		}
	}
	if out := s.api("views.publish", Block{"user_id": "U9", "view": homeView("x")}); out["error"] != "invalid_arguments" {
		t.Errorf("publish for nobody: %v", out)
	}
}

func TestResponseURLsOfAModal(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	view := modalView("One", "reason")
	view["blocks"] = []Block{{"type": "input", "block_id": "where", "label": Block{"text": "Where"}, "element": Block{
		"type": "conversations_select", "action_id": "c", "response_url_enabled": true,
	}}}
	id := s.open(view)
	if _, err := s.Submit(t.Context(), Submission{User: "U0ADA", View: id, Values: Block{"c": "C0OPS"}}); err != nil {
		t.Fatal(err)
	}
	urls, _ := s.app.next().json["response_urls"].([]any)
	if len(urls) != 1 {
		t.Fatalf("response_urls %v", urls)
	}
	u, _ := urls[0].(Block)
	to, _ := u["response_url"].(string)
	if status, out := s.post(strings.TrimPrefix(to, s.URL()), "application/json", `{"text":"from the modal","response_type":"in_channel"}`, ""); status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	if m := s.last("C0OPS"); m.Text != "from the modal" || u["channel_id"] != "C0OPS" {
		t.Errorf("posted %+v", m)
	}
}
