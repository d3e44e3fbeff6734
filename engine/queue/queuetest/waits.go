package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

func park(t *testing.T, s queue.Store, run, mark, body string, rev uint64) uint64 {
	t.Helper()
	got, err := s.Waits().Put(bg(), queue.Parked{Run: run, Mark: mark, Body: []byte(body), Rev: rev}, 0)
	if err != nil {
		t.Fatalf("park %s: %v", run, err)
	}
	return got
}

func parked(t *testing.T, s queue.Store, run, mark, body string) queue.Parked {
	t.Helper()
	p, err := s.Waits().Get(bg(), run)
	if err != nil {
		t.Fatalf("get %s: %v", run, err)
	}
	if p.Run != run || p.Mark != mark || string(p.Body) != body || p.Rev == 0 || p.At.IsZero() {
		t.Errorf("row of %s: got %+v, want mark %q and body %q", run, p, mark, body)
	}
	return p
}

func testWaits(t *testing.T, s queue.Store, reopen func() queue.Store) {
	w := s.Waits()
	if _, err := w.Get(bg(), "a"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("get what is not there: %v", err)
	}
	first := park(t, s, "a", `{"s":"waiting","l":"Deploy *api* – ünïcode?"}`, "one", 0)
	parked(t, s, "a", `{"s":"waiting","l":"Deploy *api* – ünïcode?"}`, "one")
	for _, rev := range []uint64{0, first + 100} {
		if _, err := w.Put(bg(), queue.Parked{Run: "a", Body: []byte("x"), Rev: rev}, 0); !errors.Is(err, queue.ErrChanged) {
			t.Errorf("put over revision %d: %v, want ErrChanged", rev, err)
		}
	}
	second := park(t, s, "a", "m", "two", first)
	if second <= first {
		t.Errorf("revision %d comes after %d", second, first)
	}
	park(t, s, "b", "other", "", 0)
	if err := w.Drop(bg(), "a", first); err != nil {
		t.Error(err)
	}
	parked(t, s, "a", "m", "two") // a newer one stays
	list := func(s queue.Store) string {
		var rows []string
		err := s.Waits().List(bg(), func(p queue.Parked) {
			if len(p.Body) > 0 {
				t.Errorf("list shows a body: %+v", p)
			}
			rows = append(rows, fmt.Sprint(p.Run, "=", p.Mark, p.Rev > 0))
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(rows)
		return strings.Join(rows, " ")
	}
	if got := list(s); got != "a=mtrue b=othertrue" {
		t.Errorf("list: %s", got)
	}
	if reopen != nil {
		s = reopen()
		w = s.Waits()
		parked(t, s, "a", "m", "two")
		if got := list(s); got != "a=mtrue b=othertrue" {
			t.Errorf("list after a restart: %s", got)
		}
	}
	if err := w.Drop(bg(), "a", parked(t, s, "a", "m", "two").Rev); err != nil {
		t.Error(err)
	}
	if got := list(s); got != "b=othertrue" {
		t.Errorf("list without a: %s", got)
	}
	park(t, s, "a", "anew", "three", 0)
	for _, p := range []queue.Parked{{}, {Run: "c", Mark: strings.Repeat("m", queue.MaxMark+1)}} {
		if _, err := w.Put(bg(), p, 0); err == nil {
			t.Errorf("put %+v: no error", p)
		}
	}
}

// testWaitsOneWinner has many change one row: each revision is taken once.
func testWaitsOneWinner(t *testing.T, s queue.Store, _ func() queue.Store) {
	park(t, s, "run", "", "", 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for done := 0; done < 10; {
				p, err := s.Waits().Get(bg(), "run")
				if err != nil {
					t.Error(err)
					return
				}
				p.Body = append(p.Body, 'x')
				switch _, err = s.Waits().Put(bg(), p, 0); {
				case err == nil:
					done++
				case !errors.Is(err, queue.ErrChanged):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if p, err := s.Waits().Get(bg(), "run"); err != nil || len(p.Body) != 80 {
		t.Errorf("80 changes left %d (%v)", len(p.Body), err)
	}
}

func testWaitsGoAway(t *testing.T, s queue.Store, _ func() queue.Store) {
	rev, err := s.Waits().Put(bg(), queue.Parked{Run: "soon"}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Waits().Put(bg(), queue.Parked{Run: "kept"}, time.Second); err != nil {
		t.Fatal(err)
	}
	kept := parked(t, s, "kept", "", "")
	park(t, s, "kept", "", "", kept.Rev)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		p, err := s.Waits().Get(bg(), "soon")
		if errors.Is(err, queue.ErrNotFound) {
			break
		}
		if err != nil || p.Rev != rev || time.Now().After(deadline) {
			t.Fatalf("the row is still there: %+v, %v", p, err)
		}
	}
	parked(t, s, "kept", "", "") // it was written again, to stay
}

func testWaitsFollow(t *testing.T, s queue.Store, _ func() queue.Store) {
	park(t, s, "before", "m", "", 0)
	ctx, cancel := context.WithCancel(bg())
	seen, done := make(chan queue.Parked, 100), make(chan error, 1)
	go func() { done <- s.Waits().Watch(ctx, func(p queue.Parked) { seen <- p }, func() {}) }()
	select {
	case p := <-seen:
		if p.Run != "before" || p.Mark != "m" {
			t.Errorf("got %+v", p)
		}
	case <-time.After(patience):
		t.Error("the row that was there is not told of")
	}
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("the end of following is no error")
		}
	case <-time.After(patience):
		t.Error("following does not end")
	}
}
