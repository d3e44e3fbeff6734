package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a small image has no zones

	"github.com/adhocore/gronx"

	"github.com/starling-rules/starling/runtime"
)

// Fault is what is wrong with a schedule: Part says in which option, for whoever
// shows it in the source, Hint how to mend it.
type Fault struct {
	Part string // "schedule", "tz", "jitter", "catch_up"
	Msg  string
	Hint string
	// Never says that nothing is wrong but that it is never due, which takes
	// long to find out.
	Never bool
}

// Error implements error.
func (f *Fault) Error() string { return f.Msg }

const (
	hintForms = "write \"every 10m\", \"at 2026-12-24T18:00\", or a cron such as \"0 9 * * mon-fri\" (with seconds: six fields)"
	maxJitter = 24 * time.Hour
)

// tags are the names of lines that this package adds to gronx's.
var tags = map[string]string{"@midnight": "@daily"}

// Parse reads "every 10m", "at 2026-12-24T18:00", a cron line of five fields,
// six with seconds first, or a tag such as @daily. Its errors are *Fault.
func Parse(text string, o Options) (*Schedule, error) {
	s := &Schedule{Options: o, text: text, zone: time.UTC}
	if o.Zone != "" {
		zone, err := time.LoadLocation(o.Zone)
		if err != nil || o.Zone == "Local" {
			return nil, &Fault{Part: "tz", Msg: fmt.Sprintf("unknown time zone %q", o.Zone), Hint: zoneHint(o.Zone)}
		}
		s.zone = zone
	}
	if s.CatchUp == "" {
		s.CatchUp = CatchUpLast
	}
	if c := s.CatchUp; c != CatchUpNone && c != CatchUpLast && c != CatchUpAll {
		return nil, &Fault{Part: "catch_up", Msg: fmt.Sprintf("unknown catch_up %q", c), Hint: "write \"none\", \"last\" or \"all\""}
	}
	trimmed := strings.TrimSpace(text)
	word, rest, _ := strings.Cut(trimmed, " ")
	var err error
	switch word {
	case "every":
		err = s.parseEvery(strings.TrimSpace(rest))
	case "at":
		err = s.parseOnce(strings.TrimSpace(rest))
	default:
		err = s.parseCron(trimmed)
	}
	if err == nil {
		err = s.checkJitter()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Schedule) checkJitter() error {
	switch {
	case s.Jitter < 0:
		return &Fault{Part: "jitter", Msg: "jitter is negative"}
	case s.Jitter > maxJitter:
		return &Fault{Part: "jitter", Msg: fmt.Sprintf("jitter of %s is too long: at most 24h", Short(s.Jitter))}
	case s.every > 0 && s.Jitter >= s.every:
		return &Fault{Part: "jitter", Msg: fmt.Sprintf("jitter of %s is as long as the interval", Short(s.Jitter)), Hint: "it has to be shorter than " + Short(s.every)}
	}
	return nil
}

// Short writes a duration without the zeros at its end.
func Short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func (s *Schedule) parseEvery(text string) error {
	d, err := runtime.ParseDuration(text)
	if err != nil {
		return &Fault{Part: "schedule", Msg: "bad schedule: " + err.Error(), Hint: hintForms}
	}
	if d < time.Second || d != d.Truncate(time.Second) {
		return &Fault{Part: "schedule", Msg: fmt.Sprintf("bad schedule %q: whole seconds, at least one", s.text), Hint: hintForms}
	}
	if s.zone != time.UTC && s.zone.String() != "UTC" {
		return &Fault{Part: "tz", Msg: "an interval has no time zone: it counts from 1970 in UTC", Hint: "leave tz out, or write a cron such as \"0 0 * * *\""}
	}
	s.every = d
	return nil
}

// moments are the forms of one moment, without and with an offset from UTC.
var (
	localForms  = []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"}
	offsetForms = []string{"2006-01-02T15:04Z07:00", time.RFC3339}
)

func (s *Schedule) parseOnce(text string) error {
	bad := func(why string, hint string) error {
		return &Fault{Part: "schedule", Msg: fmt.Sprintf("bad schedule %q: %s", s.text, why), Hint: hint}
	}
	for _, form := range offsetForms {
		if t, err := time.Parse(form, text); err == nil {
			if s.zone != time.UTC {
				return &Fault{Part: "tz", Msg: fmt.Sprintf("%q says its offset from UTC: it needs no tz", s.text), Hint: "leave one of the two out"}
			}
			s.once = t.UTC()
			return nil
		}
	}
	var last *time.ParseError
	for _, form := range localForms {
		wall, err := time.Parse(form, text)
		if err == nil {
			at, shown := s.moment(wall)
			if !shown {
				return bad(fmt.Sprintf("the clock in %s jumps over this time", s.zone), "it jumps to "+at.Format("15:04"))
			}
			s.once = at
			return nil
		}
		if pe, ok := errors.AsType[*time.ParseError](err); ok && strings.HasSuffix(pe.Message, "out of range") {
			last = pe
		}
	}
	if last != nil {
		return bad("there is no such time"+strings.Replace(last.Message, ": ", ", ", 1), "")
	}
	return bad("want a date and a time", "write \"at 2026-12-24T18:00\"")
}

func (s *Schedule) parseCron(text string) error {
	bad := func(detail, hint string) error {
		return &Fault{Part: "schedule", Msg: fmt.Sprintf("bad cron %q%s", s.text, detail), Hint: hint}
	}
	s.cron = text
	if strings.HasPrefix(text, "@") {
		if rest, ok := strings.CutPrefix(text, "@every "); ok {
			return bad("", "write \"every "+strings.TrimSpace(rest)+"\"")
		}
		if line, ok := tags[strings.ToLower(text)]; ok {
			s.cron = line
		}
	} else if n := len(strings.Fields(text)); n < 5 || n > 7 {
		return bad(fmt.Sprintf(": %d fields, want 5", n), hintForms)
	}
	if !gronx.IsValid(s.cron) {
		hint := hintForms
		if strings.HasPrefix(text, "@") {
			hint = "there are @hourly, @daily, @midnight, @weekly, @monthly and @yearly"
		}
		return bad("", hint)
	}
	fields, err := gronx.Segments(s.cron)
	if err != nil {
		return bad(": "+err.Error(), hintForms)
	}
	switch fields[2] {
	case "*", "?", "*/1", "0-23", "0/1":
		s.hourly = true
	}
	// A fixed reference time: the check must not depend on today.
	if s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return &Fault{Part: "schedule", Msg: fmt.Sprintf("bad cron %q: it never comes", s.text), Hint: "no month that it names has such a day, or its years are over", Never: true}
	}
	return nil
}

// zoneHint helps with what people write for a zone.
func zoneHint(name string) string {
	hint := "write an IANA name such as \"Europe/Berlin\""
	switch strings.ToUpper(name) {
	case "PST", "PDT", "PT":
		return "write \"America/Los_Angeles\""
	case "EDT", "ET":
		return "write \"America/New_York\""
	case "CST", "CDT", "CT":
		return "write \"America/Chicago\""
	case "BST":
		return "write \"Europe/London\""
	case "CEST":
		return "write \"Europe/Berlin\""
	case "IST":
		return "write \"Asia/Kolkata\""
	}
	return hint
}
