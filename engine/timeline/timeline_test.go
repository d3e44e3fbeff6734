package timeline_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/redact"
	"github.com/starling-rules/starling/engine/timeline"
)

// Secrets go, by what they look like, by their value, and by the name of their
// field; all else stays, in its order.
func TestJSONIsCleaned(t *testing.T) {
	t.Parallel()
	clean := redact.NewSet("open-sesame").Clean
	for in, want := range map[string]string{
		`{"z":1,"a":[true,null,"x <b>"],"n":1.795340440937464e+09}`:    `{"z":1,"a":[true,null,"x <b>"],"n":1.795340440937464e+09}`,
		`{"password":"hunter2","token":"","Set-Cookie":7,"user":"U1"}`: `{"password":"***","token":"","Set-Cookie":"***","user":"U1"}`,
		`{"headers":{"Authorization":"Basic eDp5"},"secret":["kept"]}`: `{"headers":{"Authorization":"***"},"secret":["kept"]}`,
		`["say open-sesame","xoxb-123456789012-abcdefghijkl"]`:         `["say ***","***"]`,
		`{"open-sesame":1}`: `{"***":1}`,
		`{"cut": `:          `"***"`,
		`null`:              `null`,
		``:                  ``,
	} {
		if got := string(timeline.JSON(json.RawMessage(in), clean)); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestMomentsAreCleaned(t *testing.T) {
	t.Parallel()
	w := &timeline.Wait{Title: "Say open-sesame?", Wakes: []string{"a click on open-sesame"}, State: json.RawMessage(`["open-sesame"]`)}
	all := []timeline.Moment{
		{At: time.Unix(1, 0), What: timeline.Log, Text: "open-sesame", Attrs: json.RawMessage(`{"a":"open-sesame"}`)},
		{What: timeline.Effect, Request: json.RawMessage(`{"text":"open-sesame"}`), Answer: json.RawMessage(`"open-sesame"`), Error: "no open-sesame"},
		{What: timeline.Waiting, Wait: w},
	}
	timeline.Clean(all, redact.NewSet("open-sesame").Clean)
	text, err := json.Marshal(all)
	if err != nil || strings.Contains(string(text), "sesame") || strings.Count(string(text), "***") != 8 {
		t.Errorf("%s %v", text, err)
	}
	if !strings.Contains(w.Title, "sesame") {
		t.Error("what is shared was changed")
	}
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"password":"hunter2","a":[1,{"token":"x"}]}`)
	f.Add(`[`)
	f.Add(`{"a":1}{"b":2}`)
	f.Fuzz(func(t *testing.T, in string) {
		if out := timeline.JSON(json.RawMessage(in), strings.Clone); len(in) > 0 && !json.Valid(out) {
			t.Errorf("%q became %q", in, out)
		}
	})
}
