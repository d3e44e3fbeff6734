package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// apiSlack answers what the API asks, and remembers with which token.
type apiSlack struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string // method and token
}

func newAPISlack(t *testing.T) *apiSlack {
	s := &apiSlack{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := strings.TrimPrefix(r.URL.Path, "/api/")
		s.mu.Lock()
		s.calls = append(s.calls, method+" "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		s.mu.Unlock()
		_, _ = io.WriteString(w, map[string]string{
			"auth.test":           `{"ok":true,"user_id":"UBOT","bot_id":"BBOT","team_id":"T1","app_id":"A1"}`,
			"users.lookupByEmail": `{"ok":true,"user":{"id":"U1","team_id":"T1","name":"ann","profile":{"email":"ann@x.example","display_name":"Ann"}}}`,
			"chat.postMessage":    `{"ok":true,"channel":"C1","ts":"1.000001"}`,
		}[method])
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *apiSlack) count(call string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c == call {
			n++
		}
	}
	return n
}

const apiConfig = `teams: {acme: T1}
bots: {acme: {helper: A1, other: A2, orphan: A3}}
primary_bot: {acme: helper}
authorization:
  checks:
    - module: "omnibot.authnz.envoy_checks:envoy_internal_check"
  keys:
    ci:
      hash: "sha256:KEYHASH"
      methods: [GET, POST]
      bots: ["acme/*"]
      slack_methods: [chat.postMessage]
`

func TestServeAnswersOmnibotsAPI(t *testing.T) {
	slow(t)
	slack, dir := newAPISlack(t), t.TempDir()
	writeFile(t, filepath.Join(dir, "rules", "a.star"), echoRule)
	sum := sha256.Sum256([]byte("key-of-ci"))
	conf := filepath.Join(dir, "omnibot.yaml")
	writeFile(t, conf, strings.ReplaceAll(apiConfig, "KEYHASH", hex.EncodeToString(sum[:])))
	start := func() *child {
		listen, admin := freeAddress(t), freeAddress(t)
		c := run(t, []string{
			"CONFIG_FILE=" + conf, "SLACK_API_URL=" + slack.URL + "/api/",
			"CREDENTIALS_SLACK_SIGNING_SECRET_A1=s1", "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_A1=xoxb-one",
			"CREDENTIALS_SLACK_SIGNING_SECRET_A2=s2", "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_A2=xoxb-two",
		}, "serve", "--rules", filepath.Join(dir, "rules"), "--data", filepath.Join(dir, "data"), "--listen", listen, "--admin", admin)
		c.listen, c.admin = listen, admin
		return c.ready()
	}
	ask := func(c *child, method, path, body, key string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+c.listen+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	c := start()
	const say, user = `{"action":"chat.postMessage","kwargs":{"channel":"C1","text":"hi"}}`, "/api/v1/slack/get_user/acme/helper/ann@x.example"
	for _, tc := range []struct {
		method, path, body, key string
		status                  int
	}{
		{"GET", user, "", "", 403},
		{"GET", user, "", "guess", 401},
		{"GET", user, "", "key-of-ci", 200},
		{"GET", user, "", "key-of-ci", 200},
		{"POST", "/api/v2/slack/action/acme/helper", say, "key-of-ci", 200},
		{"POST", "/api/v2/slack/action/acme/other", say, "key-of-ci", 200},
		{"POST", "/api/v2/slack/action/acme/orphan", say, "key-of-ci", 404},
		{"POST", "/api/v2/slack/action/acme/helper", `{"action":"chat.delete","kwargs":{}}`, "key-of-ci", 403},
	} {
		if status, b := ask(c, tc.method, tc.path, tc.body, tc.key); status != tc.status {
			t.Errorf("%s %s %s with %q: got %d %s, want %d", tc.method, tc.path, tc.body, tc.key, status, b, tc.status)
		}
	}
	for call, want := range map[string]int{"chat.postMessage xoxb-one": 1, "chat.postMessage xoxb-two": 1, "users.lookupByEmail xoxb-one": 1} {
		if n := slack.count(call); n != want {
			t.Errorf("%s: %d calls, want %d", call, n, want)
		}
	}
	for _, never := range []string{"key-of-ci", "xoxb-", "ann@x.example"} {
		if strings.Contains(c.out.String(), never) {
			t.Errorf("the log holds %q", never)
		}
	}
	if !strings.Contains(c.out.String(), "api call") {
		t.Error("there is no audit line")
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)

	// A restart does not ask Slack again, a purge makes it.
	c = start()
	if status, b := ask(c, "GET", user, "", "key-of-ci"); status != 200 || slack.count("users.lookupByEmail xoxb-one") != 1 {
		t.Errorf("after a restart: got %d %s with %d calls", status, b, slack.count("users.lookupByEmail xoxb-one"))
	}
	cache := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(binary(t), append([]string{"cache", "--admin", c.admin, "--data", filepath.Join(dir, "data")}, args...)...)
		cmd.Dir, cmd.Env = dir, []string{"CONFIG_FILE=" + conf}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("cache %v: %v %s", args, err, out)
		}
		return string(out)
	}
	if out := cache(); !strings.Contains(out, "ann@x.example") || !strings.Contains(out, "FROM STORE") {
		t.Errorf("cache: got %s", out)
	}
	if out := cache("list", "--team", "nobody"); strings.Contains(out, "ann@x.example") {
		t.Errorf("cache list of another team: got %s", out)
	}
	if out := cache("purge", "--team", "acme"); !strings.Contains(out, "1 in the store") {
		t.Errorf("cache purge: got %s", out)
	}
	if status, _ := ask(c, "GET", user, "", "key-of-ci"); status != 200 || slack.count("users.lookupByEmail xoxb-one") != 2 {
		t.Errorf("after a purge: got %d with %d calls", status, slack.count("users.lookupByEmail xoxb-one"))
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)
	// Without a server the store itself is asked.
	if out := cache("--json"); !strings.Contains(out, `"ann@x.example"`) || strings.Contains(out, `"process"`) {
		t.Errorf("cache without a server: got %s", out)
	}
}
