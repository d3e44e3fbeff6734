package main

import (
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestScriptsAndExamplesPassTheirTests runs the tests of the library scripts
// and of the examples as their users do.
func TestScriptsAndExamplesPassTheirTests(t *testing.T) {
	slow(t)
	for _, dir := range append(examples(t), "../../scripts") {
		abs, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !hasTests(t, abs) {
			continue
		}
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			out, errs, code := command(t, "test", abs)
			if code != 0 || !strings.Contains(out, " passed, 0 failed") {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
		})
	}
}

func hasTests(t *testing.T, dir string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		base := strings.TrimSuffix(strings.TrimSuffix(path, ".star"), ".lua")
		found = found || base != path && strings.HasSuffix(base, "_test")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// omnibotEnvironment is what the three processes of omnibot are given, secrets
// of Slack's included, and a signing secret for each app: all that is new.
func omnibotEnvironment() []string {
	env := []string{
		"EXIT_ON_BAD_CONFIG=true", "SQS_URL=http://sqs:9324", "SQS_QUEUE_NAME=omnibot", "WEBHOOK_WORKER_CONCURRENCY=10", "SQS_BATCH_SIZE=10",
		"SQS_MAX_POOL_CONNECTIONS=10", "SQS_VISIBILITY_TIMEOUT=60", "SQS_WAIT_TIME_SECONDS=1", "REDIS_HOST=redis", "REDIS_PORT=6379",
		"STATSD_HOST=statsd", "STATSD_PORT=8125", "STATSD_PREFIX=omnibot", "HOST=0.0.0.0", "PORT=80", "DEBUG=false", "LOG_MODULE=logging",
		"LOG_CONFIG_FILE=/etc/omnibot/logging.conf", "GEVENT_REQUEST_TIMEOUT_MS=30000", "AWS_DEFAULT_REGION=us-east-1", "EVENTBOT_TOKEN=of-the-service",
	}
	for app, secret := range map[string]string{"A0OMNI": signingSecret, "A0EVENT": "of-the-other-app"} {
		env = append(env, "CREDENTIALS_SLACK_VERIFICATION_TOKEN_"+app+"=verification-of-"+app, "CREDENTIALS_SLACK_OAUTH_TOKEN_"+app+"=xoxp-of-"+app,
			"CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_"+app+"=xoxb-of-"+app, "CREDENTIALS_SLACK_SIGNING_SECRET_"+app+"="+secret)
	}
	return env
}

// TestMigrationFromOmnibot goes the way of the README of the example: check,
// doctor and serve with omnibot's own file and environment.
func TestMigrationFromOmnibot(t *testing.T) {
	slow(t)
	slack, dir := newFakeSlack(t), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/omnibot-migration")); err != nil {
		t.Fatal(err)
	}
	conf, rules := filepath.Join(dir, "starling.yaml"), filepath.Join(dir, "rules")
	env := append(omnibotEnvironment(), "CONFIG_FILE="+conf, "SLACK_API_URL="+slack.URL+"/api/")
	if out, errs, code := commandWith(t, env, "check", rules); code != 0 || !strings.Contains(out, ", 0 problems") {
		t.Errorf("check: exit %d\n%s%s", code, out, errs)
	}
	if out, errs, _ := commandWith(t, env, "doctor", "--rules", rules); strings.Contains(out+errs, "is not configured") || strings.Contains(out+errs, "of-the-service") {
		t.Errorf("doctor misses the credentials of the handlers, or shows them:\n%s%s", out, errs)
	}
	listen, admin := freeAddress(t), freeAddress(t)
	c := run(t, env, "serve", "--rules", rules, "--data", t.TempDir(), "--listen", listen, "--admin", admin)
	c.listen, c.admin = listen, admin
	c.ready()

	event := strings.NewReplacer("T0TEST", "T0ACME", "A0TEST", "A0OMNI").Replace(string(messageEvent(1, "<@U0BOT> status api")))
	if status, b := send(http.DefaultClient, c.listen, "/slack/events", "application/json", []byte(event)); status != http.StatusOK {
		t.Fatalf("event: got %d %s", status, b)
	}
	c.until("the callback has answered", func() bool { return slack.posted("All is well with api.") == 1 })
	slack.mu.Lock()
	auth := slack.auth
	slack.mu.Unlock()
	if auth != "Bearer xoxb-of-A0OMNI" {
		t.Errorf("called with %q", auth)
	}
	flip := url.Values{
		"command": {"/tableflip"}, "team_id": {"T0ACME"}, "api_app_id": {"A0OMNI"}, "channel_id": {"C0TEST"}, "user_id": {"U0ADA"}, "trigger_id": {"1.2"},
		"response_url": {slack.URL + "/response/1"}, "token": {"verification-of-A0OMNI"},
	}.Encode()
	if status, b := send(http.DefaultClient, c.listen, "/slack/commands", "application/x-www-form-urlencoded", []byte(flip)); status != http.StatusOK || !strings.Contains(string(b), "in_channel") {
		t.Errorf("command: got %d %s", status, b)
	}
	// omnibot's own addresses are refused until the configuration lets them in.
	if status, _ := send(http.DefaultClient, c.listen, "/api/v1/slack/event", "application/json", []byte(event)); status != http.StatusForbidden {
		t.Errorf("omnibot's route without authorization: got %d, want 403", status)
	}
	if status, _ := get("http://" + c.listen + "/healthcheck"); status != http.StatusOK {
		t.Errorf("healthcheck: got %d", status)
	}
	for _, never := range []string{"xoxb-of-", "xoxp-of-", "verification-of-", "of-the-service", signingSecret} {
		if strings.Contains(c.out.String(), never) {
			t.Errorf("the log holds %s…", never)
		}
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)
}
