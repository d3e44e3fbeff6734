//go:build race

package worker_test

// memory is the budget of the tests' workers.
const memory = 4 << 30

const raceDetector = true
