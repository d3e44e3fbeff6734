package worker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/runtimetest"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/runtime/worker"
)

// The test binary is its own worker: started with the argument "worker" it
// serves the real languages and the one below; with "unguarded" the real ones
// without their guards. With "mayfly" it dies unused, and with the name of a
// server below it is that.
func TestMain(m *testing.M) {
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case worker.Arg:
		os.Exit(worker.Main(append(languages(true), lang{})...))
	case "unguarded":
		os.Exit(worker.Main(languages(false)...))
	case "mayfly":
		time.AfterFunc(20*time.Millisecond, func() { os.Exit(0) })
		os.Exit(worker.Main(lang{}))
	case "parent":
		parent()
	case "hardened":
		hardened()
	case "forbidden":
		forbidden()
	}
}

// languages are the real ones, with their guards or without.
func languages(guarded bool) []runtime.Language {
	if guarded {
		return []runtime.Language{must(star.New(runtimetest.Host())), must(lua.New(runtimetest.Host()))}
	}
	return []runtime.Language{must(star.NewUnguarded(runtimetest.Host())), must(lua.NewUnguarded(runtimetest.Host()))}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// lang is a language of one command, in the source for loading and in
// Call.Input for running. It does what a script should not be able to.
type lang struct{}

func (lang) Name() string { return "test" }
func (lang) Ext() string  { return ".test" }

func (lang) Load(ctx context.Context, b *runtime.Bundle, lim runtime.Limits) (runtime.Module, *runtime.Manifest, error) {
	src := string(b.Files[b.Main])
	first, _, _ := strings.Cut(src, "\n")
	switch {
	case first == "fault":
		return nil, nil, runtime.Errors{
			{Kind: runtime.SyntaxError, Msg: "bad", Pos: runtime.Position{Path: b.Main, Line: 1}},
			{Kind: runtime.NameError, Msg: "worse"},
		}
	case first == "missing":
		return nil, &runtime.Manifest{Missing: []runtime.Missing{{Name: "x", Path: "x.test"}}}, nil
	case first == "refuse":
		return nil, nil, errors.New("not today")
	case first == "panic":
		panic("at load")
	case strings.HasPrefix(first, "run "):
		if r := do(ctx, first[4:], &runtime.Call{Limits: lim}); r.Err != nil {
			return nil, nil, runtime.Errors{r.Err}
		}
	}
	return module{src}, &runtime.Manifest{
		Registrations: []runtime.Registration{{
			Name: "on.test",
			Args: runtime.NewDict("handler", runtime.Func{Index: 7, Name: "seven", Pos: runtime.Position{Path: b.Main, Line: 2, Col: 1}}),
		}},
	}, nil
}

type module struct{ src string }

func (m module) Run(ctx context.Context, c *runtime.Call) *runtime.Reply {
	switch {
	case string(c.Input) == "source":
		return done(m.src)
	case bytes.HasPrefix(c.Input, []byte("nothing ")): // to do, and none of the rest is looked at
		return done(nil)
	}
	return do(ctx, string(c.Input), c)
}

func done(v runtime.Value) *runtime.Reply {
	return &runtime.Reply{Status: runtime.Done, Return: v, Steps: 1}
}

// held is what a careless native library keeps between passes.
var held [][]byte

// counted is the number of passes of "count" in this process.
var counted int64

func do(ctx context.Context, cmd string, c *runtime.Call) *runtime.Reply {
	verb, rest, _ := strings.Cut(cmd, " ")
	switch verb {
	case "echo":
		return done(rest)
	case "pid":
		return done(int64(os.Getpid()))
	case "spin":
		for n := 0; n >= 0; {
			n &= 1
		}
	case "soft":
		<-ctx.Done()
		return &runtime.Reply{Status: runtime.Failed, Err: &runtime.Error{Kind: runtime.LimitError, Limit: runtime.LimitDeadline, Msg: "soft"}}
	case "bomb": // bounded, should the wall not hold
		for range 128 {
			held = append(held, dirty(16<<20))
		}
		return done("no wall within 2 GB")
	case "count":
		counted++
		return done(counted)
	case "hold":
		n, _ := strconv.Atoi(rest)
		held = append(held, dirty(n<<20))
		return done(int64(n))
	case "deepstack":
		return done(int64(recurse(1)))
	case "exit":
		os.Exit(3)
	case "once": // dies the first time, as if an earlier pass had left a trap
		f, err := os.Open(rest)
		if err != nil {
			return done("alive")
		}
		_ = f.Close()
		_ = os.Remove(rest)
		os.Exit(4)
	case "send":
		b, _ := strconv.Unquote(rest)
		_, _ = syscall.Write(3, []byte(b))
		select {}
	case "close":
		_ = syscall.Shutdown(3, syscall.SHUT_RDWR)
		select {}
	case "panic":
		panic(rest)
	case "deep":
		var v runtime.Value = int64(1)
		for range 40 {
			v = runtime.List{v}
		}
		return done(v)
	case "large":
		n, _ := strconv.Atoi(rest)
		return done(strings.Repeat("x", n))
	case "effects":
		n, _ := strconv.Atoi(rest)
		r := &runtime.Reply{Status: runtime.Suspended}
		for i := range n {
			r.Effects = append(r.Effects, runtime.Effect{Step: len(c.Results) + i + 1, Kind: "post", Args: runtime.NewDict("text", "hi")})
		}
		return r
	case "limits":
		return done(fmt.Sprintf("%d %v %d %d %d", c.Limits.Steps, c.Limits.Deadline, c.Limits.Memory, c.Limits.Effects, c.Limits.Output))
	case "fds":
		return done(list("/proc/self/fd"))
	case "read":
		b, err := os.ReadFile(rest)
		if err != nil {
			return done(err.Error())
		}
		return done(string(b))
	case "ls":
		return done(list(rest))
	case "nice":
		n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		return done(fmt.Sprint(20-n, err)) // the system call counts downwards from 20
	case "stamp":
		return done(time.Now().UnixNano())
	case "dial":
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err == nil {
			err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
			_ = syscall.Close(fd)
		}
		return done(fmt.Sprint(err))
	case "env":
		return done(strings.Join(os.Environ(), "\n"))
	case "write":
		err := os.WriteFile(rest, []byte("data"), 0o600)
		return done(fmt.Sprint(err))
	case "sleep":
		d, _ := time.ParseDuration(rest)
		time.Sleep(d)
		return done("slept")
	case "burn", "tire": // tired, it sleeps
		d, _ := time.ParseDuration(rest)
		used := func() time.Duration {
			var u syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
			return time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
		for end := used() + d; used() < end; {
		}
		if verb == "tire" {
			time.Sleep(20 * time.Second)
		}
		return done("burnt")
	case "none":
		return nil
	}
	return &runtime.Reply{Status: runtime.Failed, Err: &runtime.Error{Kind: runtime.RunError, Msg: "what is " + verb + "?"}}
}

func dirty(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 4096 {
		b[i] = 1
	}
	return b
}

func recurse(n int) int {
	if n < 0 {
		return 0
	}
	var pad [1024]byte
	pad[n%1024] = byte(n)
	return recurse(n+1) + int(pad[(n+1)%1024])
}

func list(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, e := range entries {
		target, _ := os.Readlink(filepath.Join(dir, e.Name()))
		lines = append(lines, e.Name()+" "+target)
	}
	return strings.Join(lines, "\n")
}

// frame makes the wire form of a frame, as a worker would send it.
func frame(typ byte, payload string) string {
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))) + string(typ) + payload
}

// newPool starts a pool that the test's end closes. The race detector
// shadows memory, so the wall is further away with it.
func newPool(t testing.TB, o worker.Options) *worker.Pool {
	t.Helper()
	if o.Memory == 0 {
		o.Memory = memory
	}
	if o.Logger == nil && os.Getenv("WORKER_LOG") != "" {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	p, err := worker.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

func bundle(name, src string) *runtime.Bundle {
	return runtime.NewBundle("test", name, map[string][]byte{name: []byte(src)}, nil)
}

func load(t testing.TB, p *worker.Pool, src string) runtime.Digest {
	t.Helper()
	b := bundle("a.test", src)
	if _, err := p.Load(context.Background(), b); err != nil {
		t.Fatalf("Load: %v", err)
	}
	return b.Digest
}

func run(t testing.TB, p *worker.Pool, d runtime.Digest, cmd string) *runtime.Reply {
	t.Helper()
	r, err := p.Run(context.Background(), &runtime.Call{Script: d, Func: 7, When: -1, Input: []byte(cmd), RunID: "r1"})
	if err != nil {
		t.Fatalf("Run %s: %v", cmd, err)
	}
	return r
}

// wantReturn runs cmd and compares what it returns.
func wantReturn(t testing.TB, p *worker.Pool, d runtime.Digest, cmd string, want runtime.Value) {
	t.Helper()
	if r := run(t, p, d, cmd); r.Status != runtime.Done || r.Return != want {
		t.Fatalf("run %s: got %v %v (err %v), want done %v", cmd, r.Status, r.Return, r.Err, want)
	}
}

// wantError runs cmd and compares the kind and limit of its error.
func wantError(t testing.TB, p *worker.Pool, d runtime.Digest, cmd string, kind runtime.ErrorKind, limit string) *runtime.Error {
	t.Helper()
	r := run(t, p, d, cmd)
	if r.Status != runtime.Failed || r.Err == nil {
		t.Fatalf("run %s: got %v %v, want failed", cmd, r.Status, r.Return)
	}
	if r.Err.Kind != kind || r.Err.Limit != limit {
		t.Fatalf("run %s: got %s %q (%v), want %s %q", cmd, r.Err.Kind, r.Err.Limit, r.Err, kind, limit)
	}
	return r.Err
}

// eventually polls for what real processes do in their own time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// parent is a server with two spinning workers. It prints their pids.
func parent() {
	p, err := worker.New(worker.Options{Workers: 2, Memory: memory, Limits: runtime.Limits{Deadline: time.Minute}})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	b := bundle("a.test", "x")
	if _, err := p.Load(context.Background(), b); err != nil {
		fmt.Println("error", err)
		return
	}
	for range 2 {
		go func() { _, _ = p.Run(context.Background(), &runtime.Call{Script: b.Digest, Input: []byte("spin")}) }()
	}
	for p.Stats().Busy < 2 {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("ready")
	select {}
}

// hardened is a server that was started with a descriptor it does not know
// of, and whose workers still start once it is hardened.
func hardened() {
	if err := worker.HardenServer(); err != nil {
		fmt.Println("error", err)
		return
	}
	out, _ := exec.Command("/bin/ls", "/proc/self/fd").Output()
	if strings.Contains(string(out), "5") || len(strings.Fields(string(out))) > 4 {
		fmt.Printf("inherited: %s\n", out)
		return
	}
	p, err := worker.New(worker.Options{Workers: 1, Memory: memory})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	b := bundle("a.test", "x")
	if _, err := p.Load(context.Background(), b); err != nil {
		fmt.Println("error", err)
		return
	}
	var st syscall.Stat_t
	if err := syscall.Stat("/proc/self/environ", &st); err != nil || st.Uid != 0 {
		fmt.Println("environ is readable", err)
		return
	}
	limits, _ := os.ReadFile("/proc/self/limits")
	for line := range strings.Lines(string(limits)) {
		if name := "Max core file size"; strings.HasPrefix(line, name) && !strings.HasPrefix(strings.TrimSpace(line[len(name):]), "0 ") {
			fmt.Println("a crash leaves a core:", line)
			return
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	if !strings.Contains(string(status), "NoNewPrivs:\t1") {
		fmt.Println("programs it starts may gain privileges")
		return
	}
	if err := p.Close(context.Background()); err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("ok")
}
