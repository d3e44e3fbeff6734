// Package script is what the languages do alike, so that a mistake is told in
// the same words in each of them and a journal means the same.
//
//	Builtin   a declared built-in: when it may be called, what its arguments
//	          may be, how its errors read
//	Collect   the arguments of a call, converted by the language
//	Ledger    what a pass has asked for, logged and registered, against the journal
//	Resolve   the path of a file that another one loads
//	Sort      the problems of a bundle in order
//
// The package knows no interpreter; whoever uses it converts values and knows
// where in the source it is.
package script
