-- What omnibot's callbacks return, executed: actions and responses. The same as results.star, for callbacks in Lua.

local container = require("@starling//omnibot/container.lua")

local M = {}

-- Errors of the bot's own token that the user token may not meet.
local OTHER_TOKEN = {missing_scope = true, not_allowed_token_type = true, channel_not_found = true, not_in_channel = true}

local KINDS = {users = "users", channels = "channels", specials = "specials", subteams = "usergroups", usergroups = "usergroups"}

-- Takes omnibot_parse out of arguments: field to list of kinds. What nobody knows is left out.
function M.parse_of(kwargs)
  local wanted, out = kwargs.omnibot_parse, {}
  kwargs.omnibot_parse = nil
  if type(wanted) ~= "table" then
    return out
  end
  for field, kinds in pairs(wanted) do
    local known = {}
    for _, kind in ipairs(kinds or {}) do
      if KINDS[kind] then
        table.insert(known, KINDS[kind])
      else
        log.warn("omnibot_parse does not know " .. tostring(kind))
      end
    end
    if kwargs[field] ~= nil then
      out[field] = known
    else
      log.warn("omnibot_parse names " .. tostring(field) .. ", which is not there")
    end
  end
  return out
end

-- The thread that an answer to an event belongs to: none in direct messages.
function M.default_thread(e)
  if e.kind == "reaction" then
    return (e.item or {}).ts
  end
  if (e.channel or ""):sub(1, 1) == "D" then
    return e.thread_ts
  end
  return e.thread_ts or e.ts
end

-- chat.postMessage: to the source, in the thread, unless it says otherwise. Lua has no null in a table: thread_ts = false
-- is a message in the channel.
local function send(e, kwargs, parse)
  local source = e.channel or (e.item or {}).channel
  if not kwargs.channel or kwargs.channel == "" then
    kwargs.channel = source
  end
  if kwargs.thread_ts == nil then
    if kwargs.channel == source then
      kwargs.thread_ts = M.default_thread(e)
    end
  elseif not kwargs.thread_ts then
    kwargs.thread_ts = nil
  end
  return slack_action("chat.postMessage", kwargs, {parse = parse, fill = false})
end

-- Executes one action: a table with action, the method, and kwargs. With defaults a message goes to the source of the event.
function M.act(e, action, defaults)
  if type(action) ~= "table" or not action.action or action.action == "" then
    log.error("an action must be a table with action and kwargs", {got = type(action)})
    return nil
  end
  local method, kwargs = action.action, container.copy(action.kwargs)
  local parse = M.parse_of(kwargs)
  for _, name in ipairs({"timeout", "token"}) do
    if kwargs[name] ~= nil then
      kwargs[name] = nil
      log.warn("the argument " .. name .. " of an action is not used", {method = method})
    end
  end
  local result
  if method == "chat.postMessage" and defaults then
    result = send(e, kwargs, parse)
  else
    result = slack_action(method, kwargs, {parse = parse})
    if not result.ok and OTHER_TOKEN[result.error] and method ~= "chat.postMessage" then
      local other = slack_action(method, kwargs, {parse = parse, as_user = true})
      if other.ok then
        result = other
      end
    end
  end
  if not result.ok then
    log.error("an action failed", {method = method, error = result.error})
  end
  return result
end

-- Sends one response to the response_url of the event, as it is.
function M.answer(response)
  if type(response) ~= "table" then
    log.error("a response must be a table", {got = type(response)})
    return nil
  end
  local message = container.copy(response)
  for field, kinds in pairs(M.parse_of(message)) do
    message[field] = write_markup(message[field], kinds)
  end
  local result = respond({message = message})
  if not result.ok then
    log.error("a response failed", {error = result.error})
  end
  return result
end

-- Executes what a callback returned: responses first, if this kind of event takes them, then actions, in order. One that
-- fails keeps none of the others from being executed.
function M.perform(e, result, responses, defaults)
  if type(result) ~= "table" then
    fail("a callback must return a table, this one returned " .. type(result))
  end
  local function each(list, f)
    for _, part in ipairs(list or {}) do
      local _, err = catch(function() return f(part) end)
      if err then
        log.error("part of a callback's result cannot be executed", {error = err})
      end
    end
  end
  if responses then
    each(result.responses, M.answer)
  end
  each(result.actions, function(action) return M.act(e, action, defaults) end)
end

return M
