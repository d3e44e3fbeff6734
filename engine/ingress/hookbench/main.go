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
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
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

// contestant is a running server.
type contestant struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	addr  string
	cpu   time.Duration
	wall  time.Duration
	lat   []time.Duration
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
			before, began := c.cpuTime(), time.Now()
			lat, err := drive(c.addr, requests/rounds, conns)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.wall += time.Since(began)
			c.cpu += c.quiet() - before
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
		slices.Sort(c.lat)
		n := len(c.lat)
		each[c.name], p50[c.name] = c.cpu/time.Duration(n), c.lat[n/2]
		fmt.Printf("%-8s %9d %12.0f %12.1f %10v %10v\n", c.name, n, float64(n)/c.wall.Seconds(), micros(each[c.name]),
			c.lat[n/2].Round(time.Microsecond), c.lat[n*99/100].Round(time.Microsecond))
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
		return c, c.server(binary, dir, sandbox)
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

// server starts Starling as its users do.
func (c *contestant) server(binary, dir, sandbox string) error {
	rules, config := filepath.Join(dir, "rules"), filepath.Join(dir, "starling.yaml")
	if err := os.MkdirAll(rules, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(rules, "hooks.star"), []byte(script()), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(config, []byte("sandbox: "+sandbox+"\n"), 0o644); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.addr = ln.Addr().String()
	if err := ln.Close(); err != nil {
		return err
	}
	c.cmd = exec.Command(binary, "serve", "--config", config, "--rules", rules, "--data", filepath.Join(dir, "data"), "--listen", c.addr, "--admin", "")
	// Nothing listens at the address of Slack: the rules do not call it.
	c.cmd.Env = append(os.Environ(), "SLACK_SIGNING_SECRET=hookbench", "SLACK_BOT_TOKEN=xoxb-hookbench", "SLACK_API_URL=http://127.0.0.1:9/api/")
	var log strings.Builder
	c.cmd.Stderr = &log
	if err := c.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err = drive(c.addr, 1, 1); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			c.stop()
			return fmt.Errorf("does not answer: %w\n%s", err, log.String())
		}
	}
}

func (c *contestant) stop() {
	if c.stdin != nil { // the end of its input is its signal to stop
		_ = c.stdin.Close()
	} else {
		_ = c.cmd.Process.Signal(os.Interrupt)
	}
	_ = c.cmd.Wait()
}

// cpuTime is the CPU time of the process and its workers so far.
func (c *contestant) cpuTime() (sum time.Duration) {
	pids := []int{c.cmd.Process.Pid}
	for i := 0; i < len(pids); i++ {
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pids[i]) + "/task/*/children")
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			for _, f := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(f); err == nil {
					pids = append(pids, pid)
				}
			}
		}
		sum += processTime(pids[i])
	}
	return sum
}

// processTime is the user and system time of a process, and of those that it
// has waited for.
func processTime(pid int) time.Duration {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 15 {
		return 0
	}
	ticks := 0
	for _, s := range f[11:15] {
		n, _ := strconv.Atoi(s)
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}

// quiet reads the CPU time when it has stopped growing, so that work after the
// last answer is counted.
func (c *contestant) quiet() time.Duration {
	last := c.cpuTime()
	for range 20 {
		time.Sleep(50 * time.Millisecond)
		now := c.cpuTime()
		if now-last < 20*time.Millisecond {
			return now
		}
		last = now
	}
	return last
}

// drive sends so many requests over so many connections, one at a time each.
func drive(addr string, requests, conns int) ([]time.Duration, error) {
	var next atomic.Int64
	lat, errs := make([][]time.Duration, conns), make([]error, conns)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { lat[i], errs[i] = connection(addr, &next, int64(requests)) })
	}
	wg.Wait()
	return slices.Concat(lat...), errors.Join(errs...)
}

func connection(addr string, next *atomic.Int64, requests int64) (lat []time.Duration, err error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for n := next.Add(1); n <= requests; n = next.Add(1) {
		began := time.Now()
		_ = c.SetDeadline(began.Add(20 * time.Second))
		if _, err := c.Write(request(n)); err != nil {
			return nil, err
		}
		if err := answered(r, n); err != nil {
			return nil, err
		}
		lat = append(lat, time.Since(began))
	}
	return lat, nil
}
