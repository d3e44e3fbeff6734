//go:build linux

package worker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

func TestWorkerHasNothingOfTheServers(t *testing.T) {
	// A descriptor that the server forgot to mark, as an embedding program might.
	f, err := os.Open("/etc/hostname")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	leak, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leak)
	t.Setenv("STARLING_SECRET", "xoxb")

	p := newPool(t, worker.Options{Workers: 1, Env: []string{"EXTRA=1"}})
	d := load(t, p, "x")
	if env := run(t, p, d, "env").Return; env != "GOTRACEBACK=none\nGOMAXPROCS=1\nEXTRA=1" {
		t.Errorf("environment: %q", env)
	}
	for line := range strings.Lines(run(t, p, d, "fds").Return.(string)) {
		n, target, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case n == "0", n == "1":
			if target != "/dev/null" {
				t.Errorf("descriptor %s is %s", n, target)
			}
		case n == "2":
			if !strings.HasPrefix(target, "pipe:") {
				t.Errorf("descriptor %s is %s", n, target)
			}
		case n == "3":
			if !strings.HasPrefix(target, "socket:") {
				t.Errorf("descriptor %s is %s", n, target)
			}
		case strings.HasPrefix(target, "anon_inode:"), strings.HasPrefix(target, "/proc/"), strings.HasPrefix(target, "/sys/fs/cgroup"), target == "":
			// Go's poller, and the directory being listed
		default:
			t.Errorf("descriptor %s is %s", n, target)
		}
	}
}

func TestWorkerIsConfined(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1})
	d := load(t, p, "x")
	limits := run(t, p, d, "read /proc/self/limits").Return.(string)
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
	status := run(t, p, d, "read /proc/self/status").Return.(string)
	if !strings.HasSuffix(lineOf(status, "NoNewPrivs:"), "1") && !raceDetector {
		t.Errorf("%s", lineOf(status, "NoNewPrivs:"))
	}
	if score := run(t, p, d, "read /proc/self/oom_score_adj").Return; score != "1000\n" {
		t.Errorf("oom_score_adj %q", score)
	}
	pid := run(t, p, d, "pid").Return.(int64)
	var st syscall.Stat_t
	if err := syscall.Stat(fmt.Sprintf("/proc/%d/environ", pid), &st); err != nil || st.Uid != 0 {
		t.Errorf("a worker's /proc files belong to root once it is not dumpable: uid %d, %v", st.Uid, err)
	}
	file := filepath.Join(t.TempDir(), "x")
	if msg := run(t, p, d, "write "+file).Return.(string); msg == "<nil>" {
		t.Error("a worker wrote a file")
	}
}

func lineOf(text, start string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, start) {
			return strings.TrimSpace(line)
		}
	}
	return start + " is missing"
}

func TestNoOrphansAfterTheServerIsKilled(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("parent said %q", line)
	}
	var pids []int
	eventually(t, "three workers", func() bool { pids = childrenOf(cmd.Process.Pid); return len(pids) >= 3 })
	start := time.Now()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	eventually(t, "the workers' end", func() bool {
		for _, pid := range pids {
			if alive(pid) {
				return false
			}
		}
		return true
	})
	t.Logf("%d workers, 2 of them spinning, were gone after %v", len(pids), time.Since(start))
}

// childrenOf lists the processes whose parent is pid, zombies too.
func childrenOf(pid int) []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if _, parent, ok := statOf(n); ok && parent == pid {
			pids = append(pids, n)
		}
	}
	return pids
}

func alive(pid int) bool {
	state, _, ok := statOf(pid)
	return ok && state != "Z" && state != "X"
}

func statOf(pid int) (state string, parent int, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0, false
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent, true
}

// TestCloseLeavesNothing counts the descriptors and children of the whole
// process, so it does not run beside others.
func TestCloseLeavesNothing(t *testing.T) {
	before, children := openFiles(t), len(childrenOf(os.Getpid()))
	for range 3 {
		p, err := worker.New(worker.Options{Workers: 2, Memory: memory})
		if err != nil {
			t.Fatal(err)
		}
		d := load(t, p, "x")
		wantError(t, p, d, "exit", runtime.InternalError, "")
		wantReturn(t, p, d, "echo x", "x")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Run(t.Context(), &runtime.Call{Script: d}); !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("run after Close: %v", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if now := len(childrenOf(os.Getpid())); now > children {
		t.Errorf("%d children before, %d after", children, now)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestCloseWaitsAndThenCuts(t *testing.T) {
	t.Parallel()
	p, err := worker.New(worker.Options{Workers: 1, Burst: -1, Memory: memory, Limits: runtime.Limits{Deadline: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	d := load(t, p, "x")
	var wg sync.WaitGroup
	errs := make([]error, 2)
	var reply *runtime.Reply
	wg.Go(func() {
		reply, errs[0] = p.Run(context.Background(), &runtime.Call{Script: d, Input: []byte("sleep 100ms")})
	})
	eventually(t, "the pass", func() bool { return p.Stats().Busy == 1 })
	wg.Go(func() { _, errs[1] = p.Run(context.Background(), &runtime.Call{Script: d, Input: []byte("echo")}) })
	eventually(t, "the second to wait", func() bool { return p.Stats().Waiting == 1 })
	if err := p.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
	wg.Wait()
	if errs[0] != nil || reply.Return != "slept" {
		t.Errorf("pass under way: %v, %v", reply, errs[0])
	}
	if !errors.Is(errs[1], runtime.ErrClosed) {
		t.Errorf("waiting pass: %v", errs[1])
	}

	p, err = worker.New(worker.Options{Workers: 1, Memory: memory, Limits: runtime.Limits{Deadline: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	d = load(t, p, "x")
	wg.Go(func() { _, errs[0] = p.Run(context.Background(), &runtime.Call{Script: d, Input: []byte("spin")}) })
	eventually(t, "the pass", func() bool { return p.Stats().Busy == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: got %v, want DeadlineExceeded", err)
	}
	wg.Wait()
	if !errors.Is(errs[0], runtime.ErrClosed) {
		t.Errorf("pass that was cut: %v", errs[0])
	}
}

func TestWorkersKilledFromOutside(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 2})
	d := load(t, p, "x")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if r, err := p.Run(context.Background(), &runtime.Call{Script: d, Input: []byte("pid")}); err == nil {
				if pid, ok := r.Return.(int64); ok {
					_ = syscall.Kill(int(pid), syscall.SIGKILL)
				}
			}
		}
	})
	for i := range 500 {
		wantReturn(t, p, d, fmt.Sprintf("echo %d", i), fmt.Sprint(i))
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
	if p.Stats().Died == 0 {
		t.Error("no worker died")
	}
}

func TestHardenServer(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/etc/hostname")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(exe, "hardened")
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Fatalf("%v: %s", err, out)
	}
}
