// Package runtimetest is the suite that every language must pass, in this
// process and in worker processes: the same cases, run through any Pool.
//
//	Host       a small library of built-ins and an input to test with
//	Run        every case of testdata through a pool
//	Case       one .txtar file: scripts, input, scripted results, what is wanted
//
// A case carries its script once per language (script.star, script.lua) and
// one transcript that all of them must yield: rules registered, passes,
// effects, log lines, return value, errors with source line and caret.
//
// The package knows no interpreter: whoever runs the suite brings the pool.
package runtimetest
