package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// omnibotConfig is a file of omnibot's with one command, answered with a text.
func omnibotConfig(text string) string {
	return `teams: {test: T0TEST}
bots: {test: {helper: A0TEST, idle: A0IDLE}}
primary_bot: {test: helper}
handlers:
  message_handlers:
    - match: deploy
      match_type: command
      description: deploys
      bots: {test: [helper]}
      callbacks:
        - module: "omnibot.callbacks.message_callbacks:test_callback"
          kwargs: {text: "` + text + `"}
dead_key_of_ours: 1
`
}

// TestServeWithAnOmnibotConfiguration starts the program with nothing but
// omnibot's own file and variables, and a signing secret of the app.
func TestServeWithAnOmnibotConfiguration(t *testing.T) {
	slow(t)
	slack, dir := newFakeSlack(t), t.TempDir()
	file := filepath.Join(dir, "omnibot.conf")
	save := func(text string) {
		if err := os.WriteFile(file, []byte(omnibotConfig(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("first answer")
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o755); err != nil {
		t.Fatal(err)
	}
	listen, admin := freeAddress(t), freeAddress(t)
	c := run(t, []string{
		"CONFIG_FILE=" + file, "SLACK_API_URL=" + slack.URL + "/api/",
		"CREDENTIALS_SLACK_SIGNING_SECRET_A0TEST=" + signingSecret, "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_A0TEST=xoxb-of-the-app",
		"CREDENTIALS_SLACK_VERIFICATION_TOKEN_A0IDLE=deprecated",
	}, "serve", "--rules", filepath.Join(dir, "rules"), "--data", t.TempDir(), "--listen", listen, "--admin", admin)
	c.listen, c.admin = listen, admin
	c.ready()
	for _, warning := range []string{"unknown key dead_key_of_ours", "bot idle of team test is disabled"} {
		c.prints(warning)
	}

	c.message(1, "<@U0BOT> deploy api")
	c.until("the callback has answered", func() bool { return slack.posted("first answer") == 1 })
	slack.mu.Lock()
	auth := slack.auth
	slack.mu.Unlock()
	if auth != "Bearer xoxb-of-the-app" {
		t.Errorf("called with %q", auth)
	}

	other := strings.ReplaceAll(string(messageEvent(2, "<@U0BOT> deploy")), "A0TEST", "A0IDLE")
	if status, _ := send(http.DefaultClient, c.listen, "/slack/events", "application/json", []byte(other)); status != http.StatusUnauthorized {
		t.Errorf("an event of one app with the secret of another: status %d", status)
	}

	save("second answer")
	c.prints("configuration read again")
	n := 10
	c.until("the changed handler answers", func() bool {
		n++
		c.message(n, "<@U0BOT> deploy web")
		return slack.posted("second answer") > 0
	})
	if strings.Contains(c.out.String(), "xoxb-of-the-app") || strings.Contains(c.out.String(), "deprecated\"") {
		t.Error("a credential is in the log")
	}
}

// posted counts the messages with this text.
func (f *fakeSlack) posted(text string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, m := range f.messages {
		if m["text"] == text {
			n++
		}
	}
	return n
}
