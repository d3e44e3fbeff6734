package main

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestSecretsOfSettingsAppearInNoOutput: a script whose settings name a secret
// can use it, and nothing that people read or that is kept has its value: log,
// journal, metrics, messages, help, and what the commands print.
func TestSecretsOfSettingsAppearInNoOutput(t *testing.T) {
	slow(t)
	const value = "hush-4711-hush"
	var mu sync.Mutex
	var got []string
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, "you said "+r.Header.Get("Authorization"))
	}))
	t.Cleanup(far.Close)
	slack, dir := newFakeSlack(t), t.TempDir()
	rules, data := filepath.Join(dir, "rules"), filepath.Join(dir, "data")
	if err := os.Mkdir(rules, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "starling.yaml"), `
rules: [rules]
http: {allow: ["`+strings.TrimPrefix(far.URL, "http://")+`"]}
secrets: {API: "${API_KEY}"}
rules_config: {ship: {token: API, where: "`+far.URL+`"}}
`)
	writeFile(t, filepath.Join(rules, "ship.star"), `
load("@starling//help.star", "help")
help()
conf = config_schema(token = {"type": "secret", "required": True, "doc": "The token."}, where = "url")
def ship(e):
    """Ships an app."""
    print("token", conf["token"])
    r = http_post(conf["where"], headers = {"Authorization": "Bearer " + conf["token"]})
    kv.set("last", r.text)
    log.info("answered", text = r.text, token = conf["token"])
    post(e.channel, "shipped %s, %s: %s" % (e.args.app, conf["token"], r.text))
    fail("with", conf["token"])
on.message("!ship", ship, args = "<app>")
on.message("!help", lambda e: json.encode(commands.list()), args = "")
`)
	writeFile(t, filepath.Join(rules, "ship_test.star"), `
def test_ship(t):
    t.http.stub("POST", "*", text = "well")
    t.message("!ship api")
`)
	event := filepath.Join(dir, "event.json")
	writeFile(t, event, string(messageEvent(9, "!ship api")))
	env := []string{"API_KEY=" + value, "STARLING_CONFIG=" + filepath.Join(dir, "starling.yaml"), "SLACK_API_URL=" + slack.URL + "/api/", "LOG_LEVEL=debug"}
	listen, admin := freeAddress(t), freeAddress(t)
	c := run(t, append([]string{
		"SLACK_SIGNING_SECRET=" + signingSecret, "SLACK_BOT_TOKEN=xoxb-test",
		"STARLING_LISTEN=" + listen, "STARLING_ADMIN=" + admin, "STARLING_DATA=" + data, "STARLING_RULES=" + rules,
	}, env...), "serve")
	c.listen, c.admin = listen, admin
	c.ready()
	c.message(1, "!ship api")
	c.message(2, "!help")
	c.prints("outcome=failed")
	outputs := map[string]string{}
	c.until("help is posted", func() bool {
		slack.mu.Lock()
		defer slack.mu.Unlock()
		var all strings.Builder
		for _, m := range slack.messages {
			all.WriteString(m["text"].(string) + "\n")
		}
		outputs["messages"] = all.String()
		return strings.Contains(all.String(), "Ships an app.") && strings.Contains(all.String(), "shipped api, ***: you said ")
	})
	for _, path := range []string{"/runs", "/metrics", "/rules", "/schedules"} {
		_, outputs[path] = c.ask(path)
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)
	outputs["log"] = c.out.String()
	mu.Lock()
	if len(got) != 1 || got[0] != "Bearer "+value {
		t.Errorf("the far side was told %q", got)
	}
	mu.Unlock()
	for _, args := range [][]string{
		{"config"},
		{"config", "--json"},
		{"check", "rules"},
		{"explain", "event.json"},
		{"explain", "--json", "event.json"},
		{"test", "-v", "rules"},
		{"runs", "--json"},
		{"manifest"},
		{"kv", "get", "ship.star", "last"},
	} {
		cmd := exec.Command(binary(t), args...)
		cmd.Dir, cmd.Env = dir, append(env, "STARLING_DATA="+data, "STARLING_ADMIN="+freeAddress(t))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		_ = cmd.Run()
		if outputs["starling "+strings.Join(args, " ")] = out.String(); out.Len() == 0 {
			t.Errorf("starling %v says nothing", args)
		}
	}
	if !strings.Contains(outputs["starling explain event.json"], "***") || !strings.Contains(outputs["starling runs --json"], "ship") {
		t.Errorf("too little is shown: %v", outputs)
	}
	_ = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, _ := os.ReadFile(path)
			outputs["store "+filepath.Base(path)] += string(b)
		}
		return nil
	})
	for what, text := range outputs {
		if strings.Contains(text, value) {
			t.Errorf("%s holds the secret:\n%.2000s", what, text)
		}
	}
}
