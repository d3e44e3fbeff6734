//go:build linux

package worker_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

// newStrict starts a strict pool, or skips where that is not to be had.
func newStrict(t testing.TB, o worker.Options) *worker.Pool {
	t.Helper()
	o = worker.Strict(o)
	if raceDetector { // it needs cgo, and a program with cgo cannot give up capabilities everywhere
		o.Namespaces = false
	}
	p, err := worker.New(o)
	if err != nil && strings.Contains(err.Error(), "needs user namespaces") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closePool(t, p) })
	return p
}

func closePool(t testing.TB, p *worker.Pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// outside is a worker as the server's machine sees it. A worker in a pid
// namespace does not know its pid; the test is its parent.
func outside(t testing.TB, p *worker.Pool, d runtime.Digest) int {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		_, _ = p.Run(ctx, &runtime.Call{Script: d, Input: []byte("spin"), Limits: runtime.Limits{Deadline: time.Minute}})
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	var pid int
	eventually(t, "the worker that spins", func() bool {
		for _, n := range childrenOf(os.Getpid()) {
			if used, ok := cpuOf(n); ok && used > 30*time.Millisecond {
				pid = n
				return true
			}
		}
		return false
	})
	return pid
}

func read(t testing.TB, format string, args ...any) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf(format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cpuOf is the processor time of a process so far.
func cpuOf(pid int) (time.Duration, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, true
}

// TestStrictWorkersAreAlone looks at all children of this process, so it does
// not run beside others.
func TestStrictWorkersAreAlone(t *testing.T) {
	if raceDetector {
		t.Skip("no namespaces with the race detector")
	}
	p := newStrict(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: time.Minute}})
	d := load(t, p, "x")
	if names := run(t, p, d, "ls /").Return; names != "" {
		t.Errorf("root directory: %q, want it empty", names)
	}
	if msg := run(t, p, d, "write /x").Return.(string); msg == "<nil>" {
		t.Error("a worker wrote a file")
	}
	if msg := run(t, p, d, "read /proc/self/status").Return.(string); !strings.Contains(msg, "no such file") {
		t.Errorf("/proc: %.80q", msg)
	}
	if msg := run(t, p, d, "dial").Return.(string); !strings.Contains(msg, "unreachable") {
		t.Errorf("connect: %q, want no network", msg)
	}
	wantReturn(t, p, d, "pid", int64(1))

	pid := outside(t, p, d)
	for _, name := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		own, err1 := os.Readlink("/proc/self/ns/" + name)
		its, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
		if err1 != nil || err2 != nil || own == its {
			t.Errorf("namespace %s: %s and %s, %v, %v", name, own, its, err1, err2)
		}
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || len(threads) < 3 {
		t.Fatalf("threads: %d, %v", len(threads), err)
	}
	for _, thread := range threads {
		status := read(t, "/proc/%d/task/%s/status", pid, thread.Name())
		for _, want := range []string{"CapInh:\t0", "CapPrm:\t0", "CapEff:\t0", "CapAmb:\t0"} {
			if line := lineOf(status, want[:7]); strings.Trim(line[7:], "\t0") != "" {
				t.Errorf("thread %s: %s", thread.Name(), line)
			}
		}
		if line := lineOf(status, "NoNewPrivs:"); !strings.HasSuffix(line, "1") {
			t.Errorf("thread %s: %s", thread.Name(), line)
		}
	}
	checkHygiene(t, pid)
}

// checkHygiene looks at what every worker must be, from outside.
func checkHygiene(t testing.TB, pid int) {
	t.Helper()
	limits := read(t, "/proc/%d/limits", pid)
	for _, name := range []string{"Max core file size", "Max file size"} {
		if fields := strings.Fields(lineOf(limits, name)[len(name):]); fields[0] != "0" || fields[1] != "0" {
			t.Errorf("%s: %v", name, fields)
		}
	}
	for _, name := range []string{"Max address space", "Max cpu time", "Max open files"} {
		if strings.Contains(lineOf(limits, name), "unlimited") {
			t.Errorf("%s", lineOf(limits, name))
		}
	}
	if score := read(t, "/proc/%d/oom_score_adj", pid); score != "1000\n" {
		t.Errorf("oom_score_adj %q", score)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(fmt.Sprintf("/proc/%d/environ", pid), &st); err != nil || st.Uid != 0 {
		t.Errorf("environ belongs to %d, %v: want root, as of a process that is not dumpable", st.Uid, err)
	}
	if env := strings.Split(strings.Trim(read(t, "/proc/%d/environ", pid), "\x00"), "\x00"); len(env) != 2 {
		t.Errorf("environment: %q", env)
	}
	for line := range strings.Lines(list(fmt.Sprintf("/proc/%d/fd", pid))) {
		n, target, _ := strings.Cut(strings.TrimSpace(line), " ")
		own := strings.HasPrefix(target, "anon_inode:") || strings.Contains(target, "cpu.") || strings.HasSuffix(target, "/statm")
		if n > "3" && len(n) == 1 && !own || len(n) > 1 && !own {
			t.Errorf("descriptor %s is %s", n, target)
		}
	}
}

func TestScriptsWithWorkersOfTheirOwn(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2, Own: true, Bound: 3, Slow: -1})
	var ds []runtime.Digest
	for i := range 6 {
		ds = append(ds, loadAs(t, p, fmt.Sprintf("%d.test", i), "x"))
	}
	seen := map[runtime.Value]int{} // pid → script
	for i := range 60 {
		n := i * i % 6
		pid := run(t, p, ds[n], "pid").Return
		if owner, known := seen[pid]; known && owner != n {
			t.Fatalf("scripts %d and %d were in one worker", owner, n)
		}
		seen[pid] = n
		if s := p.Stats(); s.Workers > 3 {
			t.Fatalf("got %+v: want at most three workers that belong to scripts", s)
		}
	}
	// The one used last stays; so does it when its script changes.
	pid := run(t, p, ds[0], "pid").Return
	wantReturn(t, p, ds[0], "pid", pid)
	changed := loadAs(t, p, "0.test", "y")
	wantReturn(t, p, changed, "pid", pid)
	for _, n := range []int{1, 2, 3} {
		run(t, p, ds[n], "pid")
	}
	if again := run(t, p, ds[0], "pid").Return; again == pid {
		t.Error("the least recently used worker was kept")
	}
	if s := p.Stats(); s.Died+s.Killed != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestOwnWorkersServeManyScriptsAtOnce(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2, Own: true, Bound: 4, Recycle: worker.Recycle{Events: 20}})
	var ds []runtime.Digest
	for i := range 8 {
		ds = append(ds, loadAs(t, p, fmt.Sprintf("%d.test", i), fmt.Sprint("s", i)))
	}
	var waits []func() (*runtime.Reply, error)
	for i := range 400 {
		c := call(ds[i*7%8], short, "source")
		c.Lane = fmt.Sprint(i % 3)
		waits = append(waits, p.Queue(t.Context(), c))
	}
	for i, wait := range waits {
		if r, err := wait(); err != nil || r.Return != fmt.Sprint("s", i*7%8) {
			t.Fatalf("run %d: %+v, %v", i, r, err)
		}
	}
	// Behind the others: twenty good passes after it would make up for it.
	wantError(t, p, ds[0], "spin", runtime.LimitError, runtime.LimitDeadline)
	wantReturn(t, p, ds[0], "nice", "10 <nil>")
	wantReturn(t, p, ds[1], "nice", "0 <nil>")
	if s := p.Stats(); s.Workers > 5 || s.Waiting != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestStrictLimits(t *testing.T) {
	t.Parallel()
	p := newStrict(t, worker.Options{Workers: 1, Grace: time.Second})
	d := load(t, p, "x")
	r, err := p.Run(t.Context(), &runtime.Call{Script: d, Input: []byte("limits"), Limits: runtime.DefaultLimits})
	if want := fmt.Sprintf("2000000 100ms %d 100 %d", 128<<20, 64<<10); err != nil || r.Return != want {
		t.Errorf("got %+v, %v, want %s", r, err, want)
	}
	o := worker.Strict(worker.Options{Limits: runtime.Limits{Deadline: time.Second, Memory: 1 << 30}})
	if o.Limits.Deadline != time.Second || o.Memory != 1<<30 || !o.Own || !o.Namespaces {
		t.Errorf("explicit limits: got %+v", o)
	}
}

// forbidden is a server where user namespaces are forbidden.
func forbidden() {
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		fmt.Println("cannot forbid:", err)
		return
	}
	_, err := worker.New(worker.Strict(worker.Options{Workers: 1}))
	fmt.Println(err)
}

func TestStrictIsRefusedWhereNamespacesAreForbidden(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "forbidden")
	one := []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: one, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	out, err := cmd.Output()
	if err != nil || strings.HasPrefix(string(out), "cannot forbid") {
		t.Skip("cannot make a place where they are forbidden:", err, string(out))
	}
	for _, want := range []string{"strict needs user namespaces", "user.max_user_namespaces = 0", "sandbox: default"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("got %q, want %q in it", out, want)
		}
	}
}

// TestNoTokenInAWorker looks for the server's token in the memory of a worker
// that has been given a secret. It looks at all children of this process, so it
// does not run beside others.
func TestNoTokenInAWorker(t *testing.T) {
	const token = "xoxb-1234-very-secret-0987"
	t.Setenv("SLACK_BOT_TOKEN", token)
	kept := []byte(token + token)
	p := newPool(t, worker.Options{Workers: 1, Limits: runtime.Limits{Deadline: time.Minute}})
	src := "def handle(e):\n    send(secret(\"SLACK_BOT_TOKEN\"))\n    for i in range(1 << 40): pass\non.message(\".\", handle)\n"
	b := starlark("a.star", src)
	if _, err := p.Load(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = p.Run(ctx, &runtime.Call{Script: b.Digest, When: -1, Input: []byte(`{"text": "hi"}`), Limits: runtime.Limits{Steps: 1 << 60}})
	}()
	defer func() { cancel(); <-done }()
	var pid int
	eventually(t, "the worker that spins", func() bool {
		for _, n := range childrenOf(os.Getpid()) {
			if used, ok := cpuOf(n); ok && used > 30*time.Millisecond {
				pid = n
				return true
			}
		}
		return false
	})
	found, seen, err := scanMemory(pid, []byte(token), []byte("SLACK_BOT_TOKEN"))
	if err != nil {
		t.Skip("cannot read another process's memory:", err)
	}
	if found {
		t.Error("the worker's memory holds the server's token")
	}
	if !seen {
		t.Error("the search does not even find the secret's name")
	}
	if own, _, err := scanMemory(os.Getpid(), []byte(token), nil); err == nil && !own {
		t.Error("the search does not find the token where it is", len(kept))
	}
}

// scanMemory looks for two texts in what a process can write.
func scanMemory(pid int, a, b []byte) (foundA, foundB bool, err error) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return false, false, err
	}
	defer mem.Close()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return false, false, err
	}
	chunk := make([]byte, 4<<20)
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		from, to, _ := strings.Cut(fields[0], "-")
		start, _ := strconv.ParseInt(from, 16, 64)
		end, _ := strconv.ParseInt(to, 16, 64)
		if !strings.HasPrefix(fields[1], "rw") || end-start > 512<<20 {
			continue
		}
		for at := start; at < end; at += int64(len(chunk)) {
			n, _ := mem.ReadAt(chunk[:min(int64(len(chunk)), end-at)], at)
			foundA = foundA || bytes.Contains(chunk[:n], a)
			foundB = foundB || len(b) > 0 && bytes.Contains(chunk[:n], b)
		}
	}
	return foundA, foundB, nil
}
