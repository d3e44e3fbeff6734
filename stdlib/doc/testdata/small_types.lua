---@meta starling

-- Declarations of Starling's built-ins, for editors. Made by `starling types`:
-- nothing here runs, and changes are lost.

---The event that handlers are called with.
---@class starling.Event
---@field id string Unique, and the same when Slack delivers the event again.
---@field kind string `message mention command action view view_closed shortcut options reaction home event webhook schedule`.
---@field type string Slack's own name, such as `app_mention` or `block_actions`.
---@field team string Id of the workspace.
---@field enterprise string Id of the organisation, if there is one.
---@field app string Id of the Slack app that received it.
---@field bot string Configured name of the bot that received it.
---@field bot_user string User id of that bot.
---@field retry integer How often Slack has delivered it before; 0 the first time.
---@field retry_reason string Why Slack delivered it again.
---@field received number When it arrived, in seconds since 1970.
---@field raw table<string, any> The whole payload as Slack sent it, unknown fields included; of a webhook its body.
---@field user string Id of who did it.
---@field channel string Id of the conversation where it happened.
---@field ts string The message's `ts`: its id within the channel.
---@field thread_ts string The `ts` of the message that began the thread.
---@field event_ts string Slack's time of the event.
---@field subtype string? Slack's subtype, such as `file_share`. Of: message, mention.
---@field text string? The text in Slack's markup; after a mention rule matched, still with the mention. Of a command: what follows it. Of: message, mention, command.
---@field plain_text string? The text as people see it, without markup. Of: message, mention, command.
---@field match table<string, any>? What the rule's expression found: by number as text (`"0"` is all of it) and by name. Of: rules with a pattern.
---@field mentions string[]? Ids of the users that the text mentions. Of: message, mention, command.
---@field channels string[]? Ids of the channels that the text links. Of: message, mention, command.
---@field usergroups string[]? Ids of the user groups that the text mentions. Of: message, mention, command.
---@field specials string[]? `here`, `channel`, `everyone`, if the text calls them. Of: message, mention, command.
---@field links string[]? URLs in the text. Of: message, mention, command.
---@field emails string[]? E-mail addresses in the text. Of: message, mention, command.
---@field emoji string[]? Names of the emoji in the text. Of: message, mention, command.
---@field directed boolean? The message begins with the bot's mention, or is a direct message. Of: message, mention.
---@field mentioned boolean? The text mentions the bot anywhere. Of: message, mention.
---@field edited boolean? The message was changed: `text` is the new one. Of: message, mention.
---@field files table<string, any>[]? Files of the message, as Slack describes them. Of: message, mention.
---@field blocks table<string, any>[]? Block Kit blocks of the message. Of: message, mention.
---@field message table<string, any>? The message that the event is about, as Slack sends it. Of: message, mention, action, shortcut.
---@field command string? The command with its slash. Of: command.
---@field args table<string, any>? What the rule's grammar of `args` made of the text. Of: command.
---@field action table<string, any>? The element that was used. Of: action, options.
---@field actions table<string, any>[]? All elements of the payload. Of: action.
---@field value string? The plain value of that element; a list of strings where several are chosen. Of: action.
---@field values table<string, any>? The value of each input, by `action_id` (`block_id.action_id` where ids repeat). Of: action, view, view_closed.
---@field state table<string, any>? The state of the inputs as Slack sends it. Of: action, view, view_closed.
---@field view table<string, any>? The view, as Slack sends it. Of: action, view, view_closed, options, home.
---@field callback_id string? What the view, shortcut or attachment is called. Of: action, view, view_closed, shortcut, options.
---@field trigger_id string? What `open_modal` needs within three seconds; filled in by itself. Of: command, action, view, view_closed, shortcut, options.
---@field response_url string? Where `respond` sends its answer. Of: command, action, view, view_closed, shortcut, options.
---@field options_query string? What was typed into the select. Of: options.
---@field topic string? The topic that a conversation was given. Of: event (message.channel_topic).
---@field purpose string? The purpose that a conversation was given. Of: event (message.channel_purpose).
---@field presence string? `active` or `away`: what `user` has become. Of: event (presence_change).
---@field reaction string? Name of the emoji, without colons. Of: reaction.
---@field removed boolean? The reaction was taken away. Of: reaction.
---@field item table<string, any>? What was reacted to: `type`, `channel`, `ts`. Of: reaction.
---@field method string? HTTP method. Of: webhook.
---@field path string? Path of the URL. Of: webhook.
---@field params table<string, any>? The parts in braces of the rule's route. Of: webhook.
---@field query table<string, any>? Parameters of the URL; one that is there several times is a list. Of: webhook.
---@field headers table<string, any>? Header fields, by lower-case name; those that are there several times are joined by commas. One that holds the secret itself is `***`. Of: webhook.
---@field cookies table<string, any>? Cookies of the request, by name. Of: webhook.
---@field remote string? Address of the client, behind trusted proxies. Of: webhook.
---@field body string? The body as text. Of: webhook.
---@field body_bytes string? The body as it came. Of: webhook.
---@field json any The body decoded, if it is JSON. Of: webhook.
---@field form any The fields of a form, one that is there several times as a list; with `form_param` that parameter, decoded if it is JSON. Of: webhook.
---@field scheduled_at number? The time that was due, in seconds since 1970. Of: schedule.

---A secret of the configuration: it prints as ***.
---@class starling.Secret
---@operator concat(any): starling.Secret

---A regular expression that `re.compile` has made.
---@class starling.Regexp

---@class starling.Result
---@field ok boolean
---@field error string?
---@field [string] any

---@class starling.post.options
---@field text? string What.
---@field blocks? any[] Blocks, a|b.
---@field style? "plain"|"bold" How. Default "plain".
---@field urgent? boolean Loudly. Default false.

---Post a message.
---
---Names and ids are taken; `#` may be left out.
---
---```lua
---post("#a", {blocks = {}})
---```
---@param channel string Where to.
---@param text? string What.
---@param options? starling.post.options
---@overload fun(channel: string, options: starling.post.options): starling.Result
---@return starling.Result
function post(channel, text, options) end

---@class starling.module.set
set = {}

---The empty set.
---@type any[]
set.empty = nil

---@class starling.set.union.options
---@field [string] any Named sets.

---Join sets.
---@param ... any[] The sets.
---@return any[]
function set.union(...) end
