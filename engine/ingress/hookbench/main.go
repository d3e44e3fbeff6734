// Command hookbench measures what a script costs a webhook: the same requests
// over 200 patterns, to
//
//	router   fasthttp with fasthttp/router and compiled handlers: nothing is kept
//	stored   Starling's way in, its durable store, and the compiled handler
//	script   the whole server: stored, matched, run in a worker process, journaled
//
// Each is a process of its own on 127.0.0.1, driven over keep-alive connections
// in a closed loop; its CPU time, workers included, is read from the kernel.
// They take turns in rounds, so that a machine whose speed drifts is fair to
// all; times of answers are those of all rounds together.
//
//	go run ./engine/ingress/hookbench -starling bin/starling -requests 10000
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/ingress/internal/loadtest"
)

// patterns is how many routes there are; each has two parameters.
const patterns = 200

var contestants = []string{"router", "stored", "script"}

func main() {
	be := flag.String("serve", "", "be this contestant (internal)")
	dir := flag.String("dir", "", "directory for rules and stores (default: a temporary one)")
	binary := flag.String("starling", "bin/starling", "the server")
	requests := flag.Int("requests", 10_000, "requests to each contestant")
	rounds := flag.Int("rounds", 5, "in how many turns")
	conns := flag.Int("connections", 16, "keep-alive connections")
	sandbox := flag.String("sandbox", "default", "of the server: default, strict or none")
	flag.Parse()
	err := error(nil)
	if *be != "" {
		err = contest(*be, *dir)
	} else {
		err = bench(*binary, *dir, *sandbox, *requests, *rounds, *conns)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hookbench:", err)
		os.Exit(1)
	}
}

// contestant is a running server: a process of this program, or Starling.
type contestant struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	server *loadtest.Server
	addr   string
	cpu    time.Duration
	wall   time.Duration
	lat    loadtest.Times
}

func bench(binary, dir, sandbox string, requests, rounds, conns int) error {
	dir, err := os.MkdirTemp(dir, "hookbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var all []*contestant
	defer func() {
		for _, c := range all {
			c.stop()
		}
	}()
	for _, name := range contestants {
		c, err := start(name, binary, filepath.Join(dir, name), sandbox)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, c)
		if _, err := drive(c.addr, min(requests, 1000), conns); err != nil { // warm-up
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for range rounds {
		for _, c := range all {
			before, began := c.process().CPUTime(), time.Now()
			lat, err := drive(c.addr, requests/rounds, conns)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.wall += time.Since(began)
			c.cpu += c.process().Quiet(50*time.Millisecond, 20) - before
			c.lat = append(c.lat, lat...)
		}
	}
	report(all)
	return nil
}

// report prints what a request took, and what the script and the store add.
func report(all []*contestant) {
	fmt.Printf("%-8s %9s %12s %12s %10s %10s\n", "", "requests", "requests/s", "us CPU each", "p50", "p99")
	each := map[string]time.Duration{}
	p50 := map[string]time.Duration{}
	for _, c := range all {
		n := len(c.lat)
		each[c.name], p50[c.name] = c.cpu/time.Duration(n), c.lat.Percentile(50)
		fmt.Printf("%-8s %9d %12.0f %12.1f %10v %10v\n", c.name, n, float64(n)/c.wall.Seconds(), micros(each[c.name]),
			p50[c.name], c.lat.Percentile(99))
	}
	fmt.Printf("\nper request: the script adds %.1f us CPU and %v to the store's answer; store and way in add %.1f us CPU and %v to the bare router's\n",
		micros(each["script"]-each["stored"]), (p50["script"] - p50["stored"]).Round(time.Microsecond),
		micros(each["stored"]-each["router"]), (p50["stored"] - p50["router"]).Round(time.Microsecond))
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// start runs a contestant and waits until it answers.
func start(name, binary, dir, sandbox string) (*contestant, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	c := &contestant{name: name}
	if name == "script" {
		return c, c.serve(binary, dir, sandbox)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c.cmd = exec.Command(self, "-serve", name, "-dir", dir)
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	c.addr = strings.TrimSpace(line)
	return c, err
}

// serve starts Starling as its users do. Nothing listens at the address of
// Slack: the rules do not call it.
func (c *contestant) serve(binary, dir, sandbox string) error {
	c.server = &loadtest.Server{
		Binary: binary, Dir: dir, Rule: script(), Config: "sandbox: " + sandbox + "\n", Secret: "hookbench", SlackURL: "http://127.0.0.1:9/api/",
	}
	_, err := c.server.Start()
	c.addr = c.server.Addr
	return err
}

func (c *contestant) process() loadtest.Process {
	if c.server != nil {
		return c.server.Process()
	}
	return loadtest.Process(c.cmd.Process.Pid)
}

func (c *contestant) stop() {
	if c.server != nil {
		_ = c.server.Stop()
		return
	}
	_ = c.stdin.Close() // the end of its input is its signal to stop
	_ = c.cmd.Wait()
}

// drive sends so many requests over so many connections, one at a time each.
func drive(addr string, requests, conns int) (loadtest.Times, error) {
	var next atomic.Int64
	return loadtest.Drive(addr, conns, func(c *loadtest.Conn) (time.Duration, bool, error) {
		n := next.Add(1)
		if n > int64(requests) {
			return 0, false, nil
		}
		began := time.Now()
		status, body, err := c.Do(request(n), 20*time.Second)
		if err == nil {
			err = right(status, body, n)
		}
		return time.Since(began), true, err
	})
}
