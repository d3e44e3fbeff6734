-- Three rules to try in the local Slack. Save a change and it is live at once.

-- Anybody who writes "hello" in a channel is greeted.
local function greet(e)
  return "Hello <@" .. e.user .. ">! Try `/deploy api`, or mention me with `help`."
end

on.message("(?i)^hello", greet, {help = "says hello"})

-- Direct messages, and messages that begin with a mention of the bot.
local function help()
  return "I know `hello`, `/deploy <app>`, and I thank you for every :tada:."
end

on.mention("(?i)help", help, {help = "lists what I know"})

-- A reaction is answered in the thread of its message.
on.reaction("tada", function(e)
  return reply("Thank you, <@" .. e.user .. ">!")
end)
