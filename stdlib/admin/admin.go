// Package admin declares the built-ins that look after a fleet of rules from
// inside it: which rules there are, which are switched off, what is due, what
// calls from outside. They are effects, and the server performs them only for
// rules with admin=True, run by an admin.
package admin

import (
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

const reads = "Repeated after a crash: it only reads."

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	rule := declare.Arg("rule", runtime.TString, "Id of the rule, its name, or the beginning of either that no other rule has.")
	hosts := runtime.TString | runtime.TList
	return []*runtime.Builtin{
		effect("rules", "List the rules in force, and those that are switched off.",
			"Each is a dict: `id name kind pattern file line version owner`, `state` (`on`, `off` by the breaker, `disabled`), `why` and `since` of one that is not on, "+
				"`last_fire`, `last_outcome` and `last_run`, `last_error` with `last_error_at` and `last_error_run`.",
			"list of rules", reads, nil),
		effect("enable", "Switch a rule on that the breaker or an admin has switched off.", "", "dict: `ok`, `rule`, `error`",
			"Repeated after a crash: it comes to the same.", []runtime.Param{rule}, example("enable", "deploy.star:restart")),
		effect("disable", "Switch a rule off, over restarts and changes of its file, until it is enabled.", "", "dict: `ok`, `rule`, `error`",
			"Repeated after a crash: it comes to the same.",
			[]runtime.Param{rule, declare.Key("reason", runtime.TString, nil, "Why, for those who look after the rule.")}, example("disable", "deploy.star:restart")),
		effect("reload", "Read all rule files again, and fetch the repository of rules if there is one.", "", "dict: `ok`, `rules`, `errors`, `revision`, `error`",
			"Repeated after a crash: it comes to the same.", nil),
		effect("status", "Tell how the server is.",
			"`version`, `started`, `rules`, `off`, `pending` and `oldest_age_seconds` of the queue, `dead`, `health` of the store, `revision` of the repository, and `files`: those with errors, "+
				"each with `path`, `version` that runs, `previous` if that is an earlier one, and `errors`, a text.",
			"dict", reads, nil),
		effect("runs", "List the latest events that had runs, newest first.", "Each is a dict: `event_id kind stored`, and `runs` with `run rule outcome dur_ms` and `error`, a text.",
			"list of events", reads, []runtime.Param{declare.Opt("limit", runtime.TInt, int64(20), "How many, at most 200.")}),
		effect("schedules", "List the rules of on.schedule: when each was due last and is due next.", "As `starling schedule --json` prints them.", "list of dicts", reads, nil),
		effect("webhooks", "List the webhooks of the rules, with who may call them and how often they were called.", "As `starling webstatus --json` prints them.", "list of dicts", reads, nil),
		effect("test_webhook", "Take one request through the webhooks, as `starling webhook test` does.",
			"Nothing is stored, sent or changed. The result names `rule`, `content_type`, `status`, `body` and `runs` with their `effects`.", "dict: `ok`, `error`, and what came of it", reads,
			[]runtime.Param{
				declare.Arg("path", runtime.TString, "Path of the request, with its query."),
				declare.Opt("body", runtime.TString, nil, "Body; JSON, a form or text: the type is guessed."),
				declare.Key("method", runtime.TString, nil, "Method; what the route takes if left out."),
			}, runtime.Example{
				Star: `admin.test_webhook("/github", "{}")`, Want: `{"effect":"admin.test_webhook","args":{"path":"/github","body":"{}"}}`,
			}),
		effect("certificate", "Make a self-signed certificate for the server.", "It goes where `tls` in the configuration says, else below the data directory. Files that are there stay.",
			"dict: `ok`, `error`, `cert`, `key`, `hosts`, `not_after`, `sha256`, `served`, `config`", "Not repeated after a crash.",
			[]runtime.Param{declare.Opt("hosts", hosts, nil, "Names and addresses it is for; this machine if left out.")}),
	}
}

func example(name, rule string) runtime.Example {
	return runtime.Example{Star: `admin.` + name + `("` + rule + `")`, Want: `{"effect":"admin.` + name + `","args":{"rule":"` + rule + `"}}`}
}

func effect(name, doc, long, result, repeat string, params []runtime.Param, ex ...runtime.Example) *runtime.Builtin {
	if len(ex) == 0 {
		ex = []runtime.Example{{Star: "admin." + name + "()", Want: `{"effect":"admin.` + name + `","args":{}}`}}
	}
	if long != "" {
		long += " "
	}
	return &runtime.Builtin{
		Name: "admin." + name, Doc: doc, Long: long + "Only for rules with `admin=True`, run by an admin.", Params: params,
		Result: result, Purity: runtime.Asks, Since: declare.Since, Repeat: repeat, Examples: ex,
	}
}
