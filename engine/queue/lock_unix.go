//go:build unix

package queue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockFor is how long Open waits for a process that is just ending.
const lockFor = 500 * time.Millisecond

// lockDir takes the directory for this process: the store itself takes no lock,
// and two processes on one directory lose acknowledged messages.
func lockDir(dir string) (*os.File, error) {
	name := filepath.Join(dir, "starling.lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	for end := time.Now().Add(lockFor); ; time.Sleep(50 * time.Millisecond) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			_ = f.Close()
			return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
		}
		if time.Now().After(end) {
			_ = f.Close()
			return nil, fmt.Errorf("lock data directory %s: %w by another process", dir, ErrLocked)
		}
	}
}

// freeDisk is the bytes an unprivileged process may still write below dir, and
// the size of its file system.
func freeDisk(dir string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("stat file system of %s: %w", dir, err)
	}
	size := uint64(s.Bsize)
	return s.Bavail * size, s.Blocks * size, nil
}
