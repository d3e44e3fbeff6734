-- Payload containers: what omnibot's callbacks are given of an event, for callbacks in Lua.
--
-- The same as container.star: a container has payload, a table of plain data; bot, team, event_trace and event; and each
-- field of the payload as an attribute too, except that bot and team are the objects. What is null in the payload is nil
-- here, so that it is not in the payload either.

local M = {}

-- The bot that an event is for: name, bot_id, team and message_handlers.
function M.bot_of(e, setup)
  local known = setup.teams[e.team or ""] or {}
  local team = {name = known.name or e.team, team_id = e.team}
  local pair = tostring(e.team) .. "/" .. tostring(e.app)
  local own = {}
  for _, h in ipairs(setup.message_handlers) do
    for _, bot in ipairs(h.bots) do
      if bot == pair then
        table.insert(own, h)
      end
    end
  end
  return {name = (known.bots or {})[e.app or ""] or e.bot or e.app, bot_id = e.app, team = team, message_handlers = own}
end

-- A table of one's own with the fields of another one, or of something that is read like one.
function M.copy(fields)
  local out = {}
  for k, v in pairs(fields or {}) do
    out[k] = v
  end
  return out
end

-- The object that a look-up found; an empty table if it found none.
local function found(result)
  if not result.ok then
    return {}
  end
  local out = M.copy(result)
  out.ok = nil
  return out
end

-- Slack's user object; empty for somebody unknown, nil for nobody.
local function person(id)
  if id and id ~= "" then
    return found(user(id))
  end
end

-- Slack's conversation object; empty for an unknown one.
local function place(id)
  if id and id ~= "" then
    return found(channel(id))
  end
  return {}
end

-- The fields of a payload that tell what is in a text, by omnibot's names.
local function parsed(text)
  local read = read_markup(text or "")
  return {
    parsed_text = read.text, users = read.users, channels = read.channels, subteams = read.usergroups,
    specials = read.specials, emojis = read.emoji, emails = read.emails, urls = read.urls,
  }
end

-- What Slack sent: the inner event, or the payload of a command or interaction.
local function inner(e)
  if type(e.raw) ~= "table" then
    return {}
  end
  return e.raw.event or e.raw
end

local function contain(e, setup, kind, payload, trace)
  local bot = M.bot_of(e, setup)
  local whole, container = M.copy(payload), M.copy(payload)
  whole.omnibot_payload_type = kind
  whole.bot = {name = bot.name, bot_id = bot.bot_id}
  whole.team = {name = bot.team.name, team_id = bot.team.team_id}
  trace.bot, trace.bot_id, trace.team, trace.team_id = bot.name, bot.bot_id, bot.team.name, bot.team.team_id
  container.payload, container.bot, container.team, container.event = whole, bot, bot.team, inner(e)
  container.omnibot_payload_type, container.event_trace = kind, trace
  return container
end

-- What omnibot did not pass on, by kind.
local MORE = {
  message = {"files", "blocks", "attachments", "edited", "client_msg_id", "channel_type", "source_team"},
  delivery = {"event_id", "event_time"},
  slash_command = {"user_name", "channel_name", "team_domain", "is_enterprise_install", "api_app_id"},
  interactive_component = {"response_urls", "container", "enterprise", "is_enterprise_install", "hash", "api_app_id"},
}

local function more(payload, raw, kind)
  for _, name in ipairs(MORE[kind]) do
    if raw[name] ~= nil then
      payload[name] = raw[name]
    end
  end
end

-- The container of a message: handler is the one that matched, or {} for the help.
function M.message(e, setup, handler)
  local match, payload = e.match or {}, parsed(e.text)
  payload.event_type, payload.user, payload.parsed_user = e.type, e.user, person(e.user)
  payload.ts, payload.thread_ts, payload.parent_user_id = e.ts, e.thread_ts, inner(e).parent_user_id
  payload.text, payload.channel_id, payload.channel = e.text, e.channel, place(e.channel)
  payload.directed, payload.mentioned = e.directed, e.mentioned
  payload.command_text = match.command_text or payload.parsed_text
  more(payload, inner(e), "message")
  if type(e.raw) == "table" then
    more(payload, e.raw, "delivery")
  end
  payload.match_type = handler.match_type
  if handler.match_type == "command" then
    payload.command, payload.args = handler.match, match.args or ""
  elseif handler.match_type == "regex" then
    payload.regex = handler.match
  end
  return contain(e, setup, "message", payload, {event_ts = e.event_ts, event_type = e.type, channel_id = e.channel})
end

-- The container of a reaction.
function M.reaction(e, setup, handler)
  local item = e.item or {}
  return contain(e, setup, "reaction", {
    event_type = e.type, user = e.user, parsed_user = person(e.user), ts = e.event_ts, emoji_name = e.reaction,
    item_type = item.type, item_channel = item.channel, item_ts = item.ts, item_user = inner(e).item_user,
    channel_id = item.channel, match_type = "reaction", reaction = handler.match, args = e.reaction,
  }, {event_ts = e.event_ts, event_type = e.type, channel_id = item.channel})
end

-- The container of a slash command.
function M.slash(e, setup)
  local raw, payload = inner(e), parsed(e.text)
  payload.enterprise_id, payload.enterprise_name = raw.enterprise_id, raw.enterprise_name
  payload.command, payload.response_url, payload.trigger_id = e.command, e.response_url, e.trigger_id
  payload.user_id, payload.parsed_user, payload.text = e.user, person(e.user), e.text
  payload.channel_id, payload.channel = e.channel, place(e.channel)
  more(payload, raw, "slash_command")
  return contain(e, setup, "slash_command", payload, {trigger_id = e.trigger_id, command = e.command, channel_id = e.channel})
end

-- The id by which omnibot's handlers of interactive components go.
function M.callback_id(e)
  if e.type ~= "block_actions" then
    return e.callback_id
  end
  local first = (inner(e).actions or {})[1]
  return first and first.block_id
end

local FIELDS = {
  "action_ts", "message_ts", "trigger_id", "response_url", "original_message", "view", "state", "user", "channel", "submission", "actions",
}

-- The container of an interactive component.
function M.interactive(e, setup)
  local raw, payload = inner(e), {}
  for _, name in ipairs(FIELDS) do
    payload[name] = raw[name]
  end
  if raw.message then
    local message = M.copy(raw.message)
    for k, v in pairs(parsed(message.text)) do
      message[k] = v
    end
    message.parsed_user = person(message.user)
    payload.message = message
  end
  payload.type, payload.callback_id = e.type, M.callback_id(e)
  payload.parsed_user, payload.parsed_channel = person(e.user), place(e.channel)
  more(payload, raw, "interactive_component")
  return contain(e, setup, "interactive_component", payload,
    {callback_id = payload.callback_id, component_type = e.type, channel_id = e.channel})
end

return M
