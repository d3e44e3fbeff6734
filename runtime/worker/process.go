package worker

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// state is what a worker is doing.
type state uint8

const (
	starting state = iota
	spare          // ready, fresh and kept in reserve
	idle
	busy
)

// worker is one process, seen from the server. One goroutine reads its
// answers and reaps it; whoever assigned a batch writes it.
type worker struct {
	pool   *Pool
	cmd    *exec.Cmd
	conn   *os.File
	raw    syscall.RawConn // of conn
	stderr words

	up    chan struct{} // closed when the worker is ready, or upErr is set
	upErr error

	// Guarded by Pool.mu.
	state     state
	end       ending
	flights   []flight // written and not answered, oldest first
	headSince time.Time
	headEnds  time.Time // when the oldest flight's time is up
	patience  patience
	timer     *time.Timer
	served    int   // passes and loads answered
	heap      int64 // after the last of them
	modules   modules
	forget    []runtime.Digest // to be sent before the next request

	// For the log, after the end.
	culprit *task
	fault   error
}

// fresh reports whether no script has run in it.
func (w *worker) fresh() bool { return w.served == 0 && len(w.modules.byDigest) == 0 }

// start starts a process. p.starting and p.procs count it already; on an
// error the failure is accounted for.
func (p *Pool) start() (*worker, error) {
	w := &worker{pool: p, up: make(chan struct{}), modules: modules{max: p.opt.Modules}}
	w.timer = stopped(w.onTime)
	err := w.launch()
	p.mu.Lock()
	if err != nil {
		p.startFailed(err)
		p.mu.Unlock()
		p.procs.Done()
		return nil, err
	}
	p.stats.Started++
	p.all[w] = struct{}{}
	w.headEnds = time.Now().Add(readyWithin)
	w.timer.Reset(readyWithin)
	if p.closed {
		p.condemn(w, endClosed)
	}
	p.mu.Unlock()
	go w.read()
	return w, nil
}

// launch starts the command with one end of a socket as descriptor 3, an
// environment of its own, and a process group of its own, so that a
// terminal's signals do not reach it.
func (w *worker) launch() error {
	opt := &w.pool.opt
	server, child, err := socketPair()
	if err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	defer child.Close()
	if w.raw, err = server.SyscallConn(); err != nil {
		_ = server.Close()
		return fmt.Errorf("start worker: %w", err)
	}
	w.conn = server
	w.cmd = &exec.Cmd{
		Path: opt.Command[0], Args: opt.Command,
		// Without a traceback the line that tells memory from a crash is all
		// there is. Two processors: one for the pass, one for the collector.
		Env:         append([]string{"GOTRACEBACK=none", "GOMAXPROCS=2"}, opt.Env...),
		Stderr:      &w.stderr,
		ExtraFiles:  []*os.File{child},
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
		WaitDelay:   time.Second,
	}
	if err := w.cmd.Start(); err != nil {
		_ = server.Close()
		return fmt.Errorf("start worker: %w", err)
	}
	cpu := time.Duration(opt.Recycle.Events) * (opt.Limits.Deadline + opt.Grace)
	w.patience.pid = w.cmd.Process.Pid
	_, _ = server.Write(hello{Memory: opt.Memory, CPU: max(cpu, time.Minute)}.append(nil))
	return nil
}

// read takes answers until the end of the worker, and reaps it.
func (w *worker) read() {
	defer w.pool.procs.Done()
	frames := newFrameReader(w.conn, maxAnswer)
	typ, payload, err := frames.next()
	if err == nil && w.pool.ready(w, typ, payload) {
		for {
			typ, payload, err = frames.next()
			if err != nil || !w.pool.answered(w, typ, payload) {
				break
			}
		}
	}
	w.pool.reap(w, err)
}

// ready takes a worker among the spares, from where it is given a place.
func (p *Pool) ready(w *worker, typ byte, payload []byte) bool {
	p.mu.Lock()
	if w.end != endNone || typ != frameReady || len(payload) > 0 {
		p.mu.Unlock()
		return false
	}
	w.timer.Stop()
	w.state = spare
	p.starting--
	if p.idleDeaths < maxIdleDeaths {
		p.failures, p.startErr = 0, nil
	}
	p.spares = append(p.spares, w)
	p.replenish()
	batches := p.schedule()
	p.mu.Unlock()
	close(w.up)
	send(batches)
	return true
}

// replenish gives spares a place and starts what is missing. p.mu is held.
func (p *Pool) replenish() {
	if p.closed {
		return
	}
	target := p.target()
	for p.live < target && len(p.spares) > 0 {
		p.promote()
	}
	reserve := p.opt.Spare
	if p.retries.len > 0 { // which wait for a fresh worker
		reserve = max(reserve, 1)
	}
	for len(p.spares) > reserve {
		p.condemn(p.spares[0], endRetired)
	}
	missing := target + reserve - p.live - len(p.spares) - p.starting
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

// promote gives the oldest spare a place.
func (p *Pool) promote() {
	w := p.spares[0]
	p.spares = p.spares[1:]
	w.state = idle
	p.live++
	p.idle = append(p.idle, w)
}

// startFailed notes a worker that did not get ready. p.mu is held.
func (p *Pool) startFailed(err error) {
	p.starting--
	p.backOff(err)
}

// backOff puts off the next start; nothing waits for it if there is no other
// worker. p.mu is held.
func (p *Pool) backOff(err error) {
	p.startErr = err
	p.failures++
	p.restarted = false
	p.setRestart()
	if p.starting > 0 {
		return
	}
	for t := p.retries.pop(); t != nil; t = p.retries.pop() {
		t.fail(err)
	}
	if p.live == 0 {
		p.failWaiting(err)
	}
}

func (p *Pool) failWaiting(err error) {
	for _, l := range [...]*taskList{&p.runs, &p.loads, &p.retries} {
		for t := l.pop(); t != nil; t = l.pop() {
			t.fail(err)
		}
	}
}

// setRestart sees to it that starting is tried again. p.mu is held.
func (p *Pool) setRestart() {
	if !p.restartSet && !p.closed {
		p.restartSet = true
		p.restart.Reset(min(10*time.Millisecond<<min(p.failures, 10), 5*time.Second))
	}
}

// onRestart tries again to start a worker.
func (p *Pool) onRestart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restartSet = false
	p.restarted = true
	p.replenish()
}

// arm starts the clock of the oldest flight. Pool.mu is held.
func (w *worker) arm(now time.Time) {
	t := w.flights[0].t
	d := t.limits.Deadline + w.pool.opt.Grace
	if t.dropped {
		d = min(d, cancelGrace)
	}
	w.headSince, w.headEnds = now, now.Add(d)
	w.timer.Reset(d)
	w.patience.begin()
}

// onTime ends a worker whose time is up.
func (w *worker) onTime() {
	p := w.pool
	p.mu.Lock()
	left := time.Until(w.headEnds)
	switch {
	case w.end != endNone, w.state != starting && len(w.flights) == 0:
	case left > 0: // for a flight that was answered meanwhile
		w.timer.Reset(left)
	case w.state == starting:
		w.fault = fmt.Errorf("it was not ready within %v", readyWithin)
		p.condemn(w, endNotReady)
	case w.flights[0].t.dropped:
		p.condemn(w, endAbandoned)
	case w.patience.renew(w.flights[0].t.limits.Deadline):
		d := w.flights[0].t.limits.Deadline
		w.headEnds = w.headEnds.Add(d)
		w.timer.Reset(d)
	default:
		p.condemn(w, endDeadline)
	}
	p.replenish()
	batches := p.schedule()
	p.mu.Unlock()
	send(batches)
}

// reap waits for the process to end, which it is made to, and settles what it
// left if it ended by itself.
func (p *Pool) reap(w *worker, cause error) {
	_ = w.cmd.Process.Kill() // it may have closed the socket and live on
	_ = w.cmd.Wait()
	_ = w.conn.Close()
	said := w.stderr.String()
	p.mu.Lock()
	up := w.state != starting
	if w.end == endNone {
		w.fault = cause
		if cause == nil || cause == io.EOF || cause == io.ErrUnexpectedEOF {
			w.fault = errors.New(w.cmd.ProcessState.String())
		}
		switch {
		case errors.Is(cause, errFrame):
			p.condemn(w, endBadFrame)
		case outOfMemory(said):
			p.condemn(w, endMemory)
		default:
			p.condemn(w, endDied)
		}
	}
	if up && w.end == endDied && w.culprit == nil && w.served == 0 {
		// A machine where workers die unused must not be kept busy starting them.
		if p.idleDeaths++; p.idleDeaths >= maxIdleDeaths {
			p.backOff(fmt.Errorf("start worker: %d ended unused in a row: %w", p.idleDeaths, w.fault))
		}
	}
	if !up {
		w.upErr = fmt.Errorf("start worker: ended before it was ready: %v: %s", w.fault, lastWords(said))
		if w.end == endClosed {
			w.upErr = runtime.ErrClosed
		}
		p.startFailed(w.upErr)
	}
	p.replenish()
	batches := p.schedule()
	p.mu.Unlock()
	send(batches)
	w.report(said)
	if !up {
		close(w.up)
	}
}

// report logs an end that an operator should know of.
func (w *worker) report(said string) {
	if w.end == endRetired || w.end == endRecycled || w.end == endClosed || w.end == endAbandoned {
		return
	}
	attrs := []any{slog.String("reason", w.end.String()), slog.Int("pid", w.cmd.Process.Pid), slog.Int("served", w.served)}
	if t := w.culprit; t != nil {
		attrs = append(attrs, slog.String("script", t.script.bundle.Main))
		if t.call != nil {
			attrs = append(attrs, slog.String("run", t.call.RunID))
		}
	}
	if w.fault != nil {
		attrs = append(attrs, slog.Any("err", w.fault))
	}
	if s := lastWords(said); s != "" {
		attrs = append(attrs, slog.String("stderr", s))
	}
	w.pool.log.Warn("worker ended", attrs...)
}
