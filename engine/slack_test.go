package engine_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
)

// call is one request that arrived at the fake Slack.
type call struct {
	method string // Web API method, or "response" for a response_url
	args   map[string]any
}

func (c call) String() string {
	b, _ := json.Marshal(c.args)
	return c.method + " " + string(b)
}

// slack records what rules do at Slack.
type slack struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
	told  chan struct{}
}

func newSlack(t testing.TB) *slack {
	s := &slack{told: make(chan struct{}, 1)}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// arguments are those of a call of Slack's Web API, however they were sent.
func arguments(r *http.Request) map[string]any {
	args := map[string]any{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		_ = json.NewDecoder(r.Body).Decode(&args)
		return args
	}
	_ = r.ParseForm()
	for k := range r.PostForm {
		args[k] = r.PostForm.Get(k)
	}
	return args
}

func (s *slack) serve(w http.ResponseWriter, r *http.Request) {
	args := arguments(r)
	delete(args, "metadata")
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	out := map[string]any{"ok": true}
	switch {
	case method == "auth.test":
		out["user_id"], out["bot_id"], out["team_id"], out["app_id"] = "UBOT", "BBOT", "T1", "A1"
	case method == "bots.info":
		out["bot"] = map[string]any{"id": "BBOT", "app_id": "A1", "user_id": "UBOT"}
	case method == "conversations.open":
		out["channel"] = map[string]any{"id": fmt.Sprint("D-", args["users"])}
	case method == "conversations.info":
		out["channel"] = map[string]any{"id": args["channel"], "name": "general"}
	case strings.HasPrefix(method, "/response/"):
		method = "response"
		fallthrough
	default:
		out["ts"], out["channel"] = "1700000001.000100", args["channel"]
		s.mu.Lock()
		s.calls = append(s.calls, call{method, args})
		s.mu.Unlock()
		select {
		case s.told <- struct{}{}:
		default:
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

// wait returns the calls once there are at least n.
func (s *slack) wait(t testing.TB, n int) []call {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		calls := append([]call(nil), s.calls...)
		s.mu.Unlock()
		if len(calls) >= n {
			return calls
		}
		select {
		case <-s.told:
		case <-deadline:
			t.Fatalf("got %d of %d calls of Slack: %v", len(calls), n, calls)
		}
	}
}

// newSlackRig is a rig whose rules can call a fake Slack.
func newSlackRig(t testing.TB, files map[string]string, change func(*engine.Options)) (*rig, *slack) {
	t.Helper()
	s := newSlack(t)
	return newRig(t, files, func(o *engine.Options) {
		o.Config.Slack.APIURL = s.URL + "/api/"
		o.Config.Slack.BotToken = "xoxb-engine-test"
		if change != nil {
			change(o)
		}
	}), s
}

// message is the body of a message event; fields are added to the inner event.
func message(id, text string, fields ...string) []byte {
	inner := map[string]any{"type": "message", "channel": "C1", "user": "U1", "text": text, "ts": "1700000000." + pad(id), "event_ts": "1700000000." + pad(id), "channel_type": "channel"}
	for i := 0; i+1 < len(fields); i += 2 {
		inner[fields[i]] = fields[i+1]
	}
	b, _ := json.Marshal(map[string]any{
		"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": "Ev" + id, "event_time": 1700000000, "event": inner,
		"authorizations": []any{map[string]any{"team_id": "T1", "user_id": "UBOT", "is_bot": true}},
	})
	return b
}

func pad(id string) string {
	n := 0
	for _, c := range id {
		n = (n*31 + int(c)) % 1_000_000
	}
	return fmt.Sprintf("%06d", n)
}

// command is the body of a slash command.
func (s *slack) command(name, text, trigger string) []byte {
	v := url.Values{
		"command": {name}, "text": {text}, "team_id": {"T1"}, "channel_id": {"C1"}, "user_id": {"U1"}, "api_app_id": {"A1"},
		"trigger_id": {trigger}, "response_url": {s.URL + "/response/" + trigger},
	}
	return []byte(v.Encode())
}

// interaction is the body of an interaction.
func (s *slack) interaction(kind, trigger string, fields map[string]any) []byte {
	p := map[string]any{
		"type": kind, "trigger_id": trigger, "team": map[string]any{"id": "T1"}, "user": map[string]any{"id": "U1"}, "api_app_id": "A1",
	}
	for k, v := range fields {
		p[k] = v
	}
	b, _ := json.Marshal(p)
	return []byte("payload=" + url.QueryEscape(string(b)))
}
