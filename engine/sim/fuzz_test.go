package sim

import (
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// FuzzMarkup: what people type never gives markup that they did not mean, and
// escaping loses nothing.
func FuzzMarkup(f *testing.F) {
	for _, s := range []string{"hi @ada, see #ops & https://x.y/?a=1&b=2.", "<@U0ADA> <!channel>", "@@ada @. #", "a@b.c (@here) [#nope]", "\x00 @", "https://<b>"} {
		f.Add(s)
	}
	w, err := newWorld(DefaultSeed(), time.Now, strings.NewReader(""))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := w.markup(in, false)
		rest := markupToken.ReplaceAllStringFunc(out, func(m string) string {
			if m[0] == ':' {
				return m
			}
			return ""
		})
		if strings.ContainsAny(rest, "<>") {
			t.Errorf("%q became %q", in, out)
		}
		if strings.Count(out, "<") > strings.Count(in, "@")+strings.Count(in, "#")+strings.Count(in, "http") {
			t.Errorf("%q gained markup: %q", in, out)
		}
		if !strings.ContainsAny(in, "@#") && !strings.Contains(in, "http") && html.UnescapeString(out) != in && !strings.Contains(in, "&") {
			t.Errorf("%q lost something: %q", in, out)
		}
		if _, err := json.Marshal(w.richText(out)); err != nil {
			t.Errorf("rich text of %q: %v", out, err)
		}
	})
}

// FuzzAPI: no body makes a method panic or answer anything but JSON.
func FuzzAPI(f *testing.F) {
	for _, s := range [][2]string{
		{"chat.postMessage", `{"channel":"C0OPS","text":"x","blocks":[{"type":"section","text":{"type":"mrkdwn","text":"x"},"accessory":{"type":"button"}}]}`},
		{"chat.postMessage", `{"channel":"C0OPS","blocks":[{"type":"actions","elements":[1,null,{"type":{}}]}],"attachments":[{"blocks":[{}]}]}`},
		{"chat.update", `{"channel":"C0OPS","ts":"1.1","metadata":{"event_type":"x","event_payload":{}}}`},
		{"conversations.history", `{"channel":"C0OPS","cursor":"b2Zmc2V0Oi0x","limit":"x","oldest":1e99}`},
		{"views.publish", `{"user_id":"U0ADA","view":{"type":"home","blocks":[{"type":"input","label":1,"element":{"type":"checkboxes","initial_options":{}}}]}}`},
		{"reactions.add", `{"channel":"C0OPS","timestamp":"1","name":"+1"}`},
	} {
		f.Add(s[0], s[1])
	}
	s, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	h := s.Handler()
	f.Fuzz(func(t *testing.T, method, body string) {
		if _, ok := methods[method]; !ok {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/"+method, strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+DevBotToken)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var out Block
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || out["ok"] == nil {
			t.Errorf("%s %s: %q", method, body, w.Body)
		}
		if _, err := json.Marshal(s.Snapshot()); err != nil {
			t.Errorf("snapshot after %s %s: %v", method, body, err)
		}
	})
}

// markupToken is one piece of Slack's markup.
var markupToken = regexp.MustCompile(`<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>|:([a-z0-9_+'-]+):`)
