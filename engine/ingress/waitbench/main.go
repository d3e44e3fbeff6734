// Command waitbench measures what runs that wait cost. It starts a server as its
// users do (starling serve, durable store, fsync before each ack), with a Slack
// of its own on 127.0.0.1, has so many runs ask a question, each with a time-out
// and so with a durable timer, and reports
//
//	memory    of the server before, and when all of them wait
//	disk      that the store takes
//	restart   until it is ready again, stopped in good order and killed
//	clicks    of random ones, alone and many at once: the ack, and the first call
//	          of Slack by the run that goes on (which shows the answer)
//	timers    that are due while the server is down and just after its start:
//	          how long after they were due, or after the server was ready, the
//	          run that goes on calls Slack
//
// The clock of all times is that of this program, at the sockets of its Slack.
//
//	go run ./engine/ingress/waitbench -starling bin/starling -runs 100000
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/starling-rules/starling/engine/ingress/internal/loadtest"
)

func main() {
	b := &bench{}
	binary := flag.String("starling", "bin/starling", "the server")
	dir := flag.String("dir", "", "directory for rules and store (default: a temporary one)")
	sandbox := flag.String("sandbox", "default", "of the server: default, strict or none")
	flag.IntVar(&b.runs, "runs", 100_000, "how many runs wait")
	flag.IntVar(&b.clicks, "clicks", 2_000, "how many are clicked on one by one, and as many again at once")
	flag.IntVar(&b.conns, "connections", 16, "clicks at once")
	flag.IntVar(&b.timers, "timers", 2_000, "how many more runs time out around a restart")
	flag.DurationVar(&b.spread, "spread", 10*time.Second, "the time over which those are due; the server is down for the first half")
	flag.DurationVar(&b.settle, "settle", 150*time.Second, "how long a quiet server is left alone before its memory is read: Go collects every two minutes, and gives back what is free")
	flag.Parse()
	if err := run(b, *binary, *dir, *sandbox); err != nil {
		fmt.Fprintln(os.Stderr, "waitbench:", err)
		os.Exit(1)
	}
}

func run(b *bench, binary, dir, sandbox string) error {
	if b.runs < 1 || 2*b.clicks > b.runs || b.timers < 0 || b.timers > 10_000 || b.conns < 1 {
		return fmt.Errorf("want at least one run and connection, 2 × %d clicks on %d runs, and 0 to 10000 timers, not %d", b.clicks, b.runs, b.timers)
	}
	dir, err := os.MkdirTemp(dir, "waitbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.slack = newSlack(b.runs + b.timers)
	url, stop, err := b.slack.serve()
	if err != nil {
		return err
	}
	defer stop()
	b.server = &loadtest.Server{
		Binary: binary, Dir: dir, Rule: rule, Config: "sandbox: " + sandbox + "\n", Secret: secret, SlackURL: url,
	}
	defer b.server.Kill()
	if err := b.all(); err != nil {
		b.server.Kill()
		return fmt.Errorf("%w\n%s", err, b.server.Log())
	}
	return nil
}
