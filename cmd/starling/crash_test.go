package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var crashRounds = flag.Int("crash-rounds", 3, "how often TestKillNineLosesAndRepeatsNothing kills the server")

const signingSecret = "test-signing-secret"

// built are the directories of the programs that tests have built.
var built struct {
	sync.Mutex
	dirs []string
}

// builder returns a function that builds the program when it is first called.
func builder(ldflags string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "starling-test-")
		if err != nil {
			return "", err
		}
		built.Lock()
		built.dirs = append(built.dirs, dir)
		built.Unlock()
		bin := filepath.Join(dir, "starling")
		cmd := exec.Command("go", "build", "-ldflags", ldflags, "-o", bin, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
		return bin, nil
	})
}

var build = builder("")

// binary builds the program once for all tests.
func binary(t testing.TB) string {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatalf("build starling: %v", err)
	}
	return bin
}

// fakeSlack counts what arrives at Slack, by text, and can be asked for the
// history of a channel as the real one can.
type fakeSlack struct {
	*httptest.Server
	mu       sync.Mutex
	count    map[string]int
	messages []map[string]any
	lookups  int                       // how often a conversation was read
	held     map[string]chan struct{}  // by text: answered when closed
	failure  string                    // what every call is answered
	auth     string                    // of the last call
	awaited  map[string]chan time.Time // by text: told when it arrives
}

func newFakeSlack(t testing.TB) *fakeSlack {
	f := &fakeSlack{count: map[string]int{}, held: map[string]chan struct{}{}, awaited: map[string]chan time.Time{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeSlack) serve(w http.ResponseWriter, r *http.Request) {
	args := map[string]any{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		_ = json.NewDecoder(r.Body).Decode(&args)
	} else {
		_ = r.ParseForm()
		for k := range r.Form {
			args[k] = r.Form.Get(k)
		}
	}
	out := map[string]any{"ok": true}
	f.mu.Lock()
	f.auth = r.Header.Get("Authorization")
	if f.failure != "" {
		out["ok"], out["error"] = false, f.failure
	}
	f.mu.Unlock()
	switch strings.TrimPrefix(r.URL.Path, "/api/") {
	case "auth.test":
		out["user_id"], out["bot_id"], out["team_id"] = "U0BOT", "B0BOT", "T0TEST"
	case "chat.postMessage":
		f.arrived(fmt.Sprint(args["text"]))
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // the window in which a kill hurts
		out["ts"], out["channel"] = f.post(args), args["channel"]
		f.mu.Lock()
		hold := f.held[fmt.Sprint(args["text"])]
		f.mu.Unlock()
		if hold != nil {
			<-hold
		}
	case "conversations.history", "conversations.replies":
		out["messages"] = f.history(fmt.Sprint(args["channel"]), fmt.Sprint(args["oldest"]))
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (f *fakeSlack) post(args map[string]any) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	ts := fmt.Sprintf("%d.%06d", time.Now().Unix(), len(f.messages)+1)
	meta := args["metadata"]
	if s, ok := meta.(string); ok {
		_ = json.Unmarshal([]byte(s), &meta)
	}
	f.count[fmt.Sprint(args["text"])]++
	f.messages = append(f.messages, map[string]any{"type": "message", "ts": ts, "text": args["text"], "channel": args["channel"], "bot_id": "B0BOT", "user": "U0BOT", "metadata": meta, "blocks": args["blocks"]})
	return ts
}

// history lists the messages of a channel after oldest, newest first, like Slack.
func (f *fakeSlack) history(channel, oldest string) []map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookups++
	var out []map[string]any
	for _, m := range slices.Backward(f.messages) {
		if m["ts"].(string) <= oldest {
			break
		}
		if m["channel"] == channel {
			out = append(out, m)
		}
	}
	return out
}

// hold keeps the answers to messages of this text back until release is called.
func (f *fakeSlack) hold(text string) (release func()) {
	c := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[text] = c
	release = sync.OnceFunc(func() {
		f.mu.Lock()
		delete(f.held, text)
		f.mu.Unlock()
		close(c)
	})
	return release
}

// arrival returns a channel that is sent the moment at which a message of this
// text arrives first.
func (f *fakeSlack) arrival(text string) <-chan time.Time {
	c := make(chan time.Time, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.awaited[text] = c
	return c
}

func (f *fakeSlack) arrived(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.awaited[text]; c != nil {
		delete(f.awaited, text)
		c <- time.Now()
	}
}

// fail answers every call with an error.
func (f *fakeSlack) fail(code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = code
}

// authorization is the header of the last call.
func (f *fakeSlack) authorization() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.auth
}

func (f *fakeSlack) times(text string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[text]
}

// texts is how often each text was posted; total is how many in all, and seen
// tells whether one ends so.
func (f *fakeSlack) texts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.count)
}

func (f *fakeSlack) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.messages)
}

func (f *fakeSlack) seen(end string) bool {
	for text := range f.texts() {
		if strings.HasSuffix(text, end) {
			return true
		}
	}
	return false
}

// process is a running starling serve.
type process struct {
	cmd    *exec.Cmd
	listen string
	admin  string
	log    *bytes.Buffer
}

// start runs the server on a data directory and waits until it is ready.
func start(t testing.TB, slack *fakeSlack, rules, data string, extra ...string) *process {
	t.Helper()
	p := &process{listen: freeAddress(t), admin: freeAddress(t), log: &bytes.Buffer{}}
	args := append([]string{"serve", "--rules", rules, "--data", data, "--listen", p.listen, "--admin", p.admin}, extra...)
	p.cmd = exec.Command(binary(t), args...)
	p.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "SLACK_SIGNING_SECRET=" + signingSecret,
		"SLACK_BOT_TOKEN=xoxb-test", "SLACK_API_URL=" + slack.URL + "/api/", "GORACE=halt_on_error=1",
	}
	p.cmd.Stderr = p.log
	p.cmd.Stdout = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		res, err := http.Get("http://" + p.admin + "/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("server is not ready\n%s", p.log)
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		// Below the ports that systems give to connections: one of those might
		// take it before the server does.
		port := 10_000 + rand.IntN(20_000)
		if _, taken := givenPorts.LoadOrStore(port, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// givenPorts are those that freeAddress has returned.
var givenPorts sync.Map

// send posts a signed body and returns the status; 0 if no answer came.
func send(client *http.Client, addr, path, contentType string, body []byte) (int, []byte) {
	req, err := signed(addr, path, contentType, body)
	if err != nil {
		return 0, nil
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, b
}

// signed is the request with which Slack delivers a body.
func signed(addr, path, contentType string, body []byte) (*http.Request, error) {
	ts := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(signingSecret))
	mac.Write([]byte("v0:" + ts + ":"))
	mac.Write(body)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Slack-Request-Timestamp", ts)
	req.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	return req, nil
}

func messageEvent(n int, text string) []byte {
	return fmt.Appendf(nil, `{"type":"event_callback","team_id":"T0TEST","api_app_id":"A0TEST","event_id":"EvCRASH%d","event_time":1,"event":{"type":"message","channel":"C%d","user":"U1","text":%q,"ts":"1700000000.%06d","event_ts":"1700000000.%06d","channel_type":"channel"},"authorizations":[{"team_id":"T0TEST","user_id":"U0BOT","is_bot":true}]}`, n, n%7, text, n, n)
}

// load sends events until stop is closed; what is not acked is sent again, as
// Slack would.
type load struct {
	next  atomic.Int64
	mu    sync.Mutex
	again []int
	acked map[int]bool
}

func (l *load) take() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.again); n > 0 {
		id := l.again[n-1]
		l.again = l.again[:n-1]
		return id
	}
	return int(l.next.Add(1))
}

func (l *load) run(addr string, stop <-chan struct{}) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := l.take()
				status, _ := send(client, addr, "/slack/events", "application/json", messageEvent(id, fmt.Sprintf("job %d", id)))
				l.mu.Lock()
				if status == http.StatusOK {
					l.acked[id] = true
				} else {
					l.again = append(l.again, id)
				}
				l.mu.Unlock()
				if status == 0 {
					time.Sleep(2 * time.Millisecond) // nobody listens just now
				}
			}
		})
	}
	wg.Wait()
	client.CloseIdleConnections()
}

func TestKillNineLosesAndRepeatsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills servers")
	}
	slack := newFakeSlack(t)
	rules, data := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "job.star"), `on.message("^job ", lambda e: post(e.channel, "did " + e.text))`)
	l := &load{acked: map[int]bool{}}
	for round := range *crashRounds {
		p := start(t, slack, rules, data)
		stop := make(chan struct{})
		life := time.Duration(100+rand.IntN(900)) * time.Millisecond
		time.AfterFunc(life, func() {
			_ = p.cmd.Process.Signal(syscall.SIGKILL)
			close(stop)
		})
		l.run(p.listen, stop)
		_ = p.cmd.Wait()
		t.Logf("round %d: killed after %v with %d acked in all", round+1, life, len(l.acked))
	}
	p := start(t, slack, rules, data)
	deadline := time.Now().Add(60 * time.Second)
	for id := range l.acked {
		for slack.times(fmt.Sprintf("did job %d", id)) == 0 && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
	}
	lost, repeated := 0, 0
	for id := range l.acked {
		switch n := slack.times(fmt.Sprintf("did job %d", id)); {
		case n == 0:
			lost++
			out, err := exec.Command(binary(t), "runs", fmt.Sprintf("EvCRASH%d", id), "--admin", p.admin).CombinedOutput()
			t.Logf("lost: %v\n%s", err, out)
		case n > 1:
			repeated++
		}
	}
	if err := terminate(p); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, p.log)
	}
	if lost > 0 {
		for line := range strings.Lines(p.log.String()) {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				t.Log(line)
			}
		}
	}
	t.Logf("%d kills, %d events acked, %d lost, %d effects repeated, %d in flight at a kill and looked up",
		*crashRounds, len(l.acked), lost, repeated, slack.lookups)
	if lost > 0 || repeated > 0 {
		t.Errorf("lost %d, repeated %d of %d acked events", lost, repeated, len(l.acked))
	}
	if len(l.acked) < 20**crashRounds {
		t.Errorf("only %d events were acked: the test has shown nothing", len(l.acked))
	}
}

func TestTerminateUnderLoadLosesNothingAndExitsZero(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	slack := newFakeSlack(t)
	rules, data := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "job.star"), `on.message("^job ", lambda e: post(e.channel, "did " + e.text))`)
	l := &load{acked: map[int]bool{}}
	for range 2 {
		p := start(t, slack, rules, data)
		stop := make(chan struct{})
		done := make(chan error, 1)
		time.AfterFunc(300*time.Millisecond, func() {
			done <- terminate(p)
			close(stop)
		})
		l.run(p.listen, stop)
		if err := <-done; err != nil {
			t.Fatalf("SIGTERM: %v\n%s", err, p.log)
		}
	}
	p := start(t, slack, rules, data)
	deadline := time.Now().Add(60 * time.Second)
	missing := 0
	for id := range l.acked {
		for slack.times(fmt.Sprintf("did job %d", id)) == 0 {
			if time.Now().After(deadline) {
				missing++
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	if err := terminate(p); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	repeated := 0
	for id := range l.acked {
		if slack.times(fmt.Sprintf("did job %d", id)) > 1 {
			repeated++
		}
	}
	t.Logf("%d acked, %d lost, %d repeated", len(l.acked), missing, repeated)
	if missing > 0 || repeated > 0 {
		t.Errorf("%d acked events were lost, %d effects repeated", missing, repeated)
	}
}

// terminate asks the server to stop and returns an error unless it exits 0.
func terminate(p *process) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
