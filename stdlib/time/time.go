// Package time declares the module time and now. A time is a number of
// seconds since 1970 in UTC; functions also take RFC 3339 text and Slack's ts.
// Zones are those of the IANA database, which is built in.
//
//	Builtins   the declarations
//	instant    reads whatever stands for a time
//	layout     strftime patterns, for writing and for reading
package time

import (
	"math"
	"strconv"
	"strings"
	"sync"
	gotime "time"
	_ "time/tzdata" // zones without the files of the system

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// when are the types that stand for a time.
const when = runtime.TNumber | runtime.TString

type fn = func(*runtime.Context, *runtime.Args) (runtime.Value, error)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	z := &zones{}
	t := declare.Arg("t", when, "The time: seconds since 1970, RFC 3339 text, or Slack's ts.")
	zone := declare.Opt("zone", runtime.TString, "UTC", "Name of the zone, such as `Europe/Berlin`.")
	return append([]*runtime.Builtin{
		clock("now"), clock("time.now"),
		function("parse", "Read a time.", "float", []runtime.Param{
			declare.Arg("text", runtime.TString, "The text."),
			declare.Opt("format", runtime.TString, nil, "strftime pattern; RFC 3339, or a date alone, if left out."),
			zone,
		}, z.parse,
			runtime.Example{Star: `time.parse("2026-03-01T12:00:00Z")`, Want: `1772366400.0`},
			runtime.Example{Star: `time.parse("1.3.2026 13:00", "%d.%m.%Y %H:%M", "Europe/Berlin")`, Want: `1772366400.0`},
			runtime.Example{Star: `time.parse("soon")`, Fails: true, Want: "not a time"}),
		function("format", "Write a time.", "string", []runtime.Param{
			t, declare.Opt("format", runtime.TString, nil, "strftime pattern; RFC 3339 if left out."), zone,
		}, z.format,
			runtime.Example{Star: `time.format(1772366400, "%a %d %b %Y, %H:%M", "Europe/Berlin")`, Want: `"Sun 01 Mar 2026, 13:00"`},
			runtime.Example{Star: `time.format(0)`, Want: `"1970-01-01T00:00:00Z"`},
			runtime.Example{Star: `time.format(0, "%Q")`, Fails: true, Want: "%Q"}),
		function("unix", "Seconds since 1970, whole.", "int", []runtime.Param{t}, unix,
			runtime.Example{Star: `time.unix("1700000000.000100")`, Want: `1700000000`}),
		function("from_unix", "RFC 3339 text of a number of seconds since 1970.", "string",
			[]runtime.Param{declare.Arg("seconds", runtime.TNumber, "The seconds."), zone}, z.fromUnix,
			runtime.Example{Star: `time.from_unix(0, "Asia/Tokyo")`, Want: `"1970-01-01T09:00:00+09:00"`}),
		function("in_zone", "RFC 3339 text of a time in a zone.", "string",
			[]runtime.Param{t, declare.Arg("zone", runtime.TString, "Name of the zone.")}, z.inZone,
			runtime.Example{Star: `time.in_zone("2026-07-01T12:00:00Z", "Europe/Berlin")`, Want: `"2026-07-01T14:00:00+02:00"`},
			runtime.Example{Star: `time.in_zone(0, "Mars")`, Fails: true, Want: `"Mars" is not a time zone`}),
		function("weekday", "Name of the day of the week, in English and lower case.", "string", []runtime.Param{t, zone}, z.weekday,
			runtime.Example{Star: `time.weekday("2026-03-01")`, Want: `"sunday"`}),
		function("parts", "The fields of a time.", "dict: `year month day hour minute second weekday yearday`", []runtime.Param{t, zone}, z.parts,
			runtime.Example{
				Star: `time.parts(0)`,
				Want: `{"year":1970,"month":1,"day":1,"hour":0,"minute":0,"second":0,"weekday":"thursday","yearday":1}`,
			}),
	}, arithmetic()...)
}

func arithmetic() []*runtime.Builtin {
	t := declare.Arg("t", when, "The time: seconds since 1970, RFC 3339 text, or Slack's ts.")
	return []*runtime.Builtin{
		function("add", "A time so much later.", "as t: a number, or RFC 3339 text in the same zone", []runtime.Param{
			t, declare.Arg("duration", runtime.TDuration|runtime.TString|runtime.TNumber, "Such as `\"1h30m\"`, `\"-2d\"`, or seconds."),
		}, add,
			runtime.Example{Star: `time.add(100, "1m")`, Want: `160.0`},
			runtime.Example{Star: `time.add("2026-03-01T12:00:00+01:00", "-1d")`, Want: `"2026-02-28T12:00:00+01:00"`}),
		function("sub", "How many seconds a time is after another.", "float", []runtime.Param{
			declare.Arg("a", when, "The later time."), declare.Arg("b", when, "The earlier time."),
		}, sub,
			runtime.Example{Star: `time.sub("2026-03-01", "2026-02-28")`, Want: `86400.0`}),
		function("parse_duration", "Seconds of a duration.", "float",
			[]runtime.Param{declare.Arg("text", runtime.TString, "Such as `90s`, `1h30m`, `2d` or `1w`.")},
			func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
				d, err := duration("time.parse_duration", a.Text("text"))
				return d.Seconds(), err
			},
			runtime.Example{Star: `time.parse_duration("1h30m")`, Want: `5400.0`},
			runtime.Example{Star: `time.parse_duration("long")`, Fails: true, Want: "is not a duration"}),
		function("format_duration", "A duration in words as short as they come.", "string",
			[]runtime.Param{declare.Arg("seconds", runtime.TNumber, "The seconds.")}, formatDuration,
			runtime.Example{Star: `time.format_duration(93784)`, Want: `"1d2h3m4s"`}),
	}
}

func function(name, doc, result string, params []runtime.Param, f fn, ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "time." + name, Doc: doc, Params: params, Result: result,
		Purity: runtime.Pure, Since: declare.Since, Examples: ex, Fn: f,
	}
}

// clock is the start of the run: it stands still, so that every pass over the
// run sees the same.
func clock(name string) *runtime.Builtin {
	return &runtime.Builtin{
		Name: name, Doc: "The time at which the run began, in seconds since 1970.",
		Long:   "It does not move while the run goes on.",
		Result: "float", Purity: runtime.Ambient, Since: declare.Since,
		Examples: []runtime.Example{{Star: name + `() > 0`, Want: `true`}},
		Fn: func(x *runtime.Context, _ *runtime.Args) (runtime.Value, error) {
			return seconds(x.Now), nil
		},
	}
}

// seconds keeps microseconds, which is what a float holds of a time near now.
func seconds(t gotime.Time) float64 {
	return float64(t.Unix()) + float64(t.Nanosecond()/1000)/1e6
}

// The years within which times lie.
const minUnix, maxUnix = -62135596800, 253402300799

// instant reads a time. A number or ts is in UTC, a text in its own zone.
func instant(name string, v runtime.Value) (gotime.Time, error) {
	switch v := v.(type) {
	case int64:
		return ofSeconds(name, float64(v))
	case float64:
		return ofSeconds(name, v)
	case string:
		if len(v) <= 64 {
			for _, l := range []string{gotime.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
				if t, err := gotime.Parse(l, v); err == nil {
					return t, nil
				}
			}
			if f, err := strconv.ParseFloat(v, 64); err == nil && strings.Trim(v, "-0123456789.") == "" {
				return ofSeconds(name, f)
			}
		}
		return gotime.Time{}, declare.Hint("write \"2026-03-01T12:00:00Z\", a date, or seconds since 1970", "time.%s: %q is not a time", name, clip(v))
	}
	return gotime.Time{}, declare.Hint("", "time.%s: a %s is not a time", name, runtime.TypeName(v))
}

func ofSeconds(name string, f float64) (gotime.Time, error) {
	if !(f >= minUnix && f <= maxUnix) {
		return gotime.Time{}, declare.Hint("seconds, not milliseconds?", "time.%s: %g lies beyond the years 1 to 9999", name, f)
	}
	whole, frac := math.Modf(f)
	return gotime.Unix(int64(whole), int64(math.Round(frac*1e6))*1000).UTC(), nil
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

func arg(a *runtime.Args, name string) (gotime.Time, error) {
	v, _ := a.Get(name)
	return instant(strings.TrimPrefix(a.Builtin.Name, "time."), v)
}

func unix(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	t, err := arg(a, "t")
	return t.Unix(), err
}

func duration(name string, v runtime.Value) (gotime.Duration, error) {
	sign := gotime.Duration(1)
	if s, ok := v.(string); ok {
		if rest, neg := strings.CutPrefix(s, "-"); neg {
			sign, v = -1, rest
		}
	}
	d, err := runtime.ToDuration(v)
	if err != nil {
		return 0, declare.Hint("", "%s: %v", name, err)
	}
	return sign * d, nil
}

func add(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	t, err := arg(a, "t")
	if err != nil {
		return nil, err
	}
	given, _ := a.Get("duration")
	d, err := duration("time.add", given)
	if err != nil {
		return nil, err
	}
	t = t.Add(d)
	if u := t.Unix(); u < minUnix || u > maxUnix {
		return nil, declare.Hint("", "time.add: the result lies beyond the years 1 to 9999")
	}
	if v, _ := a.Get("t"); isText(v) {
		return t.Format(gotime.RFC3339Nano), nil
	}
	return seconds(t), nil
}

// isText tells RFC 3339 text from numbers, also those written as Slack's ts.
func isText(v runtime.Value) bool {
	s, ok := v.(string)
	return ok && strings.Contains(s[1:], "-")
}

func sub(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	later, err := arg(a, "a")
	if err != nil {
		return nil, err
	}
	earlier, err := arg(a, "b")
	if err != nil {
		return nil, err
	}
	return seconds(later) - seconds(earlier), nil
}

func formatDuration(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	f := a.Float("seconds", 0)
	if !(math.Abs(f) < 1e12) {
		return nil, declare.Hint("", "time.format_duration: %g is too long", f)
	}
	return DurationText(f), nil
}

// DurationText writes seconds as days, hours, minutes and seconds.
func DurationText(f float64) string {
	if f < 0 {
		return "-" + DurationText(-f)
	}
	var b strings.Builder
	rest := int64(f)
	for _, u := range []struct {
		name string
		n    int64
	}{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}} {
		if k := rest / u.n; k > 0 {
			b.WriteString(strconv.FormatInt(k, 10) + u.name)
			rest -= k * u.n
		}
	}
	if b.Len() == 0 {
		if ms := int64(f * 1000); ms > 0 {
			return strconv.FormatInt(ms, 10) + "ms"
		}
		return "0s"
	}
	return b.String()
}

// zones keeps loaded zones; there are fewer than maxZones names, so more are
// aliases that somebody makes up. Safe for concurrent use.
type zones struct {
	mu     sync.Mutex
	loaded map[string]*gotime.Location
}

const maxZones = 700

// zoneSteps is the fuel for a zone, loaded or not: it must not depend on what
// other scripts did.
const zoneSteps = 200

func (z *zones) get(x *runtime.Context, a *runtime.Args) (*gotime.Location, error) {
	name := a.Text("zone")
	if name == "" || name == "UTC" {
		return gotime.UTC, nil
	}
	if err := declare.Charge(x, zoneSteps); err != nil {
		return nil, err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if l := z.loaded[name]; l != nil {
		return l, nil
	}
	l, err := gotime.LoadLocation(name)
	if err != nil || name == "Local" || len(name) > 64 {
		return nil, declare.Hint("such as \"Europe/Berlin\"", "%s: %q is not a time zone", a.Builtin.Name, clip(name))
	}
	if z.loaded == nil || len(z.loaded) >= maxZones {
		z.loaded = map[string]*gotime.Location{}
	}
	z.loaded[name] = l
	return l, nil
}

// in returns the argument t in the argument zone.
func (z *zones) in(x *runtime.Context, a *runtime.Args, param string) (gotime.Time, error) {
	t, err := arg(a, param)
	if err != nil {
		return t, err
	}
	l, err := z.get(x, a)
	if err != nil {
		return t, err
	}
	return t.In(l), nil
}

func (z *zones) inZone(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	t, err := z.in(x, a, "t")
	return t.Format(gotime.RFC3339Nano), err
}

func (z *zones) fromUnix(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	t, err := z.in(x, a, "seconds")
	return t.Format(gotime.RFC3339Nano), err
}

func (z *zones) weekday(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	t, err := z.in(x, a, "t")
	return strings.ToLower(t.Weekday().String()), err
}

func (z *zones) parts(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	t, err := z.in(x, a, "t")
	if err != nil {
		return nil, err
	}
	return runtime.NewDict(
		"year", int64(t.Year()), "month", int64(t.Month()), "day", int64(t.Day()),
		"hour", int64(t.Hour()), "minute", int64(t.Minute()), "second", int64(t.Second()),
		"weekday", strings.ToLower(t.Weekday().String()), "yearday", int64(t.YearDay())), nil
}

func (z *zones) format(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	t, err := z.in(x, a, "t")
	if err != nil {
		return nil, err
	}
	if !a.Has("format") {
		return t.Format(gotime.RFC3339Nano), nil
	}
	if err := declare.Charge(x, len(a.Text("format"))); err != nil {
		return nil, err
	}
	s, err := Format(t, a.Text("format"))
	if err != nil {
		return nil, declare.Hint("", "time.format: %v", err)
	}
	return s, nil
}

func (z *zones) parse(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	l, err := z.get(x, a)
	if err != nil {
		return nil, err
	}
	text := a.Text("text")
	if a.Has("format") {
		if err := declare.Charge(x, len(a.Text("format"))); err != nil {
			return nil, err
		}
		t, err := Parse(text, a.Text("format"), l)
		if err != nil {
			return nil, declare.Hint("", "time.parse: %v", err)
		}
		return seconds(t), nil
	}
	t, err := instant("parse", text)
	if err != nil {
		return nil, err
	}
	// A text without an offset is local to the zone.
	if _, err := gotime.Parse(gotime.RFC3339Nano, text); err != nil && strings.Contains(text[1:], "-") {
		t = gotime.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), l)
	}
	return seconds(t), nil
}
