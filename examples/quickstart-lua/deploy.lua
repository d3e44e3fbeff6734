-- A slash command that asks, and a button that answers.

local function ask(e)
  local app = e.args.app
  return {
    response_type = "in_channel",
    text = "Deploy " .. app .. "?",
    blocks = {
      ui.section(("Deploy *%s* to *%s*?"):format(text.escape(app), e.args.env)),
      ui.actions({
        ui.button("Yes", {action_id = "deploy_yes", value = app, style = "primary"}),
        ui.button("No", {action_id = "deploy_no", value = app}),
      }),
    },
  }
end

on.command("/deploy", ask, {args = "<app> [env=staging|prod]", help = "deploys an app"})

local function yes(e)
  local n = kv.incr("deploys")
  respond(("Deployed *%s*: deployment %d, approved by <@%s>."):format(text.escape(e.value), n, e.user), {replace = true})
end

on.action("deploy_yes", yes)

on.action("deploy_no", function(e)
  return respond("Not deploying " .. text.escape(e.value) .. ".", {replace = true})
end)
