package install_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/install"
)

func TestAnswersOfSlackBecomeInstallations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		check  func(*install.Installation) bool
	}{
		"a bot": {
			`{"ok":true,"access_token":"xoxb-1","token_type":"bot","scope":"chat:write,commands","bot_user_id":"UB","app_id":"A1","team":{"id":"T1","name":"Acme"},"enterprise":null,"is_enterprise_install":false,"authed_user":{"id":"U1"}}`,
			func(in *install.Installation) bool {
				return in.ID().String() == "A1/T1" && in.Bot.Token == "xoxb-1" && slices.Equal(in.Bot.Scopes, []string{"chat:write", "commands"}) && in.Bot.Expires == nil &&
					in.BotUser == "UB" && in.Installer == "U1" && len(in.Users) == 0 && in.TeamName == "Acme" && in.Installed.Equal(at)
			},
		},
		"a bot whose token rotates, and a user": {
			`{"ok":true,"app_id":"A1","access_token":"xoxe.xoxb-1","refresh_token":"xoxe-1","expires_in":43200,"token_type":"bot","team":{"id":"T1"},"enterprise":{"id":"E1","name":"Org"},"authed_user":{"id":"U1","scope":"search:read","access_token":"xoxp-1","refresh_token":"xoxe-2","expires_in":60,"token_type":"user"}}`,
			func(in *install.Installation) bool {
				return in.Bot.Refresh == "xoxe-1" && in.Bot.Expires.Equal(at.Add(12*time.Hour)) && in.Enterprise == "E1" &&
					in.Users["U1"].Token == "xoxp-1" && in.Users["U1"].Refresh == "xoxe-2" && in.Users["U1"].Expires.Equal(at.Add(time.Minute))
			},
		},
		"an organisation": {
			`{"ok":true,"app_id":"A1","access_token":"xoxb-1","token_type":"bot","team":null,"enterprise":{"id":"E1","name":"Org"},"is_enterprise_install":true,"authed_user":{"id":"U1"}}`,
			func(in *install.Installation) bool {
				return in.ID().String() == "A1/E1" && in.OrgWide && in.Name() == "Org"
			},
		},
		"a user alone": {
			`{"ok":true,"app_id":"A1","team":{"id":"T1"},"authed_user":{"id":"U1","access_token":"xoxp-1"}}`,
			func(in *install.Installation) bool { return !in.Bot.Usable() && in.Users["U1"].Token == "xoxp-1" },
		},
		"an incoming webhook": {
			`{"ok":true,"app_id":"A1","access_token":"xoxb-1","team":{"id":"T1"},"authed_user":{},"incoming_webhook":{"channel":"#ops","channel_id":"C1","configuration_url":"https://x","url":"https://hooks.slack.com/services/1"}}`,
			func(in *install.Installation) bool {
				return in.Webhook.ChannelID == "C1" && in.Webhook.URL == "https://hooks.slack.com/services/1"
			},
		},
	} {
		in, err := install.FromAnswer([]byte(c.answer), at)
		if err != nil || !c.check(in) {
			t.Errorf("%s: got %+v, %v", name, in, err)
		}
	}
	for name, answer := range map[string]string{
		"no JSON":      `<html>`,
		"a refusal":    `{"ok":false,"error":"invalid_code"}`,
		"no app":       `{"ok":true,"access_token":"xoxb-1","team":{"id":"T1"}}`,
		"no team":      `{"ok":true,"app_id":"A1","access_token":"xoxb-1"}`,
		"no token":     `{"ok":true,"app_id":"A1","team":{"id":"T1"}}`,
		"a wrong type": `{"ok":true,"app_id":"A1","access_token":["xoxb-1"],"team":{"id":"T1"}}`,
		"no id":        `{"ok":true,"app_id":"A1","access_token":"xoxb-1","team":{"id":"../T1"}}`,
		"too large":    `{"ok":true,"x":"` + strings.Repeat("x", 300<<10) + `"}`,
	} {
		if in, err := install.FromAnswer([]byte(answer), at); err == nil || strings.Contains(err.Error(), "xoxb") {
			t.Errorf("%s: got %+v, %v", name, in, err)
		}
	}
}

// The answers among Slack's samples, where they are at hand.
func TestSampleAnswersBecomeInstallations(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("../../../shared/slack-samples/api/oauth.v2.access--*.json")
	if len(files) == 0 {
		t.Skip("no samples of Slack's payloads beside the repository")
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		in, err := install.FromAnswer(body, at)
		if err != nil || !in.Bot.Usable() || in.BotUser == "" || in.Team == "" {
			t.Errorf("%s: got %+v, %v", filepath.Base(f), in, err)
		}
	}
}

func FuzzFromAnswer(f *testing.F) {
	f.Add([]byte(`{"ok":true,"app_id":"A1","access_token":"xoxb-1","team":{"id":"T1"},"authed_user":{"id":"U1","access_token":"xoxp-1","expires_in":1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := install.FromAnswer(body, at)
		if err != nil {
			return
		}
		if _, err := install.ParseID(in.ID().String()); err != nil {
			t.Errorf("an id that cannot be read: %v", err)
		}
		if in.Bot.Expires != nil && in.Bot.Expires.Before(at) {
			t.Errorf("it has expired before it was granted: %v", in.Bot.Expires)
		}
	})
}
