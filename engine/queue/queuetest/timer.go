package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

// rung is a timer that was handed over, and when.
type rung struct {
	queue.Timer
	when time.Time
}

// ring consumes s and collects its timers; answer says what becomes of one.
func ring(t *testing.T, s queue.Store, answer func(queue.Timer) error) (<-chan rung, *consumer) {
	t.Helper()
	ch := make(chan rung, 10_000)
	s.OnTimer(func(_ context.Context, v queue.Timer) error {
		ch <- rung{v, time.Now()}
		if answer == nil {
			return nil
		}
		return answer(v)
	})
	return ch, consume(t, s, 10)
}

func nextTimer(t *testing.T, ch <-chan rung) rung {
	t.Helper()
	select {
	case r := <-ch:
		return r
	case <-time.After(3 * patience):
		t.Fatal("no timer")
		return rung{}
	}
}

func setTimer(t *testing.T, s queue.Store, id string, at time.Time) {
	t.Helper()
	if err := s.Timers().Set(bg(), queue.Timer{ID: id, Key: "k", At: at, Body: []byte("body of " + id)}); err != nil {
		t.Fatal(err)
	}
}

// gone waits until a timer is not there any more.
func gone(t *testing.T, s queue.Store, id string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		_, err := s.Timers().Get(bg(), "k", id)
		if errors.Is(err, queue.ErrNotFound) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("timer %s is still there: %v", id, err)
		}
	}
}

func testTimers(t *testing.T, s queue.Store, _ func() queue.Store) {
	now := time.Now()
	setTimer(t, s, "past", now.Add(-time.Hour))
	setTimer(t, s, "far", now.Add(time.Hour))
	ch, _ := ring(t, s, nil)
	if r := nextTimer(t, ch); r.ID != "past" || r.Key != "k" || string(r.Body) != "body of past" || !r.At.Equal(now.Add(-time.Hour)) {
		t.Errorf("handed over %+v", r)
	}
	soon := time.Now().Add(300 * time.Millisecond)
	for i := range 20 {
		setTimer(t, s, fmt.Sprint("soon/", i), soon)
	}
	seen := map[string]bool{}
	for range 20 {
		r := nextTimer(t, ch)
		if r.when.Before(soon) {
			t.Errorf("%s came %s early", r.ID, soon.Sub(r.when))
		}
		if seen[r.ID] {
			t.Errorf("%s came twice", r.ID)
		}
		seen[r.ID] = true
		gone(t, s, r.ID)
	}
	list, err := s.Timers().List(bg(), "", 0)
	if err != nil || len(list) != 1 || list[0].ID != "far" || !list[0].At.Equal(now.Add(time.Hour)) {
		t.Errorf("List: %+v, %v", list, err)
	}
	if n := len(ch); n != 0 {
		t.Errorf("%d timers too many", n)
	}
}

func testTimersChange(t *testing.T, s queue.Store, _ func() queue.Store) {
	timers := s.Timers()
	late := time.Now().Add(time.Hour)
	for _, id := range []string{"cancelled", "earlier", "replaced"} {
		setTimer(t, s, id, late)
	}
	ch, _ := ring(t, s, nil)
	if err := timers.Cancel(bg(), "k", "cancelled"); err != nil {
		t.Fatal(err)
	}
	if err := timers.Cancel(bg(), "k", "never set"); err != nil {
		t.Errorf("Cancel of none: %v", err)
	}
	gone(t, s, "cancelled")
	old, err := timers.Get(bg(), "k", "replaced")
	if err != nil || !old.At.Equal(late) || old.ID != "replaced" || string(old.Body) != "body of replaced" {
		t.Fatalf("Get: %+v, %v", old, err)
	}
	next := old
	next.Body = []byte("other")
	if err := timers.Replace(bg(), next); err != nil {
		t.Fatal(err)
	}
	if err := timers.Replace(bg(), old); !errors.Is(err, queue.ErrChanged) {
		t.Errorf("Replace of what was changed: %v, want ErrChanged", err)
	}
	if err := timers.Replace(bg(), queue.Timer{ID: "earlier", Key: "k", At: late}); !errors.Is(err, queue.ErrChanged) {
		t.Errorf("Replace of none that is there: %v, want ErrChanged", err)
	}
	setTimer(t, s, "earlier", time.Now().Add(20*time.Millisecond))
	if r := nextTimer(t, ch); r.ID != "earlier" {
		t.Errorf("handed over %s", r.ID)
	}
	next.At, next.Rev = time.Now(), 0
	if next, err = timers.Get(bg(), "k", "replaced"); err != nil {
		t.Fatal(err)
	}
	next.At = time.Now()
	if err := timers.Replace(bg(), next); err != nil {
		t.Fatal(err)
	}
	if r := nextTimer(t, ch); r.ID != "replaced" || string(r.Body) != "other" {
		t.Errorf("handed over %s %q", r.ID, r.Body)
	}
	for name, bad := range map[string]queue.Timer{
		"no id": {Key: "k"}, "too late": {ID: "x", At: time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)},
		"too large": {ID: "x", At: late, Body: make([]byte, 9<<20)},
	} {
		if err := timers.Set(bg(), bad); err == nil {
			t.Errorf("%s: set", name)
		}
	}
}

func testTimersAgain(t *testing.T, s queue.Store, _ func() queue.Store) {
	var mu sync.Mutex
	calls := map[string]int{}
	ch, _ := ring(t, s, func(v queue.Timer) error {
		mu.Lock()
		defer mu.Unlock()
		calls[v.ID]++
		switch n := calls[v.ID]; {
		case v.ID == "later" && n < 4:
			return queue.Later(5 * time.Millisecond)
		case v.ID == "failed" && n == 1:
			return errors.New("not now")
		case v.ID == "anew" && n < 3: // set by whoever is handed it
			v.At = time.Now().Add(5 * time.Millisecond)
			v.Body = fmt.Appendf(nil, "%d", n)
			return s.Timers().Replace(bg(), v)
		}
		return nil
	})
	want := map[string]int{"later": 4, "failed": 2, "anew": 3}
	for id := range want {
		setTimer(t, s, id, time.Now())
	}
	for range 9 {
		nextTimer(t, ch)
	}
	for id, n := range want {
		gone(t, s, id)
		mu.Lock()
		if calls[id] != n {
			t.Errorf("%s was handed over %d times, want %d", id, calls[id], n)
		}
		mu.Unlock()
	}
}

func testTimersKept(t *testing.T, s queue.Store, reopen func() queue.Store) {
	if reopen == nil {
		t.Skip("keeps nothing")
	}
	at := time.Now().Add(-time.Minute)
	setTimer(t, s, "taken", at)
	ch, c := ring(t, s, nil)
	nextTimer(t, ch)
	gone(t, s, "taken")
	c.stop()
	// Nobody consumes: these wait.
	setTimer(t, s, "kept", at)
	setTimer(t, s, "dropped", at)
	if err := s.Timers().Cancel(bg(), "k", "dropped"); err != nil {
		t.Fatal(err)
	}
	s = reopen()
	ch, c = ring(t, s, func(queue.Timer) error { return errors.New("crash before the end") })
	if r := nextTimer(t, ch); r.ID != "kept" || !r.At.Equal(at) {
		t.Errorf("handed over %s, %s", r.ID, r.At)
	}
	c.stop()
	s = reopen()
	ch, _ = ring(t, s, nil)
	if r := nextTimer(t, ch); r.ID != "kept" || string(r.Body) != "body of kept" {
		t.Errorf("handed over %s %q", r.ID, r.Body)
	}
	gone(t, s, "kept")
	if n := len(ch); n != 0 {
		t.Errorf("%d timers too many", n)
	}
}
