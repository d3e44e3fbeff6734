package event_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/starling-rules/starling/engine/event"
)

func TestEscapesAreDecoded(t *testing.T) {
	t.Parallel()
	for _, literal := range []string{
		`""`, `"plain"`, `"\"\\\/\b\f\n\r\t"`, `"a\u00e9b"`, `"\uD83D\uDE80 go"`, `"\ud83d\ude80\u0041"`, `"x\u20acy\\u0041"`, `"é\n🚀"`,
	} {
		var want string
		if err := json.Unmarshal([]byte(literal), &want); err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf(`{"type":"event_callback","event_id":"E1","event":{"type":"message","user":{"id":%s},"text":%s}}`, literal, literal)
		e, _, err := event.Parse([]byte(body), meta)
		if err != nil {
			t.Errorf("%s: %v", literal, err)
			continue
		}
		if e.Text != want || e.User != want {
			t.Errorf("%s: text %q, user %q, want %q", literal, e.Text, e.User, want)
		}
	}
}

// A key is the same key however it is written.
func TestEscapedKeys(t *testing.T) {
	t.Parallel()
	const head = `{"type":"event_callback","event_id":"E1","event":{"type":"message",`
	e, _, err := event.Parse([]byte(head+`"\u0074ext":"hi"}}`), meta)
	if err != nil || e.Text != "hi" {
		t.Errorf("%v, %v; want the text", e, err)
	}
	if _, _, err := event.Parse([]byte(head+`"text":"hi","te\u0078t":"ho"}}`), meta); !event.IsUnusable(err) {
		t.Errorf("a key twice, once with an escape: %v", err)
	}
}

// Events look alike to this reader and to a lenient one.
func FuzzDecodedText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c/\n\t", "é🚀\u2028<&>", "\u0001\u007f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := json.Marshal(map[string]any{"type": "event_callback", "event": map[string]any{"type": "message", "text": s}})
		if err != nil {
			t.Skip()
		}
		var want struct{ Event struct{ Text string } }
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		e, _, err := event.Parse(b, meta)
		if err != nil {
			if event.IsUnusable(err) {
				return // NUL
			}
			t.Fatal(err)
		}
		if e.Text != want.Event.Text {
			t.Errorf("%q, want %q", e.Text, want.Event.Text)
		}
	})
}

// A byte that ends or spoils a text is found wherever it stands.
func TestTextsOfAnyLength(t *testing.T) {
	t.Parallel()
	for n := range 20 {
		for at := range n {
			for c := range 256 {
				text := []byte("abcdefghijklmnopqrst")[:n]
				text[at] = byte(c)
				body := append(append([]byte(`{"type":"app_rate_limited","api_app_id":"`), text...), '"', '}')
				e, _, err := event.Parse(body, meta)
				want := json.Valid(body) && c < 0x80
				if (err == nil) != want || err == nil && c != '\\' && e.App != string(text) {
					t.Fatalf("%q: %v", body, err)
				}
			}
		}
	}
}
