package runtime

import (
	"fmt"
	"regexp/syntax"
)

// Bounds of the regular expressions that scripts bring. RE2 never backtracks,
// but a search costs the size of the program times the length of the text, and
// nobody can interrupt it: 24 s for (.*){1,1000}b on a message of 40 KB.
const (
	MaxSource    = 16 << 10 // bytes of a pattern: to parse one takes 300 times its size
	MaxRepeat    = 50       // counts in {n,m}, nested ones multiplied
	MaxProgram   = 500      // instructions of the compiled pattern
	MaxMatchText = 8 << 10  // bytes of a text that are looked at
)

// CheckPattern parses an RE2 pattern and returns the number of its
// instructions. The error is a *syntax.Error, or tells which bound is exceeded.
func CheckPattern(pattern string) (int, error) {
	if n := len(pattern); n > MaxSource {
		return 0, fmt.Errorf("the pattern has %d bytes, the limit is %d", n, MaxSource)
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	if n := repeats(tree); n > MaxRepeat {
		return 0, fmt.Errorf("the repeat counts of the pattern make %d, the limit is %d", n, MaxRepeat)
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return 0, err
	}
	if n := len(prog.Inst); n > MaxProgram {
		return 0, fmt.Errorf("the pattern is too large: %d instructions, the limit is %d", n, MaxProgram)
	}
	return len(prog.Inst), nil
}

// repeats is the greatest product of nested repeat counts.
func repeats(t *syntax.Regexp) int {
	inner := 1
	for _, sub := range t.Sub {
		inner = max(inner, repeats(sub))
	}
	if t.Op == syntax.OpRepeat {
		return inner * max(t.Min, t.Max, 1)
	}
	return inner
}

// MatchText is the part of a text that patterns look at.
func MatchText(text string) string {
	if len(text) <= MaxMatchText {
		return text
	}
	return text[:MaxMatchText]
}
