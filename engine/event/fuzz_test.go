package event_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// lookAt reads every field of an event as a script would.
func lookAt(t *testing.T, e *event.Event) {
	t.Helper()
	v, err := event.Host(event.AppendInput(nil, e.Encode(nil), nil))
	if err != nil {
		t.Fatalf("an event does not travel: %v", err)
	}
	for _, f := range v.FieldNames() {
		x, known := v.Field(f)
		if !known {
			t.Fatalf("%s is unknown", f)
		}
		if _, err := runtime.AppendJSON(nil, x); err != nil {
			t.Errorf("e.%s has no JSON form: %v", f, err)
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"type":"event_callback","event_id":"Ev1","authorizations":[{"is_bot":true,"user_id":"U1"}],"event":{"type":"message","text":"hi","channel":{"id":"C1"},"ts":"1.2"}}`))
	f.Add([]byte(`{"type":"event_callback","event":{"type":"message","subtype":"message_changed","message":{"text":"a"},"previous_message":{"text":"b"}}}`))
	f.Add([]byte(`{"type":"block_actions","actions":[{"action_id":"a","selected_options":[{"value":1}]}],"state":{"values":{"b":{"a":{"value":null}}}},"view":{"state":{"values":[]}}}`))
	f.Add([]byte(`{"type":"url_verification","challenge":"\ud83d\ude80"}`))
	f.Add([]byte(`{"command":"/x","text":"a\/b"}`))
	f.Add([]byte(`{"type":"reaction_added","item":[],"user":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, c, err := event.Parse(body, meta)
		if err != nil {
			if !event.IsUnusable(err) || e != nil {
				t.Fatalf("%v with %+v", err, e)
			}
			return
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Fatalf("accepted, though it is no JSON: %q", body)
		}
		if c.Verify {
			return
		}
		if e.ID == "" || e.Kind == "" || !bytes.Equal(e.Raw, body) {
			t.Fatalf("%+v", e)
		}
		lookAt(t, e)
	})
}

func FuzzParseForm(f *testing.F) {
	f.Add([]byte("command=%2Fdeploy&text=a+b%20c&trigger_id=1.2"))
	f.Add([]byte("payload=%7B%22type%22%3A%22shortcut%22%7D&payload=x"))
	f.Add([]byte("ssl_check=1&command=%2Fx"))
	f.Add([]byte("&&=&a=%zz&%"))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, c, err := event.ParseForm(body, meta)
		switch {
		case err != nil:
			if !event.IsUnusable(err) {
				t.Fatal(err)
			}
		case c.SSLCheck || c.Verify:
			if e != nil {
				t.Fatalf("a probe smuggled %+v", e)
			}
		default:
			if e.ID == "" || strings.ContainsRune(e.Text+e.Command, 0) || !utf8.ValidString(e.Text+e.Command+e.CallbackID) {
				t.Fatalf("%+v", e)
			}
			lookAt(t, e)
		}
		if event.IsSSLCheck(body) && (e != nil || err != nil) {
			t.Fatalf("an unsigned probe reached %+v (%v)", e, err)
		}
	})
}

// FuzzView gives the decoder of workers whatever bytes, and reads all fields.
func FuzzView(f *testing.F) {
	e, _, err := event.Parse(typical, meta)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(event.AppendInput(nil, e.Encode(nil), nil))
	f.Add(event.AppendInput(nil, event.Malformed([]byte("{"), meta).Encode(nil), &event.Match{Groups: []string{"a"}, Names: []string{"n"}, Present: []bool{true}}))
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := event.Host(b)
		if err != nil {
			return
		}
		for _, name := range v.FieldNames() {
			if _, known := v.Field(name); !known {
				t.Fatalf("%s is unknown", name)
			}
		}
	})
}
