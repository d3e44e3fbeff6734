package worker

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// setSlice asks the kernel to hand the processor to a process in slices of d,
// 0.1 to 100 ms. Its share stays the same, but whoever wants shorter slices, as
// the server does, need not wait for the end of one. Kernels before 6.12 take no
// notice; where it may not be asked for, nothing is lost but time.
func setSlice(pid int, d time.Duration) {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		attr, err := unix.SchedGetAttr(id, 0)
		if err != nil || attr.Policy != unix.SCHED_NORMAL {
			continue
		}
		attr.Runtime = uint64(d)
		_ = unix.SchedSetAttr(id, attr, 0)
	}
}
