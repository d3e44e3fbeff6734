//go:build race

package star_test

// underRace: the detector makes interpreting ten times slower, and the hostile
// corpus is about time; most of it is left to the run without.
const underRace = true
