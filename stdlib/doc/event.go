package doc

import (
	"fmt"
	"strings"
)

// Field is one field of the event that handlers are called with.
type Field struct {
	Name string `json:"name"`
	// Type is as in the types of parameters: "string", "list of strings", "dict".
	Type string `json:"type"`
	// Of tells which kinds of events have it; empty: all.
	Of  string `json:"of,omitempty"`
	Doc string `json:"doc"`
}

// EventFields returns what is documented of the event, in the order in which
// it is explained. An absent field is None, or nil in Lua.
func EventFields() []Field {
	const (
		msg  = "message, mention"
		talk = "message, mention, command"
		ui   = "action, view, view_closed, shortcut, options"
		hook = "webhook"
		str  = "string"
		strs = "list of strings"
	)
	return []Field{
		{"id", str, "", "Unique, and the same when Slack delivers the event again."},
		{"kind", str, "", "`message mention command action view view_closed shortcut options reaction home event webhook schedule`."},
		{"type", str, "", "Slack's own name, such as `app_mention` or `block_actions`."},
		{"team", str, "", "Id of the workspace."},
		{"enterprise", str, "", "Id of the organisation, if there is one."},
		{"app", str, "", "Id of the Slack app that received it."},
		{"bot", str, "", "Configured name of the bot that received it."},
		{"bot_user", str, "", "User id of that bot."},
		{"retry", "int", "", "How often Slack has delivered it before; 0 the first time."},
		{"retry_reason", str, "", "Why Slack delivered it again."},
		{"received", "float", "", "When it arrived, in seconds since 1970."},
		{"raw", "dict", "", "The whole payload as Slack sent it, unknown fields included; of a webhook its body."},

		{"user", str, "", "Id of who did it."},
		{"channel", str, "", "Id of the conversation where it happened."},
		{"ts", str, "", "The message's `ts`: its id within the channel."},
		{"thread_ts", str, "", "The `ts` of the message that began the thread."},
		{"event_ts", str, "", "Slack's time of the event."},
		{"subtype", str, msg, "Slack's subtype, such as `file_share`."},
		{"text", str, talk, "The text in Slack's markup; after a mention rule matched, still with the mention. Of a command: what follows it."},
		{"plain_text", str, talk, "The text as people see it, without markup."},
		{"match", "dict", "rules with a pattern", "What the rule's expression found: by number as text (`\"0\"` is all of it) and by name."},
		{"mentions", strs, talk, "Ids of the users that the text mentions."},
		{"channels", strs, talk, "Ids of the channels that the text links."},
		{"usergroups", strs, talk, "Ids of the user groups that the text mentions."},
		{"specials", strs, talk, "`here`, `channel`, `everyone`, if the text calls them."},
		{"links", strs, talk, "URLs in the text."},
		{"emails", strs, talk, "E-mail addresses in the text."},
		{"emoji", strs, talk, "Names of the emoji in the text."},
		{"directed", "bool", msg, "The message begins with the bot's mention, or is a direct message."},
		{"mentioned", "bool", msg, "The text mentions the bot anywhere."},
		{"edited", "bool", msg, "The message was changed: `text` is the new one."},
		{"files", "list of dicts", msg, "Files of the message, as Slack describes them."},
		{"blocks", "list of dicts", msg, "Block Kit blocks of the message."},
		{"message", "dict", msg + ", action, shortcut", "The message that the event is about, as Slack sends it."},

		{"command", str, "command", "The command with its slash."},
		{"args", "dict", "command", "What the rule's grammar of `args` made of the text."},

		{"action", "dict", "action, options", "The element that was used."},
		{"actions", "list of dicts", "action", "All elements of the payload."},
		{"value", str, "action", "The plain value of that element; a list of strings where several are chosen."},
		{"values", "dict", "action, view, view_closed", "The value of each input, by `action_id` (`block_id.action_id` where ids repeat)."},
		{"state", "dict", "action, view, view_closed", "The state of the inputs as Slack sends it."},
		{"view", "dict", "action, view, view_closed, options, home", "The view, as Slack sends it."},
		{"callback_id", str, ui, "What the view, shortcut or attachment is called."},
		{"trigger_id", str, "command, " + ui, "What `open_modal` needs within three seconds; filled in by itself."},
		{"response_url", str, "command, " + ui, "Where `respond` sends its answer."},
		{"options_query", str, "options", "What was typed into the select."},

		{"topic", str, "event (message.channel_topic)", "The topic that a conversation was given."},
		{"purpose", str, "event (message.channel_purpose)", "The purpose that a conversation was given."},
		{"presence", str, "event (presence_change)", "`active` or `away`: what `user` has become."},

		{"reaction", str, "reaction", "Name of the emoji, without colons."},
		{"removed", "bool", "reaction", "The reaction was taken away."},
		{"item", "dict", "reaction", "What was reacted to: `type`, `channel`, `ts`."},

		{"method", str, hook, "HTTP method."},
		{"path", str, hook, "Path of the URL."},
		{"params", "dict", hook, "The parts in braces of the rule's route."},
		{"query", "dict", hook, "Parameters of the URL; one that is there several times is a list."},
		{"headers", "dict", hook, "Header fields, by lower-case name; those that are there several times are joined by commas. One that holds the secret itself is `***`."},
		{"cookies", "dict", hook, "Cookies of the request, by name."},
		{"remote", str, hook, "Address of the client, behind trusted proxies."},
		{"body", str, hook, "The body as text."},
		{"body_bytes", "bytes", hook, "The body as it came."},
		{"json", "any", hook, "The body decoded, if it is JSON."},
		{"form", "any", hook, "The fields of a form, one that is there several times as a list; with `form_param` that parameter, decoded if it is JSON."},

		{"scheduled_at", "float", "schedule", "The time that was due, in seconds since 1970."},
	}
}

// fieldTable is the table of the fields in a topic.
func fieldTable() string {
	var b strings.Builder
	for _, f := range EventFields() {
		text := unmark(f.Doc)
		if f.Of != "" {
			text += " (" + f.Of + ")"
		}
		fmt.Fprintf(&b, "    %-14s %-16s %s\n", f.Name, f.Type, strings.TrimSpace(wrappedTo(text, strings.Repeat(" ", 36), 98)))
	}
	return b.String()
}
