package worker

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
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
	track  *track
	stderr words

	lowStart bool // it was started at startNice

	// What the socket did not take at once, and whether somebody writes it.
	writing  sync.Mutex
	rest     []byte
	spilling bool
	// unwritten counts the batches that were made and are not written: requests
	// are numbered as they are made, and nothing may overtake them.
	unwritten atomic.Int32

	up    chan struct{} // closed when the worker is ready, or upErr is set
	upErr error

	// Guarded by Pool.mu.
	state     state
	crew      *crew  // while busy or idle
	onOther   bool   // it is busy with a pass of another line than quick
	owner     string // the script it belongs to, if workers are not shared
	slow      bool   // of low priority, for good
	end       ending
	flights   []flight // written and not answered, oldest first
	requests  uint64   // written in its life
	answers   uint64   // the number of the last request that was answered
	cancelled uint64   // requests up to here were taken back, but for those in flights
	headSince time.Time
	headEnds  time.Time // when the current flight's time is up
	stance    stance
	aside     time.Time     // since when it stands back, if it does
	asideUsed time.Duration // the processor time that was reckoned last
	patience  patience
	timer     *time.Timer
	ticking   bool      // the timer runs
	fires     time.Time // when
	served    int       // passes and loads answered
	heap      int64     // after the last of them
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
	w.setEnd(time.Now().Add(readyWithin))
	urgent := p.main.live() == 0 || p.opt.Own && p.wanted > 0
	if p.closed {
		p.condemn(w, endClosed)
	}
	p.mu.Unlock()
	if !urgent {
		w.lowStart = setNice(w.cmd.Process.Pid, startNice)
	}
	go w.read()
	return w, nil
}

// launch starts the command with one end of a socket as descriptor 3, its
// track as 4, an environment of its own, and a process group of its own, so
// that a terminal's signals do not reach it.
func (w *worker) launch() error {
	opt := &w.pool.opt
	server, child, err := socketPair()
	if err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	defer child.Close()
	w.conn = server
	if w.raw, err = server.SyscallConn(); err != nil {
		_ = server.Close()
		return fmt.Errorf("start worker: %w", err)
	}
	files := []*os.File{child}
	track, page, err := newTrack()
	if err != nil {
		_ = server.Close()
		return fmt.Errorf("start worker: %w", err)
	}
	if w.track = track; page != nil {
		files = append(files, page)
		defer page.Close()
	}
	w.cmd = &exec.Cmd{
		Path: opt.Command[0], Args: opt.Command,
		// Without a traceback the line that tells memory from a crash is all
		// there is. One processor: what a script leaves to the collector costs
		// that script's time, and nobody else a processor.
		Env:         append([]string{"GOTRACEBACK=none", "GOMAXPROCS=1"}, opt.Env...),
		Stderr:      &w.stderr,
		ExtraFiles:  files,
		SysProcAttr: attributes(opt.Namespaces),
		WaitDelay:   time.Second,
	}
	if err := w.cmd.Start(); err != nil {
		_ = server.Close()
		w.track.close()
		if opt.Namespaces {
			err = explainNamespaces(err)
		}
		return fmt.Errorf("start worker: %w", err)
	}
	cpu := time.Duration(opt.Recycle.Events) * (opt.Limits.Deadline + opt.Grace)
	w.patience.pid = w.cmd.Process.Pid
	_, _ = server.Write(hello{
		Memory: opt.Memory, CPU: max(cpu, time.Minute), Namespaces: opt.Namespaces, Track: page != nil,
	}.append(nil))
	return nil
}

// read takes answers until the end of the worker, and reaps it. Answers that
// came together are settled together.
func (w *worker) read() {
	defer w.pool.procs.Done()
	frames := newFrameReader(w.conn, maxAnswer, serverBuffer)
	typ, payload, err := frames.next()
	if err == nil && w.pool.ready(w, typ, payload) {
		var answers []heard
		for {
			typ, payload, err = frames.next()
			if err != nil {
				break
			}
			answers = append(answers[:0], hear(typ, payload))
			for frames.whole() && len(answers) < maxTogether {
				typ, payload, err = frames.next()
				if err != nil {
					break
				}
				answers = append(answers, hear(typ, payload))
			}
			if !w.pool.answered(w, answers) || err != nil {
				break
			}
			clear(answers)
		}
	}
	w.pool.reap(w, err)
}

const (
	// serverBuffer is the buffer for the answers of a worker.
	serverBuffer = 32 << 10
	// maxTogether bounds the answers that are settled at once.
	maxTogether = 64
)

func hear(typ byte, payload []byte) heard {
	a, err := decodeAnswer(typ, payload)
	return heard{typ: typ, a: a, err: err}
}

// ready takes a worker among the spares, from where it is given a place.
func (p *Pool) ready(w *worker, typ byte, payload []byte) bool {
	if w.lowStart {
		setNice(w.cmd.Process.Pid, 0)
	}
	setSlice(w.cmd.Process.Pid, usualSlice)
	p.mu.Lock()
	if w.end != endNone || typ != frameReady || len(payload) > 0 {
		p.mu.Unlock()
		return false
	}
	w.timer.Stop()
	w.ticking = false
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

// startFailed notes a worker that did not get ready. p.mu is held.
func (p *Pool) startFailed(err error) {
	p.starting--
	p.backOff(err)
}

// backOff puts off the next start. After several in a row nothing waits for it
// any more if there is no other worker. p.mu is held.
func (p *Pool) backOff(err error) {
	p.startErr = err
	p.failures++
	p.restarted = false
	p.setRestart()
	if p.starting > 0 || p.failures < hopeless {
		return
	}
	for t := p.retries.pop(); t != nil; t = p.retries.pop() {
		t.fail(err)
	}
	if p.main.live() == 0 {
		p.failWaiting(err)
	}
}

func (p *Pool) failWaiting(err error) {
	fail := func(l *taskList) {
		for t := l.pop(); t != nil; t = l.pop() {
			t.fail(err)
		}
	}
	for _, c := range [...]*crew{&p.main, &p.slow} {
		for i := range c.lines {
			fail(&c.lines[i])
		}
	}
	fail(&p.loads)
	fail(&p.retries)
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

// arm starts the clock of the flight that is the oldest now. Pool.mu is held.
func (w *worker) arm(now time.Time) {
	w.headSince = now
	w.setEnd(now.Add(w.timeFor(w.flights[0].t)))
}

// timeFor is how long a flight may take.
func (w *worker) timeFor(t *task) time.Duration {
	d := t.limits.Deadline + w.pool.opt.Grace
	if t.dropped {
		d = min(d, cancelGrace)
	}
	return d
}

// setEnd says when the current flight's time is up. A timer that fires before
// is left alone: it finds that there is time left.
func (w *worker) setEnd(end time.Time) {
	w.headEnds = end
	if !w.ticking || end.Before(w.fires) {
		w.ticking, w.fires = true, end
		w.timer.Reset(time.Until(end))
	}
}

// onTime ends a worker whose time is up.
func (w *worker) onTime() {
	p := w.pool
	p.mu.Lock()
	w.ticking = false
	if w.end != endNone || w.state != starting && len(w.flights) == 0 {
		p.mu.Unlock()
		return
	}
	if w.timeLeft() {
		p.mu.Unlock()
		return
	}
	switch at, _ := w.current(); {
	case w.state == starting:
		w.fault = fmt.Errorf("it was not ready within %v", readyWithin)
		p.condemn(w, endNotReady)
	case w.flights[at].t.dropped, w.flights[at].cancel:
		p.condemn(w, endAbandoned)
	default:
		p.condemn(w, endDeadline)
	}
	p.replenish()
	batches := p.schedule()
	p.mu.Unlock()
	send(batches)
}

// timeLeft reports whether w has time left, and sets the timer if so: because
// its clock was started again meanwhile, because it is at a later flight than
// the clock was started for, or because the pass was given no processor.
func (w *worker) timeLeft() bool {
	if w.state == starting {
		if time.Until(w.headEnds) > 0 {
			w.setEnd(w.headEnds)
			return true
		}
		return false
	}
	at, since := w.current()
	t := w.flights[at].t
	if at > 0 {
		if end := since.Add(w.timeFor(t)); end.After(w.headEnds) {
			w.headEnds = end
		}
	}
	if time.Until(w.headEnds) > 0 {
		w.setEnd(w.headEnds)
		return true
	}
	// A slow script has shown what it does: the deadline of its passes is wall time.
	if t.dropped || w.slow && !t.load && !w.flights[at].preload || !w.patience.renew(t.limits.Deadline) {
		return false
	}
	w.setEnd(w.headEnds.Add(t.limits.Deadline))
	return true
}

// reap waits for the process to end, which it is made to, and settles what it
// left if it ended by itself.
func (p *Pool) reap(w *worker, cause error) {
	p.mu.Lock()
	unasked := w.end == endNone
	p.mu.Unlock()
	shot := unasked && endedByKill(w.cmd.Process.Pid)
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
		case shot:
			p.condemn(w, endShot)
		default:
			p.condemn(w, endDied)
		}
	}
	w.track.close()
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
