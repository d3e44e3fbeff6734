package worker

import (
	"time"

	"github.com/starling-rules/starling/runtime"
)

// crew is the workers of one priority, spares aside, and the passes that wait
// for one of them. A lane that has waiting passes in several lines has them in
// the earlier ones first. Pool.mu guards it.
type crew struct {
	idle      []*worker // last in, first out: the warmest next
	busy      int
	busyOther int // workers that are busy with a pass of another line than quick
	lines     [lines]taskList
	turn      bool      // those who wait for long have their turn
	lastQuick time.Time // when a quick pass was put in line
}

// The lines of a crew, in the order in which passes are taken from them.
const (
	// quick: the pass is known to be quick, and its script is loaded.
	quick = iota
	// toLoad: it is known to be quick, but its script has to be loaded first.
	// That takes longer than most passes, and one after the other many scripts
	// that are hardly used would hold up those that are.
	toLoad
	// rest: it takes long, or nothing is known of it.
	rest
	lines
)

// waits is how many passes wait.
func (c *crew) waits() (n int) {
	for i := range c.lines {
		n += c.lines[i].len
	}
	return n
}

// put puts a run in line, where it belongs or behind others of its lane.
func (p *Pool) put(c *crew, t *task, now time.Time) {
	t.queued = now
	line := p.lineOf(c, t)
	if line == quick && now.After(c.lastQuick) {
		c.lastQuick = now
	}
	for i := lines - 1; i > line; i-- {
		if c.lines[i].has(t.lane()) {
			line = i
		}
	}
	c.lines[line].pushBack(t)
}

// lineOf is where a run belongs. One of a script that has gone well for long is
// not put behind others because the workers that had the script have ended.
func (p *Pool) lineOf(c *crew, t *task) int {
	switch {
	case !t.quick():
		return rest
	case t.script.trusted(), p.loadedIn(c, t.script.bundle.Digest):
		return quick
	case t.script.loading <= quickPass:
		return toLoad
	}
	return rest
}

// loadedIn reports whether a worker of a crew has a script.
func (p *Pool) loadedIn(c *crew, d runtime.Digest) bool {
	for i := len(c.idle) - 1; i >= 0; i-- {
		if c.idle[i].modules.has(d) {
			return true
		}
	}
	if c.busy == 0 {
		return false
	}
	for w := range p.all {
		if w.state == busy && w.crew == c && w.modules.has(d) {
			return true
		}
	}
	return false
}

// inAny reports whether some lines have passes of a lane.
func inAny(lines []taskList, lane string) bool {
	for i := range lines {
		if lines[i].has(lane) {
			return true
		}
	}
	return false
}

// free notes that a worker is not busy any more.
func (c *crew) free(w *worker) {
	c.busy--
	if w.onOther {
		c.busyOther--
		w.onOther = false
	}
}

// order is that in which the next pass is looked for in the lines: theirs, but
// nothing waits for ever.
func (c *crew) order() [lines]int {
	switch {
	case c.turn && c.overdue(rest) && c.overdue(toLoad):
		return [...]int{rest, toLoad, quick}
	case c.turn && c.overdue(rest):
		return [...]int{rest, quick, toLoad}
	case c.turn && c.overdue(toLoad):
		return [...]int{toLoad, quick, rest}
	}
	return [...]int{quick, toLoad, rest}
}

// overdue reports whether the first of a line has waited for restWaits.
func (c *crew) overdue(line int) bool {
	l := &c.lines[line]
	return l.len > 0 && time.Since(l.head.queued) > restWaits
}

// keepsPlace reports whether a line, in which some wait, has all the workers of a
// crew that it may have: one is kept for quick passes while there are any. Workers
// that are still being started are none; where a start takes long, the others have
// the only one in their turn.
func (p *Pool) keepsPlace(c *crew, line int) bool {
	if line == quick || time.Since(c.lastQuick) >= quickRecently {
		return false
	}
	have := p.places(c)
	if c == &p.main && !p.opt.Own && c.live() < have {
		have = c.live()
		if have == 1 && p.starting > 0 {
			return !c.overdue(line)
		}
	}
	return c.busyOther > 0 && c.busyOther >= have-1
}

func (c *crew) live() int { return c.busy + len(c.idle) }

// take takes the worker that became idle last among those that suit.
func (c *crew) take(suits func(*worker) bool) *worker {
	for i := len(c.idle) - 1; i >= 0; i-- {
		if w := c.idle[i]; suits(w) {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			return w
		}
	}
	return nil
}

func anyWorker(*worker) bool { return true }

// crewOf returns the workers that a task is for.
func (p *Pool) crewOf(t *task) *crew {
	if t.slow {
		return &p.slow
	}
	return &p.main
}

// places is the number of passes that a crew makes at the same time.
func (p *Pool) places(c *crew) int {
	if c == &p.slow {
		return p.opt.Slow
	}
	return p.opt.Workers + p.extra
}

// tooMany reports whether a crew has a worker more than it should.
func (p *Pool) tooMany(c *crew) bool {
	if p.opt.Own && c == &p.main {
		return p.main.live()+p.slow.live() > max(p.opt.Bound, p.places(c))
	}
	return c.live() > p.places(c)
}

// replenish gives spares a place and starts what is missing. p.mu is held.
func (p *Pool) replenish() {
	if p.closed {
		return
	}
	missing := 0
	if !p.opt.Own {
		target := p.places(&p.main)
		for p.main.live() < target && len(p.spares) > 0 {
			w := p.takeSpare()
			w.state, w.crew = idle, &p.main
			p.main.idle = append(p.main.idle, w)
		}
		missing = max(0, target-p.main.live())
	}
	reserve := max(p.opt.Spare, p.wanted)
	if p.retries.len > 0 { // which wait for a fresh worker
		reserve = max(reserve, 1)
	}
	for len(p.spares) > reserve {
		p.condemn(p.spares[0], endRetired)
	}
	missing += reserve - len(p.spares) - p.starting
	if p.failures > 0 && missing > 0 {
		if !p.restarted {
			p.setRestart()
			return
		}
		p.restarted = false
		missing = min(missing, 1-p.starting)
	}
	for ; missing > 0; missing-- {
		p.starting++
		p.procs.Add(1)
		go func() { _, _ = p.start() }()
	}
}

// takeSpare takes the oldest spare, or returns nil.
func (p *Pool) takeSpare() *worker {
	if len(p.spares) == 0 {
		return nil
	}
	w := p.spares[0]
	p.spares = p.spares[1:]
	return w
}

// takeFresh takes a worker in which no script has run, for a task that must
// not share one; if need be beyond the number that there should be: it leaves
// after the pass.
func (p *Pool) takeFresh() *worker {
	if !p.opt.Own {
		if w := p.main.take((*worker).fresh); w != nil {
			return w
		}
	}
	return p.takeSpare()
}

// workerFor takes a worker of c that may take up t now, or returns nil.
func (p *Pool) workerFor(c *crew, t *task) *worker {
	if p.opt.Own {
		owner := t.owner()
		if w := c.take(func(w *worker) bool { return w.owner == owner }); w != nil {
			return w
		}
		return p.recruit(c)
	}
	digest := t.script.bundle.Digest
	if w := c.take(func(w *worker) bool { return !t.load && w.modules.has(digest) }); w != nil {
		return w
	}
	if w := c.take(anyWorker); w != nil {
		return w
	}
	if c == &p.slow {
		return p.recruit(c)
	}
	return nil
}

// recruit takes a spare into a crew, for a script that has none there; another
// script's worker makes room for it. Without a spare, one is wanted.
func (p *Pool) recruit(c *crew) *worker {
	if len(p.spares) == 0 {
		p.wanted = min(p.wanted+1, p.places(c)-c.busy)
		return nil
	}
	if c == &p.slow && c.live() >= p.opt.Slow {
		if len(c.idle) == 0 {
			return nil
		}
		p.condemn(c.idle[0], endRetired)
	}
	if p.opt.Own && p.main.live()+p.slow.live() >= p.opt.Bound && len(p.main.idle) > 0 {
		p.condemn(p.main.idle[0], endRetired) // the least recently used
	}
	return p.takeSpare()
}

// onStall lets further workers stand in for those held up by long passes, and
// frees what waits behind a long pass in its worker.
func (p *Pool) onStall() {
	p.mu.Lock()
	p.stallSet = false
	if p.closed {
		p.mu.Unlock()
		return
	}
	batches, held := p.freeFollowers()
	if p.waiting() > 0 {
		if want := min(held, p.opt.Burst); want > p.extra {
			p.extra = want
			p.shrinkLater()
		}
		p.replenish()
		batches = append(batches, p.schedule()...)
	}
	p.setStall()
	p.mu.Unlock()
	send(batches)
}

// freeFollowers takes back what was written behind passes that take long. It
// returns how many workers these hold: those that are given no processor do
// not count, because another worker would be given none either.
func (p *Pool) freeFollowers() (batches []batch, held int) {
	since := time.Now().Add(-stallAfter)
	for w := range p.all {
		if w.state != busy || len(w.flights) == 0 {
			continue
		}
		at, began := w.current()
		if !began.Before(since) {
			continue
		}
		if w.crew == &p.main && w.patience.worked(stallAfter/4) {
			held++
		}
		if next := at + 1; next < len(w.flights) && w.flights[next].follows && w.unwritten.Load() == 0 {
			batches = append(batches, p.takeBack(w, next))
			w.patience.begin()
		}
	}
	return batches, held
}

// setStall sees to it that long passes are looked for while anything waits,
// in the pool or in a worker. p.mu is held.
func (p *Pool) setStall() {
	if p.stallSet || p.closed || p.waiting() == 0 && p.followers() == 0 {
		return
	}
	p.stallSet = true
	p.stall.Reset(stallAfter)
}

// followers counts the runs that wait in workers.
func (p *Pool) followers() int {
	n := 0
	for w := range p.all {
		if len(w.flights) > 1 && w.flights[1].follows {
			n += len(w.flights) - 1
		}
	}
	return n
}

// shrinkLater sees to it that workers which are not needed are sent away.
func (p *Pool) shrinkLater() {
	if !p.shrinkSet && !p.closed {
		p.shrinkSet = true
		p.shrink.Reset(shrinkAfter)
	}
}

// onShrink sends away stand-ins that are not needed any more, and workers of
// low priority when no script is slow.
func (p *Pool) onShrink() {
	p.mu.Lock()
	p.shrinkSet = false
	if p.closed {
		p.mu.Unlock()
		return
	}
	if held := p.heldUp(); held < p.extra {
		p.extra = max(held, p.extra/2)
	}
	for p.tooMany(&p.main) && len(p.main.idle) > 0 {
		p.condemn(p.main.idle[0], endRetired)
	}
	p.settleAccounts(time.Now())
	if len(p.accounts) == 0 {
		for len(p.slow.idle) > 0 {
			p.condemn(p.slow.idle[0], endRetired)
		}
	}
	if p.extra > 0 || p.tooMany(&p.main) || p.slow.live() > 0 {
		p.shrinkLater()
	}
	batches := p.schedule() // whoever was forgiven may have something that waits
	p.mu.Unlock()
	send(batches)
}

// heldUp counts the workers whose pass takes long.
func (p *Pool) heldUp() (held int) {
	since := time.Now().Add(-stallAfter)
	for w := range p.all {
		if w.state != busy || w.crew != &p.main || len(w.flights) == 0 {
			continue
		}
		if _, began := w.current(); began.Before(since) && w.patience.worked(stallAfter/4) {
			held++
		}
	}
	return held
}
