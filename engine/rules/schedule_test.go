package rules_test

import (
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/rules"
)

func TestScheduleNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ spec, tz, after, want string }{
		{"every 10m", "", "2026-03-01T10:03:00Z", "2026-03-01T10:10:00Z"},
		{"every 10m", "", "2026-03-01T10:10:00Z", "2026-03-01T10:20:00Z"},
		{"every 1d", "", "2026-03-01T10:10:00Z", "2026-03-02T00:00:00Z"},
		{"0 9 * * mon-fri", "", "2026-11-20T10:00:00Z", "2026-11-23T09:00:00Z"},
		{"0 9 * * *", "Europe/Berlin", "2026-01-10T10:00:00Z", "2026-01-11T08:00:00Z"},
		{"0 9 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T07:00:00Z"}, // the clock went forward
		{"*/5 * * * * *", "", "2026-01-10T10:00:02Z", "2026-01-10T10:00:05Z"},
		{"@daily", "", "2026-01-10T10:00:02Z", "2026-01-11T00:00:00Z"},
		{"0 0 29 2 *", "", "2026-01-10T10:00:02Z", "2028-02-29T00:00:00Z"},
	} {
		s, err := rules.ParseSchedule(c.spec, c.tz)
		if err != nil {
			t.Errorf("%s: %v", c.spec, err)
			continue
		}
		after, _ := time.Parse(time.RFC3339, c.after)
		if got := s.Next(after).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s %s after %s: %s, want %s", c.spec, c.tz, c.after, got, c.want)
		}
	}
	for _, bad := range []string{"", "every", "every x", "every 100ms", "every 1500ms", "* * * *", "a b c d e", "60 * * * *", "@often", "every -5m"} {
		if s, err := rules.ParseSchedule(bad, ""); err == nil {
			t.Errorf("%q is taken: next %v", bad, s.Next(time.Now()))
		}
	}
}
