package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/ingress/internal/loadtest"
)

// patience is how long the server may take over anything before it is given up.
const patience = time.Minute

// bench is one measurement. Runs are numbered: first those that wait long, then
// those that time out around a restart.
type bench struct {
	runs, clicks, conns, timers int
	spread, settle              time.Duration

	server *loadtest.Server
	slack  *slack
	left   []int   // runs that wait and have not been clicked on, shuffled
	pace   float64 // runs that began per second
}

func (b *bench) all() error {
	took, err := b.server.Start()
	if err != nil {
		return err
	}
	b.say("start", "with an empty store ready after %v", millis(took))
	idle, _ := b.memory(0)
	if err := b.park(); err != nil {
		return err
	}
	full, below := b.memory(b.settle)
	b.say("memory", "server %s idle, %s with %d waiting (%d bytes each); its workers %s", mib(idle), mib(full), b.runs, (full-idle)/int64(b.runs), mib(below))
	if err := b.restart(); err != nil {
		return err
	}
	b.left = rand.Perm(b.runs)
	for _, conns := range []int{1, b.conns} {
		if err := b.click(conns); err != nil {
			return fmt.Errorf("click: %w", err)
		}
	}
	if b.timers == 0 {
		return nil
	}
	return b.timeOut()
}

func (b *bench) say(what, format string, args ...any) {
	fmt.Printf("%-8s "+format+"\n", append([]any{what}, args...)...)
}

// memory is that of the server and of its workers, when it has been quiet for so
// long.
func (b *bench) memory(settle time.Duration) (own, below int64) {
	p := b.server.Process()
	p.Quiet(time.Second, 60)
	time.Sleep(settle)
	return p.Memory()
}

// park has the runs begin and waits until they wait.
func (b *bench) park() error {
	began := time.Now()
	before := b.server.Process().CPUTime()
	if err := b.begin("deploy", 0, b.runs, func(int) time.Duration { return 48 * time.Hour }); err != nil {
		return err
	}
	if err := b.waiting(b.runs); err != nil {
		return err
	}
	wall, cpu := time.Since(began), b.server.Process().CPUTime()-before
	b.pace = float64(b.runs) / wall.Seconds()
	b.say("begin", "%d runs asked and wait after %v: %.0f/s, %v CPU each", b.runs, millis(wall), b.pace, (cpu / time.Duration(b.runs)).Round(time.Microsecond))
	disk, err := loadtest.DiskUse(b.server.Data())
	b.say("disk", "%s (%d bytes each)", mib(disk), disk/int64(b.runs))
	return err
}

// begin has runs from..to of a rule begin and waits until each has asked. timeout says
// after what time the n-th gives up.
func (b *bench) begin(rule string, from, to int, timeout func(n int) time.Duration) error {
	var next atomic.Int64
	next.Store(int64(from))
	_, err := loadtest.Drive(b.server.Addr, 64, func(c *loadtest.Conn) (time.Duration, bool, error) {
		n := int(next.Add(1)) - 1
		if n >= to {
			return 0, false, nil
		}
		select {
		case b.slack.room <- struct{}{}:
		case <-time.After(patience):
			return 0, false, fmt.Errorf("no run has asked for %v", patience)
		}
		limit := timeout(n)
		return 0, true, b.send(c, "/slack/events", "application/json", event(n, rule, limit))
	})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return until("every run has asked", func() bool { return b.slack.questions() >= to })
}

// send sends a signed request until it is acked: a server that is full says so,
// and Slack comes again.
func (b *bench) send(c *loadtest.Conn, path, contentType string, body []byte) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		now := time.Now()
		status, text, err := c.Do(loadtest.AppendSigned(nil, secret, path, contentType, now, body), patience)
		switch {
		case err != nil:
			return err
		case status == http.StatusOK:
			return nil
		case status != http.StatusServiceUnavailable || now.After(deadline):
			return fmt.Errorf("status %d: %s", status, text)
		}
	}
}

// waiting waits until the server says that so many runs wait.
func (b *bench) waiting(runs int) error {
	var n float64
	err := until("the server counts all that wait", func() (done bool) {
		var err error
		n, err = b.server.Gauge("starling_waiting_runs")
		return err == nil && int(n) == runs
	})
	if err != nil {
		return fmt.Errorf("%.0f of %d runs wait: %w", n, runs, err)
	}
	return nil
}

// until asks now and then, and gives up after patience.
func until(what string, done func() bool) error {
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v in vain until %s", patience, what)
		}
	}
	return nil
}

// restart stops the server in good order, and then kills it.
func (b *bench) restart() error {
	began := time.Now()
	if err := b.server.Stop(); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	stopped := time.Since(began)
	orderly, err := b.server.Start()
	if err != nil {
		return err
	}
	b.server.Kill()
	killed, err := b.server.Start()
	if err != nil {
		return err
	}
	if err := b.waiting(b.runs); err != nil {
		return err
	}
	own, _ := b.memory(b.settle)
	b.say("restart", "stopped after %v, ready after %v; killed, ready after %v; then %s of memory", millis(stopped), millis(orderly), millis(killed), mib(own))
	return nil
}

// click clicks on runs over so many connections, on each one after the other:
// the next when the run before has gone on.
func (b *bench) click(conns int) error {
	todo := make(chan int, b.clicks)
	for _, n := range b.left[:b.clicks] {
		todo <- n
	}
	b.left = b.left[b.clicks:]
	close(todo)
	acks := make(chan time.Duration, b.clicks)
	began := time.Now()
	effects, err := loadtest.Drive(b.server.Addr, conns, func(c *loadtest.Conn) (time.Duration, bool, error) {
		n, ok := <-todo
		if !ok {
			return 0, false, nil
		}
		body, next := b.slack.click(n)
		sent := time.Now()
		if err := b.send(c, "/slack/interactive", "application/x-www-form-urlencoded", body); err != nil {
			return 0, false, err
		}
		acks <- time.Since(sent)
		select {
		case <-next:
			return b.slack.went(n).Sub(sent), true, nil
		case <-time.After(patience):
			return 0, false, fmt.Errorf("run %d did not go on", n)
		}
	})
	if err != nil {
		return err
	}
	wall := time.Since(began)
	close(acks)
	var acked loadtest.Times
	for t := range acks {
		acked = append(acked, t)
	}
	b.say("click", "%d runs, %d at a time, %.0f/s: ack p50 %v p99 %v; first effect p50 %v p99 %v", b.clicks, conns, float64(b.clicks)/wall.Seconds(),
		acked.Percentile(50), acked.Percentile(99), effects.Percentile(50), effects.Percentile(99))
	return nil
}

// timeOut has more runs wait, whose times are over while the server is down and
// soon after it is back.
func (b *bench) timeOut() error {
	from, to := b.runs, b.runs+b.timers
	first := time.Now().Add(5*time.Second + time.Duration(3*float64(b.timers)/b.pace*float64(time.Second)))
	limit := func(n int) time.Duration {
		return max(time.Until(first.Add(b.spread*time.Duration(n-from)/time.Duration(b.timers))), time.Second)
	}
	if err := b.begin("hurry", from, to, limit); err != nil {
		return err
	}
	due, err := b.hurried()
	if err != nil {
		return err
	}
	b.server.Kill()
	killed := time.Now()
	time.Sleep(time.Until(first.Add(b.spread / 2)))
	took, err := b.server.Start()
	if err != nil {
		return err
	}
	ready := time.Now()
	if err := until("every run has timed out", func() bool {
		for n := to - 1; n >= from; n-- {
			if b.slack.went(n).IsZero() {
				return false
			}
		}
		return true
	}); err != nil {
		return err
	}
	var down, up loadtest.Times
	early, alive := 0, 0
	for n := from; n < to; n++ {
		went, due := b.slack.went(n), due[n]
		switch {
		case went.Before(killed):
			alive++
		case went.Before(due):
			early++
		case due.Before(ready):
			down = append(down, went.Sub(ready))
		default:
			up = append(up, went.Sub(due))
		}
	}
	b.say("timers", "%d in %v around a restart, ready after %v; %d too early; %d were over before the server was down", b.timers, b.spread, millis(took), early, alive)
	for _, t := range []struct {
		what  string
		times loadtest.Times
	}{{"due while down, after it was ready", down}, {"due later, after they were due", up}} {
		b.say("", "%d %s: p50 %v p99 %v max %v", len(t.times), t.what, t.times.Percentile(50), t.times.Percentile(99), t.times.Percentile(100))
	}
	return nil
}

// hurried waits until all that time out soon wait, or have gone on, and returns
// the times at which those that wait are due, as the server keeps them.
func (b *bench) hurried() (due map[int]time.Time, err error) {
	err = until("the server lists all that time out", func() bool {
		_, text, err := b.server.Get("/runs?state=waiting&limit=10000&rule=bench.star:hurry")
		var list []struct {
			Event string    `json:"event_id"`
			Until time.Time `json:"until"`
		}
		if err != nil || json.Unmarshal([]byte(text), &list) != nil {
			return false
		}
		due = make(map[int]time.Time, len(list))
		for _, r := range list {
			if n, err := strconv.Atoi(strings.TrimPrefix(r.Event, "EvBENCH")); err == nil {
				due[n] = r.Until
			}
		}
		gone := 0
		for n := b.runs; n < b.runs+b.timers; n++ {
			if due[n].IsZero() && !b.slack.went(n).IsZero() {
				gone++
			}
		}
		return len(due)+gone == b.timers
	})
	return due, err
}

func millis(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
