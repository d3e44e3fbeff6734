package time_test

import (
	"strings"
	"testing"
	gotime "time"

	"github.com/starling-rules/starling/stdlib/internal/declaretest"
	"github.com/starling-rules/starling/stdlib/time"
)

func TestNowIsTheStartOfTheRun(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, time.Builtins())
	s.X.Now = gotime.Unix(1_700_000_000, 123_456_789)
	s.Equal(s.JSON("now"), "1.700000000123456e+09")
	s.Equal(s.JSON("time.now"), "1.700000000123456e+09")
}

func TestWhateverStandsForATime(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, time.Builtins())
	for _, v := range []any{int64(1_772_366_400), 1_772_366_400.5, "1772366400", "1772366400.000100", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", "2026-03-01 12:00:00"} {
		s.Equal(s.JSON("time.unix", v), "1772366400")
	}
	for _, bad := range []any{"", "-", ".", "1e5", "tomorrow", "2026-02-30", "2026-13-01", "0x10", strings.Repeat("1", 65), int64(1_700_000_000_000_0), "NaN"} {
		if v, err := s.Call("time.unix", bad); err == nil {
			t.Errorf("%v: got %v", bad, v)
		}
	}
}

func TestParseReadsWhatFormatWrites(t *testing.T) {
	t.Parallel()
	berlin, err := gotime.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%Y-%m-%d %H:%M:%S", "%d %b %Y %I:%M:%S %p", "%A, %B %e %Y %T", "%s", "%FT%T%z", "%y%m%d%H%M%S", "100%% %F %T", "%a %d %b %Y %H:%M:%S.%f"} {
		for _, unix := range []int64{0, 951_825_599, 1_772_366_400, 1_774_746_000, 1_793_000_000} {
			at := gotime.Unix(unix, 0).In(berlin)
			text, err := time.Format(at, format)
			if err != nil {
				t.Fatal(err)
			}
			got, err := time.Parse(text, format, berlin)
			if err != nil || got.Unix() != unix {
				t.Errorf("%s: %q gave %v, want %v, %v", format, text, got, at, err)
			}
		}
	}
}

func TestFormatDirectives(t *testing.T) {
	t.Parallel()
	at := gotime.Date(2026, 1, 4, 3, 5, 6, 7_000, gotime.UTC)
	for format, want := range map[string]string{"%j": "004", "%u": "7", "%V": "01", "%e": "4", "%f": "000007", "%Z": "UTC", "%%Y": "%Y", "": ""} {
		if got, err := time.Format(at, format); err != nil || got != want {
			t.Errorf("%s: got %q, want %q, %v", format, got, want, err)
		}
	}
	for _, bad := range []string{"%", "%Q", "a%", "% Y", strings.Repeat("x", 257)} {
		if got, err := time.Format(at, bad); err == nil {
			t.Errorf("%s: got %q", bad, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"30.02.2026", "%d.%m.%Y"},
		{"30.02.2026 23", "%d.%m.%Y %H"},
		{"1", "%d.%m"},
		{"1.1 ", "%d.%m"},
		{"25", "%H"},
		{"13", "%I"},
		{"Foo", "%b"},
		{"", "%Y"},
		{"+1", "%z"},
		{"x", "%Q"},
		{"2026", "%"},
		{"007", "%j"},
		{"99999999999999", "%s"},
	} {
		if got, err := time.Parse(c[0], c[1], gotime.UTC); err == nil {
			t.Errorf("%q as %s: got %v", c[0], c[1], got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1.3.2026 13:00", "%d.%m.%Y %H:%M")
	f.Add("PM", "%p%")
	f.Add("+01:00", "%z")
	f.Fuzz(func(t *testing.T, text, format string) {
		at, err := time.Parse(text, format, gotime.UTC)
		if err != nil {
			return
		}
		if _, err := time.Format(at, "%F %T %s"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestZones(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, time.Builtins())
	s.Equal(s.JSON("time.parse", "2026-07-01 14:00:00", nil, "Europe/Berlin"), "1782907200.0")
	s.Equal(s.JSON("time.parse", "2026-07-01T14:00:00Z", nil, "Europe/Berlin"), "1782914400.0")
	s.Equal(s.JSON("time.weekday", "2026-03-01T23:30:00Z", "Asia/Tokyo"), `"monday"`)
	for _, bad := range []string{"Local", "Mars", "../etc/passwd", "/etc/localtime", strings.Repeat("A", 100)} {
		s.Fails("is not a time zone", "time.in_zone", int64(0), bad)
	}
}

func TestAdd(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, time.Builtins())
	s.Equal(s.JSON("time.add", "2026-12-31T23:00:00-05:00", "2h"), `"2027-01-01T01:00:00-05:00"`)
	s.Equal(s.JSON("time.add", "1700000000.000100", int64(1)), "1.7000000010001e+09")
	s.Equal(s.JSON("time.add", int64(-10), "-10s"), "-20.0")
	s.Equal(s.JSON("time.sub", int64(0), "1970-01-01T00:00:00.5Z"), "-0.5")
	s.Fails("is not a duration", "time.add", int64(0), "soon")
	s.Fails("beyond the years", "time.add", "9999-12-31", "52w")
	s.Fails("not a time", "time.add", "", "1s")
}

func TestDurationText(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0: "0s", 0.25: "250ms", 61: "1m1s", 86400: "1d", -90: "-1m30s", 3600.9: "1h"} {
		if got := time.DurationText(f); got != want {
			t.Errorf("%v: got %s, want %s", f, got, want)
		}
	}
}
