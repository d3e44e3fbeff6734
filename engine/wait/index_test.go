package wait

import (
	"fmt"
	"testing"
	"time"
)

const shared = "event\x00T1\x00message"

func fill(x *Index, n int, key func(int) string) {
	for i := range n {
		x.set(Summary{Run: fmt.Sprint("r", i), Rule: "a.star:go", State: Waiting, Rev: uint64(i + 1), keys: []uint64{hashKey(key(i)), hashKey(fmt.Sprint("own", i))}})
	}
}

func empty(x *Index, n int) {
	for i := range n {
		i = i * 7919 % n // in no order
		x.drop(fmt.Sprint("r", i), uint64(i+1))
	}
}

// A run goes from the index at the same cost, however many wait for the same.
func TestRunsThatShareAKeyGoCheaply(t *testing.T) {
	t.Parallel()
	const n = 100_000
	took := func(key func(int) string) time.Duration {
		var x Index
		fill(&x, n, key)
		if key(0) == shared && len(x.find([]string{shared})) != n {
			t.Fatalf("found %d", len(x.find([]string{shared})))
		}
		began := time.Now()
		empty(&x, n)
		d := time.Since(began)
		if x.Len() != 0 || x.keyed() || x.Bytes() != 0 || len(x.rules) != 0 {
			t.Fatalf("left: %d runs, keys %v, %d bytes", x.Len(), x.keyed(), x.Bytes())
		}
		return d
	}
	alone := took(func(i int) string { return fmt.Sprint("k", i) })
	all := took(func(int) string { return shared })
	t.Logf("%d runs go in %v with keys of their own, in %v with one", n, alone, all)
	if all > 10*alone+500*time.Millisecond {
		t.Errorf("with one key %v, with keys of their own %v", all, alone)
	}
}

// Whoever goes first, the others are still found.
func TestTheIndexFindsWhoIsLeft(t *testing.T) {
	t.Parallel()
	var x Index
	keys := []uint64{hashKey(shared), hashKey("other"), hashKey(shared)} // one twice
	for i := range 200 {
		x.set(Summary{Run: fmt.Sprintf("%03d", i), State: Waiting, Rev: 1, keys: keys[i%2:]})
	}
	for i := range 200 {
		gone := fmt.Sprintf("%03d", i*77%200)
		x.drop(gone, 1)
		found := x.find([]string{shared, "other"})
		if len(found) != 199-i {
			t.Fatalf("found %d after %d went", len(found), i+1)
		}
		for _, run := range found {
			if run == gone || !x.Waits(run) {
				t.Fatalf("found %s, which has gone", run)
			}
		}
	}
}

func BenchmarkIndex100kRunsOfOneKey(b *testing.B) {
	var x Index
	fill(&x, 100_000, func(int) string { return shared })
	rev := uint64(1_000_000)
	for b.Loop() {
		rev++
		x.set(Summary{Run: "r50000", State: Waiting, Rev: rev, keys: []uint64{hashKey(shared)}})
		x.drop("r50000", rev)
	}
}
