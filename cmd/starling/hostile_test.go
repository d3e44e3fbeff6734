package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest/hostile"
)

var (
	hostileGuards  = flag.Bool("hostile-guards", true, "TestHostileRulesBesideGoodOnes: with the guards of the interpreters")
	hostileSandbox = flag.String("hostile-sandbox", "default", "TestHostileRulesBesideGoodOnes: the sandbox of the server")
)

// stream sends good events at a steady rate and measures how long their acks
// and their effects take.
type stream struct {
	c      *child
	stolen *stolen
	slack  *fakeSlack
	client *http.Client
	stop   chan struct{}
	wg     sync.WaitGroup

	mu    sync.Mutex
	sent  int
	bad   map[int]int // statuses but 200
	again int         // answered 503 and sent again
	acks  []stretch
	ends  []stretch
}

// stretch is a time that something took.
type stretch struct{ from, to time.Time }

// Events are numbered so that they never clash with those that warm the server.
const (
	firstGood   = 1_000_000
	firstAttack = 500_000
	// firstHarmless are those that come all at once, to compare attacks with.
	firstHarmless = 450_000
)

// flow starts a stream of 200 events a second, numbered from first.
func flow(c *child, slack *fakeSlack, lost *stolen, first int) *stream {
	s := &stream{c: c, slack: slack, stolen: lost, stop: make(chan struct{}), bad: map[int]int{}}
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	s.wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := first; ; n++ {
			select {
			case <-s.stop:
				return
			case <-tick.C:
			}
			s.mu.Lock()
			s.sent++
			s.mu.Unlock()
			s.wg.Go(func() { s.one(n) })
		}
	})
	return s
}

func (s *stream) one(n int) {
	text := fmt.Sprintf("job %d", n)
	arrived := s.slack.arrival("did " + text)
	start := time.Now()
	status, _ := send(s.client, s.c.listen, "/slack/events", "application/json", messageEvent(n, text))
	acked := time.Now()
	if status == http.StatusServiceUnavailable { // Slack would send it again
		again, _ := send(s.client, s.c.listen, "/slack/events", "application/json", messageEvent(n, text))
		s.mu.Lock()
		s.again++
		s.mu.Unlock()
		status = again
	}
	s.mu.Lock()
	s.acks = append(s.acks, stretch{start, acked})
	if status != http.StatusOK {
		s.bad[status]++
	}
	s.mu.Unlock()
	select {
	case at := <-arrived:
		s.mu.Lock()
		s.ends = append(s.ends, stretch{start, at})
		s.mu.Unlock()
	case <-time.After(20 * time.Second):
	}
}

// end stops the stream, waits for what is under way, and describes it.
func (s *stream) end(t *testing.T, what string) {
	t.Helper()
	close(s.stop)
	s.wg.Wait()
	s.client.CloseIdleConnections()
	acks, ends := s.soFar(always)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bad) > 0 || len(s.ends) != s.sent {
		t.Errorf("%s: of %d good events some were not acked (by status: %v) and %d had no effect\n%s", what, s.sent, s.bad, s.sent-len(s.ends), s.c.about("good.star"))
	}
	if s.again > 0 {
		t.Logf("%s: %d events were refused (503) and sent again", what, s.again)
	}
	t.Logf("%s: %d good events; acks %v; until the effect %v", what, s.sent, acks, ends)
}

// soFar is how long acks and effects took until now, of the events that are asked for.
func (s *stream) soFar(of func(stretch) bool) (acks, ends times) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took(s.acks, of), s.took(s.ends, of)
}

func always(stretch) bool { return true }

// within tells what has to do with one of some periods: all others are a good
// while after them.
func within(periods []stretch) func(stretch) bool {
	return func(x stretch) bool {
		return slices.ContainsFunc(periods, func(p stretch) bool { return p.from.Before(x.to) && x.from.Before(p.to.Add(afterwards)) })
	}
}

// afterwards is how long an attack may have consequences.
const afterwards = 500 * time.Millisecond

// times are percentiles, 50, 90, 99 and 100: of all, and of those during which
// no processor was stolen.
type times struct {
	all, own [4]time.Duration
	n, kept  int
}

func (s *stream) took(spans []stretch, of func(stretch) bool) times {
	var all, own []time.Duration
	for _, x := range spans {
		if !of(x) {
			continue
		}
		d := x.to.Sub(x.from)
		all = append(all, d)
		if !s.stolen.during(x.from, x.to) {
			own = append(own, d)
		}
	}
	if len(own) == 0 {
		own = all
	}
	x := times{n: len(all), kept: len(own)}
	for i, p := range [...]int{50, 90, 99, 100} {
		x.all[i], x.own[i] = percentile(all, p), percentile(own, p)
	}
	return x
}

func (x times) String() string {
	text := func(d [4]time.Duration) string {
		return fmt.Sprintf("p50 %v p90 %v p99 %v max %v", d[0], d[1], d[2], d[3])
	}
	if x.kept == x.n {
		return text(x.all)
	}
	return fmt.Sprintf("%s (of the %d while the machine had its processors %s)", text(x.all), x.kept, text(x.own))
}

// about returns the last lines of the server's log that name something.
func (c *child) about(what string) string {
	var out []string
	for line := range strings.Lines(c.out.String()) {
		if strings.Contains(line, what) {
			out = append(out, line)
		}
	}
	return strings.Join(out[max(0, len(out)-10):], "")
}

func percentile(d []time.Duration, p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[min(len(s)-1, len(s)*p/100)].Round(10 * time.Microsecond)
}

// warm lets events flow as fast as they are taken, until the caches of the store
// have the size that they keep: that is no growth due to an attack. It returns
// when all of them are settled.
func (c *child) warm(d time.Duration) {
	stop := make(chan struct{})
	time.AfterFunc(d, func() { close(stop) })
	(&load{acked: map[int]bool{}}).run(c.listen, stop)
	c.until("nothing waits", func() bool {
		_, text := c.ask("/metrics")
		return strings.Contains(text, "\nstarling_queue_depth 0\n")
	})
}

// wantOnce wants each effect of a good event to have happened once.
func (f *fakeSlack) wantOnce(t *testing.T) {
	t.Helper()
	for text, n := range f.texts() {
		if n != 1 && strings.HasPrefix(text, "did job ") {
			t.Errorf("%q was posted %d times", text, n)
		}
	}
}

// attack is a hostile rule of the corpus that is in force.
type attack struct {
	hostile.Script
	n int
}

// dropCorpus writes each hostile script as a rule of its own. Those that are
// hostile while they are loaded are not among the attacks returned: they are
// refused, or run once, while the others are loaded.
func dropCorpus(t *testing.T, rules string) (attacks []attack, loads int) {
	t.Helper()
	for i, s := range slices.Concat(hostile.Star(), hostile.Lua()) {
		source := strings.Replace(s.Source, `on.message(".",`, fmt.Sprintf(`on.message("^attack %d$",`, i), 1)
		switch {
		case s.Load:
			loads++
		case source == s.Source:
			t.Fatalf("%s: no rule for any message in\n%s", s.Name, source)
		default:
			attacks = append(attacks, attack{s, i})
		}
		writeFile(t, filepath.Join(rules, "hostile_"+s.File()), source)
	}
	return attacks, loads
}

// inForce leaves out attacks that the real library refuses to load.
func (c *child) inForce(attacks []attack) []attack {
	c.t.Helper()
	_, body := c.ask("/rules")
	var rep struct {
		Files []struct {
			Path   string          `json:"path"`
			Errors json.RawMessage `json:"errors"`
		} `json:"files"`
	}
	if err := json.Unmarshal([]byte(body), &rep); err != nil {
		c.t.Fatalf("rules: %v", err)
	}
	refused := map[string]bool{}
	for _, f := range rep.Files {
		if f.Errors != nil {
			refused[f.Path] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(attacks), func(a attack) bool { return refused["hostile_"+a.File()] })
}

// elsewhere moves a message to another conversation: runs of one start in the
// order of its events, attacks or not.
func elsewhere(event []byte) []byte {
	return bytes.Replace(event, []byte(`"channel":"C`), []byte(`"channel":"CX`), 1)
}

// event is what sets the attack off, with a number of its own.
func (a attack) event(id int) []byte {
	return elsewhere(messageEvent(id, fmt.Sprintf("attack %d", a.n)))
}

// report is what the server knows of an event's only run.
type report struct {
	Outcome string         `json:"outcome"`
	Error   *runtime.Error `json:"error"`
	Ms      float64        `json:"dur_ms"`    // with waits for a worker
	Script  float64        `json:"script_ms"` // in its pass, until that was stopped
}

// outcome waits for the end of an event's run. It asks less and less often: each
// time the server reads all that was stored together with the event.
func (c *child) outcome(id int) report {
	c.t.Helper()
	var ev struct {
		Settled *time.Time `json:"settled"`
		Runs    []report   `json:"runs"`
	}
	path := fmt.Sprintf("/runs/EvCRASH%d", id)
	deadline := time.Now().Add(60 * time.Second)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		status, body := c.ask(path)
		if status == http.StatusOK && json.Unmarshal([]byte(body), &ev) == nil && ev.Settled != nil && len(ev.Runs) == 1 && ev.Runs[0].Outcome != "waiting" {
			return ev.Runs[0]
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("event %d has not ended: %d %s\n%s", id, status, body, c.out.String())
		}
		time.Sleep(wait)
	}
}

// settled waits until nothing is left of what arrived before. It asks seldom, and
// not for events: what the server does for the test is not to be measured.
func (c *child) settled(before time.Time) {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
		var st struct {
			Oldest float64 `json:"oldest_age_seconds"`
		}
		status, body := c.ask("/status")
		if status == http.StatusOK && json.Unmarshal([]byte(body), &st) == nil && st.Oldest < time.Since(before).Seconds() {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("events of before %v are not settled: %d %s", before, status, body)
		}
	}
}

// TestHostileRulesBesideGoodOnes drops the whole corpus into a real server and
// sets it off, one by one and all at once, while good events flow: they lose
// nothing, the server does not grow, and nothing is left behind.
func TestHostileRulesBesideGoodOnes(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("takes half a minute, and far more with the race detector: make test runs it without")
	}
	slack, rules := newFakeSlack(t), t.TempDir()
	writeFile(t, filepath.Join(rules, "good.star"), echoRule)
	c := serveWith(t, *hostileGuards, slack, rules, "--sandbox", *hostileSandbox).ready()
	c.warm(4 * time.Second)
	time.Sleep(3 * time.Second) // the disk takes what that has left
	lost := newStolen(t)
	calm := flow(c, slack, lost, firstGood)
	time.Sleep(10 * time.Second)
	calm.end(t, "alone")
	c.burst(t, flow(c, slack, lost, firstGood+50_000), "harmless events", func(n int) []byte {
		n += firstHarmless
		return elsewhere(messageEvent(n, fmt.Sprintf("job %d", n)))
	}).end(t, "until these have ended")

	attacks, loads := dropCorpus(t, rules)
	if len(attacks) < 100 {
		t.Fatalf("only %d attacks", len(attacks))
	}
	s := flow(c, slack, lost, firstGood+100_000)
	c.until("the corpus is loaded", func() bool {
		_, body := c.ask("/rules")
		return strings.Count(body, `"path":"hostile_`) >= len(attacks)+loads
	})
	all := len(attacks)
	if attacks = c.inForce(attacks); len(attacks) < all*9/10 {
		t.Errorf("only %d of %d attacks can be loaded", len(attacks), all)
	}
	s.end(t, fmt.Sprintf("while %d hostile files are loaded, %d of them hostile at once", all+loads, loads))
	before := c.resources()

	s = flow(c, slack, lost, firstGood+200_000)
	var slowest, longest float64
	note := func(a attack, r report) {
		longest = max(longest, r.Ms)
		if r.Script > slowest && r.Error != nil && r.Error.Limit != "" { // else it has ended by itself
			slowest = r.Script
			t.Logf("slowest so far: %s %s took %.0f ms, and its run %.0f: %s", a.Language, a.Name, r.Script, r.Ms, ending(r))
		}
	}
	limits := map[string]int{}
	var attacked []stretch
	began := time.Now()
	for i, a := range attacks {
		if i%20 == 0 && i > 0 { // a pause that is as long, to compare with: the machine is not the same all the time
			attacked = append(attacked, stretch{began, time.Now()})
			time.Sleep(time.Since(began) + afterwards)
			began = time.Now()
		}
		if status, _ := send(http.DefaultClient, c.listen, "/slack/events", "application/json", a.event(firstAttack+a.n)); status != http.StatusOK {
			t.Errorf("attack %s: status %d", a.Name, status)
			continue
		}
		r := c.outcome(firstAttack + a.n)
		note(a, r)
		limits[ending(r)]++
	}
	attacked = append(attacked, stretch{began, time.Now()})
	beside := within(attacked)
	acks, ends := s.soFar(beside)
	acksAlone, endsAlone := s.soFar(func(x stretch) bool { return !beside(x) })
	s.end(t, fmt.Sprintf("%d attacks, one by one, with pauses", len(attacks)))
	t.Logf("in the pauses: acks %v; until the effect %v", acksAlone, endsAlone)
	t.Logf("beside the attacks: acks %v; until the effect %v", acks, ends)
	t.Logf("ended as %v; the longest pass was stopped after %.0f ms, the longest run, with its script loaded again and waits, %.0f ms; acks p99 %.1f times of those in the pauses", limits, slowest, longest, float64(acks.own[2])/float64(acksAlone.own[2]))
	after := c.resources()

	for round := range 2 {
		first := firstAttack + 10_000*(round+1)
		s = flow(c, slack, lost, firstGood+(3+2*round)*100_000)
		time.Sleep(10 * time.Second)
		acksAlone, _ := s.soFar(always) // in the same minute: see above
		s.end(t, fmt.Sprintf("before round %d", round+1))
		s = flow(c, slack, lost, firstGood+(4+2*round)*100_000)
		began := time.Now()
		c.burst(t, s, "attacks", func(n int) []byte { return attacks[n%len(attacks)].event(first + n) })
		c.settled(time.Now())
		acks, _ := s.soFar(always)
		s.end(t, fmt.Sprintf("round %d, beside %d attacks, all at once, until the last has ended, %.0f s", round+1, burst, time.Since(began).Seconds()))
		t.Logf("acks p99 %.1f times of those before the round", float64(acks.own[2])/float64(acksAlone.own[2]))
		for n := range burst {
			note(attacks[n%len(attacks)], c.outcome(first+n))
		}
	}
	t.Logf("of all, the longest pass was stopped after %.0f ms; the longest run, with its wait for a worker, %.0f ms", slowest, longest)

	http.DefaultClient.CloseIdleConnections()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		now := c.resources()
		if now.files <= before.files+8 && now.goroutines <= before.goroutines+20 && now.workers <= before.workers+1 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("left behind: %+v, before the attacks it was %+v", now, before)
			break
		}
	}
	end := c.resources()
	t.Logf("server's memory %d MB before, %d MB after one round, %d MB at the end, of which alive %d, %d and %d; largest worker %d MB",
		before.rss>>20, after.rss>>20, end.rss>>20, before.live>>20, after.live>>20, end.live>>20, after.worker>>20)
	if before.live == 0 {
		t.Error("it is not known how much of the server's memory is alive")
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		now := c.resources()
		grown := max(now.rss-before.rss, now.live-before.live)
		if grown <= 50<<20 { // what the store and the collector hold for a moment is no growth
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("the server grew by %d MB", grown>>20)
			break
		}
	}
	slack.wantOnce(t)
	c.signal(syscall.SIGTERM)
	c.exits(0)
}

// burst is how many events come at once, in TestHostileRulesBesideGoodOnes: each
// attack, or as many events that do no harm, to compare with.
const burst = 400

// burst sends so many events at once beside a stream of good ones, and says how
// these fared in the five seconds from then on. Requests and connections are made
// before: the machine is to be busy with answering them.
func (c *child) burst(t *testing.T, s *stream, what string, event func(n int) []byte) *stream {
	t.Helper()
	var conns [burst]net.Conn
	var requests [burst]bytes.Buffer
	for n := range burst {
		req, err := signed(c.listen, "/slack/events", "application/json", event(n))
		if err == nil {
			err = req.Write(&requests[n])
		}
		if err == nil {
			conns[n], err = net.Dial("tcp", c.listen)
		}
		if err != nil {
			t.Fatalf("%s, event %d: %v", what, n, err)
		}
		defer conns[n].Close()
	}
	began := time.Now()
	for n, conn := range conns {
		if _, err := conn.Write(requests[n].Bytes()); err != nil {
			t.Errorf("%s, event %d: %v", what, n, err)
		}
	}
	for n, conn := range conns {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s, event %d: %v", what, n, err)
			continue
		}
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s, event %d: status %d", what, n, res.StatusCode)
		}
		_ = res.Body.Close()
	}
	acked := time.Since(began)
	time.Sleep(5 * time.Second)
	acks, ends := s.soFar(always)
	t.Logf("while %d %s come at once, all acked within %v, and five seconds more: acks %v; until the effect %v", burst, what, acked.Round(time.Millisecond), acks, ends)
	return s
}

// ending is how a run ended, in a word.
func ending(r report) string {
	switch {
	case r.Error == nil:
		return r.Outcome
	case r.Error.Limit != "":
		return r.Error.Limit
	}
	return string(r.Error.Kind)
}

func TestKilledWorkersLoseNothing(t *testing.T) {
	slow(t)
	slack, rules := newFakeSlack(t), t.TempDir()
	writeFile(t, filepath.Join(rules, "good.star"), echoRule)
	c := serve(t, slack, rules, t.TempDir()).ready()
	s := flow(c, slack, newStolen(t), firstGood)
	kills := 0
	for range 30 {
		time.Sleep(100 * time.Millisecond)
		for _, pid := range c.workers() {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				kills++
			}
		}
	}
	s.end(t, fmt.Sprintf("while %d workers are killed", kills))
	slack.wantOnce(t)
	c.signal(syscall.SIGTERM)
	c.exits(0)
}

func TestKilledServerLeavesNoWorker(t *testing.T) {
	slow(t)
	slack, rules := newFakeSlack(t), t.TempDir()
	writeFile(t, filepath.Join(rules, "spin.star"), "def spin(e):\n    while True: max(range(1000))\non.message(\"^spin\", spin)\n")
	c := serve(t, slack, rules, t.TempDir()).ready()
	for n := range 8 {
		c.message(n, "spin")
	}
	workers := c.workers()
	if len(workers) == 0 {
		t.Fatal("no workers")
	}
	c.signal(syscall.SIGKILL)
	_ = c.cmd.Wait()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		left := slices.DeleteFunc(slices.Clone(workers), func(pid int) bool { return !isWorker(pid) })
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("workers %v outlive the server", left)
		}
	}
}

// isWorker tells whether the process is there, and not merely a name for
// another one or for one that nobody has waited for.
func isWorker(pid int) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.HasSuffix(string(cmdline), "\x00worker\x00")
}

// workers lists the worker processes of the server.
func (c *child) workers() []int {
	c.t.Helper()
	var out []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.cmd.Process.Pid))
	for _, path := range tasks {
		text, _ := os.ReadFile(path)
		for word := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil && isWorker(pid) {
				out = append(out, pid)
			}
		}
	}
	return out
}

// resources are what a server holds.
type resources struct {
	rss, live, worker          int64 // bytes; live: of the heap; worker: of the largest
	files, goroutines, workers int
}

// resources reads them from the metrics and from the system.
func (c *child) resources() resources {
	c.t.Helper()
	_, text := c.ask("/metrics")
	r := resources{files: int(sample(text, "process_open_fds")), goroutines: int(sample(text, "go_goroutines"))}
	r.live = int64(sample(text, "go_gc_heap_live_bytes"))
	r.rss = residentMemory(c.cmd.Process.Pid, "VmRSS:")
	for _, pid := range c.workers() {
		r.workers++
		r.worker = max(r.worker, residentMemory(pid, "VmHWM:"))
	}
	return r
}

func sample(metrics, name string) float64 {
	for line := range strings.Lines(metrics) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			f, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return f
		}
	}
	return 0
}

// residentMemory reads a line of /proc/PID/status.
func residentMemory(pid int, field string) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// unguarded builds the program without the guards of its interpreters, so that
// worker processes alone are what holds.
var unguarded = builder("-X github.com/starling-rules/starling/cmd/starling/internal/cli.guards=off")

// serveWith starts a server with or without guards, and with an environment of
// its own.
func serveWith(t testing.TB, guards bool, slack *fakeSlack, rules string, extra ...string) *child {
	t.Helper()
	bin := binary(t)
	if !guards {
		var err error
		if bin, err = unguarded(); err != nil {
			t.Fatalf("build starling without guards: %v", err)
		}
	}
	listen, admin := freeAddress(t), freeAddress(t)
	c := runProgram(t, bin, []string{
		"SLACK_SIGNING_SECRET=" + signingSecret, "SLACK_BOT_TOKEN=xoxb-test", "SLACK_API_URL=" + slack.URL + "/api/",
	}, append([]string{"serve", "--rules", rules, "--data", t.TempDir(), "--listen", listen, "--admin", admin}, extra...)...)
	c.listen, c.admin = listen, admin
	return c
}
