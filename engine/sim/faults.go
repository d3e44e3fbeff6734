package sim

import (
	"net/http"
	"strconv"
	"time"
)

// Faults is what goes wrong on purpose. The zero value is a healthy Slack.
// The key "*" of a map stands for every method.
type Faults struct {
	// SlowMs delays every answer of the Web API, in milliseconds.
	SlowMs int `json:"slow_ms"`
	// RateLimit says how many more calls of a method get a 429; -1 is all.
	RateLimit map[string]int `json:"rate_limit"`
	// RetryAfter is what a 429 asks for, in seconds; 0 means 1.
	RetryAfter int `json:"retry_after"`
	// MissingScope names, per method, the scope that the token lacks.
	MissingScope map[string]string `json:"missing_scope"`
	// Errors names, per method, the error it answers with.
	Errors map[string]string `json:"errors"`
	// LostAcks is how many more answers of the app Slack does not see; -1 is
	// all. The app did get the payload.
	LostAcks int `json:"lost_acks"`
	// EventsPerHour is how many events a workspace's app gets in an hour of the
	// workspace's clock; the rest is dropped, and the app told by
	// app_rate_limited once a minute. Slack's limit is 30,000; 0 is none.
	EventsPerHour int `json:"events_per_hour"`
	// MutePings makes the connections of Socket Mode deaf: no ping, no pong.
	MutePings bool `json:"mute_pings"`
}

// Faults returns the faults now switched on.
func (s *Server) Faults() Faults {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	return s.faults.clone()
}

// SetFaults replaces the faults.
func (s *Server) SetFaults(f Faults) {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	s.faults = f.clone()
	s.world.log.add("faults", f)
}

// clone copies f with maps that are not nil, for the page.
func (f Faults) clone() Faults {
	rate, scope, errs := map[string]int{}, map[string]string{}, map[string]string{}
	for k, v := range f.RateLimit {
		rate[k] = v
	}
	for k, v := range f.MissingScope {
		scope[k] = v
	}
	for k, v := range f.Errors {
		errs[k] = v
	}
	f.RateLimit, f.MissingScope, f.Errors = rate, scope, errs
	return f
}

// fault does what goes wrong with one call; body is nil if nothing does.
func (s *Server) fault(r *http.Request, method string, h http.Header) (status int, body Block, err error) {
	s.faultMu.Lock()
	f := &s.faults
	slow := time.Duration(f.SlowMs) * time.Millisecond
	after := max(f.RetryAfter, 1)
	limited := takeCount(f.RateLimit, method)
	scope := pick(f.MissingScope, method)
	code := pick(f.Errors, method)
	s.faultMu.Unlock()
	if slow > 0 {
		if err := s.opt.Sleep(r.Context(), slow); err != nil {
			return http.StatusOK, nil, Code("request_timeout")
		}
	}
	switch {
	case limited:
		h.Set("Retry-After", strconv.Itoa(after))
		return http.StatusTooManyRequests, Block{"ok": false, "error": "ratelimited"}, nil
	case scope != "":
		return http.StatusOK, Block{"ok": false, "error": "missing_scope", "needed": scope, "provided": "identify"}, nil
	case code != "":
		return http.StatusOK, nil, Code(code)
	}
	return http.StatusOK, nil, nil
}

// takeCount spends one of a count.
func takeCount(m map[string]int, method string) bool {
	for _, k := range []string{method, "*"} {
		switch n := m[k]; {
		case n < 0:
			return true
		case n > 0:
			if m[k] = n - 1; n == 1 {
				delete(m, k)
			}
			return true
		}
	}
	return false
}

func pick(m map[string]string, method string) string {
	if v := m[method]; v != "" {
		return v
	}
	return m["*"]
}

func (s *Server) pingsMuted() bool {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	return s.faults.MutePings
}

// takeLostAck reports whether an answer gets lost, and counts it.
func (s *Server) takeLostAck() bool {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	if s.faults.LostAcks > 0 {
		s.faults.LostAcks--
		return true
	}
	return s.faults.LostAcks < 0
}
