package slackapi

import (
	"context"
	"errors"
	"sort"
	"sync"
	"time"
)

// errLaneFull: so many calls wait in a lane already that one more is refused.
var errLaneFull = errors.New("lane is full")

// lanes keep the calls of one method and team (and channel) in order, and
// rest as long as Slack asks, while other lanes go on.
type lanes struct {
	now   func() time.Time
	after func(time.Duration, func()) func() bool
	max   int

	mu sync.Mutex
	m  map[string]*lane
}

type lane struct {
	key    string
	number uint64 // of the newest ticket
	width  int
	out    int // calls that are out
	// careful lets one call out at a time: after a 429, until one succeeds.
	careful bool
	until   time.Time // paused until then
	timer   bool
	waiting []*ticket // by number
}

// ticket is a call's place in a lane. Its number stays when it is sent again,
// so that nothing overtakes it.
type ticket struct {
	lane   *lane
	number uint64
	ready  chan struct{}
	out    bool
}

func newLanes(now func() time.Time, after func(time.Duration, func()) func() bool, maxWaiting int) *lanes {
	return &lanes{now: now, after: after, max: maxWaiting, m: map[string]*lane{}}
}

// enter waits for its turn. The caller must leave.
func (ls *lanes) enter(ctx context.Context, key string, width int) (*ticket, error) {
	ls.mu.Lock()
	l := ls.m[key]
	if l == nil {
		l = &lane{key: key, width: width}
		ls.m[key] = l
	}
	if len(l.waiting) >= ls.max {
		ls.mu.Unlock()
		return nil, errLaneFull
	}
	l.number++
	t := &ticket{lane: l, number: l.number}
	ls.queue(t)
	ls.mu.Unlock()
	return t, ls.wait(ctx, t)
}

// again gives up the turn and waits for the next, in the old place.
func (ls *lanes) again(ctx context.Context, t *ticket) error {
	ls.mu.Lock()
	t.lane.out--
	ls.queue(t)
	ls.mu.Unlock()
	return ls.wait(ctx, t)
}

// queue puts t in its place. ls.mu is held.
func (ls *lanes) queue(t *ticket) {
	l := t.lane
	t.ready, t.out = make(chan struct{}), false
	i := sort.Search(len(l.waiting), func(i int) bool { return l.waiting[i].number > t.number })
	l.waiting = append(l.waiting, nil)
	copy(l.waiting[i+1:], l.waiting[i:])
	l.waiting[i] = t
	ls.pump(l)
}

func (ls *lanes) wait(ctx context.Context, t *ticket) error {
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := t.lane
	if t.out {
		l.out--
	}
	for i, w := range l.waiting {
		if w == t {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			break
		}
	}
	ls.pump(l)
	return context.Cause(ctx)
}

// leave ends the turn; ok ends the carefulness after a 429.
func (ls *lanes) leave(t *ticket, ok bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	t.lane.out--
	if ok {
		t.lane.careful = false
	}
	ls.pump(t.lane)
}

// pause keeps the lane from sending for d.
func (ls *lanes) pause(t *ticket, d time.Duration) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := t.lane
	l.careful = true
	if until := ls.now().Add(d); until.After(l.until) {
		l.until = until
	}
}

// pump lets out who may go. ls.mu is held.
func (ls *lanes) pump(l *lane) {
	if rest := l.until.Sub(ls.now()); rest > 0 {
		if !l.timer {
			l.timer = true
			ls.after(rest, func() {
				ls.mu.Lock()
				defer ls.mu.Unlock()
				l.timer = false
				ls.pump(l)
			})
		}
		return
	}
	width := l.width
	if l.careful {
		width = 1
	}
	for len(l.waiting) > 0 && l.out < width {
		t := l.waiting[0]
		l.waiting = l.waiting[1:]
		l.out++
		t.out = true
		close(t.ready)
	}
	if len(l.waiting) == 0 && l.out == 0 && ls.m[l.key] == l {
		delete(ls.m, l.key)
	}
}
