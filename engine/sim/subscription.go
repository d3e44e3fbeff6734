package sim

import (
	"sync"
	"time"
)

// Slack's limits of Events API deliveries.
const (
	window       = time.Hour // that the limits are about
	spared       = 1000      // an app with fewer deliveries in a window stays on
	leastSuccess = 0.05      // of the deliveries in a window
)

// Subscription is the state of the app's event subscriptions over HTTP.
type Subscription struct {
	On bool `json:"on"`
	// Reason says why they are off: "too_many_failures".
	Reason string `json:"reason,omitempty"`
	// Tried and Failed count the deliveries of the last hour by the
	// workspace's clock, repetitions included.
	Tried  int `json:"tried"`
	Failed int `json:"failed"`
}

// subscription counts deliveries by the minute and switches them off when
// nearly all fail.
type subscription struct {
	mu      sync.Mutex
	off     string
	minutes [60]minute // by minute of the hour
	limited int64      // the minute that the app was last told about
}

// minute counts what happened in one: at, in minutes of the Unix era.
type minute struct {
	at                    int64
	events, tried, failed int
}

func minuteOf(now time.Time) int64 { return now.Unix() / 60 }

// this is the counter of now; u.mu is held.
func (u *subscription) this(now time.Time) *minute {
	at := minuteOf(now)
	m := &u.minutes[((at%60)+60)%60]
	if m.at != at {
		*m = minute{at: at}
	}
	return m
}

// sum adds up the last hour; u.mu is held.
func (u *subscription) sum(now time.Time) (total minute) {
	for _, m := range u.minutes {
		if age := minuteOf(now) - m.at; age >= 0 && age < int64(window/time.Minute) {
			total.events += m.events
			total.tried += m.tried
			total.failed += m.failed
		}
	}
	return total
}

// count notes a delivery and reports whether it was the one too many that
// failed.
func (u *subscription) count(now time.Time, ok bool) (switchedOff bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	m := u.this(now)
	m.tried++
	if ok {
		return false
	}
	m.failed++
	total := u.sum(now)
	if u.off != "" || total.tried < spared || float64(total.tried-total.failed) >= leastSuccess*float64(total.tried) {
		return false
	}
	u.off = "too_many_failures"
	return true
}

// admit counts an event and reports whether it is to be delivered: none while
// subscriptions are off, and no more than limit in an hour (0: any number).
// tell is true once in each minute whose events are dropped over the limit.
func (u *subscription) admit(now time.Time, limit int) (ok, tell bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.off != "" {
		return false, false
	}
	if limit > 0 && u.sum(now).events >= limit {
		tell = u.limited != minuteOf(now)
		u.limited = minuteOf(now)
		return false, tell
	}
	u.this(now).events++
	return true, false
}

func (u *subscription) isOff() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.off != ""
}

// Subscription tells whether the app gets events, and how deliveries fared.
func (s *Server) Subscription() Subscription {
	u := s.subscribed
	u.mu.Lock()
	defer u.mu.Unlock()
	total := u.sum(s.now())
	return Subscription{On: u.off == "", Reason: u.off, Tried: total.tried, Failed: total.failed}
}

// Resubscribe switches events on again, as somebody does by hand in the app's
// settings, and forgets past failures.
func (s *Server) Resubscribe() {
	u := s.subscribed
	u.mu.Lock()
	u.off, u.minutes, u.limited = "", [60]minute{}, 0
	u.mu.Unlock()
	s.world.log.add("subscription", s.Subscription())
}

// counted notes how the delivery of an event went. Socket Mode is spared.
func (s *Server) counted(e *envelope, a answer) {
	if e.kind != "events_api" || s.opt.SocketMode {
		return
	}
	if s.subscribed.count(s.now(), a.reason == "") {
		s.world.log.add("subscription", s.Subscription())
		s.notice("", "Event subscriptions are switched off: nearly all deliveries of the last hour failed.")
	}
}
