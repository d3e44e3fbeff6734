-- A deploy to prod that a second person approves, in one function from top to
-- bottom: it asks, waits as long as it takes, and goes on where it was, also after
-- a restart or an edit of this file.

-- In starling.yaml: rules_config: {deploy: {channel: "#deploys", approvers: ["@oncall"], patience: "2h", ci: "https://ci.example.com"}}
local channel = config.channel or "#deploys"
local approvers = config.approvers
local patience = config.patience or "2h"
local ci = config.ci

local choices = {{text = "Yes", style = "primary"}, {text = "No", style = "danger"}}

-- The answer of somebody else than whoever asks, who may well be one of those who
-- approve; nil if there is none in time.
local function second_person(e, question)
  for _ = 1, 5 do
    local answer = ask(question, choices, {who = approvers, timeout = patience})
    if not answer or answer.choice == "No" or answer.user ~= e.user then
      return answer
    end
    reply(("<@%s>, somebody else has to say yes to what you ask for."):format(e.user))
  end
end

local function deploy(e)
  local app, env = e.match.app, e.match.env or "staging"
  local by = "<@" .. e.user .. ">"
  if env == "prod" then
    local answer = second_person(e, ("Deploy *%s* to *%s*?"):format(app, env))
    if not answer then
      return ("Nobody said yes to *%s* within %s. Ask again when somebody is there."):format(app, patience)
    end
    if answer.choice == "No" then
      return ("<@%s> said no to *%s*."):format(answer.user, app)
    end
    by = by .. ", approved by <@" .. answer.user .. ">"
  end

  -- Whatever happens to this server meanwhile, CI is asked once.
  if ci then
    local r = http_post(ci .. "/deploy/" .. app, {json = {env = env}})
    if not r.ok then
      return ("CI did not take *%s*: %s."):format(app, r.error or "it answered " .. r.status)
    end
    if not r.json.green then
      return ("CI is red: *%s* stays as it is."):format(app)
    end
  end
  post(channel, ("%s is on %s (%s)"):format(app, env, by))
  return ("Done: *%s* is on %s."):format(app, env)
end

on.mention([[^deploy (?P<app>[\w-]+)(?: to (?P<env>staging|prod))?]], deploy, {help = "deploys; to prod when a second person agrees"})
