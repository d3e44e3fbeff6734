-- Tests of deploy.lua.

test("yes deploys", function(t)
  local run = t.command("/deploy api env=prod", {channel = "#ops"})
  t.expect(run).answered("Deploy api?")
  run = t.click("Yes", {user = "@grace"})
  t.expect(run).replied("Deployed *api*: deployment 1, approved by <@U0GRACE>.", {replace_original = true})
end)

test("deployments are counted", function(t)
  t.kv.set("deploys", 41)
  t.command("/deploy api")
  t.expect(t.click("deploy_yes")).replied(t.like("*deployment 42*"))
end)

test("no does not", function(t)
  t.command("/deploy api")
  t.expect(t.click("No")).replied("Not deploying api.")
  assert.eq(t.kv.get("deploys", "none"), "none")
end)
