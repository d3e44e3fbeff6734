package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	approvals     = flag.Int("approvals", 60, "how many approvals TestApprovalsSurviveKillNine has in flight (in full: 1000)")
	approvalKills = flag.Int("approval-kills", 3, "how often it kills the server, once a second (in full: 60)")
	approvalEdits = flag.Duration("approval-edits", time.Second, "how often it edits the script (in full: 5s)")
)

const approvalScript = `
# version %d
def deploy(e):
    a = ask("Run " + e.text + "?", ["yes", "no"])
    post(e.channel, e.text + ": " + a.choice)
    sleep("1.5s")
    post(e.channel, e.text + " is over")
on.message("^job ", deploy)
`

var buttonForm = regexp.MustCompile(`starling\.ask:[0-9a-f]+\.[0-9]+/[0-9]+`)

// crowd answers each question that arrives at Slack, often twice, and again
// until somebody has taken it.
type crowd struct {
	slack *fakeSlack
	mu    sync.Mutex
	acked map[string]bool // by question
	addr  string
}

// question is a message that asks.
type question struct{ text, channel, ts, button string }

func (c *crowd) questions() []question {
	c.slack.mu.Lock()
	defer c.slack.mu.Unlock()
	var out []question
	for _, m := range c.slack.messages {
		text, _ := m["text"].(string)
		if m["blocks"] == nil || !strings.HasPrefix(text, "Run ") {
			continue
		}
		b, err := json.Marshal(m["blocks"])
		if err != nil {
			continue
		}
		if buttons := buttonForm.FindAllString(string(b), -1); len(buttons) > 0 {
			out = append(out, question{text, fmt.Sprint(m["channel"]), fmt.Sprint(m["ts"]), buttons[0]})
		}
	}
	return out
}

// answer clicks on whatever nobody has clicked on, until stop is closed.
func (c *crowd) answer(stop <-chan struct{}) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	for {
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
		all := c.questions()
		for _, i := range rand.Perm(len(all))[:min(len(all), 20)] {
			q := all[i]
			c.mu.Lock()
			done, addr := c.acked[q.button], c.addr
			c.mu.Unlock()
			if done {
				continue
			}
			status, _ := send(client, addr, "/slack/interactive", "application/x-www-form-urlencoded", q.click(i))
			if rand.IntN(3) == 0 { // as Slack does if it heard no answer
				send(client, addr, "/slack/interactive", "application/x-www-form-urlencoded", q.click(i))
			}
			if status == http.StatusOK {
				c.mu.Lock()
				c.acked[q.button] = true
				c.mu.Unlock()
			}
		}
	}
}

func (q question) click(n int) []byte {
	payload := fmt.Sprintf(`{"type":"block_actions","trigger_id":"tr.%d.%s","team":{"id":"T0TEST"},"user":{"id":"U%d","team_id":"T0TEST"},"api_app_id":"A0TEST","channel":{"id":%q},"container":{"type":"message","message_ts":%q,"channel_id":%q},"message":{"ts":%q,"text":%q},"actions":[{"type":"button","action_id":%q,"block_id":"b","value":"0","action_ts":"1"}]}`,
		n, q.ts, n%9, q.channel, q.ts, q.channel, q.ts, q.text, q.button)
	return []byte("payload=" + url.QueryEscape(payload))
}

// Approvals are in flight while the server is killed every second, the script is
// edited and people click: every run ends once with the right answer, no message
// is sent twice, none is lost.
func TestApprovalsSurviveKillNine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills servers")
	}
	slack := newFakeSlack(t)
	rules, data := t.TempDir(), t.TempDir()
	edit := func(n int) { writeFile(t, filepath.Join(rules, "deploy.star"), fmt.Sprintf(approvalScript, n)) }
	edit(0)
	c := &crowd{slack: slack, acked: map[string]bool{}}
	over := make(chan struct{})
	var people sync.WaitGroup
	edits := 0
	people.Go(func() { c.answer(over) })
	people.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(*approvalEdits):
				edits++
				edit(edits)
			}
		}
	})
	l := &load{acked: map[int]bool{}}
	var sending sync.WaitGroup
	kills := 0
	serve := func() *process {
		p := start(t, slack, rules, data)
		c.mu.Lock()
		c.addr = p.listen
		c.mu.Unlock()
		return p
	}
	p := serve()
	for n := 1; n <= *approvals; n++ {
		l.again = append(l.again, n)
	}
	for kills < *approvalKills {
		addr := p.listen
		sending.Go(func() { l.drain(addr) })
		time.Sleep(time.Second)
		_ = p.cmd.Process.Signal(syscall.SIGKILL)
		_ = p.cmd.Wait()
		kills++
		sending.Wait()
		p = serve()
	}
	for deadline := time.Now().Add(30 * time.Second); l.left() > 0 && time.Now().Before(deadline); {
		l.drain(p.listen)
	}
	want := func(n int) [3]string {
		job := fmt.Sprintf("job %d", n)
		return [...]string{"Run " + job + "?", job + ": yes", job + " is over"}
	}
	limit := time.Now().Add(60*time.Second + time.Duration(*approvals)*50*time.Millisecond)
	for n := 1; n <= *approvals; n++ {
		for slack.times(want(n)[2]) == 0 && time.Now().Before(limit) {
			time.Sleep(5 * time.Millisecond)
		}
	}
	close(over)
	people.Wait()
	lost, doubled := 0, 0
	for n := 1; n <= *approvals; n++ {
		for _, text := range want(n) {
			switch times := slack.times(text); {
			case times == 0:
				lost++
			case times > 1:
				doubled++
				t.Logf("%q was sent %d times", text, times)
			}
		}
	}
	if err := terminate(p); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, p.log)
	}
	t.Logf("%d approvals, %d kills, %d edits: %d messages lost, %d doubled, %d in flight at a kill and looked up", *approvals, kills, edits, lost, doubled, slack.lookups)
	if lost > 0 || doubled > 0 {
		for line := range strings.Lines(p.log.String()) {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				t.Log(line)
			}
		}
		t.Errorf("%d messages were lost, %d doubled", lost, doubled)
	}
}

// left is how many events nobody has taken yet.
func (l *load) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.again)
}

// drain sends what is left, once each; what is not acked is left again.
func (l *load) drain(addr string) {
	client := &http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	l.mu.Lock()
	ids := l.again
	l.again = nil
	l.mu.Unlock()
	var missed []int
	for _, id := range ids {
		status, _ := send(client, addr, "/slack/events", "application/json", messageEvent(id, fmt.Sprintf("job %d", id)))
		if status != http.StatusOK {
			missed = append(missed, id)
		}
	}
	l.mu.Lock()
	l.again = append(l.again, missed...)
	l.mu.Unlock()
}
