package sim

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestClockIsMovedAheadAndRunsFaster(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := newMovable(c.Now)
	start := c.Now()
	at := func(what string, want time.Duration) {
		t.Helper()
		if got := m.now().Sub(start); got != want {
			t.Errorf("%s: %s after the start, want %s", what, got, want)
		}
	}
	at("at first", 0)
	c.Advance(time.Minute)
	at("by itself", time.Minute)
	if err := m.move(time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	at("moved", time.Hour+time.Minute)
	if err := m.move(0, 60); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Second)
	at("faster", time.Hour+2*time.Minute)
	if err := m.move(0, 1); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Second)
	at("at its own pace again", time.Hour+2*time.Minute+time.Second)
	for _, bad := range []struct {
		ahead time.Duration
		rate  float64
	}{{-time.Second, 0}, {maxAdvance + 1, 0}, {0, -1}, {0, 0.5}, {0, maxClockRate + 1}} {
		if m.move(bad.ahead, bad.rate) == nil {
			t.Errorf("moved by %s at %v", bad.ahead, bad.rate)
		}
	}
	at("after what was refused", time.Hour+2*time.Minute+time.Second)
}

func TestSleepersGoByTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMovable(time.Now)
		woke := func(d time.Duration) <-chan error {
			done := make(chan error, 1)
			go func() { done <- m.sleep(t.Context(), m.now(), d) }()
			synctest.Wait()
			return done
		}
		start := time.Now()
		if err := <-woke(time.Minute); err != nil || time.Since(start) != time.Minute {
			t.Errorf("by itself: %v after %s", err, time.Since(start))
		}
		start = time.Now()
		done := woke(5 * time.Minute)
		if err := m.move(4*time.Minute, 60); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || time.Since(start) != time.Second {
			t.Errorf("moved, and faster: %v after %s", err, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := m.sleep(ctx, m.now(), time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// The schedule of retries is Slack's, by a clock that the caller moves.
func TestRetriesComeWhenTheClockIsMoved(t *testing.T) {
	t.Parallel()
	s := newSlack(t, func(o *Options) { o.Sleep, o.Now = nil, time.Now })
	s.app.reply(func(w http.ResponseWriter, _ delivered) { w.WriteHeader(http.StatusInternalServerError) })
	s.say("C0OPS", "later")
	s.app.next()
	for i, ahead := range []string{"500ms", "1m", "5m"} {
		for deadline := time.Now().Add(20 * time.Second); len(s.Deliveries()) <= i; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("delivery %d is not recorded", i)
			}
		}
		if status, out := s.post("/sim/clock", "application/json", `{"advance":"`+ahead+`"}`, ""); status != http.StatusOK {
			t.Fatal(out)
		}
		d := s.app.next()
		if got := d.header.Get("X-Slack-Retry-Num"); got != string('1'+rune(i)) {
			t.Errorf("retry %d has the number %q", i+1, got)
		}
		// The app, whose clock is not moved, takes the signature.
		if ts := d.header.Get("X-Slack-Request-Timestamp"); time.Since(time.Unix(tsMicros(ts)/1e6, 0)) > 2*time.Minute || time.Until(time.Unix(tsMicros(ts)/1e6, 0)) > time.Minute {
			t.Errorf("retry %d is signed at %s", i+1, ts)
		}
	}
	if c := s.Clock(); c.Ahead < 6*time.Minute || c.Rate != 1 {
		t.Errorf("clock %+v", c)
	}
	for body, want := range map[string]string{
		`{"advance":"tomorrow"}`: `advance: want a length of time as in "90s" or "1h30m" (got "tomorrow")`,
		`{"advance":"-1s"}`:      `advance: the clock cannot be moved back, what happened has happened`,
		`{"rate":0.5}`:           `rate: want 1 to 100000 (got 0.5)`,
	} {
		if status, out := s.post("/sim/clock", "application/json", body, ""); status != http.StatusBadRequest || out["error"] != want {
			t.Errorf("%s: %d %v", body, status, out)
		}
	}
}
