package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowLog takes a while for each write, as a disk does.
type slowLog struct {
	log
	takes time.Duration
}

func (s *slowLog) append(ctx context.Context, data []byte, fence bool, expect uint64) (uint64, error) {
	time.Sleep(s.takes)
	return s.log.append(ctx, data, fence, expect)
}

// Senders that wait for their acks share writes, although each comes back at a
// time of its own; a sender that is alone never waits for company.
func TestReturningSendersShareWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const senders, rounds, takes = 32, 50, 100 * time.Microsecond
		h := newHarness(t, 1, func(s *settings) { s.window = time.Millisecond })
		h.lanes[0].log = &slowLog{log: h.lane[0], takes: takes}
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				for n := range rounds {
					if err := h.put(fmt.Sprint(i, "/", n), "k"); err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(rand.IntN(600)) * time.Microsecond)
				}
			})
		}
		wg.Wait()
		if s := h.Stats(); s.Events != senders*rounds || s.Groups > s.Events/8 {
			t.Errorf("%d writes for %d events", s.Groups, s.Events)
		}
		for n := range 5 {
			time.Sleep(time.Second)
			began := time.Now()
			if err := h.put(fmt.Sprint("alone ", n), "k"); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); d != takes {
				t.Errorf("alone: %v, want %v", d, takes)
			}
		}
	})
}

// The ends of events that nothing was run for share writes also while they come
// in without a pause; what somebody waits for is written at once.
func TestEndsShareWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events = 800
		h := newHarness(t, 1, func(s *settings) { s.settleIn = 5 * time.Millisecond })
		h.shards[0].log = &slowLog{log: h.journal[0], takes: 100 * time.Microsecond}
		got, stop := h.consume()
		pages := func() uint64 {
			_, last, _, err := h.journal[0].bounds(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return last
		}
		for i := range events {
			if err := h.put(fmt.Sprint(i), "k"); err != nil {
				t.Fatal(err)
			}
			(<-got).Settle()
			time.Sleep(100 * time.Microsecond)
		}
		if n := pages(); n > 3 {
			t.Errorf("%d writes for %d ends in 160 ms", n, events)
		}
		if err := h.put("run", "k"); err != nil {
			t.Fatal(err)
		}
		d := <-got
		before := pages()
		if err := d.Append(t.Context(), Entry{Type: 1}); err != nil {
			t.Fatal(err)
		}
		if n := pages(); n != before+1 {
			t.Errorf("%d writes for an Append, want 1", n-before)
		}
		d.Settle()
		time.Sleep(6 * time.Millisecond)
		if n := pages(); n != before+2 {
			t.Errorf("the end of a run is not written within 6 ms")
		}
		stop()
		if _, err := h.shut(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// What a body encodes comes back once, in the process that put it.
func TestLocalComesBackAtTheFirstDelivery(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1, func(s *settings) { s.memory = 100 })
	local := &struct{ text string }{"hi"}
	for _, id := range []string{"first", "beyond the memory"} {
		if err := h.core.Put(t.Context(), Record{ID: id, Body: make([]byte, 40), Local: local}); err != nil {
			t.Fatal(err)
		}
	}
	got, stop := h.consume()
	if d := <-got; Local(d) != local || len(d.Body()) != 40 {
		t.Errorf("first: %v, %d bytes", Local(d), len(d.Body()))
	}
	if d := <-got; Local(d) != nil || len(d.Body()) != 40 {
		t.Errorf("beyond the memory: %v, %d bytes", Local(d), len(d.Body()))
	}
	stop()
	got, stop = h.consume()
	defer stop()
	if d := <-got; Local(d) != nil || len(d.Body()) != 40 || d.Attempt() != 2 {
		t.Errorf("delivered again: %v, %d bytes", Local(d), len(d.Body()))
	}
}
