-- Tests of oncall.lua. Every test begins on Monday, 5 January 2026, at 09:00 UTC,
-- which is an hour after the hand-over in Berlin.

local function rota(t, people)
  for _, p in ipairs(people) do
    t.command("/oncall join", {user = p})
  end
end

test("hands over every Monday", function(t)
  rota(t, {"@ada", "@grace"})
  t.expect(t.command("/oncall")).answered("<@U0ADA> is on call.")
  t.expect(t.tick("hand_over")).called("chat.postMessage", {channel = "#ops", text = "<@U0GRACE> is on call this week. Thank you, <@U0ADA>!"})
  t.expect(t.command("/oncall")).answered("<@U0GRACE> is on call.")
  t.expect(t.advance("7d")).called("chat.postMessage", {channel = "#ops", text = t.like("<@U0ADA> is on call this week.*")})
end)

test("hands over at nine on the wall", function(t)
  rota(t, {"@ada", "@grace"})
  t.advance({to = "2026-03-30T06:59:59Z"})
  t.expect(t.advance("1s")).called("chat.postMessage", {channel = "#ops"})
end)

test("lists the weeks to come", function(t)
  t.expect(t.command("/oncall list")).answered("Nobody is on the rota.")
  rota(t, {"@ada", "@grace", "@ada"})
  t.expect(t.command("/oncall list")).answered("this week: <@U0ADA>\nin 1 week: <@U0GRACE>")
  t.expect(t.command("/oncall leave")).answered("this week: <@U0GRACE>")
end)

test("somebody stands in", function(t)
  rota(t, {"@ada", "@grace"})
  t.expect(t.command("/oncall-swap <@U0GRACE>")).answered(t.like("I have asked <@U0GRACE>*"))
  t.expect(t.click("I will", {user = "@grace"})).called("chat.postMessage", {channel = "#ops", text = "<@U0GRACE> stands in for <@U0ADA> until Monday."})
  t.expect(t.command("/oncall list")).answered("this week: <@U0ADA>, <@U0GRACE> stands in\nin 1 week: <@U0GRACE>")
end)

test("a late yes changes nothing", function(t)
  rota(t, {"@ada", "@grace", "@linus"})
  t.command("/oncall-swap <@U0LINUS>")
  t.tick("hand_over")
  t.expect(t.click("I will", {user = "@linus"})).no_calls("chat.*")
  t.expect(t.command("/oncall")).answered("<@U0GRACE> is on call.")
end)

test("nobody has to stand in", function(t)
  rota(t, {"@ada", "@grace"})
  t.command("/oncall-swap <@U0GRACE>")
  t.expect(t.click("Sorry, no", {user = "@grace"})).called("chat.postMessage", {text = "<@U0GRACE> cannot stand in for you."})
end)
