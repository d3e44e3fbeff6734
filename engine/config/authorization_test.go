package config_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/config"
)

const guarded = `teams: {acme: T1}
bots: {acme: {helper: A1}}
authorization:
  checks:
    - module: "omnibot.authnz:allowed_paths"
      kwargs: {paths: ["/api/v1/slack/event"]}
    - module: "omnibot.authnz.envoy_checks:envoy_permissions_check"
  permissions:
    act: {methods: [POST], paths: ["/api/v2/slack/action/acme/.*"]}
    open: {methods: [GET], paths: ["/api/.*"], internal_only: false}
  bindings:
    "deploy-.*": [act, open]
  keys:
    ci:
      hash: "sha256:0000000000000000000000000000000000000000000000000000000000000000"
      methods: [POST]
      bots: [acme/helper]
      slack_methods: ["chat.*"]
`

func TestAuthorizationIsReadAsOmnibotWritesIt(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Sources{File: write(t, guarded)})
	if err != nil {
		t.Fatal(err)
	}
	a := c.Authorization
	if len(a.Checks) != 2 || !a.Permissions["act"].InternalOnly || a.Permissions["open"].InternalOnly || len(a.Bindings["deploy-.*"]) != 2 {
		t.Errorf("got %+v", a)
	}
	if paths, err := a.Checks[0].Texts("paths"); err != nil || len(paths) != 1 {
		t.Errorf("got %q %v", paths, err)
	}
	if k := a.Keys["ci"]; len(k.Hashes) != 1 || k.Methods[0] != "POST" || k.Bots[0] != "acme/helper" || k.SlackMethods[0] != "chat.*" {
		t.Errorf("got %+v", k)
	}
	shown := map[string]string{}
	for _, v := range c.Explain() {
		shown[v.Key] = v.Value
	}
	for key, want := range map[string]string{
		"authorization.permissions.act.paths":  "/api/v2/slack/action/acme/.*",
		"authorization.bindings.deploy-.*":     "act, open",
		"authorization.keys.ci.slack_methods":  "chat.*",
		"authorization.permissions.open.paths": "/api/.*",
	} {
		if shown[key] != want {
			t.Errorf("%s is shown as %q, want %q", key, shown[key], want)
		}
	}
}

func TestFaultyAuthorization(t *testing.T) {
	t.Parallel()
	key := func(fields string) string {
		return "teams: {acme: T1}\nbots: {acme: {helper: A1}}\nauthorization: {keys: {ci: {" + fields + "}}}\n"
	}
	const good = `hash: "sha256:0000000000000000000000000000000000000000000000000000000000000000", methods: [GET]`
	for name, tc := range map[string]struct{ yaml, want string }{
		"unknown check":      {`authorization: {checks: [{module: "omnibot.authnz:alowed_paths"}]}`, "did you mean omnibot.authnz:allowed_paths"},
		"unknown argument":   {`authorization: {checks: [{module: "omnibot.authnz:allowed_paths", kwargs: {path: []}}]}`, `takes no "path"`},
		"no list":            {`authorization: {checks: [{module: "omnibot.authnz:allowed_paths", kwargs: {paths: /a}}]}`, "want a list"},
		"bad pattern":        {`authorization: {checks: [{module: "omnibot.authnz:allowed_paths", kwargs: {paths: ["("]}}]}`, "no pattern"},
		"empty header":       {`authorization: {checks: [{module: "omnibot.authnz.envoy_checks:envoy_internal_check", kwargs: {header: ""}}]}`, "want a text"},
		"checks as mapping":  {`authorization: {checks: {module: x}}`, "want a list"},
		"look-behind":        {`authorization: {permissions: {a: {methods: [GET], paths: ["(?<!x)y"]}}}`, "RE2"},
		"unknown permission": {`authorization: {permissions: {act: {methods: [GET]}}, bindings: {x: [acts]}}`, "did you mean act"},
		"bad subject":        {`authorization: {bindings: {"(": []}}`, "no pattern"},
		"lower-case method":  {`authorization: {permissions: {a: {methods: [get]}}}`, "want a method"},
		"unknown key":        {`authorization: {permision: {}}`, "did you mean permissions"},
		"no hash":            {key("methods: [GET]"), "hash is missing"},
		"plain key":          {key("hash: my-secret-key, methods: [GET]"), "want sha256:"},
		"no methods":         {key(`hash: "sha256:0000000000000000000000000000000000000000000000000000000000000000"`), "methods is missing"},
		"unknown bot":        {key(good + ", bots: [acme/helpr]"), "did you mean helper"},
		"unknown team":       {key(good + ", bots: [acmi/helper]"), "did you mean acme"},
		"no bot":             {key(good + ", bots: [helper]"), "want team/bot"},
		"bad method pattern": {key(good + `, slack_methods: ["[a"]`), "no pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(config.Sources{File: write(t, tc.yaml+"\nlisten: 127.0.0.1:0\n")})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "my-secret-key") {
				t.Error("the error repeats the key")
			}
		})
	}
}
