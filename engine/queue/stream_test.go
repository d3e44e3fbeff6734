package queue

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// A damaged stream has holes: the sequences of what is left must be right all
// the same, because the journal names events by them.
func TestScanOverHoles(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: t.TempDir(), MinFreeDisk: -1, Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(ctx) })
	l := s.lanes[0].log
	for i := range 6 {
		if _, err := l.append(ctx, fmt.Append(nil, i+1), false, 0); err != nil {
			t.Fatal(err)
		}
	}
	scan := func(from, to uint64) (got []uint64) {
		t.Helper()
		err := l.scan(ctx, from, to, func(m message) error {
			if string(m.data) != fmt.Sprint(m.seq) {
				t.Errorf("message %q is said to be %d", m.data, m.seq)
			}
			got = append(got, m.seq)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := scan(2, 5); !slices.Equal(got, []uint64{2, 3, 4, 5}) {
		t.Errorf("whole stream: %v", got)
	}
	st, err := s.link.jet().Stream(ctx, s.name("EV", 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.DeleteMsg(ctx, 3); err != nil {
		t.Fatal(err)
	}
	if got := scan(1, 6); !slices.Equal(got, []uint64{1, 2, 4, 5, 6}) {
		t.Errorf("with a hole: %v", got)
	}
	if err := st.DeleteMsg(ctx, 6); err != nil {
		t.Fatal(err)
	}
	if got := scan(1, 6); !slices.Equal(got, []uint64{1, 2, 4, 5}) {
		t.Errorf("without its end: %v", got)
	}
	if err := l.purge(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if got := scan(1, 6); !slices.Equal(got, []uint64{2, 4, 5}) {
		t.Errorf("after a purge: %v", got)
	}
}
