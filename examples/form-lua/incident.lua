-- A form from start to end: a button opens it, what was entered is checked,
-- the result is posted, and the app's home shows what is open.

local severities = {"minor", "major", "critical"}

-- /incident shows a button. A button's event can open a modal; it has to within
-- three seconds, so nothing slow comes before open_modal.
local function offer()
  return {
    text = "Report an incident",
    blocks = {
      ui.section("Something is broken?"),
      ui.actions({ui.button("Report it", {action_id = "incident_report", style = "danger"})}),
    },
  }
end

on.command("/incident", offer, {help = "reports an incident"})

-- The channel travels with the form: a submission comes from no channel.
local function form(channel)
  return ui.modal("Report an incident", {
    ui.input("What is broken?", ui.text_input("what", {max_length = 150, focus = true})),
    ui.input("How bad is it?", ui.select("severity", severities, {initial = "minor"})),
    ui.input("Who is on it?", ui.select("lead", {type = "users"}), {optional = true}),
    ui.input("What do you know?", ui.text_input("details", {multiline = true}), {optional = true}),
  }, {submit = "Report", callback_id = "incident", private_metadata = channel})
end

on.action("incident_report", function(e)
  return open_modal(form(e.channel))
end)

-- What on.view returns is the answer to the form: errors keep it open, and
-- nothing closes it.
local function problems(v)
  local errors = {}
  if #v.what:match("^%s*(.-)%s*$") < 5 then
    errors.what = "Say it in a few words."
  end
  if v.severity == "critical" and not v.lead then
    errors.lead = "A critical incident needs somebody who is on it."
  end
  return errors
end

local function submit(e)
  local v = e.values
  local errors = problems(v)
  if next(errors) then
    return ui.errors(errors)
  end
  local number = kv.incr("count")
  kv.set("open." .. number, {what = v.what, severity = v.severity, lead = v.lead, by = e.user})
  local lines = {("*Incident %d*, %s: %s"):format(number, v.severity, text.escape(v.what))}
  if v.details then
    table.insert(lines, text.quote(text.escape(v.details)))
  end
  local lead = v.lead and ", <@" .. v.lead .. "> is on it" or ""
  table.insert(lines, "Reported by <@" .. e.user .. ">" .. lead .. ".")
  post(e.view.private_metadata, table.concat(lines, "\n"))
end

on.view("incident", submit)

-- The app's home lists what is open. Each kv.get is an effect whose result is
-- looked at, so the run is suspended until it is there; no worker waits.
local function home()
  local blocks = {ui.header("Open incidents")}
  for _, key in ipairs(kv.list("open.")) do
    local i = kv.get(key)
    table.insert(blocks, ui.section(
      ("*%s* %s: %s"):format(key:gsub("^open%.", ""), i.severity, text.escape(i.what)),
      {accessory = ui.button("Resolve", {action_id = "incident_resolve", value = key})}
    ))
  end
  if #blocks == 1 then
    table.insert(blocks, ui.section("None. Enjoy your day."))
  end
  return ui.home(blocks)
end

on.home(function()
  return publish_home(home())
end)

local function resolve(e)
  kv.delete(e.value)
  publish_home(home())
end

on.action("incident_resolve", resolve)
