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
// descriptor 3 and answers each before it reads the next. It returns the exit
// code, once the server has gone or closed the socket.
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
	c.in = newFrameReader(c.sock, maxRequest)
	c.heap[0].Name = "/memory/classes/heap/objects:bytes"
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

// child is the state of a worker process; one goroutine uses it.
type child struct {
	sock  sock
	in    *frameReader
	out   []byte
	exec  *runtime.Executor
	space space
	heap  [1]metrics.Sample
}

// loop answers until the server goes. The answer of a request is written
// before the next request is looked at, though that costs a system call each:
// only so the oldest unanswered one is to blame when the worker is killed.
func (c *child) loop() error {
	for {
		typ, payload, err := c.in.next()
		if err != nil {
			return err
		}
		switch typ {
		case frameRun:
			c.run(payload)
		case frameLoad, framePreload:
			c.load(typ, payload)
		case frameForget:
			var d runtime.Digest
			copy(d[:], payload)
			c.exec.Forget(d)
			continue
		default:
			return fmt.Errorf("%w: type %q", errFrame, typ)
		}
		if _, err := c.sock.Write(endFrame(c.out, 0)); err != nil {
			return err
		}
		if cap(c.out) > 64<<10 {
			c.out = nil
		}
	}
}

// begin starts the answer, with the heap size that every answer carries.
func (c *child) begin(typ byte) {
	metrics.Read(c.heap[:])
	c.out = binary.AppendVarint(beginFrame(c.out[:0], typ), int64(c.heap[0].Value.Uint64()))
}

func (c *child) refuse(err error) {
	c.begin(frameRefused)
	msg := err.Error()
	c.out = append(c.out, msg[:min(len(msg), 1000)]...)
}

func (c *child) run(payload []byte) {
	call, err := runtime.DecodeCall(payload)
	if err != nil {
		c.refuse(fmt.Errorf("decode call: %w", err))
		return
	}
	c.space.tighten(call.Limits.Memory)
	defer c.space.loosen()
	start := time.Now()
	ctx, cancel := withDeadline(call.Limits.Deadline + afterOwn)
	defer cancel()
	reply, err := c.exec.Run(ctx, call)
	switch {
	case err != nil:
		c.refuse(err)
		return
	case reply == nil:
		c.refuse(errors.New("the language gave no reply"))
		return
	}
	if reply.Took == 0 {
		reply.Took = time.Since(start)
	}
	if e := oversize(reply); e != nil {
		reply = &runtime.Reply{Status: runtime.Failed, Err: e, Steps: reply.Steps, Took: reply.Took}
	}
	c.begin(frameReply)
	c.out = runtime.AppendReply(c.out, reply)
	if len(c.out) > maxAnswer {
		c.begin(frameReply)
		c.out = runtime.AppendReply(c.out, &runtime.Reply{
			Status: runtime.Failed, Err: tooLarge("effects, logs and answer of the pass"), Steps: reply.Steps, Took: reply.Took,
		})
	}
}

func (c *child) load(typ byte, payload []byte) {
	bundle, lim, err := decodeLoad(payload)
	if err != nil {
		c.refuse(fmt.Errorf("decode bundle: %w", err))
		return
	}
	c.space.tighten(lim.Memory)
	defer c.space.loosen()
	ctx, cancel := withDeadline(lim.Deadline + afterOwn)
	defer cancel()
	man, err := c.loadModule(ctx, bundle, lim)
	var errs runtime.Errors
	switch {
	case errors.As(err, &errs) && len(errs) > 0:
		c.begin(frameErrors)
		c.out = runtime.AppendErrors(c.out, errs)
	case err != nil:
		c.refuse(err)
	case typ == framePreload:
		c.begin(frameLoaded)
	default:
		c.begin(frameManifest)
		c.out = runtime.AppendManifest(c.out, man)
	}
	if len(c.out) > maxAnswer {
		c.exec.Forget(bundle.Digest)
		e := tooLarge("registrations and output of the script")
		e.Pos.Path = bundle.Main
		c.begin(frameErrors)
		c.out = runtime.AppendErrors(c.out, runtime.Errors{e})
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
