package schedule_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/schedule"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ spec, tz, after, want string }{
		{"every 10m", "", "2026-03-01T10:03:00Z", "2026-03-01T10:10:00Z"},
		{"every 10m", "UTC", "2026-03-01T10:10:00Z", "2026-03-01T10:20:00Z"},
		{"  every  1d ", "", "2026-03-01T10:10:00Z", "2026-03-02T00:00:00Z"},
		{"every 1h", "", "1969-12-31T22:30:00Z", "1969-12-31T23:00:00Z"},
		{"0 9 * * mon-fri", "", "2026-11-20T10:00:00Z", "2026-11-23T09:00:00Z"},
		{"0 9 * * *", "Europe/Berlin", "2026-01-10T10:00:00Z", "2026-01-11T08:00:00Z"},
		{"*/5 * * * * *", "", "2026-01-10T10:00:02.5Z", "2026-01-10T10:00:05Z"},
		{"0 0 * * 7", "", "2026-11-20T10:00:00Z", "2026-11-22T00:00:00Z"},
		{"0 9 1 jan *", "", "2026-11-20T10:00:00Z", "2027-01-01T09:00:00Z"},
		{"@daily", "Asia/Kolkata", "2026-01-10T10:00:02Z", "2026-01-10T18:30:00Z"},
		{"@midnight", "", "2026-01-10T10:00:02Z", "2026-01-11T00:00:00Z"},
		{"@hourly", "", "2026-01-10T10:00:02Z", "2026-01-10T11:00:00Z"},
		{"@Weekly", "", "2026-11-20T10:00:00Z", "2026-11-22T00:00:00Z"},
		{"at 2026-12-24T18:00", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-12-24T17:00:00Z"},
		{"at 2026-12-24 18:00:30", "", "2026-01-01T00:00:00Z", "2026-12-24T18:00:30Z"},
		{"at 2026-12-24T18:00-05:00", "", "2026-01-01T00:00:00Z", "2026-12-24T23:00:00Z"},
		{"at 2026-12-24T18:00Z", "", "2026-01-01T00:00:00Z", "2026-12-24T18:00:00Z"},
		{"at 2026-10-25T02:30", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-10-25T00:30:00Z"}, // the first of two
	} {
		s := parse(t, c.spec, schedule.Options{Zone: c.tz})
		if got := s.Next(at(t, c.after)).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s %s after %s: %s, want %s", c.spec, c.tz, c.after, got, c.want)
		}
	}
	once := parse(t, "at 2026-12-24T18:00", schedule.Options{})
	if next := once.Next(at(t, "2026-12-24T18:00:00Z")); !next.IsZero() {
		t.Errorf("a moment comes again at %s", next)
	}
}

func TestParseFaults(t *testing.T) {
	t.Parallel()
	const june = "at 2026-06-01T12:00"
	for _, c := range []struct {
		spec       string
		o          schedule.Options
		part, want string // want is a part of the message or the hint
	}{
		{"", schedule.Options{}, "schedule", "0 fields"},
		{"every", schedule.Options{}, "schedule", "not a duration"},
		{"every x", schedule.Options{}, "schedule", "not a duration"},
		{"every -5m", schedule.Options{}, "schedule", "-5m"},
		{"every 1500ms", schedule.Options{}, "schedule", "whole seconds"},
		{"every 1d", schedule.Options{Zone: "Europe/Berlin"}, "tz", "no time zone"},
		{"* * * *", schedule.Options{}, "schedule", "4 fields, want 5"},
		{"60 * * * *", schedule.Options{}, "schedule", "bad cron"},
		{"a b c d e", schedule.Options{}, "schedule", "bad cron"},
		{"@often", schedule.Options{}, "schedule", "@daily"},
		{"@every 5m", schedule.Options{}, "schedule", `write "every 5m"`},
		{"0 0 30 2 *", schedule.Options{}, "schedule", "it never comes"},
		{"0 0 31 4,6,9,11 *", schedule.Options{}, "schedule", "it never comes"},
		{"0 0 0 1 1 * 2020", schedule.Options{}, "schedule", "it never comes"},
		{"at", schedule.Options{}, "schedule", "want a date and a time"},
		{"at noon", schedule.Options{}, "schedule", "want a date and a time"},
		{"at 2026-02-29T12:00", schedule.Options{}, "schedule", "there is no such time, day out of range"},
		{"at 2026-13-01T12:00", schedule.Options{}, "schedule", "month out of range"},
		{"at 2026-12-01T25:00", schedule.Options{}, "schedule", "hour out of range"},
		{"at 2026-03-29T02:30", schedule.Options{Zone: "Europe/Berlin"}, "schedule", "jumps over this time"},
		{june + "Z", schedule.Options{Zone: "Europe/Berlin"}, "tz", "needs no tz"},
		{june, schedule.Options{Zone: "Mars/Base"}, "tz", "unknown time zone"},
		{june, schedule.Options{Zone: "Local"}, "tz", "unknown time zone"},
		{june, schedule.Options{Zone: "PST"}, "tz", "America/Los_Angeles"},
		{june, schedule.Options{CatchUp: "some"}, "catch_up", `unknown catch_up "some"`},
		{june, schedule.Options{Jitter: -time.Second}, "jitter", "negative"},
		{june, schedule.Options{Jitter: 25 * time.Hour}, "jitter", "at most 24h"},
		{"every 10m", schedule.Options{Jitter: 10 * time.Minute}, "jitter", "as long as the interval"},
	} {
		_, err := schedule.Parse(c.spec, c.o)
		f, ok := errors.AsType[*schedule.Fault](err)
		if !ok {
			t.Errorf("%s %+v is taken", c.spec, c.o)
			continue
		}
		if f.Part != c.part || !strings.Contains(f.Msg+" = "+f.Hint, c.want) {
			t.Errorf("%s: %s: %s = %s; want %s: %s", c.spec, f.Part, f.Msg, f.Hint, c.part, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"every 10m", "at 2026-12-24T18:00", "0 9 * * mon-fri", "@daily", "*/5 0 0 L 2 mon#1", "0 0 1-5/2 ? * 2026"} {
		f.Add(s, "Europe/Berlin", int64(1_800_000_000))
	}
	f.Fuzz(func(t *testing.T, spec, zone string, unix int64) {
		if len(spec) > 200 || unix < 0 || unix > 4e9 {
			return
		}
		s, err := schedule.Parse(spec, schedule.Options{Zone: zone})
		if err != nil {
			return
		}
		now := time.Unix(unix, 0)
		next := s.Next(now)
		if !next.IsZero() && !next.After(now) {
			t.Errorf("%q in %q: %s comes after %s", spec, zone, next, now)
		}
		if between := now.Add(next.Sub(now) / 2); next.After(now) && !parse(t, spec, schedule.Options{Zone: zone}).Next(between).Equal(next) {
			t.Errorf("%q in %q: after %s comes %s, but after %s another time", spec, zone, now, next, between)
		}
	})
}
