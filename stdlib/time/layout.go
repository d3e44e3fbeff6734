package time

import (
	"fmt"
	"strconv"
	"strings"
	gotime "time"
)

// maxFormat bounds patterns and the texts they are tried on.
const maxFormat = 256

// layouts are Go's words for those directives that it has.
var layouts = [128]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'y': "06", 'j': "002",
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'z': "-0700", 'Z': "MST", 'F': "2006-01-02", 'T': "15:04:05",
}

// Format writes t by a strftime pattern.
func Format(t gotime.Time, format string) (string, error) {
	if len(format) > maxFormat {
		return "", fmt.Errorf("the pattern has %d bytes, the limit is %d", len(format), maxFormat)
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch {
		case i == len(format):
			return "", fmt.Errorf("the pattern ends in %%")
		case format[i] == '%':
			b.WriteByte('%')
		case format[i] == 's':
			b.WriteString(strconv.FormatInt(t.Unix(), 10))
		case format[i] == 'f':
			fmt.Fprintf(&b, "%06d", t.Nanosecond()/1000)
		case format[i] == 'e':
			b.WriteString(strconv.Itoa(t.Day()))
		case format[i] == 'u':
			b.WriteString(strconv.Itoa((int(t.Weekday())+6)%7 + 1))
		case format[i] == 'V':
			_, week := t.ISOWeek()
			fmt.Fprintf(&b, "%02d", week)
		case layouts[format[i]&127] != "" && format[i] < 128:
			b.WriteString(t.Format(layouts[format[i]]))
		default:
			return "", fmt.Errorf("the pattern has %%%c, which means nothing", format[i])
		}
	}
	return b.String(), nil
}

// fields is what has been read of a time.
type fields struct {
	year, month, day, hour, minute, second, nano int
	pm, half                                     bool // %p, %I
	unix                                         int64
	hasUnix                                      bool
	zone                                         *gotime.Location
}

// Parse reads text by a strftime pattern; without %z it is in zone l.
func Parse(text, format string, l *gotime.Location) (gotime.Time, error) {
	if len(format) > maxFormat || len(text) > maxFormat {
		return gotime.Time{}, fmt.Errorf("more than %d bytes", maxFormat)
	}
	f := fields{year: 1970, month: 1, day: 1, zone: l}
	bad := func() error { return fmt.Errorf("%q is not a time of the form %q", clip(text), clip(format)) }
	rest := text
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			if rest == "" || rest[0] != format[i] {
				return gotime.Time{}, bad()
			}
			rest = rest[1:]
			continue
		}
		i++
		if i == len(format) {
			return gotime.Time{}, fmt.Errorf("the pattern ends in %%")
		}
		if !strings.ContainsRune("YmdeHIMSfpybBaAzsFT%", rune(format[i])) {
			return gotime.Time{}, fmt.Errorf("the pattern has %%%c, which cannot be read", format[i])
		}
		var ok bool
		if rest, ok = f.read(format[i], rest); !ok {
			return gotime.Time{}, bad()
		}
	}
	t, ok := f.time()
	if rest != "" || !ok {
		return gotime.Time{}, bad()
	}
	return t, nil
}

// read takes one directive from the start of s.
func (f *fields) read(directive byte, s string) (rest string, ok bool) {
	numbers := map[byte]struct {
		to     *int
		digits int
		lo, hi int
	}{
		'Y': {&f.year, 4, 1, 9999}, 'm': {&f.month, 2, 1, 12}, 'd': {&f.day, 2, 1, 31}, 'e': {&f.day, 2, 1, 31},
		'H': {&f.hour, 2, 0, 23}, 'I': {&f.hour, 2, 1, 12}, 'M': {&f.minute, 2, 0, 59}, 'S': {&f.second, 2, 0, 59},
	}
	if n, is := numbers[directive]; is {
		f.half = f.half || directive == 'I'
		return number(s, n.to, n.digits, n.lo, n.hi)
	}
	switch directive {
	case '%':
		return strings.CutPrefix(s, "%")
	case 'F':
		return f.sequence("Y-m-d", s)
	case 'T':
		return f.sequence("H:M:S", s)
	case 'y':
		rest, ok = number(s, &f.year, 2, 0, 99)
		if f.year += 2000; f.year >= 2069 {
			f.year -= 100
		}
		return rest, ok
	case 'f':
		n := len(s) - len(strings.TrimLeft(s, "0123456789"))
		if n == 0 || n > 9 {
			return s, false
		}
		f.nano, _ = strconv.Atoi((s[:n] + "000000000")[:9])
		return s[n:], true
	case 's':
		n := len(s) - len(strings.TrimLeft(s, "0123456789"))
		v, err := strconv.ParseInt(s[:n], 10, 64)
		f.unix, f.hasUnix = v, true
		return s[n:], err == nil && v <= maxUnix
	case 'p':
		if len(s) < 2 {
			return s, false
		}
		half := strings.ToUpper(s[:2])
		f.pm = half == "PM"
		return s[2:], half == "AM" || half == "PM"
	case 'z':
		return f.offset(s)
	}
	return f.name(directive, s)
}

// sequence reads directives with literals between them.
func (f *fields) sequence(parts, s string) (string, bool) {
	for i := range len(parts) {
		if c := parts[i]; c == '-' || c == ':' {
			if s == "" || s[0] != c {
				return s, false
			}
			s = s[1:]
			continue
		}
		var ok bool
		if s, ok = f.read(parts[i], s); !ok {
			return s, false
		}
	}
	return s, true
}

func number(s string, to *int, digits, lo, hi int) (string, bool) {
	n := 0
	for n < len(s) && n < digits && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, err := strconv.Atoi(s[:n])
	*to = v
	return s[n:], err == nil && v >= lo && v <= hi
}

// name reads the name of a month or a weekday, long before short.
func (f *fields) name(directive byte, s string) (string, bool) {
	cut := func(full string) (string, bool) {
		want := full
		if directive == 'b' || directive == 'a' {
			want = full[:3]
		}
		if len(s) >= len(want) && strings.EqualFold(s[:len(want)], want) {
			return s[len(want):], true
		}
		return s, false
	}
	if directive == 'a' || directive == 'A' {
		for d := gotime.Sunday; d <= gotime.Saturday; d++ {
			if rest, ok := cut(d.String()); ok {
				return rest, true
			}
		}
		return s, false
	}
	for m := gotime.January; m <= gotime.December; m++ {
		if rest, ok := cut(m.String()); ok {
			f.month = int(m)
			return rest, true
		}
	}
	return s, false
}

// offset reads Z, +0100 or +01:00.
func (f *fields) offset(s string) (string, bool) {
	if rest, ok := strings.CutPrefix(s, "Z"); ok {
		f.zone = gotime.UTC
		return rest, true
	}
	if s == "" || (s[0] != '+' && s[0] != '-') {
		return s, false
	}
	var h, m int
	rest, ok := number(s[1:], &h, 2, 0, 14)
	if !ok {
		return s, false
	}
	rest = strings.TrimPrefix(rest, ":")
	if rest, ok = number(rest, &m, 2, 0, 59); !ok {
		return s, false
	}
	secs := h*3600 + m*60
	if s[0] == '-' {
		secs = -secs
	}
	f.zone = gotime.FixedZone("", secs)
	return rest, true
}

// time puts the fields together, and refuses days that no month has.
func (f *fields) time() (gotime.Time, bool) {
	if f.hasUnix {
		return gotime.Unix(f.unix, int64(f.nano)), true
	}
	if f.half {
		f.hour %= 12
		if f.pm {
			f.hour += 12
		}
	}
	t := gotime.Date(f.year, gotime.Month(f.month), f.day, f.hour, f.minute, f.second, f.nano, f.zone)
	whole := gotime.Date(f.year, gotime.Month(f.month), f.day, 0, 0, 0, 0, gotime.UTC)
	return t, whole.Day() == f.day
}
