package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/sim"
)

// socketSlack is a Slack that delivers over Socket Mode.
func socketSlack(t *testing.T) *sim.Server {
	t.Helper()
	s, err := sim.New(sim.Options{SocketMode: true})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s.Handler())
	s.SetURL(ts.URL)
	t.Cleanup(func() { s.Close(); ts.Close() })
	return s
}

// serveSocket starts a server that Slack reaches over Socket Mode alone.
func serveSocket(t *testing.T, s *sim.Server, rules, data, token string) *child {
	t.Helper()
	listen, admin := freeAddress(t), freeAddress(t)
	c := run(t, []string{"SLACK_APP_TOKEN=" + token, "SLACK_BOT_TOKEN=" + sim.DevBotToken, "SLACK_API_URL=" + s.APIURL()},
		"serve", "--rules", rules, "--data", data, "--listen", listen, "--admin", admin)
	c.listen, c.admin = listen, admin
	return c
}

// said lists the texts of the app in a channel.
func said(s *sim.Server, channel string) (texts []string) {
	for _, m := range s.Snapshot().Messages[channel] {
		if m.User == s.App().UserID || m.BotID != "" {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// Messages, commands and the state of the connections reach rules over Socket
// Mode, through kill -9 and through refreshes: each once.
func TestSocketModeOfTheWholeServer(t *testing.T) {
	slow(t)
	s, rules, data := socketSlack(t), t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "a.star"), `
on.message("^job ", lambda e: "did " + e.text)
on.command("/long", lambda e: "x" * int(e.text))
on.event("starling.socket", lambda e: kv.incr("socket." + e.raw.event.state))
`)
	c := serveSocket(t, s, rules, data, sim.DevAppToken).ready()
	say := func(text string) {
		t.Helper()
		if _, err := s.Say(t.Context(), sim.Say{User: "U0ADA", Channel: "#general", Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	jobs := func(k int) {
		for range k {
			n++
			say(fmt.Sprint("job ", n))
		}
	}
	jobs(10)
	s.DisconnectSocket("refresh_requested")
	jobs(10)
	c.signal(syscall.SIGKILL)
	_ = c.cmd.Wait()
	jobs(5)
	c = serveSocket(t, s, rules, data, sim.DevAppToken).ready()
	s.DisconnectSocket("drop")
	jobs(5)
	c.until("every job is done", func() bool { return len(said(s, "C0GENERAL")) >= n })
	count := map[string]int{}
	for _, text := range said(s, "C0GENERAL") {
		count[text]++
	}
	for i := range n {
		if text := fmt.Sprint("did job ", i+1); count[text] != 1 {
			t.Errorf("%q was posted %d times", text, count[text])
		}
	}

	// An answer that is too long for an ack comes by another way.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, size := range []int{3000, 30_000} {
		if err := s.Command(ctx, sim.Command{User: "U0ADA", Channel: "#random", Command: "/long", Text: fmt.Sprint(size)}); err != nil {
			t.Fatal(err)
		}
		c.until("the answer", func() bool {
			return strings.Count(strings.Join(said(s, "C0RANDOM"), ""), "x") >= size
		})
	}
	c.until("there is a second connection", func() bool {
		_, metrics := c.ask("/metrics")
		return strings.Contains(metrics, "starling_socket_connections 2")
	})
	_, metrics := c.ask("/metrics")
	for _, want := range []string{`starling_socket_events_total{state="hello"}`, `transport="socket"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)
	if n := s.SocketConnections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestServeEndsWhenSlackRefusesTheAppToken(t *testing.T) {
	slow(t)
	rules := t.TempDir()
	writeFile(t, filepath.Join(rules, "a.star"), echoRule)
	c := serveSocket(t, socketSlack(t), rules, t.TempDir(), "xapp-of-somebody-else")
	c.exits(3)
	c.says("Slack refuses the app-level token: invalid_auth")
	if strings.Contains(c.out.String(), "xapp-of") {
		t.Error("the token is in the log")
	}
}

func TestServeIsNotReadyWithoutASocket(t *testing.T) {
	slow(t)
	s, rules := socketSlack(t), t.TempDir()
	s.SetFaults(sim.Faults{Errors: map[string]string{"apps.connections.open": "internal_error"}})
	writeFile(t, filepath.Join(rules, "a.star"), echoRule)
	c := serveSocket(t, s, rules, t.TempDir(), sim.DevAppToken)
	c.until("it says why it is not ready", func() bool {
		status, body := c.ask("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "no socket: connection_error: internal_error")
	})
	s.SetFaults(sim.Faults{})
	c.ready()
}
