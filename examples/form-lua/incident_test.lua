-- Tests of incident.lua: a form from start to end.

local function report(t, values)
  t.command("/incident", {channel = "#ops"})
  t.expect(t.click("Report it")).opened("incident")
  return t.submit({values = values})
end

test("reports to the channel", function(t)
  local run = report(t, {what = "The printer burns", severity = "major"})
  t.expect(run).called("chat.postMessage", {channel = "#ops", text = t.like("*Incident 1*, major: The printer burns*")})
end)

test("checks what was entered", function(t)
  local run = report(t, {what = "oh"})
  t.expect(run).answered({errors = {what = "Say it in a few words."}}).no_calls("chat.*")
end)

test("home lists what is open", function(t)
  report(t, {what = "The printer burns"})
  t.home()
  t.expect(t.click("Resolve")).called("views.publish")
  assert.eq(t.kv.get("open.1", "gone"), "gone")
end)
