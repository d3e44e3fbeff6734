//go:build !race

package worker_test

// memory is the budget of the tests' workers.
const memory = 256 << 20

const raceDetector = false
