// Package talk declares the built-ins that speak to Slack: respond, post and
// their like, and slack_action, which calls any Web API method by its name.
// Each asks for an effect of its own name; what can be known to be wrong
// without Slack is refused at the line that says it.
//
//	Builtins   the declarations
//	message    the parameters that all messages share
//	call       slack_action and slack_pages
package talk

import (
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
	"github.com/starling-rules/starling/stdlib/ui"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return slices.Concat(messages(), uploads(), changes(), views(), calls())
}

const slackResult = "result: `.ok`, `.error` and the fields of Slack's answer"

type fn = func(*runtime.Context, *runtime.Args) (runtime.Value, error)

func effect(name, doc, long, repeat string, f fn, params []runtime.Param, ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: name, Doc: doc, Long: long, Params: params, Result: slackResult, Purity: runtime.Asks,
		Since: declare.Since, Repeat: repeat, Fn: f, Examples: ex,
	}
}

// onceOnly is what the documentation says of messages after a crash.
const onceOnly = "After a crash the message is looked up in the conversation before it is sent again."

func content() []runtime.Param {
	return []runtime.Param{
		declare.Key("blocks", runtime.TList, nil, "Block Kit blocks, at most 50; `ui` builds them."),
		declare.Key("attachments", runtime.TList, nil, "Attachments of the old kind."),
	}
}

// display are the fields of chat.postMessage that concern how it looks.
func display() []runtime.Param {
	return []runtime.Param{
		declare.Key("unfurl_links", runtime.TBool, nil, "Show previews of links."),
		declare.Key("unfurl_media", runtime.TBool, nil, "Show previews of media."),
		declare.Key("mrkdwn", runtime.TBool, true, "False shows the markup as it is."),
		declare.Key("link_names", runtime.TBool, nil, "Let Slack link @names and #channels."),
		declare.Key("username", runtime.TString, nil, "Name to show instead of the bot's (scope chat:write.customize)."),
		declare.Key("icon_emoji", runtime.TString, nil, "Emoji to show instead of the bot's picture."),
		declare.Key("icon_url", runtime.TString, nil, "Picture to show instead of the bot's."),
		declare.Key("metadata", runtime.TDict, nil, "Message metadata: `event_type` and `event_payload`."),
	}
}

var textParam = declare.Opt("text", runtime.TString, nil, "Text in Slack's markup; with blocks it is what notifications show.")

// split is the parameter of what posts long texts in several messages.
func split() runtime.Param {
	return declare.Key("split", runtime.TBool, true, "Text beyond 4,000 characters goes out in several messages, cut between paragraphs, code blocks whole. False: in one, as Slack shows it.")
}

func messages() []*runtime.Builtin {
	return []*runtime.Builtin{
		effect("respond", "Answer where the event came from.",
			"For commands and interactions the answer goes through `response_url`; without `ephemeral` Slack's own default holds there: only the user sees it. For messages it is posted to the conversation, in the thread if the message was in one.",
			"A response in doubt after a crash is not repeated.", respond,
			slices.Concat([]runtime.Param{textParam}, content(), []runtime.Param{
				declare.Key("ephemeral", runtime.TBool, nil, "True: only the user sees it. False: everybody in the conversation does."),
				declare.Key("replace", runtime.TBool, false, "Replace the message that the element belongs to."),
				declare.Key("delete", runtime.TBool, false, "Delete the message that the element belongs to."),
				declare.Key("thread_ts", runtime.TString, nil, "Answer in this thread."),
				split(),
				declare.Key("message", runtime.TDict, nil, "A whole response in Slack's own terms, sent as it is: `text`, `blocks`, `response_type` and so on."),
			}),
			runtime.Example{Star: `respond("done")`, Want: `{"effect":"respond","args":{"text":"done"}}`},
			runtime.Example{Star: `respond("done", ephemeral=False)`, Lua: `respond("done", {ephemeral = false})`, Want: `{"effect":"respond","args":{"text":"done","ephemeral":false}}`},
			runtime.Example{Star: `respond(delete=True)`, Lua: `respond({delete = true})`, Want: `{"effect":"respond","args":{"delete":true}}`},
			runtime.Example{Star: `respond()`, Fails: true, Want: "text, blocks or attachments"}),
		effect("reply", "Answer in the thread of the message.", "Starts the thread if there is none.", onceOnly, needContent,
			slices.Concat([]runtime.Param{textParam}, content(), []runtime.Param{
				declare.Key("reply_broadcast", runtime.TBool, false, "Show the reply in the channel as well."),
				split(),
			}, display()),
			runtime.Example{Star: `reply("looking into it")`, Want: `{"effect":"reply","args":{"text":"looking into it"}}`},
			runtime.Example{Star: `reply("")`, Fails: true, Want: "text, blocks or attachments"}),
		effect("post", "Post a message to a channel.", "", onceOnly, post,
			slices.Concat([]runtime.Param{declare.Arg("channel", runtime.TString, "Name with or without #, or id."), textParam}, content(), []runtime.Param{
				declare.Key("thread_ts", runtime.TString, nil, "Post in this thread."),
				declare.Key("reply_broadcast", runtime.TBool, false, "Show a reply in the channel as well."),
				split(),
			}, display()),
			runtime.Example{Star: `post("#ops", "deployed")`, Want: `{"effect":"post","args":{"channel":"#ops","text":"deployed"}}`},
			runtime.Example{
				Star: `post("#ops", blocks=[ui.divider()])`, Lua: `post("#ops", {blocks = {ui.divider()}})`,
				Want: `{"effect":"post","args":{"channel":"#ops","blocks":[{"type":"divider"}]}}`,
			},
			runtime.Example{Star: `post("#ops")`, Fails: true, Want: "text, blocks or attachments"},
			runtime.Example{
				Star: `post("#ops", blocks=[{"type": "header", "text": "Hi"}])`, Lua: `post("#ops", {blocks = {{type = "header", text = "Hi"}}})`,
				Fails: true, Want: "blocks[0].text",
			}),
		effect("dm", "Send a direct message to a person.", "Opens the conversation if there is none.", onceOnly, post,
			slices.Concat([]runtime.Param{declare.Arg("user", runtime.TString, "Id, e-mail address or @name."), textParam}, content(), []runtime.Param{
				declare.Key("thread_ts", runtime.TString, nil, "Post in this thread."),
				split(),
			}, display()),
			runtime.Example{Star: `dm("U1", "psst")`, Want: `{"effect":"dm","args":{"user":"U1","text":"psst"}}`}),
		effect("ephemeral", "Show a message to one person only.", "It is gone when the person reloads Slack.", "An ephemeral message in doubt after a crash is not repeated.", needContent,
			slices.Concat([]runtime.Param{textParam}, content(), []runtime.Param{
				declare.Key("user", runtime.TString, nil, "Who sees it; the user of the event if left out."),
				declare.Key("channel", runtime.TString, nil, "Where; the channel of the event if left out."),
				declare.Key("thread_ts", runtime.TString, nil, "In this thread."),
			}),
			runtime.Example{Star: `ephemeral("only you see this")`, Want: `{"effect":"ephemeral","args":{"text":"only you see this"}}`},
			runtime.Example{
				Star: `ephemeral("hi", user="U2", channel="C1")`, Lua: `ephemeral("hi", {user = "U2", channel = "C1"})`,
				Want: `{"effect":"ephemeral","args":{"text":"hi","user":"U2","channel":"C1"}}`,
			}),
	}
}

func changes() []*runtime.Builtin {
	const message = runtime.TString | runtime.TDict
	where := declare.Key("channel", runtime.TString, nil, "Where the message is; the channel of the event if left out.")
	const again = "Repeated after a crash: to do it twice changes nothing."
	return []*runtime.Builtin{
		effect("update", "Change a message that the bot posted.", "", again, update,
			slices.Concat([]runtime.Param{
				declare.Arg("ts", message, "`ts` of the message, or the result of the call that posted it."),
				textParam,
			}, content(), []runtime.Param{where}),
			runtime.Example{
				Star: `update("1700000000.000100", "done", channel="C1")`, Lua: `update("1700000000.000100", "done", {channel = "C1"})`,
				Want: `{"effect":"update","args":{"ts":"1700000000.000100","text":"done","channel":"C1"}}`,
			},
			runtime.Example{
				Star: `update({"ok": True, "ts": "1.2", "channel": "C1"}, "done")`, Lua: `update({ok = true, ts = "1.2", channel = "C1"}, "done")`,
				Want: `{"effect":"update","args":{"ts":"1.2","text":"done","channel":"C1"}}`,
			},
			runtime.Example{Star: `update("yesterday", "done")`, Fails: true, Want: "not the ts of a message"}),
		effect("delete", "Delete a message that the bot posted.", "", again, erase,
			[]runtime.Param{declare.Arg("ts", message, "`ts` of the message, or the result of the call that posted it."), where},
			runtime.Example{
				Star: `delete("1.2", channel="C1")`, Lua: `delete("1.2", {channel = "C1"})`,
				Want: `{"effect":"delete","args":{"ts":"1.2","channel":"C1"}}`,
			}),
		effect("react", "Put an emoji on a message.", "An emoji that is there already counts as done.", again, reaction, reactionParams(),
			runtime.Example{Star: `react("eyes")`, Want: `{"effect":"react","args":{"emoji":"eyes"}}`},
			runtime.Example{Star: `react(":+1::skin-tone-2:")`, Want: `{"effect":"react","args":{"emoji":"+1::skin-tone-2"}}`},
			runtime.Example{Star: `react("thumbs up")`, Fails: true, Want: "not the name of an emoji"}),
		effect("unreact", "Take the bot's emoji off a message.", "An emoji that is not there counts as done.", again, reaction, reactionParams(),
			runtime.Example{
				Star: `unreact("eyes", ts="1.2")`, Lua: `unreact("eyes", {ts = "1.2"})`,
				Want: `{"effect":"unreact","args":{"emoji":"eyes","ts":"1.2"}}`,
			}),
	}
}

func reactionParams() []runtime.Param {
	return []runtime.Param{
		declare.Arg("emoji", runtime.TString, "Name of the emoji, with or without colons."),
		declare.Key("channel", runtime.TString, nil, "Where the message is; the channel of the event if left out."),
		declare.Key("ts", runtime.TString|runtime.TDict, nil, "`ts` of the message or the result of the call that posted it; the message of the event if left out."),
	}
}

func views() []*runtime.Builtin {
	modal := `{"type":"modal","title":{"type":"plain_text","text":"Hi"},"blocks":[{"type":"divider"}]}`
	home := `{"type":"home","blocks":[{"type":"divider"}]}`
	return []*runtime.Builtin{
		effect("open_modal", "Open a modal for the user who caused the event.", "Slack allows it within three seconds of the event, once.",
			"A modal in doubt after a crash is not opened again.", view(ui.CheckModal),
			[]runtime.Param{
				declare.Arg("view", runtime.TDict, "The view; `ui.modal` builds it."),
				declare.Key("trigger_id", runtime.TString, nil, "The event's own if left out."),
			},
			runtime.Example{
				Star: `open_modal(ui.modal("Hi", [ui.divider()]))`, Lua: `open_modal(ui.modal("Hi", {ui.divider()}))`,
				Want: `{"effect":"open_modal","args":{"view":` + modal + `}}`,
			},
			runtime.Example{Star: `open_modal({"type": "home"})`, Lua: `open_modal({type = "home"})`, Fails: true, Want: "modal"}),
		effect("publish_home", "Show a view on the app's home of one person.", "", "Repeated after a crash: to do it twice changes nothing.", view(ui.CheckHome),
			[]runtime.Param{
				declare.Arg("view", runtime.TDict, "The view; `ui.home` builds it."),
				declare.Key("user", runtime.TString, nil, "Whose home; the user of the event if left out."),
			},
			runtime.Example{
				Star: `publish_home(ui.home([ui.divider()]), user="U1")`, Lua: `publish_home(ui.home({ui.divider()}), {user = "U1"})`,
				Want: `{"effect":"publish_home","args":{"view":` + home + `,"user":"U1"}}`,
			}),
	}
}
