-- Tests of hello.lua: starling test examples/quickstart-lua

test("greets whoever says hello", function(t)
  local run = t.message("Hello, anybody here?", {user = "@grace", channel = "#ops"})
  t.expect(run).replied(t.like("Hello <@U0GRACE>!*"))
end)

test("is silent otherwise", function(t)
  t.expect(t.message("well, hello")).ignored().no_calls()
end)

test("helps when asked", function(t)
  t.expect(t.mention("help")).replied(t.like("I know *"), {times = 1})
  t.expect(t.message("help", {im = true})).replied(t.like("I know *"))
  t.expect(t.message("help")).ignored()
end)

test("thanks in the thread", function(t)
  local said = t.message("we did it")
  t.expect(t.react("tada", said, {user = "@linus"})).replied("Thank you, <@U0LINUS>!", {thread_ts = said.ts})
end)
