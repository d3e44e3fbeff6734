package rules

import (
	goruntime "runtime"
	"time"

	"golang.org/x/sys/unix"
)

// cpuClock is a clock of the processor's time of the calling thread, to which
// the goroutine is held until release is called: on a busy machine a match
// takes long and is not to blame.
func cpuClock() (now func() time.Duration, release func()) {
	goruntime.LockOSThread()
	return threadTime, goruntime.UnlockOSThread
}

func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0 // not on this kernel: then nothing is ever too long
	}
	return time.Duration(t.Nano())
}
