package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// body posts a payload without a signature.
func (c *child) body(text string) int {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, "http://"+c.listen+"/slack/events", strings.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestTheDeprecatedTokenCountsOnlyWithItsSwitch starts the program with what an
// operator of omnibot has: tokens, and no signing secret.
func TestTheDeprecatedTokenCountsOnlyWithItsSwitch(t *testing.T) {
	slow(t)
	slack, dir := newFakeSlack(t), t.TempDir()
	file, secret := filepath.Join(dir, "omnibot.conf"), filepath.Join(dir, "secret")
	save := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o755); err != nil {
		t.Fatal(err)
	}
	start := func(env ...string) *child {
		listen, admin := freeAddress(t), freeAddress(t)
		c := run(t, append([]string{
			"CONFIG_FILE=" + file, "SLACK_API_URL=" + slack.URL + "/api/",
			"CREDENTIALS_SLACK_VERIFICATION_TOKEN_A0TEST=the-old-token", "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_A0TEST=xoxb-of-the-app",
		}, env...), "serve", "--rules", filepath.Join(dir, "rules"), "--data", t.TempDir(), "--listen", listen, "--admin", admin)
		c.listen, c.admin = listen, admin
		return c
	}
	payload := func(n int, token string) string {
		return strings.Replace(string(messageEvent(n, "<@U0BOT> deploy")), `{"type"`, `{"token":"`+token+`","type"`, 1)
	}

	save(file, omnibotConfig("answered"))
	c := start()
	c.prints("no signing secret")
	c.exits(2)

	// A file with a setting of Starling's is its own: an unknown key is an error there.
	ours := strings.Replace(omnibotConfig("answered"), "dead_key_of_ours: 1", "slack: {verification_tokens: true}", 1)
	save(file, ours)
	c = start()
	c.ready()
	c.prints("slack.verification_tokens: the deprecated token in the body proves nothing")
	if right, wrong, none := c.body(payload(1, "the-old-token")), c.body(payload(2, "another")), c.body(payload(3, "")); right != 200 || wrong != 401 || none != 401 {
		t.Errorf("with the switch: the token is answered %d, another one %d, none %d", right, wrong, none)
	}
	c.until("the handler answers", func() bool { return slack.posted("answered") == 1 })

	// A signing secret for the app ends it.
	save(secret, signingSecret)
	c = start("CREDENTIALS_SLACK_SIGNING_SECRET_A0TEST_FILE=" + secret)
	c.ready()
	if got := c.body(payload(4, "the-old-token")); got != 401 {
		t.Errorf("with a signing secret the token alone is answered %d", got)
	}
	c.message(5, "<@U0BOT> deploy api")
	c.until("the handler answers", func() bool { return slack.posted("answered") == 2 })
	// The secret of the app is another now: the file of the configuration was not
	// touched, so that SIGHUP says when to look.
	save(secret, "another-secret")
	if err := c.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	c.prints("configuration read again")
	if status, _ := send(http.DefaultClient, c.listen, "/slack/events", "application/json", messageEvent(6, "x")); status != http.StatusUnauthorized {
		t.Errorf("the old secret is answered %d", status)
	}
	if strings.Contains(c.out.String(), "another-secret") {
		t.Error("a credential is in the log")
	}
}
