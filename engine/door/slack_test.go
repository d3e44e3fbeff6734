package door_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// slackFunc answers the calls of the Web API and of response URLs.
type slackFunc func(method string, args *runtime.Dict) string

func (f slackFunc) RoundTrip(req *http.Request) (*http.Response, error) {
	b, _ := io.ReadAll(req.Body)
	var args *runtime.Dict
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		v, err := runtime.ParseJSON(b)
		if err != nil {
			return nil, err
		}
		args = v.(*runtime.Dict)
	} else {
		args = &runtime.Dict{}
		for _, pair := range strings.Split(string(b), "&") {
			k, v, _ := strings.Cut(pair, "=")
			if k != "" {
				v, _ = url.QueryUnescape(v)
				args.Set(k, v)
			}
		}
	}
	method := strings.TrimPrefix(req.URL.Path, "/api/")
	if req.URL.Host == "hooks.slack.com" {
		method = "response_url"
	}
	status, body := 200, f(method, args)
	if rest, ok := strings.CutPrefix(body, "404 "); ok {
		status, body = 404, rest
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func slackClient(t testing.TB, f slackFunc) *slackapi.Client {
	t.Helper()
	c, err := slackapi.New(slackapi.Options{HTTP: &http.Client{Transport: f}, Tokens: slackapi.Static{Bot: "xoxb-1", User: "xoxp-1"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// workspace is a Slack that records its calls, look-ups left out.
type workspace struct {
	live    door.Live
	mu      sync.Mutex
	calls   []string
	answers map[string]string
	now     time.Time
}

func newWorkspace(t testing.TB) *workspace {
	w := &workspace{answers: map[string]string{
		"users.list":                      `{"ok":true,"members":[{"id":"U1","name":"ann"},{"id":"U2","name":"bob"}]}`,
		"conversations.list":              `{"ok":true,"channels":[{"id":"C1","name":"general"},{"id":"C2","name":"ops"}]}`,
		"users.lookupByEmail bob@example": `{"ok":true,"user":{"id":"U2"}}`,
		"users.lookupByEmail":             `{"ok":false,"error":"users_not_found"}`,
		"conversations.open":              `{"ok":true,"channel":{"id":"D1"}}`,
		"users.info":                      `{"ok":true,"user":{"id":"U1","name":"ann"}}`,
	}, now: time.Unix(1_700_000_000, 0)}
	c := slackClient(t, func(method string, args *runtime.Dict) string {
		b, _ := runtime.AppendJSON(nil, args)
		w.mu.Lock()
		defer w.mu.Unlock()
		switch method {
		case "users.list", "conversations.list", "users.lookupByEmail":
		default:
			w.calls = append(w.calls, method+" "+string(b))
		}
		if a, ok := w.answers[method+" "+args.Text("email")]; ok && args.Text("email") != "" {
			return a
		}
		if a, ok := w.answers[method]; ok {
			return a
		}
		return `{"ok":true,"channel":"` + args.Text("channel") + `","ts":"9.9"}`
	})
	w.live = door.NewLive(door.Deps{Slack: c, Now: func() time.Time { return w.now }})
	return w
}

// do performs one effect and returns its JSON result, the calls and the notes.
func (w *workspace) do(t testing.TB, r *door.Run, kind string, args ...any) (result, calls, notes string) {
	t.Helper()
	w.calls = nil
	ctx, n := door.WithNotes(t.Context())
	v, err := w.live[kind].Do(ctx, r, runtime.Effect{Kind: kind, Step: 2, Args: runtime.NewDict(args...)})
	b, jerr := runtime.AppendJSON(nil, v)
	if err != nil {
		b = []byte("error: " + err.Error())
	} else if jerr != nil {
		t.Fatal(jerr)
	}
	return string(b), strings.Join(w.calls, "\n"), strings.Join(n.List(), ", ")
}

const marked = `,"metadata":{"event_type":"starling_run","event_payload":{"run":"r1","step":2}}}`

var (
	base    = time.Unix(1_700_000_000, 0)
	message = &event.Event{Kind: event.Message, Team: "T1", Channel: "C1", User: "U1", TS: "1.1", Received: base}
	inside  = &event.Event{Kind: event.Message, Team: "T1", Channel: "C1", User: "U1", TS: "1.5", ThreadTS: "1.1", ThreadMsg: true, Received: base}
	command = &event.Event{Kind: event.Command, Team: "T1", Channel: "C1", User: "U1", TriggerID: "tr1", ResponseURL: "https://hooks.slack.com/commands/1", Received: base}
	button  = &event.Event{Kind: event.Action, Team: "T1", Channel: "C1", User: "U1", TS: "1.1", TriggerID: "tr1", ResponseURL: "https://hooks.slack.com/actions/1", Received: base}
	global  = &event.Event{Kind: event.Shortcut, Team: "T1", User: "U1", TriggerID: "tr1", Received: base}
	timer   = &event.Event{Kind: event.Schedule, Team: "T1", Received: base}
)

func run(e *event.Event) *door.Run { return &door.Run{ID: "r1", Script: "a.star", Event: e} }

func TestTalking(t *testing.T) {
	t.Parallel()
	view := runtime.NewDict("type", "modal")
	for name, tc := range map[string]struct {
		e     *event.Event
		kind  string
		args  []any
		calls string
	}{
		"post":                 {message, "post", []any{"channel", "#ops", "text", "hi"}, `chat.postMessage {"channel":"#ops","text":"hi"` + marked},
		"post by link":         {message, "post", []any{"channel", "<#C2|ops>", "text", "hi"}, `chat.postMessage {"channel":"C2","text":"hi"` + marked},
		"own metadata":         {message, "post", []any{"channel", "C2", "text", "hi", "metadata", runtime.NewDict("event_type", "x")}, `chat.postMessage {"channel":"C2","text":"hi","metadata":{"event_type":"x"}}`},
		"reply":                {message, "reply", []any{"text", "hi"}, `chat.postMessage {"text":"hi","channel":"C1","thread_ts":"1.1"` + marked},
		"reply in thread":      {inside, "reply", []any{"text", "hi"}, `chat.postMessage {"text":"hi","channel":"C1","thread_ts":"1.1"` + marked},
		"reply to a command":   {command, "reply", []any{"text", "hi"}, `chat.postMessage {"text":"hi","channel":"C1"` + marked},
		"reply to nothing":     {timer, "reply", []any{"text", "hi"}, ``},
		"dm":                   {message, "dm", []any{"user", "U2", "text", "hi"}, `conversations.open {"users":"U2"}` + "\n" + `chat.postMessage {"text":"hi","channel":"D1"` + marked},
		"dm by mail":           {message, "dm", []any{"user", "bob@example", "text", "hi"}, `conversations.open {"users":"U2"}` + "\n" + `chat.postMessage {"text":"hi","channel":"D1"` + marked},
		"dm to nobody":         {message, "dm", []any{"user", "@nobody", "text", "hi"}, ``},
		"ephemeral":            {inside, "ephemeral", []any{"text", "hi"}, `chat.postEphemeral {"text":"hi","channel":"C1","user":"U1","thread_ts":"1.1"}`},
		"ephemeral elsewhere":  {inside, "ephemeral", []any{"text", "hi", "channel", "#ops", "user", "U2"}, `chat.postEphemeral {"text":"hi","channel":"C2","user":"U2"}`},
		"update":               {button, "update", []any{"ts", "2.2", "text", "hi"}, `chat.update {"ts":"2.2","text":"hi","channel":"C1"}`},
		"update event's":       {button, "update", []any{"text", "hi"}, `chat.update {"text":"hi","channel":"C1","ts":"1.1"}`},
		"delete":               {button, "delete", nil, `chat.delete {"channel":"C1","ts":"1.1"}`},
		"react":                {message, "react", []any{"emoji", ":eyes:"}, `reactions.add {"name":"eyes","channel":"C1","timestamp":"1.1"}`},
		"react elsewhere":      {message, "react", []any{"emoji", "eyes", "channel", "#ops", "ts", "3.3"}, `reactions.add {"channel":"C2","name":"eyes","timestamp":"3.3"}`},
		"not another's time":   {message, "react", []any{"emoji", "eyes", "channel", "#ops"}, `reactions.add {"channel":"C2","name":"eyes"}`},
		"unreact":              {message, "unreact", []any{"emoji", "eyes"}, `reactions.remove {"name":"eyes","channel":"C1","timestamp":"1.1"}`},
		"modal":                {command, "open_modal", []any{"view", view}, `views.open {"view":{"type":"modal"},"trigger_id":"tr1"}`},
		"modal, given trigger": {command, "open_modal", []any{"view", view, "trigger_id", "tr9"}, `views.open {"view":{"type":"modal"},"trigger_id":"tr9"}`},
		"home":                 {message, "publish_home", []any{"view", view}, `views.publish {"view":{"type":"modal"},"user_id":"U1"}`},
		"home of another":      {message, "publish_home", []any{"view", view, "user", "@bob"}, `views.publish {"view":{"type":"modal"},"user_id":"U2"}`},
		"user":                 {message, "user", []any{"id", "U1"}, `users.info {"user":"U1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, calls, _ := newWorkspace(t).do(t, run(tc.e), tc.kind, tc.args...)
			if calls != tc.calls {
				t.Errorf("calls\n got %s\nwant %s", calls, tc.calls)
			}
			if ok := strings.HasPrefix(result, `{"ok":true`); ok != (tc.calls != "") {
				t.Errorf("result %s", result)
			}
		})
	}
}

func TestLookupResults(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	if got, _, _ := w.do(t, run(message), "user", "id", "@ann"); got != `{"ok":true,"id":"U1","name":"ann"}` {
		t.Error(got)
	}
	if got, _, _ := w.do(t, run(message), "channel", "id", "#ops"); got != `{"ok":true,"id":"C2","name":"ops"}` {
		t.Error(got)
	}
	if got, _, _ := w.do(t, run(message), "channel", "id", "#nope"); !strings.HasPrefix(got, `{"ok":false,"error":"channel_not_found"`) {
		t.Error(got)
	}
}

func TestRespond(t *testing.T) {
	t.Parallel()
	late := base.Add(30 * time.Minute)
	five := func() int { return 5 }
	threaded := *command
	threaded.ThreadTS = "1.1"
	evil := *command
	evil.ResponseURL = "https://evil.example/"
	for name, tc := range map[string]struct {
		e     *event.Event
		args  []any
		now   time.Time
		used  func() int
		hook  string // answer of the response URL
		calls string
	}{
		"command":               {command, []any{"text", "hi"}, base, nil, "ok", `response_url {"text":"hi"}`},
		"command, everybody":    {command, []any{"text", "hi", "ephemeral", false}, base, nil, "ok", `response_url {"text":"hi","response_type":"in_channel"}`},
		"command, private":      {command, []any{"text", "hi", "ephemeral", true}, base, nil, "ok", `response_url {"text":"hi","response_type":"ephemeral"}`},
		"in a thread":           {&threaded, []any{"text", "hi"}, base, nil, "ok", `response_url {"text":"hi","thread_ts":"1.1"}`},
		"button":                {button, []any{"text", "hi"}, base, nil, "ok", `response_url {"text":"hi","replace_original":false}`},
		"button, replace":       {button, []any{"text", "hi", "replace", true}, base, nil, "ok", `response_url {"text":"hi","replace_original":true}`},
		"button, delete":        {button, []any{"delete", true}, base, nil, "ok", `response_url {"delete_original":true}`},
		"fourth use":            {command, []any{"text", "hi"}, base, func() int { return 4 }, "ok", `response_url {"text":"hi"}`},
		"sixth use":             {command, []any{"text", "hi", "ephemeral", false}, base, five, "", `chat.postMessage {"text":"hi","channel":"C1"}`},
		"sixth use, private":    {command, []any{"text", "hi"}, base, five, "", `chat.postEphemeral {"text":"hi","channel":"C1","user":"U1"}`},
		"too late":              {button, []any{"text", "hi", "replace", true}, late, nil, "", `chat.update {"text":"hi","channel":"C1","ts":"1.1"}`},
		"too late, delete":      {button, []any{"delete", true}, late, nil, "", `chat.delete {"channel":"C1","ts":"1.1"}`},
		"just in time":          {command, []any{"text", "hi"}, late.Add(-time.Second), nil, "ok", `response_url {"text":"hi"}`},
		"Slack says used":       {command, []any{"text", "hi", "ephemeral", false}, base, nil, "404 used_url", `response_url {"text":"hi","response_type":"in_channel"}` + "\n" + `chat.postMessage {"text":"hi","channel":"C1"}`},
		"foreign URL":           {&evil, []any{"text", "hi", "ephemeral", false}, base, nil, "", `chat.postMessage {"text":"hi","channel":"C1"}`},
		"message":               {message, []any{"text", "hi"}, base, nil, "", `chat.postMessage {"text":"hi","channel":"C1"}`},
		"message in a thread":   {inside, []any{"text", "hi"}, base, nil, "", `chat.postMessage {"text":"hi","channel":"C1","thread_ts":"1.1"}`},
		"message, private":      {message, []any{"text", "hi", "ephemeral", true}, base, nil, "", `chat.postEphemeral {"text":"hi","channel":"C1","user":"U1"}`},
		"global shortcut":       {global, []any{"text", "hi"}, base, nil, "", `conversations.open {"users":"U1"}` + "\n" + `chat.postMessage {"text":"hi","channel":"D1"}`},
		"nobody to respond to":  {timer, []any{"text", "hi"}, base, nil, "", ``},
		"refused, not repeated": {command, []any{"text", "hi"}, base, nil, "404 no_text", `response_url {"text":"hi"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkspace(t)
			w.now = tc.now
			w.answers["response_url"] = tc.hook
			r := run(tc.e)
			r.Responses = tc.used
			result, calls, _ := w.do(t, r, "respond", tc.args...)
			if calls != tc.calls {
				t.Errorf("calls\n got %s\nwant %s", calls, tc.calls)
			}
			if ok := strings.HasPrefix(result, `{"ok":true`); ok != (tc.calls != "" && tc.hook != "404 no_text") {
				t.Errorf("result %s", result)
			}
		})
	}
}

func TestSlackActionFillsFromTheEvent(t *testing.T) {
	t.Parallel()
	d := runtime.NewDict
	for name, tc := range map[string]struct {
		e     *event.Event
		args  []any
		calls string
		notes string
	}{
		"channel":            {message, []any{"method", "chat.postMessage", "args", d("text", "hi")}, `chat.postMessage {"text":"hi","channel":"C1"` + marked, "filled channel"},
		"given stays":        {message, []any{"method", "chat.postMessage", "args", d("channel", "C9", "text", "hi")}, `chat.postMessage {"channel":"C9","text":"hi"` + marked, ""},
		"timestamp":          {message, []any{"method", "reactions.add", "args", d("name", "eyes")}, `reactions.add {"name":"eyes","channel":"C1","timestamp":"1.1"}`, "filled channel, filled timestamp"},
		"ts":                 {button, []any{"method", "chat.update", "args", d("text", "x")}, `chat.update {"text":"x","channel":"C1","ts":"1.1"}`, "filled channel, filled ts"},
		"user":               {message, []any{"method", "users.info"}, `users.info {"user":"U1"}`, "filled user"},
		"ephemeral":          {message, []any{"method", "chat.postEphemeral", "args", d("text", "x")}, `chat.postEphemeral {"text":"x","channel":"C1","user":"U1"}`, "filled channel, filled user"},
		"trigger":            {command, []any{"method", "views.open", "args", d("view", d("type", "modal"))}, `views.open {"view":{"type":"modal"},"trigger_id":"tr1"}`, "filled trigger_id"},
		"permalink":          {message, []any{"method", "chat.getPermalink"}, `chat.getPermalink {"channel":"C1","message_ts":"1.1"}`, "filled channel, filled message_ts"},
		"off":                {message, []any{"method", "reactions.add", "args", d("name", "eyes"), "fill", false}, `reactions.add {"name":"eyes"}`, ""},
		"nothing to fill":    {timer, []any{"method", "reactions.add", "args", d("name", "eyes")}, `reactions.add {"name":"eyes"}`, ""},
		"file, no channel":   {message, []any{"method", "reactions.get", "args", d("file", "F1")}, `reactions.get {"file":"F1"}`, ""},
		"needs none":         {message, []any{"method", "conversations.kick", "args", d("channel", "C1")}, `conversations.kick {"channel":"C1"}`, ""},
		"unknown method":     {message, []any{"method", "new.method", "args", d("x", int64(1))}, `new.method {"x":"1"}`, ""},
		"Slack's own parse":  {message, []any{"method", "chat.postMessage", "args", d("text", "@ann", "parse", "full")}, `chat.postMessage {"text":"@ann","parse":"full","channel":"C1"` + marked, "filled channel"},
		"raw JSON arguments": {message, []any{"method", "chat.postMessage", "args", runtime.JSON(`{"text":"hi","channel":"C3"}`)}, `chat.postMessage {"text":"hi","channel":"C3"` + marked, ""},
		"parse": {
			message,
			[]any{"method", "chat.postMessage", "args", d("channel", "C9", "text", "@ann see #general and use @here & @nobody"), "parse", d("text", []runtime.Value{"users", "channels", "specials"})},
			`chat.postMessage {"channel":"C9","text":"<@U1> see <#C1> and use <!here> &amp; @nobody"` + marked, "left an unknown user alone",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, calls, notes := newWorkspace(t).do(t, run(tc.e), "slack_action", tc.args...)
			if calls != tc.calls || notes != tc.notes || !strings.HasPrefix(result, `{"ok":true`) {
				t.Errorf("calls\n got %s\nwant %s\nnotes %q, result %s", calls, tc.calls, notes, result)
			}
		})
	}
}

func TestSlackActionErrors(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	w.answers["chat.postMessage"] = `{"ok":false,"error":"not_in_channel"}`
	if got, _, _ := w.do(t, run(message), "slack_action", "method", "chat.postMessage"); got != `{"ok":false,"error":"not_in_channel"}` {
		t.Error(got)
	}
	if got, _, _ := w.do(t, run(message), "slack_action", "method", "chat.postMessage", "check", true); got != "error: slack_action: chat.postMessage: not_in_channel" {
		t.Error(got)
	}
	for _, m := range []string{"", "../x"} {
		if got, calls, _ := w.do(t, run(message), "slack_action", "method", m); !strings.HasPrefix(got, "error: ") || calls != "" {
			t.Errorf("%q: %s %s", m, got, calls)
		}
	}
	got, _, _ := w.do(t, run(message), "slack_action", "method", "chat.postMessage", "args", runtime.NewDict("text", "x"), "parse", runtime.NewDict("text", []runtime.Value{"emoji"}))
	if !strings.HasPrefix(got, "error: ") {
		t.Error(got)
	}
}

func TestStaleTrigger(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	w.now = base.Add(3*time.Second + time.Millisecond)
	for kind, args := range map[string][]any{"open_modal": {"view", &runtime.Dict{}}, "slack_action": {"method", "views.push"}} {
		got, calls, _ := w.do(t, run(command), kind, args...)
		if !strings.HasPrefix(got, `{"ok":false,"error":"expired_trigger_id"`) || calls != "" {
			t.Errorf("%s: %s %s", kind, got, calls)
		}
	}
	// A trigger from elsewhere is Slack's to judge.
	if _, calls, _ := w.do(t, run(command), "open_modal", "view", &runtime.Dict{}, "trigger_id", "other"); calls == "" {
		t.Error("a given trigger is refused")
	}
}

func TestReactionsThatAreThereCountAsDone(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	w.answers["reactions.add"] = `{"ok":false,"error":"already_reacted"}`
	w.answers["reactions.remove"] = `{"ok":false,"error":"no_reaction"}`
	w.answers["chat.delete"] = `{"ok":false,"error":"message_not_found"}`
	resumed := run(message)
	resumed.Resumed = true
	for _, kind := range []string{"react", "unreact"} {
		if got, _, _ := w.do(t, resumed, kind, "emoji", "eyes"); got != `{"ok":true,"already":true}` {
			t.Errorf("%s: %s", kind, got)
		}
	}
	if got, _, _ := w.do(t, resumed, "delete"); got != `{"ok":true,"already":true}` {
		t.Errorf("delete, resumed: %s", got)
	}
	if got, _, _ := w.do(t, run(message), "delete"); !strings.Contains(got, "message_not_found") {
		t.Errorf("delete: %s", got)
	}
}

func TestSlackPages(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	w.answers["conversations.members"] = `{"ok":true,"members":["U1","U2","U3"]}`
	if got, calls, _ := w.do(t, run(message), "slack_pages", "method", "conversations.members"); got != `{"ok":true,"error":null,"items":["U1","U2","U3"],"complete":true}` ||
		calls != `conversations.members {"channel":"C1","limit":"200"}` {
		t.Errorf("%s %s", got, calls)
	}
	if got, _, _ := w.do(t, run(message), "slack_pages", "method", "conversations.members", "max", int64(2)); got != `{"ok":true,"error":null,"items":["U1","U2"],"complete":false}` {
		t.Error(got)
	}
	w.answers["files.list"] = `{"ok":true,"a":[{"x":1}],"b":[2]}`
	if got, _, _ := w.do(t, run(message), "slack_pages", "method", "files.list"); !strings.HasPrefix(got, `{"ok":false,"error":"no_list"`) {
		t.Error(got)
	}
	if got, _, _ := w.do(t, run(message), "slack_pages", "method", "files.list", "key", "a"); got != `{"ok":true,"error":null,"items":[{"x":1}],"complete":true}` {
		t.Error(got)
	}
	w.answers["pins.list"] = `{"ok":false,"error":"missing_scope"}`
	if got, _, _ := w.do(t, run(message), "slack_pages", "method", "pins.list"); got != `{"ok":false,"error":"missing_scope","items":[],"complete":false}` {
		t.Error(got)
	}
}

// TestFind holds what SPEC §10 says of a message in doubt.
func TestFind(t *testing.T) {
	t.Parallel()
	mine := `{"ts":"5.5","text":"hi","metadata":{"event_type":"starling_run","event_payload":{"run":"r1","step":2}}}`
	others := `{"ts":"5.1"},{"ts":"5.2","metadata":{"event_type":"starling_run","event_payload":{"run":"r1","step":1}}},{"ts":"5.3","metadata":{"event_type":"starling_run","event_payload":{"run":"r2","step":2}}},{"ts":"5.4","metadata":{"event_type":"x","event_payload":{"run":"r1","step":2}}}`
	page := func(messages string) string { return `{"ok":true,"messages":[` + messages + `]}` }
	post := []any{"channel", "#ops", "text", "hi"}
	for name, tc := range map[string]struct {
		kind           string
		args           []any
		method, answer string
		found, known   bool
	}{
		"found":             {"post", post, "conversations.history", page(others + "," + mine), true, true},
		"not sent":          {"post", post, "conversations.history", page(others), false, true},
		"no message at all": {"post", post, "conversations.history", page(""), false, true},
		"missing scope":     {"post", post, "conversations.history", `{"ok":false,"error":"missing_scope"}`, false, false},
		"not in channel":    {"post", post, "conversations.history", `{"ok":false,"error":"not_in_channel"}`, false, false},
		"endless pages":     {"post", post, "conversations.history", `{"ok":true,"messages":[],"response_metadata":{"next_cursor":"x"}}`, false, false},
		"unknown channel":   {"post", []any{"channel", "#nope", "text", "hi"}, "conversations.history", page(mine), false, false},
		"reply":             {"reply", []any{"text", "hi"}, "conversations.replies", page(mine), true, true},
		"dm":                {"dm", []any{"user", "U2", "text", "hi"}, "conversations.history", page(mine), true, true},
		"slack_action":      {"slack_action", []any{"method", "chat.postMessage", "args", runtime.NewDict("text", "hi")}, "conversations.history", page(mine), true, true},
		"own metadata":      {"post", append(post[:4:4], "metadata", runtime.NewDict("event_type", "x")), "conversations.history", page(mine), false, false},
		"not a message":     {"slack_action", []any{"method", "chat.update"}, "conversations.history", page(mine), false, false},
		"step written as a text": {
			"post", post, "conversations.history", page(strings.ReplaceAll(mine, `"step":2`, `"step":"2"`)), true, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkspace(t)
			w.answers[tc.method] = tc.answer
			r := run(message)
			r.Intended = base
			v, found, known := w.live[tc.kind].Find(t.Context(), r, runtime.Effect{Kind: tc.kind, Step: 2, Args: runtime.NewDict(tc.args...)})
			if found != tc.found || known != tc.known {
				t.Fatalf("found %v, known %v (%v)", found, known, w.calls)
			}
			if found && !strings.HasPrefix(string(v.(runtime.JSON)), `{"ok":true,"channel":"`) {
				t.Errorf("result %s", v)
			}
			for _, c := range w.calls {
				if strings.HasPrefix(c, "chat.") {
					t.Errorf("the look-up sent something: %s", c)
				}
				if strings.HasPrefix(c, tc.method) && (!strings.Contains(c, `"include_all_metadata":"true"`) || !strings.Contains(c, `"oldest":"1699999700.000000"`)) {
					t.Errorf("asked %s", c)
				}
			}
		})
	}
}

func TestRepeatOfSlackKinds(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	m := func(method string, more ...any) *runtime.Dict {
		return runtime.NewDict(append([]any{"method", method}, more...)...)
	}
	for name, tc := range map[string]struct {
		kind string
		args *runtime.Dict
		want door.Repeat
	}{
		"respond": {"respond", nil, door.Never}, "post": {"post", nil, door.Lookup}, "reply": {"reply", nil, door.Lookup},
		"dm": {"dm", nil, door.Lookup}, "ephemeral": {"ephemeral", nil, door.Never}, "update": {"update", nil, door.Again},
		"delete": {"delete", nil, door.Again}, "react": {"react", nil, door.Again}, "unreact": {"unreact", nil, door.Again},
		"open_modal": {"open_modal", nil, door.Never}, "publish_home": {"publish_home", nil, door.Again},
		"user": {"user", nil, door.Again}, "channel": {"channel", nil, door.Again},
		"read":          {"slack_action", m("users.info"), door.Again},
		"reaction":      {"slack_action", m("reactions.add"), door.Again},
		"message":       {"slack_action", m("chat.postMessage"), door.Lookup},
		"write":         {"slack_action", m("conversations.create"), door.Never},
		"unknown":       {"slack_action", m("x.y"), door.Never},
		"said to be":    {"slack_action", m("x.y", "idempotent", true), door.Again},
		"pages":         {"slack_pages", m("users.list"), door.Again},
		"pages, writes": {"slack_pages", m("x.y"), door.Never},
	} {
		h := w.live[tc.kind]
		got := door.Never
		if h.Repeat != nil {
			got = h.Repeat(runtime.Effect{Kind: tc.kind, Args: tc.args})
		}
		if got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
		if got == door.Lookup && h.Find == nil {
			t.Errorf("%s has no Find", name)
		}
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	w.answers["chat.update"] = `{"ok":false,"error":"cant_update_message"}`
	var log bytes.Buffer
	m := metric.New("test")
	r := run(message)
	d := door.Audit(w.live.Door(r), r, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), m, time.Now)
	ask := func(kind string, args ...any) {
		_, _ = d.Do(context.Background(), runtime.Effect{Kind: kind, Step: 4, Args: runtime.NewDict(args...)})
	}
	ask("react", "emoji", "private-emoji")
	ask("update", "text", "private text", "ts", "1.1")
	ask("no.such.kind")
	out := log.String()
	for _, want := range []string{"kind=react", "run=r1", "step=4", "outcome=ok", "outcome=error", "notes=\"filled channel, filled timestamp\""} {
		if !strings.Contains(out, want) {
			t.Errorf("log lacks %s:\n%s", want, out)
		}
	}
	if strings.Contains(out, "private") {
		t.Errorf("log shows an argument:\n%s", out)
	}
	families, _ := m.Registry.Gather()
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "starling_effects_total" {
			for _, one := range f.GetMetric() {
				got[fmt.Sprint(one.GetLabel()[0].GetValue(), " ", one.GetLabel()[1].GetValue())] = one.GetCounter().GetValue()
			}
		}
	}
	if got["react ok"] != 1 || got["update error"] != 1 || got["other error"] != 1 {
		t.Errorf("metrics %v", got)
	}
}

func BenchmarkPost(b *testing.B) {
	w := newWorkspace(b)
	r := run(message)
	e := runtime.Effect{Kind: "post", Step: 1, Args: runtime.NewDict("channel", "C1", "text", "hello")}
	b.ReportAllocs()
	for b.Loop() {
		w.calls = nil
		if _, err := w.live["post"].Do(b.Context(), r, e); err != nil {
			b.Fatal(err)
		}
	}
}
