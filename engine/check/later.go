package check

import (
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// gone refuses a function that is written where it is given to after: it is
// made in the run, and no run to come has it. lines are those of the file.
func (c *call) gone(lines []string) *runtime.Error {
	a := c.args["fn"]
	if c.Name != "after" || c.Func == "" || a == nil || a.Pos.Line < 1 || a.Pos.Line > len(lines) {
		return nil
	}
	line := lines[a.Pos.Line-1]
	if a.Pos.Col < 1 || a.Pos.Col > len(line) {
		return nil
	}
	rest := line[a.Pos.Col-1:]
	for _, word := range [...]string{"lambda", "function"} {
		if after, ok := strings.CutPrefix(rest, word); ok && (after == "" || strings.ContainsAny(after[:1], " :(")) {
			return c.fail(a, "use a function that is defined at the top level of a file", "fn: a function that is made in the run is gone after it")
		}
	}
	return nil
}
