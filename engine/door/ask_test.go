package door_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// parked is a run that waits, as the dispatcher would keep it.
type parked struct {
	*workspace
	t    *testing.T
	kind string
	e    runtime.Effect
	run  *door.Run
	wait *wait.Wait
}

// park performs an effect and returns what the run waits for.
func (w *workspace) park(t *testing.T, r *door.Run, kind string, args ...any) *parked {
	t.Helper()
	p := &parked{workspace: w, t: t, kind: kind, run: r, e: runtime.Effect{Kind: kind, Step: 2, Args: runtime.NewDict(args...)}}
	v, err := w.live[kind].Do(t.Context(), r, p.e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.live[kind].Wait(t.Context(), r, p.e, v)
	if err != nil {
		t.Fatal(err)
	}
	if got != nil {
		filled := *got
		filled.Step, filled.Since = p.e.Step, w.now
		// What is kept is what comes back from the store.
		filled.Match, filled.State = stored(t, got.Match), stored(t, got.State)
		p.wait = &filled
	}
	return p
}

func stored(t *testing.T, d *runtime.Dict) *runtime.Dict {
	t.Helper()
	if d == nil {
		return nil
	}
	dec := runtime.NewDecoder(runtime.Encode(nil, d))
	v, _ := dec.Value().(*runtime.Dict)
	if err := dec.Finish(); err != nil {
		t.Fatalf("%v cannot be stored: %v", d, err)
	}
	return v
}

// click is the event of somebody who uses an element of the question.
func (p *parked) click(user, rest, value string) *event.Event {
	at := wait.Point{Step: 2}
	if p.wait != nil {
		at = p.wait.Point()
	}
	return &event.Event{
		ID: "tr-" + user, Kind: event.Action, Type: "block_actions", Team: "T1", Channel: "C1", User: user, TS: "9.9",
		TriggerID: "tr-" + user, ResponseURL: "https://hooks.slack.com/actions/" + user, Received: p.now,
		Actions: []event.ActionRef{{ActionID: wait.Ref("r1", at) + "/" + rest, Value: value}},
	}
}

func (p *parked) hear(ev *event.Event) wait.Heard {
	p.t.Helper()
	h := p.live[p.kind].Hear(p.t.Context(), p.run, p.wait, ev)
	if h.Verdict == wait.Partial {
		kept := *p.wait
		kept.State = stored(p.t, h.State)
		p.wait = &kept
	}
	return h
}

// resume gives the JSON that the script gets, and the calls.
func (p *parked) resume(a wait.Answer) (result, calls string) {
	p.t.Helper()
	p.calls = nil
	a.Value = stored(p.t, a.Value)
	v, err := p.live[p.kind].Resume(p.t.Context(), p.run, p.e, p.wait, &a)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b), strings.Join(p.calls, "\n")
}

func choices(texts ...any) runtime.List { return texts }

// has fails unless s holds all of want, in order.
func has(t *testing.T, s string, want ...string) {
	t.Helper()
	rest := s
	for _, w := range want {
		_, after, ok := strings.Cut(rest, w)
		if !ok {
			t.Fatalf("%s\nlacks %s", s, w)
		}
		rest = after
	}
}

func TestAQuestionIsAskedWhereItIsSaidTo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		e    *event.Event
		to   runtime.Value
		want []string
	}{
		"where the event came from": {message, nil, []string{`chat.postMessage {"channel":"C1","text":"Deploy?"`}},
		"in its thread":             {inside, nil, []string{`"channel":"C1"`, `"thread_ts":"1.1"`}},
		"a person, for a shortcut":  {global, nil, []string{`conversations.open {"users":"U1"}`, `"channel":"D1"`}},
		"a channel":                 {timer, "#ops", []string{`"channel":"#ops"`}},
		"a channel's link":          {timer, "<#C2|ops>", []string{`"channel":"C2"`}},
		"a person":                  {timer, "U2", []string{`conversations.open {"users":"U2"}`, `"channel":"D1"`}},
		"a name":                    {timer, "@bob", []string{`conversations.open {"users":"U2"}`}},
		"an address":                {timer, "bob@example", []string{`conversations.open {"users":"U2"}`}},
		"a thread":                  {timer, runtime.NewDict("channel", "C2", "ts", "3.3"), []string{`"channel":"C2"`, `"thread_ts":"3.3"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkspace(t)
			args := []any{"text", "Deploy?", "choices", choices("Yes", "No")}
			if tc.to != nil {
				args = append(args, "to", tc.to)
			}
			p := w.park(t, run(tc.e), "ask", args...)
			has(t, strings.Join(w.calls, "\n"), tc.want...)
			if p.wait.Title != "Deploy?" || !p.wait.Until.IsZero() || len(p.wait.Keys) > 0 {
				t.Errorf("%+v", p.wait)
			}
		})
	}
}

func TestAQuestionThatCannotBeAskedFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args  []any
		event *event.Event
		want  string
	}{
		"no conversation": {nil, timer, "ask: the event belongs to no conversation"},
		"refused":         {[]any{"to", "C9"}, message, "ask: the question could not be asked: not_in_channel"},
		"nobody":          {[]any{"who", runtime.List{"@nobody"}}, message, `ask: who: "@nobody" cannot be looked up`},
		"nobody to ask":   {[]any{"to", "@nobody"}, message, `ask: to: "@nobody" cannot be looked up`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkspace(t)
			w.answers["chat.postMessage"] = `{"ok":false,"error":"not_in_channel"}`
			got, calls, _ := w.do(t, run(tc.event), "ask", append(tc.args, "text", "Deploy?", "choices", choices("Yes"))...)
			if !strings.HasPrefix(got, "error: "+tc.want) {
				t.Errorf("got %s", got)
			}
			if name != "refused" && strings.Contains(calls, "chat.") {
				t.Errorf("something was said: %s", calls)
			}
		})
	}
}

func TestTheFirstClickAnswersAndTheMessageShowsIt(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	p := w.park(t, run(message), "ask", "text", "Deploy <api>?", "choices", choices(
		runtime.NewDict("text", "Yes", "value", runtime.NewDict("to", "prod"), "style", "primary"), "No"), "timeout", 60.0)
	has(t, strings.Join(w.calls, "\n"),
		`"blocks":[{"type":"section","text":{"type":"mrkdwn","text":"Deploy <api>?"}},{"type":"actions","block_id":"starling.ask:r1.2"`,
		`"action_id":"starling.ask:r1.2/0"`, `"style":"primary"`, `"action_id":"starling.ask:r1.2/1"`, `"metadata"`)
	if !p.wait.Until.Equal(w.now.Add(time.Minute)) {
		t.Errorf("until %s", p.wait.Until)
	}
	w.now = w.now.Add(5 * time.Second)
	h := p.hear(p.click("U2", "0", "0"))
	if h.Verdict != wait.Match {
		t.Fatalf("%+v", h)
	}
	got, calls := p.resume(wait.Answer{By: wait.ByEvent, At: w.now, Value: h.Answer})
	if want := `{"choice":{"to":"prod"},"text":"Yes","user":"U2","at":1700000005.0,"channel":"C1","ts":"9.9"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	has(t, calls, `chat.update {"channel":"C1","ts":"9.9"`, `*Yes* by <@U2>`)
	if strings.Contains(calls, `"actions"`) {
		t.Errorf("the buttons are still there: %s", calls)
	}
	for ev, want := range map[*event.Event]string{
		p.click("U1", "1", "1"): "This question is closed. <@U2> was first: *Yes*.",
		p.click("U2", "1", "1"): "This question is closed. Your answer counts: *Yes*.",
	} {
		w.calls = nil
		w.live["ask"].Lost(t.Context(), p.run, p.wait, &wait.Answer{By: wait.ByEvent, At: w.now, Value: h.Answer}, ev)
		has(t, strings.Join(w.calls, "\n"), "response_url", want)
		if strings.Contains(strings.Join(w.calls, "\n"), "chat.update") {
			t.Error("a message that is about to change is changed twice")
		}
	}
}

func TestMoreThanFiveChoicesAreASelect(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	p := w.park(t, run(message), "ask", "text", "Which?", "choices", choices("a", "b", "c", "d", "e", runtime.NewDict("text", "f", "description", "the last")))
	has(t, strings.Join(w.calls, "\n"), `"type":"static_select","action_id":"starling.ask:r1.2/select"`, `"text":"f"`, `"value":"5","description":{"type":"plain_text","text":"the last"`)
	h := p.hear(p.click("U2", "select", "5"))
	if got, _ := p.resume(wait.Answer{By: wait.ByEvent, Value: h.Answer}); h.Verdict != wait.Match || !strings.HasPrefix(got, `{"choice":"f","text":"f","user":"U2"`) {
		t.Errorf("%+v %s", h, got)
	}
	for _, wrong := range []*event.Event{p.click("U2", "select", "6"), p.click("U2", "6", ""), p.click("U2", "-1", ""), p.click("U2", "open", ""), {Kind: event.Message}} {
		if h := p.hear(wrong); h.Verdict != wait.Ignore {
			t.Errorf("%+v: %+v", wrong.Actions, h)
		}
	}
}

func TestOthersAreToldThatTheQuestionIsNotTheirs(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	w.answers["usergroups.list"] = `{"ok":true,"usergroups":[{"id":"S1","handle":"oncall","name":"On call"}]}`
	w.answers["usergroups.users.list"] = `{"ok":true,"users":["U7"]}`
	p := w.park(t, run(message), "ask", "text", "Deploy?", "choices", choices("Yes"), "who", runtime.List{"@ann", "@oncall"})
	for user, want := range map[string]wait.Verdict{"U1": wait.Match, "U7": wait.Match, "U2": wait.Refuse, "": wait.Refuse} {
		h := p.hear(p.click(user, "0", "0"))
		if h.Verdict != want {
			t.Errorf("%s: %+v", user, h)
		}
		if want == wait.Refuse && h.Tell != "This question is for <@U1> and <!subteam^S1>. Your answer does not count." {
			t.Errorf("told %q", h.Tell)
		}
	}
}

func TestWhoCannotBeLookedUpMayNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	w.answers["usergroups.list"] = `{"ok":true,"usergroups":[{"id":"S1","handle":"oncall"}]}`
	w.answers["usergroups.users.list"] = `{"ok":false,"error":"missing_scope"}`
	p := w.park(t, run(message), "ask", "text", "Deploy?", "choices", choices("Yes"), "who", runtime.List{"S1"})
	if h := p.hear(p.click("U7", "0", "0")); h.Verdict != wait.Refuse || !strings.Contains(h.Tell, "cannot be found out") {
		t.Errorf("%+v", h)
	}
}

func TestAQuorumTakesSoManyPeople(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	p := w.park(t, run(message), "ask", "text", "Deploy?", "choices", choices("Yes", "No"), "quorum", int64(2))
	first := p.hear(p.click("U1", "1", "1"))
	if first.Verdict != wait.Partial || first.Tell != "Your answer counts: 1 of 2." {
		t.Fatalf("%+v", first)
	}
	w.calls = nil
	first.Then(t.Context())
	has(t, strings.Join(w.calls, "\n"), "chat.update", `"block_id":"starling.ask:r1.2"`, "1 of 2: *No* by <@U1>")
	if h := p.hear(p.click("U1", "0", "0")); h.Verdict != wait.Partial || h.Tell != "Your answer is changed. There are 1 of 2." {
		t.Fatalf("%+v", h)
	}
	last := p.hear(p.click("U2", "0", "0"))
	if last.Verdict != wait.Match {
		t.Fatalf("%+v", last)
	}
	got, calls := p.resume(wait.Answer{By: wait.ByEvent, Value: last.Answer})
	has(t, got, `[{"choice":"Yes","text":"Yes","user":"U1"`, `{"choice":"Yes","text":"Yes","user":"U2"`, `]`)
	has(t, calls, "*Yes* by <@U1>, *Yes* by <@U2>")
	got, calls = p.resume(wait.Answer{By: wait.ByTimeout})
	if got != "null" {
		t.Errorf("a quorum that was not reached in time gives %s", got)
	}
	has(t, calls, "No answer in time. 1 of 2")
}

func TestAQuestionEndsWithoutAnAnswerToo(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	p := w.park(t, run(message), "ask", "text", "Deploy?", "choices", choices("Yes", "No"))
	for name, tc := range map[string]struct {
		a            wait.Answer
		result, said string
		told         string
	}{
		"timeout": {wait.Answer{By: wait.ByTimeout}, "null", "No answer in time.", "there was no answer in time"},
		"cancel":  {wait.Answer{By: wait.ByCancel}, "null", "Cancelled.", "it was cancelled"},
		"operator": {
			wait.Answer{By: wait.ByOperator, Who: "ann", Value: runtime.NewDict("choice", "No")},
			`{"choice":"No","text":"No","user":null`, "*No*, answered by an operator.", "by an operator",
		},
		"operator, plainly": {
			wait.Answer{By: wait.ByOperator, Who: "ann", Value: runtime.NewDict("answer", "Yes")},
			`{"choice":"Yes","text":"Yes","user":null`, "*Yes*, answered by an operator.", "by an operator",
		},
		"operator, None":    {wait.Answer{By: wait.ByOperator, Value: runtime.NewDict("answer", nil)}, "null", "Answered by an operator.", "by an operator"},
		"operator, nothing": {wait.Answer{By: wait.ByOperator}, "null", "Answered by an operator.", "by an operator"},
	} {
		got, calls := p.resume(tc.a)
		if !strings.HasPrefix(got, tc.result) {
			t.Errorf("%s: %s", name, got)
		}
		has(t, calls, "chat.update", tc.said)
		w.calls = nil
		late := p.click("U1", "0", "0")
		late.Received = w.now.Add(time.Hour)
		tc.a.At = w.now
		w.live["ask"].Lost(t.Context(), p.run, p.wait, &tc.a, late)
		has(t, strings.Join(w.calls, "\n"), tc.told, "chat.update")
	}
	w.calls = nil
	w.live["ask"].Lost(t.Context(), p.run, nil, nil, p.click("U1", "0", "0"))
	has(t, strings.Join(w.calls, "\n"), "This question is closed.")
}

func TestADeletedMessageDoesNotBreakTheRun(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	p := w.park(t, run(message), "ask", "text", "Deploy?", "choices", choices("Yes"), "timeout", 60.0)
	w.answers["chat.update"] = `{"ok":false,"error":"message_not_found"}`
	if got, _ := p.resume(wait.Answer{By: wait.ByTimeout}); got != "null" {
		t.Errorf("got %s", got)
	}
}

func TestAQuestionIsFoundAgainAfterACrash(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	w.answers["conversations.history"] = `{"ok":true,"messages":[{"ts":"7.7","metadata":{"event_type":"starling_run","event_payload":{"run":"r1","step":2}}}]}`
	e := runtime.Effect{Kind: "ask", Step: 2, Args: runtime.NewDict("text", "Deploy?", "choices", choices("Yes"), "who", runtime.List{"U2"}, "timeout", 60.0)}
	r := run(message)
	r.Resumed, r.Intended = true, base.Add(-time.Minute)
	h := w.live["ask"]
	if h.Repeat(e) != door.Lookup {
		t.Fatal("it is not looked up")
	}
	v, found, known := h.Find(t.Context(), r, e)
	if !found || !known {
		t.Fatal(v, found, known)
	}
	got, err := h.Wait(t.Context(), r, e, v)
	if err != nil || got.Match.Text("ts") != "7.7" || !got.Until.Equal(base) {
		t.Fatalf("%+v %v", got, err)
	}
	if fmt.Sprint(got.Match.Fields[2].Value) != "[U2]" || strings.Contains(strings.Join(w.calls, "\n"), "chat.postMessage") {
		t.Errorf("%+v %v", got.Match, w.calls)
	}
}

func TestDryRunsAskNobody(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	r := run(message)
	r.DryRun = true
	for _, kind := range []string{"ask", "ask_form", "wait_event", "wait_reply", "wait_reaction", "sleep"} {
		e := runtime.Effect{Kind: kind, Step: 1, Args: runtime.NewDict("duration", 60.0)}
		v, err := w.live[kind].Do(t.Context(), r, e)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := w.live[kind].Wait(t.Context(), r, e, v); got != nil || err != nil {
			t.Errorf("%s waits: %+v %v", kind, got, err)
		}
	}
	if len(w.calls) > 0 {
		t.Error(w.calls)
	}
}

func form() *runtime.Dict {
	return runtime.NewDict("type", "modal", "title", runtime.NewDict("type", "plain_text", "text", "Incident"), "callback_id", "mine", "private_metadata", "kept")
}

func submission(user string, values string) *event.Event {
	return &event.Event{
		ID: "vs-" + user, Kind: event.Submit, Type: "view_submission", Team: "T1", User: user, TriggerID: "tr-" + user, CallbackID: wait.Ref("r1", wait.Point{Step: 2}) + "/mine", Received: base,
		Raw: []byte(`{"view":{"state":{"values":{"b":{"what":` + values + `}}}}}`),
	}
}

func TestAFormIsOpenedByItsButtonAndSubmitted(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	p := w.park(t, run(message), "ask_form", "view", form(), "who", runtime.List{"U2"}, "button", "Report")
	has(t, strings.Join(w.calls, "\n"), `"text":"Incident"`, `"action_id":"starling.ask:r1.2/open"`, `"text":"Report"`)
	if h := p.hear(p.click("U1", "open", "")); h.Verdict != wait.Refuse || h.Then != nil || !strings.Contains(h.Tell, "<@U2>") {
		t.Errorf("%+v", h)
	}
	h := p.hear(p.click("U2", "open", ""))
	if h.Verdict != wait.Refuse || h.Tell != "" || h.Then == nil {
		t.Fatalf("%+v", h)
	}
	w.calls = nil
	h.Then(t.Context())
	has(t, strings.Join(w.calls, "\n"), `views.open {"trigger_id":"tr-U2"`, `"callback_id":"starling.ask:r1.2/mine","private_metadata":"kept"`)

	if h := p.hear(submission("U1", `{"type":"plain_text_input","value":"x"}`)); h.Verdict != wait.Refuse {
		t.Errorf("%+v", h)
	}
	h = p.hear(submission("U2", `{"type":"plain_text_input","value":"the lift"}`))
	if h.Verdict != wait.Match {
		t.Fatalf("%+v", h)
	}
	got, calls := p.resume(wait.Answer{By: wait.ByEvent, Value: h.Answer})
	if want := `{"values":{"what":"the lift"},"user":"U2","at":1700000000.0,"channel":"C1","ts":"9.9"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	has(t, calls, "chat.update", "Submitted by <@U2>")
}

func TestAFormThatCannotBeOpenedSaysSo(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"invalid_arguments":  "The form could not be opened (invalid_arguments).",
		"expired_trigger_id": "Press the button again",
		"":                   "Press the button again", // too old to be tried
	} {
		w := newWorkspace(t)
		p := w.park(t, run(message), "ask_form", "view", form())
		w.answers["views.open"] = `{"ok":false,"error":"` + code + `"}`
		ev := p.click("U2", "open", "")
		if code == "" {
			w.now = w.now.Add(3 * time.Second)
		}
		h := p.hear(ev)
		w.calls = nil
		h.Then(t.Context())
		has(t, strings.Join(w.calls, "\n"), "response_url", want)
		if code == "" && strings.Contains(w.calls[0], "views.open") {
			t.Error("a trigger that is over was tried")
		}
	}
}

func TestAFormWithErrorsIsSentBackAsItWas(t *testing.T) {
	t.Parallel()
	input := func(block, typ, action string, more ...any) *runtime.Dict {
		el := runtime.NewDict(append([]any{"type", typ, "action_id", action}, more...)...)
		return runtime.NewDict("type", "input", "block_id", block, "element", el)
	}
	option := func(v string) *runtime.Dict { return runtime.NewDict("text", plain(v), "value", v) }
	view := form()
	view.Set("blocks", runtime.List{
		input("b1", "plain_text_input", "why", "initial_value", "old"), input("b2", "static_select", "where", "options", runtime.List{option("oslo"), option("paris")}),
		input("b3", "checkboxes", "how", "options", runtime.List{option("x"), option("y")}), input("b4", "number_input", "n"), runtime.NewDict("type", "divider"),
	})
	again := runtime.NewDict("channel", "C1", "ts", "9.9", "user", "U2", "until", 1700000060.5,
		"errors", runtime.NewDict("why", "Say more.", "b2", "Not <there>.", "else", "All of it."),
		"values", runtime.NewDict("why", "no", "where", "paris", "how", runtime.List{"y"}, "n", int64(7)))
	r := run(message)
	at := base
	r.Trigger = func() door.Trigger { return door.Trigger{ID: "tr9", User: "U2", At: at} }
	args := []any{"view", view, "text", "Report", "check", true, "again", again}
	w := newWorkspace(t)
	p := w.park(t, r, "ask_form", args...)
	has(t, strings.Join(w.calls, "\n"), `views.open {"trigger_id":"tr9"`, `"callback_id":"starling.ask:r1.2/mine"`, `:warning: All of it.`,
		`"initial_value":"no"`, ":warning: Say more.", `"initial_option":{"text":{"type":"plain_text","text":"paris"}`, ":warning: Not &lt;there&gt;.",
		`"initial_options":[{"text":{"type":"plain_text","text":"y"}`, `"initial_value":"7"`, `{"type":"divider"}`,
		`chat.update {"channel":"C1","ts":"9.9"`, `"action_id":"starling.ask:r1.2/open"`, "Sent back to <@U2>.")
	if strings.Contains(strings.Join(w.calls, "\n"), "postMessage") || !p.wait.Until.Equal(time.UnixMicro(1700000060500000)) {
		t.Errorf("%v until %s", w.calls, p.wait.Until)
	}
	if w.live["ask_form"].Repeat(p.e) != door.Again {
		t.Error("after a crash it is not sent back")
	}
	// Whoever closed it finds it as it was behind the button; others, empty.
	for user, want := range map[string]bool{"U2": true, "U3": false} {
		w.calls = nil
		p.hear(p.click(user, "open", "")).Then(t.Context())
		if got := strings.Contains(w.calls[0], "Say more."); got != want {
			t.Errorf("%s sees %s", user, w.calls[0])
		}
	}
	// Too late for Slack to open it.
	at = base.Add(-time.Minute)
	w = newWorkspace(t)
	w.park(t, r, "ask_form", args...)
	has(t, strings.Join(w.calls, "\n"), "chat.update", `chat.postEphemeral {"channel":"C1","user":"U2","text":"The form needs another look.`, "• Say more.")
}

func plain(s string) *runtime.Dict { return runtime.NewDict("type", "plain_text", "text", s) }
