package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/runtime"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "starling.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(k string) string { return m[k] }
}

func TestEveryProblemIsReportedAtOnceWithPositionAndNearestKey(t *testing.T) {
	t.Parallel()
	path := write(t, `rules: [./rules]
lisen: 0.0.0.0:1
limits:
  steps: many
  deadlin: 1s
  memory: 1MiB
tls: yes
bots: {acme: {helper: A1}}
secrets: {CI: "${NOT_SET}"}
`)
	_, err := config.Load(config.Sources{File: path})
	es, ok := errors.AsType[runtime.Errors](err)
	if !ok {
		t.Fatalf("got %v, want runtime.Errors", err)
	}
	text := strings.ReplaceAll(es.Detail(), path, "starling.yaml")
	for _, want := range []string{
		"starling.yaml:2:1: unknown key lisen\n   2 | lisen: 0.0.0.0:1\n     | ^\n     = did you mean listen?\n",
		`starling.yaml:4:10: limits.steps: want a whole number (got "many")`,
		"starling.yaml:5:3: unknown key limits.deadlin",
		"did you mean deadline?",
		"limits.memory: want at least 128MiB (got 1MiB)",
		"starling.yaml:7:6: tls: want a mapping, got \"yes\"",
		"bots.acme: no such team",
		"starling.yaml:9:15: secrets.CI: environment variable NOT_SET is not set",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in\n%s", want, text)
		}
	}
}

func TestFlagsBeatEnvironmentBeatsFile(t *testing.T) {
	t.Parallel()
	path := write(t, "listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\ndata: ./file\n")
	c, err := config.Load(config.Sources{
		File:   path,
		Getenv: env("STARLING_LISTEN", "127.0.0.1:3", "STARLING_ADMIN", "127.0.0.1:4", "STARLING_RULES", "a, b", "LOG_LEVEL", "WARNING", "STARLING_DATA", ""),
		Flags:  map[string]string{"listen": "127.0.0.1:5"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:5" || c.Admin != "127.0.0.1:4" || c.Data != "./file" || len(c.Rules) != 2 || c.Rules[1] != "b" || c.Log.Level != "warn" {
		t.Errorf("got listen %s admin %s data %s rules %q level %s", c.Listen, c.Admin, c.Data, c.Rules, c.Log.Level)
	}
	sources := map[string]string{}
	for _, v := range c.Explain() {
		sources[v.Key] = v.Source
	}
	for key, want := range map[string]string{"listen": "flag --listen", "admin": "environment STARLING_ADMIN", "data": path + ":3", "sandbox": "default"} {
		if sources[key] != want {
			t.Errorf("source of %s: got %q, want %q", key, sources[key], want)
		}
	}
}

func TestSecretsComeFromFilesAndAreMasked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("xoxb-very-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := write(t, "secrets: {CI_TOKEN: \"${CI}\"}\n")
	c, err := config.Load(config.Sources{File: path, Getenv: env("SLACK_BOT_TOKEN_FILE", file, "SLACK_SIGNING_SECRET", "one,two", "CI", "hush")})
	if err != nil {
		t.Fatal(err)
	}
	if c.Slack.BotToken != "xoxb-very-secret" || len(c.Slack.SigningSecrets) != 2 || c.Secrets["CI_TOKEN"] != "hush" {
		t.Errorf("got %q %q %q", c.Slack.BotToken, c.Slack.SigningSecrets, c.Secrets)
	}
	for _, v := range c.Explain() {
		for _, s := range c.SecretValues() {
			if strings.Contains(v.Value, s) {
				t.Errorf("%s shows a secret", v.Key)
			}
		}
	}
	if n := len(c.SecretValues()); n != 4 {
		t.Errorf("got %d secret values, want 4", n)
	}
}

func TestConfigOfARuleKeepsItsShape(t *testing.T) {
	t.Parallel()
	path := write(t, "rules_config: {deploys: {channel: \"#ops\", n: 3, on: true, list: [1, two]}}\nlimits: {run: 1d, deadline: 100ms}\n")
	c, err := config.Load(config.Sources{File: path})
	if err != nil {
		t.Fatal(err)
	}
	got, err := runtime.AppendJSON(nil, c.RulesConfig["deploys"])
	if want := `{"channel":"#ops","n":3,"on":true,"list":[1,"two"]}`; err != nil || string(got) != want {
		t.Errorf("got %s %v, want %s", got, err, want)
	}
	if c.Limits.Run != 24*time.Hour || c.Limits.Deadline != 100*time.Millisecond {
		t.Errorf("got %v %v", c.Limits.Run, c.Limits.Deadline)
	}
}

func TestOmnibotKeysWarnAndDoNotFail(t *testing.T) {
	t.Parallel()
	path := write(t, "teams: {acme: T1}\nbots: {acme: {helper: A1}}\nprimary_bot: {acme: helper}\nhandlers:\n  message_handlers: []\ndefault_to_help: true\nteam_fallback: x\nlist_provider_update_frequency: 120\nmy_own: 1\n")
	c, err := config.Load(config.Sources{File: path})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 3 || !strings.Contains(c.Warnings[0], ":7: team_fallback") || !strings.Contains(c.Warnings[2], "unknown key my_own") {
		t.Errorf("got %q", c.Warnings)
	}
}

func TestAMissingFileIsAnErrorOnlyIfNamed(t *testing.T) {
	t.Parallel()
	if _, err := config.Load(config.Sources{File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil {
		t.Error("a named file that is not there: got no error")
	}
	if _, err := config.Load(config.Sources{Getenv: env("CONFIG_FILE", "/nonexistent/x.yaml")}); err == nil {
		t.Error("a file named by the environment that is not there: got no error")
	}
}

func FuzzYAML(f *testing.F) {
	f.Add([]byte("rules: [a]\nlimits: {steps: 1}\n"))
	f.Add([]byte("rules_config: {a: &a [*a]}\n"))
	f.Add([]byte("a: &a [1,1]\nb: &b [*a,*a]\nrules_config: {x: [*b,*b]}\n"))
	f.Add([]byte("teams: {a: T1}\nbots: {a: {b: c}}\nsecrets: {X: \"${Y}\"}\n"))
	f.Add([]byte("- 1\n"))
	f.Add([]byte("? {}\n: 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Skip()
		}
		c, err := config.Load(config.Sources{File: path, Getenv: env("Y", "z")})
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v", c, err)
		}
		if c != nil {
			c.Explain()
		}
	})
}

func TestProblemsOfValuesAreShownAtTheirPlace(t *testing.T) {
	t.Parallel()
	path := write(t, `sandbox: nonee
deadline: 1s
limits: {answer: 5s}
slack: {sockets: {}}
teams: {acme: acme-corp}
trusted_proxies: [10.0.0.0/8, localhost]
http: {allow: ["https://ci"]}
secrets: {"a b": x, C: "${C", D: 1, D: 2}
log: {level: loud}
rules_config: {deploys: {a: 1, a: 2}}
`)
	c, problems := config.Inspect(config.Sources{File: path})
	text := strings.ReplaceAll(problems.Detail(), path, "starling.yaml")
	for _, want := range []string{
		"starling.yaml:1:10: sandbox: want default, strict or none (got \"nonee\")\n   1 | sandbox: nonee\n     |          ^\n     = did you mean none?\n",
		"starling.yaml:2:1: unknown key deadline\n   2 | deadline: 1s\n     | ^\n     = did you mean limits.deadline?\n",
		"starling.yaml:3:18: limits.answer: want at most 2.9s (got 5s): Slack waits 3 s",
		"starling.yaml:4:9: unknown key slack.sockets\n   4 | slack: {sockets: {}}\n     |         ^\n     = did you mean socket?\n",
		"starling.yaml:5:15: teams.acme: \"acme-corp\" is not the id of a workspace",
		"starling.yaml:6:18: trusted_proxies: \"localhost\" is neither an address nor a range of addresses",
		"starling.yaml:7:15: http.allow: \"https://ci\" is no host",
		"starling.yaml:8:18: secrets.a b: is no name that secret(…) takes",
		"starling.yaml:8:24: secrets.C: ${ does not begin the name of a variable",
		"starling.yaml:8:37: secrets.D is set twice",
		"starling.yaml:9:14: log.level: want debug, info, warn or error (got \"loud\")",
		"starling.yaml:10:32: rules_config.deploys.a is set twice",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in\n%s", want, text)
		}
	}
	if len(problems) != 12 {
		t.Errorf("%d problems, want 12", len(problems))
	}
	if pos, line := c.Place("rules_config.deploys"); pos.Line != 10 || pos.Col != 16 || !strings.HasPrefix(line, "rules_config") {
		t.Errorf("rules_config.deploys is at %v, %q", pos, line)
	}
}

// A column is a byte, also behind characters of several.
func TestFaultBehindCharactersOfSeveralBytes(t *testing.T) {
	t.Parallel()
	const text = "secrets: {\"größe\": \"é\", x: [1]}\n"
	_, err := config.Load(config.Sources{File: "starling.yaml", Text: []byte(text)})
	want := strings.Index(text, "[1]") + 1
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("starling.yaml:1:%d: ", want)) {
		t.Errorf("want column %d, got %v", want, err)
	}
}
