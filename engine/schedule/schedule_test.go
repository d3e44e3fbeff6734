package schedule_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/schedule"
)

var update = flag.Bool("update", false, "write the golden files anew")

func parse(t testing.TB, text string, o schedule.Options) *schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(text, o)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// clockRun are ten schedules that a clock runs over: both changes of daylight
// saving time in their zones, and a leap day.
var clockRun = []struct {
	about, spec, zone string
	windows           [][2]string // from, to: in UTC
}{
	{"a time that is skipped in spring and comes twice in autumn", "30 2 * * *", "Europe/Berlin", [][2]string{
		{"2028-03-25T00:00:00Z", "2028-03-27T12:00:00Z"}, {"2028-10-28T00:00:00Z", "2028-10-30T12:00:00Z"},
	}},
	{"the hour at which the clock arrives, and the skipped one: once", "0 2,3 * * *", "Europe/Berlin", [][2]string{
		{"2028-03-25T12:00:00Z", "2028-03-27T00:00:00Z"}, {"2028-10-28T12:00:00Z", "2028-10-30T00:00:00Z"},
	}},
	{"every twenty minutes of an hour that is skipped or doubled", "*/20 2 * * *", "America/New_York", [][2]string{
		{"2028-03-11T12:00:00Z", "2028-03-13T12:00:00Z"}, {"2028-11-04T00:00:00Z", "2028-11-06T12:00:00Z"},
	}},
	{"an hour that is doubled in New York", "*/20 1 * * *", "America/New_York", [][2]string{
		{"2028-03-11T12:00:00Z", "2028-03-12T12:00:00Z"}, {"2028-11-04T12:00:00Z", "2028-11-05T12:00:00Z"},
	}},
	{"hourly is elapsed time", "0 * * * *", "Europe/Berlin", [][2]string{
		{"2028-03-25T22:30:00Z", "2028-03-26T03:30:00Z"}, {"2028-10-28T22:30:00Z", "2028-10-29T03:30:00Z"},
	}},
	{"every half hour, where the clock changes by half an hour", "*/30 * * * *", "Australia/Lord_Howe", [][2]string{
		{"2028-09-30T14:00:00Z", "2028-09-30T17:00:00Z"}, {"2028-04-01T13:00:00Z", "2028-04-01T17:00:00Z"},
	}},
	{"midnight is skipped in Cairo; in autumn the hour before it is doubled", "@daily", "Africa/Cairo", [][2]string{
		{"2028-04-26T00:00:00Z", "2028-04-30T00:00:00Z"}, {"2028-10-24T00:00:00Z", "2028-10-28T00:00:00Z"},
	}},
	{"an interval knows no clock changes", "every 45m", "", [][2]string{
		{"2028-03-26T00:00:00Z", "2028-03-26T03:00:00Z"}, {"2028-10-29T00:00:00Z", "2028-10-29T03:00:00Z"},
	}},
	{"the leap day", "0 9 29 2 *", "Europe/Berlin", [][2]string{
		{"2024-01-01T00:00:00Z", "2032-12-31T00:00:00Z"}, {"2096-01-01T00:00:00Z", "2104-12-31T00:00:00Z"},
	}},
	{"the last day of each month, with seconds", "30 0 12 L * *", "America/Santiago", [][2]string{
		{"2028-01-01T00:00:00Z", "2028-06-01T00:00:00Z"}, {"2029-02-01T00:00:00Z", "2029-03-02T00:00:00Z"},
	}},
}

// TestClockRun lets a clock run over the windows second by second where it
// matters: whoever asks for the next time at any moment gets the one that the
// golden table shows.
func TestClockRun(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, c := range clockRun {
		s := parse(t, c.spec, schedule.Options{Zone: c.zone})
		fmt.Fprintf(&b, "%s: %q in %s\n", c.about, c.spec, s.Location())
		for _, w := range c.windows {
			from, to := at(t, w[0]), at(t, w[1])
			var fired []time.Time
			for next := s.Next(from); !next.IsZero() && !next.After(to); next = s.Next(next) {
				fired = append(fired, next)
				fmt.Fprintf(&b, "  %s  %s\n", next.UTC().Format("2006-01-02 15:04:05Z"), next.In(s.Location()).Format("Mon 15:04:05 MST -0700"))
			}
			b.WriteString("  .\n")
			checkEveryMoment(t, c.spec, c.zone, from, to, fired)
		}
	}
	golden := filepath.Join("testdata", "clock.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("-update writes it anew (-want +got):\n%s", d)
	}
}

// checkEveryMoment asks at moments between the firings, each with a schedule
// that remembers nothing.
func checkEveryMoment(t *testing.T, spec, zone string, from, to time.Time, fired []time.Time) {
	t.Helper()
	step := to.Sub(from) / 97
	i := 0
	for now := from; now.Before(to); now = now.Add(step) {
		for i < len(fired) && !fired[i].After(now) {
			i++
		}
		if i == len(fired) {
			return
		}
		if got := parse(t, spec, schedule.Options{Zone: zone}).Next(now); !got.Equal(fired[i]) {
			t.Errorf("%s in %s after %s: %s, want %s", spec, zone, now.UTC(), got.UTC(), fired[i].UTC())
		}
	}
}
