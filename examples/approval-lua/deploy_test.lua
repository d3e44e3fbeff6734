-- Tests of deploy.lua.

local ci = "https://ci.example"

local function asked(t)
  t.config({ci = ci})
  t.http.stub("POST", ci .. "/*", {json = {green = true}, may = true})
  local run = t.mention("deploy api to prod", {user = "U1", channel = "#ops"})
  t.expect(run).waiting("Deploy *api* to *prod*?")
  return run
end

test("second person must approve", function(t)
  local run = asked(t)
  t.click("Yes", {user = "U2"})
  t.expect(run).called("chat.postMessage", {channel = "#deploys", text = t.like("api*")})
  t.expect(run).replied("Done: *api* is on prod.").done()
  assert.eq(#t.http.requests(), 1)
end)

test("staging needs nobody", function(t)
  local run = t.mention("deploy api", {channel = "#ops"})
  t.expect(run).called("chat.postMessage", {channel = "#deploys", text = "api is on staging (<@U0ADA>)"}).done()
end)

test("one's own yes does not count", function(t)
  local run = asked(t)
  t.click("Yes", {user = "U1"})
  t.expect(run).replied(t.like("<@U1>, somebody else has to say yes*")).waiting("Deploy *api* to *prod*?")
  t.click("Yes", {user = "U2"})
  t.expect(run).done().called("chat.postMessage", {channel = "#deploys", times = 1})
end)

test("somebody says no", function(t)
  local run = asked(t)
  t.click("No", {user = "U2"})
  t.expect(run).replied("<@U2> said no to *api*.").done()
end)

test("nobody answers", function(t)
  local run = asked(t)
  t.advance("1h59m")
  t.expect(run).waiting()
  t.advance("1m")
  t.expect(run).replied(t.like("Nobody said yes to *api* within 2h.*")).done()
end)

test("only approvers may answer", function(t)
  t.config({approvers = {"U7", "U8"}})
  local run = t.mention("deploy api to prod", {user = "U1", channel = "#ops"})
  t.expect(t.click("Yes", {user = "U2"})).replied(t.like("This question is for <@U7>*"))
  t.expect(run).waiting()
  t.click("Yes", {user = "U7"})
  t.expect(run).done().called("chat.postMessage", {channel = "#deploys", text = t.like("*approved by <@U7>)")})
end)

test("goes on after a restart", function(t)
  local run = asked(t)
  t.restart()
  t.click("Yes", {user = "U2"})
  t.expect(run).done().called("chat.postMessage", {channel = "#deploys", times = 1})
end)

test("asks once although the server ends", function(t)
  t.restart({during = "chat.postMessage"})
  local run = asked(t)
  t.expect(run).called("chat.postMessage", {channel = "#ops", times = 1})
  t.click("Yes", {user = "U2"})
  t.expect(run).done()
end)

test("an edit does not touch what waits", function(t)
  local run = asked(t)
  t.edit("deploy.lua", {replace = {["is on %s (%s)"] = "has gone to %s (%s)"}})
  local late = t.mention("deploy web to prod", {user = "U1", channel = "#random"})
  t.restart()
  t.click("Yes", {user = "U2"}) -- the question that was asked last
  t.expect(late).called("chat.postMessage", {channel = "#deploys", text = t.like("web has gone to prod*")})
  t.click("Yes", {user = "U2"})
  t.expect(run).called("chat.postMessage", {channel = "#deploys", text = t.like("api is on prod*")})
end)
