package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Pool is a runtime.Pool whose passes run in worker processes. Safe for
// concurrent use. End it with Close.
type Pool struct {
	opt Options
	log *slog.Logger

	mu      sync.Mutex
	scripts map[runtime.Digest]*script

	// Workers with a place, by priority, with the runs that wait for one.
	main, slow crew
	lastRun    time.Time // when a pass was asked for last
	// What else waits: runs and loads take turns, so that neither a reload nor a
	// flood of events keeps the other from a worker. retries need a fresh worker.
	loads, retries taskList
	loadsNext      bool
	// lanes counts the runs of a lane that wait in workers behind other runs.
	lanes map[string]int
	// accounts are those of scripts that have broken limits or burn time.
	accounts map[string]*account

	all      map[*worker]struct{} // started: busy, idle, spare, or not ready yet
	spares   []*worker
	starting int
	wanted   int // fresh workers that tasks wait for
	extra    int // stand-ins wanted beyond opt.Workers

	stall, shrink *time.Timer
	long          *time.Timer // looks for long passes
	longSet       bool
	stallSet      bool
	shrinkSet     bool

	longDue time.Time // when the timer is to look for long passes
	lost    lost
	asides  asides

	// Failed starts: the next is tried when the timer fires.
	startErr   error
	failures   int
	restart    *time.Timer
	restartSet bool // the timer runs
	restarted  bool // its time has come
	idleDeaths int  // workers that died unused since the last answer

	stats   runtime.PoolStats
	closed  bool
	drained chan struct{} // closed when closed and nothing is under way
	procs   sync.WaitGroup
}

var (
	_ runtime.Pool   = (*Pool)(nil)
	_ runtime.Queuer = (*Pool)(nil)
)

// New starts the workers. It returns when the first is ready, or with an
// error if it cannot be started.
func New(o Options) (*Pool, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("worker options: %w", err)
	}
	p := &Pool{
		opt: o, log: o.Logger,
		scripts: map[runtime.Digest]*script{},
		all:     map[*worker]struct{}{},
		lanes:   map[string]int{}, accounts: map[string]*account{},
		drained: make(chan struct{}),
	}
	for _, c := range [...]*crew{&p.main, &p.slow} {
		for i := range c.lines {
			c.lines[i].lanes = map[string]int{}
		}
	}
	p.stall = stopped(p.onStall)
	p.shrink = stopped(p.onShrink)
	p.long = stopped(p.onLong)
	p.restart = stopped(p.onRestart)
	p.mu.Lock()
	p.starting++
	p.procs.Add(1)
	p.mu.Unlock()
	w, err := p.start()
	if err == nil {
		<-w.up
		err = w.upErr
	}
	if err != nil {
		_ = p.Close(context.Background())
		return nil, err
	}
	p.mu.Lock()
	p.replenish()
	p.mu.Unlock()
	return p, nil
}

func stopped(f func()) *time.Timer {
	t := time.AfterFunc(time.Hour, f)
	t.Stop()
	return t
}

// Load compiles a bundle in a worker and runs its top level there. A version
// that is loaded already yields its first manifest.
func (p *Pool) Load(ctx context.Context, b *runtime.Bundle) (*runtime.Manifest, error) {
	p.mu.Lock()
	s := p.scripts[b.Digest]
	p.mu.Unlock()
	if s != nil {
		return s.manifest, nil
	}
	t := &task{load: true, script: &script{bundle: b}, limits: p.opt.Limits, done: make(chan struct{})}
	t.frame = appendLoad(make([]byte, 0, 256+bundleSize(b)), frameLoad, b, t.limits)
	if len(t.frame) > maxRequest {
		return nil, runtime.Errors{t.scriptError(runtime.LimitError, runtime.LimitSource,
			fmt.Sprintf("the script and what it loads are larger than %d MB together", maxRequest>>20), "")}
	}
	if err := p.do(ctx, t); err != nil {
		return nil, err
	}
	return t.manifest, nil
}

func bundleSize(b *runtime.Bundle) int {
	n := 0
	for path, text := range b.Files {
		n += len(path) + len(text) + 16
	}
	return n
}

// Run makes one pass in a worker, which is sent the script first if it lacks it.
func (p *Pool) Run(ctx context.Context, c *runtime.Call) (*runtime.Reply, error) {
	return p.Queue(ctx, c)()
}

// Queue puts a pass in line, and starts it if a worker is free; the function
// that it returns waits for the reply, and must be called.
func (p *Pool) Queue(ctx context.Context, c *runtime.Call) (wait func() (*runtime.Reply, error)) {
	t, reply, err := p.passTask(c)
	if t != nil {
		err = p.queue(ctx, t)
	}
	if t == nil || err != nil {
		return func() (*runtime.Reply, error) { return reply, err }
	}
	return func() (*runtime.Reply, error) {
		if err := p.await(ctx, t); err != nil {
			return nil, err
		}
		return t.reply, nil
	}
}

// passTask makes the task of a pass; or the reply or the error that it ends
// with before it has begun.
func (p *Pool) passTask(c *runtime.Call) (*task, *runtime.Reply, error) {
	p.mu.Lock()
	s, closed := p.scripts[c.Script], p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return nil, nil, runtime.ErrClosed
	case s == nil:
		return nil, nil, fmt.Errorf("run %s: %w", c.Script, runtime.ErrUnknownScript)
	}
	call := *c
	call.Limits = fill(c.Limits, p.opt.Limits)
	if p.opt.Own {
		call.Limits.Deadline = min(call.Limits.Deadline, p.opt.Limits.Deadline)
		call.Limits.Memory = min(call.Limits.Memory, p.opt.Memory)
	}
	t := &task{script: s, call: &call, limits: call.Limits, done: make(chan struct{})}
	t.frame = appendRun(make([]byte, 0, 192+len(c.Input)), &call)
	if len(t.frame) > maxRequest {
		return nil, &runtime.Reply{Status: runtime.Failed, Err: t.scriptError(runtime.LimitError, runtime.LimitMemory,
			fmt.Sprintf("the event and the results of the run are larger than %d MB together", maxRequest>>20), "")}, nil
	}
	return t, nil, nil
}

// do queues the task and waits for its end.
func (p *Pool) do(ctx context.Context, t *task) error {
	if err := p.queue(ctx, t); err != nil {
		return err
	}
	return p.await(ctx, t)
}

// queue gives the task its place in line.
func (p *Pool) queue(ctx context.Context, t *task) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.mu.Lock()
	if err := p.refusal(); err != nil {
		p.mu.Unlock()
		return err
	}
	p.enqueue(t)
	batches := p.schedule()
	p.mu.Unlock()
	send(batches)
	return nil
}

// await waits for the end of a task, or lets go of it with ctx.
func (p *Pool) await(ctx context.Context, t *task) error {
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	if t.settled { // at the same moment
		p.mu.Unlock()
		return t.err
	}
	p.abandon(t)
	p.mu.Unlock()
	return context.Cause(ctx)
}

// refusal is why nothing can be queued: the pool is closed, or has no worker
// and cannot start one.
func (p *Pool) refusal() error {
	if p.closed {
		return runtime.ErrClosed
	}
	if p.failures >= hopeless && p.main.live() == 0 && p.starting == 0 {
		return p.startErr
	}
	return nil
}

// Forget drops a version. Passes under way and waiting finish; workers drop
// it with the next frame that they are sent.
func (p *Pool) Forget(d runtime.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.scripts, d)
	for w := range p.all {
		if w.modules.drop(d) {
			w.forget = append(w.forget, d)
		}
	}
}

// Stats is a snapshot for metrics.
func (p *Pool) Stats() runtime.PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Workers = p.main.live() + p.slow.live()
	s.Busy = p.main.busy + p.slow.busy
	s.Slowed = p.slowed()
	s.Waiting = p.waiting()
	s.Scripts = len(p.scripts)
	return s
}

// Close ends the pool: what waits fails with ErrClosed, what is under way may
// finish until ctx ends, and then every worker is ended and reaped. If passes
// had to be cut, they fail with ErrClosed and Close returns ctx's error.
// Closing again waits for the same end.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.stall.Stop()
		p.shrink.Stop()
		p.long.Stop()
		p.restart.Stop()
		p.failWaiting(runtime.ErrClosed)
		p.checkDrained()
	}
	p.mu.Unlock()
	var err error
	select {
	case <-p.drained:
	default:
		select {
		case <-p.drained:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	p.mu.Lock()
	for w := range p.all {
		p.condemn(w, endClosed)
	}
	p.mu.Unlock()
	p.procs.Wait()
	return err
}

// checkDrained tells Close that nothing is under way. p.mu is held.
func (p *Pool) checkDrained() {
	if !p.closed || p.main.busy+p.slow.busy > 0 {
		return
	}
	select {
	case <-p.drained:
	default:
		close(p.drained)
	}
}
