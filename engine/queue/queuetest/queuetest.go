// Package queuetest is the suite that every implementation of queue.Store
// passes: it holds what queue promises, through its public door only.
package queuetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

// Open makes a fresh store for one test. Reopen gives a new store on the same
// data, the first one being closed, or crashed, before; it is nil for stores
// that keep nothing. A reopened store need not know its events before it
// consumes (another process may own them).
type Open func(t *testing.T) (store queue.Store, reopen func() queue.Store)

// patience is how long the suite waits for what must come.
const patience = 10 * time.Second

// Run runs the suite.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		run  func(*testing.T, queue.Store, func() queue.Store)
	}{
		{"stored events are delivered in order with what was stored", testDelivery},
		{"an id is accepted once", testDuplicate},
		{"putters of one id get one result", testDuplicateInFlight},
		{"a settled event is not delivered again", testSettledStays},
		{"an unsettled event comes back with its history", testHistory},
		{"a new consumer gets what the old one had", testConsumeAgain},
		{"entries of many events share the journal in order", testAppendOrder},
		{"a name is claimed by one event", testClaims},
		{"at most so many deliveries are out", testMaxUnsettled},
		{"a dead event is kept, retried, dropped", testDead},
		{"events can be looked at", testLooking},
		{"the latest are those stored last", testLatest},
		{"what is too large is refused", testTooLarge},
		{"sources are kept by name", testSources},
		{"answers arrive", testAnswers},
		{"a closed store says so", testClosed},
		{"state: values", testStateValues},
		{"state: repeated operations", testStateRepeat},
		{"state: time to live", testStateTTL},
		{"state: concurrent updates", testStateConcurrent},
		{"state: keys", testStateKeys},
		{"timers: handed over at their time", testTimers},
		{"timers: changed and cancelled", testTimersChange},
		{"timers: handed over again", testTimersAgain},
		{"timers: kept", testTimersKept},
		{"waits: rows by revision", testWaits},
		{"waits: one winner", testWaitsOneWinner},
		{"waits: rows that go away", testWaitsGoAway},
		{"waits: followed", testWaitsFollow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store, reopen := open(t)
			tt.run(t, store, reopen)
		})
	}
}

func bg() context.Context { return context.Background() }

func put(t *testing.T, s queue.Store, id string) {
	t.Helper()
	if err := s.Put(bg(), queue.Record{ID: id, Key: "k", Body: []byte("body of " + id)}); err != nil {
		t.Fatalf("Put(%s): %v", id, err)
	}
}

// consumer collects deliveries.
type consumer struct {
	t    *testing.T
	ch   chan queue.Delivery
	stop func()
}

func consume(t *testing.T, s queue.Store, most int) *consumer {
	t.Helper()
	ctx, cancel := context.WithCancel(bg())
	c := &consumer{t: t, ch: make(chan queue.Delivery, 10_000)}
	done := make(chan error, 1)
	go func() { done <- s.Consume(ctx, most, func(d queue.Delivery) { c.ch <- d }) }()
	stopped := false
	c.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && !errors.Is(err, queue.ErrClosed) {
			t.Errorf("Consume: %v", err)
		}
	}
	t.Cleanup(c.stop)
	return c
}

func (c *consumer) next() queue.Delivery {
	c.t.Helper()
	select {
	case d := <-c.ch:
		return d
	case <-time.After(patience):
		c.t.Fatal("no delivery")
		return nil
	}
}

// nothing checks that no delivery is on its way: a fence event put now is the
// next thing to come.
func (c *consumer) nothing(s queue.Store) {
	c.t.Helper()
	fence := fmt.Sprintf("fence-%d", time.Now().UnixNano())
	put(c.t, s, fence)
	d := c.next()
	if d.ID() != fence {
		c.t.Fatalf("delivered %s, want nothing", d.ID())
	}
	d.Settle()
}

func testDelivery(t *testing.T, s queue.Store, _ func() queue.Store) {
	before := time.Now().Add(-time.Second)
	for i := range 50 {
		put(t, s, fmt.Sprint("e", i))
	}
	c := consume(t, s, 1000)
	for i := range 50 {
		d := c.next()
		if want := fmt.Sprint("e", i); d.ID() != want || string(d.Body()) != "body of "+want {
			t.Fatalf("delivery %d: %s %q", i, d.ID(), d.Body())
		}
		if d.Attempt() != 1 || len(d.History()) != 0 {
			t.Errorf("attempt %d with %d entries, want 1 with none", d.Attempt(), len(d.History()))
		}
		if d.Stored().Before(before) || d.Stored().After(time.Now().Add(time.Second)) {
			t.Errorf("stored at %v", d.Stored())
		}
		d.Settle()
	}
	if err := s.Flush(bg()); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Pending != 0 || st.Events != 50 || st.Groups == 0 || st.Groups > 50 {
		t.Errorf("stats %+v", st)
	}
	body := []byte("reused")
	if err := s.Put(bg(), queue.Record{ID: "copy", Key: "k", Body: body}); err != nil {
		t.Fatal(err)
	}
	copy(body, "@@@@@@")
	if d := c.next(); string(d.Body()) != "reused" {
		t.Errorf("the store kept the caller's bytes: %q", d.Body())
	}
}

func testDuplicate(t *testing.T, s queue.Store, reopen func() queue.Store) {
	put(t, s, "a")
	again := func(s queue.Store, when string) {
		t.Helper()
		if err := s.Put(bg(), queue.Record{ID: "a", Key: "k", Body: []byte("other")}); !errors.Is(err, queue.ErrDuplicate) {
			t.Fatalf("second Put %s: %v, want ErrDuplicate", when, err)
		}
	}
	again(s, "while it waits")
	c := consume(t, s, 10)
	d := c.next()
	again(s, "while it runs")
	d.Settle()
	again(s, "after its end")
	if err := s.Flush(bg()); err != nil {
		t.Fatal(err)
	}
	again(s, "after its end is written")
	c.nothing(s)
	if reopen == nil {
		return
	}
	c.stop()
	s = reopen()
	consume(t, s, 10).nothing(s)
	again(s, "after a restart")
}

func testDuplicateInFlight(t *testing.T, s queue.Store, _ func() queue.Store) {
	const putters = 16
	errs := make(chan error, putters)
	for range putters {
		go func() { errs <- s.Put(bg(), queue.Record{ID: "same", Key: "k", Body: []byte("b")}) }()
	}
	stored := 0
	for range putters {
		switch err := <-errs; {
		case err == nil:
			stored++
		case !errors.Is(err, queue.ErrDuplicate):
			t.Errorf("Put: %v", err)
		}
	}
	if stored != 1 {
		t.Errorf("%d of %d were told that theirs is stored, want 1", stored, putters)
	}
	c := consume(t, s, 100)
	if d := c.next(); d.ID() != "same" {
		t.Errorf("delivered %s", d.ID())
	}
	c.nothing(s)
}

func testSettledStays(t *testing.T, s queue.Store, reopen func() queue.Store) {
	if reopen == nil {
		t.Skip("keeps nothing")
	}
	for i := range 20 {
		put(t, s, fmt.Sprint("e", i))
	}
	c := consume(t, s, 100)
	for i := range 20 {
		if d := c.next(); i%2 == 0 {
			d.Settle(queue.Entry{Type: 9, Body: []byte("end")})
		}
	}
	if err := s.Flush(bg()); err != nil {
		t.Fatal(err)
	}
	c.stop()
	s = reopen()
	c = consume(t, s, 100)
	for i := 1; i < 20; i += 2 {
		if d := c.next(); d.ID() != fmt.Sprint("e", i) {
			t.Fatalf("delivered %s, want e%d", d.ID(), i)
		}
	}
	if n := s.Stats().Pending; n != 10 {
		t.Errorf("%d pending, want 10", n)
	}
	c.nothing(s)
}

func entry(i int) queue.Entry {
	return queue.Entry{Type: byte(i), Body: fmt.Appendf(nil, "entry %d", i)}
}

func checkHistory(t *testing.T, got []queue.Entry, want ...int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("history of %d entries, want %d", len(got), len(want))
	}
	for i, n := range want {
		if e := entry(n); got[i].Type != e.Type || !bytes.Equal(got[i].Body, e.Body) {
			t.Errorf("entry %d: %d %q, want %q", i, got[i].Type, got[i].Body, e.Body)
		}
	}
}

func testHistory(t *testing.T, s queue.Store, reopen func() queue.Store) {
	if reopen == nil {
		t.Skip("keeps nothing")
	}
	put(t, s, "a")
	put(t, s, "b")
	c := consume(t, s, 10)
	a, b := c.next(), c.next()
	if err := a.Append(bg(), entry(1), entry(2)); err != nil {
		t.Fatal(err)
	}
	a.AppendLater(entry(3))
	if err := b.Append(bg(), entry(7)); err != nil {
		t.Fatal(err)
	}
	if err := a.Append(bg(), entry(4)); err != nil {
		t.Fatal(err)
	}
	c.stop()
	for attempt := 2; attempt < 5; attempt++ {
		s = reopen()
		c = consume(t, s, 10)
		a, b = c.next(), c.next()
		if a.ID() != "a" || b.ID() != "b" || string(a.Body()) != "body of a" {
			t.Fatalf("delivered %s, %s", a.ID(), b.ID())
		}
		if a.Attempt() != attempt {
			t.Errorf("attempt %d, want %d", a.Attempt(), attempt)
		}
		checkHistory(t, a.History(), 1, 2, 3, 4)
		checkHistory(t, b.History(), 7)
		if err := s.Flush(bg()); err != nil {
			t.Fatal(err)
		}
		c.stop()
	}
}

func testConsumeAgain(t *testing.T, s queue.Store, _ func() queue.Store) {
	put(t, s, "a")
	put(t, s, "b")
	c := consume(t, s, 10)
	old, b := c.next(), c.next()
	if err := old.Append(bg(), entry(1)); err != nil {
		t.Fatal(err)
	}
	b.Settle()
	c.stop()
	put(t, s, "c")
	c = consume(t, s, 10)
	a := c.next()
	if a.ID() != "a" || a.Attempt() != 2 {
		t.Fatalf("delivered %s, attempt %d", a.ID(), a.Attempt())
	}
	checkHistory(t, a.History(), 1)
	if err := old.Append(bg(), entry(2)); !errors.Is(err, queue.ErrFenced) {
		t.Errorf("Append of the old delivery: %v, want ErrFenced", err)
	}
	old.Settle()
	if err := a.Append(bg(), entry(3)); err != nil {
		t.Errorf("Append of the new delivery: %v", err)
	}
	if d := c.next(); d.ID() != "c" {
		t.Errorf("delivered %s, want c", d.ID())
	}
}

func testAppendOrder(t *testing.T, s queue.Store, reopen func() queue.Store) {
	const events, each = 8, 40
	for i := range events {
		put(t, s, fmt.Sprint("e", i))
	}
	c := consume(t, s, 100)
	errs := make(chan error, events)
	for range events {
		d := c.next()
		go func() {
			var err error
			for i := range each {
				if i%3 == 0 {
					d.AppendLater(entry(i))
					continue
				}
				err = errors.Join(err, d.Append(bg(), entry(i)))
			}
			errs <- err
		}()
	}
	for range events {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(bg()); err != nil {
		t.Fatal(err)
	}
	want := make([]int, each)
	for i := range want {
		want[i] = i
	}
	check := func(s queue.Store) {
		t.Helper()
		for i := range events {
			info, err := s.Event(bg(), fmt.Sprint("e", i))
			if err != nil {
				t.Fatal(err)
			}
			checkHistory(t, info.Entries, want...)
		}
	}
	check(s)
	c.stop()
	if reopen != nil {
		s = reopen()
		c = consume(t, s, 100)
		for range events {
			checkHistory(t, c.next().History(), want...)
		}
		check(s)
	}
}

func testClaims(t *testing.T, s queue.Store, reopen func() queue.Store) {
	put(t, s, "a")
	put(t, s, "b")
	c := consume(t, s, 10)
	a, b := c.next(), c.next()
	check := func(d queue.Delivery, want ...bool) {
		t.Helper()
		got := d.Claim([]string{"x", "y", "z"}[:len(want)])
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s claims: %v, want %v", d.ID(), got, want)
			}
		}
	}
	check(a, true, true)
	check(b, false, false, true)
	check(a, true, true, false)
	a.Settle()
	check(b, false, false, true)
	if err := b.Append(bg(), entry(1)); err != nil {
		t.Fatal(err)
	}
	if reopen == nil {
		return
	}
	c.stop()
	s = reopen()
	put(t, s, "c")
	c = consume(t, s, 10)
	check(c.next(), false, false, true)
	check(c.next(), false, false, false)
}

func testMaxUnsettled(t *testing.T, s queue.Store, _ func() queue.Store) {
	for i := range 10 {
		put(t, s, fmt.Sprint("e", i))
	}
	c := consume(t, s, 3)
	out := []queue.Delivery{c.next(), c.next(), c.next()}
	for i := 3; i < 10; i++ {
		if n := len(c.ch); n != 0 {
			t.Fatalf("%d deliveries beyond the bound", n)
		}
		out[i%3].Settle()
		d := c.next()
		if d.ID() != fmt.Sprint("e", i) {
			t.Fatalf("delivered %s, want e%d", d.ID(), i)
		}
		out[i%3] = d
	}
}

func testDead(t *testing.T, s queue.Store, reopen func() queue.Store) {
	put(t, s, "a")
	put(t, s, "b")
	c := consume(t, s, 10)
	a, b := c.next(), c.next()
	if err := a.Append(bg(), entry(1)); err != nil {
		t.Fatal(err)
	}
	for _, d := range []queue.Delivery{a, b} {
		if err := d.Dead(bg(), "crashed five times"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(bg()); err != nil {
		t.Fatal(err)
	}
	if reopen != nil {
		c.stop()
		s = reopen()
		c = consume(t, s, 10)
	}
	dead, err := s.DeadLetters(bg(), 10)
	if err != nil || len(dead) != 2 || dead[0].ID != "b" || dead[1].ID != "a" {
		t.Fatalf("DeadLetters: %+v, %v", dead, err)
	}
	if d := dead[1]; string(d.Body) != "body of a" || d.Reason != "crashed five times" || d.Attempt != 1 {
		t.Errorf("dead letter %+v", d)
	}
	checkHistory(t, dead[1].Entries, 1)
	if st := s.Stats(); st.Dead != 2 || st.Pending != 0 {
		t.Errorf("stats %+v", st)
	}
	c.nothing(s)
	if err := s.RetryDead(bg(), "a"); err != nil {
		t.Fatal(err)
	}
	d := c.next()
	if d.ID() == "a" || string(d.Body()) != "body of a" || len(d.History()) != 0 || d.Attempt() != 1 {
		t.Errorf("retried event %s %q, %d entries", d.ID(), d.Body(), len(d.History()))
	}
	if err := s.DropDead(bg(), "b"); err != nil {
		t.Fatal(err)
	}
	if dead, err := s.DeadLetters(bg(), 10); err != nil || len(dead) != 0 {
		t.Errorf("DeadLetters: %v, %v", dead, err)
	}
	for name, f := range map[string]func(context.Context, string) error{"RetryDead": s.RetryDead, "DropDead": s.DropDead} {
		if err := f(bg(), "a"); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("%s of none: %v, want ErrNotFound", name, err)
		}
	}
}

func testLooking(t *testing.T, s queue.Store, _ func() queue.Store) {
	for i := range 5 {
		put(t, s, fmt.Sprint("e", i))
	}
	c := consume(t, s, 10)
	var ds []queue.Delivery
	for range 5 {
		ds = append(ds, c.next())
	}
	if err := ds[1].Append(bg(), entry(1)); err != nil {
		t.Fatal(err)
	}
	ds[3].Settle(entry(3))
	if err := s.Flush(bg()); err != nil {
		t.Fatal(err)
	}
	pending, err := s.Pending(bg(), 3)
	if err != nil || len(pending) != 3 || pending[0].ID != "e0" || pending[2].ID != "e2" || string(pending[0].Body) != "body of e0" {
		t.Errorf("Pending: %+v, %v", pending, err)
	}
	recent, err := s.Recent(bg(), 10)
	// Others may be listed too, without entries.
	recent = slices.DeleteFunc(recent, func(i queue.EventInfo) bool { return len(i.Entries) == 0 })
	if err != nil || len(recent) != 2 || recent[0].ID != "e3" || recent[1].ID != "e1" {
		t.Fatalf("Recent: %+v, %v", recent, err)
	}
	if recent[0].Settled.IsZero() || !recent[1].Settled.IsZero() {
		t.Errorf("settled: %v, %v", recent[0].Settled, recent[1].Settled)
	}
	checkHistory(t, recent[0].Entries, 3)
	if info, err := s.Event(bg(), "e3"); err != nil || info.ID != "e3" {
		t.Errorf("Event: %+v, %v", info, err)
	}
	if _, err := s.Event(bg(), "none"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("Event of none: %v", err)
	}
	if st := s.Stats(); st.Pending != 4 || st.Oldest.IsZero() || st.Entries != 2 {
		t.Errorf("stats %+v", st)
	}
}

// However late an event ends, it is listed by when it was stored.
func testLatest(t *testing.T, s queue.Store, _ func() queue.Store) {
	const old, quick = 5, 7 // so many, the former end last
	c := consume(t, s, 100)
	var ds []queue.Delivery
	take := func() {
		put(t, s, fmt.Sprint("e", len(ds)))
		ds = append(ds, c.next())
	}
	end := func(i int) {
		ds[i].Settle(entry(i))
		if err := s.Flush(bg()); err != nil {
			t.Fatal(err)
		}
	}
	for range old {
		take()
	}
	for i := old; i < old+quick; i++ {
		take()
		end(i)
	}
	for i := range old {
		end(i)
	}
	for limit := 1; limit <= len(ds)+1; limit++ {
		got, err := s.Recent(bg(), limit)
		if err != nil || len(got) != min(limit, len(ds)) {
			t.Fatalf("%d latest: %d %v", limit, len(got), err)
		}
		for i, info := range got {
			if want := fmt.Sprint("e", len(ds)-1-i); info.ID != want {
				t.Errorf("of the %d latest, number %d is %s, want %s", limit, i+1, info.ID, want)
			}
		}
	}
}

func testTooLarge(t *testing.T, s queue.Store, _ func() queue.Store) {
	huge := make([]byte, 9<<20)
	if err := s.Put(bg(), queue.Record{ID: "huge", Key: "k", Body: huge}); !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("Put: %v", err)
	}
	big := bytes.Repeat([]byte("x"), 3<<20/2)
	if err := s.Put(bg(), queue.Record{ID: "big", Key: "k", Body: big}); err != nil {
		t.Fatalf("Put of 1.5 MiB: %v", err)
	}
	d := consume(t, s, 10).next()
	if !bytes.Equal(d.Body(), big) {
		t.Errorf("body of %d bytes differs", len(d.Body()))
	}
	if err := d.Append(bg(), queue.Entry{Body: huge}); !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("Append: %v", err)
	}
	d.AppendLater(queue.Entry{Body: huge})
	if err := d.Append(bg(), entry(1)); !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("Append after a failed AppendLater: %v", err)
	}
	if err := d.Append(bg(), entry(1)); err != nil {
		t.Errorf("Append after that: %v", err)
	}
	if err := s.PutSource(bg(), "huge", huge); !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("PutSource: %v", err)
	}
	_, err := s.State().Update(bg(), "ns/huge", "op", false, func([]byte, bool) (queue.Change, error) {
		return queue.Change{Value: huge}, nil
	})
	if !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("Update: %v", err)
	}
}

func testSources(t *testing.T, s queue.Store, reopen func() queue.Store) {
	if _, err := s.Source(bg(), "sha256/x"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("Source of none: %v", err)
	}
	for _, b := range []string{"first", "second"} {
		if err := s.PutSource(bg(), "sha256/x", []byte(b)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sha256/x", "sha256/none"} {
		if err := s.KeepSource(bg(), name); err != nil {
			t.Errorf("KeepSource: %v", err)
		}
	}
	if _, err := s.Source(bg(), "sha256/none"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("Source of none that was kept: %v", err)
	}
	if reopen != nil {
		s = reopen()
	}
	if b, err := s.Source(bg(), "sha256/x"); err != nil || string(b) != "first" {
		t.Errorf("Source: %q, %v", b, err)
	}
}

func testAnswers(t *testing.T, s queue.Store, _ func() queue.Store) {
	type answer struct{ id, body string }
	got := make(chan answer, 1)
	s.OnAnswer(func(id string, body []byte) { got <- answer{id, string(body)} })
	if s.Address() == "" {
		t.Fatal("no address")
	}
	if err := s.SendAnswer(bg(), s.Address(), "e1", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	select {
	case a := <-got:
		if a.id != "e1" || a.body != "hello" {
			t.Errorf("got %+v", a)
		}
	case <-time.After(patience):
		t.Error("no answer")
	}
}

func testClosed(t *testing.T, s queue.Store, _ func() queue.Store) {
	c := consume(t, s, 10)
	put(t, s, "a")
	d := c.next()
	for range 2 {
		if err := s.Close(bg()); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := s.Put(bg(), queue.Record{ID: "b", Key: "k"}); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Put: %v", err)
	}
	if err := d.Append(bg(), entry(1)); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Append: %v", err)
	}
	if err := s.Health(); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Health: %v", err)
	}
	d.Settle()
}
