package worker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/metrics"
	"sync"
	"syscall"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// afterOwn is how long after the deadline a pass's context ends: an
// interpreter that watches the clock itself knows better where the script was.
const afterOwn = 5 * time.Millisecond

// serverFD is the worker's end of the socket.
const serverFD = 3

// Main is what a worker does from start to end: it takes requests on file
// descriptor 3, one after the other, and answers them in order. It returns the
// exit code, once the server has gone or closed the socket.
func Main(langs ...runtime.Language) int {
	if err := serve(serverFD, langs); err != nil {
		fmt.Fprintln(os.Stderr, "starling worker:", err)
		return 2
	}
	return 0
}

func serve(fd int, langs []runtime.Language) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return errors.New("this command is for the server to start, not for you")
	}
	// A terminal's or a service manager's signal is for the server; the worker
	// ends with it, after the passes under way.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	go exitWithServer(fd)

	c := &child{sock: sock(fd), exec: runtime.NewExecutor(langs...)}
	c.in = newFrameReader(c.sock, maxRequest, childBuffer)
	c.flusher = stopped(c.flushLate)
	c.sample[0].Name = "/memory/classes/heap/objects:bytes"
	typ, payload, err := c.in.next()
	if err != nil {
		return endOfServer(err)
	}
	if typ != frameHello {
		return fmt.Errorf("want hello first, got frame %q", typ)
	}
	h, err := decodeHello(payload)
	if err != nil {
		return fmt.Errorf("read hello: %w", err)
	}
	if h.Track {
		if c.track, err = openTrack(fd + 1); err != nil {
			return err
		}
	}
	if c.space, err = confine(fd, h); err != nil {
		return err
	}
	if _, err := c.sock.Write(endFrame(beginFrame(nil, frameReady), 0)); err != nil {
		return endOfServer(err)
	}
	return endOfServer(c.loop())
}

// endOfServer turns the errors that a gone server causes into nil.
func endOfServer(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// sock is a blocking socket without Go's poller: in a worker nothing else
// runs meanwhile, and a plain system call is the shortest way.
type sock int

func (s sock) Read(b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(s), b)
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 && err == nil {
			return 0, io.EOF
		}
		return max(n, 0), err
	}
}

// impatient is a sock whose reads do not wait.
type impatient sock

func (s impatient) Read(b []byte) (int, error) {
	n, _, err := syscall.Recvfrom(int(s), b, syscall.MSG_DONTWAIT)
	return max(n, 0), err
}

func (s sock) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, err := syscall.Write(int(s), b[done:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// child is the state of a worker process; one goroutine uses it, but for out.
type child struct {
	sock     sock
	in       *frameReader
	exec     *runtime.Executor
	space    space
	track    *track
	slow     bool
	patience patience
	request  uint64 // the number of the request that was read last
	skip     span   // requests that are not wanted any more
	sample   [1]metrics.Sample
	heap     int64 // when it was measured last

	mu      sync.Mutex // over out and failed: the flusher's timer has its own goroutine
	out     []byte     // answers that are not sent
	start   int        // of the answer that is being made
	failed  error      // of the flusher
	flusher *time.Timer
	late    bool // the flusher's timer runs
}

const (
	// childBuffer holds all that is written to a worker ahead, and a cancel.
	childBuffer = bytesAhead + 8<<10
	// flushAfter is how long an answer waits at most for those behind it.
	flushAfter = time.Millisecond
	// flushAt is how many bytes wait at most.
	flushAt = 64 << 10
	// longPass is a pass after which the server may have taken back others.
	longPass = stallAfter / 2
)

// loop answers until the server goes. While whole requests wait, answers are
// kept and go together, for at most flushAfter: the track tells the server
// meanwhile what this worker is at. Without a track each goes at once, so that
// the oldest unanswered request is what it is at.
func (c *child) loop() error {
	for {
		typ, payload, err := c.in.next()
		if err != nil {
			return err
		}
		switch typ {
		case frameRun, frameLoad, framePreload:
			c.request++
			if c.skip.has(c.request) {
				break
			}
			if err := c.serve(typ, payload); err != nil {
				return err
			}
		case frameForget:
			var d runtime.Digest
			copy(d[:], payload)
			c.exec.Forget(d)
		case frameSlow:
			c.slow = true
			giveWay()
		case frameCancel:
			c.request++
			c.cancel(payload)
			c.confirm()
		default:
			return fmt.Errorf("%w: type %q", errFrame, typ)
		}
		if !c.in.whole() {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
}

// serve makes the answer of a request, and sends it unless others wait.
func (c *child) serve(typ byte, payload []byte) error {
	began := time.Now()
	c.track.begin(c.request, began)
	var answer func()
	if typ == frameRun {
		answer = c.run(payload, began)
	} else {
		answer = c.load(typ, payload)
	}
	if time.Since(began) > longPass {
		c.in.poll(impatient(c.sock))
		c.in.find(func(typ byte, payload []byte) {
			if typ == frameCancel {
				c.cancel(payload)
			}
		})
	}
	if !c.in.whole() || c.request%16 == 0 {
		metrics.Read(c.sample[:])
		c.heap = int64(c.sample[0].Value.Uint64())
	}
	c.mu.Lock()
	c.start = len(c.out)
	answer()
	endFrame(c.out[c.start:], 0)
	enough := c.track == nil || len(c.out) >= flushAt || time.Since(began) > flushAfter
	if !enough && !c.late {
		c.late = true
		c.flusher.Reset(flushAfter)
	}
	c.mu.Unlock()
	if enough {
		return c.flush()
	}
	return nil
}

// clock is the context of a pass; the deadline of a slow script's is wall time.
func (c *child) clock(deadline time.Duration, began time.Time, patient bool) *passClock {
	p := &c.patience
	if !patient {
		p = nil
	}
	return startClock(deadline+afterOwn, p, began)
}

// confirm answers a cancel: whatever it took back was skipped, or is answered.
func (c *child) confirm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start = len(c.out)
	c.begin(frameLoaded)
	endFrame(c.out[c.start:], 0)
}

func (c *child) cancel(payload []byte) {
	if s, err := decodeCancel(payload); err == nil {
		c.skip = s
	}
}

// flush sends the answers that wait.
func (c *child) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.late {
		c.late = false
		c.flusher.Stop()
	}
	c.send()
	return c.failed
}

// flushLate sends what has waited long enough, whatever a pass does meanwhile.
func (c *child) flushLate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = false
	c.send()
}

func (c *child) send() {
	if len(c.out) == 0 || c.failed != nil {
		return
	}
	_, c.failed = c.sock.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > 2*flushAt {
		c.out = nil
	}
}

// begin starts the answer over, with the number and heap size that each carries.
func (c *child) begin(typ byte) {
	c.out = beginFrame(c.out[:c.start], typ)
	c.out = binary.AppendVarint(binary.AppendUvarint(c.out, c.request), c.heap)
}

// tooLong reports whether the answer is more than the server would take.
func (c *child) tooLong() bool { return len(c.out)-c.start > maxAnswer }

func (c *child) refuse(err error) func() {
	return func() {
		c.begin(frameRefused)
		msg := err.Error()
		c.out = append(c.out, msg[:min(len(msg), 1000)]...)
	}
}

// run makes a pass, and returns what writes its answer.
func (c *child) run(payload []byte, began time.Time) func() {
	call, err := runtime.DecodeCall(payload)
	if err != nil {
		return c.refuse(fmt.Errorf("decode call: %w", err))
	}
	c.space.tighten(call.Limits.Memory)
	defer c.space.loosen()
	ctx := c.clock(call.Limits.Deadline, began, !c.slow)
	defer ctx.stop()
	reply, err := c.exec.Run(ctx, call)
	switch {
	case err != nil:
		return c.refuse(err)
	case reply == nil:
		return c.refuse(errors.New("the language gave no reply"))
	}
	if reply.Took == 0 {
		reply.Took = time.Since(began)
	}
	if e := oversize(reply); e != nil {
		reply = &runtime.Reply{Status: runtime.Failed, Err: e, Steps: reply.Steps, Took: reply.Took}
	}
	return func() {
		c.begin(frameReply)
		c.out = runtime.AppendReply(c.out, reply)
		if c.tooLong() {
			c.begin(frameReply)
			c.out = runtime.AppendReply(c.out, &runtime.Reply{
				Status: runtime.Failed, Err: tooLarge("effects, logs and answer of the pass"), Steps: reply.Steps, Took: reply.Took,
			})
		}
	}
}

// load compiles a bundle, and returns what writes the answer.
func (c *child) load(typ byte, payload []byte) func() {
	bundle, lim, err := decodeLoad(payload)
	if err != nil {
		return c.refuse(fmt.Errorf("decode bundle: %w", err))
	}
	c.space.tighten(lim.Memory)
	defer c.space.loosen()
	ctx := c.clock(lim.Deadline, time.Now(), true)
	defer ctx.stop()
	man, err := c.loadModule(ctx, bundle, lim)
	return func() {
		var errs runtime.Errors
		switch {
		case errors.As(err, &errs) && len(errs) > 0:
			c.begin(frameErrors)
			c.out = runtime.AppendErrors(c.out, errs)
		case err != nil:
			c.refuse(err)()
		case typ == framePreload:
			c.begin(frameLoaded)
		default:
			c.begin(frameManifest)
			c.out = runtime.AppendManifest(c.out, man)
		}
		if c.tooLong() {
			c.exec.Forget(bundle.Digest)
			e := tooLarge("registrations and output of the script")
			e.Pos.Path = bundle.Main
			c.begin(frameErrors)
			c.out = runtime.AppendErrors(c.out, runtime.Errors{e})
		}
	}
}

// loadModule is Executor.Load with a panic turned into an error.
func (c *child) loadModule(ctx context.Context, b *runtime.Bundle, lim runtime.Limits) (man *runtime.Manifest, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = runtime.Errors{{Kind: runtime.InternalError, Msg: fmt.Sprintf("panic: %v", p), Pos: runtime.Position{Path: b.Main}}}
		}
	}()
	return c.exec.Load(ctx, b, lim)
}

func tooLarge(what string) *runtime.Error {
	return &runtime.Error{
		Kind: runtime.LimitError, Limit: runtime.LimitOutput,
		Msg: fmt.Sprintf("the %s are larger than %d KB together", what, maxAnswer>>10),
	}
}

// oversize finds what the server's decoder would refuse, so that the script
// is told in words rather than its worker distrusted.
func oversize(r *runtime.Reply) *runtime.Error {
	what, pos, ok := "the returned value", runtime.Position{}, withinBounds(r.Return)
	for i := 0; ok && i < len(r.Effects); i++ {
		if e := &r.Effects[i]; !withinBounds(e.Args) {
			what, pos, ok = "the arguments of "+e.Kind, e.Pos, false
		}
	}
	for i := 0; ok && i < len(r.Logs); i++ {
		if l := &r.Logs[i]; !withinBounds(l.Attrs) {
			what, pos, ok = "the attributes of a log line", l.Pos, false
		}
	}
	if ok {
		return nil
	}
	return &runtime.Error{
		Kind: runtime.LimitError, Limit: runtime.LimitOutput, Pos: pos,
		Msg: fmt.Sprintf("%s: nested more than %d deep, or of more than %d parts", what, runtime.MaxDepth, runtime.MaxParts),
	}
}

func withinBounds(v runtime.Value) bool {
	parts := runtime.MaxParts
	return bounded(v, runtime.MaxDepth, &parts)
}

func bounded(v runtime.Value, depth int, parts *int) bool {
	if depth == 0 {
		return false
	}
	switch v := v.(type) {
	case runtime.List:
		if *parts -= len(v); *parts < 0 {
			return false
		}
		for _, e := range v {
			if !bounded(e, depth-1, parts) {
				return false
			}
		}
	case *runtime.Dict:
		if *parts -= v.Len(); *parts < 0 {
			return false
		}
		for i := range v.Len() {
			if !bounded(v.Fields[i].Value, depth-1, parts) {
				return false
			}
		}
	case runtime.Secret:
		*parts -= len(v.Parts)
		return *parts >= 0
	}
	return true
}
