package engine_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/queue/queuetest"
	"github.com/starling-rules/starling/scripts"
)

// reloaded is an engine that reads its configuration from a file.
type reloaded struct {
	*rig
	slack *workspace
	file  string
	env   map[string]string
	n     int
}

const reloadHead = `
primary_bot: {}
default_to_help: false
`

func newReloaded(t *testing.T, text string, files map[string]string) *reloaded {
	t.Helper()
	w := newWorkspace(t)
	r := &reloaded{slack: w, file: filepath.Join(t.TempDir(), "starling.yaml"), env: map[string]string{"SLACK_API_URL": w.URL + "/api/"}}
	for name, value := range map[string]string{
		"CREDENTIALS_SLACK_SIGNING_SECRET_A1": "secret-of-a1", "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_A1": "xoxb-a1-first",
		"CREDENTIALS_SLACK_SIGNING_SECRET_A2": "secret-of-a2", "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_A2": "xoxb-a2-first",
	} {
		r.env[name+"_FILE"] = r.credential(t, name, value)
	}
	r.save(t, text)
	r.rig = newRig(t, files, func(o *engine.Options) {
		base := *o.Config
		read := func() (*config.Config, error) {
			c := base
			return config.Load(config.Sources{File: r.file, Base: &c, Getenv: func(name string) string { return r.env[name] }})
		}
		c, err := read()
		if err != nil {
			t.Fatal(err)
		}
		o.Config, o.Reload, o.Scripts = c, read, scripts.FS
	})
	return r
}

func (r *reloaded) credential(t *testing.T, name, value string) (file string) {
	t.Helper()
	file = filepath.Join(filepath.Dir(r.file), name)
	if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (r *reloaded) save(t *testing.T, text string) {
	t.Helper()
	r.n++ // the size of the file differs each time
	if err := os.WriteFile(r.file, []byte(reloadHead+text+strings.Repeat("\n", r.n)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// change saves a configuration and has it read.
func (r *reloaded) change(text string) {
	r.t.Helper()
	r.save(r.t.(*testing.T), text)
	if err := r.Reload(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// event sends an event of an app, signed with a secret.
func (r *reloaded) event(team, app, key, text string) int {
	r.t.Helper()
	r.n++
	body := strings.NewReplacer(`"T1"`, `"`+team+`"`, `"A1"`, `"`+app+`"`).Replace(string(message("e"+strconv.Itoa(r.n), text)))
	ts := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("v0:" + ts + ":" + body))
	return r.ask(http.MethodPost, "/slack/events", body, "Content-Type", jsonBody,
		"X-Slack-Request-Timestamp", ts, "X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil))).status
}

func (r *reloaded) get(path, key string) int {
	return r.ask(http.MethodGet, "/api/v1/slack/"+path, "", "Authorization", "Bearer "+key).status
}

const sayToken = `
on.message("^who", lambda e: probe.see(ok = slack_action("chat.postMessage", channel = "C1", text = e.text).ok))
on.message("^call (.*)", lambda e: probe.see(error = http_get(e.text.split(" ")[1]).error or ""))
`

func TestTheConfigurationFileIsTakenUpWhileServing(t *testing.T) {
	t.Parallel()
	one := keyHash("key-one")[0]
	two := keyHash("key-two")[0]
	first := "teams: {acme: T1}\nbots: {acme: {helper: A1}}\nauthorization: {keys: {ci: {hash: [\"" + one + "\"], methods: [GET, POST], bots: [\"*/*\"], slack_methods: [\"*\"]}}}\n"
	second := "teams: {acme: T1, new: T2}\nbots: {acme: {helper: A1}, new: {other: A2}}\nauthorization: {keys: {ci: {hash: [\"" + two + "\"], methods: [GET, POST], bots: [\"*/*\"], slack_methods: [\"*\"]}}}\n"
	handlers := "handlers: {message_handlers: [{match: %, match_type: regex, bots: {new: [other]}, callbacks: [{module: \"omnibot.callbacks.message_callbacks:test_callback\", kwargs: {text: from the handler}}]}]}\n"
	r := newReloaded(t, first, map[string]string{"a.star": sayToken, "b.star": `on.message("^for new", lambda e: probe.see(team = e.team), teams = ["new"])`})
	before := func(when string) {
		t.Helper()
		if a, b, c := r.get("get_team/acme", "key-one"), r.get("get_team/new", "key-one"), r.get("get_team/acme", "key-two"); a != 200 || b != 404 || c != 401 {
			t.Errorf("%s: the API answers %d, %d, %d", when, a, b, c)
		}
		if a, b := r.event("T1", "A1", "secret-of-a1", "nothing"), r.event("T2", "A2", "secret-of-a2", "nothing"); a != 200 || b != 401 {
			t.Errorf("%s: events are answered %d, %d", when, a, b)
		}
	}
	before("at first")
	r.event("T1", "A1", "secret-of-a1", "who")
	r.wait(1)
	if got := r.slack.last().token; got != "xoxb-a1-first" {
		t.Errorf("called with %s", got)
	}

	// What is wrong anywhere keeps everything as it was.
	for name, text := range map[string]string{
		"no YAML":          second + "handlers: [",
		"a wrong pattern":  second + "trusted_proxies: [nonsense]\n",
		"a wrong handler":  second + strings.Replace(handlers, "%", "\"a(\"", 1),
		"no such callback": second + strings.Replace(handlers, "test_callback", "tset_callback", 1),
	} {
		r.change(text)
		before(name)
	}

	// All of it at once: teams, bots, secrets, tokens, keys, handlers.
	r.credential(t, "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_A1", "xoxb-a1-second")
	r.change(second + strings.Replace(handlers, "%", "hello", 1) + "listen: 127.0.0.1:1\ndata: /elsewhere\nlimits: {steps: 12345}\n")
	if a, b, c := r.get("get_team/acme", "key-one"), r.get("get_team/new", "key-two"), r.get("get_ims/new/other", "key-two"); a != 401 || b != 200 || c != 200 {
		t.Errorf("the API answers %d, %d, %d", a, b, c)
	}
	if a, b := r.event("T1", "A1", "secret-of-a1", "who"), r.event("T2", "A2", "secret-of-a2", "hello"); a != 200 || b != 200 {
		t.Errorf("events are answered %d, %d", a, b)
	}
	until(t, func() bool {
		r.slack.mu.Lock()
		defer r.slack.mu.Unlock()
		seen := map[string]bool{}
		for _, p := range r.slack.posts {
			seen[p.token+" "+p.text] = true
		}
		return seen["xoxb-a1-second who"] && seen["xoxb-a2-first from the handler"]
	})
	// A rule that names a team which is new is live too.
	until(t, func() bool {
		r.event("T2", "A2", "secret-of-a2", "for new")
		for _, d := range r.all() {
			if d.Text("team") == "T2" {
				return true
			}
		}
		return false
	})
	log := r.log.String()
	if !strings.Contains(log, "count from the next start only") || !strings.Contains(log, "data limits.steps listen") {
		t.Error("what needs a restart is not named")
	}
	for _, hidden := range []string{"secret-of-a2", "xoxb-a1-second"} {
		if strings.Contains(log, hidden) {
			t.Errorf("%s is in the log", hidden)
		}
	}
}

func TestTheListOfHostsIsTakenUpWhileServing(t *testing.T) {
	t.Parallel()
	head := "teams: {acme: T1}\nbots: {acme: {helper: A1}}\n"
	r := newReloaded(t, head, map[string]string{"a.star": sayToken})
	call := func() string {
		t.Helper()
		n := len(r.all())
		r.event("T1", "A1", "secret-of-a1", "call "+r.slack.URL)
		return r.wait(n + 1)[n].Text("error")
	}
	if got := call(); !strings.Contains(got, "refused") {
		t.Errorf("a private address that is not listed: %q", got)
	}
	r.change(head + "http: {allow: [\"" + strings.TrimPrefix(r.slack.URL, "http://") + "\"]}\n")
	if got := call(); got != "" {
		t.Errorf("listed: %q", got)
	}
	r.change(head)
	if got := call(); !strings.Contains(got, "refused") {
		t.Errorf("not listed any more: %q", got)
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}

// A server of a cluster learns of a rename from the one that Slack has told.
func TestARenameReachesTheOtherServersOfACluster(t *testing.T) {
	t.Parallel()
	addr := queuetest.Server(t)
	w := newWorkspace(t)
	start := func() *rig {
		store, err := queue.Open(t.Context(), queue.Options{URL: addr, Shards: 2, MaxBytes: 64 << 20, Lease: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return newRig(t, map[string]string{"a.star": `on.event("channel_rename", lambda e: probe.see(seen = e.type))`}, func(o *engine.Options) {
			o.Store, o.Config.Queue.URL, o.Config.Slack.APIURL = store, addr, w.URL+"/api/"
			omnibotConfig(o.Config, 1, 1)
		})
	}
	a, b := start(), start()
	name := func(r *rig) string {
		got := r.ask(http.MethodGet, "/api/v1/slack/get_channel/team1/bot1/C1", "", "Authorization", all)
		_, rest, _ := strings.Cut(got.body, `"name":"`)
		name, _, _ := strings.Cut(rest, `"`)
		return name
	}
	first := name(a)
	// It is kept in the store after it has been answered.
	until(t, func() bool { return strings.Contains(a.admin(http.MethodGet, "/cache"), `"stored":[{"kind":"channel"`) })
	if second := name(b); first != "general" || second != "general" {
		t.Fatalf("got %q and %q", first, second)
	}
	if n := w.count("conversations.info"); n != 1 {
		t.Errorf("two servers made %d calls for the same, want 1", n)
	}
	w.mu.Lock()
	w.name = "renamed"
	w.mu.Unlock()
	body := `{"type":"event_callback","team_id":"T1","api_app_id":"A11","event_id":"EvR","event":{"type":"channel_rename","channel":{"id":"C1","name":"renamed"}}}`
	if status, _ := a.send("/slack/events", jsonBody, []byte(body)); status != 200 {
		t.Fatalf("got %d", status)
	}
	until(t, func() bool { return name(a) == "renamed" && name(b) == "renamed" })
}
