package sim

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestFilesAreUploadedInThreeSteps(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	place := s.ok("files.getUploadURLExternal", Block{"filename": "report <b>.csv", "length": 7})
	url, id := text(place["upload_url"]), text(place["file_id"])
	send := func(url, content string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.web.URL+strings.TrimPrefix(url, s.URL()), bytes.NewReader([]byte(content)))
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	fails := func(method string, args Block, want string) {
		t.Helper()
		if out := s.api(method, args); out["ok"] != false || out["error"] != want {
			t.Errorf("%s: %v, want %s", method, out, want)
		}
	}
	share := Block{"files": []Block{{"id": id, "title": "Report"}}, "channel_id": "C0OPS", "initial_comment": "here it is"}
	fails("files.completeUploadExternal", share, "file_not_found") // nothing was sent yet
	if status, _ := send(url, "too long for it"); status != http.StatusBadRequest {
		t.Errorf("another length: status %d", status)
	}
	if status, _ := send(strings.Replace(url, id, "F9", 1), "a,b\n1,2"); status != http.StatusNotFound {
		t.Errorf("no such file: status %d", status)
	}
	if status, body := send(url, "a,b\n1,2"); status != http.StatusOK || body != "OK - 7" {
		t.Fatalf("status %d %s", status, body)
	}
	fails("files.completeUploadExternal", Block{"files": []Block{{"id": id}}, "channel_id": "C9"}, "channel_not_found")
	s.ok("files.completeUploadExternal", share)
	fails("files.completeUploadExternal", share, "file_not_found") // once only

	history := s.ok("conversations.history", Block{"channel": "C0OPS", "limit": 1})
	list, _ := history["messages"].([]any)
	m, _ := list[0].(map[string]any)
	if got := text(m["text"]); !strings.HasPrefix(got, "here it is\n<http://") || !strings.HasSuffix(got, "/files/"+id+"|Report> (7 bytes)") {
		t.Errorf("message %q", got)
	}
	res, err := s.web.Client().Get(s.web.URL + "/files/" + id)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if string(b) != "a,b\n1,2" || res.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("file %q with %v", b, res.Header)
	}
	fails("files.getUploadURLExternal", Block{"filename": "x", "length": 0}, "invalid_arguments")
}
