package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue/queuetest"
)

// tickRule posts each second once, whatever happens.
const tickRule = `on.schedule("every 1s", lambda e: post("C1", "tick %d" % int(e.scheduled_at)), name = "tick", catch_up = "all", overlap = "allow")`

// ticks returns the seconds that were posted, in order, and wants each once.
func (f *fakeSlack) ticks(t *testing.T) []int {
	t.Helper()
	var out []int
	for text, n := range f.texts() {
		digits, ok := strings.CutPrefix(text, "tick ")
		sec, err := strconv.Atoi(digits)
		if !ok || err != nil {
			continue
		}
		if n != 1 {
			t.Errorf("second %d was posted %d times", sec, n)
		}
		out = append(out, sec)
	}
	slices.Sort(out)
	return out
}

// wantAll wants every second from the first to the last.
func wantAll(t *testing.T, ticks []int) {
	t.Helper()
	for i := 1; i < len(ticks); i++ {
		if ticks[i] != ticks[i-1]+1 {
			t.Errorf("after second %d comes %d", ticks[i-1], ticks[i])
		}
	}
}

// untilTicks waits for n more ticks.
func (f *fakeSlack) untilTicks(c *child, n int) {
	c.t.Helper()
	n += f.total()
	for deadline := time.Now().Add(60 * time.Second); f.total() < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%d posts, want %d\n%s", f.total(), n, c.out.String())
		}
	}
}

func TestSchedulesFireOnceThroughKillNine(t *testing.T) {
	slow(t)
	slack := newFakeSlack(t)
	rules, data := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "tick.star"), tickRule)
	c := serve(t, slack, rules, data).ready()
	for range 4 {
		slack.untilTicks(c, 1)
		// Around the next firing, and in the midst of it.
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second + time.Duration(rand.IntN(12))*time.Millisecond)))
		c.signal(syscall.SIGKILL)
		_ = c.cmd.Wait()
		c = serve(t, slack, rules, data).ready()
	}
	slack.untilTicks(c, 3)
	c.signal(syscall.SIGTERM)
	c.exits(0)
	wantAll(t, slack.ticks(t))
}

func TestAProcessTakesTheSchedulesOfOneThatWasKilled(t *testing.T) {
	slow(t)
	nats := queuetest.Server(t)
	rules := t.TempDir()
	writeFile(t, filepath.Join(rules, "tick.star"), tickRule)
	slack := newFakeSlack(t)
	start := func() *child {
		listen, admin := freeAddress(t), freeAddress(t)
		c := run(t, []string{
			"SLACK_SIGNING_SECRET=" + signingSecret, "SLACK_BOT_TOKEN=xoxb-test", "SLACK_API_URL=" + slack.URL + "/api/", "STARLING_NATS_URL=" + nats,
		}, "serve", "--rules", rules, "--listen", listen, "--admin", admin)
		c.listen, c.admin = listen, admin
		return c.ready()
	}
	a := start()
	slack.untilTicks(a, 2)
	b := start()
	slack.untilTicks(a, 2)
	a.signal(syscall.SIGKILL)
	_ = a.cmd.Wait()
	slack.untilTicks(b, 10)
	wantAll(t, slack.ticks(t))
}

func TestScheduleIsListedAndRunByHand(t *testing.T) {
	slow(t)
	slack := newFakeSlack(t)
	rules, data := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "ops/rota.star"), `on.schedule("0 0 1 1 *", lambda e: post("C1", "handed over"), name = "handover", tz = "Europe/Berlin")`)
	c := serve(t, slack, rules, data).ready()
	cli := func(args ...string) string {
		t.Helper()
		child := run(t, nil, append(args, "--admin", c.admin, "--rules", rules, "--data", data)...)
		child.exits(0)
		return child.out.String()
	}
	if out := cli("schedule"); !strings.Contains(out, "ops/rota.star:handover") || !strings.Contains(out, "-01-01 00:00:00") {
		t.Errorf("list: %s", out)
	}
	out := cli("schedule", "run", "handover")
	id, ok := strings.CutPrefix(strings.TrimSpace(out), "ops/rota.star:handover is fired: starling runs ")
	if !ok {
		t.Fatalf("run: %s", out)
	}
	c.until("posts", func() bool { return slack.times("handed over") == 1 })
	c.until("has settled", func() bool {
		status, body := c.ask("/runs/" + url.PathEscape(id))
		return status == http.StatusOK && strings.Contains(body, `"done"`)
	})
	var list []struct{ Outcome, Event string }
	if err := json.Unmarshal([]byte(cli("schedule", "list", "--json")), &list); err != nil || len(list) != 1 || list[0].Outcome != "by hand" || list[0].Event != id {
		t.Errorf("%+v, %v", list, err)
	}
	// Without the server its data answers.
	c.signal(syscall.SIGTERM)
	c.exits(0)
	if out := cli("schedule"); !strings.Contains(out, "by hand") {
		t.Errorf("from the data: %s", out)
	}
}
