package hook_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/hook"
)

func TestRates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]hook.Rate{
		"60/m": {60, time.Minute}, " 5 / s ": {5, time.Second}, "1000/h": {1000, time.Hour}, "1/d": {1, 24 * time.Hour},
		"10/30s": {10, 30 * time.Second}, "3/1m30s": {3, 90 * time.Second},
	} {
		if got, err := hook.ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "60", "60/", "/m", "0/m", "-1/m", "1.5/m", "1/x", "1/0s", "1/10ms", "1/2d", "1000001/s", "60/m/s"} {
		if got, err := hook.ParseRate(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
	if got := (hook.Rate{N: 60, Per: time.Minute}).String() + " " + (hook.Rate{N: 3, Per: 90 * time.Second}).String(); got != "60/m 3/1m30s" {
		t.Error(got)
	}
}

func TestALimiterLetsAsManyThroughAsItsRate(t *testing.T) {
	t.Parallel()
	l := hook.NewLimiter(hook.Rate{N: 3, Per: time.Minute})
	at := now
	for range 3 {
		if ok, _ := l.Take(at); !ok {
			t.Fatal("refused among the first three")
		}
	}
	ok, retry := l.Take(at)
	if ok || retry != 20*time.Second {
		t.Fatalf("the fourth: %v, again in %v", ok, retry)
	}
	if ok, _ := l.Take(at.Add(retry)); !ok {
		t.Error("refused when it was told to come")
	}
	if ok, _ := l.Take(at.Add(retry)); ok {
		t.Error("two for the time of one")
	}
	let := 0
	for d := time.Hour; d < 2*time.Hour; d += time.Second {
		if ok, _ := l.Take(at.Add(d)); ok {
			let++
		}
	}
	if let < 180 || let > 183 {
		t.Errorf("%d let through in an hour, want 180 and the three at its beginning", let)
	}
	if l := hook.NewLimiter(hook.Rate{}); l != nil || l.Rate() != (hook.Rate{}) {
		t.Error("no rate makes a limiter")
	} else if ok, _ := l.Take(at); !ok {
		t.Error("no limiter refuses")
	}
}

func TestALimiterUnderLoad(t *testing.T) {
	t.Parallel()
	l := hook.NewLimiter(hook.Rate{N: 100, Per: time.Minute})
	var let atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if ok, _ := l.Take(now); ok {
					let.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if let.Load() != 100 {
		t.Errorf("%d let through, want 100", let.Load())
	}
}

func TestDeliveriesThatNameThemselves(t *testing.T) {
	t.Parallel()
	n := 0
	id := func(d hook.Dedupe, scheme, text string, headers ...string) string {
		return d.ID(scheme, request(text, headers...), "POST", "/h", "", func() string { n++; return time.Duration(n).String() })
	}
	type delivery struct {
		text    string
		headers []string
	}
	for name, c := range map[string]struct {
		dedupe hook.Dedupe
		scheme string
		a, b   delivery
		same   bool
	}{
		"no name":               {hook.Dedupe{}, "", delivery{"x", nil}, delivery{"x", nil}, false},
		"github":                {hook.Dedupe{}, "github", delivery{"x", []string{"X-GitHub-Delivery: 1"}}, delivery{"x", []string{"x-github-delivery: 1"}}, true},
		"github, another":       {hook.Dedupe{}, "github", delivery{"x", []string{"X-GitHub-Delivery: 1"}}, delivery{"x", []string{"X-GitHub-Delivery: 2"}}, false},
		"github, another body":  {hook.Dedupe{}, "github", delivery{"x", []string{"X-GitHub-Delivery: 1"}}, delivery{"y", []string{"X-GitHub-Delivery: 1"}}, false},
		"stripe":                {hook.Dedupe{}, "stripe", delivery{`{"id":"evt_1","pending_webhooks":2}`, nil}, delivery{`{"id":"evt_1","pending_webhooks":1}`, nil}, true},
		"stripe, another":       {hook.Dedupe{}, "stripe", delivery{`{"id":"evt_1"}`, nil}, delivery{`{"id":"evt_2"}`, nil}, false},
		"stripe without id":     {hook.Dedupe{}, "stripe", delivery{`[1]`, nil}, delivery{`[1]`, nil}, false},
		"pagerduty":             {hook.Dedupe{}, "pagerduty", delivery{`{"event":{"id":"1"},"a":1}`, nil}, delivery{`{"event":{"id":"1"},"a":2}`, nil}, true},
		"pagerduty, odd event":  {hook.Dedupe{}, "pagerduty", delivery{`{"event":[1]}`, nil}, delivery{`{"event":[1]}`, nil}, false},
		"own header":            {hook.Dedupe{Header: "X-Id"}, "github", delivery{"x", []string{"X-Id: 1"}}, delivery{"y", []string{"X-Id: 1"}}, true},
		"own header, missing":   {hook.Dedupe{Header: "X-Id"}, "github", delivery{"x", []string{"X-GitHub-Delivery: 1"}}, delivery{"x", []string{"X-GitHub-Delivery: 1"}}, false},
		"switched off":          {hook.Dedupe{Off: true}, "github", delivery{"x", []string{"X-GitHub-Delivery: 1"}}, delivery{"x", []string{"X-GitHub-Delivery: 1"}}, false},
		"an empty name is none": {hook.Dedupe{}, "", delivery{"x", []string{"Idempotency-Key: "}}, delivery{"x", []string{"Idempotency-Key: "}}, false},
	} {
		if got := id(c.dedupe, c.scheme, c.a.text, c.a.headers...) == id(c.dedupe, c.scheme, c.b.text, c.b.headers...); got != c.same {
			t.Errorf("%s: the same: %v", name, got)
		}
	}
}
