package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/config"
)

func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "starling.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Sources{File: file, Getenv: func(name string) string {
		if name == "HOOK" {
			return "hush-hush"
		}
		return ""
	}})
}

func TestWhoMayAndWhereRulesComeFrom(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
admins: [U1, ann@example.com, "@oncall", S0123]
access:
  - {rules: "deploy.star:*", groups: "@sre", channels: ["#ops-*", C1], args: {env: [staging, "dev-*"]}, deny: [U9], say: Ask.}
rules_git: {url: git@git.example:team/rules.git, ref: release/1, path: rules, webhook: /hooks/rules, secret: "${HOOK}", every: 5m}
`)
	if err != nil {
		t.Fatal(err)
	}
	a := c.Access[0]
	if len(c.Admins) != 4 || a.Rules[0] != "deploy.star:*" || a.Groups[0] != "@sre" || a.Args["env"][1] != "dev-*" || c.RulesGit.Secret != "hush-hush" || c.RulesGit.Keep != 3 {
		t.Errorf("got %+v %+v %+v", c.Admins, a, c.RulesGit)
	}
	for _, v := range c.Explain() {
		if strings.Contains(v.Value, "hush") {
			t.Errorf("%s shows the secret: %s", v.Key, v.Value)
		}
	}
}

func TestSlipsInWhoMayAreFoundAtTheStart(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"admins: [ann]":                                              `"ann" is no user or user group`,
		"access: [{rules: x, usrs: [U1]}]":                           "usrs",
		"access: [{users: [U1]}]":                                    "names no rules",
		"access: [{rules: x}]":                                       "says nothing of who may",
		"access: [{rules: x, users: ['@sre']}]":                      "groups go under groups",
		"access: [{rules: x, groups: [sre]}]":                        `"sre" is no user group`,
		"access: [{rules: x, channels: ['#Ops']}]":                   `"#Ops" is no channel`,
		"rules_git: {ref: main}":                                     "rules_git.url: is missing",
		"rules_git: {url: 'ext::sh -c id'}":                          "rules_git.url: want https",
		"rules_git: {url: '--upload-pack=id'}":                       "rules_git.url: want https",
		"rules_git: {url: 'http://git.example/x'}":                   "rules_git.url: want https",
		"rules_git: {url: /srv/rules.git, path: ../x}":               "within the repository",
		"rules_git: {url: /srv/rules.git, ref: --x}":                 "no branch or tag",
		"rules_git: {url: /srv/rules.git, webhook: /x}":              "webhook and secret go together",
		"rules_git: {url: /srv/rules.git, every: 1s}":                "at least 10s",
		"rules_git: {url: /srv/rules.git, webhook: hook, secret: s}": "want a path",
	} {
		_, err := load(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
