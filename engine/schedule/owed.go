package schedule

import "time"

// mostCounted bounds how far missed firings are counted.
const mostCounted = 1000

// Owed is what is to be done at a moment about the firings that were due since
// the last one.
type Owed struct {
	// Fire is the due time to fire now; zero: none.
	Fire time.Time
	// Behind says that Fire is made up for, and others may be (CatchUpAll): they
	// are to come one after another, none skipped.
	Behind bool
	// Missed is how many are not fired: at most 1000 are counted.
	Missed int
	// Next is the due time to wait for after that; zero: there is none.
	Next time.Time
}

// Owed says what is to be done at now by the rule, when due is the first due
// time that was not dealt with. Nothing is owed before Fires(rule, due).
func (s *Schedule) Owed(rule string, due, now time.Time) Owed {
	if due.IsZero() || s.Fires(rule, due).After(now) {
		return Owed{Next: due}
	}
	most := 1
	if s.CatchUp == CatchUpAll {
		most = MostCaughtUp
	}
	list := s.recent(rule, due, now, most)
	o := Owed{Next: s.Next(now.Add(-s.Jitter))} // what jitter holds back is not over
	if len(list) > 0 {
		last := list[len(list)-1]
		o.Next = s.Next(last)
		late := now.Sub(s.Fires(rule, last)) > Grace
		if s.CatchUp != CatchUpNone || !late {
			o.Fire, o.Behind = list[0], len(list) > 1 || late && s.CatchUp == CatchUpAll
			o.Next = s.Next(o.Fire)
		}
	}
	until := o.Fire
	if until.IsZero() {
		until = o.Next
	}
	for t := due; !t.IsZero() && (until.IsZero() || t.Before(until)) && o.Missed < mostCounted && !s.Fires(rule, t).After(now); t = s.Next(t) {
		o.Missed++
	}
	return o
}

// recent returns the newest n due times from due on whose firing has come at
// now, oldest first, and none older than Memory. It looks back further and
// further: a line for every second has 600,000 times in a week.
func (s *Schedule) recent(rule string, due, now time.Time, n int) []time.Time {
	var list []time.Time
	for _, back := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour, Memory} {
		from := now.Add(-back - s.Jitter)
		all := !from.After(due)
		if all {
			from = due
		}
		list = list[:0]
		for t := s.Next(from.Add(-time.Nanosecond)); !t.IsZero() && !t.After(now); t = s.Next(t) {
			if s.Fires(rule, t).After(now) {
				break // those after it wait for it
			}
			list = append(list, t)
		}
		if all || len(list) >= n {
			break
		}
	}
	if len(list) > n {
		list = list[len(list)-n:]
	}
	for len(list) > 0 && now.Sub(list[0]) > Memory+s.Jitter {
		list = list[1:]
	}
	return list
}
