//go:build !linux

package worker

import (
	"errors"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// selfExe does not exist here.
const selfExe = "/proc/self/exe"

// confine has no walls to offer on this system: the deadline holds, the
// memory limit is a wish.
func confine(_ int, h hello) (space, error) {
	if h.Namespaces {
		return space{}, errNoNamespaces
	}
	debug.SetMemoryLimit(h.Memory * 3 / 8)
	return space{}, nil
}

// attributes are those of a worker's process.
func attributes(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// explainNamespaces says why there are none.
func explainNamespaces(error) error { return errNoNamespaces }

var errNoNamespaces = errors.New("workers in namespaces of their own need Linux: use sandbox: default")

// giveWay lowers the priority of this process.
func giveWay() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, slowNice) }

// endedByKill cannot be told here.
func endedByKill(int) bool { return false }

type space struct{}

func (*space) tighten(int64) {}
func (*space) loosen()       {}

// processorTime of another process is not to be had here without cgo, so the
// deadline is wall time however loaded the machine is.
func processorTime(int) (time.Duration, bool) { return 0, false }

// exitWithServer ends this process when the other end of the socket is gone.
func exitWithServer(fd int) {
	for {
		p := []unix.PollFd{{Fd: int32(fd)}}
		if _, err := unix.Poll(p, -1); err != nil && err != unix.EINTR {
			return
		}
		if p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
			_ = unix.Kill(unix.Getpid(), syscall.SIGKILL)
		}
	}
}

// HardenServer keeps descriptors that the server inherited from its workers.
// Hiding the process needs Linux.
func HardenServer() error {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n > 2 {
			unix.CloseOnExec(n)
		}
	}
	return nil
}
