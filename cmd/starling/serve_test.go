package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// output is what a process prints; it can be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// child is the program, started as its users start it.
type child struct {
	t      testing.TB
	cmd    *exec.Cmd
	out    output
	listen string
	admin  string
}

// run starts the program with an environment of nothing but env.
func run(t testing.TB, env []string, args ...string) *child {
	t.Helper()
	return runProgram(t, binary(t), env, args...)
}

func runProgram(t testing.TB, bin string, env []string, args ...string) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command(bin, args...)}
	c.cmd.Dir = t.TempDir()
	c.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}, env...)
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
	return c
}

// serve starts a server that calls slack; it may not be ready yet.
func serve(t testing.TB, slack *fakeSlack, rules, data string, extra ...string) *child {
	t.Helper()
	listen, admin := freeAddress(t), freeAddress(t)
	c := run(t, []string{
		"SLACK_SIGNING_SECRET=" + signingSecret, "SLACK_BOT_TOKEN=xoxb-test", "SLACK_API_URL=" + slack.URL + "/api/",
	}, append([]string{"serve", "--rules", rules, "--data", data, "--listen", listen, "--admin", admin}, extra...)...)
	c.listen, c.admin = listen, admin
	return c
}

// until waits for something that another process does.
func (c *child) until(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("never: %s\n%s", what, c.out.String())
		}
	}
}

func (c *child) prints(text string) {
	c.t.Helper()
	c.until("prints "+text, func() bool { return strings.Contains(c.out.String(), text) })
}

// ask gets a page of the admin API; status 0 if nobody answers.
func (c *child) ask(path string) (int, string) { return get("http://" + c.admin + path) }

func get(url string) (int, string) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

func (c *child) ready() *child {
	c.t.Helper()
	c.until("is ready", func() bool { status, _ := c.ask("/readyz"); return status == http.StatusOK })
	return c
}

// message sends a signed message and wants it accepted.
func (c *child) message(n int, text string) {
	c.t.Helper()
	if status, b := send(http.DefaultClient, c.listen, "/slack/events", "application/json", messageEvent(n, text)); status != http.StatusOK {
		c.t.Fatalf("message %q: status %d %s\n%s", text, status, b, c.out.String())
	}
}

func (c *child) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// exits waits for the end and wants this exit code.
func (c *child) exits(code int) {
	c.t.Helper()
	done := make(chan error, 1)
	go func() { done <- c.cmd.Wait() }()
	select {
	case err := <-done:
		if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
			c.t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		c.t.Fatalf("does not end\n%s", c.out.String())
	}
	if got := c.cmd.ProcessState.ExitCode(); got != code {
		c.t.Errorf("exit code %d, want %d\n%s", got, code, c.out.String())
	}
}

// says wants the last line to match, and to be the only one about the failure.
func (c *child) says(pattern string) {
	c.t.Helper()
	lines := strings.Split(strings.TrimSpace(c.out.String()), "\n")
	if last := lines[len(lines)-1]; !regexp.MustCompile(pattern).MatchString(last) {
		c.t.Errorf("last line %q does not match %q", last, pattern)
	}
	if n := strings.Count(c.out.String(), "starling: "); n != 1 {
		c.t.Errorf("%d lines tell of the failure, want 1\n%s", n, c.out.String())
	}
}

func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers")
	}
	t.Parallel()
}

const echoRule = `on.message("^job ", lambda e: post(e.channel, "did " + e.text))`

func TestServeSaysWhenItIsReady(t *testing.T) {
	slow(t)
	slack, rules := newFakeSlack(t), t.TempDir()
	writeFile(t, filepath.Join(rules, "broken.star"), "on.message(")
	c := serve(t, slack, rules, t.TempDir())
	c.until("says that there are no rules", func() bool {
		status, body := c.ask("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "no rules loaded: 1 rule files, 1 with errors")
	})
	if status, body := c.ask("/healthz"); status != http.StatusOK || !regexp.MustCompile(`^\{"success":true,"timestamp":\d{10}\}$`).MatchString(body) {
		t.Errorf("healthz %d %s", status, body)
	}
	if status, body := get("http://" + c.listen + "/healthcheck"); status != http.StatusOK || body != "OK" {
		t.Errorf("healthcheck %d %s", status, body)
	}
	writeFile(t, filepath.Join(rules, "good.star"), echoRule)
	c.ready()
	if status, body := get("http://" + c.listen + "/readyz"); status != http.StatusOK || body != `{"ready":true}` {
		t.Errorf("readyz of the public port %d %s", status, body)
	}
	if status, body := c.ask("/rules"); status != http.StatusOK || !strings.Contains(body, `"path":"broken.star"`) || !strings.Contains(body, `"errors":1`) {
		t.Errorf("rules %d %s", status, body)
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)
}

func TestServeWithoutRulesDirectoryWaitsForIt(t *testing.T) {
	slow(t)
	slack, rules := newFakeSlack(t), filepath.Join(t.TempDir(), "rules")
	c := serve(t, slack, rules, t.TempDir())
	c.until("says why it is not ready", func() bool {
		status, body := c.ask("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "no such file or directory")
	})
	writeFile(t, filepath.Join(rules, "job.star"), echoRule)
	c.ready().message(1, "job 1")
	c.until("runs the rule", func() bool { return slack.times("did job 1") == 1 })
	if n := strings.Count(c.out.String(), "no such file"); n != 1 {
		t.Errorf("the missing directory was logged %d times\n%s", n, c.out.String())
	}
}

func TestServeDrains(t *testing.T) {
	slow(t)
	slack, rules := newFakeSlack(t), t.TempDir()
	release := slack.hold("slow")
	t.Cleanup(release)
	writeFile(t, filepath.Join(rules, "slow.star"), `
def slow(e):
    r = post(e.channel, "slow")
    post(e.channel, "slow is over: %s" % r.ok)
on.message("^slow", slow)
`)
	data := t.TempDir()
	c := serve(t, slack, rules, data).ready()
	c.message(1, "slow")
	c.until("the call reaches Slack", func() bool { return slack.times("slow") == 1 })
	c.signal(syscall.SIGTERM)
	c.until("readyz says that it drains", func() bool {
		status, body := c.ask("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "draining")
	})
	if status, _ := send(http.DefaultClient, c.listen, "/slack/events", "application/json", messageEvent(2, "late")); status != 0 && status != http.StatusServiceUnavailable {
		t.Errorf("an event while draining: status %d", status)
	}
	release()
	c.exits(0)
	if n := slack.times("slow is over: True"); n != 1 {
		t.Errorf("the run under way was not finished (%d)\n%s", n, c.out.String())
	}
}

func TestSecondSignalEndsAtOnceAndLosesNothing(t *testing.T) {
	slow(t)
	slack, rules, data := newFakeSlack(t), t.TempDir(), t.TempDir()
	release := slack.hold("slow")
	t.Cleanup(release)
	writeFile(t, filepath.Join(rules, "slow.star"), `
def slow(e):
    r = post(e.channel, "slow")
    post(e.channel, "slow is over: %s" % r.ok)
on.message("^slow", slow)
`)
	c := serve(t, slack, rules, data).ready()
	c.message(1, "slow")
	c.until("the call reaches Slack", func() bool { return slack.times("slow") == 1 })
	began := time.Now()
	c.signal(syscall.SIGTERM)
	c.until("drains", func() bool { status, _ := c.ask("/readyz"); return status == http.StatusServiceUnavailable })
	c.signal(syscall.SIGTERM)
	c.exits(3)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the second signal took %v", took)
	}
	release()
	c = serve(t, slack, rules, data).ready()
	c.until("goes on with the run", func() bool { return slack.times("slow is over: True") == 1 })
	if n := slack.times("slow"); n != 1 {
		t.Errorf("the message was posted %d times", n)
	}
}

func TestHangupReadsTheRulesAgain(t *testing.T) {
	slow(t)
	slack, rules, data := newFakeSlack(t), t.TempDir(), t.TempDir()
	path := filepath.Join(rules, "job.star")
	writeFile(t, path, `on.message("^job", lambda e: post(e.channel, "one"))`)
	c := serve(t, slack, rules, data).ready()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	// The same size and time: nothing to see for who trusts file times.
	writeFile(t, path, `on.message("^job", lambda e: post(e.channel, "two"))`)
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	c.signal(syscall.SIGHUP)
	n := 0
	c.until("runs the new version", func() bool {
		n++
		c.message(n, "job")
		time.Sleep(20 * time.Millisecond)
		return slack.times("two") > 0
	})
	c.signal(syscall.SIGTERM)
	c.exits(0)
}

func TestServeRefusesToStart(t *testing.T) {
	slow(t)
	slack, rules, data := newFakeSlack(t), t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "job.star"), echoRule)
	first := serve(t, slack, rules, data).ready()
	t.Run("locked", func(t *testing.T) {
		c := serve(t, slack, rules, data)
		c.exits(3)
		c.says(`^starling: open store: lock data directory .*: data directory is in use by another process`)
	})
	t.Run("port in use", func(t *testing.T) {
		c := serve(t, slack, rules, t.TempDir(), "--listen", first.listen)
		c.exits(3)
		c.says(`^starling: listen on ` + regexp.QuoteMeta(first.listen) + `: .*address already in use$`)
	})
	t.Run("admin port in use", func(t *testing.T) {
		c := serve(t, slack, rules, t.TempDir(), "--admin", first.admin)
		c.exits(3)
		c.says(`^starling: listen on ` + regexp.QuoteMeta(first.admin) + `: .*address already in use$`)
	})
	first.message(1, "job 1")
	first.until("is done", func() bool { return slack.times("did job 1") == 1 })
	first.signal(syscall.SIGTERM)
	first.exits(0)
	t.Run("damaged", func(t *testing.T) {
		damage(t, data)
		c := serve(t, slack, rules, data)
		c.exits(3)
		c.says(`^starling: open store: .*damaged`)
	})
}

// damage takes a stream of the store away.
func damage(t *testing.T, data string) {
	t.Helper()
	gone := 0
	err := filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && filepath.Base(filepath.Dir(path)) == "streams" {
			gone++
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return filepath.SkipDir
		}
		return err
	})
	if err != nil || gone == 0 {
		t.Fatalf("took away %d streams: %v", gone, err)
	}
}

func TestSecretsComeFromFilesAndNeverReachTheLog(t *testing.T) {
	slow(t)
	slack, rules, dir := newFakeSlack(t), t.TempDir(), t.TempDir()
	slack.fail("invalid_auth")
	const token, user, rule = "xoxb-0123456789-very-secret", "xoxp-987654-also-secret", "rule-secret-value"
	writeFile(t, filepath.Join(dir, "signing"), "another-signing-secret,"+signingSecret+"\n")
	writeFile(t, filepath.Join(dir, "token"), token+"\n")
	writeFile(t, filepath.Join(dir, "starling.yaml"), "secrets: {API: \"${API_KEY}\"}\n")
	writeFile(t, filepath.Join(rules, "leak.star"), `
def leak(e):
    log.error("%s %s" % (secret("API"), e.text), secret = secret("API"), text = e.text)
    r = post(e.channel, "x")
    log.error(str(r))
    r = http_get("http://127.0.0.1:1/" + secret("API"), headers = {"Authorization": "Bearer " + secret("API")})
    log.error(str(r))
    r, err = catch(lambda: slack_action("chat.postMessage", channel = e.channel, text = "x", token = "xoxb-0123456789-very-secret"))
    log.error(str(err))
    post(e.channel, str(secret("API")))
    fail("with", secret("API"))
on.message("", leak)
`)
	listen, admin := freeAddress(t), freeAddress(t)
	c := run(t, []string{
		"SLACK_SIGNING_SECRET_FILE=" + filepath.Join(dir, "signing"), "SLACK_BOT_TOKEN_FILE=" + filepath.Join(dir, "token"),
		"SLACK_BOT_TOKEN=", "SLACK_USER_TOKEN=" + user, "API_KEY=" + rule, "SLACK_API_URL=" + slack.URL + "/api/",
		"LOG_LEVEL=debug", "STARLING_LISTEN=" + listen, "STARLING_ADMIN=" + admin, "STARLING_DATA=" + t.TempDir(), "STARLING_RULES=" + rules,
		"STARLING_CONFIG=" + filepath.Join(dir, "starling.yaml"),
	}, "serve")
	c.listen, c.admin = listen, admin
	c.ready()
	c.message(1, "who says "+token+" and "+signingSecret+" and "+rule)
	send(http.DefaultClient, listen, "/slack/events?token="+token, "application/json", []byte(`{"token":"`+token+`"`))
	c.prints("outcome=failed")
	c.prints("leak.star:11") // the last line was reached
	if got := slack.authorization(); got != "Bearer "+token {
		t.Errorf("Slack was called with %q, want the token of the file", got)
	}
	_, runs := c.ask("/runs")
	_, metrics := c.ask("/metrics")
	c.signal(syscall.SIGTERM)
	c.exits(0)
	for _, s := range []string{token, user, signingSecret, "another-signing-secret", rule} {
		for what, text := range map[string]string{"log": c.out.String(), "runs": runs, "metrics": metrics} {
			if strings.Contains(text, s) {
				t.Errorf("the %s holds %q:\n%s", what, s, text)
			}
		}
	}
}

func TestMetricsHaveTheNamesOfTheManual(t *testing.T) {
	slow(t)
	slack, rules := newFakeSlack(t), t.TempDir()
	writeFile(t, filepath.Join(rules, "job.star"), echoRule+`
on.message("^web", lambda e: log.info(http_get("http://127.0.0.1:1/")))
`)
	c := serve(t, slack, rules, t.TempDir()).ready()
	c.message(1, "job 1")
	c.message(1, "job 1")
	c.message(2, "web")
	text := ""
	c.until("counts", func() bool {
		_, text = c.ask("/metrics")
		return strings.Contains(text, `starling_slack_calls_total{method="chat.postMessage"`) && strings.Contains(text, "starling_http_calls_total{")
	})
	for _, want := range []string{
		`starling_events_total{outcome="stored",transport="http",type="message"} 2`,
		`starling_events_total{outcome="duplicate",transport="http",type="message"} 1`,
		`starling_ack_seconds_bucket{transport="http"`, "starling_queue_depth ", "starling_queue_oldest_age_seconds ",
		`starling_rule_runs_total{outcome="done",rule="`, `starling_rule_seconds_bucket{rule="`, `starling_rule_steps_total{rule="`,
		"starling_pool_busy ", "starling_pool_waiting ", `starling_slack_calls_total{method="chat.postMessage",outcome="ok"} 1`,
		`starling_http_calls_total{method="`, "starling_reloads_total{", "starling_rule_file_errors 0", "starling_waiting_runs ",
		"starling_dead_runs ", "starling_build_info{version=",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if bad := regexp.MustCompile(`(?m)^starling_.*(C1|U1|127\.0\.0\.1|job 1).*$`).FindString(text); bad != "" {
		t.Errorf("a label holds a channel, a user, an address or a text: %s", bad)
	}
}

// Nobody answers on an address that is closed.
func TestStoppedServerAnswersNobody(t *testing.T) {
	slow(t)
	slack, rules := newFakeSlack(t), t.TempDir()
	writeFile(t, filepath.Join(rules, "job.star"), echoRule)
	c := serve(t, slack, rules, t.TempDir()).ready()
	c.signal(os.Interrupt)
	c.exits(0)
	for _, addr := range []string{c.listen, c.admin} {
		if conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", addr); err == nil {
			_ = conn.Close()
			t.Errorf("somebody answers on %s", addr)
		}
	}
}
