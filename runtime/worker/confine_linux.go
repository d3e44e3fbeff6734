package worker

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// selfExe is the running program, also when its file was replaced.
const selfExe = "/proc/self/exe"

// maxFiles is more than Go's runtime itself opens (standard streams, socket,
// poller and its event).
const maxFiles = 32

// confine puts this process under the limits of h. Where the address space
// cannot be limited it is an error: that is what keeps the server's machine alive.
// What a container forbids beyond that is left out.
func confine(fd int, h hello) (space, error) {
	closeInherited(fd)
	// The kernel is to pick a worker first. Lowering one's own chances needs no
	// privilege; it must come before the process hides from /proc.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	none := &unix.Rlimit{}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, none); err != nil {
		return space{}, fmt.Errorf("limit core size: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, none); err != nil {
		return space{}, fmt.Errorf("limit file size: %w", err)
	}
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: maxFiles, Max: maxFiles})
	if s := uint64(h.CPU.Seconds()); s > 0 {
		_ = unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: s, Max: s})
	}
	// The flag belongs to a thread, and Go has several by now. With cgo (the
	// race detector) that call is not to be had.
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return space{}, fmt.Errorf("hide process: %w", err)
	}
	debug.SetMemoryLimit(h.Memory * 3 / 8)
	size, err := addressSpace()
	if err != nil {
		return space{}, err
	}
	s := space{budget: h.Memory, wall: size + uint64(h.Memory)}
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: s.wall, Max: s.wall}); err != nil {
		return space{}, fmt.Errorf("limit address space: %w", err)
	}
	return s, nil
}

// space limits the address space. RLIMIT_DATA would not do: Go maps its heap
// over pages reserved before, which the kernel does not charge there. An
// absolute limit would not do either: interpreters reserve gigabytes that they never touch.
type space struct {
	budget    int64
	wall      uint64
	tightened bool
}

// tighten lowers the limit for one pass that may use less than the budget.
func (s *space) tighten(memory int64) {
	if memory <= 0 || memory >= s.budget {
		return
	}
	if size, err := addressSpace(); err == nil {
		limit := min(s.wall, size+uint64(memory))
		s.tightened = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: s.wall}) == nil
	}
}

// loosen undoes tighten.
func (s *space) loosen() {
	if s.tightened {
		s.tightened = false
		_ = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: s.wall, Max: s.wall})
	}
}

// addressSpace returns the bytes mapped by this process.
func addressSpace() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("read address space: %w", err)
	}
	word, _, _ := bytes.Cut(text, []byte{' '})
	pages, err := strconv.ParseUint(string(word), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read address space: %w", err)
	}
	return pages * uint64(os.Getpagesize()), nil
}

// processorTime returns what a process has used so far; pid 0 is this one.
// The clock of a process counts all its threads and needs no privilege.
func processorTime(pid int) (time.Duration, bool) {
	const scheduler = 2 // CPUCLOCK_SCHED
	clock := int32(unix.CLOCK_PROCESS_CPUTIME_ID)
	if pid != 0 {
		clock = int32(^pid)<<3 | scheduler
	}
	var ts unix.Timespec
	if unix.ClockGettime(clock, &ts) != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}

// closeInherited closes what the server was started with and did not mark:
// everything above fd that Go's runtime did not open for itself.
func closeInherited(fd int) {
	for _, n := range openFiles() {
		if n <= fd {
			continue
		}
		target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(n))
		own := strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/fs/cgroup") || strings.HasPrefix(target, "/proc/")
		if err == nil && !own {
			_ = unix.Close(n)
		}
	}
}

// openFiles lists the descriptors of this process.
func openFiles() []int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var fds []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			fds = append(fds, n)
		}
	}
	return fds
}

// exitWithServer ends this process when the other end of the socket is gone,
// whatever the pass is doing. Reading the socket would notice too late: whoever
// reads is who spins. A signal on the parent's death would come too early: it
// is tied to the thread that started the worker.
func exitWithServer(fd int) {
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if _, err := unix.Poll(p, -1); err != nil && err != unix.EINTR {
			return
		}
		if p[0].Revents != 0 {
			unix.Exit(0)
		}
	}
}

// HardenServer protects the server's process, and its workers from what the
// server holds: other processes of the user can neither trace it nor read its
// memory and environment, and descriptors that it inherited are not passed on.
// A server calls it once, before it starts anything.
func HardenServer() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide process: %w", err)
	}
	if unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	for _, n := range openFiles() { // Linux before 5.11
		if n > 2 {
			unix.CloseOnExec(n)
		}
	}
	return nil
}
