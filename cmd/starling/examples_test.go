package main

import (
	"context"
	"crypto/hmac"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/omnibot"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/scripts"
	"github.com/starling-rules/starling/stdlib"
)

// examples lists the directories below examples; each has a README.
func examples(t *testing.T) []string {
	t.Helper()
	readmes, err := filepath.Glob("../../examples/*/README.md")
	if err != nil || len(readmes) < 3 {
		t.Fatalf("found %d examples: %v", len(readmes), err)
	}
	for i := range readmes {
		readmes[i] = filepath.Dir(readmes[i])
	}
	return readmes
}

// loads wants every script of a directory to load without an error.
func loads(t *testing.T, dir string) (rulesLoaded int) {
	t.Helper()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	host := runtime.Host{Library: lib, Input: event.Host}
	starlark, err := star.New(host)
	if err != nil {
		t.Fatal(err)
	}
	other, err := lua.New(host)
	if err != nil {
		t.Fatal(err)
	}
	pool := runtime.NewLocal([]runtime.Language{starlark, other}, runtime.LocalOptions{})
	t.Cleanup(func() { _ = pool.Close(context.Background()) })
	var handlers func(func(string) bool) []rules.Virtual
	if file := filepath.Join(dir, "starling.yaml"); filepath.Base(dir) == "omnibot-migration" {
		c, err := config.Load(config.Sources{File: file})
		if err != nil {
			t.Fatal(err)
		}
		dir, handlers = filepath.Join(dir, "rules"), omnibot.NewSource(c, scripts.FS, nil, nil).Scripts
	}
	l := rules.NewLoader(rules.LoaderOptions{
		Virtual: handlers, Dirs: []string{dir}, Pool: pool, Languages: map[string]string{".star": starlark.Name(), ".lua": other.Name()}, Library: scripts.FS,
	})
	set, rep, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range rep.Files {
		if len(f.Errors) > 0 {
			t.Error(f.Errors.Detail())
		}
	}
	if len(rep.Problems) > 0 {
		t.Error(rep.Problems)
	}
	return set.Len()
}

func TestEveryExampleLoads(t *testing.T) {
	t.Parallel()
	for _, dir := range examples(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			if loads(t, dir) == 0 {
				t.Error("no rules")
			}
		})
	}
}

// The first rule of the README works as it stands, and so does its test.
func TestReadmesFirstRuleAndItsTest(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```python\n(.*?)```").FindAllSubmatch(b, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d pieces of code in the README, want a rule and its test", len(blocks))
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "rules", "deploy.star"), string(blocks[0][1]))
	writeFile(t, filepath.Join(dir, "rules", "deploy_test.star"), string(blocks[1][1]))
	for command, want := range map[string]string{"test": "1 passed, 0 failed", "check": "2 files, 0 problems"} {
		cmd := exec.Command(binary(t), command, "rules")
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH")}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("starling %s: %v\n%s", command, err, out)
		}
	}
}

// Every file that a README links to is there.
func TestReadmesLinkToWhatIsThere(t *testing.T) {
	t.Parallel()
	readmes := []string{"../../README.md"}
	for _, dir := range examples(t) {
		readmes = append(readmes, filepath.Join(dir, "README.md"))
	}
	for _, path := range readmes {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(b), "](")[1:] {
			link, _, _ := strings.Cut(part, ")")
			if strings.Contains(link, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), link)); err != nil {
				t.Errorf("%s links to %s: %v", path, link, err)
			}
		}
	}
}

// slash sends a signed slash command and returns what the user is shown at once.
func (c *child) slash(command, text, trigger string) string {
	c.t.Helper()
	form := url.Values{
		"command": {command}, "text": {text}, "team_id": {"T0TEST"}, "api_app_id": {"A0TEST"}, "channel_id": {"C1"}, "channel_name": {"general"},
		"user_id": {"U1"}, "user_name": {"ann"}, "trigger_id": {trigger}, "response_url": {"https://hooks.slack.com/commands/1"},
	}
	status, b := send(http.DefaultClient, c.listen, "/slack/commands", "application/x-www-form-urlencoded", []byte(form.Encode()))
	if status != http.StatusOK {
		c.t.Fatalf("%s %s: status %d\n%s", command, text, status, c.out.String())
	}
	return string(b)
}

// The example asks a real server, with the secret, and tells of each failure.
func TestExampleHTTPAsksTheAPI(t *testing.T) {
	slow(t)
	const token = "the-status-token"
	posted := make(chan string, 1)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !hmac.Equal([]byte(r.Header.Get("Authorization")), []byte("Bearer "+token)):
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodPost && r.URL.Path == "/announcements":
			b, _ := io.ReadAll(r.Body)
			posted <- string(b)
		case r.URL.Path == "/services/odd.json":
			_, _ = io.WriteString(w, `["odd"]`)
		case r.URL.Path == "/services/ill.json":
			w.WriteHeader(http.StatusTeapot)
		default:
			http.FileServer(http.Dir("../../examples/http/api")).ServeHTTP(w, r)
		}
	}))
	t.Cleanup(api.Close)
	start := func(token string) *child {
		conf := filepath.Join(t.TempDir(), "starling.yaml")
		b, err := os.ReadFile("../../examples/http/starling.yaml")
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, conf, strings.ReplaceAll(string(b), "127.0.0.1:8099", api.Listener.Addr().String()))
		dir, err := filepath.Abs("../../examples/http")
		if err != nil {
			t.Fatal(err)
		}
		listen, admin := freeAddress(t), freeAddress(t)
		c := run(t, []string{"SLACK_SIGNING_SECRET=" + signingSecret, "STATUS_TOKEN=" + token, "LOG_LEVEL=debug"},
			"serve", "--config", conf, "--rules", dir, "--data", t.TempDir(), "--listen", listen, "--admin", admin)
		c.listen, c.admin = listen, admin
		return c.ready()
	}
	c := start(token)
	for i, x := range []struct{ command, text, want string }{
		{"/status", "shop", "*shop* is well."},
		{"/status", "nothing", "I know no service called `nothing`."},
		{"/status", "odd", "something that is no status"},
		{"/status", "ill", "answered 418"},
		{"/status", "", "/status &lt;service&gt;"},
		{"/announce", "shop closed on Monday", "Announced for *shop*: closed on Monday"},
	} {
		if got := c.slash(x.command, x.text, fmt.Sprintf("%d.1", i)); !strings.Contains(got, x.want) && !strings.Contains(got, strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(x.want)) {
			t.Errorf("%s %s: answered %s, want %s", x.command, x.text, got, x.want)
		}
	}
	if t.Failed() {
		t.Fatal(c.out.String())
	}
	if got, want := <-posted, `{"service":"shop","text":"closed on Monday","by":"U1"}`; got != want {
		t.Errorf("posted %s, want %s", got, want)
	}
	api.CloseClientConnections()
	_, runs := c.ask("/runs")
	if strings.Contains(runs, token) || strings.Contains(c.out.String(), token) {
		t.Error("the token is in the log or in the runs")
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)

	c = start("another-token")
	if got := c.slash("/status", "shop", "7.1"); !strings.Contains(got, "does not accept our token") {
		t.Errorf("with a wrong token: %s", got)
	}
	api.Close()
	if got := c.slash("/status", "shop", "8.1"); !strings.Contains(got, "cannot be reached") {
		t.Errorf("without the API: %s", got)
	}
}
