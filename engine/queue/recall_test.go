package queue

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
)

// readLog counts the messages that are read from a log one by one.
type readLog struct {
	log
	reads atomic.Int64
}

func (l *readLog) get(ctx context.Context, seq uint64) (message, error) {
	l.reads.Add(1)
	return l.log.get(ctx, seq)
}

// After a crash in the middle of many events, what they share is read once: the
// groups that hold their bodies and the pages that hold what they did.
func TestASharedPageIsReadOnceAfterACrash(t *testing.T) {
	t.Parallel()
	const n = 500
	h := newHarness(t, 1, nil)
	lane, journal := &readLog{log: h.lane[0].log}, &readLog{log: h.journal[0].log}
	h.lane[0].log, h.journal[0].log = lane, journal
	var puts []chan error
	for i := range n {
		done := make(chan error, 1)
		go func() { done <- h.put(fmt.Sprint("e", i), "k") }()
		puts = append(puts, done)
	}
	for _, done := range puts {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	ch, stop := h.consume()
	for range n {
		d := <-ch
		d.AppendLater(Entry{Type: 1, Body: []byte("of " + d.ID())})
	}
	if err := h.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	stop()
	h.restart()
	lane.reads.Store(0)
	journal.reads.Store(0)
	ch, stop = h.consume()
	defer stop()
	for range n {
		d := <-ch
		if string(d.Body()) != "body of "+d.ID() || len(d.History()) != 1 || string(d.History()[0].Body) != "of "+d.ID() {
			t.Fatalf("%s: body %q, history %v", d.ID(), d.Body(), d.History())
		}
	}
	if l, j := lane.reads.Load(), journal.reads.Load(); l+j > n/2 {
		t.Errorf("%d events: %d reads of groups and %d of pages", n, l, j)
	}
}
