//go:build !linux

package worker

import "time"

// setSlice cannot be asked for here.
func setSlice(int, time.Duration) {}

// setIdle cannot be asked for here.
func setIdle(int) bool { return false }

// stolenTime is not known here.
func stolenTime() time.Duration { return 0 }

// setNice cannot be taken back here.
func setNice(int, int) bool { return false }
