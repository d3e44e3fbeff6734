// Package progen helps fuzzing with programs: the bytes of the fuzzer become
// choices, a grammar turns the choices into a program, and the program is held
// to what is promised of every script.
//
//	Source   choices from bytes, with a budget, so that programs end
//	Check    loads and runs a program: no panic, bounded time and memory,
//	         errors with their place, the same on each run and each replay
//	Seeds    inputs to begin with
//
// Each language has a grammar of its own, in its tests. The package knows no
// interpreter.
package progen
