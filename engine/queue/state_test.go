package queue

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// stateAt is the state of a process at a clock.
func stateAt(t table, now *time.Time, epoch uint64, shared bool) *state {
	return &state{table: t, now: func() time.Time { return *now }, maxValue: 1 << 20, epoch: epoch, shared: shared}
}

func addOne(old []byte, _ bool) (Change, error) {
	n, _ := strconv.Atoi(string(old))
	v := strconv.AppendInt(nil, int64(n+1), 10)
	return Change{Value: v, Result: v}, nil
}

// TestOperationsOfABusyKeyAreForgotten holds that a key that is written for
// ever does not grow, and that a run that is taken up again after a crash is
// still told what it had done and what not.
func TestOperationsOfABusyKeyAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rows := newMemTable(func() time.Time { return now })
	s := stateAt(rows, &now, 1, false)
	do := func(op string, repeat bool) (string, error) {
		b, err := s.Update(t.Context(), "ns/n", op, repeat, addOne)
		return string(b), err
	}
	for i := range 2000 {
		now = now.Add(time.Second)
		if _, err := do(fmt.Sprint("a", i), false); err != nil {
			t.Fatal(err)
		}
	}
	r, err := rows.get(t.Context(), "ns/n")
	if err != nil || len(r.data) > 2000 {
		t.Errorf("a key written each second takes %d bytes, %v", len(r.data), err)
	}
	now = now.Add(30 * time.Hour) // nobody was there
	s = stateAt(rows, &now, 2, false)
	for i := range 100 {
		if got, err := do(fmt.Sprint("b", i), true); err != nil || got != strconv.Itoa(2001+i) {
			t.Fatalf("an operation that never was: %s, %v", got, err)
		}
	}
	if got, err := do("a1999", true); err != nil || got != "2000" {
		t.Errorf("the last operation before the crash: %s, %v", got, err)
	}
	now = now.Add(2 * time.Hour)
	if _, err := do("c", false); err != nil {
		t.Fatal(err)
	}
	if c, _, err := s.read(t.Context(), "ns/n"); err != nil || len(c.ops) != 1 {
		t.Errorf("hours later %d operations are remembered, %v", len(c.ops), err)
	}
}

// TestRowsOfBefore holds that rows that an earlier version has written are read.
func TestRowsOfBefore(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rows := newMemTable(func() time.Time { return now })
	sum := sumOf("op")
	old := append([]byte{formatVersion, presentFlag | 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, '7'}, sum[:]...)
	old = append(old, 1, 'r')
	for key, mark := range map[string]string{"ns/a": "", "ns/b": strconv.FormatInt(now.Add(time.Hour).UnixNano(), 10), "ns/c": strconv.FormatInt(now.Add(-time.Hour).UnixNano(), 10)} {
		if _, err := rows.put(t.Context(), key, old, mark, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	s := stateAt(rows, &now, 1, false)
	infos, err := s.Keys(t.Context(), "ns/")
	if err != nil || len(infos) != 2 || infos[0].Bytes != 1 || !infos[1].Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("Keys: %+v, %v", infos, err)
	}
	if b, err := s.Update(t.Context(), "ns/a", "op", true, addOne); err != nil || string(b) != "r" {
		t.Errorf("a repeat: %q, %v", b, err)
	}
	if b, err := s.Update(t.Context(), "ns/a", "other", true, addOne); err != nil || string(b) != "8" {
		t.Errorf("another operation: %q, %v", b, err)
	}
	if b, err := s.Update(t.Context(), "ns/a", "op", true, addOne); err != nil || string(b) != "r" {
		t.Errorf("a repeat after it: %q, %v", b, err)
	}
}
