package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"sync"
	"time"
)

// LocalOptions configure a Local. The zero value is ready.
type LocalOptions struct {
	// Parallel is how many passes run at once; 0 means GOMAXPROCS.
	Parallel int
	// Load bounds the loading of one bundle; zero fields take the defaults,
	// but for Deadline, which is then LoadDeadline: no event waits for it.
	Load Limits
}

// LoadDeadline is the default wall time for the top level of a script.
const LoadDeadline = 2 * time.Second

// Local is the Pool that runs scripts in this process: for development,
// embedding and the test runner. Limits of steps, time, effects and output
// hold; memory does not, and one built-in that runs away cannot be stopped:
// only worker processes hold against hostile scripts. Safe for concurrent use.
type Local struct {
	exec *Executor
	load Limits

	mu     sync.Mutex
	free   int             // places that are not taken
	places int             // all places
	queue  []chan struct{} // who waits for a place, in order of arrival
	closed bool
	idle   chan struct{} // closed when the pool is closed and nothing runs
}

var (
	_ Pool   = (*Local)(nil)
	_ Queuer = (*Local)(nil)
)

// NewLocal returns a pool for scripts of the given languages.
func NewLocal(langs []Language, o LocalOptions) *Local {
	n := o.Parallel
	if n <= 0 {
		n = goruntime.GOMAXPROCS(0)
	}
	if o.Load.Deadline == 0 {
		o.Load.Deadline = LoadDeadline
	}
	return &Local{exec: NewExecutor(langs...), load: o.Load.OrDefault(), free: n, places: n, idle: make(chan struct{})}
}

// Load implements Pool. It takes a place like a pass does.
func (l *Local) Load(ctx context.Context, b *Bundle) (m *Manifest, err error) {
	if err := l.enter(ctx); err != nil {
		return nil, err
	}
	defer l.leave()
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("load %s: panic: %v", b.Main, p)
		}
	}()
	return l.exec.Load(ctx, b, l.load)
}

// Run implements Pool.
func (l *Local) Run(ctx context.Context, c *Call) (*Reply, error) {
	if err := l.enter(ctx); err != nil {
		return nil, err
	}
	return l.pass(ctx, c)
}

// Queue implements Queuer. A place that is free is taken at once, and is held
// until wait is called and its pass is over.
func (l *Local) Queue(ctx context.Context, c *Call) (wait func() (*Reply, error)) {
	turn, err := l.join(ctx)
	return func() (*Reply, error) {
		if err == nil {
			err = l.await(ctx, turn)
		}
		if err != nil {
			return nil, err
		}
		return l.pass(ctx, c)
	}
}

// pass makes a pass in the place that the caller has, and leaves it.
func (l *Local) pass(ctx context.Context, c *Call) (*Reply, error) {
	defer l.leave()
	r, err := l.exec.Run(ctx, c)
	if err == nil && r.Status == Failed && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return r, err
}

// Forget implements Pool.
func (l *Local) Forget(d Digest) { l.exec.Forget(d) }

// Stats implements Pool.
func (l *Local) Stats() PoolStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return PoolStats{Workers: l.places, Busy: l.places - l.free, Waiting: len(l.queue), Scripts: l.exec.Len()}
}

// Close implements Pool. Passes that wait for a place end with ErrClosed.
func (l *Local) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		for _, w := range l.queue {
			close(w)
		}
		l.queue = nil
		if l.free == l.places {
			close(l.idle)
		}
	}
	l.mu.Unlock()
	select {
	case <-l.idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter takes a place, after those who came before.
func (l *Local) enter(ctx context.Context) error {
	turn, err := l.join(ctx)
	if err != nil {
		return err
	}
	return l.await(ctx, turn)
}

// join takes a place if one is free, else the end of the line: then the
// channel says when it is the caller's turn.
func (l *Local) join(ctx context.Context) (turn chan struct{}, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if l.free > 0 {
		l.free--
		return nil, nil
	}
	// A place is handed over by a send; Close closes the channel instead.
	turn = make(chan struct{}, 1)
	l.queue = append(l.queue, turn)
	return turn, nil
}

// await waits for the caller's turn; nil: it is there already.
func (l *Local) await(ctx context.Context, turn chan struct{}) error {
	if turn == nil {
		return nil
	}
	select {
	case _, ok := <-turn:
		if !ok {
			return ErrClosed
		}
		return nil
	case <-ctx.Done():
		l.abandon(turn)
		return context.Cause(ctx)
	}
}

// abandon leaves the queue; a place that was handed over meanwhile goes on.
func (l *Local) abandon(w chan struct{}) {
	l.mu.Lock()
	for i, other := range l.queue {
		if other == w {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			l.mu.Unlock()
			return
		}
	}
	l.mu.Unlock()
	if _, ok := <-w; ok {
		l.leave()
	}
}

// leave hands the place to who waits longest.
func (l *Local) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) > 0 {
		w := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		w <- struct{}{}
		return
	}
	l.free++
	if l.closed && l.free == l.places {
		close(l.idle)
	}
}
