package wait

import (
	"cmp"
	"strconv"
	"strings"
)

// Point names one wait of a run. A run waits once for the result of a step, as
// a rule; where that was answered in vain (the trigger_id that came is too old),
// it waits there again, in the next round. What is meant for one round, a click,
// a timer, a continuation, means nothing to another.
type Point struct {
	Step, Round int
}

// Point is where the run waits.
func (w *Wait) Point() Point { return Point{w.Step, w.Round} }

// Before reports whether the run comes to p before it comes to q.
func (p Point) Before(q Point) bool {
	return cmp.Or(cmp.Compare(p.Step, q.Step), cmp.Compare(p.Round, q.Round)) < 0
}

// String is the stored form: 3, or 3~1 in the second round.
func (p Point) String() string {
	if p.Round == 0 {
		return strconv.Itoa(p.Step)
	}
	return strconv.Itoa(p.Step) + "~" + strconv.Itoa(p.Round)
}

// ParsePoint reads what String wrote.
func ParsePoint(s string) (p Point, ok bool) {
	step, round, again := strings.Cut(s, "~")
	var err error
	if p.Step, err = strconv.Atoi(step); err != nil || p.Step < 0 {
		return Point{}, false
	}
	if !again {
		return p, true
	}
	if p.Round, err = strconv.Atoi(round); err != nil || p.Round < 1 {
		return Point{}, false
	}
	return p, true
}
