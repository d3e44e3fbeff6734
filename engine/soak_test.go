package engine_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/sim"
	"github.com/starling-rules/starling/engine/socket"
	"github.com/starling-rules/starling/runtime"
)

var (
	soakEvents = flag.Int("soak-events", 1500, "TestSoak: how many events")
	soakRate   = flag.Int("soak-rate", 400, "TestSoak: how many events a second")
	soakPlain  = flag.Bool("soak-plain", false, "TestSoak: with an app on slack-go's socketmode alone, for comparison")
	soakSeed   = flag.Uint64("soak-seed", 1, "TestSoak: of what goes wrong, and when")
)

// TestSoak brings events from a local Slack to rules over two connections: each
// is replaced every 2 s, some are cut, Slack goes deaf, and acks get lost. The
// store is on disk. Each event has to run once.
func TestSoak(t *testing.T) {
	t.Parallel()
	k := newSoak(t)
	if *soakPlain {
		k.plainApps()
	} else {
		k.server()
	}
	eventually(t, "two connections", func() bool { return k.slack.SocketConnections() >= 2 })

	start := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var trouble sync.WaitGroup
	trouble.Go(func() { k.disturb(ctx) })
	k.say()
	said := time.Since(start)
	cancel()
	trouble.Wait()
	k.slack.SetFaults(sim.Faults{})
	lost, twice := k.settle()

	who := "Starling"
	if *soakPlain {
		who = "slack-go alone"
	}
	t.Logf("%s, seed %d: %d events in %v (said in %v): %d lost, %d run twice", who, *soakSeed, *soakEvents,
		time.Since(start).Round(time.Millisecond), said.Round(time.Millisecond), lost, twice)
	k.mu.Lock()
	defer k.mu.Unlock()
	t.Logf("troubles: %d refreshes, %d cuts, %d times deaf, %d quiet, %d deliveries whose ack was lost, %d other failures",
		k.did["refresh"], k.did["cut"], k.did["deaf"], k.did["quiet"], k.failed["http_timeout"], k.failures()-k.failed["http_timeout"])
	t.Logf("connections: %d greeted; client's states: %v", k.did["hello"], k.states)
	t.Logf("acks as Slack sees them: p50 %.1f ms, p99 %.1f ms, longest %.1f ms of %d; deliveries: %d",
		k.ack(50), k.ack(99), k.ack(100), len(k.acks), k.deliveries)
	if !*soakPlain && lost+twice > 0 {
		t.Errorf("%d lost, %d run twice", lost, twice)
	}
}

type soak struct {
	t     *testing.T
	slack *sim.Server
	rand  *rand.Rand

	mu         sync.Mutex
	runs       map[string]int // by text
	did        map[string]int
	states     map[string]int
	failed     map[string]int // deliveries, by why
	deliveries int
	acks       []float64 // ms
}

func newSoak(t *testing.T) *soak {
	k := &soak{
		t: t, rand: rand.New(rand.NewPCG(*soakSeed, 7)),
		runs: map[string]int{}, did: map[string]int{}, states: map[string]int{}, failed: map[string]int{},
	}
	var err error
	k.slack, err = sim.New(sim.Options{SocketMode: true, OnDelivery: k.delivered, Sleep: func(ctx context.Context, d time.Duration) error {
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
	ts := httptest.NewServer(k.slack.Handler())
	k.slack.SetURL(ts.URL)
	t.Cleanup(func() { k.slack.Close(); ts.Close() })
	return k
}

func (k *soak) delivered(d sim.Delivery) {
	if d.Kind != "events_api" || d.Type != "message" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deliveries++
	if d.Error != "" {
		k.failed[d.Error]++
		return
	}
	k.acks = append(k.acks, d.Ms)
}

func (k *soak) failures() (n int) {
	for _, f := range k.failed {
		n += f
	}
	return n
}

// ack is a percentile; mu is held.
func (k *soak) ack(p int) float64 {
	if len(k.acks) == 0 {
		return 0
	}
	slices.Sort(k.acks)
	return k.acks[min(len(k.acks)-1, len(k.acks)*p/100)]
}

func (k *soak) ran(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.runs[text]++
}

func (k *soak) count(m map[string]int, what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m[what]++
}

// server is the whole of Starling: sockets, the store on disk, rules.
func (k *soak) server() {
	newRig(k.t, map[string]string{"soak.star": `on.message("^event ", lambda e: soak.ran(text = e.text) and None)`}, func(o *engine.Options) {
		o.Config.Data = k.t.TempDir()
		o.Config.Slack.SigningSecrets, o.Config.Slack.AppToken = nil, sim.DevAppToken
		o.Config.Slack.APIURL, o.Config.Slack.BotToken = k.slack.APIURL(), sim.DevBotToken
		o.Logger = nil // a line for each run is too much here
		o.Builtins = []engine.Builtin{{
			Name: "soak.ran", Doc: "Count a run.",
			Params: []runtime.Param{{Name: "text", Type: runtime.TString, Doc: "Of the event."}},
			Do: func(_ context.Context, _ *door.Run, args *runtime.Dict) (runtime.Value, error) {
				k.ran(args.Text("text"))
				return true, nil
			},
		}}
		o.Socket = func(so *socket.Options) {
			so.Stagger, so.Silence, so.MinBackoff, so.MaxBackoff = time.Second, 3*time.Second, 50*time.Millisecond, time.Second
			live := so.OnLife
			so.OnLife = func(l socket.Life) {
				k.count(k.states, l.Type)
				if l.Type == "hello" {
					k.count(k.did, "hello")
				}
				live(l)
			}
		}
	})
}

// plainApps are two connections of an app that its author writes with slack-go:
// it acks what comes and works on it, and connects again if Run returns.
func (k *soak) plainApps() {
	for range 2 {
		c := socketmode.New(slackgo.New(sim.DevBotToken, slackgo.OptionAppLevelToken(sim.DevAppToken), slackgo.OptionAPIURL(k.slack.APIURL())),
			socketmode.OptionPingInterval(10*time.Second))
		go func() {
			for k.t.Context().Err() == nil {
				_ = c.RunContext(k.t.Context())
			}
		}()
		go func() {
			for e := range c.Events {
				k.count(k.states, string(e.Type))
				switch e.Type {
				case socketmode.EventTypeHello:
					k.count(k.did, "hello")
				case socketmode.EventTypeEventsAPI:
					_ = c.Ack(*e.Request)
					var p struct {
						Event struct {
							Text string `json:"text"`
						} `json:"event"`
					}
					if json.Unmarshal(e.Request.Payload, &p) == nil {
						k.ran(p.Event.Text)
					}
				}
			}
		}()
	}
}

// say says everything, at the rate wanted; now and then it is quiet for longer
// than a connection may be silent, and Slack is deaf.
func (k *soak) say() {
	channels := []string{"#general", "#random", "#ops", "#deploys"}
	const slice = 20 * time.Millisecond
	tick := time.NewTicker(slice)
	defer tick.Stop()
	start, quiet := time.Now(), time.Duration(0)
	for n := 0; n < *soakEvents; {
		<-tick.C
		due := min(*soakEvents, int(float64(*soakRate)*(time.Since(start)-quiet).Seconds()))
		for ; n < due; n++ {
			if _, err := k.slack.Say(k.t.Context(), sim.Say{User: "U0ADA", Channel: channels[n%len(channels)], Text: fmt.Sprint("event ", n)}); err != nil {
				k.t.Fatal(err)
			}
			if n%20_000 == 19_999 {
				before := time.Now()
				k.faults(func(f *sim.Faults) { f.MutePings = true })
				time.Sleep(5 * time.Second)
				k.faults(func(f *sim.Faults) { f.MutePings = false })
				k.count(k.did, "quiet")
				quiet += time.Since(before)
			}
		}
	}
}

func (k *soak) faults(change func(*sim.Faults)) {
	f := k.slack.Faults()
	change(&f)
	k.slack.SetFaults(f)
}

// disturb does what networks and Slack do, until ctx ends: a refresh of the
// oldest connection each second, which is one every 2 s for each of two; a cut
// about every second; some lost acks about every 300 ms; deafness for up to 2 s.
func (k *soak) disturb(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deaf := 0
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n%10 == 0 {
			k.slack.DisconnectSocket("refresh_requested")
			k.count(k.did, "refresh")
		}
		if k.rand.IntN(10) == 0 {
			k.slack.DisconnectSocket("drop")
			k.count(k.did, "cut")
		}
		if k.rand.IntN(3) == 0 {
			lost := 1 + k.rand.IntN(10)
			k.faults(func(f *sim.Faults) { f.LostAcks = lost })
		}
		switch {
		case deaf > 0:
			if deaf--; deaf == 0 {
				k.faults(func(f *sim.Faults) { f.MutePings = false })
			}
		case k.rand.IntN(40) == 0:
			deaf = 1 + k.rand.IntN(20)
			k.faults(func(f *sim.Faults) { f.MutePings = true })
			k.count(k.did, "deaf")
		}
	}
}

// settle waits until everything has run, or nothing more runs, and then for what
// Slack sends again.
func (k *soak) settle() (lost, twice int) {
	k.t.Helper()
	count := func() int {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(k.runs)
	}
	last := count()
	for since := time.Now(); last < *soakEvents && time.Since(since) < 30*time.Second; time.Sleep(20 * time.Millisecond) {
		if n := count(); n > last {
			last, since = n, time.Now()
		}
	}
	time.Sleep(2 * time.Second) // the last retry of Slack's is 0.5 s after the one before
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range *soakEvents {
		switch n := k.runs[fmt.Sprint("event ", i)]; {
		case n == 0:
			lost++
		case n > 1:
			twice++
		}
	}
	return lost, twice
}
