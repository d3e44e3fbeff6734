package worker

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// selfExe is the running program, also when its file was replaced.
const selfExe = "/proc/self/exe"

// maxFiles is more than Go's runtime itself opens (standard streams, socket,
// poller and its event).
const maxFiles = 32

// confine puts this process under the limits of h. Where the address space
// cannot be limited it is an error: that is what keeps the server's machine alive.
// What a container forbids beyond that is left out, but for namespaces: who
// asks for these gets them or an error.
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
	noNewPrivileges()
	statm, err := os.Open("/proc/self/statm")
	if err != nil {
		return space{}, fmt.Errorf("read address space: %w", err)
	}
	if h.Namespaces {
		if err := enterEmptyRoot(); err != nil {
			return space{}, err
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return space{}, fmt.Errorf("hide process: %w", err)
	}
	debug.SetMemoryLimit(h.Memory * 3 / 8)
	// Most of what a pass makes is garbage after it: memory that nothing else
	// uses is worth half of the collector's time.
	debug.SetGCPercent(200)
	s := space{budget: h.Memory, statm: statm}
	size, err := s.size()
	if err != nil {
		return space{}, err
	}
	s.wall = size + uint64(h.Memory)
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: s.wall, Max: s.wall}); err != nil {
		return space{}, fmt.Errorf("limit address space: %w", err)
	}
	return s, nil
}

// space limits the address space. RLIMIT_DATA would not do: Go maps its heap
// over pages reserved before, which the kernel does not charge there. An
// absolute limit would not do either: interpreters reserve gigabytes that they never touch.
type space struct {
	statm     *os.File // open, because an empty root has no /proc
	budget    int64
	wall      uint64
	tightened bool
}

// tighten lowers the limit for one pass that may use less than the budget.
func (s *space) tighten(memory int64) {
	if memory <= 0 || memory >= s.budget {
		return
	}
	if size, err := s.size(); err == nil {
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

// size returns the bytes mapped by this process.
func (s *space) size() (uint64, error) {
	var room [128]byte
	n, err := s.statm.ReadAt(room[:], 0)
	if err != nil && err != io.EOF {
		return 0, fmt.Errorf("read address space: %w", err)
	}
	word, _, _ := bytes.Cut(room[:n], []byte{' '})
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

// noNewPrivileges gives up what set-user-id programs could give. The flag
// belongs to a thread, and Go has several by now.
func noNewPrivileges() {
	if everyThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0) != nil {
		_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
}

// giveWay lowers the priority of this process, for good. Niceness belongs to a
// thread; new threads take it from the one that starts them.
func giveWay() {
	if everyThread(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, slowNice, 0) == nil {
		return
	}
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, t := range tasks {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, id, slowNice)
		}
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, slowNice)
}

// endedByKill reports whether a child, of which the server has just lost sight,
// was ended by SIGKILL. The server has not sent one yet, so somebody else has:
// an operator, or the kernel for want of memory. The process is not reaped. One
// that goes on living is not waited for: it hung up by itself.
func endedByKill(pid int) bool {
	for range 20 {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != nil && err != unix.EINTR {
			return false
		}
		if err == nil && info.Signo == int32(unix.SIGCHLD) {
			const killed = 2 // CLD_KILLED
			return info.Code == killed && childStatus(&info) == int32(unix.SIGKILL)
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// childStatus is si_status, which follows si_pid and si_uid.
func childStatus(info *unix.Siginfo) int32 {
	// si_signo, si_errno, si_code, padding to a word; then pid, uid, status.
	const at = (12+unsafe.Sizeof(uintptr(0))-1)/unsafe.Sizeof(uintptr(0))*unsafe.Sizeof(uintptr(0)) + 8
	return *(*int32)(unsafe.Add(unsafe.Pointer(info), at))
}

// HardenServer protects the server's process, and its workers from what the
// server holds: other processes of the user can neither trace it nor read its
// memory and environment, a crash leaves no core with secrets in it, nothing
// that it starts gains privileges, and descriptors that it inherited are not
// passed on. A server calls it once, before it starts anything.
func HardenServer() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("limit core size: %w", err)
	}
	noNewPrivileges()
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
