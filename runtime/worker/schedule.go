package worker

import (
	"slices"
	"time"
)

// What may be written behind another run. The hop costs about as much as a
// small pass, so a batch of these is worth it; behind a long pass nothing is
// to wait.
const (
	// shortPass is how long a script's passes usually take at most if others
	// are to wait behind them; shortBatch bounds what waits together.
	shortPass  = time.Millisecond
	shortBatch = 2 * time.Millisecond
	// shortLane is the same for runs of one lane: other workers cannot take up
	// their successors meanwhile.
	shortLane = 60 * time.Microsecond
	// loadsAlone is how long no pass may have been asked for if scripts are to
	// be loaded by all workers.
	loadsAlone = time.Second
	// scanAhead bounds the search of a queue for something that can start.
	scanAhead = 64
)

// enqueue appends a task to what waits, or ends it. p.mu is held.
func (p *Pool) enqueue(t *task) {
	switch {
	case t.load:
		p.loads.pushBack(t)
		return
	case p.isSlow(t.owner()):
		t.slow = true
		if n := p.slow.waits(); n >= slowWaitingAll || n >= slowWaiting && p.slow.waitsOf(t.owner()) >= slowWaiting {
			t.blame(t.overrun(), 0)
			return
		}
	}
	p.lastRun = time.Now()
	p.put(p.crewOf(t), t, p.lastRun)
}

func (p *Pool) waiting() int {
	return p.main.waits() + p.slow.waits() + p.loads.len + p.retries.len
}

// schedule gives waiting tasks to idle workers, in order. p.mu is held; the
// caller sends the batches after releasing it.
func (p *Pool) schedule() []batch {
	var out []batch
	p.wanted = 0
	for p.retries.len > 0 {
		w := p.takeFresh()
		if w == nil {
			break
		}
		t := p.retries.pop()
		out = append(out, p.assign(p.crewOf(t), w, t))
	}
	for _, c := range [...]*crew{&p.main, &p.slow} {
		for p.hasPlace(c) {
			t, w := p.match(c)
			if t == nil {
				break
			}
			out = append(out, p.assign(c, w, t))
		}
	}
	if p.wanted > 0 {
		p.replenish()
	}
	p.setStall()
	return out
}

// hasPlace reports whether a crew can take up anything.
func (p *Pool) hasPlace(c *crew) bool {
	if c == &p.main && !p.opt.Own {
		return len(c.idle) > 0
	}
	return c.busy < p.places(c)
}

// match takes the next task that a worker of c can begin now, and the worker.
// Runs and loads take turns, and are taken in order from each list.
func (p *Pool) match(c *crew) (*task, *worker) {
	loads := (c == &p.slow) == p.loadsGiveWay()
	if loads && p.loadsNext {
		if t, w := p.matchLoad(c); t != nil {
			return t, w
		}
	}
	for _, line := range c.order() {
		if c.lines[line].len == 0 || p.keepsPlace(c, line) {
			continue
		}
		if t, w := p.matchIn(c, &c.lines[line], c.lines[:line]); t != nil {
			c.lines[line].remove(t)
			p.loadsNext = true
			w.onOther, c.turn = line != quick, line == quick
			return t, w
		}
	}
	if loads && !p.loadsNext {
		return p.matchLoad(c)
	}
	return nil, nil
}

// matchLoad takes the next load that a worker of c can begin now, and the worker.
func (p *Pool) matchLoad(c *crew) (*task, *worker) {
	t, w := p.matchIn(c, &p.loads, nil)
	if t != nil {
		p.loads.remove(t)
		p.loadsNext = false
	}
	return t, w
}

// loadsGiveWay reports whether scripts are loaded at low priority, by workers of
// their own, because passes are being made: the top level of a script may take
// as long as a pass may, and a change of many files would hold up all events.
func (p *Pool) loadsGiveWay() bool {
	return p.opt.Slow > 0 && !p.opt.Own && time.Since(p.lastRun) < loadsAlone
}

// matchIn looks for a task that can begin before those of its lane that come
// after it. Others of the lane may still wait in a worker, or in a line before:
// then it has to wait for them to begin.
func (p *Pool) matchIn(c *crew, l *taskList, before []taskList) (*task, *worker) {
	var passed lanes
	for t, n := l.head, 0; t != nil && n < scanAhead; t, n = t.next, n+1 {
		lane := t.lane()
		if lane != "" && p.lanes[lane] > 0 || passed.has(lane) || inAny(before, lane) {
			continue
		}
		if w := p.workerFor(c, t); w != nil {
			return t, w
		}
		if !p.opt.Own {
			return nil, nil // no worker for one, none for any
		}
		passed.add(lane)
	}
	return nil, nil
}

// lanes is a small set of them; no lane is in none.
type lanes []string

func (l lanes) has(lane string) bool { return lane != "" && slices.Contains(l, lane) }

func (l *lanes) add(lane string) {
	if lane != "" {
		*l = append(*l, lane)
	}
}

// assign makes w, which is in no list, busy with t; further loads go with a
// load, up to w's share of those that wait, and short runs behind a short run.
func (p *Pool) assign(c *crew, w *worker, t *task) batch {
	b := batch{w: w, forget: w.forget, tasks: []*task{t}}
	w.state, w.forget, w.crew = busy, nil, c
	w.unwritten.Add(1)
	c.busy++
	if w.onOther {
		c.busyOther++
	}
	if p.opt.Own {
		w.owner = t.owner()
	}
	if c == &p.slow && !w.slow {
		w.slow, b.slow = true, true
	}
	w.flights = w.flights[:0]
	digest := t.script.bundle.Digest
	switch {
	case t.load:
		w.launchFlight(t, false, false)
		p.loadAhead(w, &b)
	case w.modules.has(digest):
		w.modules.touch(digest)
		w.launchFlight(t, false, false)
		p.runAhead(c, w, &b)
	default:
		b.preload = t
		w.launchFlight(t, true, false)
		w.launchFlight(t, false, false)
	}
	w.patience.begin()
	w.arm(time.Now())
	p.watchLong(w)
	return b
}

// loadAhead puts loads behind a load.
func (p *Pool) loadAhead(w *worker, b *batch) {
	size := len(b.tasks[0].frame)
	share := p.loads.len / max(1, p.main.live())
	for t := p.loads.head; t != nil && share > 0 && len(b.tasks) < loadsAhead; share-- {
		next := t.next
		if size += len(t.frame); size > bytesAhead {
			break
		}
		if !p.opt.Own || t.owner() == w.owner {
			p.loads.remove(t)
			b.tasks = append(b.tasks, t)
			w.launchFlight(t, false, false)
		}
		t = next
	}
}

// runAhead puts short runs behind a short run, if the queue is deep: more runs
// wait than the other workers are going to take.
func (p *Pool) runAhead(c *crew, w *worker, b *batch) {
	head := b.tasks[0]
	share := min(c.lines[quick].len/max(1, p.places(c)), p.opt.Ahead-1)
	if share <= 0 {
		return
	}
	size, total := len(head.frame), head.usual()
	if total > shortPass {
		return
	}
	var passed, taken lanes
	taken.add(head.lane())
	scanned := 0
	for t := c.lines[quick].head; t != nil && share > 0 && scanned < scanAhead; scanned++ {
		next := t.next
		lane, usual := t.lane(), t.usual()
		switch {
		case lane != "" && p.lanes[lane] > 0 && !taken.has(lane), passed.has(lane):
		case p.opt.Own && t.owner() != w.owner, !w.modules.has(t.script.bundle.Digest), usual > shortPass,
			taken.has(lane) && usual > shortLane:
			passed.add(lane)
		case size+len(t.frame) > bytesAhead, total+usual > shortBatch:
			return
		default:
			size, total, share = size+len(t.frame), total+usual, share-1
			taken.add(lane)
			c.lines[quick].remove(t)
			b.tasks = append(b.tasks, t)
			w.launchFlight(t, false, true)
			p.stats.Ahead++
		}
		t = next
	}
}

// abandon lets go of a task whose caller has gone. If it is what its worker
// does just now, it has a moment left. p.mu is held.
func (p *Pool) abandon(t *task) {
	t.dropped = true
	t.settle()
	if t.list != nil {
		t.list.remove(t)
		return
	}
	w := t.worker
	if w == nil || w.end != endNone || len(w.flights) == 0 {
		return
	}
	if at, _ := w.current(); w.flights[at].t != t {
		return // it has its moment when its turn comes
	}
	if end := time.Now().Add(cancelGrace); end.Before(w.headEnds) {
		w.setEnd(end)
	}
}
