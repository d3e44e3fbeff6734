-- Tickets.

-- Opens a ticket.
-- The title may have several words.
local function open(e)
  return "ticket: " .. e.args.title
end

on.mention("ticket", open, {args = "<title...>"})
on.message("(?i)ticket #[0-9]+", function(e) end, {help = "Links tickets.", name = "ticket #123"})
