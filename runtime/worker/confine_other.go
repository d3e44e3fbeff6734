//go:build !linux

package worker

import (
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
	debug.SetMemoryLimit(h.Memory * 3 / 8)
	return space{}, nil
}

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
