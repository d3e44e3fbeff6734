package ingress_test

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
)

// TestSamplesOverTheWire sends the whole corpus, signed: what is valid is 200
// and arrives with its payload intact, what is not is refused or ignored.
func TestSamplesOverTheWire(t *testing.T) {
	t.Parallel()
	root := corpus(t)
	s := &sink{}
	srv := start(t, s, nil)
	c := dial(t, srv.Addr())
	count := map[int]int{}
	for _, pattern := range []string{
		"events/envelopes/*", "events/shapes/*", "events/synthetic/*", "interactive/payloads/*", "interactive/forms/*",
		"interactive/synthetic/*.form", "interactive/synthetic/block*.json", "commands/*.form", "commands/synthetic/*",
	} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			payload, name := b, filepath.Base(file)
			r := request{body: string(b), mediaType: "application/json"}
			if strings.HasPrefix(pattern, "interactive/") && strings.HasSuffix(name, ".json") {
				r.body = "payload=" + url.QueryEscape(string(b))
			}
			if strings.HasSuffix(name, ".form") || strings.HasPrefix(r.body, "payload=") {
				r.mediaType = "application/x-www-form-urlencoded"
			}
			before := len(s.all())
			c.send(r.bytes())
			got := c.receive("POST")
			count[got.status]++
			events := s.all()[before:]
			checkWire(t, name, payload, got, events)
		}
	}
	t.Logf("answers by status: %v", count)
}

func checkWire(t *testing.T, name string, payload []byte, got response, events []*event.Event) {
	t.Helper()
	switch {
	case strings.Contains(name, "ssl_check"), strings.HasPrefix(name, "url_verification"):
		if got.status != 200 || len(events) != 0 {
			t.Errorf("%s: %d, %d events", name, got.status, len(events))
		}
	case name == "neg-payload-twice.form":
		if got.status != 200 || len(events) != 1 || events[0].CallbackID != "first" {
			t.Errorf("%s: %d, %v", name, got.status, events)
		}
	case strings.HasPrefix(name, "neg-"):
		if got.status != 400 || len(events) != 0 || got.header.Get("X-Slack-No-Retry") != "1" {
			t.Errorf("%s: %+v, %d events", name, got, len(events))
		}
	default:
		if got.status != 200 || len(events) != 1 {
			t.Errorf("%s: %+v, %d events", name, got, len(events))
			return
		}
		want := payload
		if f, err := url.ParseQuery(string(payload)); err == nil && f.Get("payload") != "" {
			want = []byte(f.Get("payload"))
		}
		if !bytes.Equal(events[0].Raw, want) {
			t.Errorf("%s: raw differs", name)
		}
	}
}
