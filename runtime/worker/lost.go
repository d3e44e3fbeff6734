package worker

import (
	"time"

	"github.com/starling-rules/starling/runtime"
)

// lost tells how much time a machine has lost: it stood still, or a host gave
// its processors to others. To the processes on it that looks as if they had
// computed for long. It is looked at while passes are under way that take longer
// than longAfter. Pool.mu guards it.
type lost struct {
	looked time.Time
	stolen time.Duration // at that time
	spells []spell       // the last of them, oldest first
}

// spell is that at some time it was found that so much was lost just before.
type spell struct {
	at   time.Time
	lost time.Duration
}

const (
	// lookEvery is how often a look is taken, at least; what is lost between two
	// that are further apart than lookApart is not counted.
	lookEvery = 50 * time.Millisecond
	lookApart = 4 * lookEvery
	// late is by how much a timer is late on a busy machine that is all there.
	late = 10 * time.Millisecond
	// What must have been lost to excuse a pass that is known to be quick, and a
	// load, is such a part of the deadline, but excusedFrom at least. A load may
	// well take as long by itself. maxExcused is how often one is.
	excusedBy     = 8
	loadExcusedBy = 2
	excusedFrom   = 25 * time.Millisecond
	maxExcused    = 2
	maxSpells     = 64
)

// look notes what was lost since the last look, given by how much the timer of
// that look was late.
func (l *lost) look(now time.Time, lag time.Duration, stolen func() time.Duration) {
	since := now.Sub(l.looked)
	if lag <= late && since < lookEvery {
		return
	}
	sum := stolen()
	gone := sum - l.stolen
	if since > lookApart+lag {
		gone = 0
	}
	if lag > late {
		gone = max(gone, lag)
	}
	l.looked, l.stolen = now, sum
	if gone = min(gone, since); gone > 0 {
		if len(l.spells) == maxSpells {
			l.spells = append(l.spells[:0], l.spells[maxSpells/2:]...)
		}
		l.spells = append(l.spells, spell{now, gone})
	}
}

// since is what was lost between then and now.
func (l *lost) since(then time.Time) (sum time.Duration) {
	for i := len(l.spells) - 1; i >= 0 && l.spells[i].at.After(then); i-- {
		sum += l.spells[i].lost
	}
	return sum
}

// excuse puts a task in line again that has missed its deadline while the machine
// was not there for a part of the time, if it is a load or known to be quick:
// neither has effects of its own. p.mu is held.
func (p *Pool) excuse(t *task, began time.Time) bool {
	if t.settled || p.closed || t.excused == maxExcused || !t.load && !t.quick() {
		return false
	}
	now := time.Now()
	p.lost.look(now, max(0, now.Sub(p.longDue)), stolenTime)
	least := t.limits.Deadline / excusedBy
	if t.load {
		least = t.limits.Deadline / loadExcusedBy
	}
	if p.lost.since(began) < max(least, excusedFrom) {
		return false
	}
	t.excused++
	p.stats.Excused++
	p.requeue(t)
	return true
}

// missed reports whether an error is the end of a pass or a load at its deadline.
func missed(err *runtime.Error) bool {
	return err != nil && err.Kind == runtime.LimitError && err.Limit == runtime.LimitDeadline
}
