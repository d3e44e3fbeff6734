package wait_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
)

var waiting = flag.Int("waiting", 2000, "how many runs TestManyRunsWaitCheaply has wait (in full: 100000)")

// Runs that wait cost memory and disk in proportion, and finding one costs no
// more when there are many.
func TestManyRunsWaitCheaply(t *testing.T) {
	ctx := context.Background()
	o := queue.Options{Dir: t.TempDir(), MinFreeDisk: -1, NoSync: true}
	s, err := queue.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	g := wait.NewRegistry(wait.Options{Store: s})
	began := time.Now()
	var wg sync.WaitGroup
	for k := range 16 {
		wg.Go(func() {
			for n := k; n < *waiting; n += 16 {
				if err := g.Park(ctx, rowOf(n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d runs parked in %v", *waiting, time.Since(began).Round(time.Millisecond))
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	var disk int64
	_ = filepath.WalkDir(o.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				disk += info.Size()
			}
		}
		return nil
	})
	before := heap()
	began = time.Now()
	if s, err = queue.Open(ctx, o); err != nil {
		t.Fatal(err)
	}
	defer s.Close(ctx)
	opened := time.Since(began)
	g = wait.NewRegistry(wait.Options{Store: s})
	if err := g.Load(ctx); err != nil {
		t.Fatal(err)
	}
	loaded := time.Since(began)
	if g.Len() != *waiting {
		t.Fatalf("%d of %d runs wait after a restart", g.Len(), *waiting)
	}
	grown := heap() - before
	var took []time.Duration
	for n := range min(*waiting, 500) {
		n = n * 7919 % *waiting
		began := time.Now()
		found := g.Find(&event.Event{Kind: event.Message, Team: "T1", Channel: fmt.Sprint("C", n)})
		if len(found) != 1 {
			t.Fatalf("run %d: found %v", n, found)
		}
		row, err := g.Get(ctx, found[0])
		if err == nil {
			err = g.Take(ctx, row, &wait.Answer{By: wait.ByEvent, At: time.Now()}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("%d runs wait: %d MiB of disk, %d MiB of heap after a restart, which took %v, with the index %v; found, read and claimed in %v (p50), %v (p99)",
		*waiting, disk>>20, grown>>20, opened.Round(time.Millisecond), loaded.Round(time.Millisecond), took[len(took)/2], took[len(took)*99/100])
	if *waiting >= 10_000 && grown > int64(*waiting)*3000 {
		t.Errorf("%d bytes of memory for each", grown/int64(*waiting))
	}
}

func rowOf(n int) *wait.Row {
	return &wait.Row{
		Run: fmt.Sprintf("%016x", n+1), Event: fmt.Sprint("Ev", n), Key: fmt.Sprint("T1/C", n%50), Rule: "deploy.star:deploy", Script: "deploy.star",
		Began: time.Now(), Base: make([]byte, 800),
		Wait: &wait.Wait{
			Kind: wait.Event, Step: 2, Since: time.Now(), Until: time.Now().Add(48 * time.Hour), Title: "Deploy *api* to *prod*?",
			Keys: []string{wait.Key("event", "T1", "message", "channel", fmt.Sprint("C", n))},
		},
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
