package event_test

import (
	"slices"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// show returns the JSON of a field, or "?" if there is no such field.
func show(t *testing.T, v runtime.Object, field string) string {
	t.Helper()
	x, known := v.Field(field)
	if !known {
		return "?"
	}
	b, err := runtime.AppendJSON(nil, x)
	if err != nil {
		t.Fatalf("%s: %v", field, err)
	}
	return string(b)
}

// host sends an event the way it travels to a worker.
func host(t *testing.T, body string, m *event.Match) runtime.Object {
	t.Helper()
	var e *event.Event
	var err error
	if body[0] == '{' {
		e, _, err = event.Parse([]byte(body), meta)
	} else {
		e, _, err = event.ParseForm([]byte(body), meta)
	}
	if err != nil {
		t.Fatal(err)
	}
	v, err := event.Host(event.AppendInput(nil, e.Encode(nil), m))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFieldsByKind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want map[string]string
	}{
		"message": {
			envelope(`{"type":"message","channel":"C1","user":"U1","text":"<@UBOT> see <#C2|x> &amp; <https:\/\/y|z> :wave:","ts":"1.2","files":[{"id":"F1"}],"blocks":[{"type":"rich_text"}],"new_field":[1,2.5,null,true]}`),
			map[string]string{
				"id": `"Ev1"`, "kind": `"message"`, "type": `"message"`, "team": `"T1"`, "app": `"A1"`, "enterprise": `"E1"`, "bot": `"helper"`,
				"bot_user": `"UBOT"`, "user": `"U1"`, "channel": `"C1"`, "ts": `"1.2"`, "event_ts": `"1.2"`, "thread_ts": `null`, "subtype": `null`,
				"retry": `0`, "received": `1.700000000000005e+09`, "directed": `true`, "mentioned": `true`, "edited": `false`, "removed": `false`,
				"text": `"<@UBOT> see <#C2|x> &amp; <https://y|z> :wave:"`, "plain_text": `"@UBOT see #x & z :wave:"`,
				"mentions": `["UBOT"]`, "channels": `["C2"]`, "links": `["https://y"]`, "emoji": `["wave"]`, "emails": `[]`, "specials": `[]`, "usergroups": `[]`,
				"files": `[{"id":"F1"}]`, "blocks": `[{"type":"rich_text"}]`, "item": `null`, "values": `null`, "value": `null`, "action": `null`,
				"state": `null`, "view": `null`, "match": `null`, "args": `null`, "params": `null`, "method": `null`, "body": `null`, "json": `null`,
				"form": `null`, "headers": `null`, "query": `null`, "path": `null`, "scheduled_at": `null`, "options_query": `null`, "command": `null`,
				"reaction": `null`, "callback_id": `null`, "trigger_id": `null`, "response_url": `null`, "retry_reason": `null`, "actions": `null`,
				"message": `null`, "nonsense": `?`,
			},
		},
		"empty text is text": {
			envelope(`{"type":"message","channel":"C1"}`),
			map[string]string{"text": `""`, "plain_text": `""`, "mentions": `[]`},
		},
		"edit": {
			envelope(`{"type":"message","subtype":"message_changed","channel":"C1","message":{"text":"new","ts":"1.2","blocks":[1],"files":[2]},"previous_message":{"text":"old"}}`),
			map[string]string{"text": `"new"`, "edited": `true`, "blocks": `[1]`, "files": `[2]`, "message": `{"text":"new","ts":"1.2","blocks":[1],"files":[2]}`},
		},
		"reaction": {
			envelope(`{"type":"reaction_removed","user":"U1","reaction":"eyes","item":{"type":"message","channel":"C1","ts":"1.2"}}`),
			map[string]string{"reaction": `"eyes"`, "removed": `true`, "item": `{"type":"message","channel":"C1","ts":"1.2"}`, "text": `null`, "mentions": `null`},
		},
		"button": {
			form(`{"type":"block_actions","trigger_id":"1.2","response_url":"https://x","message":{"ts":"1.2","text":"m"},"actions":[{"action_id":"a","value":"v"}],"state":{"values":{"b":{"i":{"type":"plain_text_input","value":"typed"}}}}}`),
			map[string]string{
				"action": `{"action_id":"a","value":"v"}`, "actions": `[{"action_id":"a","value":"v"}]`, "value": `"v"`, "values": `{"i":"typed"}`,
				"state": `{"values":{"b":{"i":{"type":"plain_text_input","value":"typed"}}}}`, "trigger_id": `"1.2"`, "response_url": `"https://x"`,
				"message": `{"ts":"1.2","text":"m"}`,
			},
		},
		"choices": {
			form(`{"type":"block_actions","actions":[{"action_id":"a","type":"multi_static_select","selected_options":[{"value":"x"},{"value":"y"}]}]}`),
			map[string]string{"value": `["x","y"]`, "values": `{}`},
		},
		"view": {
			form(`{"type":"view_submission","view":{"callback_id":"cb","private_metadata":"p","state":{"values":{` +
				`"b1":{"t":{"type":"plain_text_input","value":"text"},"twice":{"type":"datepicker","selected_date":"2026-01-02"}},` +
				`"b2":{"twice":{"type":"timepicker","selected_time":null},"s":{"type":"static_select","selected_option":{"value":"o","text":{}}},` +
				`"none":{"type":"static_select","selected_option":null},"c":{"type":"checkboxes","selected_options":[{"value":"1"}]},"n":{"type":"checkboxes","selected_options":[]},` +
				`"u":{"type":"users_select","selected_user":"U1"},"mu":{"type":"multi_users_select","selected_users":["U1","U2"]},` +
				`"d":{"type":"datetimepicker","selected_date_time":1700000000},"f":{"type":"file_input","files":[{"id":"F1"}]},"e":{"type":"email_text_input"}}}}}}`),
			map[string]string{
				"callback_id": `"cb"`, "value": `null`,
				"values": `{"t":"text","b1.twice":"2026-01-02","b2.twice":null,"s":"o","none":null,"c":["1"],"n":[],"u":"U1","mu":["U1","U2"],"d":1700000000,"f":[{"id":"F1"}],"e":null}`,
			},
		},
		"view without inputs": {form(`{"type":"view_closed","view":{"callback_id":"cb"}}`), map[string]string{"values": `{}`, "view": `{"callback_id":"cb"}`}},
		"dialog":              {form(`{"type":"dialog_submission","callback_id":"cb","submission":{"a":"1"},"state":"Limo"}`), map[string]string{"values": `{"a":"1"}`, "state": `"Limo"`, "callback_id": `"cb"`}},
		"options": {
			form(`{"type":"block_suggestion","action_id":"a","block_id":"b","value":"ty"}`),
			map[string]string{"options_query": `"ty"`, "value": `"ty"`, "action": `{"action_id":"a","block_id":"b","type":"block_suggestion","value":"ty"}`},
		},
		"options, nothing typed": {form(`{"type":"block_suggestion","action_id":"a","value":""}`), map[string]string{"options_query": `""`}},
		"command": {
			"command=%2Fdeploy&text=api+%26amp%3B+prod&user_id=U1&channel_id=C1&trigger_id=1.2&is_enterprise_install=true&x=1&x=2",
			map[string]string{
				"kind": `"command"`, "command": `"/deploy"`, "text": `"api &amp; prod"`, "plain_text": `"api & prod"`,
				"raw": `{"command":"/deploy","text":"api &amp; prod","user_id":"U1","channel_id":"C1","trigger_id":"1.2","is_enterprise_install":"true","x":"1"}`,
			},
		},
	} {
		v := host(t, c.body, nil)
		for field, want := range c.want {
			if got := show(t, v, field); got != want {
				t.Errorf("%s: e.%s is %s, want %s", name, field, got, want)
			}
			if again := show(t, v, field); again != show(t, v, field) {
				t.Errorf("%s: e.%s changes", name, field)
			}
		}
	}
}

func TestRawIsThePayloadWithUnknownFields(t *testing.T) {
	t.Parallel()
	body := envelope(`{"type":"message","x":{"y":[1,2.5,null,true,"é"]}}`)
	if got := show(t, host(t, body, nil), "raw"); got != body {
		t.Errorf("%s", got)
	}
}

func TestMatchAndArgs(t *testing.T) {
	t.Parallel()
	m := &event.Match{
		Groups: []string{"deploy api", "api", ""}, Names: []string{"", "app", ""}, Present: []bool{true, true, false},
		Args: runtime.NewDict("app", "api", "n", int64(3)),
	}
	v := host(t, envelope(`{"type":"message","text":"deploy api"}`), m)
	if got := show(t, v, "match"); got != `{"0":"deploy api","1":"api","2":null,"app":"api"}` {
		t.Error(got)
	}
	if got := show(t, v, "args"); got != `{"app":"api","n":3}` {
		t.Error(got)
	}
	if got := show(t, v, "params"); got != `null` {
		t.Error(got)
	}
}

func TestWebhookFields(t *testing.T) {
	t.Parallel()
	hook := func(contentType, body string) runtime.Object {
		e := &event.Event{
			ID: "wh-1", Kind: event.Webhook, Encoding: event.HTTP, Raw: []byte(body),
			Request: &event.Request{
				Method: "POST", Path: "/hooks/api", Query: "a=1&b=%20&a=2", Remote: "127.0.0.1:1",
				Headers: []event.Header{{Name: "content-type", Value: contentType}, {Name: "x-a", Value: "1"}, {Name: "x-a", Value: "2"}},
			},
		}
		v, err := event.Host(event.AppendInput(nil, e.Encode(nil), &event.Match{Args: runtime.NewDict("repo", "api")}))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ contentType, body, field, want string }{
		{"text/plain", "x", "method", `"POST"`},
		{"text/plain", "x", "path", `"/hooks/api"`},
		{"text/plain", "x", "query", `{"a":["1","2"],"b":" "}`},
		{"text/plain", "x", "headers", `{"content-type":"text/plain","x-a":"1, 2"}`},
		{"text/plain", "x", "params", `{"repo":"api"}`},
		{"text/plain", "x", "args", `null`},
		{"text/plain", "x", "body", `"x"`},
		{"text/plain", "x", "raw", `"x"`},
		{"text/plain", "x", "json", `null`},
		{"text/plain", "a=1", "form", `null`},
		{"text/plain", `{"a":[1]}`, "json", `{"a":[1]}`},
		{"application/json", `[1]`, "json", `[1]`},
		{"application/json", ``, "json", `null`},
		{"application/json", `{`, "json", `null`},
		{"application/x-www-form-urlencoded; charset=utf-8", "a=1&b=x+y", "form", `{"a":"1","b":"x y"}`},
		{"application/x-www-form-urlencoded", "a=%", "form", `null`},
		{"application/x-www-form-urlencoded", "", "form", `null`},
	} {
		if got := show(t, hook(c.contentType, c.body), c.field); got != c.want {
			t.Errorf("%s %q: e.%s is %s, want %s", c.contentType, c.body, c.field, got, c.want)
		}
	}
}

func TestScheduleFields(t *testing.T) {
	t.Parallel()
	e := &event.Event{ID: "s1", Kind: event.Schedule, Encoding: event.None, ScheduledAt: time.Unix(1700000000, 0), Received: time.Unix(1700000001, 0)}
	v, err := event.Host(event.AppendInput(nil, e.Encode(nil), nil))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"kind": `"schedule"`, "scheduled_at": `1700000000.0`, "received": `1700000001.0`, "raw": `null`, "text": `null`, "user": `null`} {
		if got := show(t, v, field); got != want {
			t.Errorf("e.%s is %s, want %s", field, got, want)
		}
	}
}

func TestFieldNamesAreSortedAndKnown(t *testing.T) {
	t.Parallel()
	names := event.FieldNames()
	if !slices.IsSorted(names) || len(names) < 50 {
		t.Errorf("%d names: %v", len(names), names)
	}
	v := event.NewView(&event.Event{}, nil)
	for _, n := range names {
		if _, known := v.Field(n); !known {
			t.Errorf("%s", n)
		}
	}
	if v.TypeName() != "event" {
		t.Error(v.TypeName())
	}
}

// Looking at what the header holds must not parse the payload.
func TestHeaderFieldsCostNoParse(t *testing.T) {
	e, _, err := event.Parse(typical, meta)
	if err != nil {
		t.Fatal(err)
	}
	v := event.NewView(e, nil)
	if n := testing.AllocsPerRun(100, func() {
		for _, f := range []string{"text", "user", "channel", "ts", "kind"} {
			if _, known := v.Field(f); !known {
				t.Fatal(f)
			}
		}
	}); n > 5 {
		t.Errorf("%v allocations for 5 fields: want one box each at most", n)
	}
}

func TestDecodeRefusesWhatItDidNotWrite(t *testing.T) {
	t.Parallel()
	e, _, err := event.Parse(typical, meta)
	if err != nil {
		t.Fatal(err)
	}
	good := event.AppendInput(nil, e.Encode(nil), nil)
	for i := range good {
		if _, err := event.Host(good[:i]); err == nil {
			t.Fatalf("the first %d bytes are an event", i)
		}
	}
	if _, err := event.Host(append(good, 0)); err == nil {
		t.Error("something behind it is accepted")
	}
}
