// Package rules turns directories of scripts into an index of rules, and keeps
// the index in step with the directories while the engine runs.
//
//	directories ──scan──► bundles ──runtime.Pool──► registrations
//	     ▲                                               │ compile: check every option
//	     │ Watch: fsnotify, debounce, poll               ▼
//	     └──────────────── Loader ◄──── build ──── Rule, Rule, …
//	                          │ swap (atomic)
//	                          ▼
//	event ───────────────►  Set.Match ──► []Match, in order
//
// Read it in this order:
//
//	Rule     one registration in a script, checked and immutable
//	Set      the immutable index over all rules: Match, Explain, Webhook
//	Loader   directories to Sets: Load, Watch, Current, versions by digest
//	Report   per file: which version runs, and what is wrong with the newest
//	Finding  what a rule can never do: Lint by itself, Unreachable beside others
//
// Which rules an event can concern is found through maps and one automaton
// over literal texts, so that the cost of an event does not grow with rules
// that cannot match. Whether such a candidate does match is decided by one
// predicate, which Explain uses as well: the two cannot disagree.
//
// The package knows no Slack client, no store and no interpreter; scripts run
// in a runtime.Pool, names of channels come through Names.
package rules
