package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// cores are the processor cores that this process may use.
func cores() (ids []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for id := range 64 * len(set) {
		if set.IsSet(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// pin confines this process to one core, and tells the scheduler of it.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	// Threads that come later inherit it from the thread that makes them.
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("pin to core %d: %w", core, err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil {
			return fmt.Errorf("pin to core %d: %w", core, err)
		}
	}
	runtime.GOMAXPROCS(1)
	return nil
}
