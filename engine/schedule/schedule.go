// Package schedule is the algebra of schedules: when a rule is due.
//
//	Schedule  read by Parse: a cron line, an interval or one moment, in a zone
//	Options   what goes with it: zone, jitter, overlap, catch-up
//	Owed      what is to be done now about the firings since the last one
//
// A cron line names times of day as the clock on the wall shows them, so a
// change of the clock (daylight saving) can skip such a time or show it twice:
//
//   - A time that is skipped is due once, at the moment the clock jumps.
//   - A time that comes twice is due the first time.
//   - A line for every hour ("*" for the hour) means
//     elapsed time: it goes on through both of the doubled hours, and what it
//     names within a skipped hour does not come.
//
// That is what Vixie's cron does, but for the first rule, where it waits for
// up to three hours. Intervals count from 1970 in UTC, so that every process
// and every start agrees; no clock change touches them.
//
// Everything here is computed from the times that are passed in: the package
// reads no clock, keeps no timer and knows no store; the engine does.
package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/adhocore/gronx"
)

// CatchUp says what becomes of firings that were missed, because no server ran.
type CatchUp string

// The policies. Whatever the policy, nothing older than Memory is caught up,
// and at most MostCaughtUp firings are.
const (
	CatchUpNone CatchUp = "none" // missed is missed; up to Grace late is not
	CatchUpLast CatchUp = "last" // the newest of them: the default
	CatchUpAll  CatchUp = "all"  // one after another, oldest first
)

// Bounds of catching up.
const (
	Memory       = 7 * 24 * time.Hour
	MostCaughtUp = 100
	Grace        = time.Minute
)

// Options go with a schedule. The zero value is UTC, no jitter, no overlap, and
// CatchUpLast.
type Options struct {
	// Zone is an IANA name; "" is UTC.
	Zone string
	// Jitter is by how much a firing may be late, so that not everything
	// happens at once: always the same for one rule and time.
	Jitter time.Duration
	// Overlap lets a firing begin while the run of the one before goes on.
	Overlap bool
	CatchUp CatchUp
}

// Schedule says when a rule is due. It is safe for concurrent use.
type Schedule struct {
	Options
	text string
	zone *time.Location

	every  time.Duration // of an interval
	once   time.Time     // of one moment
	cron   string
	hourly bool // the cron line is for every hour
	// last is what Next found last: of a cron that never comes again, it would
	// look for 100 ms each time.
	last atomic.Pointer[found]
}

// found says that next is the first due time after every time from from on and
// before next; zero: there is none.
type found struct{ from, next time.Time }

// String returns the schedule as written.
func (s *Schedule) String() string { return s.text }

// Location returns the zone that the schedule is in.
func (s *Schedule) Location() *time.Location { return s.zone }

// Once reports whether the schedule is due at one moment only.
func (s *Schedule) Once() bool { return !s.once.IsZero() }

// Digest is different for schedules that are due at different times.
func (s *Schedule) Digest() string {
	return s.text + "|" + s.zone.String() + "|" + s.Jitter.String()
}

// Next returns the first due time after t, or the zero time if there is none.
func (s *Schedule) Next(t time.Time) time.Time {
	switch {
	case s.every > 0:
		sec := int64(s.every / time.Second)
		return time.Unix((floor(t.Unix(), sec)+1)*sec, 0).In(s.zone)
	case s.Once():
		if t.Before(s.once) {
			return s.once
		}
		return time.Time{}
	}
	if f := s.last.Load(); f != nil && !t.Before(f.from) && (f.next.IsZero() || t.Before(f.next)) {
		return f.next
	}
	next := s.named(t)
	if s.hourly {
		next = s.elapsed(t)
	}
	s.last.Store(&found{t, next})
	return next
}

func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Fires is when a firing of the rule that is due at a time begins: up to
// Jitter later, by a share that only the rule and the time decide, so that
// every process says the same.
func (s *Schedule) Fires(rule string, due time.Time) time.Time {
	if s.Jitter <= 0 || due.IsZero() {
		return due
	}
	sum := sha256.Sum256([]byte(rule + "\x00" + strconv.FormatInt(due.Unix(), 10)))
	share := binary.BigEndian.Uint64(sum[:8]) % uint64(s.Jitter/time.Millisecond+1)
	return due.Add(time.Duration(share) * time.Millisecond)
}

// Following returns the first due time after since whose firing has not come at
// now, or the zero time.
func (s *Schedule) Following(rule string, since, now time.Time) time.Time {
	if late := now.Add(-s.Jitter); late.After(since) {
		since = late
	}
	due := s.Next(since)
	for !due.IsZero() && !s.Fires(rule, due).After(now) {
		due = s.Next(due)
	}
	return due
}

// named is Next of a cron line that names hours of the day.
func (s *Schedule) named(t time.Time) time.Time {
	wall := onWall(t, s.zone)
	for {
		n := s.after(wall)
		if n.IsZero() {
			return n
		}
		at := s.first(n)
		if at.After(t) {
			return at
		}
		// The clock was put back, and shows again what was due before: that ends
		// where it was put back.
		wall = n
		if start, _ := t.In(s.zone).ZoneBounds(); !start.IsZero() {
			if was := onWall(start.Add(-time.Second), s.zone); was.After(n) {
				wall = was
			}
		}
	}
}

// elapsed is Next of a cron line for every hour.
func (s *Schedule) elapsed(t time.Time) time.Time {
	_, end := t.In(s.zone).ZoneBounds()
	wall := onWall(t, s.zone)
	for changes := 0; ; changes++ {
		n := s.after(wall)
		if n.IsZero() {
			return n
		}
		at := n.Add(-offset(t, s.zone))
		if end.IsZero() || at.Before(end) {
			return at.In(s.zone)
		}
		// Beyond the next change of the clock: look from there. If it is not soon
		// after that one either, the changes up to there need no look.
		t = end
		if start, _ := s.first(n).ZoneBounds(); changes > 0 && start.After(t) {
			t = start
		}
		_, end = t.In(s.zone).ZoneBounds()
		wall = onWall(t, s.zone).Add(-time.Second)
	}
}

// after returns the first time on the wall after one that the cron line names,
// or the zero time.
func (s *Schedule) after(wall time.Time) time.Time {
	next, err := gronx.NextTickAfter(s.cron, wall, false)
	if err != nil {
		return time.Time{}
	}
	return next
}

// onWall returns what the clock on the wall shows at t, as if it were UTC.
func onWall(t time.Time, zone *time.Location) time.Time {
	return t.UTC().Add(offset(t, zone))
}

// offset of the zone at t, east of UTC.
func offset(t time.Time, zone *time.Location) time.Duration {
	_, sec := t.In(zone).Zone()
	return time.Duration(sec) * time.Second
}

// first returns the first moment at which the clock shows a time, or the moment
// at which it jumps over it.
func (s *Schedule) first(wall time.Time) time.Time {
	at, _ := s.moment(wall)
	return at
}

// moment is first; shown is false for a time that the clock jumps over.
func (s *Schedule) moment(wall time.Time) (at time.Time, shown bool) {
	near := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, s.zone)
	start, end := near.ZoneBounds()
	refs := []time.Time{near}
	if !start.IsZero() {
		refs = []time.Time{start.Add(-time.Second), near}
	}
	if !end.IsZero() {
		refs = append(refs, end)
	}
	for _, ref := range refs {
		o := offset(ref, s.zone)
		if c := wall.Add(-o); offset(c, s.zone) == o && (!shown || c.Before(at)) {
			at, shown = c, true
		}
	}
	if shown {
		return at.In(s.zone), true
	}
	for _, change := range []time.Time{start, end} {
		if change.IsZero() {
			continue
		}
		before := onWall(change.Add(-time.Second), s.zone)
		if wall.After(before) && wall.Before(onWall(change, s.zone)) {
			return change.In(s.zone), false
		}
	}
	return near, false
}
