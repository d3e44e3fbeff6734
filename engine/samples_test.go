package engine_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// samples finds the payloads that Slack's public SDKs test with, beside the
// checkout. They are not part of the repository.
func samples(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if p := filepath.Join(dir, "shared", "slack-samples"); isDir(p) {
			return p
		}
		if p := filepath.Join(filepath.Dir(dir), "shared", "slack-samples"); isDir(p) {
			return p
		}
	}
	t.Skip("no shared/slack-samples beside the checkout")
	return ""
}

func isDir(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.IsDir()
}

// sample is one payload as it goes over the wire.
type sample struct {
	name        string
	contentType string
	body        []byte
	raw         any // what e.raw must be
}

func readSamples(t *testing.T, root string) []sample {
	t.Helper()
	var out []sample
	add := func(pattern string, make func(name string, text []byte) (sample, bool)) {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasPrefix(filepath.Base(name), "neg-") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rel, _ := filepath.Rel(root, name)
			if s, ok := make(rel, text); ok {
				out = append(out, s)
			}
		}
	}
	asJSON := func(name string, text []byte) (sample, bool) {
		var raw map[string]any
		if json.Unmarshal(text, &raw) != nil {
			return sample{}, false
		}
		switch raw["type"] {
		case "url_verification", "": // answered at the door; shapes with blank values test decoding alone
			return sample{}, false
		}
		return sample{name, jsonBody, text, raw}, true
	}
	payload := func(name string, text []byte) (sample, bool) {
		var raw map[string]any
		if json.Unmarshal(text, &raw) != nil || raw["type"] == nil || raw["type"] == "" {
			return sample{}, false
		}
		return sample{name, formBody, []byte("payload=" + url.QueryEscape(string(text))), raw}, true
	}
	form := func(name string, text []byte) (sample, bool) {
		v, err := url.ParseQuery(string(text))
		if err != nil || v.Has("ssl_check") || v.Get("command")+v.Get("payload") == "" {
			return sample{}, false
		}
		raw := map[string]any{}
		if p := v.Get("payload"); p != "" {
			_ = json.Unmarshal([]byte(p), &raw)
		} else {
			for k := range v {
				raw[k] = v.Get(k)
			}
		}
		return sample{name, formBody, text, raw}, true
	}
	socket := func(name string, text []byte) (sample, bool) {
		var envelope struct {
			Type    string
			Payload json.RawMessage
		}
		if json.Unmarshal(text, &envelope) != nil || len(envelope.Payload) == 0 {
			return sample{}, false
		}
		switch envelope.Type {
		case "events_api":
			return asJSON(name, envelope.Payload)
		case "interactive":
			return payload(name, envelope.Payload)
		case "slash_commands":
			var fields map[string]any
			if json.Unmarshal(envelope.Payload, &fields) != nil {
				return sample{}, false
			}
			v := url.Values{}
			for k, f := range fields {
				if s, ok := f.(string); ok {
					v.Set(k, s)
				}
			}
			return form(name, []byte(v.Encode()))
		}
		return sample{}, false
	}
	for _, p := range []string{"events/envelopes/*.json", "events/synthetic/*.json", "events/shapes/*.json"} {
		add(p, asJSON)
	}
	for _, p := range []string{"interactive/payloads/*.json", "interactive/shapes/*.json"} {
		add(p, payload)
	}
	for _, p := range []string{"interactive/forms/*.form", "interactive/synthetic/*.form", "commands/*.form", "commands/synthetic/*.form"} {
		add(p, form)
	}
	for _, p := range []string{"socket/*.json", "socket/synthetic/*.json"} {
		add(p, socket)
	}
	return out
}

func TestEverySampleReachesACatchAllRuleWithRawIntact(t *testing.T) {
	t.Parallel()
	all := readSamples(t, samples(t))
	if len(all) < 150 {
		t.Fatalf("got %d samples, want most of them", len(all))
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			// An engine each: the samples share ids, and a copy is not run again.
			r := newRig(t, map[string]string{"all.star": `on.event("*", lambda e: probe.see(raw = json.encode(e.raw)))`}, nil)
			if status, answer := r.send("/slack/events", s.contentType, s.body); status != 200 {
				t.Fatalf("got %d %s", status, answer)
			}
			var raw any
			if err := json.Unmarshal([]byte(r.wait(1)[0].Text("raw")), &raw); err != nil {
				t.Fatal(err)
			}
			if got, want := canonical(t, raw), canonical(t, s.raw); got != want {
				t.Errorf("raw did not arrive as it was sent\n got %s\nwant %s", got, want)
			}
		})
	}
	t.Logf("%d samples", len(all))
}

// canonical is the JSON of a value with sorted keys.
func canonical(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
