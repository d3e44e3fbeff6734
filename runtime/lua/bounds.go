package lua

import "math"

// bounds are what keeps one operation of a script from taking all time, memory
// or stack, where steps cannot.
type bounds struct {
	text    int // bytes that an operation may make of texts
	unpack  int // values that one call may return
	threads int // coroutines alive
	nested  int // pcalls and resumes around each other: each takes Go's stack
	match   int // recursion of a pattern, as well
	width   int // digits of a width in string.format
	parts   int // of a secret
	list    int // elements that table.insert makes a list of
	source  int // bytes of one file
	nesting int // of expressions and blocks: the compiler recurses
	nodes   int // statements and expressions
	// constants are the different texts, numbers and names of one function:
	// the compiler looks for each among all before it.
	constants int
	// free tells that neither steps nor time are counted.
	free bool
	// registers and calls are those of one state.
	registers, calls int
}

var guarded = &bounds{
	text: 1 << 20, unpack: 4096, threads: 64, nested: 32, match: 200, width: 2, parts: 1000, list: maxIndex - 1,
	source: 64 << 10, nesting: 150, nodes: 40_000, constants: 4000, registers: 32 << 10, calls: 200,
}

// unbounded leaves what the interpreter itself cannot do without.
var unbounded = &bounds{
	text: math.MaxInt, unpack: math.MaxInt, threads: math.MaxInt, nested: math.MaxInt, match: math.MaxInt, width: 9, parts: math.MaxInt, list: math.MaxInt,
	source: math.MaxInt, nesting: math.MaxInt, nodes: math.MaxInt, constants: math.MaxInt, free: true, registers: 64 << 20, calls: 1 << 20,
}
