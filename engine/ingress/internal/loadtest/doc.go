// Package loadtest is what the programs that measure the server over loopback
// share:
//
//	Server    a starling serve of its own: start, kill, stop, memory, metrics
//	Process   what the kernel says of a process: its CPU time and memory
//	Conn      a keep-alive connection that sends prepared requests
//	Times     durations, and the percentiles that are reported of them
//
// It knows nothing of what is measured, and imports none of the server.
package loadtest
