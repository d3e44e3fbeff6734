package main

import (
	"path/filepath"
	"testing"
)

// Moving the clock of the local Slack brings what rules wait for: the engine of
// `starling dev` lives by it.
func TestRulesWaitByTheClockOfTheLocalSlack(t *testing.T) {
	slow(t)
	rules := t.TempDir()
	writeFile(t, filepath.Join(rules, "a.star"), `
def nap(e):
    reply("Good night.")
    sleep("8h")
    reply("Good morning.")

on.message("^sleep", nap)
on.schedule("every 24h", lambda e: post("#ops", "A day has passed."))
`)
	c := &conversation{t: t, slack: run(t, nil, "dev", "--page", freeAddress(t), "--listen", freeAddress(t), "--admin", freeAddress(t), rules)}
	c.slack.prints("Stop with Ctrl-C")
	c.url = localAddress.FindStringSubmatch(c.slack.out.String())[1]
	c.app = c.slack
	c.say("#general", "sleep well")
	c.hears("C0GENERAL", "Good night.")
	c.act("clock", map[string]any{"advance": "9h"})
	c.hears("C0GENERAL", "Good morning.")
	c.say("#general", "sleep again") // what is signed nine hours later is taken
	c.act("clock", map[string]any{"advance": "24h"})
	c.hears("C0OPS", "A day has passed.")
}
