-- Tests of reverse.lua: what Slack is answered, and what comes later.

test("answers at once and replies later", function(t)
  local run = t.command("/torrap sdrawkcab si siht", {user = "U1"})
  t.expect(run).done().called("response_url", {text = "this is backwards"})
  t.expect(run).no_calls("chat.*")
end)

test("keeps markup and letters whole", function(t)
  for given, wanted in pairs({
    ["hi <@U1>!"] = "!<@U1> ih",
    ["<#C1> and <#C2>"] = "<#C2> dna <#C1>",
    ["grüße 👋"] = "👋 eßürg",
  }) do
    t.expect(t.command("/torrap " .. given)).called("response_url", {text = wanted})
  end
end)

test("says how it is used", function(t)
  t.expect(t.command("/torrap")).answered(t.like("Usage*")).no_calls("response_url")
end)
