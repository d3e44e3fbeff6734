package on

import (
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// webhook declares on.webhook: its route, who may call, how often, and how the
// body is read.
func webhook() *runtime.Builtin {
	const secrets = runtime.TText | runtime.TList
	return rule("webhook", "Answer HTTP requests from outside Slack.",
		"What the function returns is the answer: text, a dict or list as JSON, bytes, `http_reply`, or None for an empty 200; `abort` ends it with a status. "+
			"A rule that fails is answered 500, one that takes too long 202. "+
			"Nothing is taken in before the caller has proved what the options ask for; without any of `secret`, `bearer`, `basic`, `allow` or `open=True` the rule is refused. "+
			"Several secrets in a list are good for the time in which one is replaced by another. "+
			"A body that is not what its content type says is answered 400.",
		[]runtime.Param{
			declare.Opt("route", runtime.TString|runtime.TFunc, nil, "Methods and path, `GET,POST /hooks/{repo}`; without a method it is POST, without a route the path is the name of the function. "+
				"Parts in braces become `e.params`: `{name}` `{n:int}` `{x:float}` `{u:uuid}` `{env:any(prod,test)}`, and `{p:path}` for any number of parts. A slash at the end does not matter."),
			declare.Opt("fn", runtime.TFunc, nil, "Called with the event."),
			declare.Key("form_param", runtime.TString, nil, "`e.form` is this parameter of the form, decoded if it is JSON; a request without it is answered 400."),
			declare.Key("raw", runtime.TBool, false, "Take in bodies that cannot be decoded: `e.body` and `e.body_bytes` have them."),
			declare.Key("open", runtime.TBool, false, "Anybody may call this route."),
			declare.Key("secret", secrets, nil, "The secret that signatures prove; several in a list."),
			declare.OneOf("signature", []string{"github", "gitlab", "stripe", "pagerduty", "grafana", "hmac", "hmac-sha256"}, nil,
				"How requests are signed: `github` (X-Hub-Signature-256; the default), `gitlab` (X-Gitlab-Token), `stripe` (Stripe-Signature), `pagerduty` (X-PagerDuty-Signature), "+
					"`grafana` (X-Grafana-Alerting-Signature), or `hmac` with `header`, `algorithm`, `encoding` and `prefix`."),
			declare.Key("header", runtime.TString, nil, "The header with the signature: of `hmac` (X-Signature) and `grafana`."),
			declare.OneOf("algorithm", []string{"sha256", "sha1", "sha512"}, nil, "Of `hmac`; by default sha256."),
			declare.OneOf("encoding", []string{"hex", "base64"}, nil, "Of `hmac`; by default hex."),
			declare.Key("prefix", runtime.TString, nil, "What stands before the signature of `hmac`; by default nothing, and `sha256=` does no harm."),
			declare.Key("timestamp", runtime.TString, nil, "The header with the time that `grafana` signs, if it is set up to."),
			declare.Key("tolerance", runtime.TDuration, nil, "How far the time in a signature of `stripe` or `grafana` may be off; by default 5m."),
			declare.Key("bearer", secrets, nil, "The token of `Authorization: Bearer`; several in a list."),
			declare.Key("basic", secrets, nil, "`user:password` of `Authorization: Basic`; several in a list."),
			declare.Key("allow", runtime.TString|runtime.TList, nil, "Addresses that may call: `192.0.2.7`, `10.0.0.0/8`. Behind a proxy it must be one of `trusted_proxies`."),
			declare.Key("rate", runtime.TString, nil, "How often the route may be called, as `60/m`, `5/s` or `10/30s`; more is answered 429."),
			declare.Key("max_body", runtime.TString|runtime.TInt, nil, "The longest body, as `64KiB`; a longer one is answered 413. At most `limits.body`."),
			declare.Key("dedupe", runtime.TString|runtime.TBool, nil, "The header that names a delivery: a second one of that name is answered 200 and not run. "+
				"By default the ids of GitHub, GitLab, Stripe and PagerDuty, Webhook-Id and Idempotency-Key; False runs every delivery."),
		},
		runtime.Example{
			Star: "def pushed(e):\n    post(\"#code\", \"push to \" + e.params.repo)\non.webhook(\"POST /hooks/gh/{repo}\", pushed, secret=secret(\"GH\"), signature=\"github\")",
			Lua:  "on.webhook(\"POST /hooks/gh/{repo}\", function(e) post(\"#code\", \"push to \" .. e.params.repo) end, {secret = secret(\"GH\"), signature = \"github\"})",
		},
		runtime.Example{
			Star: "def test(e):\n    return \"OK\"\non.webhook(test, open=True)  # POST /test",
			Lua:  "local function test(e) return \"OK\" end\non.webhook(test, {open = true})  -- POST /test",
		},
		runtime.Example{
			Star: "on.webhook(\"/hooks/build\", lambda e: {\"state\": e.json[\"state\"]}, bearer=[secret(\"NEW\"), secret(\"OLD\")], rate=\"60/m\", max_body=\"64KiB\")",
			Lua:  "on.webhook(\"/hooks/build\", function(e) return {state = e.json.state} end, {bearer = {secret(\"NEW\"), secret(\"OLD\")}, rate = \"60/m\", max_body = \"64KiB\"})",
		},
		runtime.Example{
			Star: "on.webhook(\"/hooks/shop\", lambda e: None, secret=secret(\"SHOP\"), signature=\"hmac\", header=\"X-Shop-Hmac\", encoding=\"base64\")",
			Lua:  "on.webhook(\"/hooks/shop\", function(e) end, {secret = secret(\"SHOP\"), signature = \"hmac\", header = \"X-Shop-Hmac\", encoding = \"base64\"})",
		})
}
