package worker

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
)

// socketPair returns two connected stream sockets that no other child
// inherits. The first does not block, for Go's poller; the second does.
func socketPair() (server, worker *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		_ = syscall.Close(fds[0])
		_ = syscall.Close(fds[1])
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "worker socket"), os.NewFile(uintptr(fds[1]), "server socket"), nil
}

// words keeps the first 4 KB written to it: what a worker says on stderr is
// what Go's runtime says when it gives up, and its first line tells memory
// from a crash. A trace of all goroutines follows, whatever GOTRACEBACK says.
type words struct {
	mu  sync.Mutex
	buf []byte
}

const maxWords = 4 << 10

func (t *words) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b[:min(len(b), maxWords-len(t.buf))]...)
	return len(b), nil
}

func (t *words) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

// outOfMemory reports whether Go's last words were about memory. A stack that
// reaches Go's own limit is memory too, and so is a thread that finds none.
func outOfMemory(stderr string) bool {
	for _, s := range []string{"out of memory", "cannot allocate memory", "cannot map pages", "stack overflow", "failed to create new OS thread"} {
		if strings.Contains(stderr, s) {
			return true
		}
	}
	return false
}

// lastWords is the line of stderr that tells most, for a log.
func lastWords(stderr string) string {
	best := ""
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "fatal error:") || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "starling worker:") {
			best = line
			break
		}
		if best == "" {
			best = line
		}
	}
	return best[:min(len(best), 200)]
}
