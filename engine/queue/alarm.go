package queue

import (
	"container/heap"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of handing timers over.
const (
	// ringsAtOnce is how many timers of one shard are handed over side by side.
	ringsAtOnce = 32
	// maxNap bounds how long the clock is not looked at: it may be set, the
	// machine may have slept, and that of a local Slack is moved by hand.
	maxNap = time.Second
	// ringAgain is the first, ringSeldom the longest pause after a failure.
	ringAgain  = time.Second
	ringSeldom = time.Minute
)

// alarm is one waiting timer in memory: about 150 bytes with its key.
type alarm struct {
	key   string
	at    int64 // when it is due, or to be tried again, in Unix nanoseconds
	rev   uint64
	tries int
	place int // in the heap; -1 while it is handed over
}

// alarms are the waiting timers of a shard while this process owns it. The
// zero value is not running.
type alarms struct {
	mu      sync.Mutex
	running bool
	soonest soonest
	byKey   map[string]*alarm
	wake    chan struct{}
	ringing int
}

// set notes that a timer was stored.
func (a *alarms) set(key string, at int64, rev uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.running {
		return
	}
	al := a.byKey[key]
	switch {
	case al == nil:
		al = &alarm{key: key, at: at, rev: rev}
		a.byKey[key] = al
		heap.Push(&a.soonest, al)
	case al.rev >= rev: // what is read can be older than what was set meanwhile
		return
	default:
		al.at, al.rev, al.tries = at, rev, 0
		if al.place >= 0 {
			heap.Fix(&a.soonest, al.place)
		}
	}
	if al.place == 0 {
		a.nudge()
	}
}

// drop notes that a timer was cancelled.
func (a *alarms) drop(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if al := a.byKey[key]; al != nil && al.place >= 0 {
		heap.Remove(&a.soonest, al.place)
		delete(a.byKey, key)
	}
}

// nudge wakes run. Called with mu held.
func (a *alarms) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// begin and end bracket the time in which the shard is owned.
func (a *alarms) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running, a.byKey, a.soonest, a.wake = true, make(map[string]*alarm), nil, make(chan struct{}, 1)
}

func (a *alarms) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running, a.byKey, a.soonest = false, nil, nil
}

// next takes the alarm that is due at now, with its revision, or says how long
// to wait for one.
func (a *alarms) next(now int64) (al *alarm, rev uint64, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.soonest) == 0 || a.ringing >= ringsAtOnce {
		return nil, 0, maxNap
	}
	if first := a.soonest[0]; first.at > now {
		return nil, 0, min(time.Duration(first.at-now), maxNap)
	}
	a.ringing++
	al = heap.Pop(&a.soonest).(*alarm)
	return al, al.rev, 0
}

// keepTime hands the timers of the shard over while ctx lasts.
func (sh *shard) keepTime(ctx context.Context) {
	c, a := sh.core, &sh.alarms
	fire := c.fire.Load()
	if fire == nil {
		return
	}
	a.begin()
	defer a.end()
	var rings sync.WaitGroup
	defer rings.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rings.Go(func() { sh.readTimers(ctx) })
	for {
		al, rev, wait := a.next(c.now().UnixNano())
		if al != nil {
			rings.Go(func() { sh.ring(ctx, *fire, al, rev) })
			continue
		}
		nap := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			nap.Stop()
			return
		case <-c.stopped:
			nap.Stop()
			return
		case <-a.wake:
		case <-nap.C:
		}
		nap.Stop()
	}
}

// readTimers indexes the stored timers of the shard. In a store that others
// write to it follows what they set until ctx ends.
func (sh *shard) readTimers(ctx context.Context) {
	c := sh.core
	prefix := shardRow(sh.k)
	add := func(r row) {
		if !strings.HasPrefix(r.key, prefix) {
			return // a list may hold those of other shards
		}
		if at, err := strconv.ParseInt(r.mark, 10, 64); err == nil {
			sh.alarms.set(r.key, at, r.rev)
		}
	}
	for {
		var err error
		if c.shared {
			err = c.table.timer.watch(ctx, prefix, add, func() {})
		} else {
			err = c.table.timer.list(ctx, prefix, add)
		}
		if err == nil && !c.shared {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-c.stopped:
			return
		case <-time.After(ringAgain):
		}
		c.log.Warn("timers are read anew", "shard", sh.k, "error", err)
	}
}

// ring hands revision rev of a timer over, and removes it if it was taken.
func (sh *shard) ring(ctx context.Context, fire func(context.Context, Timer) error, al *alarm, rev uint64) {
	c, a := sh.core, &sh.alarms
	v, err := (&timers{c, c.table.timer}).read(ctx, al.key)
	switch {
	case errors.Is(err, ErrNotFound): // cancelled
		a.over(al, rev)
		return
	case err == nil && v.At.After(c.now()): // set anew
		a.again(al, v.Rev, v.At.UnixNano(), false)
		return
	}
	if err == nil {
		rev = max(rev, v.Rev)
		err = fire(ctx, v)
	}
	if err == nil {
		err = c.table.timer.dropAt(ctx, al.key, v.Rev)
	}
	if err == nil {
		a.over(al, rev)
		return
	}
	if late, ok := errors.AsType[*later](err); ok {
		a.again(al, rev, c.now().Add(late.after).UnixNano(), false)
		return
	}
	pause := a.again(al, rev, c.now().UnixNano(), true)
	if ctx.Err() == nil {
		c.log.Warn("timer is handed over again", "timer", al.key, "in", pause, "error", err)
	}
}

// over ends the handing over of a timer, unless it was set anew meanwhile.
func (a *alarms) over(al *alarm, rev uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ringing--
	if al.rev <= rev {
		delete(a.byKey, al.key)
	} else {
		heap.Push(&a.soonest, al)
	}
	a.nudge()
}

// again lets a timer that was not taken wait until at, after a failure for
// longer each time, unless it was set anew meanwhile.
func (a *alarms) again(al *alarm, rev uint64, at int64, failed bool) (pause time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ringing--
	if al.rev <= rev {
		if failed {
			pause = min(ringAgain<<min(al.tries, 6), ringSeldom)
			al.tries++
		}
		al.at, al.rev = at+int64(pause), rev
	}
	heap.Push(&a.soonest, al)
	a.nudge()
	return pause
}

// soonest is a heap by time.
type soonest []*alarm

// Len implements heap.Interface.
func (s soonest) Len() int { return len(s) }

// Less implements heap.Interface.
func (s soonest) Less(i, j int) bool { return s[i].at < s[j].at }

// Swap implements heap.Interface.
func (s soonest) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].place, s[j].place = i, j
}

// Push implements heap.Interface.
func (s *soonest) Push(v any) {
	al := v.(*alarm)
	al.place = len(*s)
	*s = append(*s, al)
}

// Pop implements heap.Interface.
func (s *soonest) Pop() any {
	old := *s
	n := len(old) - 1
	al := old[n]
	old[n] = nil
	*s = old[:n]
	al.place = -1
	return al
}
