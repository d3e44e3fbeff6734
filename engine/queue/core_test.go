package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// badLog is a log whose next writes fail: before or after they are stored.
type badLog struct {
	log
	mu     sync.Mutex
	before int
	after  int
	err    error
}

func (b *badLog) append(ctx context.Context, data []byte, fence bool, expect uint64) (uint64, error) {
	b.mu.Lock()
	before, after := b.before > 0, b.after > 0
	b.before, b.after = max(b.before-1, 0), max(b.after-1, 0)
	b.mu.Unlock()
	if before {
		return 0, b.err
	}
	seq, err := b.log.append(ctx, data, fence, expect)
	if after {
		return 0, b.err
	}
	return seq, err
}

func (b *badLog) fail(before, after int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before, b.after, b.err = before, after, err
}

// harness is a core on logs that can fail.
type harness struct {
	*core
	t        *testing.T
	lane     []*badLog
	journal  []*badLog
	settings settings
}

func newHarness(t *testing.T, shards int, change func(*settings)) *harness {
	s := settings{
		maxEvent: 1 << 20, group: 256, groupBytes: 1 << 20, pageBytes: 1 << 16,
		putTimeout: 50 * time.Millisecond, dedupe: time.Hour, dedupeMax: 1000, retain: time.Hour,
		retainPage: 1 << 30, retainLane: 1 << 30, memory: 1 << 20, backlog: 1 << 24,
		now: time.Now, log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&s)
	}
	h := &harness{t: t, settings: s}
	for range shards {
		h.lane = append(h.lane, &badLog{log: newMemLog(0, s.now)})
		h.journal = append(h.journal, &badLog{log: newMemLog(0, s.now)})
	}
	h.start(tables{newMemTable(s.now), newMemTable(s.now), newMemTable(s.now), newMemTable(s.now), newMemTable(s.now)})
	return h
}

func (h *harness) start(t tables) {
	var lanes, journals []log
	for k := range h.lane {
		lanes, journals = append(lanes, h.lane[k]), append(journals, h.journal[k])
	}
	h.core = newCore(h.settings, lanes, journals, t)
}

// restart is a crash and a start: nothing but the logs and tables remains.
func (h *harness) restart() {
	h.t.Helper()
	h.start(h.core.table)
	if err := h.core.rebuild(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) consume() (<-chan Delivery, func()) {
	ch := make(chan Delivery, 100_000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.core.Consume(ctx, 100_000, func(d Delivery) { ch <- d }) }()
	return ch, func() { cancel(); <-done }
}

func (h *harness) put(id, key string) error {
	return h.core.Put(context.Background(), Record{ID: id, Key: key, Body: []byte("body of " + id)})
}

func TestFallOverToTheNextLane(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 2, nil)
	key := "k"
	home := h.home(key)
	h.lane[home].fail(1, 0, ErrUnavailable)
	if err := h.put("a", key); err != nil {
		t.Fatalf("Put with one lane failing: %v", err)
	}
	if err := h.put("b", key); err != nil {
		t.Fatal(err)
	}
	h.restart()
	ch, stop := h.consume()
	defer stop()
	for _, want := range []string{"a", "b"} {
		d := <-ch
		if d.ID() != want || d.Shard() != home {
			t.Errorf("delivered %s of shard %d, want %s of %d", d.ID(), d.Shard(), want, home)
		}
		if err := d.Append(context.Background(), Entry{Type: 1}); err != nil {
			t.Error(err)
		}
		d.Settle()
	}
	if err := h.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.restart()
	if n := h.Stats().Pending; n != 0 {
		t.Errorf("%d pending after all are settled", n)
	}
}

func TestFailedStoreForgetsTheID(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 2, nil)
	for k := range h.lane {
		h.lane[k].fail(1, 0, ErrUnavailable)
	}
	if err := h.put("a", "k"); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Put with both lanes failing: %v", err)
	}
	if err := h.put("a", "k"); err != nil {
		t.Errorf("Put again: %v", err)
	}
	h.lane[h.home("k")].fail(1, 0, ErrFull)
	if err := h.put("b", "k"); !errors.Is(err, ErrFull) {
		t.Errorf("Put with a full lane: %v", err)
	}
	if err := h.put("b", "k"); err != nil {
		t.Errorf("Put again: %v", err)
	}
}

// A write without an answer may have been stored, in one lane or in two.
func TestAmbiguousWriteRunsOnce(t *testing.T) {
	t.Parallel()
	for _, both := range []bool{false, true} {
		t.Run(fmt.Sprint("both lanes ", both), func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, 2, nil)
			home := h.home("k")
			h.lane[home].fail(0, 1, ErrUnavailable)
			if both {
				h.lane[1-home].fail(0, 1, ErrUnavailable)
			}
			err := h.put("a", "k")
			if both != errors.Is(err, ErrUnavailable) || !both && err != nil {
				t.Fatalf("Put: %v", err)
			}
			if err := h.put("a", "k"); both && err != nil && !errors.Is(err, ErrDuplicate) || !both && !errors.Is(err, ErrDuplicate) {
				t.Errorf("Put again: %v", err)
			}
			if err := h.put("b", "k"); err != nil { // makes the lane look at what it missed
				t.Fatal(err)
			}
			check := func() {
				t.Helper()
				ch, stop := h.consume()
				defer stop()
				if n := h.Stats().Pending; n != 2 {
					t.Errorf("%d pending, want 2", n)
				}
				got := []string{(<-ch).ID(), (<-ch).ID()}
				slices.Sort(got)
				if !slices.Equal(got, []string{"a", "b"}) {
					t.Errorf("delivered %v", got)
				}
			}
			check()
			h.restart()
			check()
		})
	}
}

func TestDoubtIsSettledWithoutFurtherWrites(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1, nil)
	h.lane[0].fail(0, 1, ErrUnavailable)
	if err := h.put("a", "k"); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Put: %v", err)
	}
	h.core.recheck()
	ch, stop := h.consume()
	defer stop()
	if d := <-ch; d.ID() != "a" {
		t.Errorf("delivered %s", d.ID())
	}
	if err := h.put("a", "k"); !errors.Is(err, ErrDuplicate) {
		t.Errorf("Put again: %v, want ErrDuplicate", err)
	}
}

func TestJournalRetriesUntilItIsWritten(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1, nil)
	if err := h.put("a", "k"); err != nil {
		t.Fatal(err)
	}
	ch, stop := h.consume()
	defer stop()
	d := <-ch
	for i, f := range []struct{ before, after int }{{2, 0}, {0, 1}} {
		h.journal[0].fail(f.before, f.after, ErrUnavailable)
		if err := d.Append(context.Background(), Entry{Type: byte(i)}); err != nil {
			t.Errorf("Append: %v", err)
		}
	}
	info, err := h.Event(context.Background(), "a")
	if err != nil || len(info.Entries) != 2 {
		t.Errorf("%d entries, %v, want 2", len(info.Entries), err)
	}
}

func TestAnotherWriterFences(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1, nil)
	if err := h.put("a", "k"); err != nil {
		t.Fatal(err)
	}
	ch, stop := h.consume()
	defer stop()
	d := <-ch
	if err := d.Append(context.Background(), Entry{Type: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.journal[0].append(context.Background(), newPage().buf, false, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Append(context.Background(), Entry{Type: 2}); !errors.Is(err, ErrFenced) {
			t.Errorf("Append: %v, want ErrFenced", err)
		}
	}
}

func TestDedupeWindow(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	h := newHarness(t, 1, func(s *settings) { s.now = func() time.Time { return now } })
	run := func() {
		t.Helper()
		ch, stop := h.consume()
		d := <-ch
		d.Settle()
		if err := h.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		stop()
	}
	if err := h.put("a", "k"); err != nil {
		t.Fatal(err)
	}
	run()
	now = now.Add(59 * time.Minute)
	if err := h.put("a", "k"); !errors.Is(err, ErrDuplicate) {
		t.Fatalf("within the window: %v", err)
	}
	now = now.Add(2 * time.Minute)
	if err := h.put("a", "k"); err != nil {
		t.Fatalf("after the window: %v", err)
	}
	h.restart()
	if n := h.Stats().Pending; n != 1 {
		t.Errorf("%d pending after a restart, want the second generation", n)
	}
	run()
	h.restart()
	if n := h.Stats().Pending; n != 0 {
		t.Errorf("%d pending", n)
	}
}

// Trimming under load, with events that wait for the whole time and crashes:
// what waits keeps its body, history and claims; what is settled stays so.
func TestTrimKeepsWhatWaits(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 2, func(s *settings) { s.retainPage, s.retainLane, s.pageBytes = 4<<10, 4<<10, 1<<10 })
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(1, 2))
	history := map[string]int{}
	ended := map[string]bool{}
	entryOf := func(id string, i int) Entry {
		return Entry{Type: byte(i), Body: fmt.Appendf(nil, "%s/%d/%s", id, i, strings.Repeat("x", 40))}
	}
	for round := range 6 {
		ch, stop := h.consume()
		for i := range 300 {
			id := fmt.Sprint(round, "-", i)
			if err := h.put(id, id); err != nil {
				t.Fatal(err)
			}
			history[id] = 0
		}
		if round > 0 && h.Stats().Pending < 300 {
			t.Fatalf("%d pending", h.Stats().Pending)
		}
		for range h.Stats().Pending {
			d := <-ch
			id := d.ID()
			if ended[id] {
				t.Fatalf("%s delivered after its end", id)
			}
			hist := d.History()
			if len(hist) != history[id] || string(d.Body()) != "body of "+id {
				t.Fatalf("round %d: %s has %d entries and body %q, want %d", round, id, len(hist), d.Body(), history[id])
			}
			for i, e := range hist {
				if want := entryOf(id, i); string(e.Body) != string(want.Body) {
					t.Fatalf("%s: entry %d %q", id, i, e.Body)
				}
			}
			if got := d.Claim([]string{"run of " + id}); !got[0] {
				t.Fatalf("%s lost its claim", id)
			}
			n := rnd.IntN(4)
			for range n {
				if err := d.Append(ctx, entryOf(id, history[id])); err != nil {
					t.Fatal(err)
				}
				history[id]++
			}
			if !strings.HasSuffix(id, "77") {
				d.Settle()
				ended[id] = true
			}
		}
		if err := h.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		stop()
		h.restart()
	}
	// Six rounds of 300 events: most of it must be gone.
	for k := range h.lane {
		_, _, lane, _ := h.lane[k].bounds(ctx)
		_, _, journal, _ := h.journal[k].bounds(ctx)
		if lane > 20<<10 || journal > 30<<10 {
			t.Errorf("shard %d holds %d bytes of events and %d of journal", k, lane, journal)
		}
	}
	if n := h.Stats().Pending; n != 6*3 {
		t.Errorf("%d pending, want %d", n, 6*3)
	}
}

func TestFullLaneIsRelievedBySettling(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryOptions{MaxBytes: 64 << 10})
	ctx := context.Background()
	body := make([]byte, 1000)
	n := 0
	put := func() error {
		n++
		return m.Put(ctx, Record{ID: fmt.Sprint(n), Body: body})
	}
	for range 200 {
		if err := put(); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if err := put(); !errors.Is(err, ErrFull) {
		t.Fatalf("Put into a full store: %v", err)
	}
	run, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- m.Consume(run, 1000, func(d Delivery) { d.Settle() }) }()
	deadline := time.Now().Add(10 * time.Second)
	for put() != nil {
		if time.Now().After(deadline) {
			t.Fatal("the store stays full after all is settled")
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
}

func TestBodiesBehindTheConsumerAreReadBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1, func(s *settings) { s.memory = 100 })
	for i := range 50 {
		if err := h.put(fmt.Sprint(i), "k"); err != nil {
			t.Fatal(err)
		}
	}
	if h.core.unread > 100 {
		t.Errorf("%d bytes held in memory", h.core.unread)
	}
	ch, stop := h.consume()
	defer stop()
	for i := range 50 {
		if d := <-ch; string(d.Body()) != fmt.Sprint("body of ", i) {
			t.Fatalf("delivery %d: %q", i, d.Body())
		}
	}
}
