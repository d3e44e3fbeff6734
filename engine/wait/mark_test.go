package wait_test

import (
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
)

// What a list shows of a run is what was parked, however long its names are.
func TestASummaryShowsWhatWasParked(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g := wait.NewRegistry(wait.Options{Store: memory(t)})
	short, long := rowOf(1), rowOf(2)
	long.Rule, long.Script = strings.Repeat("ü", 500), strings.Repeat("s", 900)
	long.Event, long.Key = strings.Repeat("e", 400), strings.Repeat("k", 400)
	for _, r := range []*wait.Row{short, long} {
		if err := g.Park(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]wait.Summary{}
	if err := g.List(ctx, func(s wait.Summary) { got[s.Run] = s }); err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	s, w := got[short.Run], short.Wait
	if s.Rule != short.Rule || s.Script != short.Script || s.Event != short.Event || s.Key != short.Key || s.Digest != short.Digest.String() ||
		s.State != wait.Waiting || s.Kind != w.Kind || s.Step != w.Step || s.Title != w.Title || s.Rev == 0 || s.Bytes < len(short.Base) ||
		!s.Began.Equal(short.Began) || !s.Since.Equal(w.Since) || !s.Until.Equal(w.Until) {
		t.Errorf("got %+v", s)
	}
	s = got[long.Run]
	if !strings.HasPrefix(long.Rule, strings.TrimSuffix(s.Rule, "…")) || len(s.Rule) < 100 || s.State != wait.Waiting || !s.Until.Equal(long.Wait.Until) {
		t.Errorf("of long names: %+v", s)
	}
	// The index goes by what is not cut.
	fresh := wait.NewRegistry(wait.Options{Store: memoryWith(t, g, long.Run)})
	if err := fresh.Load(ctx); err != nil || len(fresh.Find(message("2"))) != 1 {
		t.Errorf("the run of long names is not found: %v", err)
	}
}

// memoryWith is a store with a copy of one row.
func memoryWith(t *testing.T, g *wait.Registry, run string) queue.Store {
	t.Helper()
	s := memory(t)
	row, err := g.Get(t.Context(), run)
	if err == nil {
		row.Rev = 0
		err = wait.NewRegistry(wait.Options{Store: s}).Park(t.Context(), row)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzMarks(f *testing.F) {
	for _, s := range []string{"", "AQ", "AQAAAA", strings.Repeat("A", 2000), "{\"s\":\"waiting\"}"} {
		f.Add(s)
	}
	s := queue.NewMemory(queue.MemoryOptions{})
	if err := wait.NewRegistry(wait.Options{Store: s}).Park(f.Context(), rowOf(1)); err != nil {
		f.Fatal(err)
	}
	if err := s.Waits().List(f.Context(), func(p queue.Parked) { f.Add(p.Mark) }); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, mark string) {
		s, err := wait.Summarize(queue.Parked{Run: "r", Mark: mark, Rev: 7})
		if err == nil && (s.Run != "r" || s.Rev != 7 || s.State == "" || s.Began.After(time.Unix(1<<40, 0))) {
			t.Errorf("%+v", s)
		}
	})
}
