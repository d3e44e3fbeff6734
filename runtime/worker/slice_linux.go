package worker

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// setSlice asks the kernel to hand the processor to a process in slices of d,
// 0.1 to 100 ms. Its share stays the same, but whoever wants shorter slices, as
// the server does, need not wait for the end of one. Kernels before 6.12 take no
// notice; where it may not be asked for, nothing is lost but time. A process
// that setIdle has set aside is back among the others.
func setSlice(pid int, d time.Duration) {
	eachTask(pid, func(attr *unix.SchedAttr) {
		attr.Policy, attr.Runtime = unix.SCHED_NORMAL, uint64(d)
	})
}

// setIdle gives a process what no other wants: whoever wakes up takes the
// processor from it at once, where between equals he may have to wait for the
// end of a slice. It reports whether that was done, which it is only where
// setSlice may undo it: see mayReturn.
func setIdle(pid int) bool {
	if !mayReturn() {
		return false
	}
	done := false
	eachTask(pid, func(attr *unix.SchedAttr) {
		attr.Policy, attr.Runtime, done = unix.SCHED_IDLE, 0, true
	})
	return done
}

// setNice gives a process a priority, 0 to 19, where it may have the usual one
// back. It reports whether it has it.
func setNice(pid, nice int) bool {
	if !mayReturn() {
		return false
	}
	eachTask(pid, func(attr *unix.SchedAttr) { attr.Nice = int32(nice) })
	return true
}

// stolenTime is how much of this machine's processors a host has given to others
// so far, in steps of 10 ms: proc(5), /proc/stat.
func stolenTime() time.Duration {
	const field, tick = 8, 10 * time.Millisecond // "cpu user nice system idle iowait irq softirq steal ..."
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0
	}
	defer f.Close()
	var room [256]byte
	n, _ := f.Read(room[:])
	line, _, _ := bytes.Cut(room[:n], []byte("\n"))
	words := bytes.Fields(line)
	if len(words) <= field {
		return 0
	}
	ticks, _ := strconv.ParseInt(string(words[field]), 10, 64)
	return time.Duration(ticks) * tick
}

// eachTask changes how the threads of a process are scheduled, but for those
// that somebody has given a policy of another kind.
func eachTask(pid int, change func(*unix.SchedAttr)) {
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
		if err != nil || attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_IDLE {
			continue
		}
		change(attr)
		_ = unix.SchedSetAttr(id, attr, 0)
	}
}

// mayReturn reports whether this process may take another back from
// SCHED_IDLE: that takes CAP_SYS_NICE, or a limit of niceness (RLIMIT_NICE,
// systemd's LimitNICE) of at least 20. The policy of a thread made for it tells.
var mayReturn = sync.OnceValue(func() bool {
	answer := make(chan bool)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its goroutine
		attr, err := unix.SchedGetAttr(0, 0)
		if err != nil || attr.Policy != unix.SCHED_NORMAL {
			answer <- false
			return
		}
		idle := *attr
		idle.Policy, idle.Runtime = unix.SCHED_IDLE, 0
		answer <- unix.SchedSetAttr(0, &idle, 0) == nil && unix.SchedSetAttr(0, attr, 0) == nil
	}()
	return <-answer
})
