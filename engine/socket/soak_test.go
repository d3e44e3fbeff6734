package socket_test

import (
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/starling-rules/starling/engine/sim"
	"github.com/starling-rules/starling/engine/socket"
)

var (
	soakEvents = flag.Int("soak-events", 1500, "TestSoak: how many events")
	soakPlain  = flag.Bool("soak-plain", false, "TestSoak: with slack-go's managed connection, for comparison; it fails where that loses or doubles events")
)

// TestSoak delivers events over two connections of a local Slack that wants
// them replaced all the time, cuts some, goes deaf and loses acks.
func TestSoak(t *testing.T) {
	t.Parallel()
	s, err := sim.New(sim.Options{SocketMode: true, Sleep: func(ctx context.Context, d time.Duration) error {
		select { // retries after minutes come after moments
		case <-time.After(d / 600):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s.Handler())
	s.SetURL(ts.URL)
	defer ts.Close()
	defer s.Close()

	got := &sink{}
	runs := map[string]int{}
	var mu sync.Mutex
	if *soakPlain {
		for range 2 {
			go plain(t, s, func(id string) { mu.Lock(); runs[id]++; mu.Unlock() })
		}
	} else {
		c, err := socket.New(socket.Options{
			Token: sim.DevAppToken, APIURL: s.APIURL(), Sink: got, Stagger: 50 * time.Millisecond, Silence: 3 * time.Second,
			MinBackoff: 5 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
	}
	for deadline := time.Now().Add(20 * time.Second); s.SocketConnections() < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no two connections")
		}
	}

	trouble, stop := context.WithCancel(context.Background())
	var troubles sync.WaitGroup
	troubles.Go(func() { disturb(trouble, s) })
	channels := []string{"#general", "#random", "#ops", "#deploys"}
	start := time.Now()
	for i := range *soakEvents {
		if _, err := s.Say(t.Context(), sim.Say{User: "U0ADA", Channel: channels[i%len(channels)], Text: fmt.Sprint("event ", i)}); err != nil {
			t.Fatal(err)
		}
		if i%50 == 49 { // a few hundred a second: no faster than anybody can take them
			time.Sleep(50 * time.Millisecond)
		}
	}
	stop()
	troubles.Wait()
	s.SetFaults(sim.Faults{})

	texts := func() map[string]int {
		seen := map[string]int{}
		if *soakPlain {
			mu.Lock()
			defer mu.Unlock()
			for text, n := range runs {
				seen[text] += n
			}
			return seen
		}
		for _, e := range got.stored() {
			seen[e.Text]++
		}
		return seen
	}
	for deadline := time.Now().Add(90 * time.Second); len(texts()) < *soakEvents; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			break
		}
	}
	lost, doubled := 0, 0
	seen := texts()
	for i := range *soakEvents {
		switch n := seen[fmt.Sprint("event ", i)]; {
		case n == 0:
			lost++
		case n > 1:
			doubled++
		}
	}
	t.Logf("%d events in %v: %d lost, %d run twice", *soakEvents, time.Since(start).Round(time.Millisecond), lost, doubled)
	if lost > 0 || doubled > 0 {
		t.Errorf("%d lost, %d run twice", lost, doubled)
	}
}

// disturb does what networks and Slack do, until ctx ends.
func disturb(ctx context.Context, s *sim.Server) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch {
		case n%4 == 0:
			s.DisconnectSocket("refresh_requested")
		case n%7 == 0:
			s.DisconnectSocket("drop")
		case n%5 == 0:
			s.SetFaults(sim.Faults{LostAcks: 3})
		case n%11 == 0:
			s.SetFaults(sim.Faults{MutePings: true})
		case n%13 == 0:
			s.SetFaults(sim.Faults{})
		}
	}
}

// plain is an app on slack-go alone: it acks what comes, and runs it.
func plain(t *testing.T, s *sim.Server, run func(text string)) {
	c := socketmode.New(slack.New(sim.DevBotToken, slack.OptionAppLevelToken(sim.DevAppToken), slack.OptionAPIURL(s.APIURL())))
	go func() { _ = c.RunContext(t.Context()) }()
	for e := range c.Events {
		if e.Type == socketmode.EventTypeEventsAPI {
			_ = c.Ack(*e.Request)
			run(textOf(e.Request.Payload))
		}
	}
}
