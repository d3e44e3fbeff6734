package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// samples returns the files of a folder of the sample corpus, which lies
// beside the checkout and is not part of it.
func samples(tb testing.TB, pattern string) []string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		root := filepath.Join(dir, "..", "shared", "slack-samples")
		if _, err := os.Stat(root); err == nil {
			files, err := filepath.Glob(filepath.Join(root, pattern))
			if err != nil || len(files) == 0 {
				tb.Fatalf("no samples match %s (%v)", pattern, err)
			}
			return files
		}
	}
	tb.Skip("the sample corpus (../shared/slack-samples) is not here")
	return nil
}

func readFile(tb testing.TB, file string) []byte {
	tb.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

var meta = event.Meta{Received: time.Unix(1700000000, 5000), Via: "http", Bot: "helper"}

// parseSample parses a file as ingress would, by what its name says it is.
func parseSample(file string, b []byte) (*event.Event, event.Control, error) {
	if strings.HasSuffix(file, ".form") {
		return event.ParseForm(b, meta)
	}
	return event.Parse(b, meta)
}

func TestSamplesAreAcceptedWithTheirRawPayload(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"events/envelopes/*", "events/shapes/*", "events/synthetic/*", "interactive/payloads/*", "interactive/shapes/*",
		"interactive/forms/*", "interactive/synthetic/*.form", "interactive/synthetic/block*.json", "commands/*.form",
		"commands/synthetic/*",
	} {
		for _, file := range samples(t, pattern) {
			name := filepath.Base(file)
			if strings.HasPrefix(name, "neg-") {
				continue
			}
			t.Run(name, func(t *testing.T) {
				body := readFile(t, file)
				e, c, err := parseSample(file, body)
				if err != nil {
					t.Fatal(err)
				}
				if control := c.Verify || c.SSLCheck; control != (e == nil) {
					t.Fatalf("control %+v with event %v", c, e)
				}
				if e == nil {
					if !strings.Contains(name, "url_verification") && !strings.Contains(name, "ssl_check") {
						t.Fatalf("no event: %+v", c)
					}
					return
				}
				checkSample(t, e, body)
			})
		}
	}
}

func checkSample(t *testing.T, e *event.Event, body []byte) {
	t.Helper()
	if e.ID == "" || e.Kind == "" {
		t.Fatalf("no id or kind: %+v", e)
	}
	if e.Encoding == event.Form && !bytes.Equal(e.Raw, body) {
		t.Fatalf("raw differs:\n%s\n%s", e.Raw, body)
	}
	if e.Encoding == event.JSON && !bytes.Equal(e.Raw, body) && !bytes.HasPrefix(body, []byte("payload=")) && !bytes.HasPrefix(body, []byte("foo=")) {
		t.Fatalf("raw differs:\n%s\n%s", e.Raw, body)
	}
	back, err := event.Decode(e.Encode(nil))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := asJSON(t, e), asJSON(t, back); a != b {
		t.Fatalf("stored form differs:\n%s\n%s", a, b)
	}
	obj, err := event.Host(event.AppendInput(nil, e.Encode(nil), nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range obj.FieldNames() {
		if _, known := obj.Field(f); !known {
			t.Errorf("field %s is listed but not known", f)
		}
	}
	raw, _ := obj.Field("raw")
	if e.Encoding != event.JSON {
		return
	}
	got, err := runtime.AppendJSON(nil, raw)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if json.Unmarshal(got, &a) != nil || json.Unmarshal(e.Raw, &b) != nil {
		t.Fatal("raw is not JSON")
	}
	if asJSON(t, a) != asJSON(t, b) {
		t.Fatalf("e.raw differs:\n%s\n%s", got, e.Raw)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNegativeSamplesAreRefused(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"events/synthetic/neg-*", "interactive/synthetic/neg-*", "commands/synthetic/neg-*"} {
		for _, file := range samples(t, pattern) {
			t.Run(filepath.Base(file), func(t *testing.T) {
				e, c, err := parseSample(file, readFile(t, file))
				switch name := filepath.Base(file); {
				case strings.Contains(name, "ssl_check"):
					if err != nil || e != nil || !c.SSLCheck {
						t.Fatalf("the probe dispatched something: %+v %+v %v", e, c, err)
					}
				case strings.Contains(name, "payload-twice"):
					if err != nil || !c.Repeated || e.CallbackID != "first" {
						t.Fatalf("want the first payload, noted as repeated: %+v %+v %v", e, c, err)
					}
				case !event.IsUnusable(err):
					t.Fatalf("accepted: %+v (%v)", e, err)
				default:
					t.Log(err)
				}
			})
		}
	}
}

func TestSocketPayloadsAreAccepted(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"socket/events_api*", "socket/interactive*", "socket/slash*", "socket/synthetic/[eis]*"} {
		for _, file := range samples(t, pattern) {
			t.Run(filepath.Base(file), func(t *testing.T) {
				var frame struct{ Payload json.RawMessage }
				if err := json.Unmarshal(readFile(t, file), &frame); err != nil {
					t.Fatal(err)
				}
				e, _, err := event.Parse(frame.Payload, meta)
				if err != nil {
					t.Fatal(err)
				}
				if want := bytes.Contains(frame.Payload, []byte(`"command"`)); want != (e.Kind == event.Command) {
					t.Fatalf("kind %s", e.Kind)
				}
				checkSample(t, e, frame.Payload)
			})
		}
	}
}
