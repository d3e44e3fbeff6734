package schedule_test

import (
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/schedule"
)

func TestOwed(t *testing.T) {
	t.Parallel()
	const (
		none, last, all = schedule.CatchUpNone, schedule.CatchUpLast, schedule.CatchUpAll
		nine            = "0 9 * * *"
	)
	for _, c := range []struct {
		name, spec string
		policy     schedule.CatchUp
		due, now   string
		fire       string
		behind     bool
		missed     int
		next       string
	}{
		{"not yet", nine, last, "2026-03-02T09:00:00Z", "2026-03-02T08:59:59Z", "", false, 0, "2026-03-02T09:00:00Z"},
		{"on time", nine, none, "2026-03-02T09:00:00Z", "2026-03-02T09:00:00.01Z", "2026-03-02T09:00:00Z", false, 0, "2026-03-03T09:00:00Z"},
		{"a little late", nine, none, "2026-03-02T09:00:00Z", "2026-03-02T09:00:59Z", "2026-03-02T09:00:00Z", false, 0, "2026-03-03T09:00:00Z"},
		{"none: too late", nine, none, "2026-03-02T09:00:00Z", "2026-03-02T09:02:00Z", "", false, 1, "2026-03-03T09:00:00Z"},
		{"none: three days", nine, none, "2026-03-02T09:00:00Z", "2026-03-04T12:00:00Z", "", false, 3, "2026-03-05T09:00:00Z"},
		{"last: three days", nine, last, "2026-03-02T09:00:00Z", "2026-03-04T12:00:00Z", "2026-03-04T09:00:00Z", false, 2, "2026-03-05T09:00:00Z"},
		{"last: ten days", nine, last, "2026-03-02T09:00:00Z", "2026-03-12T08:00:00Z", "2026-03-11T09:00:00Z", false, 9, "2026-03-12T09:00:00Z"},
		{"last: monthly, a week and more ago", "0 9 1 * *", last, "2026-03-01T09:00:00Z", "2026-03-09T09:00:00Z", "", false, 1, "2026-04-01T09:00:00Z"},
		{"last: monthly, days ago", "0 9 1 * *", last, "2026-03-01T09:00:00Z", "2026-03-07T09:00:00Z", "2026-03-01T09:00:00Z", false, 0, "2026-04-01T09:00:00Z"},
		{"last: every second, a year", "every 1s", last, "2026-03-01T09:00:00Z", "2027-03-01T09:00:00.5Z", "2027-03-01T09:00:00Z", false, 1000, "2027-03-01T09:00:01Z"},
		{"last: a cron of seconds", "* * 3 * * *", last, "2026-03-01T03:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T03:59:59Z", false, 1000, "2026-03-02T03:00:00Z"},
		{"all: three days", nine, all, "2026-03-02T09:00:00Z", "2026-03-04T12:00:00Z", "2026-03-02T09:00:00Z", true, 0, "2026-03-03T09:00:00Z"},
		{"all: the last of them", nine, all, "2026-03-04T09:00:00Z", "2026-03-04T12:00:00Z", "2026-03-04T09:00:00Z", true, 0, "2026-03-05T09:00:00Z"},
		{"all: on time", nine, all, "2026-03-04T09:00:00Z", "2026-03-04T09:00:01Z", "2026-03-04T09:00:00Z", false, 0, "2026-03-05T09:00:00Z"},
		{"all: at most a hundred", "every 1m", all, "2026-03-02T09:00:00Z", "2026-03-02T12:00:00Z", "2026-03-02T10:21:00Z", true, 81, "2026-03-02T10:22:00Z"},
		{"all: at most a week", nine, all, "2026-03-02T09:00:00Z", "2026-03-22T12:00:00Z", "2026-03-16T09:00:00Z", true, 14, "2026-03-17T09:00:00Z"},
		{"once", "at 2026-03-02T09:00", last, "2026-03-02T09:00:00Z", "2026-03-02T12:00:00Z", "2026-03-02T09:00:00Z", false, 0, ""},
		{"once, too late", "at 2026-03-02T09:00", last, "2026-03-02T09:00:00Z", "2026-04-02T12:00:00Z", "", false, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := parse(t, c.spec, schedule.Options{CatchUp: c.policy})
			o := s.Owed("a.star:f", at(t, c.due), at(t, c.now))
			text := func(v time.Time) string {
				if v.IsZero() {
					return ""
				}
				return v.UTC().Format(time.RFC3339)
			}
			if text(o.Fire) != c.fire || o.Behind != c.behind || o.Missed != c.missed || text(o.Next) != c.next {
				t.Errorf("fire %q behind %v missed %d next %q, want %q %v %d %q", text(o.Fire), o.Behind, o.Missed, text(o.Next), c.fire, c.behind, c.missed, c.next)
			}
		})
	}
}

// TestEveryTimeIsOwedOnce lets a clock run in uneven steps: with "all" and no
// long pause each time is fired once, in order.
func TestEveryTimeIsOwedOnce(t *testing.T) {
	t.Parallel()
	s := parse(t, "*/7 * * * *", schedule.Options{CatchUp: schedule.CatchUpAll, Jitter: 11 * time.Minute})
	start := at(t, "2026-03-02T09:00:00Z")
	due, want := s.Next(start), s.Next(start)
	fired := 0
	for now := start; now.Before(start.Add(48 * time.Hour)); now = now.Add(time.Duration(1+fired%5) * 97 * time.Second) {
		for {
			o := s.Owed("r", due, now)
			if o.Missed != 0 {
				t.Fatalf("%d missed at %s", o.Missed, now)
			}
			if o.Fire.IsZero() {
				break
			}
			if !o.Fire.Equal(want) || s.Fires("r", o.Fire).After(now) {
				t.Fatalf("fires %s at %s, want %s", o.Fire, now, want)
			}
			fired++
			due, want = o.Next, s.Next(want)
		}
	}
	if fired < 400 {
		t.Errorf("%d firings in two days", fired)
	}
}

func TestJitterIsSpreadAndAlwaysTheSame(t *testing.T) {
	t.Parallel()
	s := parse(t, "0 9 * * *", schedule.Options{Jitter: 30 * time.Second})
	due := at(t, "2026-03-02T09:00:00Z")
	seen := map[time.Duration]bool{}
	for _, rule := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		d := s.Fires(rule, due).Sub(due)
		if d < 0 || d > 30*time.Second {
			t.Errorf("%s fires %s later", rule, d)
		}
		if again := parse(t, "0 9 * * *", schedule.Options{Jitter: 30 * time.Second}).Fires(rule, due.In(time.Local)).Sub(due); again != d {
			t.Errorf("%s fires %s or %s later", rule, d, again)
		}
		seen[d] = true
	}
	if len(seen) < 6 {
		t.Errorf("8 rules fire at %d times", len(seen))
	}
	if o := s.Owed("a", due, due.Add(s.Fires("a", due).Sub(due)-time.Millisecond)); !o.Fire.IsZero() {
		t.Errorf("%+v is owed before its jitter is over", o)
	}
}
