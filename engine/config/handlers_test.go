package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/runtime"
)

const omnibotFile = `teams: {acme: T1}
bots: {acme: {helper: A1, other: A2}}
handlers:
  message_handlers:
    - match: "deploy ${KEPT}"
      match_type: command
      match_reply: true
      dead_key: 1
      bots: {acme: [helper, nobody]}
      callbacks:
        - module: "omnibot.callbacks.network_callbacks:http_callback"
          kwargs:
            request_kwargs: {url: "https://x.example/", auth: [me, hush], headers: {X-Token: "very ${SET}", Accept: json}}
  slash_command_handlers:
    - command: /flip
      response_type: in_channel
      bots: {acme: [helper]}
  interactive_component_handlers:
    - callback_id: form
      dialog: {title: T, elements: []}
      no_message_response: true
      bots: {acme: [helper]}
help_callback: {callback: {module: "my.help:show"}}
`

func TestHandlersOfAnOmnibotFile(t *testing.T) {
	t.Parallel()
	path := write(t, omnibotFile)
	c, err := config.Load(config.Sources{File: path, Getenv: env("SET", "secret")})
	if err != nil {
		t.Fatal(err)
	}
	h := c.Handlers
	if len(h.Message) != 1 || len(h.SlashCommand) != 1 || len(h.Interactive) != 1 || h.Help == nil || h.Help.Function != "show" {
		t.Fatalf("got %+v", h)
	}
	m := h.Message[0]
	if m.Match != "deploy ${KEPT}" || !m.MatchReply || m.Pos.Line != 5 || m.At["match_type"].Line != 6 {
		t.Errorf("got %+v", m)
	}
	cb := m.Callbacks[0]
	if cb.Module != "omnibot.callbacks.network_callbacks" || cb.Function != "http_callback" || cb.Pos.Line != 11 {
		t.Errorf("got %+v", cb)
	}
	req, _ := cb.Kwargs.Get("request_kwargs")
	headers, _ := req.(*runtime.Dict).Get("headers")
	token, _ := headers.(*runtime.Dict).Get("X-Token")
	auth, _ := headers.(*runtime.Dict).Get("Authorization")
	if h.Secrets[string(token.(config.SecretRef))] != "very secret" || h.Secrets[string(auth.(config.SecretRef))] != "Basic bWU6aHVzaA==" {
		t.Errorf("got %v %v", token, auth)
	}
	if plain, _ := headers.(*runtime.Dict).Get("Accept"); plain != "json" {
		t.Errorf("got %v", plain)
	}
	if len(h.Hosts) != 1 || h.Hosts[0] != "x.example:443" {
		t.Errorf("got %v", h.Hosts)
	}
	warned := strings.Join(c.Warnings, "\n")
	for _, want := range []string{":8: message handler: dead_key", "no bot nobody", "bot helper of team acme is disabled", "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_A1"} {
		if !strings.Contains(warned, want) {
			t.Errorf("no warning of %q in\n%s", want, warned)
		}
	}
}

// TestNamesOfCredentialsAreOfTheirService holds that moving handlers about gives
// no service the credential of another.
func TestNamesOfCredentialsAreOfTheirService(t *testing.T) {
	t.Parallel()
	one := "{command: /a, callbacks: [{module: \"a:b\", kwargs: {request_kwargs: {url: \"https://a.example\", headers: {X-Token: of-a}}}}]}"
	two := "{command: /b, callbacks: [{module: \"a:b\", kwargs: {request_kwargs: {url: \"https://b.example\", headers: {X-Token: of-b}}}}]}"
	secrets := func(list string) map[string]string {
		c, err := config.Load(config.Sources{File: write(t, "handlers: {slash_command_handlers: ["+list+"]}\n")})
		if err != nil {
			t.Fatal(err)
		}
		return c.Handlers.Secrets
	}
	a, b := secrets(one+","+two), secrets(two+","+one)
	if len(a) != 2 || !maps.Equal(a, b) {
		t.Errorf("got %v and %v", a, b)
	}
	if same := secrets(one + "," + strings.ReplaceAll(one, "of-a", "of-c")); len(same) != 2 {
		t.Errorf("two credentials for one service: %v", same)
	}
}

func TestAppsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	path := write(t, omnibotFile)
	c, err := config.Load(config.Sources{File: path, Getenv: env(
		"CREDENTIALS_SLACK_SIGNING_SECRET_A1", "old, new", "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_A1", "xoxb-1",
		"CREDENTIALS_SLACK_OAUTH_TOKEN_A1", "xoxp-1", "CREDENTIALS_SLACK_VERIFICATION_TOKEN_A2", "v2", "CREDENTIALS_SLACK_OAUTH_TOKEN_A2", "xoxp-2")})
	if err != nil {
		t.Fatal(err)
	}
	a := c.Apps["A1"]
	if len(a.SigningSecrets) != 2 || a.BotToken != "xoxb-1" || a.UserToken != "xoxp-1" {
		t.Errorf("got %#v", a.SigningSecrets)
	}
	b, ok := c.BotOf("T1", "A1")
	if !ok || b.Name != "helper" || c.Disabled(b) != "" {
		t.Errorf("got %+v %q", b, c.Disabled(b))
	}
	other, _ := c.BotOf("T1", "A2")
	if why := c.Disabled(other); !strings.Contains(why, "deprecated") {
		t.Errorf("a bot with nothing but a verification token: %q", why)
	}
	c.Slack.VerificationTokens = true
	if why := c.Disabled(other); why != "" {
		t.Errorf("with the switch: %q", why)
	}
	if secrets := strings.Join(c.SecretValues(), " "); !strings.Contains(secrets, "new") || !strings.Contains(secrets, "v2") {
		t.Error("credentials of apps are not masked")
	}
}

func TestFaultyHandlers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ yaml, want string }{
		"match_type":   {"handlers: {message_handlers: [{match: a, match_type: comand, callbacks: [], bots: {}}]}", "want command or regex or reaction"},
		"no callbacks": {"handlers: {message_handlers: [{match: a, match_type: command}]}", "callbacks is missing"},
		"module":       {"handlers: {slash_command_handlers: [{command: /a, callbacks: [{module: a.b}]}]}", "want pkg.module:function"},
		"no list":      {"handlers: {slash_command_handlers: {command: /a}}", "want a list"},
		"no command":   {"handlers: {slash_command_handlers: [{response_type: ephemeral}]}", "command is missing"},
		"flag":         {"handlers: {message_handlers: [{match: a, match_type: regex, match_reply: maybe, callbacks: []}]}", "want true or false"},
		"kwargs":       {"handlers: {slash_command_handlers: [{command: /a, callbacks: [{module: \"a:b\", kwargs: 3}]}]}", "kwargs: want a mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(config.Sources{File: write(t, tc.yaml)})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), ":1:") {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// The line that an error shows may hold a credential beside what is wrong.
func TestErrorsShowNoCredentials(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "omnibot.yaml")
	text := `teams: {acme: T1}
bots: {acme: {helper: A1}}
secrets: {ONE: "hush-one-hush", TWO: [1]}
handlers:
  slash_command_handlers:
    - {command: /a, response_type: nowhere, bots: {acme: [helper]}, callbacks: [{module: "m:f", kwargs: {request_kwargs: {url: "https://x.example", auth: [me, hush-two-hush], headers: {X-Token: hush-three-hush}}}}]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, problems := config.Inspect(config.Sources{File: file})
	if len(problems) != 2 {
		t.Fatalf("got %v", problems)
	}
	for _, shown := range []string{problems.Detail(), c.Line(6)} {
		if strings.Contains(shown, "hush") {
			t.Errorf("got %s", shown)
		}
	}
	if !strings.Contains(c.Line(6), "/a") {
		t.Error("nothing is left of the line")
	}
}
