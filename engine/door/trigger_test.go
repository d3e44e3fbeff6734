package door_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// toContinue is an open_modal that has shown its button to U2: what it had is too old.
func toContinue(t *testing.T) *parked {
	t.Helper()
	w := newWorkspace(t)
	r := run(button)
	r.Trigger = func() door.Trigger {
		return door.Trigger{ID: "tr1", User: "U2", At: base, ResponseURL: "https://hooks.slack.com/actions/1"}
	}
	r.Later = func(context.Context, runtime.Effect, time.Time, runtime.Func, runtime.Value) (string, error) {
		return "", nil
	}
	w.now = base.Add(time.Minute)
	p := w.park(t, r, "open_modal", "view", form())
	if p.wait == nil || p.wait.Kind != wait.Trigger {
		t.Fatalf("it waits for %+v", p.wait)
	}
	return p
}

// pressed has the run go on from a press of the button, so long after it.
func (p *parked) pressed(ev *event.Event, after time.Duration) (result, calls string) {
	p.t.Helper()
	p.kind = p.wait.Kind
	h := p.hear(ev)
	p.kind = "open_modal"
	if h.Verdict != wait.Match {
		p.t.Fatalf("heard %+v", h)
	}
	p.now = p.now.Add(after)
	return p.goesOn(wait.Answer{By: wait.ByEvent, At: p.now, Value: h.Answer, Event: wait.OriginOf(ev)})
}

// goesOn has the run go on with an answer. It returns the result, or "again",
// and what Slack was asked, but for the removal of the button, which nothing
// waits for.
func (p *parked) goesOn(a wait.Answer) (result, calls string) {
	p.t.Helper()
	p.mu.Lock()
	p.calls = nil
	p.mu.Unlock()
	v, err := p.live[p.kind].Resume(p.t.Context(), p.run, p.e, p.wait, &a)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if !strings.Contains(c, "delete_original") {
			calls += c + "\n"
		}
	}
	if again, ok := errors.AsType[*door.WaitAgain](err); ok {
		next := *again.Wait
		next.Step, next.Round, next.Since, next.Match = p.wait.Step, p.wait.Round+1, p.now, stored(p.t, next.Match)
		p.wait = &next
		return "again", calls
	}
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b), calls
}

// slackSays has Slack refuse to open a view with that error; "": it opens it. The
// button of before may just be taken away.
func (p *parked) slackSays(code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.answers, "views.open")
	if code != "" {
		p.answers["views.open"] = `{"ok":false,"error":"` + code + `"}`
	}
}

func TestAPressThatTheRunComesTooLateToIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, slack := range map[string]string{
		"too late": "", "Slack says so": "expired_trigger_id", "another rule took it": "exchanged_trigger_id",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := toContinue(t)
			first := p.click("U2", "continue", "")
			after := 3 * time.Second
			if slack != "" {
				after = time.Second
				p.slackSays(slack)
			}
			got, calls := p.pressed(first, after)
			if got != "again" || strings.Contains(calls, "views.open") != (slack != "") {
				t.Errorf("%s: %s", got, calls)
			}
			has(t, calls, `response_url`, "Press the button to go on: Incident", `"action_id":"starling.ask:r1.2~1/continue"`, `"response_type":"ephemeral","replace_original":false`)
			if w := p.wait; w.Kind != wait.Trigger || w.Title != "another click on Continue, to open Incident" || !w.Until.Equal(p.now.Add(time.Hour)) {
				t.Errorf("it waits for %+v", w)
			}
			p.kind = wait.Trigger
			if h := p.hear(first); h.Verdict != wait.Ignore {
				t.Errorf("the first button counts: %+v", h)
			}
			if h := p.hear(p.click("U1", "continue", "")); h.Verdict != wait.Refuse {
				t.Errorf("another person counts: %+v", h)
			}
			p.slackSays("")
			second := p.click("U2", "continue", "")
			second.TriggerID = "tr-second"
			got, calls = p.pressed(second, time.Second)
			if !strings.HasPrefix(got, `{"ok":true`) || strings.Count(calls, "\n") != 1 || !strings.Contains(calls, `"trigger_id":"tr-second"`) {
				t.Errorf("%s: %s", got, calls)
			}
			p.kind = "open_modal"
			if got, calls := p.goesOn(wait.Answer{By: wait.ByTimeout}); !strings.Contains(got, `"error":"expired_trigger_id"`) || calls != "" {
				t.Errorf("nobody pressed it: %s: %s", got, calls)
			}
		})
	}
}

// The button is shown three times more, then the script is told.
func TestAPressIsAskedForAFewTimes(t *testing.T) {
	t.Parallel()
	p := toContinue(t)
	for n := 1; n <= 3; n++ {
		got, calls := p.pressed(p.click("U2", "continue", ""), time.Minute)
		if got != "again" || !strings.Contains(calls, fmt.Sprintf("r1.2~%d/continue", n)) {
			t.Fatalf("press %d: %s: %s", n, got, calls)
		}
	}
	got, calls := p.pressed(p.click("U2", "continue", ""), time.Minute)
	if !strings.Contains(got, `"ok":false,"error":"expired_trigger_id"`) || calls != "" {
		t.Errorf("%s: %s", got, calls)
	}
}

func TestAPressIsNotAskedForInVain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		slack   string
		resumed bool
		after   time.Duration
		show    bool // Slack lets the button be shown
		want    string
	}{
		"another error":                  {"invalid_arguments", false, 0, true, "invalid_arguments"},
		"opened before a crash":          {"exchanged_trigger_id", true, 0, true, "interrupted"},
		"perhaps opened before a crash":  {"expired_trigger_id", true, 0, true, ""},
		"too late after a crash":         {"", true, time.Minute, true, ""},
		"nobody can be shown the button": {"", false, time.Minute, false, "expired_trigger_id"},
		"nor when Slack says so":         {"trigger_expired", false, 0, false, "trigger_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := toContinue(t)
			p.run.Resumed = c.resumed
			if c.slack != "" {
				p.slackSays(c.slack)
			}
			if !c.show {
				for _, m := range []string{"chat.postEphemeral", "chat.postMessage"} {
					p.answers[m] = `{"ok":false,"error":"user_not_in_channel"}`
				}
				p.answers["response_url"] = "404 used_url"
			}
			got, calls := p.pressed(p.click("U2", "continue", ""), c.after)
			if c.want == "" {
				if got != "again" || !strings.Contains(calls, "/continue") {
					t.Errorf("%s: %s", got, calls)
				}
				return
			}
			if !strings.Contains(got, `"ok":false,"error":"`+c.want+`"`) || c.show && strings.Contains(calls, "/continue") {
				t.Errorf("%s: %s", got, calls)
			}
		})
	}
}
