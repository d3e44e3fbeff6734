package worker

import (
	"time"

	"github.com/starling-rules/starling/runtime"
)

// account is what one script has cost lately. A script that broke a limit, or
// whose long passes burn a large part of a processor, has its passes made by
// workers of low priority: few, and only on processors that nothing else
// wants. It can keep those busy and nobody else waiting.
//
// Passes under stallAfter cost nothing here, however many there are: a rule
// that is much used is no offender.
type account struct {
	owes    int           // good passes until it is forgiven its last breach
	burnt   time.Duration // processor time of long passes, less what has leaked
	at      time.Time     // when burnt was reckoned
	burning bool
}

const (
	// forgivenAfter is how many good passes make up for a breach.
	forgivenAfter = 20
	// A script that burns more than a quarter of a processor by long passes is
	// slow once it has burnt a second; it is forgiven at burntLow.
	burnPerSecond = 0.25
	burntHigh     = time.Second
	burntLow      = burntHigh / 4
)

// slowWaiting bounds the passes of one script that wait for workers of low
// priority, slowWaitingAll those of all. What comes beyond fails: kept, the
// backlog of one offender would fill the server's room for everybody's events.
const (
	slowWaiting    = 1000
	slowWaitingAll = 4 * slowWaiting
)

// trustedAfter is how many good passes in a row a version must have made for one
// breach to have no consequences but its own: what has gone well as often is no
// offender by being unlucky once.
const trustedAfter = 1000

func (a *account) slow() bool { return a.owes > 0 || a.burning }

// reckon lets what was burnt leak away.
func (a *account) reckon(now time.Time) {
	leaked := time.Duration(float64(now.Sub(a.at)) * burnPerSecond)
	a.burnt, a.at = max(0, a.burnt-leaked), now
	if a.burnt < burntLow {
		a.burning = false
	}
}

// account charges a script with a pass that took a time and used some of the
// processor's. What it waited for a processor is no fault of its own: on a
// machine that others keep busy it must not come to share their fate. p.mu is
// held.
func (p *Pool) account(t *task, took, used time.Duration, breach bool) {
	if t.load {
		return
	}
	trusted := t.script.trusted()
	if t.script.good++; breach {
		t.script.good = 0
	}
	if !breach || !trusted {
		t.script.learn(t.call.Func, took, used)
	}
	if p.opt.Slow == 0 {
		return
	}
	owner := t.owner()
	a := p.accounts[owner]
	long := used > stallAfter
	if a == nil && !long && !breach {
		return
	}
	now := time.Now()
	if a == nil {
		a = &account{at: now}
		p.accounts[owner] = a
		p.shrinkLater()
	}
	was := a.slow()
	a.reckon(now)
	switch {
	case breach && trusted:
	case breach:
		a.owes = forgivenAfter
	case a.owes > 0 && !long:
		a.owes--
	}
	if long {
		a.burnt += min(used, 2*t.limits.Deadline)
	}
	if a.burnt > burntHigh {
		a.burning = true
	}
	p.follow(owner, was, a.slow())
}

// follow moves the passes of a script that wait to where they belong, if it was
// slow and is not, or the other way round.
func (p *Pool) follow(owner string, was, slow bool) {
	from, to := &p.main, &p.slow
	switch {
	case was == slow:
		return
	case was:
		from, to = to, from
	}
	for i := range from.lines {
		l := &from.lines[i]
		for t := l.head; t != nil; {
			next := t.next
			if t.owner() == owner {
				l.remove(t)
				t.slow = slow
				p.put(to, t, t.queued)
			}
			t = next
		}
	}
}

// waitsOf is how many passes of a script wait.
func (c *crew) waitsOf(owner string) (n int) {
	for i := range c.lines {
		for t := c.lines[i].head; t != nil; t = t.next {
			if t.owner() == owner {
				n++
			}
		}
	}
	return n
}

// isSlow reports whether passes of a script are for workers of low priority.
func (p *Pool) isSlow(owner string) bool {
	a := p.accounts[owner]
	if a == nil {
		return false
	}
	was := a.slow()
	a.reckon(time.Now())
	p.follow(owner, was, a.slow())
	return a.slow()
}

// pardon forgets what a script has cost.
func (p *Pool) pardon(owner string) { delete(p.accounts, owner) }

// settleAccounts drops the accounts that are even.
func (p *Pool) settleAccounts(now time.Time) {
	for owner, a := range p.accounts {
		was := a.slow()
		a.reckon(now)
		p.follow(owner, was, a.slow())
		if !a.slow() && a.burnt == 0 {
			delete(p.accounts, owner)
		}
	}
}

// slowed counts the scripts at low priority.
func (p *Pool) slowed() int {
	n := 0
	for _, a := range p.accounts {
		if a.slow() {
			n++
		}
	}
	return n
}

// breaches reports whether a pass ended at a limit that tells of an offender.
func breaches(e *runtime.Error) bool {
	if e == nil || e.Kind != runtime.LimitError {
		return false
	}
	switch e.Limit {
	case runtime.LimitDeadline, runtime.LimitSteps, runtime.LimitMemory:
		return true
	}
	return false
}

// overrun is the end of a pass that found the queue of slow scripts full. It may
// be that others have filled it.
func (t *task) overrun() *runtime.Error {
	return t.scriptError(runtime.LimitError, runtime.LimitBacklog,
		"the script takes too long for the number of its events: too many passes of slow scripts wait",
		"it runs at low priority because passes of it were stopped at a limit, or took long, a short while ago")
}
