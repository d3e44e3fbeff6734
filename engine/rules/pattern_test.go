package rules_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// TestPatternsThatTakeLongAreRefused: the server itself runs a rule's pattern.
func TestPatternsThatTakeLongAreRefused(t *testing.T) {
	t.Parallel()
	b := runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte("x")}, nil)
	for pattern, want := range map[string]string{
		"(.*){1,1000}b":                       "the repeat counts of the pattern make 1000, the limit is 50",
		`[\pL\pN]{51}b`:                       "the limit is 50",
		strings.Repeat("(a|b|.*)", 120) + "c": "the pattern is too large",
		`^deploy (\S{1,50})$`:                 "",
	} {
		reg := runtime.Registration{Name: "on.message", Pos: runtime.Position{Path: "a.star", Line: 1, Col: 1}, Args: runtime.NewDict("regex", pattern, "fn", runtime.Unknown{})}
		_, errs := rules.Declared(b, []runtime.Registration{reg}, []bool{false}, nil)
		if got := errs.Error(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%.20s: got %q, want %q", pattern, got, want)
		}
	}
}

// TestPatternsLookAtTheBeginningOfLongTexts holds the other factor of the time.
func TestPatternsLookAtTheBeginningOfLongTexts(t *testing.T) {
	t.Parallel()
	s := set(t, on("message", "regex", "needle"))
	for pad, want := range map[int]int{100: 1, runtime.MaxMatchText: 0} {
		if got := s.Match(message(strings.Repeat("x", pad)+"needle"), nil); len(got) != want {
			t.Errorf("%d bytes before it: %d rules matched, want %d", pad, len(got), want)
		}
	}
}
