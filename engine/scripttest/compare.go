package scripttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/starling-rules/starling/runtime"
)

// What t.like makes is a regular expression: plain data, so that it can stand
// anywhere in what a test expects. A glob is one between these.
const (
	globBegin = `(?s)\A`
	globEnd   = `\z`
)

// globRegexp is the regular expression of a text in which * stands for anything.
func globRegexp(g string) string {
	parts := strings.Split(g, "*")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return globBegin + strings.Join(parts, ".*") + globEnd
}

// likeText is a pattern as its author wrote it.
func likeText(r runtime.Regexp) string {
	body, ok := strings.CutPrefix(r.Pattern, globBegin)
	body, ended := strings.CutSuffix(body, globEnd)
	if !ok || !ended {
		return "like(re=" + r.Pattern + ")"
	}
	parts := strings.Split(body, ".*")
	for i, p := range parts {
		var b strings.Builder
		for k := 0; k < len(p); k++ {
			if p[k] == '\\' && k+1 < len(p) {
				k++
			}
			b.WriteByte(p[k])
		}
		parts[i] = b.String()
	}
	return "like(" + strings.Join(parts, "*") + ")"
}

// isPattern reports whether a value stands for others.
func isPattern(v runtime.Value) bool {
	_, ok := v.(runtime.Regexp)
	return ok
}

// glob matches a text with a pattern in which * stands for anything.
func glob(pattern, s string) bool {
	head, tail, found := strings.Cut(pattern, "*")
	if !found {
		return pattern == s
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	parts := strings.Split(tail, "*")
	for _, p := range parts[:len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}

// likes reports whether a value, or the JSON of what is no text, fits.
func likes(p runtime.Regexp, v runtime.Value) bool {
	s, ok := v.(string)
	if !ok {
		b, err := runtime.AppendJSON(nil, v)
		if err != nil {
			return false
		}
		s = string(b)
	}
	re, err := regexp.Compile(p.Pattern) // checked where it was made
	return err == nil && re.MatchString(s)
}

// matches reports whether got is what is wanted: texts and numbers equal, lists
// element by element, dicts in the keys that are wanted. None is what is not there.
func matches(want, got runtime.Value) bool {
	if p, ok := want.(runtime.Regexp); ok {
		return got != nil && likes(p, got)
	}
	switch want := want.(type) {
	case *runtime.Dict:
		d, ok := got.(*runtime.Dict)
		if !ok {
			return false
		}
		for _, f := range want.Fields {
			if !matches(f.Value, value(d, f.Key)) {
				return false
			}
		}
		return true
	case runtime.List:
		l, ok := got.(runtime.List)
		return ok && slices.EqualFunc(want, l, matches)
	}
	if equal(want, got) {
		return true
	}
	// A form says "true" and "5" where the script said True and 5.
	if s, ok := got.(string); ok && want != nil {
		switch want := want.(type) {
		case bool:
			return s == strconv.FormatBool(want)
		case int64:
			return s == strconv.FormatInt(want, 10)
		}
	}
	return false
}

// equal compares data: dicts whatever their order, 1 and 1.0 alike.
func equal(a, b runtime.Value) bool {
	if _, ok := b.(runtime.Object); ok {
		a, b = b, a
	}
	switch x := a.(type) {
	case runtime.Object: // a run is itself, and nothing else
		return a == b
	case *runtime.Dict:
		y, ok := b.(*runtime.Dict)
		if !ok || x.Len() != y.Len() {
			return false
		}
		for _, f := range x.Fields {
			v, ok := y.Get(f.Key)
			if !ok || !equal(f.Value, v) {
				return false
			}
		}
		return true
	case runtime.List:
		y, ok := b.(runtime.List)
		return ok && slices.EqualFunc(x, y, equal)
	case int64:
		if y, ok := b.(float64); ok {
			return float64(x) == y
		}
	case float64:
		if y, ok := b.(int64); ok {
			return x == float64(y)
		}
	}
	return bytes.Equal(runtime.Encode(nil, a), runtime.Encode(nil, b))
}

// plain is data without views; a run or an event stands for nothing.
func plain(v runtime.Value) runtime.Value { return runtime.Plain(v) }

// render shows data for people: JSON over lines, patterns as t.like.
func render(v runtime.Value) string {
	if s, ok := v.(string); ok && strings.Contains(s, "\n") {
		return strings.TrimRight(s, "\n") + "\n"
	}
	b, err := runtime.AppendJSON(nil, shown(plain(v)))
	if err != nil {
		return runtime.TypeName(v) + "\n"
	}
	if len(b) <= 100 {
		return string(b) + "\n"
	}
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return string(b) + "\n"
	}
	return out.String() + "\n"
}

func shown(v runtime.Value) runtime.Value {
	switch v := v.(type) {
	case *runtime.Dict:
		out := &runtime.Dict{}
		for _, f := range v.Fields {
			out.Set(f.Key, shown(f.Value))
		}
		return out
	case runtime.List:
		out := make(runtime.List, len(v))
		for i, e := range v {
			out[i] = shown(e)
		}
		return out
	case runtime.Secret:
		return v.String()
	case runtime.Func:
		return "function " + v.Name
	case runtime.Regexp:
		return likeText(v)
	case []byte:
		return string(v)
	}
	return v
}

// lines renders data with each field on a line of its own, for diffs.
func lines(v runtime.Value) string {
	v = shown(plain(v))
	switch s, ok := v.(string); {
	case ok && s == "":
		return ""
	case ok:
		return strings.TrimRight(s, "\n") + "\n"
	}
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		return runtime.TypeName(v) + "\n"
	}
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return string(b) + "\n"
	}
	return out.String() + "\n"
}

// differ is the unified diff of what was wanted and what came.
func differ(want, got runtime.Value) string {
	d := diff.Diff("wanted", []byte(lines(want)), "got", []byte(lines(got)))
	_, d, _ = bytes.Cut(d, []byte("\n")) // "diff wanted got" says nothing more
	return string(d)
}

// like keeps of got what want speaks of, in its order, so that a diff shows
// what matters; what matches a pattern is shown as the pattern.
func like(want, got runtime.Value) runtime.Value {
	if p, ok := want.(runtime.Regexp); ok {
		if got != nil && likes(p, got) {
			return want
		}
		return got
	}
	switch want := want.(type) {
	case *runtime.Dict:
		d, ok := got.(*runtime.Dict)
		if !ok {
			return got
		}
		out := &runtime.Dict{}
		for _, f := range want.Fields {
			if v, ok := d.Get(f.Key); ok {
				out.Set(f.Key, like(f.Value, v))
			}
		}
		return out
	case runtime.List:
		l, ok := got.(runtime.List)
		if !ok {
			return got
		}
		out := make(runtime.List, len(l))
		for i, e := range l {
			out[i] = e
			if i < len(want) {
				out[i] = like(want[i], e)
			}
		}
		return out
	}
	if matches(want, got) {
		return want
	}
	return got
}

// near measures how much of want is in got, to find what was probably meant.
func near(want *runtime.Dict, got *runtime.Dict) int {
	n := 0
	for _, f := range want.Fields {
		if matches(f.Value, value(got, f.Key)) {
			n++
		}
	}
	return n
}

func sortFields(d *runtime.Dict) {
	sort.Slice(d.Fields, func(i, j int) bool { return d.Fields[i].Key < d.Fields[j].Key })
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
