package rules

import (
	"os"
	"syscall"
)

// beingWritten reports whether a process has the file open for writing. The
// kernel grants a read lease only on a file that nobody writes; it is given
// back at once. Where leases do not work, the answer is no.
func beingWritten(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	busy := false
	_ = conn.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETLEASE, syscall.F_RDLCK)
		if errno == 0 {
			syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETLEASE, syscall.F_UNLCK)
		}
		busy = errno == syscall.EAGAIN
	})
	return busy
}
