package dispatch

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

func noted(t *testing.T, n *notes) *notes {
	t.Helper()
	entries := append([]queue.Entry{appendOpen([]openRun{{ID: "r", ErrorOf: -1, After: -1}})}, n.entry(0)...)
	rec, err := decodeRecord(entries)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Notes[0]
}

// What a run logged stands in its journal, without secrets, and bounded however
// often it waits: the latest lines, and the first and the latest passes.
func TestNotesAreBounded(t *testing.T) {
	t.Parallel()
	var n notes
	if n.entry(0) != nil {
		t.Error("an entry about nothing")
	}
	n.pass(1, time.Unix(1, 0), 0, &runtime.Reply{Steps: 7, Took: time.Millisecond})
	if n.entry(0) != nil {
		t.Error("the end tells as much as one pass")
	}
	n.log(1, runtime.LogLine{Level: slog.LevelWarn, Text: "first", Attrs: runtime.NewDict("a", int64(1), "s", runtime.Secret{}), Pos: runtime.Position{Path: "a.star", Line: 3}})
	got := noted(t, &n)
	if len(got.Passes) != 1 || got.Passes[0] != n.Passes[0] || len(got.Logs) != 1 {
		t.Fatalf("notes %+v", got)
	}
	if l := got.Logs[0]; l.Level != slog.LevelWarn || l.Text != "first" || l.Pos.Line != 3 || show(l.Attrs) != `{"a":1,"s":"***"}` {
		t.Errorf("line %+v %s", l, show(l.Attrs))
	}

	for i := range 200 {
		n.pass(i+2, time.Unix(int64(i), 0), i, &runtime.Reply{})
		n.log(i+2, runtime.LogLine{Text: strings.Repeat("ä", 300)})
	}
	n.log(201, runtime.LogLine{Text: strings.Repeat("ä", 1<<20), Attrs: runtime.NewDict("big", strings.Repeat("x", 1<<20))})
	got = noted(t, &n)
	last := got.Logs[len(got.Logs)-1]
	switch {
	case len(got.Passes) != maxNotedPasses || got.Passes[0].N != 1 || got.Passes[len(got.Passes)-1].N != 201 || got.MorePasses != 201-maxNotedPasses:
		t.Errorf("%d passes and %d more", len(got.Passes), got.MorePasses)
	case len(got.Logs)+got.MoreLogs != 202 || got.bytes != n.bytes || got.bytes > maxNotedBytes:
		t.Errorf("%d lines of %d bytes and %d more", len(got.Logs), got.bytes, got.MoreLogs)
	case len(last.Text) > maxNotedLine+3 || !strings.HasSuffix(last.Text, "ä…") || !strings.Contains(show(last.Attrs), "left_out"):
		t.Errorf("a long line: %d bytes, %.40s", len(last.Text), show(last.Attrs))
	}
	if size := len(n.entry(0)[0].Body); size > maxNotedBytes+8<<10 {
		t.Errorf("the entry has %d bytes", size)
	}
}

// A journal of before tells how often an event was taken up again, and not when.
func TestAttemptsOfBeforeHaveNoTime(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000000, 5)
	rec, err := decodeRecord([]queue.Entry{{Type: entryAttempt}, attemptEntry(at)})
	if err != nil || rec.Attempts != 2 || len(rec.Resumed) != 1 || !rec.Resumed[0].Equal(at) {
		t.Errorf("%+v %v", rec, err)
	}
}
