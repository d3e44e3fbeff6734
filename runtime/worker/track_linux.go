package worker

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// track is a page that a worker and the server share: the worker notes in it
// which request it has begun, and when. So replies can wait in the worker until
// several go at once, and yet the server knows, at any moment and after a
// death, what the worker was at. A worker that is taken over may note what it
// likes: the server takes it within the bounds of what it knows itself.
type track struct {
	page  []byte
	began *atomic.Int64 // CLOCK_MONOTONIC, in nanoseconds
	at    *atomic.Uint64
}

const trackSize = 4096

// newTrack makes the server's side, and the file that a worker opens it by.
func newTrack() (*track, *os.File, error) {
	fd, err := unix.MemfdCreate("starling-track", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, fmt.Errorf("make track: %w", err)
	}
	file := os.NewFile(uintptr(fd), "track")
	err = unix.Ftruncate(fd, trackSize)
	if err == nil { // cut short by a worker, the page would end the server
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, fmt.Errorf("make track: %w", err)
	}
	t, err := openTrack(fd)
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return t, file, nil
}

// openTrack maps the page behind a descriptor, which is not needed any more then.
func openTrack(fd int) (*track, error) {
	page, err := unix.Mmap(fd, 0, trackSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map track: %w", err)
	}
	// A mapping begins at a page, so the words are aligned.
	base := unsafe.Pointer(unsafe.SliceData(page))
	return &track{
		page: page, began: (*atomic.Int64)(base), at: (*atomic.Uint64)(unsafe.Add(base, 8)),
	}, nil
}

// begin notes that a request is begun. A nil track takes no notes.
func (t *track) begin(number uint64, now time.Time) {
	if t == nil {
		return
	}
	t.began.Store(int64(monotonic.base + now.Sub(monotonic.at)))
	t.at.Store(number)
}

// read returns the request that was begun last, and when; 0 if none was.
func (t *track) read() (number uint64, began time.Time) {
	if t == nil || t.page == nil {
		return 0, time.Time{}
	}
	number = t.at.Load()
	began = monotonic.at.Add(time.Duration(t.began.Load()) - monotonic.base)
	return number, began
}

// close ends the server's side.
func (t *track) close() {
	if t != nil && t.page != nil {
		_ = unix.Munmap(t.page)
		t.page = nil
	}
}

// monotonic ties Go's clock to the system's, which all processes share.
var monotonic = func() (m struct {
	at   time.Time
	base time.Duration
},
) {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	m.at, m.base = time.Now(), time.Duration(ts.Nano())
	return m
}()
