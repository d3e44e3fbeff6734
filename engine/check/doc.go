// Package check finds everything that can be known to be wrong with rules,
// their tests and their configuration without an event: for `starling check`,
// for the language server, and for each hot drop.
//
//	Options   languages, built-ins, directories, configuration
//	Checker   Tree checks files and directories, File one open buffer,
//	          Lint a version that the rule loader has just made live
//	Report    the problems of a Tree, in the order of files and lines
//
// What is wrong comes from four places, and is told once:
//
//	analysis    the language reads the text: names, unused variables (runtime.Analyzer)
//	calls       built-ins with the arguments as written: options, Slack methods,
//	            Block Kit, whatever a built-in itself refuses (call.go, value.go, slack.go)
//	loading     the top level is run in a sandbox and registers its rules (rules.Loader)
//	rules       what registered rules can never do, alone or beside others (rules.Lint)
//
// The top level of a script is run, as it is when the script is dropped;
// handlers never are. The package knows neither the standard library nor an
// interpreter: both are given to it.
package check
