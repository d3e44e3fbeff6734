//go:build !race

package star_test

const underRace = false
