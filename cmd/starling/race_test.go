//go:build race

package main

// underRace is whether the tests run with the race detector.
const underRace = true
