package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue/queuetest"
	"github.com/starling-rules/starling/engine/sim"
)

// Two servers share a store and the connections of an app. One is killed amid
// the work, with its sockets and its runs: nothing is lost, nothing done twice.
func TestAServerTakesTheSocketsAndRunsOfOneThatWasKilled(t *testing.T) {
	slow(t)
	nats := queuetest.Server(t)
	s, rules := socketSlack(t), t.TempDir()
	writeFile(t, filepath.Join(rules, "job.star"), echoRule)
	start := func() *child {
		listen, admin := freeAddress(t), freeAddress(t)
		c := run(t, []string{
			"SLACK_APP_TOKEN=" + sim.DevAppToken, "SLACK_BOT_TOKEN=" + sim.DevBotToken, "SLACK_API_URL=" + s.APIURL(), "STARLING_NATS_URL=" + nats,
		}, "serve", "--rules", rules, "--listen", listen, "--admin", admin)
		c.listen, c.admin = listen, admin
		return c.ready()
	}
	a, b := start(), start()

	const n = 200
	channels := []string{"#general", "#random", "#ops", "#deploys"}
	for i := range n {
		if i == n/2 {
			a.signal(syscall.SIGKILL)
			_ = a.cmd.Wait()
		}
		if _, err := s.Say(t.Context(), sim.Say{User: "U0ADA", Channel: channels[i%len(channels)], Text: fmt.Sprint("job ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	count := map[string]int{}
	done := func() bool {
		clear(count)
		for _, name := range []string{"C0GENERAL", "C0RANDOM", "C0OPS", "C0DEPLOYS"} {
			for _, text := range said(s, name) {
				count[text]++
			}
		}
		return len(count) >= n
	}
	for deadline := time.Now().Add(2 * time.Minute); !done() && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	for i := range n {
		if text := fmt.Sprint("did job ", i); count[text] != 1 {
			t.Errorf("%q was posted %d times", text, count[text])
		}
	}
	for _, c := range []*child{a, b} {
		if strings.Contains(c.out.String(), "another client is connected") {
			t.Error("processes of one server take each other for strangers")
		}
	}
	b.signal(syscall.SIGTERM)
	b.exits(0)
}
