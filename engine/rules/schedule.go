package rules

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/adhocore/gronx"

	"github.com/starling-rules/starling/runtime"
)

// Schedule says when a schedule rule is due: at the times of a cron line in a
// time zone, or at multiples of an interval. It is safe for concurrent use.
type Schedule struct {
	spec  string
	every time.Duration // 0: cron
	cron  string
	zone  *time.Location
	// last is what Next found last: of a cron that never comes again, it would
	// look for 100 ms each time.
	last atomic.Pointer[found]
}

// found says that next is the first due time after every time from from on and
// before next; zero: there is none.
type found struct{ from, next time.Time }

// errZone marks an unknown time zone.
var errZone = errors.New("unknown time zone")

// errNever marks a cron line that is never due, which takes long to find out.
var errNever = errors.New("it never comes")

// ParseSchedule reads "every 10m", or a cron line of five fields, six with
// seconds first, or a tag such as @daily. tz is an IANA name; "" is UTC.
func ParseSchedule(spec, tz string) (*Schedule, error) {
	if err := atMost("the schedule", spec, MaxCron); err != nil {
		return nil, err
	}
	s := &Schedule{spec: spec, zone: time.UTC}
	if tz != "" {
		zone, err := time.LoadLocation(tz)
		if err != nil || tz == "Local" {
			return nil, fmt.Errorf("%w %q", errZone, tz)
		}
		s.zone = zone
	}
	if rest, ok := strings.CutPrefix(strings.TrimSpace(spec), "every "); ok {
		d, err := runtime.ParseDuration(strings.TrimSpace(rest))
		if err != nil {
			return nil, fmt.Errorf("bad schedule: %w", err)
		}
		if d < time.Second || d != d.Truncate(time.Second) {
			return nil, fmt.Errorf("bad schedule %q: whole seconds, at least one", spec)
		}
		s.every = d
		return s, nil
	}
	s.cron = strings.TrimSpace(spec)
	if n := len(strings.Fields(s.cron)); !strings.HasPrefix(s.cron, "@") && (n < 5 || n > 7) {
		return nil, fmt.Errorf("bad cron %q: %d fields, want 5", spec, n)
	}
	if !gronx.IsValid(s.cron) {
		return nil, fmt.Errorf("bad cron %q", spec)
	}
	// A fixed reference time: the check must not depend on today.
	if s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("bad cron %q: %w", spec, errNever)
	}
	return s, nil
}

// Next returns the first due time after t, or the zero time if there is none.
// Intervals count from the epoch, so that every process and every start agrees.
func (s *Schedule) Next(t time.Time) time.Time {
	if s.every > 0 {
		sec := int64(s.every / time.Second)
		return time.Unix((t.Unix()/sec+1)*sec, 0).In(s.zone)
	}
	if f := s.last.Load(); f != nil && !t.Before(f.from) && (f.next.IsZero() || t.Before(f.next)) {
		return f.next
	}
	next, err := gronx.NextTickAfter(s.cron, t.In(s.zone), false)
	if err != nil {
		next = time.Time{}
	}
	s.last.Store(&found{t, next})
	return next
}

// String returns the schedule as written.
func (s *Schedule) String() string { return s.spec }
