//go:build !race

package lua_test

const underRace = false
