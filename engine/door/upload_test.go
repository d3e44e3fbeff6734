package door_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// drop is a Slack that takes files; it writes down what comes.
type drop struct {
	uploadURL string
	fail      map[string]string // method → answer
	got       []string
}

func (d *drop) RoundTrip(req *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	name, status, body := strings.TrimPrefix(req.URL.Path, "/api/"), 200, `{"ok":true}`
	switch {
	case req.URL.Host != "slack.com":
		name, body = "upload to "+req.URL.Host, "OK - 3"
		if req.Header.Get("Authorization") != "" {
			name += " with a token"
		}
	case name == "files.getUploadURLExternal":
		body = `{"ok":true,"file_id":"F1","upload_url":"` + d.uploadURL + `"}`
	case name == "files.completeUploadExternal":
		body = `{"ok":true,"files":[{"id":"F1","title":"t"}]}`
	}
	if bad, ok := d.fail[name]; ok {
		body = bad
		if rest, is := strings.CutPrefix(bad, "500 "); is {
			status, body = 500, rest
		}
	}
	d.got = append(d.got, name+" "+string(b))
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func (d *drop) do(t *testing.T, e *event.Event, args ...any) (runtime.Value, error) {
	t.Helper()
	c, err := slackapi.New(slackapi.Options{HTTP: &http.Client{Transport: d}, Tokens: slackapi.Static{Bot: "xoxb-1"}, Retries: 1, Rand: func() float64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	live := door.NewLive(door.Deps{Slack: c})
	if live["upload"].Repeat != nil {
		t.Error("an upload in doubt would be repeated")
	}
	return live["upload"].Do(t.Context(), &door.Run{ID: "r1", Event: e}, runtime.Effect{Kind: "upload", Step: 1, Args: runtime.NewDict(args...)})
}

func TestUploadInThreeSteps(t *testing.T) {
	t.Parallel()
	d := &drop{uploadURL: "https://files.slack.com/upload/v1/abc"}
	v, err := d.do(t, &event.Event{Channel: "C1", ThreadTS: "5.5"}, "content", "a,b", "filename", "t.csv", "comment", "here")
	if err != nil {
		t.Fatal(err)
	}
	res := v.(*runtime.Dict)
	if ok, _ := res.Get("ok"); ok != true || res.Text("file") != "F1" || res.Text("channel") != "C1" {
		t.Errorf("result %v", res)
	}
	got := strings.Join(d.got, "\n")
	for _, want := range []string{"length=3", "filename=t.csv", "upload to files.slack.com a,b", `"thread_ts":"5.5"`, `"channel_id":"C1"`, `"initial_comment":"here"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "with a token") {
		t.Error("a token goes with the file")
	}
}

func TestUploadGoesToSlackOnly(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"https://files.slack.com.evil.example/x", "http://files.slack.com/x", "https://169.254.1.1/", "https://u@files.slack.com/x"} {
		d := &drop{uploadURL: url}
		if _, err := d.do(t, &event.Event{Channel: "C1"}, "content", "x", "filename", "x.txt"); err == nil || len(d.got) != 1 {
			t.Errorf("%s: %v after %q", url, err, d.got)
		}
	}
}

func TestUploadThatSlackRefuses(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]int{"files.getUploadURLExternal": 1, "files.completeUploadExternal": 3} {
		d := &drop{uploadURL: "https://files.slack.com/u", fail: map[string]string{method: `{"ok":false,"error":"missing_scope"}`}}
		v, err := d.do(t, &event.Event{Channel: "C1"}, "content", "x", "filename", "x.txt")
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := runtime.AppendJSON(nil, v); !strings.Contains(string(text), "missing_scope") || len(d.got) != want {
			t.Errorf("%s: %s after %d calls", method, text, len(d.got))
		}
	}
	// The content is sent again: nobody sees a file before it is completed.
	d := &drop{uploadURL: "https://files.slack.com/u", fail: map[string]string{"upload to files.slack.com": "500 no"}}
	v, err := d.do(t, &event.Event{Channel: "C1"}, "content", "x", "filename", "x.txt")
	if text, _ := runtime.AppendJSON(nil, v); err != nil || !strings.Contains(string(text), "http_500") || len(d.got) < 3 || strings.Contains(strings.Join(d.got, " "), "complete") {
		t.Errorf("%s %v after %q", text, err, d.got)
	}
	d = &drop{}
	if v, err := d.do(t, &event.Event{}, "content", "x", "filename", "x.txt"); err != nil || len(d.got) != 0 {
		t.Errorf("without a conversation: %v %v", v, err)
	}
}
