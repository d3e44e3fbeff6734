package rules

import (
	"fmt"

	"github.com/starling-rules/starling/engine/event"
)

// Bounds of what the registrations of one script may make the server compute,
// at every event and at every load.
const (
	// MaxInstructions bounds the instructions of all its patterns.
	MaxInstructions = 200_000
	// MaxList bounds the entries of one list of channels, users or hosts,
	// MaxTeams those of teams and bots, which answering rules are compared by,
	// MaxGroups those of user groups, whose members Slack is asked for,
	// MaxListed those of all its rules, MaxGlobs those with a wildcard.
	MaxList   = 1000
	MaxTeams  = 100
	MaxGroups = 50
	MaxListed = 20_000
	MaxGlobs  = 500
	// MaxEntry bounds an entry of a list, in bytes.
	MaxEntry = 256
	// MaxHooks and MaxSchedules bound its rules of these kinds, MaxSame those
	// that answer the same for different teams or bots.
	MaxHooks     = 500
	MaxSchedules = 200
	MaxSame      = 100
	// MaxYears bounds its schedules that name years: they may have been due for
	// the last time, which takes 100 ms to find out.
	MaxYears = 10
	// MaxRoute, MaxCron and MaxArgs bound a webhook's route, a schedule and the
	// grammar of a command's arguments, in bytes; MaxParts the parts of a path
	// and the words of a grammar.
	MaxRoute = 500
	MaxCron  = 200
	MaxArgs  = 1000
	MaxParts = 64
	// maxNever is how many schedules that never come are looked for.
	maxNever = 3
)

// totals is what the rules of a script that were read so far come to.
type totals struct {
	instructions, listed, globs, hooks, schedules, years, never int
	told                                                        map[string]bool
}

// size notes the size of a pattern of a rule.
func (c *compiler) size(r *Rule, arg string, instructions int) {
	r.size = max(r.size, instructions)
	c.sum.instructions += instructions
	c.bound(c.sum.instructions, MaxInstructions, arg, "the patterns of the script", "instructions")
}

// bound refuses what is too much, the first time that it is.
func (c *compiler) bound(n, limit int, arg, what, unit string) {
	if n <= limit || c.sum.told[what] {
		return
	}
	if c.sum.told == nil {
		c.sum.told = map[string]bool{}
	}
	c.sum.told[what] = true
	c.fail(arg, "split the script into several, or say it with fewer rules", "%s: %s come to %d %s, at most %d are allowed", c.reg.Name, what, n, unit, limit)
}

// boundLists checks the lengths of a rule's lists, and adds them up.
func (c *compiler) boundLists(r *Rule) {
	for _, l := range []struct {
		name    string
		entries []string
		limit   int
	}{
		{"channels", r.Channels, MaxList},
		{"users", r.Users, MaxList},
		{"hosts", r.Hosts, MaxList},
		{"groups", r.Groups, MaxGroups},
		{"teams", r.Teams, MaxTeams},
		{"bots", r.Bots, MaxTeams},
	} {
		if len(l.entries) > l.limit {
			c.fail(l.name, "", "%s: %s has %d entries, at most %d are allowed", c.reg.Name, l.name, len(l.entries), l.limit)
		}
		for _, e := range l.entries {
			if len(e) > MaxEntry {
				c.fail(l.name, "", "%s: an entry of %s has %d bytes, at most %d are allowed", c.reg.Name, l.name, len(e), MaxEntry)
				break
			}
		}
		c.sum.listed += len(l.entries)
		c.bound(c.sum.listed, MaxListed, l.name, "the lists of the script's rules", "entries")
	}
	c.sum.globs += len(r.filter.channelGlobs)
	c.bound(c.sum.globs, MaxGlobs, "channels", "the channels of the script's rules with *", "entries")
}

// boundKind counts the rules of kinds of which a few cost much.
func (c *compiler) boundKind(r *Rule) {
	switch r.Kind {
	case event.Webhook:
		c.sum.hooks++
		c.bound(c.sum.hooks, MaxHooks, "", "the webhooks of the script", "rules")
	case event.Schedule:
		c.sum.schedules++
		c.bound(c.sum.schedules, MaxSchedules, "", "the schedules of the script", "rules")
	}
}

// atMost refuses a text that is too long.
func atMost(what, text string, limit int) error {
	if len(text) > limit {
		return fmt.Errorf("%s has %d bytes, at most %d are allowed", what, len(text), limit)
	}
	return nil
}
