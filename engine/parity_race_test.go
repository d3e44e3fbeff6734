//go:build race

package engine_test

// underRace says that the race detector is on: loads are smaller then.
const underRace = true
