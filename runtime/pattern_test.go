package runtime_test

import (
	"errors"
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
)

func TestPatternsAreBoundedExactly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ pattern, want string }{
		"plain":               {`^(?i)\s*deploy\s+(?P<app>[\w-]{1,40})$`, ""},
		"as often as allowed": {"a{50}", ""},
		"once more":           {"a{51}", "make 51, the limit is 50"},
		"an upper count":      {"a{0,51}", "limit is 50"},
		"no upper count":      {"a{50,}", ""},
		"nested":              {"(a{5}){10}", ""},
		"nested too far":      {"(a{10}){6}", "make 60"},
		"side by side":        {"a{50}b{50}", ""},
		"as large as allowed": {strings.Repeat("a", runtime.MaxProgram-2), ""},
		"megabytes":           {strings.Repeat("] ", 1<<20), "2097152 bytes, the limit is 16384"},
		"one larger":          {strings.Repeat("a", runtime.MaxProgram-1), "501 instructions, the limit is 500"},
	} {
		n, err := runtime.CheckPattern(c.pattern)
		if c.want == "" && (err != nil || n == 0 || n > runtime.MaxProgram) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %d instructions, %v", name, n, err)
		}
	}
	var se *syntax.Error
	if _, err := runtime.CheckPattern("(a"); !errors.As(err, &se) {
		t.Errorf("a pattern that does not parse: %v", err)
	}
	long := strings.Repeat("x", runtime.MaxMatchText+1)
	if len(runtime.MatchText(long)) != runtime.MaxMatchText || runtime.MatchText(long[1:]) != long[1:] {
		t.Error("the text is not cut at the bound")
	}
}
