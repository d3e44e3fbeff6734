// Package worker is a runtime.Pool whose passes run in processes of their own:
// the same binary, started again. It is the wall that holds when a script gets
// past the guards of its language. A pass that does not end is killed with its
// process, a pass that eats memory dies alone, and no other pass notices.
//
//	caller ──► Pool.Run ──► queue ──► worker ══ socket, fd 3 ══► Main ──► runtime.Executor
//	  ▲                                 │                          │
//	  └───────── Reply ◄── reader ◄─────┴──────── one answer ◄─────┘
//
// Read it in this order:
//
//	Options  how many workers, which limits
//	Pool     the callers' side: New, Load, Run, Forget, Close
//	worker   one process: spawning, its reader, its end
//	verdict  who is to blame when a worker ends, and what its pass is told
//	patience why a pass that was given no processor is not killed for it
//	lost     and one that the machine stood still under is tried again
//	aside    who computes only when nobody else wants to
//	Main     the worker's side
//
// Blame is exact: a worker makes one pass at a time and answers each before it
// starts the next, so the oldest unanswered one is what it was doing when it
// ended. A deadline is final, unless the machine was away. Memory is final if the
// pass had the worker to itself. Any other death may be the fault of an earlier
// pass: the pass is made once more, on a fresh worker, before it is called a crash.
//
// Passes of one lane start in the order of the calls. Those of functions whose
// passes have been quick so far go before others, and one worker is kept for
// them, unless their script has to be loaded first. A pass that holds its worker
// for more than 10 ms while others wait has another worker stand in for it, so that
// a few long passes do not hold up the rest.
//
// The limits of a worker (address space, no core, no files, no privileges, no
// tracing) need Linux. On other systems the package works, kills at the
// deadline, and sets none of them.
//
// The package knows no language, no Slack and no effect. A worker is given
// scripts, events and results, and never a token; what it sends is untrusted.
package worker
