-- A slash command that turns text around, and takes its time: Slack is answered
-- at once, the result comes later through the command's response_url.

-- A text is turned around letter by letter, not byte by byte: a letter is a
-- byte below 128, or one above 191 with those between that follow it.
local function backwards(s)
  local out = {}
  for letter in s:gmatch("[%z\1-\127\192-\255][\128-\191]*") do
    table.insert(out, 1, letter)
  end
  return table.concat(out)
end

-- Mentions, channels and links are markup between < and >: they are kept whole,
-- so that <@U1> does not become >1U@<.
local function reverse(s)
  local out, at = {}, 1
  while true do
    local from, to = s:find("<[^<>]+>", at)
    if not from then break end
    table.insert(out, 1, backwards(s:sub(at, from - 1)))
    table.insert(out, 1, s:sub(from, to))
    at = to + 1
  end
  table.insert(out, 1, backwards(s:sub(at)))
  return table.concat(out)
end

local function nothing(e) return e.text:match("^%s*$") end

-- This rule answers: nothing, unless there is nothing to do. Slack waits three
-- seconds at most, and this takes none.
on.command("/torrap", function(e)
  if nothing(e) then return "Usage: `/torrap sdrawkcab si siht`" end
end, {name = "torrap", help = "turns text around"})

-- This one works beside it, for as long as it takes: answers = false says that
-- nobody waits for it. A crash in the middle of the work loses nothing.
on.command("/torrap", function(e)
  if not nothing(e) then respond(reverse(e.text)) end
end, {name = "work", answers = false})
