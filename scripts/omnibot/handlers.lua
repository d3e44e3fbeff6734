-- Runs the callbacks of omnibot's handlers that are in Lua. The same as handlers.star; what answers Slack without a
-- callback is there.

local container = require("@starling//omnibot/container.lua")
local results = require("@starling//omnibot/results.lua")

local M = {}

-- Calls each callback with the container and its kwargs, and hands over its result. One failure stops none of the others; it
-- fails the run in the end.
local function run(made, callbacks, use)
  local failed
  for _, callback in ipairs(callbacks) do
    local fn, kwargs, name = callback[1], callback[2], callback[3]
    local _, err = catch(function() return use(fn(made, container.copy(kwargs))) end)
    if err then
      local facts = container.copy(made.event_trace)
      facts.callback, facts.error = name, err
      log.error("callback failed", facts)
      failed = failed or ("callback " .. name .. ": " .. err)
    end
  end
  if failed then
    fail(failed)
  end
end

-- Asks Slack whether the bot has written what a reaction is on, for a reaction that does not say.
local function ours(item, e)
  local m = find_message(item.channel, item.ts)
  if not m.ok then
    return false
  end
  if m.app_id == e.app or e.bot_user and m.user == e.bot_user then
    return true
  end
  return m.bot_id ~= nil and bot_info(m.bot_id).app_id == e.app
end

-- Runs a message handler: of a command, a regex or a reaction.
function M.message(e, setup, handler, callbacks)
  local reaction = e.kind == "reaction"
  if reaction and not e.raw.event.item_user and not ours(e.item, e) then
    return
  end
  local make = reaction and container.reaction or container.message
  run(make(e, setup, handler), callbacks, function(result) results.perform(e, result, false, true) end)
end

-- Runs what answers a message that is directed at the bot and matches no handler.
function M.help(e, setup, callbacks)
  run(container.message(e, setup, {}), callbacks, function(result) results.perform(e, result, false, true) end)
end

-- Whether a reaction may be on a message that this bot has written: Slack does not always say whose it is.
function M.mine(e)
  if (e.item or {}).type ~= "message" or e.user == "USLACKBOT" then
    return false
  end
  local author = e.raw.event.item_user
  return not author or author == e.bot_user
end

-- Whether an action is of an attachment or a dialog.
function M.legacy(e)
  return e.type ~= "block_actions"
end

-- Whether an action is of a block. Actions of attachments have the callback_id where others have the block_id.
function M.modern(e)
  return e.type == "block_actions"
end

-- Runs the callbacks of a slash command.
function M.slash(e, setup, callbacks)
  run(container.slash(e, setup), callbacks, function(result) results.perform(e, result, true, false) end)
end

-- Runs the callbacks of an interactive component.
function M.interact(e, setup, callbacks)
  run(container.interactive(e, setup), callbacks, function(result) results.perform(e, result, true, true) end)
end

-- Answers an interactive component with what its synchronous callback returns, word for word.
function M.synchronous(e, setup, callback)
  local result = callback[1](container.interactive(e, setup), container.copy(callback[2]))
  if not result or e.type == "block_actions" or e.kind == "shortcut" then
    return nil
  end
  if type(result) == "string" then
    return http_reply({body = result})
  end
  if next(result) == nil then
    return nil
  end
  return http_reply({json = result})
end

return M
