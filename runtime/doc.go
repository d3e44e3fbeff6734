// Package runtime is the language-neutral half of running scripts: what a
// script is, what it is asked to do, what it may use, and what comes back.
//
// Read it in this order:
//
//	Bundle     the sources of one version of one script, named by Digest
//	Language   compiles a Bundle into a Module (runtime/star, runtime/lua)
//	Manifest   what loading a script registered: rules, as plain data
//	Call       one pass over one handler: input, recorded results, limits
//	Reply      how the pass ended, and the effects it asks for
//	Effect     one thing a script wants done outside itself, as plain data
//	Door       the one interface through which effects leave
//	Builtin    the one declaration of a function that scripts can call
//	Pool       runs Calls somewhere: Local in this process, or worker processes
//	Executor   what a pool has inside: loaded scripts by digest
//
// A pass never blocks on the outside. A built-in that is an effect hands its
// Effect to the pass and gets a pending result; the script runs on until it
// looks at that result, and then the pass ends as Suspended. The engine
// performs the effects, appends their results, and asks for another pass,
// which replays from the start with the recorded results:
//
//	          Call{Results: r1..rn}
//	engine ────────────────────────► pass ── script looks at result n+1 ──┐
//	   ▲                                                                  │
//	   └── performs effects n+1..m  ◄── Reply{Suspended, Effects} ◄───────┘
//
// Hence a waiting run holds no worker, and a run interrupted by a crash goes
// on by the same road.
//
// The package knows no Slack, no HTTP server and no queue. It hides Go's own
// package runtime: import that one as goruntime.
package runtime
