package loadtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's unit of CPU time in /proc.
const tick = time.Second / 100

// Process is a process by its id, with those that it has started. What is said
// of it comes from /proc: elsewhere than on Linux all of it is zero.
type Process int

// family is the process and those below it.
func (p Process) family() []int {
	pids := []int{int(p)}
	for i := 0; i < len(pids); i++ {
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pids[i]) + "/task/*/children")
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			for f := range strings.FieldsSeq(string(b)) {
				if pid, err := strconv.Atoi(f); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

// CPUTime is the user and system time so far, also of processes that it has
// waited for.
func (p Process) CPUTime() (sum time.Duration) {
	for _, pid := range p.family() {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		if len(f) < 15 {
			continue
		}
		for _, s := range f[11:15] {
			n, _ := strconv.Atoi(s)
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// Quiet waits until the CPU time grows by less than two ticks within every, at
// most so many times, so that work after the last answer is counted; and returns
// the CPU time.
func (p Process) Quiet(every time.Duration, times int) time.Duration {
	last := p.CPUTime()
	for range times {
		time.Sleep(every)
		now := p.CPUTime()
		if now-last < 2*tick {
			return now
		}
		last = now
	}
	return last
}

// Memory is the resident memory in bytes, of the process alone and of those
// that it has started (VmRSS: what they share is counted in each).
func (p Process) Memory() (own, below int64) {
	for i, pid := range p.family() {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		_, rest, _ := strings.Cut(string(b), "\nVmRSS:")
		f := strings.Fields(rest)
		if len(f) == 0 {
			continue
		}
		n, _ := strconv.ParseInt(f[0], 10, 64)
		if i == 0 {
			own = n << 10
		} else {
			below += n << 10
		}
	}
	return own, below
}

// DiskUse is how many bytes the files below a directory have. Those that go away
// meanwhile are left out.
func DiskUse(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", dir, err)
	}
	return sum, nil
}
