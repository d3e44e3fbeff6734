package rules

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/schedule"
	"github.com/starling-rules/starling/runtime"
)

// Schedule says when a schedule rule is due.
type Schedule = schedule.Schedule

// ParseSchedule reads a schedule in a time zone, "" for UTC.
func ParseSchedule(spec, tz string) (*Schedule, error) {
	return parseSchedule(spec, schedule.Options{Zone: tz})
}

func parseSchedule(spec string, o schedule.Options) (*Schedule, error) {
	if err := atMost("the schedule", spec, MaxCron); err != nil {
		return nil, err
	}
	return schedule.Parse(spec, o)
}

func (c *compiler) schedule(r *Rule, v runtime.Value) {
	p, ok := c.pattern(v)
	if !ok {
		return
	}
	r.Pattern = p
	if len(strings.Fields(p)) == 7 {
		c.sum.years++
		c.bound(c.sum.years, MaxYears, "schedule", "the schedules of the script with a year", "rules")
	}
	if c.sum.never == maxNever { // there are errors enough
		return
	}
	s, err := parseSchedule(p, schedule.Options{
		Zone: c.str("tz"), Jitter: c.duration("jitter"),
		Overlap: c.overlap(), CatchUp: schedule.CatchUp(c.str("catch_up")),
	})
	if err == nil {
		r.Schedule = s
		return
	}
	part, hint := "schedule", ""
	if f, ok := errors.AsType[*schedule.Fault](err); ok {
		part, hint = f.Part, f.Hint
		if f.Never {
			c.sum.never++
		}
	}
	c.fail(part, hint, "%s: %v", c.reg.Name, err)
}

// overlap reads whether a firing may begin while the one before runs.
func (c *compiler) overlap() bool {
	switch text := c.str("overlap"); text {
	case "", "skip":
	case "allow":
		return true
	default:
		c.fail("overlap", "write \"skip\" or \"allow\"", "%s: unknown overlap %q", c.reg.Name, text)
	}
	return false
}

// Firing is the event of the rule's schedule being due at a time. Its id is made
// of the rule and the time, so that of several processes, and of a restart in
// the midst of it, one firing comes.
func (r *Rule) Firing(due, received time.Time) *event.Event {
	return &event.Event{
		ID:   "sch-" + r.ID + "-" + strconv.FormatInt(due.Unix(), 10),
		Kind: event.Schedule, Type: "schedule", CallbackID: r.ID, Via: "local",
		Received: received, ScheduledAt: due, Encoding: event.None,
	}
}
