package engine_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/queue"
)

// TestExplainOverHTTPDoesNothing: the admin API explains payloads and events
// that have come, and lists these; Slack is not called and nothing is stored.
func TestExplainOverHTTPDoesNothing(t *testing.T) {
	t.Parallel()
	slack, store := newSlack(t), queue.NewMemory(queue.MemoryOptions{})
	r := newRig(t, map[string]string{"a.star": `
on.message("^go", lambda e: post("#ops", str(kv.incr("n"))))
on.message("spin", lambda e: [x for x in range(100000000)])
`}, func(o *engine.Options) {
		o.Store = store
		o.Config.Slack.APIURL, o.Config.Slack.BotToken = slack.URL+"/api/", "xoxb-1"
		o.Config.Limits.Steps = 10_000
	})
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.AdminAddr().String()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	const went = `{"type":"event_callback","team_id":"T1","event_id":"EvGO","event":{"type":"message","channel":"C1","user":"U1","text":"go","ts":"1.1"}}`
	status, body := ask(http.MethodPost, "/explain", went)
	var rep explain.Report
	if err := json.Unmarshal([]byte(body), &rep); err != nil || status != http.StatusOK {
		t.Fatalf("status %d %s", status, body)
	}
	if rep.Matched != 1 || len(rep.Rules) != 2 || len(rep.Rules[0].Runs) != 1 || len(rep.Rules[0].Runs[0].Effects) != 2 {
		t.Errorf("%s", body)
	}
	if s := store.Stats(); s.Pending != 0 {
		t.Errorf("%d events are stored", s.Pending)
	}
	// Going beyond limits while explaining is not held against the rule.
	for range 4 {
		_, body = ask(http.MethodPost, "/explain", strings.ReplaceAll(went, `"go"`, `"spin"`))
	}
	if !strings.Contains(body, `"outcome":"failed"`) || len(r.SwitchedOff()) != 0 {
		t.Errorf("%v off after %s", r.SwitchedOff(), body)
	}
	slack.mu.Lock()
	for _, c := range slack.calls {
		if c.method != "auth.test" && c.method != "bots.info" {
			t.Errorf("Slack was called: %s", c)
		}
	}
	slack.mu.Unlock()
	if _, body = ask(http.MethodGet, "/events", ""); strings.TrimSpace(body) != "[]" {
		t.Errorf("explaining is listed as an event: %s", body)
	}

	// What has come is listed, and explained by its id.
	if status, _ := r.send("/slack/events", jsonBody, []byte(strings.NewReplacer(`"go"`, `"go on"`, "EvGO", "EvGO2").Replace(went))); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for end := time.Now().Add(20 * time.Second); !strings.Contains(body, "EvGO2"); time.Sleep(5 * time.Millisecond) {
		if _, body = ask(http.MethodGet, "/events", ""); time.Now().After(end) {
			t.Fatalf("the event is not listed: %s", body)
		}
	}
	if !strings.Contains(body, `"matched":["a.star:message:^go"]`) {
		t.Errorf("%s", body)
	}
	if _, body = ask(http.MethodPost, "/explain?id=EvGO2", ""); !strings.Contains(body, `"headline":"go on"`) {
		t.Errorf("%s", body)
	}
	if _, body = ask(http.MethodGet, "/events/EvGO2", ""); !strings.Contains(body, `"kind":"message"`) {
		t.Errorf("%s", body)
	}
	for path, want := range map[string]int{"/explain?id=EvNONE": 404, "/events/EvNONE": 404} {
		method := http.MethodGet
		if strings.HasPrefix(path, "/explain") {
			method = http.MethodPost
		}
		if status, _ = ask(method, path, ""); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
	if status, body = ask(http.MethodPost, "/explain", `{"type":`); status != http.StatusBadRequest || !strings.Contains(body, `"line":1`) {
		t.Errorf("status %d %s", status, body)
	}
}
