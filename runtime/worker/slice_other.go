//go:build !linux

package worker

import "time"

// setSlice cannot be asked for here.
func setSlice(int, time.Duration) {}

// setIdle cannot be asked for here.
func setIdle(int) bool { return false }
