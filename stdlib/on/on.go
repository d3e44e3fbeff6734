// Package on declares the built-ins that register rules: on.message and its
// like. They compute nothing: a call is recorded as {name, arguments}, and
// engine/rules checks patterns, routes and schedules, which it can do with the
// position of each argument.
//
//	Builtins   on.message … on.error
//	options    the keyword options that every rule takes
package on

import (
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return slices.Concat(messages(), interactions(), others(), hooks())
}

// rule declares one registration: its own parameters, then the handler's
// options, then those of every rule.
func rule(name, doc, long string, params []runtime.Param, ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "on." + name, Doc: doc, Long: long, Params: append(params, options(name)...),
		Result: "None", Purity: runtime.Register, Since: declare.Since, Examples: ex,
	}
}

func handler(doc string) runtime.Param { return declare.Arg("fn", runtime.TFunc, doc) }

// options are those of every rule; absent, threads and edits concern messages alone.
func options(kind string) []runtime.Param {
	const names = runtime.TString | runtime.TList
	opts := []runtime.Param{
		declare.Key("name", runtime.TString, nil, "Name of the rule in logs, metrics and help; the name of the function if left out."),
		declare.Key("help", runtime.TString, nil, "One line about the rule for people who ask the bot for help."),
		declare.Key("channels", names, nil, "Only in these channels: `#name` or id."),
		declare.Key("users", names, nil, "Only for these people, by id."),
		declare.Key("groups", names, nil, "Only members of these user groups may: `@handle` or id. Others are told that they may not."),
		declare.Key("admin", runtime.TBool, false, "Only those may whom `admins` in the configuration names: nobody, if it names none."),
		declare.Key("teams", names, nil, "Only in these workspaces: configured names or ids."),
		declare.Key("bots", names, nil, "Only for these of the configured bots."),
		declare.Key("when", runtime.TFunc, nil, "A function of the event; the rule runs only if it returns something true."),
		declare.Key("priority", runtime.TInt, int64(0), "Rules with a higher priority run first."),
		declare.Key("stop", runtime.TBool, false, "If this rule matches, none after it runs."),
		declare.Key("from_bots", runtime.TBool, false, "Also for what other bots do."),
		declare.Key("cooldown", runtime.TDuration, nil, "After a run, ignore matches in the same conversation for so long."),
		declare.Key("timeout", runtime.TDuration, nil, "A run may take so long in all, waits for people left out."),
		declare.Key("hosts", names, nil, "The only hosts that the rule's http_ calls may reach."),
		declare.Key("owner", runtime.TString, nil, "Who looks after the rule; named where its failures are shown."),
		declare.Key("dry_run", runtime.TBool, false, "Effects are recorded and answered with ok, not performed."),
		declare.Key("enabled", runtime.TBool, true, "False switches the rule off."),
	}
	if kind == "message" || kind == "mention" {
		opts = append(opts,
			declare.Key("threads", runtime.TBool, false, "Also for messages in threads; mentions are seen there anyway."),
			declare.Key("edits", runtime.TBool, false, "Also when a message is changed so that its text differs."),
			declare.Key("follow_edits", runtime.TBool, false, "As `edits`, and what the rule posts changes what it posted before the edit, for a week: the nth message the nth."),
			declare.Key("absent", runtime.TBool, false, "Fire when the pattern is not found."),
		)
	}
	switch kind {
	case "command", "action", "view", "shortcut":
		opts = append(opts, declare.Key("answers", runtime.TBool, true,
			"False: the rule runs beside the one that answers, for as long as it takes; what it returns answers nobody."))
	}
	if kind == "message" {
		opts = append(opts, declare.OneOf("match", []string{"command", "mention", "readable", "nothing"}, nil,
			"How the pattern is tried, with names in the place of ids: `readable`: a regex on the text. `command`: what is asked of the bot begins with it, literally; `mention`: the same, wherever the bot is mentioned; of these two only the first rule runs. `nothing`: no pattern; the bot is asked for what no such rule matches. `e.match` has `parsed_text`, `command_text` and `args`."))
	}
	if kind == "mention" {
		opts = append(opts, declare.OneOf("match", []string{"nothing"}, nil,
			"`nothing`: the bot is asked for what no rule of messages or mentions is for; those without a pattern do not count. The regex is empty then."))
	}
	return opts
}

// bounds says what a pattern may cost; engine/rules holds scripts to it.
const bounds = "The first 8 KB of the text are looked at, with a pattern of more than 128 instructions (about as many characters) less, down to 2 KB at the most allowed, about 490. " +
	"A pattern that takes more than 10 ms of the processor on a message, or a script whose patterns take more than 25 ms together, goes beyond the limit `match`: the third time these rules are switched off."

const argsDoc = "Grammar of the arguments, such as `<app> [env=staging|prod] [--dry-run]`; they are in `e.args`, and a line that does not fit is answered with the usage. " +
	"`<x>` must be given, `[x]` may be; `x:int`, `float`, `bool`, `duration` (in seconds), `user` and `channel` (their ids) are converted; `x=a|b` allows these words, the first is used if none is given, `[x=a]` is a default; " +
	"`x...` takes the rest of the line; `--x` is true or false, `--x=<text>` has a value, `--x=<text>...` a list of them. Quotation marks keep words together, and `--` ends the options."

// arguments declares args for rules of messages.
func arguments(more string) runtime.Param {
	return declare.Key("args", runtime.TString, nil, "Makes the rule a command: the regex is then the words that the message begins with, in any case, and "+more+". "+argsDoc)
}

func messages() []*runtime.Builtin {
	const pattern = runtime.TString | runtime.TRegexp
	return []*runtime.Builtin{
		rule("message", "Run a function on every message whose text matches a regular expression.",
			"Sees what people write outside threads; own messages, other bots, edits and Slackbot are skipped unless an option asks for them. "+
				"The groups of the expression are in `e.match`. A returned text is posted to the conversation.",
			[]runtime.Param{
				declare.Arg("regex", pattern, "RE2 expression, found anywhere in the text; `(?i)` ignores case. "+bounds),
				handler("Called with the event."), arguments("with `!deploy` for the regex a message that begins with it is the command"),
			},
			runtime.Example{
				Star: "def greet(e):\n    return \"hello <@%s>\" % e.user\non.message(\"(?i)^hello\", greet, channels=[\"#general\"])",
				Lua:  "local function greet(e) return \"hello <@\" .. e.user .. \">\" end\non.message(\"(?i)^hello\", greet, {channels = {\"#general\"}})",
			},
			runtime.Example{
				Star: "on.message(\"hi\", lambda e: \"hi\", chanels=[\"#general\"])", Fails: true, Want: "channels",
				Lua: "on.message(\"hi\", function(e) return \"hi\" end, {chanels = {\"#general\"}})",
			}),
		rule("mention", "Run a function on messages addressed to the bot: they begin with its mention, or are direct messages.",
			"The mention is cut off before the expression is tried.",
			[]runtime.Param{
				declare.Arg("regex", pattern, "RE2 expression, found anywhere in the text after the mention. "+bounds),
				handler("Called with the event."), arguments("of `deploy` and `deploy status` the longer one is meant"),
			},
			runtime.Example{
				Star: "on.mention(\"deploy\", lambda e: \"deploying \" + e.args.app, args=\"<app> [env=staging|prod] [--dry-run]\")",
				Lua:  "on.mention(\"deploy\", function(e) return \"deploying \" .. e.args.app end, {args = \"<app> [env=staging|prod] [--dry-run]\"})",
			},
			runtime.Example{
				Star: "def deploy(e):\n    return \"deploying \" + e.match[\"app\"]\non.mention(\"^deploy (?P<app>[a-z]+)$\", deploy)",
				Lua:  "on.mention(\"^deploy (?P<app>[a-z]+)$\", function(e) return \"deploying \" .. e.match.app end)",
			}),
	}
}

func interactions() []*runtime.Builtin {
	const id = runtime.TString | runtime.TRegexp
	fn := handler("Called with the event.")
	return []*runtime.Builtin{
		rule("command", "Answer a slash command.", "What the function returns is shown to the user: text, or a dict with `text`, `blocks` and `response_type`.",
			[]runtime.Param{
				declare.Arg("command", runtime.TString, "The command with its slash; `/deploy status` is the subcommand of it. The longest that fits is meant."), fn,
				declare.Key("args", runtime.TString, nil, argsDoc),
			},
			runtime.Example{
				Star: "def deploy(e):\n    return \"deploying \" + e.args.app\non.command(\"/deploy\", deploy, args=\"<app> [env=staging|prod]\")",
				Lua:  "on.command(\"/deploy\", function(e) return \"deploying \" .. e.args.app end, {args = \"<app> [env=staging|prod]\"})",
			}),
		rule("action", "Run a function when a button, select or other element of a message or view is used.", "",
			[]runtime.Param{
				declare.Arg("id", id, "The `action_id`; with any of `^$*+?()[]{}|\\` in it, or made by `re.compile`, it is a regular expression."), fn,
				declare.Key("block", runtime.TString, nil, "Only in the block of this `block_id`."),
			},
			runtime.Example{
				Star: "on.action(\"approve\", lambda e: respond(\"approved\", replace=True))",
				Lua:  "on.action(\"approve\", function(e) return respond(\"approved\", {replace = true}) end)",
			},
			runtime.Example{
				Star: "on.action(re.compile(\"approve_[0-9]+\"), lambda e: None, block=\"votes\")",
				Lua:  "on.action(re.compile(\"approve_[0-9]+\"), function(e) end, {block = \"votes\"})",
			}),
		rule("view", "Answer the submission of a modal.", "Return `ui.errors`, `ui.replace`, `ui.push` or `ui.clear`; nothing closes the modal.",
			[]runtime.Param{declare.Arg("callback_id", id, "The `callback_id` of the view, exactly, or a pattern made by `re.compile`."), fn},
			runtime.Example{
				Star: "def save(e):\n    if not e.values[\"name\"]:\n        return ui.errors({\"name\": \"Who?\"})\non.view(\"person\", save)",
				Lua:  "on.view(\"person\", function(e) if not e.values.name then return ui.errors({name = \"Who?\"}) end end)",
			}),
		rule("view_closed", "Run a function when a modal with `notify_on_close` is dismissed.", "",
			[]runtime.Param{declare.Arg("callback_id", id, "The `callback_id` of the view, exactly, or a pattern made by `re.compile`."), fn},
			runtime.Example{
				Star: "on.view_closed(\"person\", lambda e: dm(e.user, \"Another time, then.\"))",
				Lua:  "on.view_closed(\"person\", function(e) return dm(e.user, \"Another time, then.\") end)",
			}),
		rule("shortcut", "Run a function for a global or message shortcut.", "",
			[]runtime.Param{declare.Arg("callback_id", id, "The `callback_id` of the shortcut, exactly, or a pattern made by `re.compile`."), fn},
			runtime.Example{
				Star: "on.shortcut(\"new_ticket\", lambda e: open_modal(ui.modal(\"New ticket\", [ui.section(\"Hello\")])))",
				Lua:  "on.shortcut(\"new_ticket\", function(e) return open_modal(ui.modal(\"New ticket\", {ui.section(\"Hello\")})) end)",
			}),
		rule("options", "Answer an external select with its options.", "`e.options_query` is what was typed. Return a list of `ui.option`; of more than 100 the first 100 are used.",
			[]runtime.Param{declare.Arg("action_id", id, "The `action_id` of the select, exactly, or a pattern made by `re.compile`."), fn},
			runtime.Example{
				Star: "on.options(\"city\", lambda e: [ui.option(c) for c in [\"Oslo\", \"Paris\"] if c.startswith(e.options_query)])",
				Lua:  "on.options(\"city\", function(e) return {ui.option(\"Oslo\"), ui.option(\"Paris\")} end)",
			}),
	}
}

func others() []*runtime.Builtin {
	fn := handler("Called with the event.")
	return []*runtime.Builtin{
		rule("reaction", "Run a function when an emoji is put on a message.", "",
			[]runtime.Param{
				declare.Arg("emoji", runtime.TString|runtime.TRegexp, "Name of the emoji, with or without colons, or an RE2 expression."), fn,
				declare.Key("removed", runtime.TBool, false, "Fire when the emoji is taken away instead."),
			},
			runtime.Example{
				Star: "on.reaction(\"eyes\", lambda e: reply(\"I see it too\"))",
				Lua:  "on.reaction(\"eyes\", function(e) return reply(\"I see it too\") end)",
			}),
		rule("home", "Run a function when somebody opens the app's home.", "",
			[]runtime.Param{fn},
			runtime.Example{
				Star: "on.home(lambda e: publish_home(ui.home([ui.header(\"Welcome\")])))",
				Lua:  "on.home(function(e) return publish_home(ui.home({ui.header(\"Welcome\")})) end)",
			}),
		rule("event", "Run a function on any event of Slack by its type.", "`\"*\"` sees every stored event of every kind; `\"starling.socket\"` the life of the socket connections.",
			[]runtime.Param{declare.Arg("type", runtime.TString, "Slack's name of the event, such as `team_join`, or `*`."), fn},
			runtime.Example{
				Star: "on.event(\"team_join\", lambda e: dm(e.user, \"Welcome!\"))",
				Lua:  "on.event(\"team_join\", function(e) return dm(e.user, \"Welcome!\") end)",
			}),
		webhook(),
		rule("schedule", "Run a function at set times.",
			"`e.scheduled_at` is the time that was due. Several processes on one store fire once. A time of day that the clock jumps over is due at that moment, one that it shows twice the first time; a line for every hour goes by elapsed time.",
			[]runtime.Param{
				declare.Arg("schedule", runtime.TString, "A cron line of five fields, or six with seconds first; `@daily` and its like; `every 10m`; `at 2026-12-24T18:00`, once."), fn,
				declare.Key("tz", runtime.TString, "UTC", "Time zone of the cron line or moment, such as `Europe/Berlin`."),
				declare.Key("jitter", runtime.TDuration, nil, "Begin up to so much later, for one rule and time always by the same."),
				declare.OneOf("overlap", []string{"skip", "allow"}, "skip", "`skip`: no firing while the run of the one before goes on or waits. `allow`: side by side."),
				declare.OneOf("catch_up", []string{"last", "all", "none"}, "last", "Of the times missed while no server ran, at most a week back, fire: `last` the newest, `all` up to 100, one after another, `none` no more than a minute late."),
			},
			runtime.Example{
				Star: "on.schedule(\"0 9 * * MON-FRI\", lambda e: post(\"#team\", \"Stand-up!\"), tz=\"Europe/Berlin\")",
				Lua:  "on.schedule(\"0 9 * * MON-FRI\", function(e) post(\"#team\", \"Stand-up!\") end, {tz = \"Europe/Berlin\"})",
			}),
		rule("error", "Run a function when a run fails, of this script or another.", "`e.error` has `message`, `position` and `detail`, the text with source line and caret; `e.run`, `e.rule` and `e.script` name what failed, and `e.event` tells of the event: `id kind type team user channel text`.",
			[]runtime.Param{handler("Called with the failure.")},
			runtime.Example{
				Star: "on.error(lambda e: post(\"#bot-trouble\", \"a rule failed\"))",
				Lua:  "on.error(function(e) post(\"#bot-trouble\", \"a rule failed\") end)",
			}),
	}
}
