package sim

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"
)

// aDialog has an element of every type.
func aDialog() Block {
	return Block{
		"callback_id": "ride", "title": "Ride", "submit_label": "Go", "state": "Limo", "notify_on_cancel": true,
		"elements": []Block{
			{"type": "text", "label": "From", "name": "from", "max_length": 10},
			{"type": "text", "subtype": "number", "label": "Seats", "name": "seats", "value": "2"},
			{"type": "textarea", "label": "Note", "name": "note", "optional": true, "hint": "for the driver"},
			{"type": "select", "label": "Kind", "name": "kind", "value": "x", "options": []Block{{"label": "Slow", "value": "s"}, {"label": "Express", "value": "x"}}},
			{"type": "select", "label": "Who", "name": "who", "data_source": "users"},
			{"type": "select", "label": "To", "name": "to", "data_source": "external", "min_query_length": 1},
		},
	}
}

// openDialog opens it and returns the id of what shows it.
func (s *localSlack) openDialog() string {
	s.t.Helper()
	s.say("C0OPS", "/ride")
	s.ok("dialog.open", Block{"trigger_id": s.app.next().form.Get("trigger_id"), "dialog": aDialog()})
	return s.Snapshot().Modals["U0ADA"][0].ID
}

func TestDialogsAreSubmittedAndCancelled(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	id := s.openDialog()
	s.app.says("application/json", `{"options":[{"label":"Osaka","value":"osa"}]}`)
	found, err := s.Suggest(t.Context(), Click{User: "U0ADA", View: id, ActionID: "to", Value: "os"})
	if err != nil {
		t.Fatal(err)
	}
	if o := s.app.next().json; o["type"] != "dialog_suggestion" || o["name"] != "to" || o["value"] != "os" || o["callback_id"] != "ride" || o["state"] != "Limo" {
		t.Errorf("asked for options with %v", o)
	}
	if want := (Block{"options": []any{Block{"text": labelText("Osaka"), "value": "osa"}}}); !cmp.Equal(found, want) {
		t.Error(cmp.Diff(want, found))
	}

	values := Block{"from": "Tokyo and all around it", "seats": "3", "kind": "s", "who": "U0GRACE", "to": "osa"}
	if bad, err := s.Submit(t.Context(), Submission{User: "U0ADA", View: id, Values: values}); err != nil || !strings.Contains(bad["from"], "at most 10") {
		t.Fatalf("too long: %v %v", bad, err)
	}
	values["from"] = "Tokyo"
	s.app.says("application/json", `{"errors":[{"name":"from","error":"No cars there."}]}`)
	if bad, err := s.Submit(t.Context(), Submission{User: "U0ADA", View: id, Values: values}); err != nil || !cmp.Equal(bad, map[string]string{"from": "No cars there."}) {
		t.Errorf("errors of the app: %v %v", bad, err)
	}
	p := s.app.next().json
	want := Block{"from": "Tokyo", "seats": "3", "note": nil, "kind": "s", "who": "U0GRACE", "to": "osa"}
	if p["type"] != "dialog_submission" || p["callback_id"] != "ride" || p["state"] != "Limo" || !cmp.Equal(p["submission"], any(want)) {
		t.Errorf("submitted %v", p)
	}
	if ch, _ := p["channel"].(Block); ch["id"] != "C0OPS" || !strings.HasPrefix(text(p["response_url"]), s.URL()) || p["trigger_id"] != nil {
		t.Errorf("submitted %v", p)
	}
	if status, code := s.respondAt(strings.TrimPrefix(text(p["response_url"]), s.URL()), `{"text":"later"}`); status != http.StatusOK || s.last("C0OPS").Viewer != "U0ADA" {
		t.Errorf("response: %d %v", status, code)
	}
	s.app.says("application/json", `{"errors":[{"name":"nothing","error":"x"}]}`)
	if bad, _ := s.Submit(t.Context(), Submission{User: "U0ADA", View: id, Values: values}); bad[""] != troubled {
		t.Errorf("errors of no element: %v", bad)
	}
	s.app.next()
	s.app.says("", "")
	if bad, err := s.Submit(t.Context(), Submission{User: "U0ADA", View: id, Values: values}); err != nil || len(bad) > 0 || len(s.stack()) != 0 {
		t.Errorf("good values: %v %v, %v open", bad, err, s.stack())
	}
	s.app.next()

	if err := s.CloseView(t.Context(), "U0ADA", s.openDialog(), false); err != nil {
		t.Fatal(err)
	}
	if p := s.app.next().json; p["type"] != "dialog_cancellation" || p["callback_id"] != "ride" || p["state"] != "Limo" || p["response_url"] == nil {
		t.Errorf("cancelled %v", p)
	}
}

func TestDialogsAreChecked(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.say("C0OPS", "/ride")
	trigger := s.app.next().form.Get("trigger_id")
	change := func(key string, v any) Block {
		d := aDialog()
		d[key] = v
		return d
	}
	for _, c := range []struct {
		name string
		args Block
		want string
	}{
		{"no dialog", Block{"trigger_id": trigger}, "missing_dialog"},
		{"no JSON", Block{"trigger_id": trigger, "dialog": "{"}, "parsing_error"},
		{"no trigger", Block{"dialog": aDialog()}, "missing_trigger"},
		{"made up trigger", Block{"trigger_id": "1.2", "dialog": aDialog()}, "invalid_trigger"},
		{"no elements", Block{"trigger_id": trigger, "dialog": change("elements", []Block{})}, "validation_errors"},
		{"long title", Block{"trigger_id": trigger, "dialog": change("title", strings.Repeat("x", 25))}, "validation_errors"},
		{"no callback", Block{"trigger_id": trigger, "dialog": change("callback_id", "")}, "validation_errors"},
		{"unknown type", Block{"trigger_id": trigger, "dialog": change("elements", []Block{{"type": "button", "label": "x", "name": "x"}})}, "validation_errors"},
		{"a name twice", Block{"trigger_id": trigger, "dialog": change("elements", []Block{{"type": "text", "label": "x", "name": "x"}, {"type": "text", "label": "y", "name": "x"}})}, "validation_errors"},
	} {
		if out := s.api("dialog.open", c.args); out["error"] != c.want {
			t.Errorf("%s: %v, want %s", c.name, out, c.want)
		}
	}
	s.ok("dialog.open", Block{"trigger_id": trigger, "dialog": aDialog()}) // what is refused spends no trigger
	if out := s.api("dialog.open", Block{"trigger_id": trigger, "dialog": aDialog()}); out["error"] != "trigger_exchanged" {
		t.Errorf("second use: %v", out)
	}
	s.say("C0OPS", "/ride")
	trigger = s.app.next().form.Get("trigger_id")
	s.time.Advance(4 * time.Second)
	if out := s.api("dialog.open", Block{"trigger_id": trigger, "dialog": aDialog()}); out["error"] != "trigger_expired" {
		t.Errorf("late use: %v", out)
	}
}

func TestSlackGoOpensDialogs(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.say("C0OPS", "/ride")
	d := slack.Dialog{CallbackID: "ride", Title: "Ride", Elements: []slack.DialogElement{slack.NewTextInput("from", "From", "")}}
	if err := slack.New(DevBotToken, slack.OptionAPIURL(s.APIURL())).OpenDialog(s.app.next().form.Get("trigger_id"), d); err != nil {
		t.Error(err)
	}
	if got := s.stack(); !cmp.Equal(got, []string{"Ride"}) {
		t.Errorf("open: %v", got)
	}
}
