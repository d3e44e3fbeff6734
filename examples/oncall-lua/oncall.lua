-- An on-call rota: who is on call now, the hand-over every Monday, standing in
-- for each other.

-- In starling.yaml: rules_config: {oncall: {channel: "#ops", zone: "Europe/Berlin"}}
local channel = config.channel or "#ops"
local zone = config.zone or "Europe/Berlin"

-- The rota is one value, changed as one step: people in their order, whose turn
-- it is (counted from 0), and who stands in for them until the next hand-over.
local empty = {people = {}, turn = 0, stand_in = ""}

local function rota()
  return kv.get("rota", empty)
end

local function on_call(r)
  if r.stand_in ~= "" then
    return r.stand_in
  end
  if #r.people == 0 then
    return nil
  end
  return r.people[r.turn % #r.people + 1]
end

local function index(list, x)
  for i, v in ipairs(list) do
    if v == x then
      return i
    end
  end
end

-- What changes the rota is a pure function: kv.update calls it again when two
-- people change the rota at once, so that no change is lost.
local function next_turn(r)
  return {people = r.people, turn = (r.turn + 1) % math.max(1, #r.people), stand_in = ""}
end

local function joining(person)
  return function(r)
    if index(r.people, person) then
      return r
    end
    local people = {}
    for _, p in ipairs(r.people) do
      table.insert(people, p)
    end
    table.insert(people, person)
    return {people = people, turn = r.turn, stand_in = r.stand_in}
  end
end

local function leaving(person)
  return function(r)
    local at = index(r.people, person)
    if not at then
      return r
    end
    local people = {}
    for _, p in ipairs(r.people) do
      if p ~= person then
        table.insert(people, p)
      end
    end
    local turn = r.turn
    if at - 1 < turn then
      turn = turn - 1
    end
    return {people = people, turn = turn % math.max(1, #people), stand_in = r.stand_in}
  end
end

-- The hand-over is missed when no server runs on Monday morning: then it is made
-- up for at the next start, once. However many servers there are, one does it.
local function hand_over()
  local before = rota()
  if #before.people == 0 then
    return
  end
  local now = on_call(kv.update("rota", next_turn, {default = empty}))
  post(channel, ("<@%s> is on call this week. Thank you, <@%s>!"):format(now, on_call(before)))
  dm(now, "You are on call until next Monday. `/oncall-swap @somebody` finds somebody to stand in for you.")
end

on.schedule("0 9 * * MON", hand_over, {name = "hand_over", tz = zone, catch_up = "last", owner = "ops"})

local function who()
  local now = on_call(rota())
  if now then
    return "<@" .. now .. "> is on call."
  end
  return "Nobody is on the rota: `/oncall join` is a beginning."
end

local function listing()
  local r = rota()
  local n = #r.people
  if n == 0 then
    return "Nobody is on the rota."
  end
  local lines = {}
  for i = 0, n - 1 do
    local when = i == 0 and "this week" or i == 1 and "in 1 week" or ("in %d weeks"):format(i)
    local line = when .. ": <@" .. r.people[(r.turn + i) % n + 1] .. ">"
    if i == 0 and r.stand_in ~= "" then
      line = line .. ", <@" .. r.stand_in .. "> stands in"
    end
    table.insert(lines, line)
  end
  return table.concat(lines, "\n")
end

local function swap(e)
  local now, person = on_call(rota()), e.args.person
  if e.user ~= now then
    return now and "You are not on call, <@" .. now .. "> is." or who()
  end
  if person == e.user then
    return "That is you already."
  end
  local question = "<@" .. e.user .. "> asks you to be on call until Monday."
  dm(person, question, {blocks = {
    ui.section(question),
    ui.actions({
      ui.button("I will", {action_id = "oncall_take", value = e.user, style = "primary"}),
      ui.button("Sorry, no", {action_id = "oncall_refuse", value = e.user}),
    }),
  }})
  return "I have asked <@" .. person .. ">. Until they agree you are on call."
end

on.command("/oncall-swap", swap, {args = "<person:user>", help = "asks somebody to stand in for you"})

local function oncall(e)
  local what = e.args.what
  if what == "who" then
    return who()
  end
  if what == "join" then
    kv.update("rota", joining(e.user), {default = empty})
  end
  if what == "leave" then
    kv.update("rota", leaving(e.user), {default = empty})
  end
  return listing()
end

on.command("/oncall", oncall, {args = "[what=who|list|join|leave]", help = "tells who is on call; keeps the rota"})

-- Whoever was asked answers with a button. The one who asked may have been
-- relieved since: then there is nothing to take over.
local function take(e)
  local function change(r)
    if on_call(r) ~= e.value then
      return r
    end
    return {people = r.people, turn = r.turn, stand_in = e.user}
  end
  if on_call(kv.update("rota", change, {default = empty})) ~= e.user then
    respond("That is over: <@" .. e.value .. "> is not on call any more.", {replace = true})
    return
  end
  respond("You are on call until Monday.", {replace = true})
  post(channel, ("<@%s> stands in for <@%s> until Monday."):format(e.user, e.value))
end

local function refuse(e)
  respond("I have told them.", {replace = true})
  dm(e.value, "<@" .. e.user .. "> cannot stand in for you.")
end

on.action("oncall_take", take)
on.action("oncall_refuse", refuse)

-- Who is on call is asked for in talk, too.
on.mention("(?i)who.*on.?call", function() return who() end, {help = "tells who is on call"})
