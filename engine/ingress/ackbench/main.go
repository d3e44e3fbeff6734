// Command ackbench measures what an ack costs: acks per CPU-second of a signed
// 1.2 KB event, for the whole server with its store, the same server with a
// store that forgets, and bare fasthttp with and without the signature check.
// Each contestant is a process of its own on 127.0.0.1, driven over keep-alive
// connections in a closed loop; its CPU time is read from the kernel.
// Contestants take turns, so that a machine whose speed drifts is fair to all;
// figures are medians of the rounds, ratios are taken within a round.
//
//	go run ./engine/ingress/ackbench -rounds 5 -seconds 3 -connections 32
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/ingress/internal/loadtest"
)

const secret = "ackbench-signing-secret"

var contestants = []string{"bare", "hmac", "nostore", "stored"}

func main() {
	serve := flag.String("serve", "", "be this contestant (internal)")
	rounds := flag.Int("rounds", 5, "rounds")
	seconds := flag.Float64("seconds", 3, "length of a measurement in seconds")
	conns := flag.Int("connections", 32, "keep-alive connections")
	dir := flag.String("dir", "", "directory for the store (default: a temporary one)")
	only := flag.String("only", strings.Join(contestants, ","), "contestants, comma-separated; ratios need bare and hmac")
	profile := flag.String("cpuprofile", "", "write the last contestant's CPU profile to this file")
	pinned := flag.Bool("pin", len(cores()) > 1, "give contestant and driver a core each (Linux): figures are steadier")
	core := flag.Int("core", -1, "the contestant's core (internal)")
	flag.Parse()
	var err error
	if *serve != "" {
		err = be(*serve, *dir, *profile, *core)
	} else {
		contestants = strings.Split(*only, ",")
		b := bench{conns: *conns, length: time.Duration(*seconds * float64(time.Second)), dir: *dir, profile: *profile, core: -1}
		if ids := cores(); *pinned && len(ids) > 1 {
			b.core = ids[0]
			err = pin(ids[1])
		}
		if err == nil {
			err = b.run(*rounds)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ackbench:", err)
		os.Exit(1)
	}
}

// be is one contestant, in a process of its own.
func be(name, dir, profile string, core int) error {
	if core >= 0 {
		if err := pin(core); err != nil {
			return err
		}
	}
	return profiled(profile, func() error { return contest(name, dir) })
}

// profiled writes a CPU profile of f if a file is named.
func profiled(file string, f func() error) error {
	if file == "" {
		return f()
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}

// figure is one measurement of one contestant.
type figure struct {
	perSecond float64 // acks per second of wall time
	cpu       float64 // microseconds of CPU per ack, after the process has gone quiet
	p50, p99  time.Duration
	note      string // what the contestant says of itself at its end
}

// bench is how each contestant is measured.
type bench struct {
	conns   int
	length  time.Duration
	dir     string
	profile string
	core    int // the contestant's, or -1
}

func (b *bench) run(rounds int) error {
	results := map[string][]figure{}
	for round := range rounds {
		for _, name := range contestants {
			f, err := b.measure(name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Printf("round %d  %-8s %8.0f acks/s  %6.1f us CPU  p50 %v  p99 %v  %s\n", round+1, name, f.perSecond, f.cpu, f.p50, f.p99, f.note)
			results[name] = append(results[name], f)
		}
	}
	fmt.Printf("\n%-8s %10s %12s %14s %10s %10s\n", "", "acks/s", "us CPU/ack", "acks/CPU-s", "x bare", "x hmac")
	for _, name := range contestants {
		fs := results[name]
		cpu := median(fs, func(i int) float64 { return fs[i].cpu })
		fmt.Printf("%-8s %10.0f %12.1f %14.0f %10.2f %10.2f\n", name,
			median(fs, func(i int) float64 { return fs[i].perSecond }), cpu, 1e6/cpu,
			ratio(fs, results["bare"]), ratio(fs, results["hmac"]))
	}
	return nil
}

// ratio is the median of the ratios within each round.
func ratio(fs, base []figure) float64 {
	if len(base) != len(fs) {
		return math.NaN()
	}
	return median(fs, func(i int) float64 { return fs[i].cpu / base[i].cpu })
}

func median(fs []figure, get func(int) float64) float64 {
	v := make([]float64, len(fs))
	for i := range fs {
		v[i] = get(i)
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// measure starts a contestant, warms it up, drives it and reads its CPU time.
func (b *bench) measure(name string) (f figure, err error) {
	self, err := os.Executable()
	if err != nil {
		return figure{}, err
	}
	data, err := os.MkdirTemp(b.dir, "ackbench-")
	if err != nil {
		return figure{}, err
	}
	defer os.RemoveAll(data)
	cmd := exec.Command(self, "-serve", name, "-dir", data, "-cpuprofile", b.profile, "-core", strconv.Itoa(b.core))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return figure{}, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return figure{}, err
	}
	if err := cmd.Start(); err != nil {
		return figure{}, err
	}
	out := bufio.NewReader(stdout)
	defer func() { // the end of its input is its signal to stop
		_ = stdin.Close()
		note, _ := io.ReadAll(out)
		f.note = strings.TrimSpace(string(note))
		_ = cmd.Wait()
	}()
	addr, err := out.ReadString('\n')
	if err != nil {
		return figure{}, fmt.Errorf("start: %w", err)
	}
	addr = strings.TrimSpace(addr)
	d := &driver{addr: addr, conns: b.conns}
	if _, err := d.drive(time.Second); err != nil {
		return figure{}, err
	}
	process := loadtest.Process(cmd.Process.Pid)
	before := process.CPUTime()
	lat, err := d.drive(b.length)
	if err != nil {
		return figure{}, err
	}
	after := process.Quiet(100*time.Millisecond, 50)
	return figure{
		perSecond: float64(len(lat)) / b.length.Seconds(),
		cpu:       float64((after - before).Microseconds()) / float64(len(lat)),
		p50:       lat.Percentile(50),
		p99:       lat.Percentile(99),
	}, nil
}

// driver sends signed events over keep-alive connections, one at a time each.
type driver struct {
	addr  string
	conns int
	next  atomic.Uint64
}

func (d *driver) drive(length time.Duration) (loadtest.Times, error) {
	deadline := time.Now().Add(length)
	return loadtest.Drive(d.addr, d.conns, func(c *loadtest.Conn) (time.Duration, bool, error) {
		began := time.Now()
		if began.After(deadline) {
			return 0, false, nil
		}
		status, body, err := c.Do(request(began, d.next.Add(1)), 20*time.Second)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", status, body)
		}
		return time.Since(began), true, err
	})
}

var filler = strings.Repeat("lorem ipsum dolor sit amet ", 22)

// request builds one signed event of about 1.2 KB with an id of its own.
func request(now time.Time, n uint64) []byte {
	body := fmt.Appendf(nil, `{"token":"x","team_id":"T0BENCH01","api_app_id":"A0BENCH01","event":{"type":"message","channel":"C0%06d","user":"U0BENCH01","text":"deploy api %d %s","ts":"1700000000.%06d","event_ts":"1700000000.%06d","channel_type":"channel","blocks":[{"type":"rich_text","block_id":"b","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"deploy api"}]}]}]},"type":"event_callback","event_id":"EvBENCH%d","event_time":1700000000,"authorizations":[{"enterprise_id":null,"team_id":"T0BENCH01","user_id":"U0BOT","is_bot":true,"is_enterprise_install":false}],"is_ext_shared_channel":false,"event_context":"4-abc"}`,
		n%64, n, filler, n%1000000, n%1000000, n)
	return loadtest.AppendSigned(nil, secret, "/slack/events", "application/json", now, body)
}
