package scripttest

import (
	"slices"

	"github.com/starling-rules/starling/runtime"
)

// since is the version in which the built-ins of tests appeared.
const since = "0.1"

// Builtins are the declarations of everything that is for tests only. Those
// whose name begins with "t." are methods of t, which a test function is given;
// those of "t.expect." are methods of what t.expect(run) returns.
func Builtins() []*runtime.Builtin { return builtins(nil) }

func builtins(find finder) []*runtime.Builtin {
	set := slices.Concat(actBuiltins(), moreActBuiltins(), stubBuiltins(), stateBuiltins(), expectBuiltins(), find.assertBuiltins())
	for _, b := range set {
		b.Since = since
		if text, ok := inLua[b.Name]; ok {
			b.Examples[0].Lua = text
		}
	}
	return set
}

// method makes a built-in that works on the world of its test.
func method(name, doc string, fn func(*world, *runtime.Context, *runtime.Args) (runtime.Value, error), result, example string, params ...runtime.Param) *runtime.Builtin {
	return &runtime.Builtin{
		Name: name, Doc: doc, Params: params, Result: result, Purity: runtime.Ambient, Examples: []runtime.Example{{Star: example}},
		Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
			o, ok := a.Self.(*object)
			if !ok {
				return nil, &runtime.Error{Kind: runtime.RunError, Msg: name + " belongs to the t that a test is given"}
			}
			return fn(o.w, x, a)
		},
	}
}

func arg(name string, t runtime.Type, doc string) runtime.Param {
	return runtime.Param{Name: name, Type: t, Doc: doc}
}

func opt(name string, t runtime.Type, doc string) runtime.Param {
	return runtime.Param{Name: name, Type: t, Doc: doc, Optional: true}
}

func key(name string, t runtime.Type, doc string) runtime.Param {
	return runtime.Param{Name: name, Type: t, Doc: doc, Optional: true, Named: true}
}

func rest(doc string) runtime.Param {
	return runtime.Param{Name: "more", Type: runtime.TAny, Doc: doc, Optional: true, Rest: true}
}

func def(v runtime.Value, p runtime.Param) runtime.Param {
	p.Default = v
	return p
}

// who are the parameters of everything that a person does.
func who(more ...runtime.Param) []runtime.Param {
	return append(more,
		def("@ada", key("user", runtime.TString, "Who does it: an id (U1) or a name (@ada).")),
		key("team", runtime.TString, "The workspace: an id, or a name of the configuration's teams."),
		key("bot", runtime.TString, "The configured name of the bot that is told."),
		key("fields", runtime.TDict, "Further fields of the payload, as Slack spells them."),
	)
}

// where are who and the place.
func where(more ...runtime.Param) []runtime.Param {
	return append(who(more...),
		def("#general", key("channel", runtime.TString, "Where: an id (C1), a name (#ops), or @ada for a direct message.")),
		key("thread_ts", runtime.TString, "The thread it is in."),
		key("ts", runtime.TString, "The timestamp of the message; by default a new one."),
	)
}

func written(more ...runtime.Param) []runtime.Param {
	return append(where(more...),
		key("im", runtime.TBool, "In the direct conversation with the bot."),
		key("files", runtime.TList, "Files that are shared with it, as Slack describes files."),
		key("blocks", runtime.TList, "Its blocks; by default those that Slack makes of the text."),
		key("subtype", runtime.TString, "The subtype of the message."),
		key("bot_id", runtime.TString, "The bot that wrote it."),
	)
}

const textDoc = "The text, in Slack's markup."

func actBuiltins() []*runtime.Builtin {
	return []*runtime.Builtin{
		method("t.message", "Posts a message, and returns what the rules did.", message, "run", `run = t.message("hello", user = "@ada", channel = "#ops")`,
			written(
				arg("text", runtime.TString, textDoc),
				key("to", runtime.TAny|runtime.TObject, "Replies, in its thread, to the message of a run, or to one that the rules sent: its text, or t.like(…)."),
				key("edited", runtime.TString, "Makes it an edit: what the text was before."),
				key("deleted", runtime.TBool, "Makes it the deletion of a message with that text."),
			)...),
		method("t.mention", "Mentions the bot: Slack reports it as message and as app_mention.", mention, "run", `run = t.mention("deploy api to prod")`,
			written(arg("text", runtime.TString, textDoc+" The mention is put before it."))...),
		method("t.command", "Gives a slash command.", command, "run", `run = t.command("/deploy api prod")`,
			where(arg("command", runtime.TString, "The command with its slash, and what follows it."), opt("text", runtime.TString, "What follows the command."))...),
		method("t.click", "Uses a button or menu of what the rules sent last: found by its text or its action_id.", click, "run", `run = t.click("Yes", user = "@grace")`,
			where(
				arg("name", runtime.TString, "The text or the action_id of the element; of a menu also the text of an option."),
				opt("value", runtime.TAny, "What is chosen or typed: the value of an option, a date, a user's id, or a list of these."),
				key("values", runtime.TDict, "Other inputs beside it, by action_id, or by block_id and action_id."),
				key("bare", runtime.TBool, "Clicks although no such element was sent: only the ids are known then."),
				key("block", runtime.TString, "The block_id of a bare click."),
			)...),
		method("t.submit", "Fills in and submits the open modal. The answer is done: errors, update, push, clear.", submit, "run", `run = t.submit(title = "Disk full", severity = "high")`,
			who(
				opt("callback_id", runtime.TString, "The modal; by default the one that was opened last."),
				key("values", runtime.TDict, "The inputs, by action_id, or by block_id and action_id."),
				rest("Inputs by action_id."),
			)...),
		method("t.close", "Closes the open modal, which must have notify_on_close.", closeView, "run", `run = t.close()`,
			who(opt("callback_id", runtime.TString, "The modal; by default the one that was opened last."))...),
		method("t.shortcut", "Runs a shortcut: that of a message if text or ts is given, else a global one.", shortcut, "run", `run = t.shortcut("new_ticket")`,
			where(arg("callback_id", runtime.TString, "The shortcut."), key("text", runtime.TString, "The text of the message that it is run on."))...),
		method("t.react", "Adds an emoji to a message, or takes it away.", reaction, "run", `run = t.react(":eyes:", channel = "#ops")`,
			where(
				arg("emoji", runtime.TString, "The emoji, with or without colons."),
				opt("to", runtime.TAny|runtime.TObject, "The run whose message it is for; or a message that the rules sent: its text, or t.like(…)."),
				key("removed", runtime.TBool, "Takes the reaction away."),
			)...),
	}
}

func moreActBuiltins() []*runtime.Builtin {
	return []*runtime.Builtin{
		method("t.home", "Opens the app's home tab.", home, "run", `run = t.home(user = "@ada")`, who()...),
		method("t.event", "Sends an event of any type, or the payload that was recorded in a file, as it is.", anyEvent, "run", `run = t.event("team_join", user = "@grace")`,
			where(
				arg("type", runtime.TString, "Slack's type (team_join, message.channel_topic), or the path of a file beside the test: JSON, or a form."),
				key("text", runtime.TString, "The text of the event."),
				rest("Fields of the event."),
			)...),
		method("t.options", "Types into a select whose options the rules give.", suggest, "run", `run = t.options("city", "ber")`,
			where(arg("action_id", runtime.TString, "The select."), opt("query", runtime.TString, "What is typed."))...),
		method("t.webhook", "Sends a request to a webhook, with the proof that its route asks for.", webhook, "run", `run = t.webhook("POST /hooks/ci", json = {"state": "failed"})`,
			arg("route", runtime.TString, "Method and path; without a method it is POST."),
			key("json", runtime.TAny, "A body, sent as JSON."),
			key("form", runtime.TDict, "A body, sent as a form."),
			key("body", runtime.TString|runtime.TBytes, "A body, sent as it is."),
			key("headers", runtime.TDict, "Headers."),
			key("query", runtime.TDict, "The query of the URL."),
			def(true, key("authentic", runtime.TBool, "False: it proves nothing; what `headers` hold is sent as it is, also beside the proof.")),
			key("remote", runtime.TString, "The address it comes from; by default one that the route allows."),
		),
		method("t.advance", "Lets time pass: schedules, waits, time-outs, cooldowns and ttls that fall due happen at their time, in order.", advance, "run", `run = t.advance("1h")`,
			opt("by", runtime.TDuration, "How long."),
			key("to", runtime.TString, "Until when: \"2026-01-05T12:00:00Z\". Every test begins at 2026-01-05T09:00:00Z, a Monday."),
		),
		method("t.restart", "Ends the engine as kill -9 does, and starts it again on what was stored: what waits goes on waiting.", restartEngine, "run, or None with during", `t.restart()`,
			key("during", runtime.TString, "Later, in the middle of the next request by that name: a method of Slack, or a URL; * stands for anything. What was asked has happened, and the engine ends before it hears the answer.")),
		method("t.edit", "Changes a file of the rules while they run. Runs that wait stay on the version they began with.", edit, "None", `t.edit("deploy.star", replace = {"shipped": "rolled out"})`,
			arg("path", runtime.TString, "The file, within the rules directory or beside the test. It may be a new one."),
			opt("text", runtime.TString, "The whole text that it is to have."),
			key("replace", runtime.TDict, "What takes the place of parts of its text, by those."),
			key("remove", runtime.TBool, "Takes the file away."),
		),
		method("t.tick", "Lets time pass until the next schedule is due, and runs it.", tick, "run", `run = t.tick()`,
			opt("rule", runtime.TString, "The function or id of the rule; by default the one that is due first."),
		),
	}
}

func stubBuiltins() []*runtime.Builtin {
	often := []runtime.Param{
		key("times", runtime.TInt, "How often it answers; then the next stub that fits does. By default any number of times."),
		key("may", runtime.TBool, "It need not be used. Without, a stub that nothing asked for fails the test."),
	}
	return []*runtime.Builtin{
		method("t.http.stub", "Answers http_* requests. A request that nothing is stubbed for fails the test.", stubHTTP, "None",
			`t.http.stub("GET", "https://ci.example/*", json = {"green": True})`, append([]runtime.Param{
				arg("method", runtime.TString, "GET, POST, …, or * for all."),
				arg("url", runtime.TString, "The URL; * stands for anything. Without a ? in it, the query does not matter."),
				key("json", runtime.TAny, "The body, as JSON."),
				key("text", runtime.TString, "The body, as text."),
				def(int64(200), key("status", runtime.TInt, "The status.")),
				key("headers", runtime.TDict, "Headers of the answer."),
				{Name: "error", Type: runtime.TString, Doc: "What goes wrong instead.", Optional: true, Named: true, Values: sorted(failures)},
				key("delay", runtime.TDuration, "How long the answer takes, by the clock of the test."),
			}, often...)...),
		method("t.http.requests", "Lists the http_* requests so far: method, url, headers, text, json, form.", listRequests, "list",
			`sent = t.http.requests("https://ci.example/*")`, opt("url", runtime.TString, "Only those; * stands for anything.")),
		method("t.slack.stub", "Answers calls of a Slack method. Without, every method answers ok.", stubSlack, "None",
			`t.slack.stub("conversations.info", json = {"channel": {"id": "C1", "name": "ops"}})`, append([]runtime.Param{
				arg("method", runtime.TString, "The method; * stands for anything."),
				key("json", runtime.TDict, "Fields of the answer, beside or instead of the usual ones."),
				key("error", runtime.TString, "Slack's error code: \"channel_not_found\"."),
			}, often...)...),
		method("t.slack.user", "Makes a user known to Slack, and returns the id.", knowUser, "string", `id = t.slack.user("@bob")`,
			arg("name", runtime.TString, "The name; the address is name@example.com.")),
		method("t.slack.channel", "Makes a channel known to Slack, and returns the id.", knowChannel, "string", `id = t.slack.channel("#war-room")`,
			arg("name", runtime.TString, "The name.")),
		method("t.calls", "Lists the calls of Slack so far: arguments as sent, with the method.", listCalls, "list", `posts = t.calls("chat.postMessage")`,
			opt("method", runtime.TString, "Only those of a method; * stands for anything.")),
	}
}

func stateBuiltins() []*runtime.Builtin {
	shared := key("shared", runtime.TBool, "In kv.shared instead of the script's own.")
	script := key("script", runtime.TString, "Whose state; by default that of the script under test.")
	return []*runtime.Builtin{
		method("t.rules", "Names the scripts under test. By default it is the one that the test file is named after.", chooseRules, "None", `t.rules("deploy.star", "lib/approve.star")`,
			runtime.Param{Name: "scripts", Type: runtime.TString, Doc: "Paths within the rules directory, or beside the test.", Variadic: true, Optional: true}),
		method("t.config", "Changes what config is in the script under test.", changeConfig, "None", `t.config(channel = "#ops")`,
			opt("script", runtime.TString, "The script; by default the one under test."),
			key("values", runtime.TDict, "The values, by name."),
			rest("The values, by name.")),
		method("t.secret", "Gives a secret a value; without, secret(\"NAME\") stands for test-NAME.", changeSecret, "None", `t.secret("CI_TOKEN", "s3cret")`,
			arg("name", runtime.TString, "The name."), arg("value", runtime.TString, "The value.")),
		method("t.kv.get", "Reads the state of the script under test.", kvGet, "any", `n = t.kv.get("count")`,
			arg("key", runtime.TString, "The key."), opt("default", runtime.TAny, "What is returned if there is none."), shared, script),
		method("t.kv.set", "Writes the state of the script under test.", kvSet, "None", `t.kv.set("count", 3)`,
			arg("key", runtime.TString, "The key."), arg("value", runtime.TAny, "The value."), shared, script),
		method("t.like", "Stands for any text that fits, wherever a value is expected.", makeLike, "pattern", `t.expect(run).replied(t.like("hello *"))`,
			opt("glob", runtime.TString, "The text, with * for anything."),
			key("re", runtime.TString|runtime.TRegexp, "A regular expression (RE2) that is found in it.")),
		method("t.snapshot", "Compares a value, or all that a run did, with what --update wrote beside the test.", snapshot, "None", `t.snapshot(run)`,
			arg("value", runtime.TAny|runtime.TObject, "A run, or data."), opt("name", runtime.TString, "A name, if there are several.")),
		method("t.table", "Runs a function for each case, each in a world as new as at the call.", table, "None",
			`t.table({"a word": "hi", "two": "hi there"}, check)`,
			arg("cases", runtime.TDict|runtime.TList, "The cases, by name or in a list."),
			arg("fn", runtime.TCallable, "Called as fn(t, case).")),
		method("t.case", "Runs a part of a test under a name: if it fails, the rest of the test goes on.", oneCase, "None",
			`t.case("the second time", lambda t: t.expect(t.message("hi")).no_calls())`,
			arg("name", runtime.TString, "The name."), arg("fn", runtime.TCallable, "Called as fn(t).")),
		method("t.expect", "Says what is expected of a run: t.expect(run).replied(\"…\").", expect, "expectation", `t.expect(run).replied("hello")`,
			arg("run", runtime.TAny|runtime.TObject, "What t.message and the others returned.")),
	}
}

func expectationMethod(name, doc string, f expectation, example string, params ...runtime.Param) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "t.expect." + name, Doc: doc, Params: params, Result: "the expectation, so that more can be said", Purity: runtime.Ambient,
		Examples: []runtime.Example{{Star: example}}, Fn: expecting(f),
	}
}

func expectBuiltins() []*runtime.Builtin {
	times := key("times", runtime.TInt, "Exactly so often; by default at least once.")
	more := rest("Arguments that it has, as Slack spells them; others do not matter.")
	return []*runtime.Builtin{
		expectationMethod("replied", "A reply was sent: respond, reply, post to where the event came from, or returned text.", replied, `t.expect(run).replied("hello")`,
			opt("text", runtime.TAny, "Its text."), times, more),
		expectationMethod("called", "A method of Slack was called.", called, `t.expect(run).called("chat.postMessage", channel = "#deploys")`,
			arg("method", runtime.TString, "The method; * stands for anything."), times, more),
		expectationMethod("reacted", "An emoji was added.", reacted, `t.expect(run).reacted("eyes")`,
			opt("emoji", runtime.TString, "The emoji, with or without colons."), times, more),
		expectationMethod("opened", "A modal was opened, or answered.", opened, `t.expect(run).opened("incident")`,
			opt("callback_id", runtime.TAny, "The view."), key("title", runtime.TAny, "Its title."), times, more),
		expectationMethod("answered", "The sender of the event was answered: command, view, options, webhook.", answered, `t.expect(run).answered("on it")`,
			opt("value", runtime.TAny, "The text; the values or texts of options; the data of a JSON answer."),
			key("status", runtime.TInt, "The status, of a webhook."), key("text", runtime.TAny, "The body."), key("json", runtime.TAny, "The body as data."),
			key("headers", runtime.TDict, "Headers, by lower-case name."), key("errors", runtime.TDict, "The errors that a modal shows, by block_id."),
			key("action", runtime.TString, "The response_action of a modal: errors, update, push, clear.")),
		expectationMethod("waiting", "A rule waits: for somebody to answer, for an event, or for a time.", waiting, `t.expect(run).waiting("Sure?")`,
			opt("text", runtime.TAny, "What it asks; of a wait that is no question, what it is for."),
			key("kind", runtime.TString, "The built-in that waits: ask, ask_form, wait_event, wait_reply, wait_reaction or sleep."), times,
			rest("More of the wait: channel, who (the ids of those who may answer), until (\"2026-01-05T12:00:00Z\"), choices, answers (what has come of a quorum).")),
		expectationMethod("done", "A rule ran, and all that ran have ended well.", done, `t.expect(run).done()`),
		expectationMethod("failed", "A rule failed. A run that fails without this fails the test.", failed, `t.expect(run).failed("no such app")`,
			opt("error", runtime.TAny, "A part of the error, or t.like(…).")),
		expectationMethod("ignored", "No rule ran.", ignored, `t.expect(run).ignored()`),
		expectationMethod("no_calls", "Nothing was asked of Slack or of anybody else; look-ups do not count.", noCalls, `t.expect(run).no_calls()`,
			opt("method", runtime.TString, "Only this method was not called; * stands for anything.")),
	}
}
